"""Forces in large samples with a cut-off: half Verlet lists over spatially sorted particles.

Each sample by itself. Particles are sorted into cells as wide as cut-off plus skin,
so that neighbours lie close in memory, and each pair within that distance is listed
once. The list holds until a particle has moved half the skin.
"""

import numpy as np

from .jit import kernel
from .pairs import force_over_distance, nearest, potential

#: Extra range of the list, in units of the cut-off.
SKIN = 0.12


@kernel
def _sort(positions, side, width, order, cell_start):
    """Order the particles by cell; returns the number of cells along a side."""
    n = len(positions)
    m = int(side / width)
    cells = np.empty(n, np.int64)
    cell_start[: m * m + 1] = 0
    for i in range(n):
        cx = int((positions[i, 0] / side - np.floor(positions[i, 0] / side)) * m)
        cy = int((positions[i, 1] / side - np.floor(positions[i, 1] / side)) * m)
        # NaN converts to any int; the cell must exist all the same
        cells[i] = max(0, min(cx, m - 1)) * m + max(0, min(cy, m - 1))
        cell_start[cells[i] + 1] += 1
    for c in range(m * m):
        cell_start[c + 1] += cell_start[c]
    filled = cell_start[: m * m].copy()
    for i in range(n):
        order[filled[cells[i]]] = i
        filled[cells[i]] += 1
    return m


@kernel
def _list_row(q, i, first, last, side, reach2, partners, count):
    """Append the particles ``first`` to ``last`` that are within reach of ``i``."""
    for j in range(first, last):
        dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
        dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
        partners[count] = j
        count += dx * dx + dy * dy < reach2
    return count


@kernel
def _list_pairs(q, side, m, cell_start, reach2, row_start, partners):
    """List each pair within reach once; returns False if ``partners`` is too short."""
    n = len(q)
    count = 0
    for cx in range(m):
        for cy in range(m):
            c = cx * m + cy
            for i in range(cell_start[c], cell_start[c + 1]):
                if count + n > len(partners):
                    return False
                row_start[i] = count
                count = _list_row(q, i, i + 1, cell_start[c + 1], side, reach2, partners, count)
                for k in range(4):  # half of the eight cells around
                    nx = (cx + (1 if k < 3 else 0)) % m
                    ny = (cy + (k - 1 if k < 3 else 1) + m) % m
                    other = nx * m + ny
                    count = _list_row(
                        q, i, cell_start[other], cell_start[other + 1], side, reach2,
                        partners, count,
                    )  # fmt: skip
    row_start[n] = count
    return True


@kernel
def reorder(values, order, out):
    """Sort as the cells are."""
    for i in range(len(order)):
        out[i, 0], out[i, 1] = values[order[i], 0], values[order[i], 1]


@kernel
def build(positions, side, reach, order, row_start, partners):
    """Sort and list; returns the sorted positions and the (perhaps longer) list.

    Needs at least three cells along a side.
    """
    n = len(positions)
    cell_start = np.empty(int(side / reach) ** 2 + 1, np.int64)
    m = _sort(positions, side, reach, order, cell_start)
    q = np.empty((n, 2))
    reorder(positions, order, q)
    while not _list_pairs(q, side, m, cell_start, reach * reach, row_start, partners):
        partners = np.empty(2 * len(partners), np.int32)
    return q, partners


@kernel
def _forces(q, side, row_start, partners, law, force):
    """Forces of one sample from its list."""
    inverse = 1.0 / side
    cutoff2 = law[2]
    force[:] = 0.0
    for i in range(len(q)):
        x, y, fx, fy = q[i, 0], q[i, 1], 0.0, 0.0
        for k in range(row_start[i], row_start[i + 1]):
            j = partners[k]
            dx = nearest(x - q[j, 0], side, inverse)
            dy = nearest(y - q[j, 1], side, inverse)
            r2 = dx * dx + dy * dy
            if r2 < cutoff2:
                g = force_over_distance(r2, law)
                fx += g * dx
                fy += g * dy
                force[j, 0] -= g * dx
                force[j, 1] -= g * dy
        force[i, 0] += fx
        force[i, 1] += fy


