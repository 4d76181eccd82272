"""Cost and error of the electronic fields on one core.

    python benchmarks/bench_electrons.py            # 12² and 24²
    python benchmarks/bench_electrons.py --large    # 48² too: minutes

Seconds of processor time per field, and relative errors of the field and of the torque,
that is of the part of the field across the spin: it is the smaller part, and the only one
that moves spins. Without --large, what is known of 48² is kept. Run with OMP_NUM_THREADS=1.
"""

import argparse
import json
import time

import numpy as np
import torch
from common import RESULTS, record

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    TriangularSDModel,
    skyrmion_lattice,
)
from dlintegrate.metrics import torque_error

SEED = 20230301
LARGE = 48
REPEATS = {12: 5, 24: 3, 48: 1}


def model_of(side, solver):
    """The electrons alone: no external field."""
    return TriangularSDModel((side, side), field=(0, 0, 0), solver=solver)


def states_of(side):
    """What spins may look like far from order and close to it."""
    return {
        "random": model_of(side, None).random_states(1, SEED),
        "skyrmion lattice": skyrmion_lattice((side, side), perturbation=0.1, random_state=SEED),
    }


def timed(model, spins, repeats=1, clock=time.process_time):
    """The field, and the shortest time it took."""
    best = np.inf
    for _ in range(repeats):
        started = clock()
        field = model.local_field(spins)
        best = min(best, clock() - started)
    return field, best


def errors(field, exact, spins):
    """Relative errors of the whole field and of the torque."""
    whole = float(np.linalg.norm(field - exact) / np.linalg.norm(exact))
    return {"error": whole, "torque_error": torque_error(field, exact, spins)}


def deterministic(side):
    """Moments and kernels against exact diagonalisation, for random spins."""
    spins = states_of(side)["random"]
    exact, seconds = timed(model_of(side, ExactDiagonalization()), spins, REPEATS[side])
    yield {"L": side, "solver": "exact diagonalisation", "seconds": seconds}
    for n_moments, kernel in ((200, "none"), (300, "none"), (400, "none"), (400, "jackson")):
        model = model_of(side, KernelPolynomial(n_moments, kernel))
        field, seconds = timed(model, spins, REPEATS[side])
        name = f"KPM, {n_moments} moments" + (", Jackson" if kernel == "jackson" else "")
        yield {"L": side, "solver": name, "seconds": seconds, **errors(field, exact, spins)}


def probing(side):
    """Coloured probes against one probe for each site and spin; means over three seeds."""
    for name, spins in states_of(side).items():
        exact, seconds = timed(model_of(side, KernelPolynomial(300)), spins, REPEATS[side])
        row = {"L": side, "state": name}
        yield {**row, "method": "deterministic", "probes": 2 * side**2, "seconds": seconds}
        for c in (c for c in (4, 6, 8, 12, 24) if c < side):
            measured = []
            for seed in range(3):
                solver = KernelPolynomial(
                    300, method="probing", n_colors=c**2, random_state=SEED + seed
                )
                field, seconds = timed(model_of(side, solver), spins)
                measured.append({"seconds": seconds, **errors(field, exact, spins)})
            mean = {key: float(np.mean([m[key] for m in measured])) for key in measured[0]}
            mean["seconds"] = min(m["seconds"] for m in measured)
            yield {**row, "method": "probing", "n_colors": c**2, "probes": 2 * c**2, **mean}


def twists(side):
    """What a finite lattice does to the field: grids of twists against a finer grid."""
    numbers = {12: (1, 2, 4, 8), 24: (1, 2, 4)}[side]
    for name, spins in states_of(side).items():
        fields = {
            n: timed(model_of(side, ExactDiagonalization(n_twists=n)), spins)[0] for n in numbers
        }
        for n in numbers[:-1]:
            found = errors(fields[n], fields[numbers[-1]], spins)
            row = {"L": side, "state": name, "n_twists": n, "reference_twists": numbers[-1]}
            yield {**row, **found}


def batches(side, n_samples=4):
    """Seconds on the wall per field of several states at once."""
    spins = model_of(side, None).random_states(n_samples, SEED)
    ways = {"compiled, 1 thread": {}, "compiled, 2 threads": {"n_jobs": 2}}
    ways["torch, processor"] = {"device": "cpu"}
    if torch.cuda.is_available():
        ways["torch, GPU"] = {"device": "cuda"}
    known = None
    for name, options in ways.items():
        model = model_of(side, KernelPolynomial(300, **options))
        repeats = 1 if name == "torch, processor" else 3
        field, seconds = timed(model, spins, repeats, time.perf_counter)
        known = field if known is None else known
        row = {"L": side, "samples": n_samples, "way": name, "seconds": seconds / n_samples}
        yield {**row, "difference": float(np.abs(field - known).max())}


def kept(key):
    """Rows of large lattices from the last time that they were measured."""
    path = RESULTS / "electrons.json"
    content = json.loads(path.read_text()) if path.is_file() else {}
    rows = content.get("results", {}).get(key, [])
    keys = ("command", "date", "commit", "cpu")
    origin = {k: content["metadata"].get(k) for k in keys} if rows else {}
    return [{"kept_from": origin, **row} for row in rows if row["L"] == LARGE]


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    started = time.time()
    torch.set_num_threads(1)
    sides = (12, 24, LARGE) if options.large else (12, 24)
    plan = {
        "fields": (deterministic, sides),
        "probing": (probing, sides[1:]),
        "twists": (twists, (12, 24)),
        "batches": (batches, (12, 24)),
    }
    results = {}
    for key, (measure, lengths) in plan.items():
        results[key] = []
        for side in lengths:
            for row in measure(side):
                results[key].append(row)
                print(key, row, flush=True)
        results[key] += [] if LARGE in lengths else kept(key)
    model = TriangularSDModel((24, 24))
    results["suggested_moments"] = [
        {"tol": tol, "n_moments": KernelPolynomial.suggest_moments(model, tol)}
        for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    ]
    record("electrons", results, started, seeds=SEED)


if __name__ == "__main__":
    main()
