"""Functions of one atom's surroundings: radial functions, harmonics, invariants of positions
and spins, each with its derivative.

Light arithmetic is done in double precision whatever the arrays are in; long loops run over
arrays alone, so that in single precision they fill twice as many lanes.
"""

import numpy as np

from .jit import kernel

#: Functions of the two spins of a pair that have a radial function of their own.
ISOTROPIC_FORMS, ALL_FORMS = 11, 15
#: Where the radial functions begin to fade, as a share of the cutoff.
FADE = 0.5


@kernel
def radial_basis(r, cutoff, value, slope):
    """Chebyshev polynomials that fade twice continuously differentiably to the cutoff.

    ``value[n] = T_n(1 - 2r/r_c) f(r)`` and its derivative, with f = 1 below half the cutoff and a
    polynomial of fifth degree from there on.
    """
    x, dx = 1.0 - 2.0 * r / cutoff, -2.0 / cutoff
    f, df = 1.0, 0.0
    v = (r / cutoff - FADE) / (1.0 - FADE)
    if v > 0.0:
        f = 1.0 - v * v * v * (10.0 - v * (15.0 - 6.0 * v))
        df = -30.0 * v * v * (1.0 - v) * (1.0 - v) / ((1.0 - FADE) * cutoff)
    t0, t1, d0, d1 = 1.0, x, 0.0, 1.0
    for n in range(len(value)):
        value[n] = f * t0
        slope[n] = df * t0 + f * d0 * dx
        t0, t1, d0, d1 = t1, 2.0 * x * t1 - t0, d1, 2.0 * t1 + 2.0 * x * d1 - d0


@kernel
def harmonics(x, y, z, lmax, out):
    """Real harmonics of a unit vector; squares of a degree add up to 1, l = 1 is (x, y, z)."""
    out[0] = 1.0
    if lmax > 0:
        out[1], out[2], out[3] = x, y, z
    if lmax > 1:
        a = 1.7320508075688772
        out[4], out[5], out[6] = a * x * y, a * y * z, a * z * x
        out[7], out[8] = 0.5 * a * (x * x - y * y), 0.5 * (2.0 * z * z - x * x - y * y)
    if lmax > 2:
        a, b, c = 0.7905694150420949, 3.872983346207417, 0.6123724356957945
        rest = 4.0 * z * z - x * x - y * y
        out[9], out[10] = a * y * (3.0 * x * x - y * y), b * x * y * z
        out[11], out[13] = c * y * rest, c * x * rest
        out[12] = 0.5 * z * (2.0 * z * z - 3.0 * x * x - 3.0 * y * y)
        out[14], out[15] = 0.5 * b * z * (x * x - y * y), a * x * (x * x - 3.0 * y * y)


@kernel
def harmonics_slope(x, y, z, lmax, g):
    """Gradient of ``Σ g[m] Y_m(x, y, z)``, harmonics taken as polynomials of three variables."""
    gx, gy, gz = 0.0, 0.0, 0.0
    if lmax > 0:
        gx, gy, gz = float(g[1]), float(g[2]), float(g[3])
    if lmax > 1:
        a = 1.7320508075688772
        gx += a * (g[4] * y + g[6] * z + g[7] * x) - g[8] * x
        gy += a * (g[4] * x + g[5] * z - g[7] * y) - g[8] * y
        gz += a * (g[5] * y + g[6] * x) + 2.0 * g[8] * z
    if lmax > 2:
        a, b, c = 0.7905694150420949, 3.872983346207417, 0.6123724356957945
        rest = 4.0 * z * z - x * x - y * y
        gx += a * (6.0 * g[9] * x * y + 3.0 * g[15] * (x * x - y * y))
        gy += a * (3.0 * g[9] * (x * x - y * y) - 6.0 * g[15] * x * y)
        gx += b * (g[10] * y * z + g[14] * x * z)
        gy += b * (g[10] * x * z - g[14] * y * z)
        gz += b * (g[10] * x * y + 0.5 * g[14] * (x * x - y * y))
        gx += c * (g[13] * (rest - 2.0 * x * x) - 2.0 * g[11] * x * y) - 3.0 * g[12] * x * z
        gy += c * (g[11] * (rest - 2.0 * y * y) - 2.0 * g[13] * x * y) - 3.0 * g[12] * y * z
        gz += 8.0 * c * z * (g[11] * y + g[13] * x)
        gz += g[12] * (3.0 * z * z - 1.5 * x * x - 1.5 * y * y)
    return gx, gy, gz


