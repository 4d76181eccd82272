"""Put spins back onto the surface of given energy and magnetisation."""

import numpy as np

from .heisenberg import local_field
from .jit import kernel


@kernel
def _measure(s, h, bias, values):
    """Energy and magnetisation from spins and their local fields, summed in rows."""
    size = len(s)
    row = 64  # partial sums keep the rounding error of the total small
    values[:] = 0.0
    for start in range(0, size, row):
        e = mx = my = mz = 0.0
        for i in range(start, min(start + row, size)):
            a, b, c = s[i, 0], s[i, 1], s[i, 2]
            # exchange energy is half of -S·(h - B), the Zeeman energy is -S·B
            e -= 0.5 * (a * (h[i, 0] + bias[0]) + b * (h[i, 1] + bias[1]) + c * (h[i, 2] + bias[2]))
            mx += a
            my += b
            mz += c
        values[0] += e
        values[1] += mx
        values[2] += my
        values[3] += mz


@kernel
def _gram(s, h, gram):
    """Inner products of the tangent gradients of E, Mx, My, Mz: g_E = -P h, g_a = P e_a."""
    gram[:] = 0.0
    for i in range(len(s)):
        a, b, c = s[i, 0], s[i, 1], s[i, 2]
        f, g, k = h[i, 0], h[i, 1], h[i, 2]
        along = a * f + b * g + c * k
        f, g, k = f - along * a, g - along * b, k - along * c
        gram[0, 0] += f * f + g * g + k * k
        gram[0, 1] -= f
        gram[0, 2] -= g
        gram[0, 3] -= k
        gram[1, 1] += 1.0 - a * a
        gram[2, 2] += 1.0 - b * b
        gram[3, 3] += 1.0 - c * c
        gram[1, 2] -= a * b
        gram[1, 3] -= a * c
        gram[2, 3] -= b * c
    for i in range(4):
        for j in range(i):
            gram[i, j] = gram[j, i]


@kernel
def _solve(gram, rhs, used, mu):
    """Solve gram mu = rhs for the constraints in ``used`` by pivoted elimination.

    Directions along which no tangent move exists (a ferromagnet in its ground
    state) have a vanishing pivot; they get mu = 0.
    """
    a = gram.copy()
    b = rhs.copy()
    left = used.copy()
    order = np.empty(4, np.int64)
    n = 0
    largest = 0.0
    for i in range(4):
        mu[i] = 0.0
        if used[i]:
            largest = max(largest, gram[i, i])
    while True:
        pivot = -1
        for i in range(4):
            if left[i] and (pivot < 0 or a[i, i] > a[pivot, pivot]):
                pivot = i
        if pivot < 0 or not a[pivot, pivot] > 1e-12 * largest:
            break
        left[pivot] = False
        order[n] = pivot
        n += 1
        for i in range(4):
            if left[i]:
                factor = a[i, pivot] / a[pivot, pivot]
                for j in range(4):
                    a[i, j] -= factor * a[pivot, j]
                b[i] -= factor * b[pivot]
    for step in range(n - 1, -1, -1):
        i = order[step]
        total = b[i]
        for later in range(step + 1, n):
            total -= a[i, order[later]] * mu[order[later]]
        mu[i] = total / a[i, i]


@kernel
def measure(spins, coupling, bias):
    """Energy and magnetisation of each sample, shape ``(n, 4)``."""
    field = np.empty(spins[:1].shape)
    size = spins[0].size // 3
    values = np.empty((len(spins), 4))
    for i in range(len(spins)):
        local_field(spins[i : i + 1], coupling, bias, field)
        _measure(spins[i].reshape(size, 3), field.reshape(size, 3), bias, values[i])
    return values


@kernel
def project(spins, targets, used, coupling, bias, max_iterations, tolerance):
    """Move spins, within their tangent planes, to the target energy and magnetisation.

    Newton's method for the multipliers mu of S ← normalize(S + Σ_k mu_k P g_k).

    Parameters
    ----------
    spins : (n, X, Y, Z, 3), changed in place; samples that do not converge become NaN
    targets : (n, 4), energy and magnetisation
    used : (4,) bool, which of them to restore
    tolerance : accepted distance per site if the iteration stalls
    """
    field = np.empty(spins[:1].shape)
    size = spins[0].size // 3
    gram, mu = np.empty((4, 4)), np.empty(4)
    values, rhs = np.empty(4), np.empty(4)
    h = field.reshape(size, 3)
    for i in range(len(spins)):
        s = spins[i].reshape(size, 3)
        distance = np.inf
        for iteration in range(max_iterations + 1):
            local_field(spins[i : i + 1], coupling, bias, field)
            _measure(s, h, bias, values)
            previous, distance = distance, 0.0
            for k in range(4):
                rhs[k] = targets[i, k] - values[k] if used[k] else 0.0
                distance = max(distance, abs(rhs[k]))
            # at rounding, or no longer falling: done
            if distance < 1e-15 * size or iteration == max_iterations:
                break
            if distance < 1e-12 * size and distance > 0.5 * previous:
                break
            _gram(s, h, gram)
            _solve(gram, rhs, used, mu)
            for j in range(size):
                a, b, c = s[j, 0], s[j, 1], s[j, 2]
                f, g, k = h[j, 0], h[j, 1], h[j, 2]
                x = mu[1] - mu[0] * f
                y = mu[2] - mu[0] * g
                z = mu[3] - mu[0] * k
                along = a * x + b * y + c * z
                a, b, c = a + x - along * a, b + y - along * b, c + z - along * c
                scale = 1.0 / np.sqrt(a * a + b * b + c * c)
                s[j, 0], s[j, 1], s[j, 2] = a * scale, b * scale, c * scale
        if not distance < tolerance * size:
            s[:] = np.nan
