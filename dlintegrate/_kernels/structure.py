"""Counting pairs by distance, in frames of a periodic square.

Memory is that of the result: all pairs are visited, or, where the reach is short
enough for three cells along a side, those in adjacent cells.
"""

import numpy as np

from .jit import kernel
from .pairs import nearest
from .verlet_list import _sort

#: From here on cells pay.
_MANY = 100


@kernel
def _count_row(q, i, first, last, side, reach2, per_length, histogram, partners):
    """Count the pairs of ``i`` with the particles ``first`` to ``last``."""
    for j in range(first, last):
        dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
        dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
        r2 = dx * dx + dy * dy
        if r2 < reach2:
            # rounding may lift a distance just inside the reach over it
            histogram[min(int(np.sqrt(r2) * per_length), len(histogram) - 1)] += 1
            partners[i] += 1
            partners[j] += 1


@kernel
def _count_cells(positions, side, reach, per_length, histogram, partners):
    """As ``_count_row`` for all pairs of a frame, by cells at least as wide as the reach."""
    n = len(positions)
    order, cell_start = np.empty(n, np.int64), np.empty(int(side / reach) ** 2 + 1, np.int64)
    m = _sort(positions, side, reach, order, cell_start)
    q, found = np.empty((n, 2)), np.zeros(n, np.int64)
    for i in range(n):
        q[i, 0], q[i, 1] = positions[order[i], 0], positions[order[i], 1]
    for cx in range(m):
        for cy in range(m):
            stop = cell_start[cx * m + cy + 1]
            for i in range(cell_start[cx * m + cy], stop):
                _count_row(
                    q, i, i + 1, stop, side, reach * reach, per_length, histogram, found
                )  # fmt: skip
                for k in range(4):  # half of the eight cells around
                    other = (cx + (1 if k < 3 else 0)) % m * m
                    other += (cy + (k - 1 if k < 3 else 1) + m) % m
                    _count_row(
                        q, i, cell_start[other], cell_start[other + 1], side, reach * reach,
                        per_length, histogram, found,
                    )  # fmt: skip
    for i in range(n):
        partners[order[i]] += found[i]


@kernel
def count_pairs(positions, sides, reach, histogram, partners):
    """Count each pair nearer than ``reach`` once, by its shortest image.

    Parameters
    ----------
    positions : ndarray, shape (n_frames, n_particles, 2)
        Wrapped or not.
    sides : ndarray, shape (n_frames,)
        Of the boxes; at least twice the reach.
    reach : float
    histogram : ndarray of int, shape (n_frames, n_bins)
        Numbers of pairs in bins of equal width from 0 to ``reach``, added to.
    partners : ndarray of int, shape (n_frames, n_particles)
        Number of others within reach of each particle, added to.
    """
    n = positions.shape[1]
    per_length = histogram.shape[1] / reach
    for f in range(len(positions)):
        if n >= _MANY and sides[f] >= (3 + 1e-9) * reach:
            _count_cells(positions[f], sides[f], reach, per_length, histogram[f], partners[f])
            continue
        for i in range(n - 1):
            _count_row(
                positions[f], i, i + 1, n, sides[f], reach * reach, per_length,
                histogram[f], partners[f],
            )  # fmt: skip
