"""The kernels of the directional network as one function that torch can differentiate."""

import threading

import numpy as np
import torch
from torch.nn import functional

from .._kernels import directional as layers
from .._kernels import directional_gradient as gradients

_BLOCK = 9  #: arrays of weights of a block
_THREAD = threading.local()


class KernelNetwork(torch.autograd.Function):
    """Fields on spins, differentiable with respect to the weights.

    Samples are computed one after the other, each as if it were alone. Arrays between
    layers are those of the last sample: the gradient of another one computes it again.
    """

    @staticmethod
    def forward(ctx, spins, reaches, keep, *weights):
        """Fields (n, 3, X, Y); ``weights`` as DirectionalNetwork.forward lists them."""
        arrays = _arrays(weights)
        run = _run(arrays, reaches, spins, keep)
        fields = torch.empty_like(spins, memory_format=torch.contiguous_format)
        for sample, field in zip(spins, fields, strict=True):
            run.forward(arrays, sample, field.numpy())
        if keep:
            ctx.save_for_backward(spins, *weights)
            ctx.reaches, ctx.run, ctx.mark = reaches, run, run.mark
        return fields

    @staticmethod
    def backward(ctx, gradient):
        """Gradients of the weights."""
        spins, *weights = ctx.saved_tensors
        arrays = _arrays(weights)
        sums = [np.zeros_like(array) for array in arrays]
        run = ctx.run
        for k in reversed(range(len(spins))):
            if run.mark != ctx.mark or k < len(spins) - 1:
                run.forward(arrays, spins[k], np.empty_like(gradient[k].numpy()))
            run.backward(arrays, np.ascontiguousarray(gradient[k].numpy()), sums)
        grown = [torch.from_numpy(array) for array in sums]
        cut = [g[:, : w.shape[1]] if w.ndim == 2 else g for g, w in zip(grown, weights, strict=True)]
        return (None, None, None, *cut)


def _arrays(weights):
    """Arrays of the weights, with taps in whole groups."""
    arrays = []
    for number, weight in enumerate(weights):
        place = number - 5
        if place >= 0 and place % _BLOCK in (0, 2):
            weight = functional.pad(weight, (0, -weight.shape[1] % layers.GROUP))
        arrays.append(np.ascontiguousarray(weight.detach().numpy()))
    return arrays


def _run(arrays, reaches, spins, keep):
    """Buffers of this thread for such a network and lattice; only the latest are kept."""
    key = (tuple(a.shape for a in arrays), reaches, tuple(spins.shape[2:]), spins.dtype, keep)
    if getattr(_THREAD, "key", None) != key:
        _THREAD.key, _THREAD.run = key, _Run(arrays, reaches, tuple(spins.shape[2:]), keep)
    return _THREAD.run


def _places(reach, n_y):
    """Where the neighbours of the first site are in a plane padded by ``reach``, flat."""
    from ._directional_network import directed_orbits

    a, b = directed_orbits(reach)[0].T
    places = (a + reach) * (n_y + 2 * reach) + b + reach
    return np.concatenate([places, np.zeros(-len(places) % layers.GROUP, places.dtype)])


