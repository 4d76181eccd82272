"""A stochastic trace of a function of the electron Hamiltonian, and its exact gradient.

Each probe is non-zero on the sites of one colour, with phases, and on one spin. With the
Chebyshev vectors ``α_0 = probe, α_1 = H α_0, α_m+1 = 2 H α_m - α_m-1`` the estimate is
``E = Σ_m even_m <α_m|α_m> + odd_m Re <α_m+1|α_m>``. Its derivatives by the vectors obey the
adjoint recursion ``g_m = 2 H g_m+1 - g_m+2 + (what α_m itself adds to E)``, and
``δE = Σ_m 2 Re <g_m+1|δH|α_m>``, where m = 0 counts half (Wang and others,
J. Chem. Phys. 148, 094107 (2018)). The α are not stored: their recursion runs backwards as
well as forwards. Rows and lanes are those of :mod:`.chebyshev`, a colour in place of a site.
"""

import numpy as np

from .chebyshev import DOWN, DOWN_IM, IM, LANES, ROW, SITES, add_hops
from .jit import inlined_kernel, kernel


def folded(coefficients):
    """``even`` and ``odd`` of a Chebyshev series: products of vectors are moments in pairs."""
    pairs = np.asarray(coefficients, dtype=np.float64).reshape(-1, 2)
    products = 2.0 * pairs
    products[0] = pairs[0] - pairs[1:].sum(axis=0)
    return products[:, 0].copy(), products[:, 1].copy()


@inlined_kernel
def _onsite(x, new, block, factor):
    """``new = factor * (on-site part) x - new`` at one site."""
    energy, sx, sy, sz = block[0], block[1], block[2], block[3]
    for c in range(LANES):
        a, b, u, v = x[c], x[IM + c], x[DOWN + c], x[DOWN_IM + c]
        new[c] = factor * ((energy + sz) * a + sx * u + sy * v) - new[c]
        new[IM + c] = factor * ((energy + sz) * b + sx * v - sy * u) - new[IM + c]
        new[DOWN + c] = factor * ((energy - sz) * u + sx * a - sy * b) - new[DOWN + c]
        new[DOWN_IM + c] = factor * ((energy - sz) * v + sx * b + sy * a) - new[DOWN_IM + c]


@inlined_kernel
def _apply_at(i, x, new, onsite, neighbours, hopping, factor):
    """``new = factor * H x - new`` at site i."""
    _onsite(x[i], new[i], onsite[i], factor)
    add_hops(i, x, new[i], neighbours, hopping, factor)


@inlined_kernel
def _add(x, new, factor):
    for c in range(ROW):
        new[c] += factor * x[c]


@inlined_kernel
def _collect(adjoint, x, weight, out):
    """Add ``weight Re <g|δH|α>`` at one site: by H_↑↑, H_↓↓, and the x and y of the spin."""
    for c in range(LANES):
        a, b, u, v = x[c], x[IM + c], x[DOWN + c], x[DOWN_IM + c]
        ga, gb, gu, gv = adjoint[c], adjoint[IM + c], adjoint[DOWN + c], adjoint[DOWN_IM + c]
        out[c] += weight * (ga * a + gb * b)
        out[LANES + c] += weight * (gu * u + gv * v)
        out[2 * LANES + c] += weight * (ga * u + gb * v + gu * a + gv * b)
        out[3 * LANES + c] += weight * (ga * v - gb * u - gu * b + gv * a)


@inlined_kernel
def _energy(x, following, even, odd, out):
    """Add ``even <α|α> + odd Re <following|α>`` at one site, lane by lane."""
    for spin in range(4):
        for c in range(LANES):
            value = x[spin * LANES + c]
            out[c] += value * (even * value + odd * following[spin * LANES + c])


@kernel
def _prepare(x, colours, phases, first):
    """The probes of colours ``first`` and on, and the vectors before them."""
    x[:] = 0.0
    for i in range(len(colours)):
        lane = colours[i] - first
        if 0 <= lane < SITES:
            for part in range(2):
                x[0, i, part * IM + lane] = phases[i, part]
                x[0, i, DOWN + part * IM + SITES + lane] = phases[i, part]


@kernel
def probed_gradient(onsite, neighbours, hopping, colours, phases, first, even, odd, out):
    """Estimate of ``tr f(H)`` from the probes of 16 colours, and its gradient.

    Parameters
    ----------
    onsite : ndarray of float32 or float64, shape (n_sites, 4)
        As in :func:`.chebyshev.onsite_blocks`; the type of all that is computed.
    neighbours : ndarray of int, shape (n_sites, n_neighbours)
        A multiple of six.
    hopping : ndarray like onsite, shape (n_sites, n_neighbours)
    colours : ndarray of int, shape (n_sites,)
    phases : ndarray like onsite, shape (n_sites, 2)
        The probe at each site: real and imaginary part.
    first : int
        The colours ``first`` to ``first + 15`` are probed.
    even, odd : ndarray like onsite, shape (n_moments // 2,)
        From :func:`folded`.
    out : ndarray of float64, shape (n_sites, 4)
        Filled with ∂E/∂H_↑↑, ∂E/∂H_↓↓, and the real and imaginary parts of the mean of
        ∂E/∂H_↓↑ and its mirror image: all as the on-site block of f'(H).

    Returns
    -------
    float
    """
    n_sites, half = len(onsite), len(even)
    one, two = onsite.dtype.type(1.0), onsite.dtype.type(2.0)
    x = np.empty((2, n_sites, ROW), onsite.dtype)
    adjoint = np.zeros((2, n_sites, ROW), onsite.dtype)
    gradient = np.zeros((n_sites, 4 * LANES), onsite.dtype)
    _prepare(x, colours, phases, first)
    now, following = 0, 1
    for i in range(n_sites):
        _apply_at(i, x[0], x[1], onsite, neighbours, hopping, one)
    energy, lanes = 0.0, np.empty(LANES, onsite.dtype)
    for m in range(half):
        lanes[:] = 0.0
        for i in range(n_sites):
            _energy(x[now, i], x[following, i], even[m], odd[m], lanes)
        for c in range(LANES):
            energy += lanes[c]
        if m + 1 < half:
            for i in range(n_sites):
                _apply_at(i, x[following], x[now], onsite, neighbours, hopping, two)
            now, following = following, now
    # and back again: `later` is g_m+1, `latest` is g_m+2 and becomes g_m
    later, latest = 0, 1
    for i in range(n_sites):
        _add(x[now, i], adjoint[later, i], odd[half - 1])
    for m in range(half - 1, 0, -1):
        for i in range(n_sites):
            _collect(adjoint[later, i], x[now, i], two, gradient[i])
            _apply_at(i, adjoint[later], adjoint[latest], onsite, neighbours, hopping, two)
            _add(x[now, i], adjoint[latest, i], two * even[m])
            _add(x[following, i], adjoint[latest, i], odd[m])
            _apply_at(i, x[now], x[following], onsite, neighbours, hopping, two)  # now α_m-1
            _add(x[following, i], adjoint[latest, i], odd[m - 1])
        now, following = following, now
        later, latest = latest, later
    for i in range(n_sites):
        _collect(adjoint[later, i], x[now, i], one, gradient[i])
        for q in range(4):
            out[i, q] = 0.0
            for c in range(LANES):
                out[i, q] += gradient[i, q * LANES + c]
        out[i, 2] *= 0.5
        out[i, 3] *= -0.5
    return energy
