"""Train the graph force of the Lennard-Jones fluid and write its weights with their provenance.

Full size, on one GPU (10 million samples' worth of steps, the paper's 60 states)::

    python benchmarks/train_graph.py --samples-per-state 15000 --epochs 60 10 --horizons 1 2 \
        --width 64 --batch-size 2048 --device cuda \
        --output dlintegrate/datasets/weights/lennard-jones-graph.safetensors

What was shipped was made by the command on its card. Killed at any moment, the same command
goes on from its last epoch (``--restart`` forgets it). ``--quick`` shows that it works.
"""

import argparse
import json
import time
from pathlib import Path

import common
import xarray as xr

from dlintegrate import (
    BlanesMoanRKN4,
    CorrectedIntegrator,
    Fallback,
    GraphForce,
    LennardJones2D,
    RollOut,
    VelocityVerlet,
    sample_canonical,
    save,
)
from dlintegrate.metrics import one_step_error

#: Park 2022, table 5.2 (all of it for training), and the temperatures of its tests.
DENSITIES = (0.1, 0.14, 0.2, 0.27, 0.38)
TEMPERATURES = (0.27, 0.31, 0.35, 0.39, 0.43, 0.47, 0.51, 0.55, 0.59, 0.63, 0.67, 0.71)
TEST_TEMPERATURES = (0.27, 0.47, 0.71)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples-per-state", type=int, default=400)
    parser.add_argument("--dt", type=float, default=0.1)
    parser.add_argument("--horizons", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, nargs="+", default=[60])
    parser.add_argument("--n-rounds", type=int, default=3)
    parser.add_argument("--pair-substeps", type=int, default=4)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--minutes", type=float, help="time budget of each stage")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="threads of sampling and labels")
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint")
    parser.add_argument("--quick", action="store_true", help="a minute's work")
    parser.add_argument("--output", required=True, help="weights; provenance goes to .json beside")
    return parser.parse_args()


def sample(densities, temperatures, n_samples, seed, jobs=None):
    """Equilibrium states of 16 particles over densities and temperatures."""
    parts = [
        sample_canonical(
            LennardJones2D(16, density),
            temperatures,
            n_samples,
            random_state=seed + 1000 * k,
            n_jobs=jobs,
        )
        for k, density in enumerate(densities)
    ]
    return xr.concat(parts, "sample", combine_attrs="drop_conflicts")


def main():
    """Sample, label, train, write."""
    options = arguments()
    if options.quick:
        options.samples_per_state, options.epochs, options.horizons = 4, [2], [1]
    started = time.time()
    base = VelocityVerlet(LennardJones2D(), options.dt)
    samples = sample(DENSITIES, TEMPERATURES, options.samples_per_state, options.seed, options.jobs)
    print(f"{samples.sizes['sample']} samples after {time.time() - started:.0f} s", flush=True)
    output = Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    training = RollOut(
        horizons=tuple(options.horizons), epochs=tuple(options.epochs),
        learning_rate=options.learning_rate, batch_size=options.batch_size,
        validation_fraction=0.05, checkpoint=str(output.with_suffix(".checkpoint")),
        resume=not options.restart,
        max_seconds=None if options.minutes is None else 60 * options.minutes,
    )  # fmt: skip
    corrector = GraphForce(
        n_rounds=options.n_rounds, pair_substeps=options.pair_substeps, width=options.width,
        depth=options.depth, training=training,
    )  # fmt: skip
    integrator = CorrectedIntegrator(
        base, corrector, reference=BlanesMoanRKN4(base.system, options.dt / 40),
        projection="energy", fallback=Fallback(), device=options.device,
        random_state=options.seed, n_jobs=options.jobs,
    )  # fmt: skip
    integrator.fit(samples, progress=True)
    release(integrator)
    save(integrator, output)
    write_card(output, options, integrator, samples.sizes["sample"], started)


def release(integrator):
    """Forget the paths of this run, and predict on the CPU."""
    for corrector in (integrator.corrector, integrator.corrector_):
        corrector.training.set_params(checkpoint=None, resume=True, max_seconds=None)
    integrator.set_params(device="auto", n_jobs=None)
    integrator.corrector_.device_ = "cpu"


def write_card(output, options, integrator, n_samples, started):
    """What the weights are, how they came about, and how good they are."""
    errors = {}
    n_test = 8 if options.quick else 200
    for density in DENSITIES:
        for temperature in TEST_TEMPERATURES:
            unseen = sample([density], [temperature], n_test, options.seed + 77)
            errors[f"density {density}, T {temperature}"] = {
                "corrected": float(one_step_error(integrator, unseen)),
                "velocity Verlet at 0.01": float(
                    one_step_error(
                        _Repeated(VelocityVerlet(integrator.system, options.dt / 10), 10), unseen
                    )
                ),
            }
    history = integrator.history_
    card = {
        "system": f"LennardJones2D without cut-off, VelocityVerlet at dt={options.dt}",
        "training_set": f"{n_samples} samples of 16 particles at 5 densities, 0.1 to 0.38, and 12 "
        "temperatures, 0.27 to 0.71 (Park 2022, table 5.2), labels by BlanesMoanRKN4 at dt/40",
        "epochs": len(history["loss"]),
        "training_seconds": round(history["seconds"][-1]),
        "final_loss": min(history["validation_loss"]),
        "n_parameters": int(sum(w.size for w in integrator.corrector_.weights_.values())),
        "lattice": "any number of particles, any box",
        "temperatures": "0.27 to 0.71",
        "densities": "0.1 to 0.38",
        "guarantees": sorted(integrator.guarantees),
        "one_step_error": errors,
        "license": "BSD-3-Clause",
        "provenance": common.metadata(started, options.seed),
    }
    path = output.with_suffix(".json")
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(card, indent=1, ensure_ascii=False))


class _Repeated:
    """Several steps of an integrator as one: what one_step_error needs of it."""

    def __init__(self, integrator, n_steps):
        self.integrator, self.n_steps = integrator, n_steps
        self.system, self.dt = integrator.system, integrator.dt * n_steps

    def validate(self, states, name="samples"):
        return self.integrator.validate(states, name)

    def step(self, states):
        return self.integrator.step(states, self.n_steps)


if __name__ == "__main__":
    main()
