"""Networks that turn spins on a lattice into fields; import this inside functions only.

Everything is periodic and local: the same weights serve a lattice of any size. Arrays of
vectors have shape (3 n, channels, X, Y), the three components of a sample one after the
other, so that a convolution treats all components alike and cannot break a rotation.
"""

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CHANNELS_LAST = torch.channels_last


def wrapped(x, reach):
    """Repeat ``reach`` sites of the opposite side around (n, channels, X, Y)."""
    for axis in (2, 3):
        side = x.shape[axis]
        if reach > side:  # more than once around a small lattice
            sites = torch.arange(-reach, side + reach, device=x.device) % side
            x = x.index_select(axis, sites)
        else:
            parts = (x.narrow(axis, side - reach, reach), x, x.narrow(axis, 0, reach))
            x = torch.cat(parts, dim=axis)
    return x


class PeriodicConv2d(nn.Conv2d):
    """Convolution of odd width on a periodic lattice."""

    def forward(self, x):
        return self._conv_forward(wrapped(x, self.kernel_size[0] // 2), self.weight, self.bias)


class ResidualBlock(nn.Module):
    """Two convolutions with rectifiers, and a skip (Cheng 2023, Fig. 2)."""

    def __init__(self, n_in, n_out, kernel_size):
        super().__init__()
        self.first = PeriodicConv2d(n_in, n_out, kernel_size)
        self.second = PeriodicConv2d(n_out, n_out, kernel_size)
        self.skip = nn.Identity() if n_in == n_out else nn.Conv2d(n_in, n_out, 1)

    def forward(self, x):
        return self.skip(x) + self.second(self.first(x).relu()).relu()


class PlainNetwork(nn.Module):
    """The network of Cheng 2023, Figs 1 and 2: residual blocks and two convolutions.

    Parameters
    ----------
    widths : sequence of int
        Features after each block.
    kernel_size : int
    """

    def __init__(self, widths, kernel_size):
        super().__init__()
        sizes = (3, *widths)
        self.blocks = nn.Sequential(*(ResidualBlock(a, b, kernel_size) for a, b in pairwise(sizes)))
        self.head = nn.Sequential(
            PeriodicConv2d(sizes[-1], sizes[-1], kernel_size), nn.ReLU(),
            PeriodicConv2d(sizes[-1], 3, kernel_size),
        )  # fmt: skip

    def forward(self, spins):
        """Fields (n, 3, X, Y) on spins (n, 3, X, Y)."""
        return self.head(self.blocks(spins.contiguous(memory_format=CHANNELS_LAST)))


@lru_cache(maxsize=32)
def hexagon(reach):
    """Displacements within ``reach`` bonds, what orbit of D6 each is in, and its direction.

    Returns
    -------
    places : ndarray of int, shape (n,)
        Where they lie in the square kernel of width ``2 reach + 1``.
    orbits : ndarray of int, shape (n,)
    harmonics : ndarray, shape (5, n)
        1, and √2 times the cosine and sine of the angle and of twice the angle.
    """
    inside = [
        (a, b)
        for a in range(-reach, reach + 1)
        for b in range(-reach, reach + 1)
        if abs(a + b) <= reach
    ]
    numbers = {}
    for a, b in inside:
        if (a, b) not in numbers:
            number = len(set(numbers.values()))
            for _ in range(6):
                a, b = -b, a + b
                numbers[a, b] = numbers[b, a] = number
    a, b = np.array(inside).T
    x, y = a + 0.5 * b, np.sqrt(0.75) * b
    angle, off_centre = np.arctan2(y, x), (a != 0) | (b != 0)
    harmonics = np.ones((5, len(inside)))
    for order in (1, 2):
        for k, wave in enumerate((np.cos, np.sin)):
            harmonics[2 * order - 1 + k] = np.sqrt(2) * off_centre * wave(order * angle)
    places = (a + reach) * (2 * reach + 1) + b + reach
    return places, np.array([numbers[p] for p in inside]), harmonics


class HexagonalConv(nn.Module):
    """Convolution over a hexagon whose weights depend on the distance, times harmonics.

    D6 permutes sites of equal distance (of one orbit), so channels of order 0 are
    invariant; pairs of channels of order 1 or 2 turn like a vector in the plane, or like
    a quadrupole.

    Parameters
    ----------
    n_in : int
        Input channels, of order 0.
    n_out : tuple of 3 ints
        Outputs of order 0, 1 and 2; those of order 1 and 2 are two channels each.
    reach : int
        Bonds.
    """

    def __init__(self, n_in, n_out, reach):
        super().__init__()
        places, orbits, harmonics = hexagon(reach)
        self.reach = reach
        for name, value in (("places", places), ("orbits", orbits)):
            self.register_buffer(name, torch.as_tensor(value), persistent=False)
        self.register_buffer("harmonics", torch.as_tensor(harmonics), persistent=False)
        sizes = torch.bincount(self.orbits)
        scale = (sizes * len(sizes) * n_in) ** -0.5
        self.weights = nn.ParameterList(
            nn.Parameter(torch.randn(n, n_in, len(sizes)) * scale) for n in n_out if n
        )
        self.orders = [order for order, n in enumerate(n_out) if n]

    def forward(self, x):
        parts = []
        for order, weight in zip(self.orders, self.weights, strict=True):
            spread = weight[:, :, self.orbits]
            if order:
                pair = self.harmonics[2 * order - 1 : 2 * order + 1].to(weight)
                spread = (spread[:, None] * pair[:, None]).flatten(0, 1)
            parts.append(spread)
        kernel = torch.cat(parts)
        (n_out, n_in), width = kernel.shape[:2], 2 * self.reach + 1
        square = kernel.new_zeros(n_out, n_in, width * width)
        square = square.index_copy(2, self.places, kernel).view(n_out, n_in, width, width)
        if n_in > 1:
            square = square.contiguous(memory_format=CHANNELS_LAST)
        return functional.conv2d(wrapped(x, self.reach), square)


def pointwise(n_in, n_out, scale=1.0, bias=True):
    """A layer on the channels of each site."""
    layer = nn.Conv2d(n_in, n_out, 1, bias=bias)
    nn.init.normal_(layer.weight, std=scale / math.sqrt(n_in))
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def softened(x):
    """Divide the channels of each site by their norm where that is large.

    Invariants are squares: stacked blocks would raise them to ever higher powers.
    """
    return x * (1.0 + x.square().mean(1, keepdim=True)).rsqrt()


class VectorBlock(nn.Module):
    """Vectors spread to neighbours, and are gated by invariants of what arrives.

    Channels of scalars ride along. What arrives from the neighbours is, besides sums, how it
    varies in the plane (order 1 and 2); products of two such sums are invariant again, so
    a block sees angles between three sites and not distances alone.

    Parameters
    ----------
    n_vectors, n_scalars : int
    n_directed : int
        Channels of each of the orders 1 and 2.
    reach : int
    """

    def __init__(self, n_vectors, n_scalars, n_directed, reach):
        super().__init__()
        self.n_vectors, self.n_scalars, self.n_directed = n_vectors, n_scalars, n_directed
        directed = (n_directed, n_directed)
        self.spread = HexagonalConv(n_vectors, (n_vectors, *directed), reach)
        self.spread_scalars = HexagonalConv(n_scalars, (n_scalars, *directed), reach)
        self.pairs = pointwise(n_vectors, 2 * n_vectors, bias=False)
        self.mix = nn.Parameter(torch.randn(2, n_directed, n_directed) / max(1, n_directed) ** 0.5)
        self.hidden = pointwise(2 * n_vectors + 2 * n_scalars + 4 * n_directed, 2 * n_scalars)
        self.gates = pointwise(2 * n_scalars, n_vectors + n_scalars, 0.2)
        self.out = pointwise(n_vectors + 2 * n_directed, n_vectors, 0.2, bias=False)

    def forward(self, vectors, scalars, spins):
        """Return new vectors (3n, C, X, Y) and scalars (n, Cs, X, Y)."""
        n, sides = len(scalars), scalars.shape[2:]
        spread = self.spread(vectors)
        sums = spread[:, : self.n_vectors].contiguous(memory_format=CHANNELS_LAST)
        left, right = self.pairs(sums).view(n, 3, 2, self.n_vectors, *sides).unbind(2)
        sums = sums.view(n, 3, self.n_vectors, *sides)
        arrived = self.spread_scalars(scalars)
        invariants = [
            (left * right).sum(1), (sums * spins[:, :, None]).sum(1),
            scalars, arrived[:, : self.n_scalars],
        ]  # fmt: skip
        directed = []
        for order in range(2 if self.n_directed else 0):
            first, last = 2 * order * self.n_directed, 2 * (order + 1) * self.n_directed
            turning = spread[:, self.n_vectors + first : self.n_vectors + last]
            turning = turning.reshape(n, 3, self.n_directed, 2, *sides)
            slopes = arrived[:, self.n_scalars + first : self.n_scalars + last]
            slopes = slopes.reshape(n, 1, self.n_directed, 2, *sides)
            other = torch.einsum("nckpxy,kl->nclpxy", turning, self.mix[order])
            invariants.append((turning * other).sum((1, 3)))
            invariants.append((turning * spins[:, :, None, None]).sum(1).square().sum(2))
            directed.append((turning * slopes).sum(3))
        known = softened(torch.cat(invariants, 1).contiguous(memory_format=CHANNELS_LAST))
        gates = self.gates(functional.silu(self.hidden(known)))
        gate, change = gates[:, : self.n_vectors], gates[:, self.n_vectors :]
        moved = torch.cat([sums * (1.0 + gate)[:, None], *directed], 2).flatten(0, 1)
        moved = moved.contiguous(memory_format=CHANNELS_LAST)
        return vectors + self.out(moved), scalars + change


class VectorNetwork(nn.Module):
    """Fields on spins by channels of vectors; turns with the spins, exactly.

    Reversing all spins reverses all fields, and D6 moves them along.

    Parameters
    ----------
    n_vectors, n_scalars, n_directed, depth, reach, first_reach : int
    energy : bool
        Sum up a learned energy of each site instead, and take its gradient.
    n_inputs, n_outputs : int, default 1
        Vectors at each site, the spin among them, and fields.
    """

    def __init__(
        self, n_vectors, n_scalars, n_directed, depth, reach, first_reach, energy,
        n_inputs=1, n_outputs=1,
    ):  # fmt: skip
        super().__init__()
        self.n_vectors, self.energy = n_vectors, energy
        self.first = HexagonalConv(n_inputs, (n_vectors, 0, 0), first_reach)
        self.start = pointwise(n_vectors, n_scalars)
        self.blocks = nn.ModuleList(
            VectorBlock(n_vectors, n_scalars, n_directed, reach) for _ in range(depth)
        )
        n_known = n_scalars + n_vectors
        self.gate = pointwise(n_known, n_outputs * n_vectors, 0.5)
        self.last = nn.Parameter(torch.randn(n_outputs * n_vectors) / math.sqrt(n_vectors))
        if energy:
            self.hidden = pointwise(n_known, n_known)
            self.site_energy = pointwise(n_known, 1, bias=False)

    def forward(self, spins):
        """Fields (n, 3, X, Y) on spins (n, 3, X, Y)."""
        if not self.energy:
            return self._fields(*self._features(spins), spins)[0]
        graph = torch.is_grad_enabled()
        with torch.enable_grad():
            if not spins.requires_grad:
                spins = spins.detach().requires_grad_(True)
            total = self.total_energy(spins).sum()
            return -torch.autograd.grad(total, spins, create_graph=graph)[0]

    def total_energy(self, spins):
        """Learned energy of each sample, (n,)."""
        vectors, scalars = self._features(spins)
        (fields,) = self._fields(vectors, scalars, spins)
        known = softened(torch.cat([scalars, self._along(vectors, spins)], 1))
        local = self.site_energy(functional.silu(self.hidden(known)))[:, 0]
        return (local - 0.5 * (fields * spins).sum(1)).sum((1, 2))

    def _features(self, spins, *others):
        n, _, *sides = spins.shape
        inputs = torch.stack([spins, *others], 2) if others else spins
        vectors = self.first(inputs.reshape(3 * n, 1 + len(others), *sides))
        scalars = self.start(self._along(vectors, spins))
        for block in self.blocks:
            vectors, scalars = block(vectors, scalars, spins)
        return vectors, scalars

    def _fields(self, vectors, scalars, spins):
        """For each output the sum of the vectors, gated."""
        along = self._along(vectors, spins)
        known = softened(torch.cat([scalars, along], 1))
        gates = (1.0 + self.gate(known)) * self.last[:, None, None]
        split = vectors.view(len(spins), 3, self.n_vectors, *spins.shape[2:])
        return [(split * gate[:, None]).sum(2) for gate in gates.split(self.n_vectors, 1)]

    def _along(self, vectors, spins):
        """Components along the spin at the site."""
        split = vectors.view(len(spins), 3, self.n_vectors, *spins.shape[2:])
        return (split * spins[:, :, None]).sum(1)


class ResidueNetwork(VectorNetwork):
    """What a step should have added, from the spins after it and what it did.

    ``S × u + v`` with two fields u and v, as precession and damping have it. A reflection
    turns the first the wrong way: it reverses time, so it is no symmetry of a step, and with
    the second term alone the network would have it.

    Parameters
    ----------
    n_vectors, n_scalars, n_directed, depth, reach, first_reach : int
    """

    def __init__(self, n_vectors, n_scalars, n_directed, depth, reach, first_reach):
        super().__init__(
            n_vectors, n_scalars, n_directed, depth, reach, first_reach, False,
            n_inputs=2, n_outputs=2,
        )  # fmt: skip

    def forward(self, spins, changes):
        """Residues (n, 3, X, Y) from spins and changes of that shape."""
        features = self._features(spins, changes)
        turn, shift = self._fields(*features, spins)
        return torch.linalg.cross(spins, turn, dim=1) + shift