@kernel
def pair_forms(t, si, sj, ci, cj, out):
    """Functions of the two spins of a pair, seen from atom i.

    ``t = σ_i·σ_j``, ``s = |σ|² - 1`` (0 for species without moment), so that s vanishes in most
    frames while its gradient does not, and ``c = σ·n`` with the unit vector n from i to j. As
    many as ``out`` holds: 11 of the spins' mutual angle and lengths alone, 15 with spin-orbit.
    """
    out[0], out[1], out[2], out[3] = 1.0, si, si * si, si * sj
    out[4], out[5], out[6], out[7] = t, t * si, t * si * sj, t * t
    out[8], out[9], out[10] = t * t * si, t * t * t, t * si * si
    if len(out) > 11:
        out[11], out[12], out[13], out[14] = ci * cj, ci * ci, t * ci * cj, ci * cj * si


@kernel
def pair_forms_slope(t, si, sj, ci, cj, g):
    """Derivatives of ``Σ g[f] form[f]`` with respect to (t, s_i, s_j, c_i, c_j)."""
    dt = g[4] + g[5] * si + g[6] * si * sj + 2.0 * g[7] * t + 2.0 * g[8] * t * si
    dt += 3.0 * g[9] * t * t + g[10] * si * si
    di = g[1] + 2.0 * g[2] * si + g[3] * sj + g[5] * t + g[6] * t * sj + g[8] * t * t
    di += 2.0 * g[10] * t * si
    dj = g[3] * si + g[6] * t * si
    dci, dcj = 0.0, 0.0
    if len(g) > 11:
        dt += g[13] * ci * cj
        di += g[14] * ci * cj
        dci = g[11] * cj + 2.0 * g[12] * ci + g[13] * t * cj + g[14] * cj * si
        dcj = g[11] * ci + g[13] * t * ci + g[14] * ci * si
    return dt, di, dj, dci, dcj


def count_invariants(n_channels, lmax, spin_orbit):
    """Number of invariants that :func:`invariants` writes."""
    k = n_channels
    triangle = k * (k + 1) // 2
    count = 3 + 4 * k + triangle + (lmax + 1) * (2 * triangle + k * k)
    return count + (3 * triangle + 2 * k * k if spin_orbit else 0)


@kernel
def _degree(l):
    """First component of a degree, and the one after its last."""
    return l * l, (l + 1) * (l + 1)


@kernel
def project(density, sigma, along):
    """``along[k, m] = σ·B_k^m``: the spin densities along the spin of the atom itself."""
    n_m = density.shape[2]
    for k in range(density.shape[0]):
        for m in range(n_m):
            total = 0.0
            for a in range(3):
                total += sigma[a] * density[k, 1 + a, m]
            along[k, m] = total


