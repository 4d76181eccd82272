"""Torch twin of :mod:`dlintegrate._kernels.sweeps`: differentiable, on any device.

Layout. Each sublattice is one tensor ``(3, n, X / 2, Y, Z)``: plane k holds, for
every (y, z), the one of the two sites x = 2k, 2k + 1 that belongs to it.
Neighbours are then rolls of the other sublattice and nothing is indexed.
"""

import torch

from .heisenberg import cubic_sides

#: Below this squared angle sin(x)/x counts as flat, which keeps gradients finite at
#: x = 0; the angle itself stays, so the rotation is right to 1e-15.
_SMALL = 1e-10


def advance_schedule(spins, sublattices, coefficients, coupling, bias):
    """Run a schedule of sublattice sweeps.

    Parameters
    ----------
    spins : torch.Tensor, shape (n_samples, *sides, 3)
        One to three lattice axes with even sides.
    sublattices : sequence of int
        The sublattice, 0 or 1, that each sweep turns.
    coefficients : torch.Tensor, shape (n_sweeps, 4)
        ``b0, b1, b2, b3`` of each sweep, which turns a spin by the angle
        ``|h| (b0 + b1 |h|² + b2 (S·h)² + b3 (S·h))`` about its local field h.
    coupling : float
        Exchange J.
    bias : array-like, shape (3,)
        Field B.

    Returns
    -------
    torch.Tensor, shape (n_samples, *sides, 3)
        New spins, differentiable with respect to spins and coefficients.
    """
    sides = cubic_sides(tuple(spins.shape[1:-1]))
    lattice = spins.reshape(len(spins), *sides, 3)
    odd = _odd_rows(sides, spins.device)
    state = [_pack(lattice, odd, sublattice) for sublattice in (0, 1)]
    bias = torch.as_tensor(bias, dtype=spins.dtype, device=spins.device).reshape(3, 1, 1, 1, 1)
    for sublattice, row in zip(sublattices, coefficients, strict=True):
        own, other = state[sublattice], state[1 - sublattice]
        # odd_x: where the sites of this sublattice are those with odd x
        odd_x = odd if sublattice == 0 else ~odd
        state[sublattice] = _rotate(own, coupling * _neighbours(other, odd_x) + bias, row)
    return _unpack(*state, odd).reshape(spins.shape)


def _odd_rows(sides, device):
    """Where y + z is odd, shape (Y, Z)."""
    y, z = (torch.arange(side, device=device) for side in sides[1:])
    return (y[:, None] + z[None, :]) % 2 == 1


def _pack(lattice, odd, sublattice):
    n, nx, ny, nz, _ = lattice.shape
    pairs = lattice.reshape(n, nx // 2, 2, ny, nz, 3).movedim(-1, 0)
    odd_x = odd if sublattice == 0 else ~odd
    return torch.where(odd_x, pairs[:, :, :, 1], pairs[:, :, :, 0])


def _unpack(zero, one, odd):
    pairs = torch.stack([torch.where(odd, one, zero), torch.where(odd, zero, one)], dim=3)
    components, n, half, two, ny, nz = pairs.shape
    return pairs.movedim(0, -1).reshape(n, two * half, ny, nz, components)


def _neighbours(other, odd_x):
    """Sum over the neighbours of the other sublattice; an axis of length 1 has no bonds."""
    total = other + torch.where(odd_x, other.roll(-1, 2), other.roll(1, 2))
    for axis in (3, 4):
        if other.shape[axis] > 1:
            total = total + other.roll(1, axis) + other.roll(-1, axis)
    return total


def _rotate(spin, field, row):
    """Rotation S + s S×h + c h×(h×S) of dS/dt = S × h over the time t of the row."""
    b0, b1, b2, b3 = row
    h2 = (field * field).sum(0)
    along = (spin * field).sum(0)
    t = b0 + b1 * h2 + along * (b3 + b2 * along)
    angle = (t * t * h2).clamp_min(_SMALL).sqrt()
    half = torch.sin(0.5 * angle) / angle
    s = 2.0 * t * half * torch.cos(0.5 * angle)
    c = 2.0 * (t * half).square()
    cross = torch.linalg.cross(spin, field, dim=0)
    return (1.0 - c * h2) * spin + s * cross + (c * along) * field
