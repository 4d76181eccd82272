"""What learned torques are worth: error, cost, transfer to larger lattices, long runs.

    python benchmarks/bench_torque.py FOLDER [WEIGHTS ...]

FOLDER holds ``test.npz`` of ``torque_data.py``. The shipped field is measured in full: on 24²
and 48² states that it has not seen, its time against that of the exact field, symmetry,
locality, and damped runs on 96² next to exact ones on 24². Further WEIGHTS of
``train_torque.py`` are compared on the test trajectories of 24². One core; 20 minutes.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import torch
import torque_data
from common import RESULTS, fastest, metadata, record
from train_torque import test_errors

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    SemiImplicitB,
    TriangularSDModel,
    load,
    load_pretrained,
    skyrmion_lattice,
)
from dlintegrate.metrics import (
    effective_receptive_field,
    equivariance_error,
    ordering_weight,
    receptive_radius,
    topological_charge,
    torque_error,
)

SEED = 20230914
STEP = 2.0
NETWORKS = ("sd-torque", "sd-torque-fast")


def compare(weights, folder):
    """Errors of several networks on the test trajectories, and what their cards say."""
    rows = [linear_row(folder)]
    for path in weights:
        learned = load(path)
        card = json.loads(Path(path).with_suffix(".json").read_text())
        spins = np.float64(np.load(os.path.join(folder, "test.npz"))["spins"][:, ::4])
        spins = torque_data.unit(spins.reshape(-1, *spins.shape[-3:]))
        symmetry = equivariance_error(learned.simulated, spins, relative=True, random_state=SEED)
        field = learned.simulated.resized(spins.shape[1:])
        seconds, _ = fastest(lambda field=field, spins=spins: field.field_of(spins))
        ends = long_run(learned, folder)
        rows.append({
            "network": card["network"], "n_parameters": card["n_parameters"],
            "training_seconds": card["training_seconds"], "epochs": card["epochs"],
            "training_set": card["training_set"], **test_errors(learned, folder),
            "equivariance_error": float(symmetry),
            "microseconds_per_site": 1e6 * seconds / spins[..., 0].size, "long_run": ends,
        })  # fmt: skip
        print(rows[-1]["network"], rows[-1]["torque_error"]["all"], flush=True)
    return rows


def linear_row(folder):
    """The linear field of the data stages: the null model."""
    kernel = np.float64(np.load(os.path.join(folder, "linear.npz"))["kernel"])
    data = np.load(os.path.join(folder, "test.npz"))
    runs = np.float64(data["spins"])
    predicted = np.stack([torque_data.convolve(run, kernel) for run in runs])
    half, fields = torque_data.N_RANDOM, np.float64(data["fields"])
    parts = {"random starts": slice(half), "skyrmion lattice": slice(half, None),
             "all": slice(None)}  # fmt: skip
    errors = {k: float(torque_error(predicted[p], fields[p], runs[p])) for k, p in parts.items()}
    n = len(np.unique(kernel)) - 1
    return {"network": "linear", "n_parameters": n, "torque_error": errors,
            "equivariance_error": 0.0}  # fmt: skip


def long_run(learned, folder):
    """Where a damped run from the last exact frame of the skyrmion lattice is at t = 2000."""
    data = np.load(os.path.join(folder, "test.npz"))
    half = torque_data.N_RANDOM
    start = torque_data.unit(np.float64(data["spins"][half:, -1]))
    system = learned.simulated.resized(start.shape[1:])
    end = torque_data.relax(system, start, np.full(len(start), 0.05), [2000], STEP)[:, 0]
    return {
        "charge_before": topological_charge(start).tolist(),
        "charge": topological_charge(end).tolist(),
        "weight_before": float(ordering_weight(start).sum(-1).mean()),
        "weight": float(ordering_weight(end).sum(-1).mean()),
        "error": float(
            torque_error(
                learned.corrector_.field(end), torque_data.label(end, torque_data.TEST_MOMENTS), end
            )
        ),
    }


def transfer(learned):
    """Torque errors on 48², of states that the learned field has relaxed for a while.

    The skyrmion lattice has M = 0, where noise turns spins over: a rough texture, which has
    lost its charge. ``ordered``, beside, is one that has not.
    """
    side = 48
    rng = np.random.default_rng(SEED)
    lattice = {"perturbation": 0.1, "random_state": SEED + 1}
    starts = {
        "random start": torque_data.unit(rng.normal(size=(1, side, side, 3))),
        "skyrmion lattice": skyrmion_lattice((side, side), **lattice),
    }
    ordered = {"skyrmion lattice, M = 0.2": skyrmion_lattice((side, side), offset=0.2, **lattice)}
    rows, (predicted, averaged, periodic, spins) = relaxed_errors(learned, starts)
    return {
        "states": rows,
        "all": float(torque_error(predicted, averaged, spins)),
        "all, against periodic boundaries": float(torque_error(predicted, periodic, spins)),
        "periodic boundaries themselves": float(torque_error(periodic, averaged, spins)),
        "ordered": relaxed_errors(learned, ordered)[0],
    }


def relaxed_errors(learned, starts):
    """Errors at the start and at t = 80; learned, averaged and periodic fields, and spins."""
    side = next(iter(starts.values())).shape[1]
    system = learned.simulated.resized((side, side, 3))
    rows, everything = [], []
    for name, start in starts.items():
        times = [0, 80]
        frames = torque_data.relax(system, start, np.array([0.05]), times)[0]
        for when, spins in zip(times, frames, strict=True):
            predicted = learned.corrector_.field(spins[None])
            averaged = torque_data.label(spins[None], torque_data.TEST_MOMENTS)
            periodic = torque_data.label(spins[None], torque_data.TEST_MOMENTS, 1)
            everything.append((predicted, averaged, periodic, spins[None]))
            rows.append({
                "start": name, "time": when, "charge": float(topological_charge(spins)),
                "error": float(torque_error(predicted, averaged, spins[None])),
                "error against periodic boundaries":
                    float(torque_error(predicted, periodic, spins[None])),
            })  # fmt: skip
            print(rows[-1], flush=True)
    return rows, [np.concatenate(x) for x in zip(*everything, strict=True)]


def cost(shipped):
    """Processor seconds of one field on one core, learned and exact, and the errors of both.

    Truth are fields with 240 moments averaged over boundaries; on 48² of periodic boundaries,
    where they hardly matter. A series with few moments is the rival: it is wrong too, and cheap.
    Everything is compiled before it is timed.
    """
    rows = []
    series = {f"KPM, {n} moments": KernelPolynomial(n) for n in (20, 30, 60, 100, 300)}
    exact = {"exact diagonalisation": ExactDiagonalization()}
    probing = KernelPolynomial(150, method="probing", n_colors=144, random_state=0)
    for side, solvers in (
        (24, series | exact),
        (48, series | {"probing, 144 colours, 150 moments": probing} | exact),
        (96, {}),
    ):
        systems = {
            name: learned.simulated.resized((side, side, 3)) for name, learned in shipped.items()
        }
        slow = systems["sd-torque"]
        start = slow.random_states(1, SEED)
        spins = torque_data.relax(slow, start, np.array([0.05]), [40], STEP)[:, 0]
        truth = None
        if side < 96:
            truth = torque_data.label(spins, torque_data.TEST_MOMENTS, 2 if side == 24 else 1)
        known, fields = {}, {}
        for name, system in systems.items():
            known[name], fields[name] = processor_time(
                lambda s=system, x=spins: s.field_of(x) - s.bias, 7
            )
        for name, solver in solvers.items():
            model = TriangularSDModel((side, side), field=(0, 0, 0), solver=solver)
            small = model.resized((12, 12, 3))
            small.field_of(small.random_states(1, SEED))
            known[name], fields[name] = processor_time(
                lambda m=model, x=spins: m.field_of(x), 1 if side > 24 and name in exact else 3
            )
        for name, seconds in known.items():
            row = {"L": side, "field": name, "seconds": seconds}
            row |= {f"over {field}": seconds / known[field] for field in shipped}
            if truth is not None:
                row["error"] = float(torque_error(fields[name], truth, spins))
            rows.append(row)
            print(row, flush=True)
    return rows


def processor_time(function, repeats):
    """Least processor time of a call, and its result."""
    best = np.inf
    for _ in range(repeats):
        started = time.process_time()
        result = function()
        best = min(best, time.process_time() - started)
    return best, result


def locality(learned, folder):
    """Radius that holds nine tenths of the influence on a torque."""
    data = np.load(os.path.join(folder, "test.npz"))
    spins = torque_data.unit(np.float64(data["spins"][[0, -1], 4]))
    seen = effective_receptive_field(learned.simulated, spins, random_state=SEED)
    return {"learned": float(receptive_radius(seen, 0.9))}


def order(frames):
    """Charge and weight at the ordering vectors of each frame."""
    return {
        "charge": topological_charge(frames).tolist(),
        "weight": ordering_weight(frames).sum(axis=-1).tolist(),
    }


def restoration(shipped, folder):
    """Perturbed skyrmion lattices at α = 0.05: learned on 96² and 24², exact on 24²."""
    learned = shipped["sd-torque"]
    data = np.load(os.path.join(folder, "test.npz"))
    half = torque_data.N_RANDOM
    exact = torque_data.unit(np.float64(data["spins"][half:]))
    small = learned.simulated.resized(exact.shape[2:])
    same = torque_data.relax(small, exact[:, 0], np.full(len(exact), 0.05), data["times"], STEP)
    times = np.array([0, 20, 40, 80, 120, 160, 200, 400, 600, 800, 1000])
    runs = {}
    for perturbation in (0.05, 0.1):
        # without the offset some spins of the lattice have no direction, and no noise is weak
        start = skyrmion_lattice((96, 96), offset=0.2, perturbation=perturbation, random_state=SEED)
        for name, field in shipped.items():
            system = field.simulated.resized(start.shape[1:])
            frames = torque_data.relax(system, start, np.array([0.05]), times, STEP)[0]
            run = f"{name}, perturbation {perturbation}"
            runs[run] = {"times": times.tolist(), **order(frames)}
            print(run, runs[run]["charge"][::4], flush=True)
    small_runs = {
        f"24², {name}, start {k + 1}": {
            "times": data["times"].tolist(),
            **{what: values[k] for what, values in order(frames).items()},
        }
        for k in range(len(exact))
        for name, frames in (("exact", exact), ("learned", same))
    }
    large_runs = {f"96², {name}": run for name, run in runs.items()}
    rows = [
        {"run": name, "time": when, "charge": charge, "weight": weight}
        for name, run in (small_runs | large_runs).items()
        for when, charge, weight in zip(run["times"], run["charge"], run["weight"], strict=True)
        if when in (0, 40, 80, 200, 400, 1000, 2000)
    ]
    return {
        "table": rows,
        "24, exact": {"times": data["times"].tolist(), **order(exact)},
        "24, learned": {"times": data["times"].tolist(), **order(same)},
        "24, distance of the two": np.sqrt(((same - exact) ** 2).sum(-1).mean((0, 2, 3))).tolist(),
        "96, learned": runs,
        "perfect lattice": order(skyrmion_lattice((96, 96), offset=0.2)),
    }


def beside_exact(learned):
    """The same kind of start on 24², in the exact field of periodic boundaries and the learned."""
    start = skyrmion_lattice((24, 24), offset=0.2, perturbation=0.1, random_state=SEED)
    times = [0, 40, 80, 120, 160, 200]
    exact = TriangularSDModel((24, 24), solver=KernelPolynomial(200))
    rows = []
    for name, system in (("exact", exact), ("learned", learned.simulated)):
        frames = torque_data.relax(system, start, np.array([0.05]), times, STEP)[0]
        known = order(frames)
        rows += [
            {"field": name, "time": time_, "charge": charge, "weight": weight}
            for time_, charge, weight in zip(times, known["charge"], known["weight"], strict=True)
        ]
    return rows


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    parser.add_argument("weights", nargs="*")
    only = "measure these parts, keep the others as they are on disk"
    parser.add_argument("--only", nargs="+", metavar="PART", help=only)
    options = parser.parse_args()
    torch.set_num_threads(1)
    started = time.time()
    shipped = {name: load_pretrained(name) for name in (*NETWORKS, "sd-torque-series")}
    learned = shipped["sd-torque"]
    assert isinstance(learned.base, SemiImplicitB)
    parts = {
        "shipped": lambda: test_errors(learned, options.folder),
        "shipped_fast": lambda: test_errors(shipped["sd-torque-fast"], options.folder),
        "shipped_series": lambda: test_errors(shipped["sd-torque-series"], options.folder),
        "cost": lambda: cost(shipped),
        "locality": lambda: locality(learned, options.folder),
        "comparison": lambda: compare(options.weights, options.folder),
        "transfer": lambda: transfer(learned),
        "transfer_fast": lambda: transfer(shipped["sd-torque-fast"]),
        "transfer_series": lambda: transfer(shipped["sd-torque-series"]),
        "restoration": lambda: restoration(
            {name: shipped[name] for name in NETWORKS}, options.folder
        ),
        "beside_exact": lambda: beside_exact(learned),
    }
    if options.only:
        parts = {name: parts[name] for name in options.only}
    results = {name: measure() for name, measure in parts.items()}
    origin = metadata(started, SEED)
    measured = {name: origin for name in parts}
    if options.only:  # read at the end: parts may be measured side by side
        known = json.loads((RESULTS / "torque.json").read_text())["results"]
        measured = known.get("measured", {}) | measured
        results = known | results
    results["measured"] = measured
    record("torque", results, started, seeds=SEED)


if __name__ == "__main__":
    main()