@kernel
def invariants(density, sigma, rest, lmax, spin_orbit, along, out):
    """Invariants of the densities about an atom and its own spin, even in all spins.

    Parameters
    ----------
    density : ndarray, shape (n_channels, 4, (lmax + 1)²)
        A (without spin) and the three components of B, of each channel and harmonic.
    sigma : ndarray, shape (3,)
        The atom's own spin.
    rest : float
        Its square at rest: 1, or 0 for a species without moment.
    along : ndarray, shape (n_channels, (lmax + 1)²)
        What :func:`project` wrote.
    out : ndarray
        Written: a_k, p_k = σ·B_k, powers of s = \\|σ\\|² - rest, s a_k, s p_k, p_k p_k', and for
        each degree A_k·A_k', B_k·B_k' and A_k·(σ·B_k'); with spin-orbit, joint contractions of
        l = 1.
    """
    n_k = density.shape[0]
    s = -rest
    for a in range(3):
        s += sigma[a] * sigma[a]
    at = 0
    for k in range(n_k):
        a, p = density[k, 0, 0], along[k, 0]
        out[at + k], out[at + n_k + k] = a, p
        out[at + 2 * n_k + 3 + k], out[at + 3 * n_k + 3 + k] = s * a, s * p
    at += 2 * n_k
    out[at], out[at + 1], out[at + 2] = s, s * s, s * s * s
    at += 3 + 2 * n_k
    for k in range(n_k):
        for q in range(k, n_k):
            out[at] = along[k, 0] * along[q, 0]
            at += 1
    for l in range(lmax + 1):
        start, stop = _degree(l)
        for k in range(n_k):
            for q in range(k, n_k):
                total = 0.0
                for m in range(start, stop):
                    total += density[k, 0, m] * density[q, 0, m]
                out[at] = total
                at += 1
        for k in range(n_k):
            for q in range(k, n_k):
                total = 0.0
                for a in range(1, 4):
                    for m in range(start, stop):
                        total += density[k, a, m] * density[q, a, m]
                out[at] = total
                at += 1
        for k in range(n_k):
            for q in range(n_k):
                total = 0.0
                for m in range(start, stop):
                    total += density[k, 0, m] * along[q, m]
                out[at] = total
                at += 1
    if spin_orbit:
        _joint(density, sigma, out, at)


@kernel
def _joint(density, sigma, out, at):
    """Contractions of space with spin: c_k = σ·A1_k, T_k^{am} = B_k^a of degree 1, τ_k = tr T_k.

    c c', τ τ', T_k:T_k'ᵀ, then c_k τ_k' and σ^m T_k'^{am} A1_k^a: the two parts of S_i × S_j
    along A1 × r.
    """
    n_k = density.shape[0]
    for k in range(n_k):
        for q in range(k, n_k):
            ck, cq, tk, tq, tt = 0.0, 0.0, 0.0, 0.0, 0.0
            for a in range(3):
                ck += sigma[a] * density[k, 0, 1 + a]
                cq += sigma[a] * density[q, 0, 1 + a]
                tk += density[k, 1 + a, 1 + a]
                tq += density[q, 1 + a, 1 + a]
                for b in range(3):
                    tt += density[k, 1 + a, 1 + b] * density[q, 1 + b, 1 + a]
            out[at], out[at + 1], out[at + 2] = ck * cq, tk * tq, tt
            at += 3
    for k in range(n_k):
        for q in range(n_k):
            ck, tq, st = 0.0, 0.0, 0.0
            for a in range(3):
                ck += sigma[a] * density[k, 0, 1 + a]
                tq += density[q, 1 + a, 1 + a]
                for b in range(3):
                    st += sigma[b] * density[q, 1 + a, 1 + b] * density[k, 0, 1 + a]
            out[at], out[at + 1] = ck * tq, st
            at += 2


