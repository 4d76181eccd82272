"""Pairs of particles that move in the mean field of all others: the messages of a graph.

In a step dt, a pair (i, k) feels its own force and an external relative acceleration
that is known by its moments ``m_j = ∫ a(t) P_j(2t/dt - 1) dt`` with Legendre
polynomials. Given the moments of the impulses that all *other* pairs exert, the
relative motion of the pair is integrated with its exact force; its own moments are the
message to the others in the next round. In the first round there are none, and the
pairs are isolated.

Pairs lie in SIMD lanes, whatever sample they belong to.
"""

import numpy as np

from .jit import kernel
from .pairs import force_over_distance
from .verlet_list import build

LANES = 64
#: Moments that are kept: up to a quadratic variation of the mean field within a step.
MOMENTS = 3
#: Rows of the work array: relative position and velocity, external moments, own moments.
RX, RY, UX, UY, EXT, OWN = 0, LANES, 2 * LANES, 3 * LANES, 4 * LANES, 10 * LANES
_ROWS = 16


def substeps(dt, n_substeps, splitting):
    """Drifts and kicks of ``n_substeps`` steps of a splitting, with the times of the kicks.

    Parameters
    ----------
    dt : float
    n_substeps : int
    splitting : sequence of float
        Alternating drifts and kicks in units of a substep, beginning and ending with a drift.

    Returns
    -------
    ndarray, shape (n_kicks + 1, 5)
        Rows (drift before it, kick, P_0, P_1, P_2 at its time); the last has no kick.
    """
    h = dt / n_substeps
    drifts, kicks = list(splitting[0::2]), list(splitting[1::2])
    rows, time, pending = [], 0.0, 0.0
    for _ in range(n_substeps):
        for drift, kick in zip(drifts[:-1], kicks, strict=True):
            pending += drift * h
            time += drift * h
            x = 2.0 * time / dt - 1.0
            rows.append((pending, kick * h, 1.0, x, 1.5 * x * x - 0.5))
            pending = 0.0
        pending = drifts[-1] * h
        time += pending
    rows.append((pending, 0.0, 1.0, 1.0, 1.0))
    return np.array(rows)


@kernel
def _kick(w, row, law):
    """One drift and one kick of the pairs in a block."""
    drift, kick, p1, p2 = row[0], row[1], row[3], row[4]
    for s in range(LANES):
        x = w[RX + s] + drift * w[UX + s]
        y = w[RY + s] + drift * w[UY + s]
        w[RX + s] = x
        w[RY + s] = y
        r2 = x * x + y * y
        g = force_over_distance(r2, law)
        g = kick * g if r2 < law[2] else 0.0
        fx, fy = g * x, g * y
        w[UX + s] += 2.0 * fx + kick * (
            w[EXT + s] + p1 * w[EXT + 2 * LANES + s] + p2 * w[EXT + 4 * LANES + s]
        )
        w[UY + s] += 2.0 * fy + kick * (
            w[EXT + LANES + s] + p1 * w[EXT + 3 * LANES + s] + p2 * w[EXT + 5 * LANES + s]
        )
        w[OWN + s] += fx
        w[OWN + LANES + s] += fy
        w[OWN + 2 * LANES + s] += p1 * fx
        w[OWN + 3 * LANES + s] += p1 * fy
        w[OWN + 4 * LANES + s] += p2 * fx
        w[OWN + 5 * LANES + s] += p2 * fy


