"""Train the three effective forces of Park 2022, chapter 5, plain and equivariant, and judge them.

Full size on one GPU (the paper's 1.2 million samples; half a day for all six)::

    python benchmarks/train_forces.py --samples 1200000 --minutes 120 --horizons 1 2 4 8 \
        --width 128 --depth 3 --batch-size 2048 --device cuda --checkpoint forces

Killed at any moment, the same command goes on from its last epoch; what is finished is not
done again (``--restart`` forgets both). With one more of the ``--horizons`` and the same
minutes for each, training goes on from there. ``--quick`` shows in a minute that it works.
"""

import argparse
import json
import time
from pathlib import Path

import common
import numpy as np
from train_graph import DENSITIES, TEMPERATURES, TEST_TEMPERATURES, sample

from dlintegrate import (
    BlanesMoanRKN4,
    CombinedForce,
    CorrectedIntegrator,
    Fallback,
    LennardJones2D,
    ManyBodyForce,
    PairwiseForce,
    RollOut,
    VelocityVerlet,
    save,
)
from dlintegrate.metrics import energy_drift, fallback_fraction, unstable_count
from dlintegrate.persistence import replacing

KINDS = {"pairwise": PairwiseForce, "many-body": ManyBodyForce, "combined": CombinedForce}
NAMES = [f"{kind}{suffix}" for kind in KINDS for suffix in ("", "-equivariant")]
DT, T_MAX = 0.1, 20.0
#: Velocity Verlet at these steps stands beside.
RIVALS = (0.01, 0.02, 0.05)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corrector", nargs="+", default=NAMES, choices=NAMES, metavar="NAME",
                        help=f"some of {', '.join(NAMES)}; by default all")  # fmt: skip
    parser.add_argument("--minutes", type=float, default=120, help="of training, per corrector")
    parser.add_argument("--samples", type=int, default=1_200_000, help="over the 60 states")
    parser.add_argument("--horizons", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, default=100_000, help="at most, per stage")
    parser.add_argument("--energy-weight", type=float, default=0.0)
    parser.add_argument("--input-noise", type=float, default=0.0)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--test-samples", type=int, default=200, help="per state, for one step")
    parser.add_argument("--run-samples", type=int, default=200, help="per state, for long runs")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="threads of sampling and labels")
    parser.add_argument("--checkpoint", default="forces", help="folder of what is not finished")
    parser.add_argument("--record", default="forces", help="name of the file of results")
    parser.add_argument("--restart", action="store_true", help="ignore that folder")
    parser.add_argument("--quick", action="store_true", help="a minute's work, nothing is recorded")
    options = parser.parse_args()
    if options.quick:
        options.samples, options.minutes, options.epochs, options.width = 120, 1.0, 2, 8
        options.test_samples, options.run_samples = 4, 1
    return options


def train(name, options, samples, folder):
    """A fitted CorrectedIntegrator."""
    equivariant = name.endswith("-equivariant")
    training = RollOut(
        horizons=tuple(options.horizons), epochs=options.epochs,
        energy_weight=options.energy_weight, input_noise=options.input_noise,
        learning_rate=options.learning_rate, batch_size=options.batch_size,
        validation_fraction=0.05, checkpoint=str(folder / f"{name}.checkpoint"),
        resume=not options.restart, max_seconds=60 * options.minutes / len(options.horizons),
    )  # fmt: skip
    corrector = KINDS[name.removesuffix("-equivariant")](
        width=options.width, depth=options.depth, equivariant=equivariant, training=training
    )
    base = VelocityVerlet(LennardJones2D(), DT)
    integrator = CorrectedIntegrator(
        base, corrector, reference=BlanesMoanRKN4(base.system, DT / 20),
        device=options.device, random_state=options.seed, n_jobs=options.jobs,
    )  # fmt: skip
    return integrator.fit(samples)


