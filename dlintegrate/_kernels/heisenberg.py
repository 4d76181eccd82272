"""Energy and local field of the Heisenberg lattice, for numpy arrays and torch tensors.

Arrays are ``(n, X, Y, Z, 3)``; an axis of length 1 has no bonds, see
:func:`cubic_sides`.
"""

import numpy as np

from .jit import kernel


def cubic_sides(sides):
    """Pad lattice sides to three: ``(L,)`` to ``(L, 1, 1)``, ``(L, M)`` to ``(L, 1, M)``."""
    return {1: (*sides, 1, 1), 2: (sides[0], 1, sides[-1]), 3: tuple(sides)}[len(sides)]


@kernel
def local_field(spins, coupling, bias, out):
    """Write h_i = J Σ_j S_j + B into ``out``."""
    n, nx, ny, nz, _ = spins.shape
    for i in range(n):
        s = spins[i]
        for x in range(nx):
            xm, xp = (x - 1 if x > 0 else nx - 1), (x + 1 if x + 1 < nx else 0)
            for y in range(ny):
                ym, yp = (y - 1 if y > 0 else ny - 1), (y + 1 if y + 1 < ny else 0)
                for z in range(nz):
                    zm, zp = (z - 1 if z > 0 else nz - 1), (z + 1 if z + 1 < nz else 0)
                    for c in range(3):
                        h = 0.0
                        if nx > 1:
                            h += s[xm, y, z, c] + s[xp, y, z, c]
                        if ny > 1:
                            h += s[x, ym, z, c] + s[x, yp, z, c]
                        if nz > 1:
                            h += s[x, y, zm, c] + s[x, y, zp, c]
                        out[i, x, y, z, c] = coupling * h + bias[c]


@kernel
def energy(spins, coupling, bias):
    """Total energy of each sample; every site owns the bonds in the positive directions."""
    n, nx, ny, nz, _ = spins.shape
    out = np.empty(n)
    for i in range(n):
        s = spins[i]
        total = 0.0
        for x in range(nx):
            xp = x + 1 if x + 1 < nx else 0
            for y in range(ny):
                yp = y + 1 if y + 1 < ny else 0
                row = 0.0  # summed by rows: keeps the rounding error of the total small
                for z in range(nz):
                    zp = z + 1 if z + 1 < nz else 0
                    for c in range(3):
                        h = 0.0
                        if nx > 1:
                            h += s[xp, y, z, c]
                        if ny > 1:
                            h += s[x, yp, z, c]
                        if nz > 1:
                            h += s[x, y, zp, c]
                        row -= s[x, y, z, c] * (coupling * h + bias[c])
                total += row
        out[i] = total
    return out


def local_field_torch(spins, coupling, bias):
    """The same field by rolls of a tensor ``(n, *sides, 3)``; differentiable, any device."""
    import torch

    total = 0.0
    for axis in range(1, spins.ndim - 1):
        total = total + torch.roll(spins, 1, axis) + torch.roll(spins, -1, axis)
    return coupling * total + torch.as_tensor(bias, dtype=spins.dtype, device=spins.device)
