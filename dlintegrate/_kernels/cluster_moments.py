"""Chebyshev moments of the electrons at a site, from the cluster of sites around it.

The same recursion as in :mod:`.chebyshev`, with the row of a site as there; but each lane
has its own cluster, cut out around its own site, so that the cost of a site does not depend
on the size of the lattice, and no path goes around it. Sites in lanes are neighbours in a
row of the lattice: so the spins of the same place in all their clusters are, too.
"""

from functools import lru_cache

import numpy as np

from .chebyshev import DOWN, DOWN_IM, IM, LANES, ROW, SITES, overlap_row
from .jit import inlined_kernel, kernel
from .triangular import NEAREST


@inlined_kernel
def _onsite(x, old, new, energy, sx, sy, sz, factor):
    """``new = factor * (on-site part) x - old`` at one place, with a spin for each lane."""
    for start in range(0, LANES, SITES):
        for s in range(SITES):
            c = start + s
            a, b, u, v = x[c], x[IM + c], x[DOWN + c], x[DOWN_IM + c]
            up, down = energy + sz[s], energy - sz[s]
            new[c] = factor * (up * a + sx[s] * u + sy[s] * v) - old[c]
            new[IM + c] = factor * (up * b + sx[s] * v - sy[s] * u) - old[IM + c]
            new[DOWN + c] = factor * (down * u + sx[s] * a - sy[s] * b) - old[DOWN + c]
            new[DOWN_IM + c] = factor * (down * v + sx[s] * b + sy[s] * a) - old[DOWN_IM + c]


@inlined_kernel
def _hop(a, b, c, d, e, f, new, t):
    for k in range(ROW):
        new[k] += t * ((a[k] + b[k] + c[k]) + (d[k] + e[k] + f[k]))


@inlined_kernel
def _apply(x, old, new, n, spins, energy, near, far, t_near, t_far, factor):
    """``new = factor * H x - old`` at the first ``n`` places."""
    for i in range(n):
        _onsite(x[i], old[i], new[i], energy, spins[i, 0], spins[i, 1], spins[i, 2], factor)
        p, q, r, s, u, v = near[i, 0], near[i, 1], near[i, 2], near[i, 3], near[i, 4], near[i, 5]
        _hop(x[p], x[q], x[r], x[s], x[u], x[v], new[i], factor * t_near)
        p, q, r, s, u, v = far[i, 0], far[i, 1], far[i, 2], far[i, 3], far[i, 4], far[i, 5]
        _hop(x[p], x[q], x[r], x[s], x[u], x[v], new[i], factor * t_far)


@kernel
def cluster_moments(padded, width, places, counts, near, far, scales, out):
    """Moments of the density and spin density at the sites of one row of the lattice.

    Parameters
    ----------
    padded : ndarray of float32, shape (3, n)
        Spins, with as much of the periodic lattice around them as clusters need, flat;
        from the first site of the row on, places of its cluster are found at ``places``.
    width : int
        Sites of the row.
    places : ndarray of int, shape (n_places,)
        Where the places of a cluster are, the nearest in hops first.
    counts : ndarray of int, shape (n_moments // 2 + 1,)
        How many of them each vector of the recursion needs: those in reach of so many hops.
    near, far : ndarray of int, shape (n_places, 6)
        Nearest and third neighbours of each place; ``n_places`` for those outside.
    scales : ndarray of float32, shape (4,)
        Rescaled on-site energy, exchange, hopping to near and far places: elements of the
        matrix, of which the exchange is that with the spin.
    out : ndarray of float32, shape (n_moments, 4, width)
        Filled: trace, and the traces with the Pauli matrices, of the on-site blocks of
        Chebyshev polynomials of the rescaled Hamiltonian.
    """
    n_places = len(places)
    energy, exchange, t_near, t_far = scales[0], scales[1], scales[2], scales[3]
    x = np.zeros((3, n_places + 1, ROW), np.float32)
    spins = np.empty((n_places, 3, SITES), np.float32)
    overlap = np.empty(2 * LANES, np.float32)
    block = np.empty((2, 2 * LANES), np.float32)
    one, two = np.float32(1.0), np.float32(2.0)
    for first in range(0, width, SITES):
        for i in range(n_places):
            for m in range(3):
                begin = places[i] + first
                for s in range(SITES):
                    spins[i, m, s] = exchange * padded[m, begin + s]
        x[:] = np.float32(0.0)
        for s in range(SITES):
            x[0, 0, s] = one
            x[0, 0, DOWN + SITES + s] = one
        _apply(x[0], x[2], x[1], counts[1], spins, energy, near, far, t_near, t_far, one)
        now, following, spare = 0, 1, 2
        for half in range(len(counts) - 1):
            for odd in range(2):
                other = following if odd == 1 else now
                overlap[:] = np.float32(0.0)
                for i in range(counts[half]):
                    overlap_row(x[other, i], x[now, i], overlap)
                if half == 0:
                    block[odd] = overlap
                else:
                    for c in range(2 * LANES):
                        overlap[c] = two * overlap[c] - block[odd, c]
                _put(overlap, first, out[2 * half + odd])
            if half + 2 < len(counts):
                _apply(x[following], x[now], x[spare], counts[half + 2], spins, energy, near, far,
                       t_near, t_far, two)  # fmt: skip
                now, following, spare = following, spare, now


