"""Pairs of atoms within a cutoff in a periodic cell: lists by vesin, kept while they are valid."""

import threading
from collections import OrderedDict
from typing import NamedTuple

import numpy as np

from .jit import kernel

#: Lists that a thread keeps: few, since a run has one system and one or two sizes of a batch.
_KEPT = 4
_local = threading.local()


class Pairs(NamedTuple):
    """Ordered pairs (i, j), each bond twice, of all samples of a batch.

    Atoms are numbered through: atom ``a`` of sample ``s`` is ``s * n_atoms + a``. The vector
    from i to j is ``positions[second] + offset - positions[first]``. Pairs are sorted by
    ``(first, second, image)``, so a sum over them in order does not depend on how old the list is.
    """

    first: np.ndarray  #: (n_pairs,) int64
    second: np.ndarray  #: (n_pairs,) int64
    offset: np.ndarray  #: (n_pairs, 3), Å
    starts: np.ndarray  #: (n_samples * n_atoms + 1,) int64: atom a has starts[a]:starts[a + 1]


def pairs_within(positions, cell, cutoff, skin=0.0):
    """All pairs closer than ``cutoff``, and some up to ``cutoff + skin``.

    With a skin, a list is kept for this thread and used again until an atom has moved by
    half the skin, so pairs beyond the cutoff must be skipped by the caller.

    Parameters
    ----------
    positions : ndarray, shape (n_samples, n_atoms, 3)
        In Å, wrapped into the cell or not.
    cell : ndarray, shape (3, 3) or (n_samples, 3, 3)
        Rows are the cell vectors; periodic in all directions.
    cutoff, skin : float
        In Å. The cutoff may exceed the cell: an atom then meets several images.

    Returns
    -------
    Pairs
    """
    if skin == 0.0:
        lists = [
            _list(x, c, cutoff) for x, c in zip(positions, _cells(cell, positions), strict=True)
        ]
        return _joined(lists, positions.shape[1])
    kept = _local.__dict__.setdefault("kept", OrderedDict())
    key = (positions.shape, cell.tobytes(), cutoff, skin)
    lists = kept.pop(key, None) or _Lists(positions.shape)
    kept[key] = lists
    if len(kept) > _KEPT:
        kept.popitem(last=False)
    return lists.update(positions, cell, cutoff, skin)


class _Lists:
    """Lists of a batch and the positions that they were made for."""

    def __init__(self, shape):
        self.made_for = np.full(shape, np.nan)
        self.lists = [None] * shape[0]
        self.pairs = None

    def update(self, positions, cell, cutoff, skin):
        stale = np.flatnonzero(outdated(positions, self.made_for, 0.5 * skin))
        stale = [s for s in stale if not self._lost(s, positions[s])]
        cells = _cells(cell, positions)
        for s in stale:
            self.lists[s] = _list(positions[s], cells[s], cutoff + skin)
        if stale:
            self.made_for[stale] = positions[stale]
            self.pairs = _joined(self.lists, positions.shape[1])
        return self.pairs

    def _lost(self, s, positions):
        """Whether a sample is lost and its list empty already: nothing to do in every step."""
        known = self.lists[s] is not None and not len(self.lists[s][0])
        return known and not np.isfinite(positions).all()


def _cells(cell, positions):
    return np.broadcast_to(cell, (len(positions), 3, 3))


def _list(positions, cell, cutoff):
    """Sorted pairs of one sample: first, second, offset."""
    from vesin import NeighborList

    if not np.isfinite(positions).all():  # a lost sample has no neighbours
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3))
    search = NeighborList(cutoff=cutoff, full_list=True, n_threads=1)
    first, second, image = search.compute(
        points=np.ascontiguousarray(positions), box=np.ascontiguousarray(cell), periodic=True,
        quantities="ijS",
    )  # fmt: skip
    order = np.lexsort((*image.T[::-1], second, first))
    first, second = (x[order].astype(np.int64) for x in (first, second))
    return first, second, image[order] @ cell


def _joined(lists, n_atoms):
    """Lists of all samples, with atoms numbered through."""
    first = np.concatenate([part[0] + s * n_atoms for s, part in enumerate(lists)])
    second = np.concatenate([part[1] + s * n_atoms for s, part in enumerate(lists)])
    offset = np.concatenate([part[2] for part in lists])
    starts = np.searchsorted(first, np.arange(len(lists) * n_atoms + 1))
    return Pairs(first, second, offset, starts.astype(np.int64))


@kernel
def outdated(positions, made_for, reach):
    """Which samples have an atom that is not within ``reach`` of where it was."""
    result = np.zeros(len(positions), dtype=np.bool_)
    for s in range(len(positions)):
        for a in range(positions.shape[1]):
            square = 0.0
            for c in range(3):
                d = positions[s, a, c] - made_for[s, a, c]
                square += d * d
            if not square < reach * reach:
                result[s] = True
                break
    return result


@kernel
def closest_pair(positions, first, second, offset, cutoff, closest):
    """Write the square of the shortest distance of each sample to ``closest``.

    ``positions`` is (n_samples, n_atoms, 3); infinite where no pair is within the cutoff.
    """
    closest[:] = np.inf
    n_atoms = positions.shape[1]
    flat = positions.reshape(-1, 3)
    for p in range(len(first)):
        i, j = first[p], second[p]
        square = 0.0
        for c in range(3):
            d = flat[j, c] + offset[p, c] - flat[i, c]
            square += d * d
        s = i // n_atoms
        if square < cutoff * cutoff and square < closest[s]:
            closest[s] = square
