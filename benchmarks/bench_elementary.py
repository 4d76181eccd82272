"""What the ridge regression on elementary differentials reaches, and what it costs.

``python benchmarks/bench_elementary.py [--quick]`` fits orders 3 to 6 on 48 samples of 6³
(base ST2, dt = 0.1) and measures on unseen samples: one-step errors on several lattices, time
per spin and step, threshold times with and without projection beside ST2 and
Blanes-Moan at the same measured time, and drifts over t = 100.
"""

import argparse
import time

import numpy as np
import xarray as xr
from common import record

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
    sample_canonical,
)
from dlintegrate.metrics import threshold_time

DT = 0.1
ORDERS = (3, 4, 5, 6)
TEMPERATURES = (0.4, 1.44, 2.4)
#: Long enough for order 6; one longer than the threshold only costs time.
T_MAX = {0.4: 400.0, 1.44: 30.0, 2.4: 30.0}
INVARIANTS = ("energy", "magnetization")


def samples(side, temperature, n, seed):
    system = HeisenbergLattice(side)
    return np.asarray(sample_canonical(system, temperature, n, random_state=seed))


def exact(side, dt=0.01):
    return BlanesMoan4(HeisenbergLattice(side), dt)


def fit(seed):
    """One corrected integrator per order and projection, and the seconds each fit took."""
    base = SuzukiTrotter2(HeisenbergLattice(6), DT)
    before = np.concatenate([samples(6, T, 16, seed + i) for i, T in enumerate(TEMPERATURES)])
    labels = exact(6).advance(before, 10)
    integrators, seconds = {}, {}
    for order in ORDERS:
        for projection in ("norm", INVARIANTS):
            started = time.perf_counter()
            integrator = CorrectedIntegrator(
                base, ElementaryDifferentialResidue(order), projection=projection
            )
            integrators[order, projection] = integrator.fit(before, labels)
            seconds[order] = time.perf_counter() - started
    return integrators, seconds


