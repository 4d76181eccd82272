"""Speed of the particle integrators on one core, LAMMPS beside them, and what a label costs.

    python benchmarks/bench_particles.py
    python benchmarks/bench_particles.py --rival-python /path/to/env/bin/python

Prints µs per sample and step of 16 particles (batch of 1000), million particle-steps per second
of 10,000 particles with a cut-off of 2.5, and error against force evaluations of the candidates
for labels; and stores them.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from common import fastest, record

from dlintegrate import (
    PEFRL,
    BlanesMoanRKN4,
    LennardJones2D,
    SubsteppedVerlet,
    VelocityVerlet,
    sample_canonical,
)

SEED = 20220225
DENSITIES = (0.2, 0.38, 0.8)
TARGETS = {"small": 0.13, "large": 10.0}


def small(n_steps=200):
    """µs per sample and step, 16 particles, 1000 samples, float64."""
    system = LennardJones2D(16, 0.2)
    array = system.validate(system.random_states(1000, SEED))
    table = {}
    for integrator in (
        VelocityVerlet(system, 0.005), PEFRL(system, 0.005), BlanesMoanRKN4(system, 0.005),
        SubsteppedVerlet(system, 0.005, n_inner=5),
    ):  # fmt: skip
        times = fastest(lambda i=integrator: i.advance(array, n_steps), repeats=9)
        table[type(integrator).__name__] = [t / n_steps / len(array) * 1e6 for t in times]
    return table


def large(density, n_steps=200):
    """Million particle-steps per second, 10,000 particles, cut-off 2.5."""
    system = LennardJones2D(10_000, density, cutoff=2.5)
    table = {}
    for integrator in (VelocityVerlet(system, 0.005), SubsteppedVerlet(system, 0.01, n_inner=2)):
        array = integrator.advance(system.validate(system.random_states(1, SEED)), 400)
        times = fastest(lambda i=integrator, a=array: i.advance(a, n_steps), repeats=5)
        table[type(integrator).__name__] = [10_000 * n_steps / t / 1e6 for t in times]
    return table


def rival(python, density, n_steps=200):
    """What LAMMPS prints, or why it did not run."""
    script = Path(__file__).parent / "rivals" / "lammps_lj.py"
    library = Path(python).parent.parent / "lib"
    run = subprocess.run(
        [python, str(script), "10000", str(density), "2.5", str(n_steps)],
        capture_output=True, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "LD_LIBRARY_PATH": str(library)},
    )  # fmt: skip
    lines = [line for line in run.stdout.splitlines() if line.startswith("RESULT ")]
    if lines:
        return {k: [v, v] for k, v in json.loads(lines[-1][7:]).items()}
    print(f"LAMMPS: not run ({(run.stderr.splitlines() or ['no output'])[-1]})")
    return {}


def labels():
    """Error after 0.1 against cost: what makes labels best at equal error."""
    system = LennardJones2D(16, 0.38)
    states = sample_canonical(system, [0.27, 0.47, 0.71], 300, random_state=SEED)
    array = system.validate(states)
    exact = BlanesMoanRKN4(system, 1e-4).advance(array, 1000)
    rows = []
    for kind, steps in (
        (VelocityVerlet, (0.01, 0.005, 0.001, 1e-4)),
        (PEFRL, (0.025, 0.0125, 0.005, 0.0025, 0.001)),
        (BlanesMoanRKN4, (0.05, 0.025, 0.0125, 0.005, 0.0025, 0.001)),
    ):
        for dt in steps:
            integrator, n = kind(system, dt), round(0.1 / dt)
            square = ((integrator.advance(array, n) - exact) ** 2)[:, :, :-1].sum(axis=(1, 3))
            best, _ = fastest(lambda i=integrator, n=n: i.advance(array, n), repeats=3)
            rows.append(
                {
                    "method": kind.__name__,
                    "dt": dt,
                    "forces": integrator.n_forces * n,
                    "rms": float(np.sqrt(square.mean())),
                    "median": float(np.sqrt(np.median(square.mean(axis=1)))),
                    "us_per_sample": best / len(array) * 1e6,
                }
            )
    return rows


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rival-python", default=sys.executable, metavar="PYTHON")
    arguments = parser.parse_args()
    started = time.time()
    results = {"small": [], "large": [], "labels": labels()}
    for name, (best, median) in small().items():
        results["small"].append({"integrator": name, "min": best, "median": median})
        print(f"{name:20} {best:8.3f} {median:8.3f} µs per sample and step")
    for density in DENSITIES:
        for name, (best, median) in (
            large(density) | rival(arguments.rival_python, density)
        ).items():
            results["large"].append(
                {"density": density, "integrator": name, "best": best, "median": median}
            )
            print(
                f"{density} {name:20} {best:8.1f} {median:8.1f} million particle-steps per second"
            )
    for row in results["labels"]:
        print(row)
    record("particles", results, started, seeds=SEED)


if __name__ == "__main__":
    main()
