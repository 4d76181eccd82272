"""Exact rotations of one bond or one spin after the other, forward and backward."""

import numpy as np

from .jit import kernel

#: Below this square of an angle a short series is exact to rounding.
_SMALL = 0.04


@kernel
def _sine_and_cosine(square):
    """``sin(x)/x`` and ``(1 - cos x)/x²`` of x² = ``square``."""
    u = square
    if u < _SMALL:
        s = 1.0 - u / 6 * (1.0 - u / 20 * (1.0 - u / 42 * (1.0 - u / 72 * (1.0 - u / 110))))
        c = 0.5 * (1.0 - u / 12 * (1.0 - u / 30 * (1.0 - u / 56 * (1.0 - u / 90))))
        return s, c
    x = np.sqrt(u)
    half = np.sin(0.5 * x)
    return np.sin(x) / x, 2.0 * half * half / u


@kernel
def _turn_bond(s, i, j, t):
    """Turn spins i and j about their sum: ``dS_i/dt = S_i × S_j``, over a time t."""
    a, b, c = s[i, 0], s[i, 1], s[i, 2]
    f, g, h = s[j, 0], s[j, 1], s[j, 2]
    x, y, z = a + f, b + g, c + h
    square = x * x + y * y + z * z
    sine, cosine = _sine_and_cosine(t * t * square)
    sine *= t
    cosine *= t * t
    along = cosine * (a * x + b * y + c * z)
    keep = cosine * square
    # one change for both: their sum cannot differ by more than rounding
    dx = sine * (b * h - c * g) + along * x - keep * a
    dy = sine * (c * f - a * h) + along * y - keep * b
    dz = sine * (a * g - b * f) + along * z - keep * c
    s[i, 0], s[i, 1], s[i, 2] = a + dx, b + dy, c + dz
    s[j, 0], s[j, 1], s[j, 2] = f - dx, g - dy, h - dz


@kernel
def sweep_bonds(spins, first, second, coupling, time):
    """Turn every bond over half of ``time``, forward through the list and then backward.

    Parameters
    ----------
    spins : (n_samples, n_atoms, 3), changed in place
    first, second : (n_pairs,), each bond twice
        Atoms numbered through all samples. Own images exert no torque.
    coupling : (n_pairs,)
        ``dS_i/dt = coupling S_i × S_j``.
    time : float
    """
    s = spins.reshape(-1, 3)
    half = 0.5 * time
    for p in range(len(first)):
        if first[p] < second[p]:
            _turn_bond(s, first[p], second[p], half * coupling[p])
    for p in range(len(first) - 1, -1, -1):
        if first[p] < second[p]:
            _turn_bond(s, first[p], second[p], half * coupling[p])


@kernel
def _turn_site(s, i, second, coupling, start, stop, t):
    """Turn spin i about the field of its neighbours over a time t."""
    x = y = z = 0.0
    for p in range(start, stop):
        j = second[p]
        if j != i:
            x += coupling[p] * s[j, 0]
            y += coupling[p] * s[j, 1]
            z += coupling[p] * s[j, 2]
    a, b, c = s[i, 0], s[i, 1], s[i, 2]
    square = x * x + y * y + z * z
    sine, cosine = _sine_and_cosine(t * t * square)
    sine *= t
    cosine *= t * t
    along = cosine * (a * x + b * y + c * z)
    keep = 1.0 - cosine * square
    s[i, 0] = keep * a + sine * (b * z - c * y) + along * x
    s[i, 1] = keep * b + sine * (c * x - a * z) + along * y
    s[i, 2] = keep * c + sine * (a * y - b * x) + along * z


@kernel
def sweep_sites(spins, second, coupling, starts, time):
    """Turn every spin over half of ``time``, forward through the atoms and then backward.

    ``starts`` are as in :class:`Pairs`; the rest as for :func:`sweep_bonds`.
    """
    s = spins.reshape(-1, 3)
    half = 0.5 * time
    for i in range(len(s)):
        _turn_site(s, i, second, coupling, starts[i], starts[i + 1], half)
    for i in range(len(s) - 1, -1, -1):
        _turn_site(s, i, second, coupling, starts[i], starts[i + 1], half)
