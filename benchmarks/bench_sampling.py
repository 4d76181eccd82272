"""Speed of the Monte Carlo moves, and sampled energies beside the reference table.

Run ``python benchmarks/bench_sampling.py``; about a minute on one core.
"""

import argparse
import time

import numpy as np
from common import fastest, record

from dlintegrate._kernels import monte_carlo as moves
from dlintegrate._kernels.random import stream
from dlintegrate._kernels.sweeps import masks, pack
from dlintegrate.sampling import diagnose_sampling, sample_canonical
from dlintegrate.systems import HeisenbergLattice

TC = 1.4429
#: Energy per site of the simple cubic lattice and its error: (L, T) to (E/N, error).
TABLE = {
    (16, 0.1): (-2.89917, 0.00005), (16, 0.2): (-2.79649, 0.00010), (16, 0.3): (-2.69166, 0.00014),
    (16, 0.5): (-2.47444, 0.00015), (16, 1.0): (-1.8502, 0.0005), (16, 2.0): (-0.5641, 0.0006),
    (16, 5.0): (-0.2035, 0.0002), (16, TC): (-1.0107, 0.0008), (8, TC): (-1.0518, 0.0008),
}  # fmt: skip
#: Nanoseconds per spin and sweep to stay under.
LIMIT = {"heat_bath": 60.0, "over_relaxation": 6.0}


def speed(side, temperature=1.44):
    """Nanoseconds per spin and sweep of each move on one core."""
    numbers, bias = stream(np.random.SeedSequence(side)), np.zeros(3)
    spins = np.empty((side, side, side, 3))
    moves.draw_random(spins, numbers)
    moves.heat_bath(spins, temperature, 20, 4, 1.0, bias, numbers)
    packed = np.zeros((2, 3, side // 2, (side + 2) * side))
    pack(spins, packed)
    mask = masks(side, side)
    field, work = np.empty((3, side**2)), np.empty((5, side**2))
    uniform = np.empty(2 * side**2)

    def sweep(bath):
        moves.checkerboard(
            packed, mask, side, side, bath, 1.0, bias, numbers, uniform, field, work
        )  # fmt: skip

    # single sweeps, many times: short enough to fit between the slices of a busy machine
    rows = {
        "heat_bath": fastest(lambda: sweep(temperature), 400),
        "over_relaxation": fastest(lambda: sweep(0.0), 1000),
        "metropolis": fastest(
            lambda: moves.metropolis(spins, temperature, 1, 1.0, 1.0, bias, numbers), 200
        ),
    }
    scale = 1e9 / side**3
    return {n: {"min": scale * r[0], "median": scale * r[1]} for n, r in rows.items()}


def energies(side, temperature, n_samples, seed):
    """Energy per site, its error, and the Binder cumulant of independent samples."""
    system = HeisenbergLattice((side,) * 3)
    samples = sample_canonical(system, temperature, n_samples, random_state=seed)
    energy = system.energy(samples) / system.n_sites
    m2 = (system.magnetization(samples) ** 2).sum(axis=1)
    binder = 1 - (m2**2).mean() / (3 * m2.mean() ** 2)
    rng = np.random.default_rng(seed)
    draws = m2[rng.integers(len(m2), size=(200, len(m2)))]
    spread = (1 - (draws**2).mean(axis=1) / (3 * draws.mean(axis=1) ** 2)).std()
    mean, error = energy.mean(), energy.std(ddof=1) / len(energy) ** 0.5
    reference, reference_error = TABLE[side, temperature]
    return {
        "L": side, "T": temperature, "n_samples": n_samples,
        "energy_per_site": mean, "error": error,
        "table": reference, "table_error": reference_error,
        "deviation": (mean - reference) / np.hypot(error, reference_error),
        "binder": binder, "binder_error": spread,
    }  # fmt: skip


def equilibration(side, temperature, seed):
    """Default sweeps against the autocorrelation times."""
    report = diagnose_sampling(
        HeisenbergLattice((side,) * 3), temperature, n_chains=8, random_state=seed
    )
    times = report.autocorrelation_time.values[0]
    return {
        "L": side, "T": temperature, "n_sweeps": int(report.n_sweeps[0]),
        "tau_energy": times[0], "tau_magnetization": times[1],
        "start_difference": report.start_difference.values[0],
        "sufficient": bool(report.sufficient[0]),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=200, help="samples per energy of 16³")
    parser.add_argument("--seed", type=int, default=2)
    arguments = parser.parse_args()
    started = time.time()
    results = {"ns_per_spin": {f"L={side}": speed(side) for side in (16, 32)}}
    for side, moves_ in results["ns_per_spin"].items():
        for name, row in moves_.items():
            limit = f"limit {LIMIT[name]:4.0f}" if name in LIMIT else ""
            print(f"{side:5} {name:16} {row['min']:6.1f} (median {row['median']:6.1f}) ns {limit}")
    results["energies"] = []
    for side, temperature in TABLE:
        n = arguments.samples * (16 // side) ** 2
        row = energies(side, temperature, n, arguments.seed)
        results["energies"].append(row)
        print(
            f"L={side:2} T={temperature:<6} E/N = {row['energy_per_site']:.5f}({row['error']:.5f}) "
            f"table {row['table']:.5f}({row['table_error']:.5f}) {row['deviation']:+.1f} errors; "
            f"U4 = {row['binder']:.4f}({row['binder_error']:.4f})"
        )
    cases = [(4, TC), (8, TC), (16, TC), (16, 0.4)]
    results["equilibration"] = [equilibration(*case, arguments.seed) for case in cases]
    for row in results["equilibration"]:
        print(
            "L={L:2} T={T:<6} {n_sweeps} sweeps by default, autocorrelation times "
            "{tau_energy:.1f} (energy), {tau_magnetization:.1f} (|M|): ".format(**row)
            + ("sufficient" if row["sufficient"] else "NOT sufficient")
        )
    record("sampling", results, started, seeds=arguments.seed)


if __name__ == "__main__":
    main()
