"""Cost and error of the electronic fields on one core.

    python benchmarks/bench_electrons.py            # 12² and 24²
    python benchmarks/bench_electrons.py --large    # 48² too: minutes

Seconds per field and relative error against exact diagonalisation, random spins.
"""

import argparse
import time

import numpy as np
from common import record

from dlintegrate import ExactDiagonalization, KernelPolynomial, TriangularSDModel

SEED = 20230301


def timed(model, spins, repeats):
    """The field, and the shortest time it took."""
    best = np.inf
    for _ in range(repeats):
        started = time.perf_counter()
        field = model.local_field(spins)
        best = min(best, time.perf_counter() - started)
    return field, best


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true")
    options = parser.parse_args()
    started = time.time()
    rows = []
    for side in (12, 24, 48) if options.large else (12, 24):
        repeats = {12: 5, 24: 3, 48: 1}[side]
        exact = TriangularSDModel((side, side), solver=ExactDiagonalization())
        spins = exact.random_states(1, SEED)
        field, seconds = timed(exact, spins, repeats)
        rows.append({"L": side, "solver": "exact diagonalisation", "seconds": seconds})
        print(rows[-1], flush=True)
        for n_moments, kernel in ((200, "none"), (300, "none"), (400, "none"), (400, "jackson")):
            solver = KernelPolynomial(n_moments, kernel)
            model = TriangularSDModel((side, side), solver=solver)
            approximate, seconds = timed(model, spins, repeats)
            error = np.linalg.norm(approximate - field) / np.linalg.norm(field)
            name = f"KPM, {n_moments} moments" + (", Jackson" if kernel == "jackson" else "")
            rows.append({"L": side, "solver": name, "seconds": seconds, "error": float(error)})
            print(rows[-1], flush=True)
    model = TriangularSDModel((24, 24))
    suggested = [
        {"tol": tol, "n_moments": KernelPolynomial.suggest_moments(model, tol)}
        for tol in (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
    ]
    record("electrons", {"fields": rows, "suggested_moments": suggested}, started, seeds=SEED)


if __name__ == "__main__":
    main()