def one_step_errors(integrators, sides, seed):
    steps = {f"order {n}": integrators[n, "norm"] for n in ORDERS}
    base = SuzukiTrotter2(HeisenbergLattice(6), DT)
    rows = []
    for side in sides:
        for i, temperature in enumerate(TEMPERATURES):
            states = samples(side, temperature, max(2, 8192 // side**3), seed + i)
            after = exact(side).advance(states, 10)
            row = {"side": side, "temperature": temperature}
            fine = SuzukiTrotter2(HeisenbergLattice(side), 0.01).advance(states, 10)
            moved = {"ST2 0.1": base.advance(states, 1), "ST2 0.01": fine}
            moved |= {name: step.advance(states, 1) for name, step in steps.items()}
            row |= {k: np.sqrt(((v - after) ** 2).sum(-1).mean()) for k, v in moved.items()}
            rows.append(row)
            print({k: f"{v:.3g}" for k, v in row.items()}, flush=True)
    return rows


def nanoseconds(integrator, states):
    """Nanoseconds per spin of one step: least processor time of the one thread that runs it.

    Processor time leaves out the waiting on a machine that others use as well.
    """
    n_steps = max(1, int(5e4 / (states.size / 3)))
    integrator.advance(states, 1)
    seconds = []
    for _ in range(30):
        started = time.thread_time()
        integrator.advance(states, n_steps)
        seconds.append(time.thread_time() - started)
    return min(seconds) / n_steps / (states.size / 3) * 1e9


def costs(integrators, sides):
    """Time per spin and step, and the dt of Blanes-Moan that takes the same time."""
    rows = []
    for side in sides:
        states = HeisenbergLattice(side).random_states(max(1, 8192 // side**3), 0)
        system = HeisenbergLattice(side)
        row = {
            "side": side,
            "ST2": nanoseconds(SuzukiTrotter2(system, DT), states),
            "BlanesMoan4": nanoseconds(BlanesMoan4(system, DT), states),
        }
        for (order, projection), integrator in integrators.items():
            name = f"order {order}" + (" projected" if projection == INVARIANTS else "")
            row[name] = nanoseconds(integrator, states)
        rows.append(row)
        print({k: round(v, 1) for k, v in row.items()}, flush=True)
    return rows


def correlations(step, n_steps, every, states, frames):
    """ξ(t) of every sample at the times of ``frames``, stopped soon after the mean passes 0.99."""
    xi = [np.ones(len(states))]
    for frame in frames:
        states = step.advance(states, n_steps)
        xi.append(np.einsum("n...c,n...c->n...", states, frame).reshape(len(states), -1).mean(1))
        if xi[-1].mean() < 0.95:
            break
    return xr.DataArray(
        np.array(xi).T, dims=("sample", "time"), coords={"time": every * np.arange(len(xi))}
    )


def contestants(integrators, cost):
    """Name to (integrator, steps per DT): what is compared, Blanes-Moan at equal time."""
    system = HeisenbergLattice(6)
    entries = {"ST2 0.1": (SuzukiTrotter2(system, DT), 1)}
    entries["ST2 0.01"] = (SuzukiTrotter2(system, 0.01), 10)
    for (order, projection), integrator in integrators.items():
        name = f"order {order}" + (" projected" if projection == INVARIANTS else "")
        entries[name] = (integrator, 1)
    return entries, {
        f"BlanesMoan4 in the time of order {n}": DT * cost["BlanesMoan4"] / cost[f"order {n}"]
        for n in ORDERS
    }


def thresholds(integrators, cost, sides, n_samples, seed):
    entries, equal = contestants(integrators, cost)
    rows = []
    for side in sides:
        for i, temperature in enumerate(TEMPERATURES):
            states = samples(side, temperature, n_samples, seed + i)
            every = 20 if temperature < 1 else 2  # frames, in units of DT
            n_frames = round(T_MAX[temperature] / (every * DT))
            reference, frames = exact(side, 0.02), []
            now = states
            for _ in range(n_frames):
                now = reference.advance(now, 5 * every)
                frames.append(now)
            row = {"side": side, "temperature": temperature}
            for name, (step, per_dt) in entries.items():
                xi = correlations(step, per_dt * every, every * DT, states, frames)
                row[name] = threshold_time(xi)
            for name, dt in equal.items():
                # a whole number of steps per frame, at least as many as the time allows
                n_steps = int(np.ceil(every * DT / dt))
                step = BlanesMoan4(HeisenbergLattice(side), every * DT / n_steps)
                xi = correlations(step, n_steps, every * DT, states, frames)
                row[name] = threshold_time(xi)
            rows.append({k: v._asdict() if hasattr(v, "_asdict") else v for k, v in row.items()})
            print({k: str(v) for k, v in row.items()}, flush=True)
    return rows


def drifts(integrators, side, n_samples, seed):
    """Largest change of energy and magnetisation per site over t = 100."""
    system, rows = HeisenbergLattice(side), []
    for i, temperature in enumerate(TEMPERATURES):
        states = samples(side, temperature, n_samples, seed + i)
        for projection in ("norm", INVARIANTS):
            now, start = states, system.observables(states)
            row = {"temperature": temperature, "projection": projection, "order": 5}
            row |= dict.fromkeys(INVARIANTS, 0.0)
            for _ in range(100):
                now = integrators[5, projection].advance(now, 10)
                for name in INVARIANTS:
                    change = np.abs(system.observables(now)[name][1] - start[name][1]).max()
                    row[name] = max(row[name], change / system.n_sites)
            rows.append(row)
            print(row, flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer and smaller samples")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    quick, seed = arguments.quick, arguments.seed
    started = time.time()
    integrators, seconds = fit(seed)
    results = {
        "fit_seconds": seconds,
        "training": {n: integrators[n, "norm"].history_ for n in ORDERS},
        "nanoseconds": costs(integrators, (4, 8, 16) if quick else (4, 8, 16, 32)),
        "one_step_error": one_step_errors(
            integrators, (4, 8) if quick else (4, 6, 8, 16), seed + 100
        ),
        "drift": drifts(integrators, 4 if quick else 8, 4, seed + 200),
    }
    cost = next(row for row in results["nanoseconds"] if row["side"] == 8)
    results["threshold_time"] = thresholds(
        integrators, cost, (4,) if quick else (4, 8), 10 if quick else 50, seed + 300
    )
    record("elementary_quick" if quick else "elementary", results, started, seeds=seed)


if __name__ == "__main__":
    main()