@kernel
def _put(overlap, first, out):
    """Trace and spin of the blocks ↑↑, ↓↓, ↑↓."""
    two = np.float32(2.0)
    for s in range(min(SITES, out.shape[1] - first)):
        up, down = overlap[s], overlap[SITES + s]
        out[0, first + s] = up + down
        out[1, first + s] = two * overlap[LANES + s]
        out[2, first + s] = -two * overlap[LANES + SITES + s]
        out[3, first + s] = up - down


@lru_cache(maxsize=16)
def cluster(reach, n_steps):
    """The sites within ``reach`` bonds of a site, nearest in hops first.

    Parameters
    ----------
    reach : int
    n_steps : int
        Half the number of moments.

    Returns
    -------
    places : ndarray of int, shape (n_places, 2)
    counts, near, far : ndarray of int
        As :func:`cluster_moments` takes them.
    """
    hops, front = {(0, 0): 0}, [(0, 0)]
    for a, b in front:
        for x, y in NEAREST:
            for place in ((a + x, b + y), (a + 2 * x, b + 2 * y)):
                distance = place[0] ** 2 + place[0] * place[1] + place[1] ** 2
                if distance <= reach**2 and place not in hops:
                    hops[place] = hops[a, b] + 1
                    front.append(place)
    number = {place: i for i, place in enumerate(hops)}
    near, far = (
        np.array([[number.get((a + r * x, b + r * y), len(hops)) for x, y in NEAREST]
                  for a, b in hops]) for r in (1, 2)
    )  # fmt: skip
    steps = np.minimum(np.arange(n_steps + 1), n_steps - 1)  # the last vector meets the one before
    counts = (np.array(list(hops.values())) <= steps[:, None]).sum(axis=1)
    return np.array(list(hops)), counts, near, far


def lattice_moments(spins, scales, n_moments, reach):
    """Moments at all sites of one sample.

    Parameters
    ----------
    spins : ndarray, shape (X, Y, 3)
    scales : tuple of 4 floats
        See :func:`cluster_moments`.
    n_moments, reach : int

    Returns
    -------
    ndarray of float32, shape (X, n_moments, 4, Y)
    """
    places, *geometry = cluster(reach, n_moments // 2)
    n_x, n_y, _ = spins.shape
    margin = np.abs(places).max()  # more than the reach: axes are not orthogonal
    rows = np.arange(-margin, n_x + margin) % n_x
    columns = np.arange(-margin, n_y + margin + SITES) % n_y
    planes = np.moveaxis(spins[rows][:, columns], -1, 0)
    padded = np.ascontiguousarray(planes, np.float32).reshape(3, -1)
    flat = (places + margin) @ (len(columns), 1)
    out = np.empty((n_x, n_moments, 4, n_y), np.float32)
    for row in range(n_x):
        cluster_moments(
            padded, n_y, flat + row * len(columns), *geometry, np.float32(scales), out[row]
        )
    return out