@kernel
def exchange(d, v, first, second, rows, law, dt, n_rounds, n_moments, node, own):
    """Run the rounds.

    Parameters
    ----------
    d, v : ndarray, shape (n_pairs, 2)
        Relative positions (shortest images) and velocities, ``first`` minus ``second``.
    first, second : ndarray of int, shape (n_pairs,)
        Particles, numbered through all samples.
    rows : ndarray
        Of :func:`substeps`.
    law : tuple
        Of :func:`~dlintegrate._kernels.pairs.force_law`.
    dt : float
    n_rounds : int
    n_moments : int
        Of the mean field; all are summed up.
    node : ndarray, shape (n_particles, 2 * MOMENTS)
        Filled: moments of the whole force on each particle, ``(x, y)`` for each moment.
    own : ndarray, shape (n_pairs, 2 * MOMENTS)
        Filled: moments of the force of ``second`` on ``first``.
    """
    n_pairs = len(d)
    w = np.zeros(_ROWS * LANES)
    own[:] = 0.0
    for turn in range(n_rounds):
        for start in range(0, n_pairs, LANES):
            filled = min(LANES, n_pairs - start)
            for s in range(LANES):
                e = start + min(s, filled - 1)  # lanes without a pair repeat the last
                w[RX + s], w[RY + s] = d[e, 0], d[e, 1]
                w[UX + s], w[UY + s] = v[e, 0], v[e, 1]
                i, k = first[e], second[e]
                for m in range(2 * MOMENTS):
                    w[OWN + m * LANES + s] = 0.0
                    external = 0.0
                    if turn > 0 and m < 2 * n_moments:
                        external = node[i, m] - node[k, m] - 2.0 * own[e, m]
                    w[EXT + m * LANES + s] = external * (2 * (m // 2) + 1) / dt
            for row in range(len(rows) - 1):
                _kick(w, rows[row], law)
            for s in range(filled):
                for m in range(2 * MOMENTS):
                    own[start + s, m] = w[OWN + m * LANES + s]
        node[:] = 0.0
        for e in range(n_pairs):
            for m in range(2 * MOMENTS):
                node[first[e], m] += own[e, m]
                node[second[e], m] -= own[e, m]


@kernel
def list_small(array, reach2, first, second, d, v):
    """List all pairs within reach, sample by sample; returns their number.

    Parameters
    ----------
    array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
        Packed states.
    reach2 : float
        Square of the distance, may be infinite.
    first, second : ndarray of int, shape (capacity,)
        Filled: particles, numbered through all samples.
    d, v : ndarray, shape (capacity, 2)
        Filled: shortest images of the differences, differences of the momenta.
    """
    n = array.shape[2] - 1
    count = 0
    for sample in range(len(array)):
        q, p = array[sample, 0], array[sample, 1]
        side = q[n, 0]
        for i in range(n - 1):
            for k in range(i + 1, n):
                dx, dy = q[i, 0] - q[k, 0], q[i, 1] - q[k, 1]
                dx -= side * np.rint(dx / side)
                dy -= side * np.rint(dy / side)
                if dx * dx + dy * dy < reach2:
                    first[count], second[count] = sample * n + i, sample * n + k
                    d[count, 0], d[count, 1] = dx, dy
                    v[count, 0], v[count, 1] = p[i, 0] - p[k, 0], p[i, 1] - p[k, 1]
                    count += 1
    return count


@kernel
def list_large(array, reach):
    """As :func:`list_small` by cells, at least three along a side.

    Returns
    -------
    first, second, d, v
    """
    n = array.shape[2] - 1
    order, row_start = np.empty(n, np.int64), np.empty(n + 1, np.int64)
    partners = np.empty(24 * n, np.int32)
    total = 0
    for sample in range(len(array)):
        positions, side = array[sample, 0, :n], array[sample, 0, n, 0]
        _, partners = build(positions, side, reach, order, row_start, partners)
        total += row_start[n]
    first, second = np.empty(total, np.int64), np.empty(total, np.int64)
    d, v = np.empty((total, 2)), np.empty((total, 2))
    count = 0
    for sample in range(len(array)):
        positions, side = array[sample, 0, :n], array[sample, 0, n, 0]
        _, partners = build(positions, side, reach, order, row_start, partners)
        for row in range(n):
            for entry in range(row_start[row], row_start[row + 1]):
                i, k = order[row], order[partners[entry]]
                first[count], second[count] = sample * n + i, sample * n + k
                for c in range(2):
                    difference = positions[i, c] - positions[k, c]
                    d[count, c] = difference - side * np.rint(difference / side)
                    v[count, c] = array[sample, 1, i, c] - array[sample, 1, k, c]
                count += 1
    return first, second, d, v
