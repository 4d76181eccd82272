"""Torques from a short series in a small cluster, its coefficients fitted: no network.

    python benchmarks/bench_fitted_series.py FOLDER

The rival of learned torques that knows the Hamiltonian: Chebyshev moments of the spin density
at a site, from the cluster of sites within a few bonds of it, in a sum whose coefficients are
fitted to the training torques by least squares. Its cost per site does not depend on the
lattice either. FOLDER holds the stages of ``torque_data.py``. One core; 5 minutes.
"""

import argparse
import os
import time

import numpy as np
import torque_data
from common import fastest, record
from train_torque import read

from dlintegrate import TriangularSDModel
from dlintegrate._kernels.chebyshev import (
    DOWN,
    DOWN_IM,
    IM,
    LANES,
    ROW,
    SITES,
    _overlap_row,
)
from dlintegrate._kernels.jit import kernel
from dlintegrate.metrics import torque_error
from dlintegrate.systems.sd_model import NEAREST

#: Moments and reach of the cluster in bonds.
SERIES = ((12, 6), (12, 9), (16, 9), (20, 9), (24, 9), (24, 12), (32, 12))
#: The first moments have nothing across the spin.
FIRST = 3
STAGES = ("seed", "linear", "early", "more", "policy")
LARGE = 48


@kernel
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


@kernel
def _hop(a, b, c, d, e, f, new, t):
    for k in range(ROW):
        new[k] += t * ((a[k] + b[k] + c[k]) + (d[k] + e[k] + f[k]))


@kernel
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
                    _overlap_row(x[other, i], x[now, i], overlap)
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


def cluster(reach, n_steps):
    """Places of a cluster, how many each step needs, and their neighbours.

    See :func:`cluster_moments`.
    """
    sides = range(-reach, reach + 1)
    hops = {(0, 0): 0}
    front = [(0, 0)]
    while front:
        a, b = front.pop(0)
        for r in (1, 2):
            for x, y in NEAREST:
                place = (a + r * x, b + r * y)
                if place in hops or place[0] not in sides or place[1] not in sides:
                    continue
                if place[0] ** 2 + place[0] * place[1] + place[1] ** 2 <= reach**2:
                    hops[place] = hops[a, b] + 1
                    front.append(place)
    places = list(hops)  # the search goes from near to far
    number = {place: i for i, place in enumerate(places)}
    near, far = (
        np.array([[number.get((a + r * x, b + r * y), len(places)) for x, y in NEAREST]
                  for a, b in places]) for r in (1, 2)
    )  # fmt: skip
    steps = np.minimum(np.arange(n_steps + 1), n_steps - 1)
    counts = (np.array(list(hops.values())) <= steps[:, None]).sum(1)
    return np.array(places), counts, near, far


def moments(spins, n_moments, reach):
    """Vectors of the moments at each site, (n_samples, X, Y, 3, n_moments - FIRST)."""
    model = TriangularSDModel(spins.shape[1:3])
    centre, half_width = model.spectrum
    scales = np.array([-centre, -model.exchange, -model.t1, -model.t3], np.float32) / half_width
    places, *geometry = cluster(reach, n_moments // 2)
    n, n_x, n_y, _ = spins.shape
    x, y = np.arange(-reach, n_x + reach) % n_x, np.arange(-reach, n_y + reach + SITES) % n_y
    flat = (places + reach) @ (len(y), 1)
    out = np.empty((n, n_x, n_moments, 4, n_y), np.float32)
    for k in range(n):
        padded = np.moveaxis(spins[k][x][:, y], -1, 0).reshape(3, -1).astype(np.float32)
        for row in range(n_x):
            cluster_moments(padded, n_y, flat + row * len(y), *geometry, np.float32(scales),
                            out[k, row])  # fmt: skip
    return np.moveaxis(out[:, :, FIRST:, 1:], (2, 3), (4, 3))


def fit(spins, fields, n_moments, reach):
    """Coefficients by least squares of the torques."""
    size = n_moments - FIRST
    products, sides = np.zeros((size, size)), np.zeros(size)
    for k in range(len(spins)):
        columns = moments(spins[k : k + 1], n_moments, reach)[0].astype(float)
        columns -= np.einsum("xyck,xyc,xyd->xydk", columns, spins[k], spins[k])
        torque = torque_data._perp(fields[k], spins[k])
        products += np.einsum("xyck,xycl->kl", columns, columns)
        sides += np.einsum("xyck,xyc->k", columns, torque)
    return np.linalg.lstsq(products, sides, rcond=1e-12)[0]


def main():
    """Fit on the training states, judge on the test trajectories, time on a large lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    started = time.time()
    spins, fields = read(folder, STAGES)
    test = {k: np.float64(v) for k, v in np.load(os.path.join(folder, "test.npz")).items()}
    states = test["spins"].reshape(-1, *test["spins"].shape[-3:])
    truth = test["fields"].reshape(states.shape)
    large = torque_data.unit(np.random.default_rng(0).normal(size=(1, LARGE, LARGE, 3)))
    rows = []
    for n_moments, reach in SERIES:
        weights = fit(spins, fields, n_moments, reach)
        predicted = moments(states, n_moments, reach) @ weights
        seconds, _ = fastest(lambda n=n_moments, r=reach, w=weights: moments(large, n, r) @ w)
        rows.append({
            "moments": n_moments, "reach": reach, "error": torque_error(predicted, truth, states),
            "error at t = 400": torque_error(
                predicted.reshape(test["spins"].shape)[:, -1], test["fields"][:, -1],
                test["spins"][:, -1],
            ),
            "seconds on 48²": seconds,
        })  # fmt: skip
        print(rows[-1], flush=True)
    record("fitted_series", {"states": len(spins), "rows": rows}, started, seeds=0)


if __name__ == "__main__":
    main()
