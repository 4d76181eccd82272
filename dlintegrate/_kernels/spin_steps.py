"""Arithmetic of the steps of unit spins in a given field, one pass over the spins each.

Arrays are ``(n_samples, n_spins, 3)``, C-contiguous.
"""

import numpy as np

from .jit import kernel


@kernel
def midpoint_directions(start, end, middle):
    """Write ``(start + end) / |start + end|`` to ``middle``."""
    a, b, m = start.reshape(-1, 3), end.reshape(-1, 3), middle.reshape(-1, 3)
    for i in range(len(a)):
        x, y, z = a[i, 0] + b[i, 0], a[i, 1] + b[i, 1], a[i, 2] + b[i, 2]
        scale = 1.0 / np.sqrt(x * x + y * y + z * z)
        m[i, 0], m[i, 1], m[i, 2] = x * scale, y * scale, z * scale


@kernel
def midpoint_iteration(start, middle, field, noise, dt, damping, end, change):
    """One iteration of ``S' = S + m × (dt (h - α m × h) + 2 noise)``, in place on ``end``.

    ``noise`` is half of a rotation vector. The largest change of a component of each sample
    is written to ``change``.

    Not the plain iteration: it would converge like ``dt (H - J_q)/2`` in a magnet with local
    field H and exchange J_q, which lies between 0 and some 1.6 H. Half of the turn of the change
    in the local field is solved for, which centres this range about 0.
    """
    for s in range(len(start)):
        largest = 0.0
        for i in range(start.shape[1]):
            a, b, c = middle[s, i, 0], middle[s, i, 1], middle[s, i, 2]
            f, g, h = field[s, i, 0], field[s, i, 1], field[s, i, 2]
            u = dt * (f - damping * (b * h - c * g)) + 2.0 * noise[s, i, 0]
            v = dt * (g - damping * (c * f - a * h)) + 2.0 * noise[s, i, 1]
            w = dt * (h - damping * (a * g - b * f)) + 2.0 * noise[s, i, 2]
            x = start[s, i, 0] + (b * w - c * v)
            y = start[s, i, 1] + (c * u - a * w)
            z = start[s, i, 2] + (a * v - b * u)
            x, y, z = x - end[s, i, 0], y - end[s, i, 1], z - end[s, i, 2]
            u, v, w = 0.25 * u, 0.25 * v, 0.25 * w
            scale = 1.0 / (1.0 + u * u + v * v + w * w)
            along = u * x + v * y + w * z
            dx = scale * (x + (y * w - z * v) + along * u)
            dy = scale * (y + (z * u - x * w) + along * v)
            dz = scale * (z + (x * v - y * u) + along * w)
            d = max(abs(dx), abs(dy), abs(dz))
            largest = d if not d <= largest else largest  # NaN must not pass as small
            end[s, i, 0] += dx
            end[s, i, 1] += dy
            end[s, i, 2] += dz
        change[s] = largest


@kernel
def cayley_turn(spins, axis, field, noise, dt, precession, damping, end):
    """Solve ``S' = S + (S + S') × w``, ``w = ½ dt (p h - α n × h) + noise``, n = ``axis``."""
    s, n, h = spins.reshape(-1, 3), axis.reshape(-1, 3), field.reshape(-1, 3)
    e, r = end.reshape(-1, 3), noise.reshape(-1, 3)
    half = 0.5 * dt
    for i in range(len(s)):
        x, y, z = s[i, 0], s[i, 1], s[i, 2]
        a, b, c = n[i, 0], n[i, 1], n[i, 2]
        f, g, k = h[i, 0], h[i, 1], h[i, 2]
        u = half * (precession * f - damping * (b * k - c * g)) + r[i, 0]
        v = half * (precession * g - damping * (c * f - a * k)) + r[i, 1]
        w = half * (precession * k - damping * (a * g - b * f)) + r[i, 2]
        square = u * u + v * v + w * w
        along = 2.0 * (u * x + v * y + w * z)
        scale = 1.0 / (1.0 + square)
        e[i, 0] = ((1.0 - square) * x + 2.0 * (y * w - z * v) + along * u) * scale
        e[i, 1] = ((1.0 - square) * y + 2.0 * (z * u - x * w) + along * v) * scale
        e[i, 2] = ((1.0 - square) * z + 2.0 * (x * v - y * u) + along * w) * scale


@kernel
def restore_lengths(spins, lengths):
    """Rescale spins ``(n_samples, n_spins, 3)`` to the lengths ``(n_spins,)``, in place."""
    for s in range(len(spins)):
        for i in range(spins.shape[1]):
            x, y, z = spins[s, i, 0], spins[s, i, 1], spins[s, i, 2]
            square = x * x + y * y + z * z
            scale = lengths[i] / np.sqrt(square) if square > 0.0 else 1.0
            spins[s, i, 0], spins[s, i, 1], spins[s, i, 2] = x * scale, y * scale, z * scale
