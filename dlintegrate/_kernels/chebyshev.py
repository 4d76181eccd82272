"""Functions of the electron Hamiltonian on a triangular lattice, by Chebyshev recursion.

Only their on-site blocks are needed. One probe per site and spin makes them exact but
for the truncation; probes do not know of each other and lie in SIMD lanes. Matrices are
split into real and imaginary parts, in single precision: the recursion does not amplify
rounding.
"""

import numpy as np

from .jit import kernel

#: Probes that are carried along together; they and their neighbours stay in the cache.
COLUMNS = 64


@kernel
def _apply(re, im, old_re, old_im, new_re, new_im, onsite, neighbours, hopping, factor):
    """``new = factor * H x - old`` for the rescaled Hamiltonian, ``x`` in columns."""
    n_sites, n_neighbours = neighbours.shape
    for i in range(n_sites):
        shift, sx, sy, sz = onsite[i, 0], onsite[i, 1], onsite[i, 2], onsite[i, 3]
        up_re, up_im, down_re, down_im = re[2 * i], im[2 * i], re[2 * i + 1], im[2 * i + 1]
        nur, nui = new_re[2 * i], new_im[2 * i]
        ndr, ndi = new_re[2 * i + 1], new_im[2 * i + 1]
        our, oui = old_re[2 * i], old_im[2 * i]
        odr, odi = old_re[2 * i + 1], old_im[2 * i + 1]
        for c in range(COLUMNS):
            a, b, x, y = up_re[c], up_im[c], down_re[c], down_im[c]
            nur[c] = factor * ((shift + sz) * a + sx * x + sy * y) - our[c]
            nui[c] = factor * ((shift + sz) * b + sx * y - sy * x) - oui[c]
            ndr[c] = factor * ((shift - sz) * x + sx * a - sy * b) - odr[c]
            ndi[c] = factor * ((shift - sz) * y + sx * b + sy * a) - odi[c]
        for k in range(n_neighbours):
            j, t = neighbours[i, k], factor * hopping[k]
            jur, jui, jdr, jdi = re[2 * j], im[2 * j], re[2 * j + 1], im[2 * j + 1]
            for c in range(COLUMNS):
                nur[c] += t * jur[c]
                nui[c] += t * jui[c]
            for c in range(COLUMNS):
                ndr[c] += t * jdr[c]
                ndi[c] += t * jdi[c]


@kernel
def _overlaps(a_re, a_im, b_re, b_im, same, cross_re, cross_im):
    """Columns of ``a`` with the same column of ``b`` (real part), and ↑ with ↓ of one site."""
    same[:] = 0.0
    cross_re[:] = 0.0
    cross_im[:] = 0.0
    for row in range(len(a_re)):
        ar, ai, br, bi = a_re[row], a_im[row], b_re[row], b_im[row]
        for c in range(COLUMNS):
            same[c] += ar[c] * br[c] + ai[c] * bi[c]
        for c in range(0, COLUMNS, 2):  # <a_up | b_down>
            cross_re[c // 2] += ar[c] * br[c + 1] + ai[c] * bi[c + 1]
            cross_im[c // 2] += ar[c] * bi[c + 1] - ai[c] * br[c + 1]


@kernel
def onsite_blocks(onsite, neighbours, hopping, sites, coefficients, out):
    """On-site blocks of functions of the rescaled Hamiltonian.

    Parameters
    ----------
    onsite : ndarray of float32, shape (n_sites, 4)
        Rescaled on-site energy and exchange: the block is
        ``[[e + z, x - iy], [x + iy, e - z]]``.
    neighbours : ndarray of int, shape (n_sites, n_neighbours)
    hopping : ndarray of float32, shape (n_neighbours,)
        Rescaled matrix elements.
    sites : ndarray of int, shape (n_wanted,)
    coefficients : ndarray, shape (n_functions, n_moments)
        Chebyshev series of each function; an even number of moments.
    out : ndarray, shape (n_functions, n_wanted, 4)
        Filled: ↑↑, ↓↓, real and imaginary part of ↑↓.
    """
    n_rows = 2 * len(onsite)
    n_functions, n_moments = coefficients.shape
    re = np.empty((3, n_rows, COLUMNS), np.float32)
    im = np.empty((3, n_rows, COLUMNS), np.float32)
    same, cross_re = np.empty(COLUMNS, np.float32), np.empty(COLUMNS // 2, np.float32)
    cross_im = np.empty(COLUMNS // 2, np.float32)
    block = np.empty((2, COLUMNS // 2, 4))  # moments 0 and 1 of the sites in hand
    for first in range(0, len(sites), COLUMNS // 2):
        count = min(COLUMNS // 2, len(sites) - first)
        re[:] = np.float32(0.0)
        im[:] = np.float32(0.0)
        for s in range(count):
            for spin in range(2):
                re[0, 2 * sites[first + s] + spin, 2 * s + spin] = 1.0
        # slot 2 is zero: the first recursion is x1 = H x0
        _apply(re[0], im[0], re[2], im[2], re[1], im[1], onsite, neighbours, hopping,
               np.float32(1.0))  # fmt: skip
        out[:, first : first + count] = 0.0
        now, nxt, spare = 0, 1, 2
        for half in range(n_moments // 2):
            for odd in range(2):
                other = nxt if odd == 1 else now
                # <T_(n+1) | T_n> is the block of the operator, whichever stands left
                _overlaps(re[other], im[other], re[now], im[now], same, cross_re, cross_im)
                for s in range(count):
                    for q in range(4):
                        if q < 2:
                            value = same[2 * s + q]
                        else:
                            value = cross_re[s] if q == 2 else cross_im[s]
                        if half == 0:
                            block[odd, s, q] = value
                        else:
                            value = 2.0 * value - block[odd, s, q]
                        for f in range(n_functions):
                            out[f, first + s, q] += coefficients[f, 2 * half + odd] * value
            if half + 1 < n_moments // 2:
                _apply(re[nxt], im[nxt], re[now], im[now], re[spare], im[spare], onsite,
                       neighbours, hopping, np.float32(2.0))  # fmt: skip
                now, nxt, spare = nxt, spare, now
