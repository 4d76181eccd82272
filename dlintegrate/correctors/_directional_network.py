"""A network whose channels have a direction in the plane; import this inside functions only.

Electrons that are scattered by one spin arrive at the next from somewhere. So each channel
comes six times, once for each bond of a site, and D6 permutes the six with the sites (the
regular representation of the rotations, even under the mirror through the bond). What
belongs to one direction is the same for all; what mixes directions depends on the angle
between them. Arrays: vectors (n, channels, 6, 3, X, Y), scalars (n, channels, 6, X, Y).
"""

import math
from functools import lru_cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ._directional_function import KernelNetwork, as_arrays, predict
from ._field_modules import wrapped


@lru_cache(maxsize=32)
def directed_orbits(reach):
    """Displacements within ``reach`` bonds, and their numbers as seen along each bond.

    Returns
    -------
    displacements : ndarray of int, shape (n, 2)
        In the order that the inversion reverses.
    orbits : ndarray of int, shape (6, n)
        Equal for displacements that the mirror through the bond exchanges.
    """
    sides = range(-reach, reach + 1)
    inside = [(a, b) for a in sides for b in sides if abs(a + b) <= reach]
    numbers = {}
    for a, b in inside:
        if (a, b) not in numbers:
            numbers[a, b] = numbers[a + b, -b] = len(set(numbers.values()))
    orbits = []
    for _ in range(6):
        orbits.append([numbers[place] for place in inside])
        # as seen from the next bond all displacements have turned back by 60°
        numbers = {(-b, a + b): number for (a, b), number in numbers.items()}
    return np.array(inside), np.array(orbits)


class Taps(nn.Module):
    """Weights of the displacements, one set for each channel, turned into each direction.

    Parameters
    ----------
    n_channels, reach : int
    """

    def __init__(self, n_channels, reach):
        super().__init__()
        orbits = torch.as_tensor(directed_orbits(reach)[1])
        self.register_buffer("orbits", orbits, persistent=False)
        sizes = torch.bincount(orbits[0])
        scale = (sizes * len(sizes)) ** -0.5
        self.weight = nn.Parameter(torch.randn(n_channels, len(sizes)) * scale)

    def forward(self):
        """Weights (6 n_channels, n_displacements)."""
        return self.weight[:, self.orbits].flatten(0, 1)


class Mixing(nn.Module):
    """Matrix on channels and directions; blocks depend on the angle between directions.

    Parameters
    ----------
    n_channels : int
    """

    def __init__(self, n_channels):
        super().__init__()
        bonds = torch.arange(6)
        turn = (bonds[:, None] - bonds) % 6
        self.register_buffer("angles", torch.minimum(turn, 6 - turn), persistent=False)
        # cosines of the orders 0 to 3, of angles that two directions have but 0 and 180°
        waves = torch.tensor([[1, 1, 1, 1], [2, 1, -1, -2], [2, -1, -1, 2], [1, -1, 1, -1.0]])
        self.register_buffer("waves", waves, persistent=False)
        scale = (6 * n_channels) ** -0.5
        self.weight = nn.Parameter(torch.randn(n_channels, n_channels, 4) * scale)

    def orders(self):
        """What is left of the matrix for each order of the angle, (4, n_channels, n_channels)."""
        orders = self.weight @ self.waves / self.weight.new_tensor([6, 3, 3, 6])
        return orders.permute(2, 0, 1)

    def forward(self):
        """The matrix, (6 n_channels, 6 n_channels)."""
        return self.weight[:, :, self.angles].transpose(1, 2).flatten(2).flatten(0, 1)


def matrix(n_out, n_in, scale=1.0):
    """A matrix of weights that keeps the size of its input, times ``scale``."""
    return nn.Parameter(torch.randn(n_out, n_in) * scale / math.sqrt(n_in))


def softened(known):
    """See :func:`._field_modules.softened`; here for each direction."""
    return known * (1.0 + known.square().mean(1, keepdim=True)).rsqrt()


def rectified(x):
    """Like ``x sigmoid(x)``, without the exponential."""
    return 0.5 * x * (1.0 + x * (1.0 + x.square()).rsqrt())


def on_channels(weights, x):
    """Product of a matrix with the channels (n, channels, ...)."""
    return torch.einsum("ab,nb...->na...", weights, x)


def spread(x, taps, reach):
    """Sums over neighbours of (n, channels, m, X, Y), each channel with its own taps."""
    n, channels, m, *sides = x.shape
    displacements = torch.as_tensor(directed_orbits(reach)[0], device=x.device) + reach
    width = 2 * reach + 1
    places = displacements @ torch.tensor([width, 1], device=x.device)
    square = taps.new_zeros(channels, width * width).index_copy(1, places, taps)
    square = square.repeat_interleave(m, 0).view(channels * m, 1, width, width)
    flat = wrapped(x.reshape(n, channels * m, *sides), reach)
    return functional.conv2d(flat, square, groups=channels * m).view(x.shape)


