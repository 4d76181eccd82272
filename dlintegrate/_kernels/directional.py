"""Layers of the directional network, one sample at a time.

Sites lie in SIMD lanes: vectors have shape (channels, 6 directions, 3, X, Y), scalars
(channels, 6, X, Y). So every product with a matrix is one call of BLAS: of what belongs
to a direction after its first axis, of the directions with each other after the second.
Rows of the lattice can be computed one lot after the other, which bounds the memory for
the arrays in between.
Outputs and buffers come from the caller; all arrays have one floating type.
"""

import numpy as np

from .jit import kernel

#: Taps of a spread are summed in groups of this size; kernels are padded with zeros to it.
GROUP = 10


@kernel
def _inside(i, n):
    """A coordinate on the periodic lattice; cheaper than a remainder."""
    while i < 0:
        i += n
    while i >= n:
        i -= n
    return i


@kernel
def pad(x, first, n_rows, reach, out):
    """Write rows of the plane ``x``, with ``reach`` sites around them, flat."""
    n_x, n_y = x.shape
    width = n_y + 2 * reach
    for i in range(n_rows + 2 * reach):
        row, source = i * width, _inside(first + i - reach, n_x)
        for j in range(n_y):
            out[row + reach + j] = x[source, j]
        for j in range(reach):
            out[row + j] = x[source, _inside(j - reach, n_y)]
            out[row + reach + n_y + j] = x[source, _inside(j, n_y)]


@kernel
def pad_all(x, first, n_rows, reach, out):
    """The same of planes (m, X, Y), one after the other."""
    plane = (n_rows + 2 * reach) * (x.shape[2] + 2 * reach)
    for c in range(len(x)):
        pad(x[c], first, n_rows, reach, out[c * plane :])


@kernel
def _add_taps(a, b, c, d, e, f, g, h, p, q, weights, out):
    s, t, u, v, w = weights[0], weights[1], weights[2], weights[3], weights[4]
    x, y, z, r, o = weights[5], weights[6], weights[7], weights[8], weights[9]
    for i in range(len(out)):
        near = s * a[i] + t * b[i] + u * c[i] + v * d[i] + w * e[i]
        out[i] += near + (x * f[i] + y * g[i] + z * h[i] + r * p[i] + o * q[i])


@kernel
def sum_taps(padded, weights, places, out):
    """Weighted sums of a padded plane, shifted; rows keep the width of the padded plane."""
    n = len(out)
    out[:] = np.float32(0.0)
    for t in range(0, len(weights), GROUP):
        a, b, c, d, e = places[t], places[t + 1], places[t + 2], places[t + 3], places[t + 4]
        f, g, h, p, q = places[t + 5], places[t + 6], places[t + 7], places[t + 8], places[t + 9]
        _add_taps(
            padded[a : a + n], padded[b : b + n], padded[c : c + n], padded[d : d + n],
            padded[e : e + n], padded[f : f + n], padded[g : g + n], padded[h : h + n],
            padded[p : p + n], padded[q : q + n], weights[t : t + GROUP], out,
        )  # fmt: skip


@kernel
def spread(x, first, weights, geometry, out):
    """Sum over neighbours, each channel and direction with weights of its own.

    Parameters
    ----------
    x : ndarray, shape (n, m, X, Y)
    first : int
        The row of the lattice that is the first in ``out``.
    weights : ndarray, shape (n, n_taps)
    geometry : tuple
        Reach, where a padded plane has the neighbours of its first site, a buffer for m such
        planes, and one for what :func:`sum_taps` fills.
    out : ndarray, shape (n, m, n_rows, Y)
    """
    reach, places, padded, flat = geometry
    n, m, n_rows, n_y = out.shape
    width = n_y + 2 * reach
    plane = width * (n_rows + 2 * reach)
    sums = flat[: (m - 1) * plane + (n_rows - 1) * width + n_y]
    for k in range(n):
        pad_all(x[k], first, n_rows, reach, padded)
        sum_taps(padded, weights[k], places, sums)  # of m planes at once: one long loop
        for c in range(m):
            for i in range(n_rows):
                begin = c * plane + i * width
                for j in range(n_y):
                    out[k, c, i, j] = sums[begin + j]


