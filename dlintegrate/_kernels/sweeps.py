"""Sublattice sweeps of the Heisenberg lattice: the hot loop of the spin integrators.

A sweep turns every spin of one sublattice about its local field, which depends
on the other sublattice only and therefore stands still: the rotation is exact.
A step is a *schedule* of sweeps, so every composition method (Suzuki-Trotter,
Blanes-Moan, learned) runs in the same kernel.

Layout. One sample is packed as ``(2, 3, H, (Y + 2) * Z)``: sublattice, component,
and ``H = X / 2`` planes. Plane k holds, for every (y, z), the one of the two
sites x = 2k, 2k + 1 that belongs to the sublattice. Neighbours along y and z are
then shifts inside the same plane of the other sublattice, neighbours along x lie
in that plane and in the one before or after it. A ghost row on either side of
each plane repeats the row at its other end, so that every loop runs over one
whole contiguous plane, which the compiler turns into SIMD code.
Lattices are three-dimensional here: a chain is ``(L, 1, 1)``, a square lattice
``(Lx, 1, Ly)``, and an axis of length 1 has no bonds.
"""

from functools import lru_cache

import numpy as np

from .jit import kernel

#: Taylor terms of sin(x)/x and (1 - cos x)/x² in powers of x², enough for
#: double precision at x up to MAX_ANGLE; larger angles are halved first.
N_TERMS = 12
MAX_ANGLE = 1.6


@kernel
def pack(spins, packed):
    """Copy one sample ``(X, Y, Z, 3)`` into the sublattice layout of this module."""
    nx, ny, nz, _ = spins.shape
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                s = (x + y + z) & 1
                for c in range(3):
                    packed[s, c, x >> 1, (y + 1) * nz + z] = spins[x, y, z, c]
    for s in range(2):
        for c in range(3):
            for k in range((nx + 1) >> 1):
                refresh_ghosts(packed[s, c, k], nz)


@kernel
def unpack(packed, spins):
    """Inverse of :func:`pack`."""
    nx, ny, nz, _ = spins.shape
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                s = (x + y + z) & 1
                for c in range(3):
                    spins[x, y, z, c] = packed[s, c, x >> 1, (y + 1) * nz + z]


@kernel
def refresh_ghosts(plane, nz):
    """Repeat the first and last row of a plane beyond its ends."""
    last = plane.size - nz
    for z in range(nz):
        plane[z] = plane[last - nz + z]
        plane[last + z] = plane[nz + z]


@kernel
def masks(ny, nz):
    """Weights (0 or 1) of neighbours over the sites of a plane, shape ``(6, Y * Z)``.

    y + z even, y + z odd, not first in its row, first, not last, last; the last
    four are zero if there are no bonds along z.
    """
    mask = np.zeros((6, ny * nz))
    for y in range(ny):
        for z in range(nz):
            i = y * nz + z
            mask[(y + z) & 1, i] = 1.0
            if nz > 1:
                mask[3 if z == 0 else 2, i] = 1.0
                mask[5 if z == nz - 1 else 4, i] = 1.0
    return mask


@kernel
def _sum_neighbours(
    out, here, up, down, left, last, right, first, after, before,
    odd, even, not_first, is_first, not_last, is_last, across_rows, coupling, bias,
):  # fmt: skip
    for i in range(out.size):
        x = here[i] + odd[i] * after[i] + even[i] * before[i]
        y = across_rows * (up[i] + down[i])
        z = not_first[i] * left[i] + is_first[i] * last[i]
        z += not_last[i] * right[i] + is_last[i] * first[i]
        out[i] = coupling * (x + y + z) + bias


@kernel
def plane_field(other, k, odd, even, mask, ny, nz, coupling, bias, field):
    """Local field J Σ S_j + B of plane ``k`` of one sublattice, shape ``(3, Y * Z)``.

    ``odd`` is 1 where the sites of the sublattice have odd x, ``even`` its
    complement: the former have their outer x-neighbour in the next plane, the
    latter in the one before.
    Each neighbour is a slice of its own: an index i + nz might be negative as
    far as the compiler knows, and then it gives up SIMD.
    """
    half = other.shape[1]
    n = ny * nz
    rows = 1.0 if ny > 1 else 0.0
    for c in range(3):
        here = other[c, k]
        _sum_neighbours(
            field[c], here[nz : nz + n], here[:n], here[2 * nz :],
            here[nz - 1 :], here[2 * nz - 1 :], here[nz + 1 :], here[1:],
            other[c, k + 1 if k + 1 < half else 0, nz : nz + n],
            other[c, k - 1 if k > 0 else half - 1, nz : nz + n],
            odd, even, mask[2], mask[3], mask[4], mask[5], rows, coupling, bias[c],
        )  # fmt: skip


