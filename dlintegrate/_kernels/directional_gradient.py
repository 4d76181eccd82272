"""Gradients of :mod:`.directional`, by hand: with respect to weights and to inputs.

Gradients of weights are added to what is there.
"""

import numpy as np

from .directional import (
    add_times,
    dot,
    halves,
    pad_all,
    sum_taps,
    times,
    turn_from_orders,
    turn_to_orders,
)
from .jit import kernel, summing_kernel


@summing_kernel
def _add_products(a, b, c, d, e, g, out):
    s, t, u, v, w = g[0] * 0, g[0] * 0, g[0] * 0, g[0] * 0, g[0] * 0
    for i in range(len(g)):
        s += a[i] * g[i]
        t += b[i] * g[i]
        u += c[i] * g[i]
        v += d[i] * g[i]
        w += e[i] * g[i]
    out[0] += s
    out[1] += t
    out[2] += u
    out[3] += v
    out[4] += w


@summing_kernel
def _total(x):
    total = x[0] * 0
    for i in range(len(x)):
        total += x[i]
    return total


@kernel
def _add(x, out):
    for i in range(len(out)):
        out[i] += x[i]


@kernel
def spread_gradient(g, x, opposite, geometry, gx, gweights):
    """Add to ``gx`` and ``gweights`` what ``g`` says of ``spread(x)``.

    Parameters
    ----------
    g, x, gx : ndarray, shape (n, m, X, Y)
    opposite : ndarray, shape (n, n_taps)
        Weights of the opposite displacements.
    geometry : tuple
        See :func:`.directional.spread`.
    gweights : ndarray, shape (n, n_taps)
    """
    reach, places, padded, flat = geometry
    n, m, n_x, n_y = x.shape
    width = n_y + 2 * reach
    plane = width * (n_x + 2 * reach)
    length = (m - 1) * plane + (n_x - 1) * width + n_y
    for k in range(n):
        pad_all(g[k], 0, n_x, reach, padded)
        sum_taps(padded, opposite[k], places, flat[:length])
        for c in range(m):
            for i in range(n_x):
                begin = c * plane + i * width
                for j in range(n_y):
                    gx[k, c, i, j] += flat[begin + j]
        flat[:length] = np.float32(0.0)
        pad_all(x[k], 0, n_x, reach, padded)
        for c in range(m):
            for i in range(n_x):
                begin = c * plane + i * width
                for j in range(n_y):
                    flat[begin + j] = g[k, c, i, j]
        for t in range(0, len(places), 5):
            p, q, r, s, u = (places[t], places[t + 1], places[t + 2], places[t + 3],
                             places[t + 4])  # fmt: skip
            _add_products(
                padded[p : p + length], padded[q : q + length], padded[r : r + length],
                padded[s : s + length], padded[u : u + length], flat[:length],
                gweights[k, t : t + 5],
            )  # fmt: skip


