"""Train the paper's U-Net for one lattice size and write its weights with their provenance.

The full training of Park 2022 (910,000 samples, one GPU; about 17 GB of data for L = 8)::

    python benchmarks/train_unet.py --size 8 --samples 910000 --epochs 200 --width 64 \
        --bottleneck dense --device cuda --bf16 --batch-size 512 --learning-rate 1e-3 \
        --data unet-L8.npz --output dlintegrate/datasets/weights/park-unet-L8.safetensors
    python benchmarks/train_unet.py --size 4 --samples 910000 --epochs 200 --width 64 \
        --device cuda --bf16 --batch-size 4096 --learning-rate 2e-3 \
        --data unet-L4.npz --output dlintegrate/datasets/weights/park-unet-L4.safetensors

Killed at any moment, the same command goes on from its last epoch: samples and labels are
kept in ``--data``, the state of the training beside the output (``--restart`` forgets it).
``--hours`` bounds the training time, and lets the learning rate end with it.
"""

import argparse
import json
import os
import time
from pathlib import Path

import common
import numpy as np

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    HeisenbergLattice,
    SuzukiTrotter2,
    UNetResidue,
    park_temperatures,
    sample_canonical,
    save,
)
from dlintegrate.metrics import one_step_error
from dlintegrate.persistence import replacing

#: Temperatures of the paper's test (section 4.2), none of them in the training set but 1.44.
TEST_TEMPERATURES = (0.4, 1.44, 2.4)


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, required=True, help="side of the lattice")
    parser.add_argument("--samples", type=int, default=910_000, help="samples over 17 temperatures")
    parser.add_argument("--dt", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--hours", type=float, help="time budget of the training")
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--bottleneck", default="conv", choices=["conv", "dense"])
    parser.add_argument("--unet-output", default="sigmoid", choices=["sigmoid", "linear"])
    parser.add_argument("--sublattice-channel", action="store_true")
    parser.add_argument("--activation", default="silu")
    parser.add_argument("--augmentation", default="symmetries")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, help="threads of sampling and labels")
    parser.add_argument("--data", help="keep samples and labels in this .npz file")
    parser.add_argument("--restart", action="store_true", help="ignore the checkpoint")
    parser.add_argument("--output", required=True, help="weights; provenance goes to .json beside")
    return parser.parse_args()


def reference_of(base):
    """Converged to 1e-7 of the spins within one large step."""
    return BlanesMoan4(base.system, base.dt / 5)


def training_set(options, base):
    """Samples over the paper's temperatures and their labels, from the file if it is there."""
    if options.data and os.path.exists(options.data):
        with np.load(options.data) as file:
            known = json.loads(str(file["settings"]))
            if known != _settings(options):
                raise SystemExit(f"{options.data} holds {known}, not {_settings(options)}")
            return file["samples"].astype(np.float64), file["labels"].astype(np.float64)
    temperatures, counts = park_temperatures(options.samples / 910_000)
    samples = sample_canonical(
        base.system, temperatures, counts,
        random_state=options.seed, n_jobs=options.jobs, progress=True,
    ).values  # fmt: skip
    labels = reference_of(base).advance(samples, 5)
    if options.data:
        with replacing(options.data) as temporary, open(temporary, "wb") as file:
            np.savez(
                file, settings=json.dumps(_settings(options)), samples=np.float32(samples),
                # the residue loses nothing in single precision, the state would
                labels=labels,
            )  # fmt: skip
    return samples, labels


def _settings(options):
    return {k: getattr(options, k) for k in ("size", "samples", "dt", "seed")}


def main():
    """Sample, label, train, write."""
    options = arguments()
    started = time.time()
    base = SuzukiTrotter2(HeisenbergLattice(options.size), options.dt)
    samples, labels = training_set(options, base)
    output = Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    corrector = UNetResidue(
        width=options.width, depth=options.depth, bottleneck=options.bottleneck,
        output=options.unet_output, sublattice_channel=options.sublattice_channel,
        activation=options.activation,
        augmentation=None if options.augmentation == "none" else options.augmentation,
        learning_rate=options.learning_rate, batch_size=options.batch_size,
        epochs=options.epochs, validation_fraction=0.02, bf16=options.bf16,
        checkpoint=str(output.with_suffix(".checkpoint")), resume=not options.restart,
        max_seconds=None if options.hours is None else 3600 * options.hours,
    )  # fmt: skip
    integrator = CorrectedIntegrator(
        base, corrector, reference=reference_of(base), device=options.device,
        random_state=options.seed, n_jobs=options.jobs,
    )  # fmt: skip
    integrator.fit(samples, labels, progress=True)
    release(integrator)
    save(integrator, output)
    write_card(output, options, integrator, len(samples), started)


def release(integrator):
    """Forget the paths of this run, predict on the CPU, halve the size of the file."""
    for corrector in (integrator.corrector, integrator.corrector_):
        corrector.set_params(checkpoint=None, resume=True, max_seconds=None)
    integrator.set_params(device="auto")
    integrator.corrector_.device_ = "cpu"
    # half precision rounds the weights by 5e-4, far below what the network misses
    weights = integrator.corrector_.weights_
    integrator.corrector_.weights_ = {k: v.astype(np.float16) for k, v in weights.items()}


def write_card(output, options, integrator, n_samples, started):
    """What the weights are, how they came about, and how good they are."""
    history = integrator.history_
    base = integrator.base
    errors = {}
    for temperature in TEST_TEMPERATURES:
        unseen = sample_canonical(base.system, temperature, 200, random_state=options.seed + 1)
        errors[str(temperature)] = {
            "corrected": float(one_step_error(integrator, unseen, reference_of(base))),
            "base": float(one_step_error(base, unseen, reference_of(base))),
        }
    card = {
        "system": f"HeisenbergLattice(shape={options.size}, J=1.0), "
        f"SuzukiTrotter2 at dt={options.dt}",
        "training_set": f"{n_samples} samples at the 17 temperatures of Park 2022, 0.5 to 2.32 "
        "(sample_canonical, heat bath), labels by BlanesMoan4 at dt/5",
        "epochs": len(history["loss"]),
        "training_seconds": round(history["seconds"][-1]),
        "final_loss": min(history["validation_loss"]),
        "n_parameters": int(sum(w.size for w in integrator.corrector_.weights_.values())),
        "lattice": f"{options.size}³ only" if not integrator.corrector_.local else "any size",
        "temperatures": "0.5 to 2.32",
        "guarantees": sorted(integrator.guarantees),
        "one_step_error": errors,
        "license": "BSD-3-Clause",
        "provenance": common.metadata(started, options.seed),
    }
    path = output.with_suffix(".json")
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps(card, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
