"""What the parts of the graph force are worth: rounds, substeps, the learned correction.

    python benchmarks/bench_graph_force.py --minutes 4

Error after one step of 0.1 on unseen states (five densities, three temperatures), and its cost.
``--minutes`` is the training time of each network; three seeds show how much they scatter.
"""

import argparse
import time

import numpy as np
from common import fastest, record

from dlintegrate import (
    BlanesMoanRKN4,
    CorrectedIntegrator,
    GraphForce,
    LennardJones2D,
    RollOut,
    VelocityVerlet,
    load_pretrained,
    sample_park_states,
)

DT = 0.1
SEED = 20261121


def errors(step, array, exact):
    """rms and median error of the bare step, and µs per sample."""
    square = ((step.advance(array, 1) - exact) ** 2)[:, :, :-1].sum(axis=(1, 3)).mean(axis=1)
    best, _ = fastest(lambda: step.advance(array, 1), repeats=3)
    return {
        "rms": float(np.sqrt(square.mean())),
        "median": float(np.sqrt(np.median(square))),
        "us_per_sample": best / len(array) * 1e6,
    }


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=4.0)
    parser.add_argument("--samples-per-state", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    started = time.time()
    base = VelocityVerlet(LennardJones2D(), DT)
    reference = BlanesMoanRKN4(base.system, DT / 40)
    unseen = sample_park_states(50, temperatures=[0.27, 0.47, 0.71], random_state=SEED)
    array = base.system.validate(unseen)
    exact = reference.advance(array, 40)
    results = {"mechanical": [], "learned": []}
    for n_rounds, n_moments, pair_substeps in (
        (1, 3, 4), (2, 3, 4), (3, 1, 4), (3, 2, 4), (3, 3, 2), (3, 3, 3), (3, 3, 4), (3, 3, 8),
        (4, 1, 4), (4, 2, 4), (4, 3, 4), (4, 3, 8), (6, 3, 8),
    ):  # fmt: skip
        force = GraphForce(n_rounds, pair_substeps, n_moments, width=0)
        step = CorrectedIntegrator(base, force).fit(unseen[:2]).step_
        row = {"rounds": n_rounds, "moments": n_moments, "substeps": pair_substeps}
        results["mechanical"].append(row | errors(step, array, exact))
        print(results["mechanical"][-1], flush=True)
    samples = sample_park_states(options.samples_per_state, random_state=SEED + 1)
    labels = reference.step(samples, 40)
    for n_rounds, pair_substeps, kind in (
        (2, 4, "mechanical, one learned"),
        (3, 4, "mechanical, one learned"),
        (3, 0, "learned only"),
    ):
        for seed in options.seeds:
            training = RollOut(
                epochs=1000, batch_size=64, learning_rate=3e-3, max_seconds=60 * options.minutes
            )
            force = GraphForce(n_rounds, pair_substeps, training=training)
            fitted = CorrectedIntegrator(base, force, random_state=seed, device="cpu")
            fitted.fit(samples, labels)
            row = {"rounds": n_rounds, "messages": kind, "seed": seed}
            row |= errors(fitted.step_, array, exact)
            row["epochs"] = len(fitted.history_["loss"])
            results["learned"].append(row)
            print(row, flush=True)
    shipped = load_pretrained("lennard-jones-graph")
    row = {"rounds": 3, "messages": "shipped weights", "seed": 0}
    results["learned"].append({**row, **errors(shipped.step_, array, exact)})
    record("graph_force", results, started, seeds=[SEED, *options.seeds])


if __name__ == "__main__":
    main()