@kernel
def mix_gradient(g, x, transposed, scratch, gx, gorders):
    """Fill ``gx``, and add to ``gorders``, what ``g`` says of ``mix(x)``.

    Parameters
    ----------
    g, x, gx : ndarray, shape (n, 6, k)
    transposed : ndarray, shape (4, n, n)
        The transposed matrices of the orders.
    scratch : ndarray
        See :func:`.directional.mix`.
    gorders : ndarray, shape (4, n, n)
    """
    turned, other = halves(scratch, x.shape[0], x.shape[2])
    turn_to_orders(g, turned)
    turn_to_orders(x, other)
    for number in range(6):
        gorders[(number + 1) // 2] += np.dot(turned[number], other[number].T)
    for number in range(6):
        np.dot(transposed[(number + 1) // 2], turned[number], other[number])
    turn_from_orders(other, gx)


@kernel
def _soften_row(root, softened, mean, g):
    for i in range(len(g)):
        g[i] = root[i] * (g[i] - softened[i] * mean[i])


@kernel
def soften_gradient(g, known, roots, buffer):
    """Replace ``g`` by the gradient before :func:`.directional.soften`; ``known`` after it."""
    n = len(known)
    share = np.float32(1.0) / known.dtype.type(n)
    buffer[:] = np.float32(0.0)
    for k in range(n):
        for d in range(6):
            add_times(g[k, d], known[k, d], buffer[d])
    for d in range(6):
        for i in range(buffer.shape[1]):
            buffer[d, i] *= share
    for k in range(n):
        for d in range(6):
            _soften_row(roots[d], known[k, d], buffer[d], g[k, d])


@kernel
def _activate_gradient(x, g):
    half, one, two = np.float32(0.5), np.float32(1.0), np.float32(2.0)
    for i in range(len(g)):
        z = x[i] / np.sqrt(one + x[i] * x[i])
        g[i] *= half + half * z * (two - z * z)


@kernel
def along_gradient(g, spins, gvectors):
    """Add the gradient of :func:`.directional.along_spins`."""
    for c in range(len(g)):
        for d in range(6):
            for m in range(3):
                add_times(g[c, d], spins[m], gvectors[c, d, m])


@kernel
def _move_gradient(g, sums, spins, gates, gsums, ggates, gtaken):
    for c in range(len(g)):
        for d in range(6):
            for m in range(3):
                times(g[c, d, m], gates[c, d], gsums[c, d, m])
            dot(g[c, d], sums[c, d], ggates[c, d])
            dot(g[c, d], spins, gtaken[c, d])


@kernel
def _pairs_gradient(g, sums, partners, gsums, gpartners):
    for c in range(len(g)):
        for d in range(6):
            for m in range(3):
                add_times(g[c, d], partners[c, d, m], gsums[c, d, m])
                times(g[c, d], sums[c, d, m], gpartners[c, d, m])


@kernel
def block_gradient(
    gvectors, gscalars, vectors, scalars, spins, transposed, geometry, buffers, gweights, spare
):
    """Turn gradients of what :func:`.directional.block` returns into those of its inputs.

    Parameters
    ----------
    gvectors, gscalars : ndarray
        Changed in place.
    vectors, scalars, spins, geometry, buffers
        As they were after the block, which was done in one lot.
    transposed : tuple of ndarray
        Its weights, without biases: taps of the opposite displacements, transposed matrices.
    gweights : tuple of ndarray
        Gradients of its weights, to be added to.
    spare : tuple of ndarray
        Buffers like sums, twice, like partners, gates, hidden layer, invariants and roots.
    """
    taps, mixing, scalar_taps, scalar_mixing, partner, hidden, gate = transposed
    gtaps, gmixing, gscalar_taps, gscalar_mixing, gpartner, ghidden, gshift, ggate, goffset = (
        gweights
    )
    unmixed, sums, partners, unmixed_scalars, known, roots, bent, layer, gates, scratch = buffers
    gsums, gunmixed, gpartners, ggates, gbent, gknown, row = spare
    n_vectors, n_scalars, n_hidden = len(vectors), len(scalars), len(layer)
    n_x, n_y = scalars.shape[2:]
    n = n_x * n_y
    gtaken = ggates[n_vectors + n_scalars :]
    _move_gradient(gvectors.reshape(n_vectors, 6, 3, n), sums, spins, gates, gsums, ggates, gtaken)
    ggates[n_vectors : n_vectors + n_scalars] = gscalars.reshape(n_scalars, 6, n)
    for k in range(len(gates)):
        goffset[k] += _total(ggates[k].reshape(6 * n))
    outer = ggates.reshape(len(gates), 6 * n)
    ggate += np.dot(outer, layer.reshape(n_hidden, 6 * n).T)
    np.dot(gate, outer, gbent.reshape(n_hidden, 6 * n))
    for k in range(n_hidden):
        _activate_gradient(bent[k].reshape(6 * n), gbent[k].reshape(6 * n))
        gshift[k] += _total(gbent[k].reshape(6 * n))
    inner = gbent.reshape(n_hidden, 6 * n)
    ghidden += np.dot(inner, known.reshape(len(known), 6 * n).T)
    np.dot(hidden, inner, gknown.reshape(len(known), 6 * n))
    soften_gradient(gknown, known, roots, row)
    along_gradient(gknown[:n_vectors], spins, gsums)
    _pairs_gradient(gknown[n_vectors : 2 * n_vectors], sums, partners, gsums, gpartners)
    gpairs = gpartners.reshape(n_vectors, 18 * n)
    gpartner += np.dot(gpairs, sums.reshape(n_vectors, 18 * n).T)
    np.dot(partner, gpairs, gunmixed.reshape(n_vectors, 18 * n))
    _add(gunmixed.reshape(n_vectors * 18 * n), gsums.reshape(n_vectors * 18 * n))
    whole = (n_vectors, 6, 3 * n)
    mix_gradient(
        gsums.reshape(whole), unmixed.reshape(whole), mixing, scratch, gunmixed.reshape(whole),
        gmixing,
    )  # fmt: skip
    spread_gradient(
        gunmixed.reshape(6 * n_vectors, 3, n_x, n_y), vectors.reshape(6 * n_vectors, 3, n_x, n_y),
        taps, geometry, gvectors.reshape(6 * n_vectors, 3, n_x, n_y), gtaps,
    )  # fmt: skip
    stayed = gknown[2 * n_vectors : 2 * n_vectors + n_scalars]
    _add(stayed.reshape(6 * n_scalars * n), gscalars.reshape(6 * n_scalars * n))
    garrived = gknown[2 * n_vectors + n_scalars :]
    # what stayed has been used: its place is that of the gradient before mixing
    mix_gradient(garrived, unmixed_scalars, scalar_mixing, scratch, stayed, gscalar_mixing)
    spread_gradient(
        stayed.reshape(6 * n_scalars, 1, n_x, n_y), scalars.reshape(6 * n_scalars, 1, n_x, n_y),
        scalar_taps, geometry, gscalars.reshape(6 * n_scalars, 1, n_x, n_y), gscalar_taps,
    )  # fmt: skip


@kernel
def gated_sum_gradient(g, vectors, gates, gvectors, ggates):
    """Gradients of :func:`.directional.gated_sum`: those of vectors and gates are filled."""
    for c in range(len(vectors)):
        for d in range(6):
            for m in range(3):
                times(g[m], gates[c, d], gvectors[c, d, m])
            dot(g, vectors[c, d], ggates[c, d])