@kernel
def outran(q, listed, allowed2):
    """Whether a particle is further than allowed from where it was when listed."""
    most = 0.0
    for i in range(len(q)):
        dx, dy = q[i, 0] - listed[i, 0], q[i, 1] - listed[i, 1]
        most = max(most, dx * dx + dy * dy)
    return not most <= allowed2  # also for NaN


@kernel
def back(values, order, out):
    """Undo the sorting."""
    for i in range(len(order)):
        out[order[i], 0], out[order[i], 1] = values[i, 0], values[i, 1]


@kernel
def advance_large(array, schedule, n_steps, law, skin):
    """As :func:`~dlintegrate._kernels.pairs.advance_small`, for many particles with a cut-off.

    Parameters
    ----------
    array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
        Packed states; sides of at least three times cut-off plus skin.
    schedule : ndarray, shape (n_rows, 2)
    n_steps : int
    law : tuple
    skin : float

    Notes
    -----
    A sample whose coordinates are no longer finite becomes NaN as a whole.
    """
    n = array.shape[2] - 1
    reach = np.sqrt(law[2]) + skin
    order, row_start = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    partners = np.empty(24 * n, np.int32)
    force = np.zeros((n, 2))
    for sample in range(len(array)):
        side = array[sample, 0, n, 0]
        positions, momenta = array[sample, 0, :n], array[sample, 1, :n]
        q, partners = build(positions, side, reach, order, row_start, partners)
        listed = q.copy()
        p = np.empty((n, 2))
        reorder(momenta, order, p)
        moved, alive = True, True
        for _ in range(n_steps):
            for row in range(len(schedule)):
                length = schedule[row, 1]
                if schedule[row, 0] == 0.0:
                    for i in range(n):
                        q[i, 0] += length * p[i, 0]
                        q[i, 1] += length * p[i, 1]
                    moved = True
                    continue
                if moved:
                    if outran(q, listed, 0.25 * skin * skin):
                        if not np.isfinite(q.sum() + p.sum()):
                            alive = False
                            break
                        back(q, order, positions)
                        back(p, order, momenta)
                        q, partners = build(positions, side, reach, order, row_start, partners)
                        listed[:] = q
                        reorder(momenta, order, p)
                    _forces(q, side, row_start, partners, law, force)
                    moved = False
                for i in range(n):
                    p[i, 0] += length * force[i, 0]
                    p[i, 1] += length * force[i, 1]
            if not alive:
                break
        back(q, order, positions)
        back(p, order, momenta)
        if not alive:
            positions[:] = np.nan
            momenta[:] = np.nan


@kernel
def forces_large(array, law, skin, out):
    """Forces of each state, into ``out`` (n_samples, n_particles, 2); NaN samples give NaN."""
    n = array.shape[2] - 1
    reach = np.sqrt(law[2]) + skin
    order, row_start = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    partners = np.empty(24 * n, np.int32)
    force = np.zeros((n, 2))
    for sample in range(len(array)):
        side = array[sample, 0, n, 0]
        if not np.isfinite(array[sample, 0].sum()):
            out[sample] = np.nan
            continue
        q, partners = build(array[sample, 0, :n], side, reach, order, row_start, partners)
        _forces(q, side, row_start, partners, law, force)
        back(force, order, out[sample])


@kernel
def measure_large(array, law, skin, out):
    """As :func:`~dlintegrate._kernels.pairs.measure_small`; NaN samples give NaN."""
    n = array.shape[2] - 1
    reach = np.sqrt(law[2]) + skin
    order, row_start = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    partners = np.empty(24 * n, np.int32)
    for sample in range(len(array)):
        side = array[sample, 0, n, 0]
        if not np.isfinite(array[sample, 0].sum()):
            out[sample] = np.nan
            continue
        q, partners = build(array[sample, 0, :n], side, reach, order, row_start, partners)
        energy, virial, closest = 0.0, 0.0, np.inf
        for i in range(n):
            for k in range(row_start[i], row_start[i + 1]):
                j = partners[k]
                dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
                dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
                r2 = dx * dx + dy * dy
                closest = min(closest, r2)
                if r2 < law[2]:
                    energy += potential(r2, law)
                    virial += force_over_distance(r2, law) * r2
        out[sample, 0], out[sample, 1], out[sample, 2] = energy, virial, closest