@kernel
def invariants_slope(density, sigma, rest, lmax, spin_orbit, along, g, d_density, d_sigma, d_along):
    """Gradient of ``Σ g[d] invariant[d]`` with respect to densities and own spin.

    ``d_density`` (as ``density``) and ``d_sigma`` (3,) are overwritten; ``d_along`` is
    workspace like ``along``.
    """
    n_k, n_m = density.shape[0], density.shape[2]
    d_density[:] = 0.0
    d_along[:] = 0.0
    s, ds = -rest, 0.0
    for a in range(3):
        s += sigma[a] * sigma[a]
    at = 2 * n_k + 3
    for k in range(n_k):
        d_density[k, 0, 0] += g[k] + s * g[at + k]
        d_along[k, 0] += g[n_k + k] + s * g[at + n_k + k]
        ds += g[at + k] * density[k, 0, 0] + g[at + n_k + k] * along[k, 0]
    ds += g[at - 3] + 2.0 * s * g[at - 2] + 3.0 * s * s * g[at - 1]
    at += 2 * n_k
    for k in range(n_k):
        for q in range(k, n_k):
            d_along[k, 0] += g[at] * along[q, 0]
            d_along[q, 0] += g[at] * along[k, 0]
            at += 1
    for l in range(lmax + 1):
        start, stop = _degree(l)
        for k in range(n_k):
            for q in range(k, n_k):
                w = g[at]
                at += 1
                if w != 0.0:
                    for m in range(start, stop):
                        d_density[k, 0, m] += w * density[q, 0, m]
                        d_density[q, 0, m] += w * density[k, 0, m]
        for k in range(n_k):
            for q in range(k, n_k):
                w = g[at]
                at += 1
                if w != 0.0:
                    for a in range(1, 4):
                        for m in range(start, stop):
                            d_density[k, a, m] += w * density[q, a, m]
                            d_density[q, a, m] += w * density[k, a, m]
        for k in range(n_k):
            for q in range(n_k):
                w = g[at]
                at += 1
                if w != 0.0:
                    for m in range(start, stop):
                        d_density[k, 0, m] += w * along[q, m]
                        d_along[q, m] += w * density[k, 0, m]
    for a in range(3):
        total = 2.0 * ds * sigma[a]
        for k in range(n_k):
            for m in range(n_m):
                total += d_along[k, m] * density[k, 1 + a, m]
                d_density[k, 1 + a, m] += d_along[k, m] * sigma[a]
        d_sigma[a] = total
    if spin_orbit:
        _joint_slope(density, sigma, g, at, d_density, d_sigma)


@kernel
def _joint_slope(density, sigma, g, at, d_density, d_sigma):
    """Adds the gradient of what :func:`_joint` wrote."""
    n_k = density.shape[0]
    d_c = np.zeros(n_k)
    d_t = np.zeros(n_k)
    c = np.zeros(n_k)
    t = np.zeros(n_k)
    for k in range(n_k):
        for a in range(3):
            c[k] += sigma[a] * density[k, 0, 1 + a]
            t[k] += density[k, 1 + a, 1 + a]
    for k in range(n_k):
        for q in range(k, n_k):
            d_c[k] += g[at] * c[q]
            d_c[q] += g[at] * c[k]
            d_t[k] += g[at + 1] * t[q]
            d_t[q] += g[at + 1] * t[k]
            w = g[at + 2]
            for a in range(3):
                for b in range(3):
                    d_density[k, 1 + a, 1 + b] += w * density[q, 1 + b, 1 + a]
                    d_density[q, 1 + b, 1 + a] += w * density[k, 1 + a, 1 + b]
            at += 3
    for k in range(n_k):
        for q in range(n_k):
            d_c[k] += g[at] * t[q]
            d_t[q] += g[at] * c[k]
            w = g[at + 1]
            for a in range(3):
                for b in range(3):
                    d_sigma[b] += w * density[q, 1 + a, 1 + b] * density[k, 0, 1 + a]
                    d_density[q, 1 + a, 1 + b] += w * sigma[b] * density[k, 0, 1 + a]
                    d_density[k, 0, 1 + a] += w * sigma[b] * density[q, 1 + a, 1 + b]
            at += 2
    for k in range(n_k):
        for a in range(3):
            d_sigma[a] += d_c[k] * density[k, 0, 1 + a]
            d_density[k, 0, 1 + a] += d_c[k] * sigma[a]
            d_density[k, 1 + a, 1 + a] += d_t[k]
