"""Functions of the electron Hamiltonian on a triangular lattice, by Chebyshev recursion.

Only their on-site blocks are needed. One probe per site and spin makes them exact but
for the truncation; probes do not know of each other and lie in SIMD lanes. The row of a
site holds, for all lanes, the real and imaginary parts of ↑ and of ↓ one after the
other, in single precision: the recursion does not amplify rounding.
"""

import numpy as np

from .jit import inlined_kernel, kernel

#: Sites that are probed together. Each has two lanes: first all that start with ↑, then ↓.
SITES = 16
LANES = 2 * SITES
IM, DOWN, DOWN_IM, ROW = LANES, 2 * LANES, 3 * LANES, 4 * LANES


@inlined_kernel
def _onsite(x, old, new, energy, sx, sy, sz, factor):
    """``new = factor * (on-site part) x - old`` at one site."""
    for c in range(LANES):
        a, b, u, v = x[c], x[IM + c], x[DOWN + c], x[DOWN_IM + c]
        new[c] = factor * ((energy + sz) * a + sx * u + sy * v) - old[c]
        new[IM + c] = factor * ((energy + sz) * b + sx * v - sy * u) - old[IM + c]
        new[DOWN + c] = factor * ((energy - sz) * u + sx * a - sy * b) - old[DOWN + c]
        new[DOWN_IM + c] = factor * ((energy - sz) * v + sx * b + sy * a) - old[DOWN_IM + c]


@inlined_kernel
def _hop(a, b, c, d, e, f, new, hopping, factor):
    """Add what comes from six neighbours, in one pass over the row."""
    p, q, r = factor * hopping[0], factor * hopping[1], factor * hopping[2]
    s, t, u = factor * hopping[3], factor * hopping[4], factor * hopping[5]
    for k in range(ROW):
        new[k] += (p * a[k] + q * b[k] + r * c[k]) + (s * d[k] + t * e[k] + u * f[k])


@inlined_kernel
def add_hops(i, x, new, neighbours, hopping, factor):
    """Add to the row of site i what its neighbours send; their number is a multiple of six."""
    for k in range(0, neighbours.shape[1], 6):
        a, b, c = neighbours[i, k], neighbours[i, k + 1], neighbours[i, k + 2]
        d, e, f = neighbours[i, k + 3], neighbours[i, k + 4], neighbours[i, k + 5]
        _hop(x[a], x[b], x[c], x[d], x[e], x[f], new, hopping[i, k : k + 6], factor)


@inlined_kernel
def _apply(x, old, new, onsite, neighbours, hopping, factor):
    """``new = factor * H x - old`` for the rescaled Hamiltonian."""
    for i in range(len(neighbours)):
        _onsite(x[i], old[i], new[i], onsite[i, 0], onsite[i, 1], onsite[i, 2], onsite[i, 3],
                factor)  # fmt: skip
        add_hops(i, x, new[i], neighbours, hopping, factor)


@inlined_kernel
def overlap_row(a, b, out):
    """Add the products at one site: each lane with itself, and ↑ lanes with ↓ lanes."""
    n_sites = len(out) // 4  # not a constant: LLVM would unroll the loop before it is SIMD
    for spin in range(2):
        x, y = a[spin * DOWN : spin * DOWN + DOWN], b[spin * DOWN : spin * DOWN + DOWN]
        for c in range(LANES):
            out[c] += x[c] * y[c] + x[IM + c] * y[IM + c]
        for c in range(n_sites):
            out[LANES + c] += x[c] * y[SITES + c] + x[IM + c] * y[IM + SITES + c]
            out[LANES + SITES + c] += x[c] * y[IM + SITES + c] - x[IM + c] * y[SITES + c]


@kernel
def onsite_blocks(onsite, neighbours, hopping, sites, coefficients, out):
    """On-site blocks of functions of the rescaled Hamiltonian.

    Parameters
    ----------
    onsite : ndarray of float32, shape (n_sites, 4)
        Rescaled on-site energy and exchange: the block is
        ``[[e + z, x - iy], [x + iy, e - z]]``.
    neighbours : ndarray of int, shape (n_sites, n_neighbours)
        A multiple of six.
    hopping : ndarray of float32, shape (n_sites, n_neighbours)
        Rescaled matrix elements.
    sites : ndarray of int, shape (n_wanted,)
    coefficients : ndarray, shape (n_functions, n_moments)
        Chebyshev series of each function; an even number of moments.
    out : ndarray, shape (n_functions, n_wanted, 4)
        Filled: ↑↑, ↓↓, real and imaginary part of ↑↓.
    """
    n_functions, n_moments = coefficients.shape
    x = np.empty((3, len(onsite), ROW), np.float32)
    overlap = np.empty(2 * LANES, np.float32)
    block = np.empty((2, 4 * SITES))  # moments 0 and 1 of the sites in hand
    for first in range(0, len(sites), SITES):
        count = min(SITES, len(sites) - first)
        x[:] = np.float32(0.0)
        for s in range(count):
            x[0, sites[first + s], s] = 1.0
            x[0, sites[first + s], DOWN + SITES + s] = 1.0
        # the third vector is zero, so that the first recursion is x1 = H x0
        _apply(x[0], x[2], x[1], onsite, neighbours, hopping, np.float32(1.0))
        out[:, first : first + count] = 0.0
        now, following, spare = 0, 1, 2
        for half in range(n_moments // 2):
            for odd in range(2):
                other = following if odd == 1 else now
                overlap[:] = np.float32(0.0)
                for i in range(len(onsite)):
                    overlap_row(x[other, i], x[now, i], overlap)
                for s in range(count):
                    for q in range(4):
                        value = np.float64(overlap[q * SITES + s])
                        if half == 0:
                            block[odd, q * SITES + s] = value
                        else:
                            value = 2.0 * value - block[odd, q * SITES + s]
                        for f in range(n_functions):
                            out[f, first + s, q] += coefficients[f, 2 * half + odd] * value
            if half + 1 < n_moments // 2:
                _apply(x[following], x[now], x[spare], onsite, neighbours, hopping,
                       np.float32(2.0))  # fmt: skip
                now, following, spare = following, spare, now
