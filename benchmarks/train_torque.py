"""Train a torque model of the s-d model and write its weights with their provenance.

Training states come from ``torque_data.py``; then, from first to last::

    python benchmarks/torque_data.py FOLDER test seed linear early
    python benchmarks/train_torque.py FOLDER --data seed linear early --batch-size 2 --minutes 10 \
        --output first.safetensors
    python benchmarks/train_torque.py FOLDER --relax first.safetensors --stage more
    python benchmarks/train_torque.py FOLDER --relax first.safetensors --stage policy
    python benchmarks/train_torque.py FOLDER --data seed linear early more policy --batch-size 2 \
        --threads 2 --learning-rate 8e-3 --minutes 60 --n-vectors 16 --n-scalars 12 \
        --n-hidden 40 --depth 6 --output large.safetensors

A second round has more states that began with random spins, where the gap to unseen ones was::

    python benchmarks/train_torque.py FOLDER --stage young \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage younger \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --relax large.safetensors --stage later
    python benchmarks/train_torque.py FOLDER --data seed young younger later --batch-size 2 \
        --start large.safetensors --threads 2 --learning-rate 6e-3 --minutes 70 --n-vectors 16 \
        --n-scalars 12 --n-hidden 40 --depth 6 --output second.safetensors

A third one has as many skyrmion lattices as the second had too few, and more steps::

    python benchmarks/train_torque.py FOLDER --relax second.safetensors --stage later
    python benchmarks/train_torque.py FOLDER --relax second.safetensors --stage lattices
    python benchmarks/train_torque.py FOLDER --relax second.safetensors --stage fresh
    python benchmarks/train_torque.py FOLDER --data seed young younger later lattices fresh \
        --batch-size 2 --start second.safetensors --threads 2 --learning-rate 6e-3 --minutes 78 \
        --n-vectors 16 --n-scalars 12 --n-hidden 40 --depth 6 --output third.safetensors

A fourth one has new states only, nine tenths of them random spins and what they soon become::

    python benchmarks/train_torque.py FOLDER --stage random4 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage sooner4 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage random5 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage sooner5 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --relax third.safetensors --stage lattices4
    python benchmarks/train_torque.py FOLDER --relax third.safetensors --stage later4
    python benchmarks/train_torque.py FOLDER --data seed random4 sooner4 random5 sooner5 lattices4 \
        later4 --batch-size 2 --start third.safetensors --threads 2 --learning-rate 6e-3 \
        --minutes 79 --n-vectors 16 --n-scalars 12 --n-hidden 40 --depth 6 \
        --output fourth.safetensors

A fifth one has those random spins and others, and skyrmion lattices that noise made rough::

    python benchmarks/train_torque.py FOLDER --stage random6 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage sooner6 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage symmetric6 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --stage symmetric7 \
        --relax dlintegrate/datasets/weights/sd-torque-fast.safetensors
    python benchmarks/train_torque.py FOLDER --relax fourth.safetensors --stage lattices6
    python benchmarks/train_torque.py FOLDER --relax fourth.safetensors --stage later6
    python benchmarks/train_torque.py FOLDER --data seed random4 sooner4 random5 sooner5 random6 \
        sooner6 lattices6 symmetric6 symmetric7 later4 later6 --batch-size 2 \
        --start fourth.safetensors --threads 2 --learning-rate 6e-3 --minutes 82 --n-vectors 16 \
        --n-scalars 12 --n-hidden 40 --depth 6 \
        --output dlintegrate/datasets/weights/sd-torque.safetensors

``--relax`` lets new starts relax in the learned field and labels what they become, so that the
next fit knows the states that its predecessor goes to; near-relaxed ones are the majority.
For the setting of the paper, on one GPU: 60 trajectories of 48², which ``sample_relaxation``
labels in FOLDER/paper.nc (days on a processor), and 72 hours of training::

    python benchmarks/train_torque.py FOLDER --sample-paper 48
    python benchmarks/train_torque.py FOLDER --data paper --network cnn --widths 64 128 256 512 \
        --loss relative --scheduler plateau --optimizer adam --learning-rate 1e-3 --minutes 4320 \
        --batch-size 64 --device cuda --output torque-cnn.safetensors

Killed at any moment, the same command goes on from its last epoch. ``--quick`` shows that it
works.
"""

