"""What the shipped U-Nets are worth: one-step error, threshold time, drifts and cost.

Beside Suzuki-Trotter at dt = 0.1 and 0.01 and Blanes-Moan at 0.1, on unseen equilibrium
samples at the temperatures of the paper's test (section 4.2). Minutes on one core.

    python benchmarks/bench_unet.py [--samples 20] [--quick]
"""

import argparse
import time

import common
import numpy as np

from dlintegrate import (
    BlanesMoan4,
    HeisenbergLattice,
    SuzukiTrotter2,
    list_pretrained,
    load_pretrained,
    sample_canonical,
)
from dlintegrate.metrics import (
    energy_drift,
    magnetization_drift,
    spin_correlation,
    threshold_time,
)

TEMPERATURES = (0.4, 1.44, 2.4)
#: How far to integrate at each, so that most curves fall below 0.99.
T_MAX = {0.4: 40.0, 1.44: 8.0, 2.4: 7.0}


def rivals(size):
    """Integrators to compare at this size, by name."""
    system = HeisenbergLattice(size)
    table = {
        "ST2 0.1": SuzukiTrotter2(system, 0.1),
        "ST2 0.01": SuzukiTrotter2(system, 0.01),
        "BM4 0.1": BlanesMoan4(system, 0.1),
    }
    for name in list_pretrained():
        integrator = load_pretrained(name)
        trained_at = integrator.corrector_.lattice_shape_[0]
        # on a smaller lattice than it is used on, a network may learn the periodic images
        if trained_at == size or (integrator.corrector_.local and trained_at > size):
            table[name] = integrator
            projected = load_pretrained(name).set_params(projection=("energy", "magnetization"))
            table[f"{name}, E and M projected"] = projected
    return table


def compare(size, temperature, n_samples, seed, quick):
    """One row per integrator."""
    system = HeisenbergLattice(size)
    samples = sample_canonical(system, temperature, n_samples, random_state=seed)
    t_max = 5.0 if quick else T_MAX[temperature]
    fine = BlanesMoan4(system, 0.02)
    soon = fine.step(samples, 5).values
    exact = fine.simulate(samples, t_max, save_every=25)
    rows = {}
    for name, integrator in rivals(size).items():
        n_steps = round(0.1 / integrator.dt)
        after = integrator.step(samples, n_steps).values
        seconds, _ = common.fastest(lambda i=integrator, n=n_steps: i.step(samples, n), repeats=5)
        trajectory = integrator.simulate(samples, t_max, save_every=5 * n_steps)
        reached = threshold_time(spin_correlation(trajectory, exact))
        rows[name] = {
            "error_after_0.1": float(np.sqrt(((after - soon) ** 2).sum(axis=-1).mean())),
            "threshold_time": reached.time,
            "threshold_time_error": reached.error,
            "threshold_reached": reached.reached,
            "energy_drift_at_t_max": float(energy_drift(trajectory).mean_absolute[-1]),
            "magnetization_drift_at_t_max": float(
                magnetization_drift(trajectory).mean_absolute[-1]
            ),
            "t_max": t_max,
            "ns_per_spin_and_time_0.1": 1e9 * seconds / (n_samples * size**3),
        }
        show(size, temperature, name, rows[name])
    return rows


def show(size, temperature, name, row):
    """One line of the table."""
    sign = " " if row["threshold_reached"] else ">"
    print(
        f"L={size} T={temperature:<4} {name:44s} error {row['error_after_0.1']:.2e}  "
        f"threshold {sign}{row['threshold_time']:6.1f}  "
        f"dE {row['energy_drift_at_t_max']:.1e}  dM {row['magnetization_drift_at_t_max']:.1e}  "
        f"{row['ns_per_spin_and_time_0.1']:8.0f} ns per spin and 0.1",
        flush=True,
    )


def main():
    """Run, print and record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2022)
    parser.add_argument("--quick", action="store_true", help="short trajectories, no record")
    options = parser.parse_args()
    started = time.time()
    results = {
        f"L={size}": {
            f"T={temperature}": compare(
                size, temperature, options.samples, options.seed, options.quick
            )
            for temperature in TEMPERATURES
        }
        for size in (4, 8)
    }
    if not options.quick:
        common.record("unet", results, started, seeds=options.seed)


if __name__ == "__main__":
    main()