def judge(integrator, test, run):
    """One-step errors, and runs without and with what keeps them together."""
    corrector = integrator.corrector_
    history = corrector.history_
    result = {
        "guarantees": sorted(integrator.step_.guarantees),
        "n_parameters": int(sum(w.size for w in corrector.weights_.values())),
        "epochs": len(history["loss"]),
        "training_seconds": round(history["seconds"][-1]),
        "validation_loss": min(history["validation_loss"]),
        "one_step": one_step(integrator, test),
        "alone": long_run(integrator, run),
    }
    if hasattr(corrector, "gammas_"):
        result["gammas"] = corrector.gammas_
    integrator.set_params(projection="energy", fallback=Fallback())
    result["projection and fallback"] = long_run(integrator, run)
    integrator.set_params(projection="norm", fallback=None)
    return result


def one_step(integrator, states, n_steps=1):
    """Error after 0.1, rms and median over samples, and rms per temperature."""
    after = BlanesMoanRKN4(integrator.system, DT / 20).step(states, 20)
    got = integrator.step(states, n_steps)
    square = ((got - after) ** 2).sum(("variable", "component")).mean("particle")
    square = square.assign_coords(temperature=("sample", states.temperature.values))
    by_temperature = square.groupby("temperature").mean()
    return {
        "rms": float(np.sqrt(square.mean())),
        "median": float(np.sqrt(square.median())),
        "rms by temperature": {
            f"{t:.2f}": float(np.sqrt(x))
            for t, x in zip(by_temperature.temperature.values, by_temperature.values, strict=True)
        },
    }


def long_run(integrator, states, n_substeps=1):
    """What became of the samples until t = 20: those that failed, and how the rest changed."""
    started = time.perf_counter()
    trajectory = integrator.simulate(states, T_MAX, save_every=n_substeps)
    seconds = time.perf_counter() - started
    drift = energy_drift(trajectory).isel(time=-1)
    temperature = trajectory.kinetic_temperature
    warmed = temperature.isel(time=slice(-20, None)).mean("time") - temperature.isel(time=0)
    result = {
        "n_samples": states.sizes["sample"],
        "failed": float((trajectory.status == 2).mean()),
        "unstable": float(
            unstable_count(trajectory, integrator.system, per_particle=False)["count"][-1]
        ) / states.sizes["sample"],
        "energy drift, mean": _number(drift["mean"]),
        "energy drift, mean absolute": _number(drift["mean_absolute"]),
        "kinetic temperature, change": _number(warmed.where(trajectory.status != 2).mean()),
        "seconds per sample and unit of time": seconds / states.sizes["sample"] / T_MAX,
    }  # fmt: skip
    if "fallback_fraction" in trajectory:
        result["steps that fell back"] = float(fallback_fraction(trajectory)["mean"])
    return result


def _number(value):
    """None where every sample failed."""
    return float(value) if np.isfinite(value) else None


def main():
    """Sample, then train and judge one after another."""
    options = arguments()
    started = time.time()
    folder = Path(options.checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    per_state = max(1, options.samples // (len(DENSITIES) * len(TEMPERATURES)))
    samples = sample(DENSITIES, TEMPERATURES, per_state, options.seed, options.jobs)
    test = sample(DENSITIES, TEST_TEMPERATURES, options.test_samples, options.seed + 77)
    run = sample(DENSITIES, TEST_TEMPERATURES, options.run_samples, options.seed + 177)
    print(f"sampled after {time.time() - started:.0f} s", flush=True)
    results = {}
    for name in options.corrector:
        path = folder / f"{name}.json"
        if options.restart or not path.exists():
            integrator = train(name, options, samples, folder)
            save(integrator, folder / f"{name}.safetensors")
            result = judge(integrator, test, run)
            with replacing(path) as temporary:
                Path(temporary).write_text(json.dumps(result))
        results[name] = json.loads(path.read_text())
        print(name, json.dumps(results[name], indent=1), flush=True)
    for dt in RIVALS:
        rival, n = VelocityVerlet(LennardJones2D(), dt), round(DT / dt)
        results[f"velocity Verlet at {dt}"] = {
            "one_step": one_step(rival, test, n), "alone": long_run(rival, run, n)
        }  # fmt: skip
    if not options.quick:
        common.record(options.record, results, started, seeds=options.seed)


if __name__ == "__main__":
    main()