class _Run:
    """One sample on its way through the network and back."""

    def __init__(self, arrays, reaches, sides, keep):
        self.sides, self.mark, self.keep = sides, 0, keep
        self.reach, self.first_reach = reaches
        first, _, _, gate, _, *blocks = arrays
        self.depth = len(blocks) // _BLOCK
        self.n_vectors, self.n_scalars = gate.shape
        n_hidden = len(blocks[5]) if blocks else 1
        n_x, n_y = sides
        self.n, dtype = n_x * n_y, first.dtype

        def empty(*shape):
            return np.empty(shape, dtype)

        c, s = self.n_vectors, self.n_scalars
        width = n_y + 2 * self.reach
        self.geometry = (
            self.reach, _places(self.reach, n_y),
            empty((n_x + 2 * self.reach) * width), empty((n_x - 1) * width + n_y),
        )  # fmt: skip
        self.first_places = _places(self.first_reach, n_y)[: first.shape[1]]
        self.first_padded = empty((n_x + 2 * self.first_reach) * (n_y + 2 * self.first_reach))
        self.far = empty(first.shape[1], 3, self.n)
        # without a gradient, two sets of vectors and one of the rest take turns
        n_kept = self.depth if keep else min(self.depth, 1)
        n_states = self.depth + 1 if keep else 2
        self.vectors = [empty(c, 6, 3, n_x, n_y) for _ in range(n_states)]
        self.scalars = [empty(s, 6, n_x, n_y) for _ in range(n_states)]
        self.buffers = [
            (
                empty(c, 6, 3, self.n), empty(c, 6, 3, self.n), empty(c, 6, 3, self.n),
                empty(s, 6, self.n), empty(2 * c + 2 * s, 6, self.n), empty(6, self.n),
                empty(n_hidden, 6, self.n), empty(n_hidden, 6, self.n), empty(c + s, 6, self.n),
            )
            for _ in range(n_kept)
        ]  # fmt: skip
        self.along, self.known = empty(c, 6, self.n), empty(s, 6, self.n)
        self.roots, self.gates = empty(6, self.n), empty(c, 6, self.n)
        if keep:
            self.spare = (
                empty(c, 6, 3, self.n), empty(c, 6, 3, self.n), empty(c, 6, 3, self.n),
                empty(c + s, 6, self.n), empty(n_hidden, 6, self.n),
                empty(2 * c + 2 * s, 6, self.n), empty(6, self.n),
            )  # fmt: skip
            self.gvectors, self.gscalars = empty(c, 6, 3, n_x, n_y), empty(s, 6, n_x, n_y)

    def _rows(self, array):
        """One row per channel."""
        return array.reshape(len(array), -1)

    def forward(self, arrays, sample, field):
        """Fill the field of one sample."""
        self.mark += 1
        first, start, shift, gate, offset, *blocks = arrays
        spins = np.ascontiguousarray(sample.numpy())
        self.spins = spins.reshape(3, self.n)
        layers.far_sites(
            spins, self.first_reach, self.first_places, self.first_padded, self.far
        )
        old, scalars = self.vectors[0], self.scalars[0]
        np.dot(first, self._rows(self.far), out=old.reshape(len(first), -1))
        layers.along_spins(self._sites(old), self.spins, self.along)
        np.dot(start, self._rows(self.along), out=self._rows(scalars))
        scalars += shift[:, None, None, None]
        for k in range(self.depth):
            new = (k + 1) % len(self.vectors)
            layers.block(
                old, scalars, self.spins, tuple(blocks[k * _BLOCK : (k + 1) * _BLOCK]),
                self.geometry, self.buffers[k % len(self.buffers)],
                self.vectors[new], self.scalars[new],
            )  # fmt: skip
            old, scalars = self.vectors[new], self.scalars[new]
        self.known[:] = scalars.reshape(self.known.shape)
        layers.soften(self.known, self.roots)
        np.dot(gate, self._rows(self.known), out=self._rows(self.gates))
        layers.gated_sum(self._sites(old), self.gates, offset, field.reshape(3, self.n))

    def backward(self, arrays, gfield, sums):
        """Add the gradients of the weights for the sample that went forward last."""
        first, start, _, gate, _, *blocks = arrays
        gfirst, gstart, gshift, ggate, goffset, *gblocks = sums
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
            part = slice(k * _BLOCK, (k + 1) * _BLOCK)
            gradients.block_gradient(
                gvectors, gscalars, self.vectors[k], self.scalars[k], self.spins,
                self._transposed(blocks[part]), self.geometry, self.buffers[k],
                tuple(gblocks[part]), self.spare,
            )  # fmt: skip
        gshift += self._rows(gscalars).sum(1)
        gstart += self._rows(gscalars) @ self._rows(self.along).T
        galong = self.spare[3][: self.n_vectors]
        np.dot(start.T, self._rows(gscalars), out=self._rows(galong))
        gradients.along_gradient(galong, self.spins, self._sites(gvectors))
        gfirst += gvectors.reshape(len(first), -1) @ self._rows(self.far).T

    def _sites(self, vectors):
        """Vectors with one axis of sites."""
        return vectors.reshape(self.n_vectors, 6, 3, self.n)

    def _transposed(self, block):
        """The weights of a block as its gradient takes them."""
        taps, mixing, scalar_taps, scalar_mixing, partner, hidden, _, gate, _ = block
        n_taps = 3 * self.reach * (self.reach + 1) + 1
        opposite = []
        for weights in (taps, scalar_taps):
            turned = np.zeros_like(weights)
            turned[:, :n_taps] = weights[:, n_taps - 1 :: -1]
            opposite.append(turned)
        matrices = (
            np.ascontiguousarray(m.T) for m in (mixing, scalar_mixing, partner, hidden, gate)
        )
        mixing, scalar_mixing, partner, hidden, gate = matrices
        return opposite[0], mixing, opposite[1], scalar_mixing, partner, hidden, gate