@kernel
def far_sites(spins, first, n_rows, reach, places, padded, out):
    """Spins at all displacements of the first layer, (n_taps, 3, n_rows * Y)."""
    n_y = spins.shape[2]
    width = n_y + 2 * reach
    for m in range(3):
        pad(spins[m], first, n_rows, reach, padded)
        for t in range(len(places)):
            for i in range(n_rows):
                begin = places[t] + i * width
                for j in range(n_y):
                    out[t, m, i * n_y + j] = padded[begin + j]


@kernel
def dot(a, b, out):
    """Products of two vectors at each site."""
    x, y, z, u, v, w = a[0], a[1], a[2], b[0], b[1], b[2]
    for i in range(len(out)):
        out[i] = x[i] * u[i] + y[i] * v[i] + z[i] * w[i]


@kernel
def times(a, b, out):
    """``out = a b``."""
    for i in range(len(out)):
        out[i] = a[i] * b[i]


@kernel
def add_times(a, b, out):
    """``out += a b``."""
    for i in range(len(out)):
        out[i] += a[i] * b[i]


@kernel
def _inverse_root(x, factor):
    for i in range(len(x)):
        x[i] = np.float32(1.0) / np.sqrt(np.float32(1.0) + factor * x[i])


@kernel
def soften(known, roots):
    """Divide the invariants of a site and direction by their norm where that is large.

    Parameters
    ----------
    known : ndarray, shape (n, 6, n_sites)
        Changed in place.
    roots : ndarray, shape (6, n_sites)
        Filled with the factors.
    """
    n = len(known)
    share = np.float32(1.0) / known.dtype.type(n)
    roots[:] = np.float32(0.0)
    for k in range(n):
        for d in range(6):
            add_times(known[k, d], known[k, d], roots[d])
    for d in range(6):
        _inverse_root(roots[d], share)
    for k in range(n):
        for d in range(6):
            times(roots[d], known[k, d], known[k, d])


@kernel
def _activate(x, bias, out):
    """Smooth rectifier without an exponential; ``x`` keeps what it was applied to."""
    half, one = np.float32(0.5), np.float32(1.0)
    for i in range(len(out)):
        z = x[i] + bias
        x[i] = z
        out[i] = half * z * (one + z / np.sqrt(one + z * z))


@kernel
def along_spins(vectors, spins, out):
    """Components of vectors (n, 6, 3, n_sites) along the spins (3, n_sites)."""
    for c in range(len(out)):
        for d in range(6):
            dot(vectors[c, d], spins, out[c, d])


@kernel
def _to_orders(a, b, c, d, e, f, out):
    """Sums over six directions with cosines and sines of the orders 0 to 3."""
    half, root = np.float32(0.5), np.sqrt(a.dtype.type(0.75))
    zero, one, one_sine, two, two_sine, three = out[0], out[1], out[2], out[3], out[4], out[5]
    for i in range(len(a)):
        p, q, r = a[i] + d[i], b[i] + e[i], c[i] + f[i]
        u, v, w = a[i] - d[i], b[i] - e[i], c[i] - f[i]
        zero[i] = p + q + r
        two[i] = p - half * (q + r)
        two_sine[i] = root * (q - r)
        three[i] = u - v + w
        one[i] = u + half * (v - w)
        one_sine[i] = root * (v + w)


@kernel
def _from_orders(orders, a, b, c, d, e, f):
    half, root = np.float32(0.5), np.sqrt(a.dtype.type(0.75))
    zero, one, one_sine = orders[0], orders[1], orders[2]
    two, two_sine, three = orders[3], orders[4], orders[5]
    for i in range(len(a)):
        even, odd = zero[i] + two[i], three[i] + one[i]
        a[i], d[i] = even + odd, even - odd
        u, v = zero[i] - half * two[i], root * two_sine[i]
        w, z = half * one[i] - three[i], root * one_sine[i]
        b[i], e[i] = u + v + (w + z), u + v - (w + z)
        c[i], f[i] = u - v + (z - w), u - v - (z - w)