import argparse
import json
import os
import time
from pathlib import Path

import common
import numpy as np
import torch
import torque_data

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantTorque,
    FieldTraining,
    KernelPolynomial,
    SemiImplicitB,
    SeriesTorque,
    TorqueCNN,
    TriangularSDModel,
    load,
    sample_relaxation,
    save,
    torque_samples,
)
from dlintegrate.metrics import torque_angle, torque_error

#: Sizes of a directional network, unless options say otherwise.
DIRECTIONAL = {
    "n_vectors": 8,
    "n_scalars": 8,
    "n_hidden": 16,
    "depth": 4,
    "reach": 2,
    "first_reach": 6,
}
#: Stages of states that a learned field makes: seed, random starts, skyrmion lattices, times.
#: The lattices of those called symmetric have M = 0 and no phase.
POLICIES = {
    "policy": (2, 16, 16, [40, 80, 160, 240, 320, 480, 640]),
    "more": (4, 64, 0, [0, 6, 14, 26, 44, 80, 150, 300]),
    "young": (5, 300, 0, [0, 10, 30, 80]),
    "younger": (7, 200, 0, [0, 4, 18, 50]),
    "later": (6, 16, 24, [20, 80, 160, 320, 560]),
    "fresh": (8, 150, 0, [0, 8, 24, 60]),
    "lattices": (9, 0, 130, [0, 15, 50, 120]),
    "random4": (10, 450, 0, [0, 10, 30, 80]),
    "sooner4": (11, 250, 0, [0, 4, 18, 50]),
    "random5": (14, 300, 0, [0, 6, 24, 60]),
    "sooner5": (15, 300, 0, [0, 12, 40, 100]),
    "lattices4": (12, 0, 100, [0, 15, 50, 120]),
    "later4": (13, 24, 24, [20, 80, 160, 320, 560]),
    "random6": (16, 450, 0, [0, 10, 30, 80]),
    "sooner6": (17, 250, 0, [0, 4, 18, 50]),
    "lattices6": (19, 0, 225, [0, 15, 50, 120]),
    "later6": (20, 24, 24, [20, 80, 160, 320, 560]),
    "symmetric6": (21, 0, 225, [0, 15, 50, 120]),
    "symmetric7": (22, 0, 150, [10, 30, 80, 160]),
}
#: Moments of their labels: torque errors of 6e-3, far below those of what learns from them.
POLICY_MOMENTS = 96


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("--data", nargs="+", default=["seed", "linear"])
    networks = ["directional", "directed", "isotropic", "energy", "cnn"]
    parser.add_argument("--network", default="directional", choices=networks)
    for name, value in DIRECTIONAL.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value,
                            help="of a directional network")  # fmt: skip
    parser.add_argument("--series", type=int, nargs=2, metavar=("MOMENTS", "REACH"),
                        help="fitted first; the network learns what it misses")  # fmt: skip
    parser.add_argument("--widths", type=int, nargs="+", default=[16, 32, 32, 64])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--epochs", type=int, default=100_000)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--loss", default="squares", choices=["squares", "relative"])
    parser.add_argument("--balance", type=float, default=0.5)
    parser.add_argument("--optimizer", default="soap", choices=["adam", "soap"])
    parser.add_argument("--scheduler", default="cosine", choices=["cosine", "plateau"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", metavar="WEIGHTS", help="go on from these")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="samples of a batch at a time")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--sample-paper", type=int, metavar="SIDE", help="make paper.nc and stop")
    parser.add_argument("--relax", metavar="WEIGHTS", help="make a stage of POLICIES and stop")
    parser.add_argument("--stage", default="policy", choices=list(POLICIES), help="of --relax")
    parser.add_argument("--quick", action="store_true", help="a minute's work")
    parser.add_argument("--output", help="weights; provenance goes to .json beside")
    return parser.parse_args()


def read(folder, stages):
    """All spins and fields of stages, as two arrays (n, x, y, 3)."""
    spins, fields = [], []
    for stage in stages:
        path = os.path.join(folder, f"{stage}.nc")
        if os.path.exists(path):
            x, y = torque_samples(path)
            spins.append(x)
            fields.append(y - TriangularSDModel(x.shape[1:3]).bias)
            continue
        data = np.load(os.path.join(folder, f"{stage}.npz"))
        for part, name in ((spins, "spins"), (fields, "fields")):
            part.append(np.float64(data[name]).reshape(-1, *data[name].shape[-3:]))
    return torque_data.unit(np.concatenate(spins)), np.concatenate(fields)


def relax(folder, weights, stage):
    """New starts relaxed in a learned field, and their labels: one of ``POLICIES``."""
    learned = load(weights)
    seed, n_random, n_skyrmions, times = POLICIES[stage]
    rng = np.random.default_rng(seed)
    symmetric = stage.startswith("symmetric")
    begin = torque_data.starts(rng, n_random, n_skyrmions, symmetric=symmetric)
    damping = rng.choice([0.05, 0.1, 0.3], size=len(begin))
    system = learned.step_.system.resized(begin.shape[1:])
    frames = torque_data.relax(system, begin, damping, times)
    labels = torque_data.label(frames.reshape(-1, *frames.shape[-3:]), POLICY_MOMENTS).reshape(
        frames.shape
    )
    for k, time_ in enumerate(times):
        error = torque_error(
            system.field_of(frames[:, k]) - system.bias, labels[:, k], frames[:, k]
        )
        print(f"t = {time_}: torque error {error:.3f}", flush=True)
    torque_data.store(os.path.join(folder, f"{stage}.npz"), spins=frames, fields=labels)


def sample_paper(folder, side):
    """Trajectories like those of the paper, labelled without the error of one boundary."""
    model = TriangularSDModel((side, side), solver=KernelPolynomial(200))
    labels = KernelPolynomial(torque_data.TRAINING_MOMENTS, n_twists=2)
    path = os.path.join(folder, "paper.nc")
    sample_relaxation(model, path, 60, label_solver=labels, n_jobs=-1, progress=True)


def corrector(options, training):
    """What learns."""
    learner = network(options, training)
    return SeriesTorque(*options.series, network=learner) if options.series else learner


def network_of(fitted):
    """The network itself, with or without a series around it."""
    return fitted.network_ if isinstance(fitted, SeriesTorque) else fitted


def network(options, training):
    """The network of a name."""
    if options.network == "cnn":
        return TorqueCNN(tuple(options.widths), training=training)
    if options.network == "directional":
        sizes = {name: getattr(options, name) for name in DIRECTIONAL}
        return EquivariantTorque(**sizes, directional=True, training=training)
    return EquivariantTorque(
        n_directed=0 if options.network == "isotropic" else 4,
        energy=options.network == "energy", training=training,
    )  # fmt: skip


def main():
    """Read, train, write."""
    options = arguments()
    if options.sample_paper:
        sample_paper(options.folder, options.sample_paper)
        return
    if options.relax:
        relax(options.folder, options.relax, options.stage)
        return
    if options.output is None:
        raise SystemExit("--output is missing: where do the weights go?")
    if options.quick:
        options.minutes, options.no_compile = 0.3, True
    torch.set_num_threads(options.threads)
    started = time.time()
    spins, fields = read(options.folder, options.data)
    output = Path(options.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    training = FieldTraining(
        epochs=options.epochs, batch_size=options.batch_size, max_seconds=60 * options.minutes,
        learning_rate=options.learning_rate, loss=options.loss, scheduler=options.scheduler,
        balance=options.balance, optimizer=options.optimizer,
        checkpoint=str(output.with_suffix(".checkpoint")),
        initial_weights=network_of(load(options.start).corrector_).state_dict()
        if options.start else None,
        compile=not (options.no_compile or options.network in ("energy", "directional")),
    )  # fmt: skip
    model = TriangularSDModel(spins.shape[1:3])
    base = SemiImplicitB(model, dt=1.0, damping=0.05, drop_longitudinal=True)
    learned = CorrectedIntegrator(
        base, corrector(options, training), device=options.device, random_state=options.seed
    ).fit(spins, fields + model.bias, progress=True)
    learned.set_params(device="auto")
    learned.history_ = {}
    for one in (learned.corrector, learned.corrector_):
        for part in (one, getattr(one, "network", None), getattr(one, "network_", None)):
            if part is None:
                continue
            if hasattr(part, "history_"):
                part.device_, part.history_ = "cpu", {}
            if part.training is not None:
                part.training.set_params(
                    checkpoint=None, max_seconds=None, compile=False, initial_weights=None
                )
    save(learned, output)
    write_card(output, options, learned, spins, fields, started)


def write_card(output, options, learned, spins, fields, started):
    """What the weights are, how they came about, and how good they are."""
    checkpoint = output.with_suffix(".checkpoint")
    history = read_history(checkpoint)
    card = {
        "system": f"TriangularSDModel at its default parameters, SemiImplicitB at dt={learned.dt}",
        "training_set": f"{len(spins)} states of {spins.shape[1]}² spins from the stages "
        + ", ".join(options.data) + "; fields averaged over periodic and antiperiodic boundaries",
        "states": {stage: len(read(options.folder, [stage])[0]) for stage in options.data},
        "network": options.network + (
            " on a series of {} moments, reach {}".format(*options.series) if options.series else ""
        ),
        "epochs": len(history["loss"]),
        "training_seconds": round(history["seconds"][-1]),
        "processor_seconds": round(time.process_time()),
        "final_loss": history["loss"][-1],
        "n_parameters": sum(w.size for w in network_of(learned.corrector_).weights_.values())
        + (len(learned.corrector_.coefficients_) if options.series else 0),
        "lattice": "triangular, any size; multiples of 12",
        "temperatures": "electrons at 0.05, spins without noise",
        "guarantees": sorted(learned.guarantees),
        "training_error": float(
            torque_error(learned.corrector_.field(spins[::8]), fields[::8], spins[::8])
        ),
        **test_errors(learned, options.folder),
        "provenance": common.metadata(started, options.seed),
    }  # fmt: skip
    if options.start:
        add_earlier_rounds(card, Path(options.start).with_suffix(".json"))
    output.with_suffix(".json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n")
    print(json.dumps({k: v for k, v in card.items() if k != "provenance"}, indent=1), flush=True)


def add_earlier_rounds(card, path):
    """States, epochs and times of all rounds; each is kept under ``rounds``, with its errors.

    A stage that several rounds had counts once.
    """
    before = json.loads(path.read_text())
    times = ["epochs", "training_seconds", "processor_seconds"]
    names = ["training_set", "states", "final_loss", "torque_error", *times]
    earlier = before.get("rounds", [{name: before.get(name) for name in names}])
    card["rounds"] = [*earlier, {name: card.get(name) for name in names}]
    for name in times:
        card[name] += before[name]
    card["states"] = before["states"] | card["states"]
    _, description = card["training_set"].split(maxsplit=1)
    card["training_set"] = (
        f"{sum(card['states'].values())} {description}, and those of "
        f"{len(earlier)} earlier round{'s' * (len(earlier) > 1)}"
    )


def read_history(checkpoint):
    """Losses and seconds of the run that left this checkpoint."""
    import torch

    return torch.load(checkpoint, weights_only=True)["run"]["history"]


def test_errors(learned, folder):
    """Torque errors on exact trajectories that no training state comes from."""
    path = os.path.join(folder, "test.npz")
    if not os.path.exists(path):
        return {}
    data = {k: np.float64(v) for k, v in np.load(path).items()}
    spins, fields = data["spins"], data["fields"]
    predicted = np.stack([learned.corrector_.field(run) for run in spins])
    half = torque_data.N_RANDOM
    errors = {
        "random starts": torque_error(predicted[:half], fields[:half], spins[:half]),
        "skyrmion lattice": torque_error(predicted[half:], fields[half:], spins[half:]),
        "all": torque_error(predicted, fields, spins),
        "all, against periodic boundaries": torque_error(predicted, data["periodic_fields"], spins),
        "periodic boundaries themselves": torque_error(data["periodic_fields"], fields, spins),
        "random starts, t = 0": torque_error(
            predicted[:half, 0], fields[:half, 0], spins[:half, 0]
        ),
        "all, t = 400": torque_error(predicted[:, -1], fields[:, -1], spins[:, -1]),
    }
    angles = torque_angle(predicted, fields, spins)
    return {
        "torque_error": {k: float(v) for k, v in errors.items()},
        "torque_angle_degrees": {
            "median": float(np.nanmedian(angles)), "95 %": float(np.nanquantile(angles, 0.95))
        },
    }  # fmt: skip


if __name__ == "__main__":
    main()
