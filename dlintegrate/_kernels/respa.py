"""Velocity Verlet with inner steps for close pairs, one sample at a time."""

import numpy as np

from .jit import kernel
from .pairs import force_over_distance, nearest
from .verlet_list import SKIN, back, build, outran, reorder

#: How far, in units of the outer end of the window, the list of close pairs looks beyond it.
_MARGIN = 0.2


@kernel
def _all_pairs(q, side, reach2, row_start, partners):
    """List the pairs within reach, of few particles; returns the (perhaps longer) list."""
    n = len(q)
    if len(partners) < n * n:
        partners = np.empty(n * n, np.int32)
    count = 0
    for i in range(n):
        row_start[i] = count
        for j in range(i + 1, n):
            dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
            dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
            partners[count] = j
            count += dx * dx + dy * dy < reach2
    row_start[n] = count
    return partners


@kernel
def _thin(q, side, row_start, partners, reach2, near_start, near):
    """Pairs of a list that are within a shorter reach."""
    count = 0
    for i in range(len(q)):
        near_start[i] = count
        for k in range(row_start[i], row_start[i + 1]):
            dx = nearest(q[i, 0] - q[partners[k], 0], side, 1.0 / side)
            dy = nearest(q[i, 1] - q[partners[k], 1], side, 1.0 / side)
            near[count] = partners[k]
            count += dx * dx + dy * dy < reach2
    near_start[len(q)] = count


@kernel
def _copy(source, target):
    for i in range(len(source)):
        target[i, 0], target[i, 1] = source[i, 0], source[i, 1]


@kernel
def _share(r2, inner2, outer2):
    """How much of the force belongs to the inner steps: 1 to 0 across the window."""
    t = min(max((r2 - inner2) / (outer2 - inner2), 0.0), 1.0)
    return 1.0 - t * t * (3.0 - 2.0 * t)


@kernel
def _kick(q, p, side, row_start, partners, law, window, inner, length):
    """Add the impulse of the inner or of the outer part of the forces."""
    inner2, outer2 = window[0] ** 2, window[1] ** 2
    for i in range(len(q)):
        for k in range(row_start[i], row_start[i + 1]):
            j = partners[k]
            dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
            dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
            r2 = dx * dx + dy * dy
            if r2 >= law[2]:
                continue
            share = _share(r2, inner2, outer2)
            g = length * force_over_distance(r2, law) * (share if inner else 1.0 - share)
            p[i, 0] += g * dx
            p[i, 1] += g * dy
            p[j, 0] -= g * dx
            p[j, 1] -= g * dy


@kernel
def advance_respa(array, dt, n_inner, n_steps, law, window, by_cells):
    """Run outer steps ``slow/2 (fast/2 drift fast/2)^n_inner slow/2``, in place.

    Parameters
    ----------
    array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
        Packed states. A sample that is no longer finite becomes NaN as a whole.
    dt : float
        Outer step.
    n_inner, n_steps : int
    law : tuple
        Of :func:`~dlintegrate._kernels.pairs.force_law`.
    window : tuple of 2 floats
        Ends of the window of distances.
    by_cells : bool
        Lists by cells; else all pairs are listed.
    """
    n = array.shape[2] - 1
    row_start, near_start = np.empty(n + 1, np.int64), np.empty(n + 1, np.int64)
    partners = np.empty(24 * n, np.int32)
    order = np.arange(n)
    skin = min(_MARGIN * window[1], SKIN * np.sqrt(law[2]))
    reach = np.sqrt(law[2]) + skin
    rows = np.empty((3 * n_inner + 2, 2))  # (what, length): 0 drift, 1 inner kick, 2 outer kick
    rows[0], rows[-1] = (2.0, 0.5 * dt), (2.0, 0.5 * dt)
    for k in range(n_inner):
        h = dt / n_inner
        rows[3 * k + 1], rows[3 * k + 2], rows[3 * k + 3] = (1.0, 0.5 * h), (0.0, h), (1.0, 0.5 * h)
    for sample in range(len(array)):
        side = array[sample, 0, n, 0]
        positions, momenta = array[sample, 0, :n], array[sample, 1, :n]
        q, p, listed = np.empty((n, 2)), np.empty((n, 2)), np.empty((n, 2))
        _copy(positions, q)
        _copy(momenta, p)
        listed[0, 0] = np.inf  # nothing is listed yet
        near = np.empty(0, np.int32)
        alive, fresh = True, True
        for turn in range(n_steps * len(rows)):
            what, length = rows[turn % len(rows)]
            if what == 0.0:
                for i in range(n):
                    q[i, 0] += length * p[i, 0]
                    q[i, 1] += length * p[i, 1]
                continue
            if outran(q, listed, 0.25 * skin * skin):
                if not np.isfinite(q.sum() + p.sum()):
                    alive = False
                    break
                if by_cells:
                    if not fresh:
                        back(q, order, positions)
                        back(p, order, momenta)
                    q, partners = build(positions, side, reach, order, row_start, partners)
                    reorder(momenta, order, p)
                else:
                    partners = _all_pairs(q, side, np.inf, row_start, partners)
                if len(near) < row_start[n]:
                    near = np.empty(len(partners), np.int32)
                _thin(q, side, row_start, partners, (window[1] + skin) ** 2, near_start, near)
                _copy(q, listed)
                fresh = False
            inner = what == 1.0
            starts, others = (near_start, near) if inner else (row_start, partners)
            _kick(q, p, side, starts, others, law, window, inner, length)
        back(q, order, positions)
        back(p, order, momenta)
        if not alive:
            array[sample, :, :n] = np.nan