@kernel
def turn_to_orders(x, out):
    """Directions of ``x`` (n, 6, k) to cosines and sines of the orders of the angle, (6, n, k)."""
    for c in range(len(x)):
        _to_orders(x[c, 0], x[c, 1], x[c, 2], x[c, 3], x[c, 4], x[c, 5], out[:, c])


@kernel
def turn_from_orders(orders, out):
    """The transpose of :func:`turn_to_orders`."""
    for c in range(len(out)):
        _from_orders(orders[:, c], out[c, 0], out[c, 1], out[c, 2], out[c, 3], out[c, 4], out[c, 5])


@kernel
def halves(scratch, n, k):
    """Two arrays (6, n, k) in a buffer."""
    size = 6 * n * k
    return scratch[:size].reshape(6, n, k), scratch[size : 2 * size].reshape(6, n, k)


@kernel
def mix(x, orders, scratch, out):
    """Mix channels and directions, as the matrix does that depends on angles alone.

    Such a matrix falls apart into one for each order of the angle, a sixth of the products.

    Parameters
    ----------
    x, out : ndarray, shape (n, 6, k)
    orders : ndarray, shape (4, n, n)
        See ``Mixing.orders``.
    scratch : ndarray
        Buffer for two arrays as large as ``x``.
    """
    turned, mixed = halves(scratch, x.shape[0], x.shape[2])
    turn_to_orders(x, turned)
    for number in range(6):
        np.dot(orders[(number + 1) // 2], turned[number], mixed[number])
    turn_from_orders(mixed, out)


@kernel
def first_layer(spins, weights, start, shift, far, vectors, along, scalars):
    """Vectors from spins, and scalars from what of these is along the spin.

    Parameters
    ----------
    spins : ndarray, shape (3, n)
        Of the rows in hand.
    weights, start, shift : ndarray
        Taps, and the layer from vectors to scalars.
    far : ndarray, shape (n_taps, 3, n)
        See :func:`far_sites`.
    vectors, along, scalars : ndarray
        Buffers (n_vectors, 6, 3, n), (n_vectors, 6, n) and (n_scalars, 6, n), filled.
    """
    n = spins.shape[1]
    np.dot(weights, far.reshape(len(far), 3 * n), vectors.reshape(len(weights), 3 * n))
    along_spins(vectors, spins, along)
    np.dot(start, along.reshape(len(along), 6 * n), scalars.reshape(len(scalars), 6 * n))
    for k in range(len(scalars)):
        row = scalars[k].reshape(6 * n)
        for i in range(6 * n):
            row[i] += shift[k]


@kernel
def put(rows, first, out):
    """Write rows (k, n) to sites from ``first`` of ``out`` (k, n_sites)."""
    for k in range(len(rows)):
        for i in range(rows.shape[1]):
            out[k, first + i] = rows[k, i]


@kernel
def block(vectors, scalars, spins, first, weights, geometry, buffers, new_vectors, new_scalars):
    """Some rows of one block: spread, mix directions, gate by invariants, take up the spins.

    Parameters
    ----------
    vectors : ndarray, shape (n_vectors, 6, 3, X, Y)
    scalars : ndarray, shape (n_scalars, 6, X, Y)
    spins : ndarray, shape (3, n)
        Of the rows in hand.
    first : int
        Their first row. There are as many as the buffers have place for.
    weights : tuple of ndarray
        Taps of the vectors and matrices of :func:`mix`, the same of the scalars, partners,
        hidden layer and its bias, gates and their bias.
    geometry : tuple
        See :func:`spread`.
    buffers : tuple of ndarray
        For sums before and after mixing, partners, scalars before mixing, invariants, their
        roots, hidden layer before and after the rectifier, gates, and for :func:`mix`.
    new_vectors, new_scalars : ndarray
        These rows are filled.
    """
    taps, mixing, scalar_taps, scalar_mixing, partner, hidden, shift, gate, offset = weights
    unmixed, sums, partners, unmixed_scalars, known, roots, bent, layer, gates, scratch = buffers
    n_vectors, n_scalars, n_hidden = len(vectors), len(scalars), len(layer)
    n_x, n_y = scalars.shape[2:]
    n, n_sites = gates.shape[2], n_x * n_y
    n_rows, place = n // n_y, first * n_y
    spread(vectors.reshape(6 * n_vectors, 3, n_x, n_y), first, taps, geometry,
           unmixed.reshape(6 * n_vectors, 3, n_rows, n_y))  # fmt: skip
    mix(unmixed.reshape(n_vectors, 6, 3 * n), mixing, scratch, sums.reshape(n_vectors, 6, 3 * n))
    spread(scalars.reshape(6 * n_scalars, 1, n_x, n_y), first, scalar_taps, geometry,
           unmixed_scalars.reshape(6 * n_scalars, 1, n_rows, n_y))  # fmt: skip
    mix(unmixed_scalars, scalar_mixing, scratch, known[2 * n_vectors + n_scalars :])
    np.dot(partner, sums.reshape(n_vectors, 18 * n), partners.reshape(n_vectors, 18 * n))
    along_spins(sums, spins, known[:n_vectors])
    for c in range(n_vectors):
        for d in range(6):
            dot(sums[c, d], partners[c, d], known[n_vectors + c, d])
    old = scalars.reshape(n_scalars, 6, n_sites)
    for k in range(n_scalars):
        for d in range(6):
            row = known[2 * n_vectors + k, d]
            for i in range(n):
                row[i] = old[k, d, place + i]
    soften(known, roots)
    np.dot(hidden, known.reshape(len(known), 6 * n), bent.reshape(n_hidden, 6 * n))
    for k in range(n_hidden):
        _activate(bent[k].reshape(6 * n), shift[k], layer[k].reshape(6 * n))
    np.dot(gate, layer.reshape(n_hidden, 6 * n), gates.reshape(len(gates), 6 * n))
    for k in range(len(gates)):
        row = gates[k].reshape(6 * n)
        for i in range(6 * n):
            row[i] += offset[k]
    _move(
        vectors.reshape(n_vectors, 6, 3, n_sites), place, sums, spins, gates[:n_vectors],
        gates[n_vectors + n_scalars :], new_vectors.reshape(n_vectors, 6, 3, n_sites),
    )  # fmt: skip
    new = new_scalars.reshape(n_scalars, 6, n_sites)
    for k in range(n_scalars):
        for d in range(6):
            change = gates[n_vectors + k, d]
            for i in range(n):
                new[k, d, place + i] = old[k, d, place + i] + change[i]


@kernel
def _add_two(a, x, b, y, z, out):
    for i in range(len(out)):
        out[i] = z[i] + a[i] * x[i] + b[i] * y[i]


@kernel
def _move(vectors, place, sums, spins, gates, taken, out):
    n = gates.shape[2]
    for c in range(len(vectors)):
        for d in range(6):
            for m in range(3):
                _add_two(
                    gates[c, d], sums[c, d, m], taken[c, d], spins[m],
                    vectors[c, d, m, place : place + n], out[c, d, m, place : place + n],
                )  # fmt: skip


@kernel
def gated_sum(vectors, gates, offset, out):
    """Fields (3, n_sites) of vectors (n, 6, 3, n_sites), weighted by gates (n, 6, n_sites)."""
    out[:] = np.float32(0.0)
    for c in range(len(vectors)):
        for d in range(6):
            row = gates[c, d]
            for i in range(len(row)):
                row[i] += offset[c]
            for m in range(3):
                add_times(row, vectors[c, d, m], out[m])