@lru_cache
def sweep_kernel(halvings, angle_function):
    """Build the kernel that runs a schedule of sweeps.

    Parameters
    ----------
    halvings : int
        How often the rotation angle is halved before the series and doubled after.
    angle_function : bool
        Whether sweeps use the coefficients c1, c2, c3 of their angle.

    Returns
    -------
    callable
        ``run(spins, first, schedule, last, n_steps, coupling, bias)``, in place
        on ``(n, X, Y, Z, 3)``. A schedule is an array ``(n_sweeps, 5)`` of
        ``sublattice, b0, b1, b2, b3``; a sweep turns a spin by the angle
        ``|h| (b0 + b1 |h|² + b2 (S·h)² + b3 (S·h))``. ``first`` runs once,
        then ``schedule`` ``n_steps`` times, then ``last`` once.
    """
    scale = 0.25**halvings
    # series(u) = Σ_k (-u)^k / (2k+1)!  and  Σ_k (-u)^k / (2k+2)!
    sin_series = np.cumprod([1.0] + [-1.0 / (2 * k * (2 * k + 1)) for k in range(1, N_TERMS)])
    cos_series = np.cumprod([0.5] + [-1.0 / ((2 * k + 1) * (2 * k + 2)) for k in range(1, N_TERMS)])
    s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11 = map(float, sin_series)
    c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11 = map(float, cos_series)

    @kernel
    def rotate(sx, sy, sz, hx, hy, hz, b0, b1, b2, b3):
        """Exact rotation S + s S×h + c h×(h×S): dS/dt = S × h over a time t."""
        for k in range(sx.size):
            a, b, c = sx[k], sy[k], sz[k]
            f, g, h = hx[k], hy[k], hz[k]
            h2 = f * f + g * g + h * h
            along = a * f + b * g + c * h
            t = b0
            if angle_function:
                t = b0 + b1 * h2 + along * (b3 + b2 * along)
            u = t * t * h2 * scale
            s = s10 + u * s11
            s = s8 + u * (s9 + u * s)
            s = s4 + u * (s5 + u * (s6 + u * (s7 + u * s)))
            s = s0 + u * (s1 + u * (s2 + u * (s3 + u * s)))
            v = c10 + u * c11
            v = c8 + u * (c9 + u * v)
            v = c4 + u * (c5 + u * (c6 + u * (c7 + u * v)))
            v = c0 + u * (c1 + u * (c2 + u * (c3 + u * v)))
            for _ in range(halvings):  # sin 2x = 2 sin x cos x, 1 - cos 2x = 2 sin²x
                v, s, u = 0.5 * s * s, s * (1.0 - u * v), 4.0 * u
            s *= t
            v *= t * t
            keep = 1.0 - v * h2
            along *= v
            sx[k] = keep * a + s * (b * h - c * g) + along * f
            sy[k] = keep * b + s * (c * f - a * h) + along * g
            sz[k] = keep * c + s * (a * g - b * f) + along * h

    @kernel
    def sweep(packed, row, mask, ny, nz, coupling, bias, field):
        sublattice = int(row[0])
        own, other = packed[sublattice], packed[1 - sublattice]
        odd, even = mask[1 - sublattice], mask[sublattice]
        end = (ny + 1) * nz
        for k in range(own.shape[1]):
            plane_field(other, k, odd, even, mask, ny, nz, coupling, bias, field)
            rotate(
                own[0, k, nz:end], own[1, k, nz:end], own[2, k, nz:end],
                field[0], field[1], field[2], row[1], row[2], row[3], row[4],
            )  # fmt: skip
            for c in range(3):
                refresh_ghosts(own[c, k], nz)

    @kernel
    def run(spins, first, schedule, last, n_steps, coupling, bias):
        n, nx, ny, nz, _ = spins.shape
        packed = np.empty((2, 3, nx // 2, (ny + 2) * nz))
        field = np.empty((3, ny * nz))
        mask = masks(ny, nz)
        for i in range(n):
            pack(spins[i], packed)
            for row in first:
                sweep(packed, row, mask, ny, nz, coupling, bias, field)
            for _ in range(n_steps):
                for row in schedule:
                    sweep(packed, row, mask, ny, nz, coupling, bias, field)
            for row in last:
                sweep(packed, row, mask, ny, nz, coupling, bias, field)
            unpack(packed, spins[i])

    return run