class DirectionalBlock(nn.Module):
    """Spread along and across the directions, mix them, gate by invariants.

    The invariants of a direction: the spin's part of its vectors, their products with
    partners (other mixtures of them), scalars and what arrives of those. Gates let vectors
    pass, change scalars, and make new vectors of the spin at the site, which is how an
    electron takes up a spin that scatters it.

    Parameters
    ----------
    n_vectors, n_scalars, n_hidden, reach : int
    """

    def __init__(self, n_vectors, n_scalars, n_hidden, reach):
        super().__init__()
        self.reach = reach
        self.taps, self.scalar_taps = Taps(n_vectors, reach), Taps(n_scalars, reach)
        self.mixing, self.scalar_mixing = Mixing(n_vectors), Mixing(n_scalars)
        self.partner = matrix(n_vectors, n_vectors)
        self.hidden = matrix(n_hidden, 2 * n_vectors + 2 * n_scalars)
        self.shift = nn.Parameter(torch.zeros(n_hidden))
        self.gate = nn.Parameter(
            torch.cat(
                [
                    matrix(n, n_hidden, scale)
                    for n, scale in ((n_vectors, 0.1), (n_scalars, 0.2), (n_vectors, 0.1))
                ]
            )
        )
        self.offset = nn.Parameter(
            torch.cat([torch.full((n_vectors,), 0.2), torch.zeros(n_scalars + n_vectors)])
        )

    def weights(self):
        """As :func:`dlintegrate._kernels.directional.block` takes them."""
        return (
            self.taps(), self.mixing.orders(), self.scalar_taps(), self.scalar_mixing.orders(),
            self.partner, self.hidden, self.shift, self.gate, self.offset,
        )  # fmt: skip

    def forward(self, vectors, scalars, spins):
        """New vectors and scalars."""
        flat = vectors.flatten(1, 2)
        sums = on_channels(self.mixing(), spread(flat, self.taps(), self.reach))
        sums = sums.view(vectors.shape)
        flat = scalars.flatten(1, 2)[:, :, None]
        arrived = on_channels(self.scalar_mixing(), spread(flat, self.scalar_taps(), self.reach))
        known = softened(torch.cat([
            along(sums, spins), (sums * on_channels(self.partner, sums)).sum(3),
            scalars, arrived.view(scalars.shape),
        ], 1))  # fmt: skip
        layer = rectified(on_channels(self.hidden, known) + _on_sites(self.shift))
        gates = on_channels(self.gate, layer) + _on_sites(self.offset)
        n_vectors, n_scalars = vectors.shape[1], scalars.shape[1]
        gate, change, taken = gates.split([n_vectors, n_scalars, n_vectors], 1)
        new = vectors + gate[:, :, :, None] * sums + taken[:, :, :, None] * spins[:, None, None]
        return new, scalars + change


class DirectionalNetwork(nn.Module):
    """Fields on spins by vectors with a direction; turns with the spins and the lattice.

    On a processor, where no gradient with respect to the spins is asked for, kernels of
    :mod:`dlintegrate._kernels.directional` do the work; elsewhere torch does.

    Parameters
    ----------
    n_vectors, n_scalars, n_hidden, depth, reach, first_reach : int
    """

    def __init__(self, n_vectors, n_scalars, n_hidden, depth, reach, first_reach):
        super().__init__()
        self.reach, self.first_reach = reach, first_reach
        self._stored = None
        self.first = Taps(n_vectors, first_reach)
        self.start, self.start_shift = (
            matrix(n_scalars, n_vectors), nn.Parameter(torch.zeros(n_scalars))
        )  # fmt: skip
        self.blocks = nn.ModuleList(
            DirectionalBlock(n_vectors, n_scalars, n_hidden, reach) for _ in range(depth)
        )
        scale = (6 * n_vectors) ** -0.5
        self.gate = matrix(n_vectors, n_scalars, 0.3 * scale)
        self.offset = nn.Parameter(torch.randn(n_vectors) * scale)

    @property
    def samples_per_pass(self):
        """Of how many the kernels keep what a gradient needs."""
        return torch.get_num_threads()

    def forward(self, spins):
        """Fields (n, 3, X, Y) on spins (n, 3, X, Y)."""
        if spins.device.type != "cpu" or spins.requires_grad or torch.compiler.is_compiling():
            return self.by_torch(spins)
        reaches = (self.reach, self.first_reach)
        if torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters()):
            return KernelNetwork.apply(spins, reaches, *self.weights())
        return predict(spins.detach(), reaches, self._stored_arrays())

    def weights(self):
        """All weights, as kernels take them."""
        weights = [self.first(), self.start, self.start_shift, self.gate, self.offset]
        for block in self.blocks:
            weights += block.weights()
        return weights

    def _stored_arrays(self):
        """Arrays of the weights, made anew only where these have changed."""
        state = [(p.data_ptr(), p._version, p.dtype) for p in self.parameters()]
        if self._stored is None or self._stored[0] != state:
            with torch.no_grad():
                self._stored = state, as_arrays(self.weights())
        return self._stored[1]

    def by_torch(self, spins):
        """The same, differentiable with respect to the spins, on any device."""
        n, _, *sides = spins.shape
        taps = self.first()
        copies = spins[:, None].expand(n, len(taps), 3, *sides)
        vectors = spread(copies, taps, self.first_reach).view(n, -1, 6, 3, *sides)
        scalars = on_channels(self.start, along(vectors, spins)) + _on_sites(self.start_shift)
        for block in self.blocks:
            vectors, scalars = block(vectors, scalars, spins)
        gates = on_channels(self.gate, softened(scalars)) + _on_sites(self.offset)
        return (gates[:, :, :, None] * vectors).sum((1, 2))


def along(vectors, spins):
    """Components along the spin at the site."""
    return (vectors * spins[:, None, None]).sum(3)


def _on_sites(bias):
    return bias[:, None, None, None]
