"""Speed of the particle integrators on one core, and what a label costs.

``python benchmarks/bench_particles.py`` prints µs per sample and step of 16 particles (batch of
1000) and error against force evaluations of the candidates for labels, and stores them. Rivals,
and 10,000 particles, are in ``bench_rivals.py``.
"""

import time

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
            best, _ = fastest(lambda i=integrator, n=n: i.advance(array, n), repeats=9)
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
    started = time.time()
    results = {"small": [], "labels": labels()}
    for name, (best, median) in small().items():
        results["small"].append({"integrator": name, "min": best, "median": median})
        print(f"{name:20} {best:8.3f} {median:8.3f} µs per sample and step")
    for row in results["labels"]:
        print(row)
    record("particles", results, started, seeds=SEED)


if __name__ == "__main__":
    main()
