"""The kernels of the directional network as one function that torch can differentiate."""

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController
from torch.nn import functional

from .._kernels import directional as layers
from .._kernels import directional_gradient as gradients

_FIRST, _BLOCK = 5, 9  #: arrays of weights before the blocks, and of each block
_LOT = 4000  #: sites times channels of vectors that a block takes at a time; bounds its memory
_FREE: deque = deque(maxlen=64)  #: buffers that nobody uses
_LOCK = threading.Lock()


class KernelNetwork(torch.autograd.Function):
    """Fields on spins, differentiable with respect to the weights.

    Each sample is computed as if it were alone, as many at a time as torch has threads. What
    the gradient needs is kept for so many samples; for others it is computed again.
    """

    @staticmethod
    def forward(ctx, spins, reaches, *weights):
        """Fields (n, 3, X, Y); ``weights`` as DirectionalNetwork.weights lists them."""
        ctx.arrays = as_arrays(weights)
        fields, ctx.runs = _run(spins, reaches, ctx.arrays, keep=True)
        ctx.save_for_backward(spins, *weights)
        ctx.reaches = reaches
        return fields

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of the weights."""
        spins, *weights = ctx.saved_tensors  # torch refuses if they have changed since
        arrays, inputs = ctx.arrays, spins.numpy()
        known, ctx.runs = ctx.runs, None  # a second time, nothing is known any more
        runs = known or _borrow(_n_threads(inputs), arrays, ctx.reaches, inputs.shape[2:], True)
        gfields = np.ascontiguousarray(gradient.numpy())
        totals = [[np.zeros_like(array) for array in arrays] for _ in runs]
        blocks = [_transposed(block, ctx.reaches[0]) for block in _blocks(arrays)]

        def samples_of(number):
            kept = known is not None  # of each run, its last sample
            for k in reversed(range(number, len(inputs), len(runs))):
                if not kept:
                    runs[number].forward(arrays, inputs[k], np.empty_like(gfields[k]))
                runs[number].backward(arrays, blocks, gfields[k], totals[number])
                kept = False

        _each(samples_of, len(runs))
        _FREE.extend(runs)
        summed = [torch.from_numpy(sum(parts)) for parts in zip(*totals, strict=True)]
        cut = [
            g[:, : w.shape[1]] if w.ndim == 2 else g for g, w in zip(summed, weights, strict=True)
        ]
        return (None, None, *cut)


def _transposed(block, reach):
    """The weights of a block as its gradient takes them."""
    taps, mixing, scalar_taps, scalar_mixing, partner, hidden, _, gate, _ = block
    n_taps = 3 * reach * (reach + 1) + 1
    opposite = []
    for weights in (taps, scalar_taps):
        turned = np.zeros_like(weights)
        turned[:, :n_taps] = weights[:, n_taps - 1 :: -1]
        opposite.append(turned)
    mixing, scalar_mixing, partner, hidden, gate = (
        np.ascontiguousarray(m.swapaxes(-1, -2))
        for m in (mixing, scalar_mixing, partner, hidden, gate)
    )
    return opposite[0], mixing, opposite[1], scalar_mixing, partner, hidden, gate


def predict(spins, reaches, arrays):
    """Fields without gradients, from weights as :func:`as_arrays` returns them."""
    fields, runs = _run(spins, reaches, arrays, keep=False)
    _FREE.extend(runs)
    return fields


def _run(spins, reaches, arrays, keep):
    """Fields, and what was computed on the way to those of the last samples."""
    fields = torch.empty_like(spins, memory_format=torch.contiguous_format)
    inputs, outputs = spins.numpy(), fields.numpy()
    runs = _borrow(_n_threads(inputs), arrays, reaches, inputs.shape[2:], keep)

    def samples_of(number):
        for k in range(number, len(inputs), len(runs)):
            runs[number].forward(arrays, inputs[k], outputs[k])

    _each(samples_of, len(runs))
    return fields, runs


def _borrow(n, arrays, reaches, sides, keep):
    """Buffers for ``n`` samples at a time, to be given back; only the latest kind is stored."""
    key = (tuple(a.shape for a in arrays), arrays[0].dtype, reaches, tuple(sides), keep)
    with _LOCK:
        stored = [run for run in _FREE if run.key == key]
        _FREE.clear()
        _FREE.extend(stored[n:])
    return stored[:n] + [_Run(key, arrays) for _ in range(n - len(stored))]


def _n_threads(samples):
    return max(1, min(len(samples), torch.get_num_threads()))


@lru_cache(maxsize=1)
def _pool(_process, n):
    return ThreadPoolExecutor(n)  # threads do not survive a fork


@lru_cache(maxsize=1)
def _controller():
    return ThreadpoolController()


def _each(function, n):
    """Call a function with 0 to n - 1, at the same time."""
    if n == 1:
        function(0)
    else:
        with _controller().limit(limits=1, user_api="blas"):  # threads of threads cost time
            list(_pool(os.getpid(), n).map(function, range(n)))


def as_arrays(weights):
    """Arrays of the weights, with taps in whole groups."""
    arrays = []
    for number, weight in enumerate(weights):
        place = number - _FIRST
        if place >= 0 and place % _BLOCK in (0, 2):
            weight = functional.pad(weight, (0, -weight.shape[1] % layers.GROUP))
        arrays.append(np.ascontiguousarray(weight.detach().numpy()))
    return arrays


def _blocks(arrays):
    """Those of the blocks, one tuple for each."""
    return [tuple(arrays[k : k + _BLOCK]) for k in range(_FIRST, len(arrays), _BLOCK)]


def _rows_at_once(n_x, n_y, n_vectors):
    """Rows that a block takes at a time; a divisor of all rows."""
    fit = max(1, _LOT // (n_y * n_vectors))
    return max(n for n in range(1, min(n_x, fit) + 1) if n_x % n == 0)


def _places(reach, n_y):
    """Where the neighbours of the first site are in a plane padded by ``reach``, flat."""
    from ._directional_network import directed_orbits

    a, b = directed_orbits(reach)[0].T
    places = (a + reach) * (n_y + 2 * reach) + b + reach
    return np.concatenate([places, np.zeros(-len(places) % layers.GROUP, places.dtype)])


class _Run:
    """One sample on its way through the network and back."""

    def __init__(self, key, arrays):
        _, dtype, (self.reach, self.first_reach), sides, keep = self.key = key
        first, _, _, gate, *_ = arrays
        blocks = _blocks(arrays)
        self.depth = len(blocks)
        self.n_vectors, self.n_scalars = gate.shape
        n_hidden = len(blocks[0][5]) if blocks else 1
        n_x, n_y = sides
        self.n = n_x * n_y

        def empty(*shape):
            return np.empty(shape, dtype)

        c, s = self.n_vectors, self.n_scalars
        self.n_rows = n_x if keep else _rows_at_once(n_x, n_y, c)
        width, rows, lot = n_y + 2 * self.reach, self.n_rows, self.n_rows * n_y
        planes = 3 * (rows + 2 * self.reach) * width  # of the components of a vector
        self.geometry = self.reach, _places(self.reach, n_y), empty(planes), empty(planes)
        self.first_places = _places(self.first_reach, n_y)[: first.shape[1]]
        self.first_padded = empty((rows + 2 * self.first_reach) * (n_y + 2 * self.first_reach))
        self.far = empty(first.shape[1], 3, lot)
        # without a gradient, two sets of vectors and one of the rest take turns
        n_kept = self.depth if keep else min(self.depth, 1)
        n_states = self.depth + 1 if keep else 2
        self.vectors = [empty(c, 6, 3, n_x, n_y) for _ in range(n_states)]
        self.scalars = [empty(s, 6, n_x, n_y) for _ in range(n_states)]
        self.buffers = [
            (
                empty(c, 6, 3, lot), empty(c, 6, 3, lot), empty(c, 6, 3, lot),
                empty(s, 6, lot), empty(2 * c + 2 * s, 6, lot), empty(6, lot),
                empty(n_hidden, 6, lot), empty(n_hidden, 6, lot), empty(2 * c + s, 6, lot),
            )
            for _ in range(n_kept)
        ]  # fmt: skip
        scratch = empty(2 * 6 * max(3 * c, s) * lot)
        self.buffers = [(*kept, scratch) for kept in self.buffers]
        self.begun = empty(c, 6, 3, lot), empty(c, 6, lot), empty(s, 6, lot)
        self.known, self.roots = empty(s, 6, self.n), empty(6, self.n)
        self.gates = empty(c, 6, self.n)
        if keep:
            self.spare = (
                empty(c, 6, 3, self.n), empty(c, 6, 3, self.n), empty(c, 6, 3, self.n),
                empty(2 * c + s, 6, self.n), empty(n_hidden, 6, self.n),
                empty(2 * c + 2 * s, 6, self.n), empty(6, self.n),
            )  # fmt: skip
            self.gvectors, self.gscalars = empty(c, 6, 3, n_x, n_y), empty(s, 6, n_x, n_y)

    def _rows(self, array):
        """One row per channel."""
        return array.reshape(len(array), -1)

    def forward(self, arrays, sample, field):
        """Fill the field of one sample."""
        first, start, shift, gate, offset, *_ = arrays
        spins = np.ascontiguousarray(sample)
        self.spins = spins.reshape(3, self.n)
        lots = range(0, spins.shape[1], self.n_rows)
        for row in lots:
            self._begin(spins, row, first, start, shift)
        for k, weights in enumerate(_blocks(arrays)):
            now, new = k % len(self.vectors), (k + 1) % len(self.vectors)
            for row in lots:
                layers.block(
                    self.vectors[now], self.scalars[now], self._part(row), row, weights,
                    self.geometry, self.buffers[k % len(self.buffers)],
                    self.vectors[new], self.scalars[new],
                )  # fmt: skip
        last = self.depth % len(self.vectors)
        self.known[:] = self.scalars[last].reshape(self.known.shape)
        layers.soften(self.known, self.roots)
        np.dot(gate, self._rows(self.known), out=self._rows(self.gates))
        layers.gated_sum(
            self._sites(self.vectors[last]), self.gates, offset, field.reshape(3, self.n)
        )

    def _begin(self, spins, row, first, start, shift):
        """The first layer for the rows from ``row``."""
        n_y = spins.shape[2]
        layers.far_sites(
            spins, row, self.n_rows, self.first_reach, self.first_places, self.first_padded,
            self.far,
        )  # fmt: skip
        vectors, along, scalars = self.begun
        layers.first_layer(self._part(row), first, start, shift, self.far, vectors, along, scalars)
        for lot, whole in ((vectors, self.vectors[0]), (scalars, self.scalars[0])):
            layers.put(lot.reshape(-1, lot.shape[-1]), row * n_y, whole.reshape(-1, self.n))

    def _part(self, row):
        """Spins of the rows from ``row``."""
        n_y = self.vectors[0].shape[-1]
        return np.ascontiguousarray(self.spins[:, row * n_y : (row + self.n_rows) * n_y])

    def backward(self, arrays, transposed, gfield, sums):
        """Add the gradients of the weights for the sample that went forward last."""
        first, start, _, gate, *_ = arrays
        gfirst, gstart, gshift, ggate, goffset, *_ = sums
        gblocks = _blocks(sums)
        gvectors, gscalars = self.gvectors, self.gscalars
        ggates = self.spare[3][: self.n_vectors]
        gradients.gated_sum_gradient(
            gfield.reshape(3, self.n), self._sites(self.vectors[-1]), self.gates,
            self._sites(gvectors), ggates,
        )  # fmt: skip
        goffset += self._rows(ggates).sum(1)
        ggate += self._rows(ggates) @ self._rows(self.known).T
        np.dot(gate.T, self._rows(ggates), out=self._rows(gscalars))
        by_site = gscalars.reshape(self.known.shape)
        gradients.soften_gradient(by_site, self.known, self.roots, self.spare[-1])
        for k in reversed(range(self.depth)):
            gradients.block_gradient(
                gvectors, gscalars, self.vectors[k], self.scalars[k], self.spins,
                transposed[k], self.geometry, self.buffers[k], gblocks[k], self.spare,
            )  # fmt: skip
        gshift += self._rows(gscalars).sum(1)
        gstart += self._rows(gscalars) @ self._rows(self.begun[1]).T
        galong = self.spare[3][: self.n_vectors]
        np.dot(start.T, self._rows(gscalars), out=self._rows(galong))
        gradients.along_gradient(galong, self.spins, self._sites(gvectors))
        gfirst += gvectors.reshape(len(first), -1) @ self._rows(self.far).T

    def _sites(self, vectors):
        """Vectors with one axis of sites."""
        return vectors.reshape(self.n_vectors, 6, 3, self.n)
