"""NiO from first-principles labels: potentials beside null models, on frames left out.

    python benchmarks/bench_nio.py [--data FOLDER] [--seeds 3] [--deep-seconds 240] [--null-models]

The data folder is ../shared/data, or the environment variable DLINTEGRATE_DATA. Every sixth
frame of each data set (0, 6, 12, …) is left out of all fits: a rule that looks at nothing.
"""

import argparse
import os
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import xarray as xr
from common import record

from dlintegrate import (
    DeepSpinPotential,
    EquivariantSpinPotential,
    PotentialTraining,
    read_deepmd,
)
from dlintegrate.potentials._tensors import neighbour_table

ROOT = Path(__file__).resolve().parents[1]
UNITS = {"energy": "meV/atom", "force": "meV/Å", "magnetic_force": "meV/μB"}
#: Limits of the shells of Ni around Ni, in Å (first to fourth neighbours).
SHELLS = (0.0, 3.5, 4.6, 5.5, 6.3)
#: Of the pseudo-atoms of the displaced set: (distance in Å, moment in μB).
VIRTUAL = {"Ni": (0.4, 1.2737)}


def left_out(frames):
    """Training and test frames by the rule."""
    test = np.arange(frames.sizes["frame"]) % 6 == 0
    return frames.isel(frame=~test), frames.isel(frame=test)


def joined(parts):
    return xr.concat(parts, "frame", coords="minimal", compat="override")


def in_milli(errors):
    return {name: 1e3 * value for name, value in errors.items()}


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


# Null models -----------------------------------------------------------------------------


def shell_fields(frames):
    """Sums of the spins of each shell around each Ni: (n_shells, n_frames, n_ni, 3)."""
    magnetic = np.flatnonzero(frames.species.values == "Ni")
    positions = frames.position.values[:, magnetic].mean(0)  # one lattice for all frames
    spins = frames.spin.values[:, magnetic]
    near, offset = neighbour_table(positions, frames.cell.values[0], SHELLS[-1])
    d = np.linalg.norm(positions[near] + offset - positions[:, None], axis=-1)
    fields = []
    for low, high in pairwise(SHELLS):
        chosen = ((near >= 0) & (d > low) & (d < high)).astype(float)
        fields.append(np.einsum("ij,fijc->fic", chosen, spins[:, near]))
    return np.array(fields), spins, magnetic


def perpendicular_parts(off, spins):
    unit = spins / np.linalg.norm(spins, axis=-1, keepdims=True)
    along = (off * unit).sum(-1, keepdims=True) * unit
    return {"magnetic_force": rms(off), "magnetic_force_perpendicular": rms(off - along),
            "magnetic_force_longitudinal": rms(along)}  # fmt: skip


def null_models(train, test):
    """The mean; J1 + J2 Heisenberg energies; linear fits of magnetic forces without an energy."""
    n = train.sizes["atom"]
    (f0, s0, ni), (f1, s1, _) = shell_fields(train), shell_fields(test)
    mean = {
        "energy": rms(test.energy - train.energy.mean()) / n,
        "force": rms(test.force - train.force.mean("frame")),
        **perpendicular_parts(
            (test.magnetic_force - train.magnetic_force.mean("frame")).values[:, ni], s1
        ),
    }

    def pair_sums(fields, spins):
        sums = np.einsum("sfic,fic->fs", fields[:2], spins)
        return np.column_stack([np.ones(len(sums)), sums])

    c, *_ = np.linalg.lstsq(pair_sums(f0, s0), train.energy.values, rcond=None)
    heisenberg = {"energy": rms(pair_sums(f1, s1) @ c - test.energy.values) / n}

    def shells(fields, spins):
        return [spins, *fields]

    def local_order(fields, spins):
        h = fields[1]
        along, square = ((spins * x).sum(-1, keepdims=True) for x in (h, spins))
        return [
            spins,
            (square - 1.2737**2) * spins,
            h,
            along * spins,
            (h * h).sum(-1)[..., None] * spins,
        ]

    target = train.magnetic_force.values[:, ni].ravel()
    linear = {}
    for name, columns in (
        ("S and four shells", shells),
        ("S, |S|² S, h2, (S·h2) S, |h2|² S", local_order),
    ):
        a, b = (np.stack(columns(f, s), -1).reshape(-1, 5) for f, s in ((f0, s0), (f1, s1)))
        c, *_ = np.linalg.lstsq(a, target, rcond=None)
        off = (b @ c).reshape(s1.shape) - test.magnetic_force.values[:, ni]
        linear[f"linear fit of magnetic forces: {name}"] = in_milli(perpendicular_parts(off, s1))
    return {
        "mean of the training frames": in_milli(mean),
        "J1 + J2 Heisenberg fit of energies": in_milli(heisenberg), **linear,
    }  # fmt: skip


# Fits ------------------------------------------------------------------------------------


def fitted(potential, train, test):
    """Errors on both, and the processor time of the fit."""
    started = time.process_time()
    potential.fit(train)
    seconds = time.process_time() - started
    return {
        "held out": in_milli(potential.errors(test)),
        "training": in_milli(potential.errors(train)),
        "processor_seconds": seconds,
    }


def seeds_of(make, n_seeds, train, test):
    """Fits with several seeds, and the mean of their errors."""
    runs = [fitted(make(seed), train, test) for seed in range(n_seeds)]
    mean = {
        name: float(np.mean([run["held out"][name] for run in runs]))
        for name in runs[0]["held out"]
    }
    print({k: round(v, 4) for k, v in mean.items()}, round(runs[0]["processor_seconds"], 1), "s")
    return {"held out, mean over seeds": mean, "seeds": runs}


def equivariant(**parameters):
    return lambda seed: EquivariantSpinPotential(random_state=seed, **parameters)


def deep(seconds, **parameters):
    """DeepSPIN's potential, trained for a given time."""
    training = PotentialTraining(
        epochs=100_000, max_seconds=seconds, batch_size=2, learning_rate=3e-3
    )
    return lambda seed: DeepSpinPotential(training=training, random_state=seed, **parameters)


def consistency(train, test):
    """How labelled magnetic forces compare with those of a fit without them, and of one with."""
    result = {}
    for name, weight in (("fitted to energies and forces alone", 0.0), ("fitted to all", 1.0)):
        potential = EquivariantSpinPotential(
            magnetic_weight=weight, alpha=1e-6, random_state=0
        ).fit(train)
        ours, theirs, spins = (
            x.magnetic_force.values[:, :16] if i < 2 else x.spin.values[:, :16]
            for i, x in enumerate((potential.predict(test), test, test))
        )
        unit = spins / np.linalg.norm(spins, axis=-1, keepdims=True)
        a, b = (x - (x * unit).sum(-1, keepdims=True) * unit for x in (ours, theirs))
        result[name] = {
            "labels over gradients": float((a * b).sum() / (a * a).sum()),
            "correlation": float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum())),
            "held out": in_milli(potential.errors(test)),
        }
    return result


def pareto(train, test):
    """What one energy can do for labels that contradict each other, by the weight of energies."""
    rows = []
    for weight in (0.01, 0.1, 0.4, 1.0, 4.0, 10.0, 40.0):
        run = fitted(
            EquivariantSpinPotential(energy_weight=weight, random_state=0),
            train, test,
        )  # fmt: skip
        rows.append({"energy_weight": weight, **run["held out"]})
        print("pareto", {k: round(v, 4) for k, v in rows[-1].items()})
    return rows


def as_table(part):
    """One row for each potential and null model: held-out errors and processor time."""
    table = {}
    for name, content in part.items():
        if name == "null models":
            table.update(content)
        elif isinstance(content, dict) and "seeds" in content:
            seconds = float(np.mean([run["processor_seconds"] for run in content["seeds"]]))
            table[name] = {**content["held out, mean over seeds"], "processor_seconds": seconds}
    return table


def main():
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=os.environ.get("DLINTEGRATE_DATA"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--deep-seeds", type=int, default=1)
    parser.add_argument("--deep-seconds", type=float, default=240.0)
    parser.add_argument("--null-models", action="store_true", help="these alone: nio_null.json")
    arguments = parser.parse_args()
    folder = Path(arguments.data or ROOT.parent / "shared" / "data")
    train, test = map(
        joined,
        zip(*(left_out(read_deepmd(folder / "nio_spin" / f"undistorted_{i}")) for i in (0, 1)),
            strict=True),
    )  # fmt: skip
    displaced = read_deepmd(folder / "nio_spin_displaced" / "train", ["Ni", "O"], virtual=VIRTUAL)
    if arguments.null_models:
        known = {"undistorted": null_models(train, test)}
        known["displaced"] = null_models(*left_out(displaced))
        record("nio_null", known, started)
        return
    results = {
        "units": UNITS,
        "rule": "every sixth frame of each set, 0, 6, 12, …, is held out",
        "undistorted": {
            "frames": {"training": train.sizes["frame"], "held out": test.sizes["frame"]},
            "null models": null_models(train, test),
            "EquivariantSpinPotential": seeds_of(equivariant(), arguments.seeds, train, test),
            "EquivariantSpinPotential, all weights 1": seeds_of(
                equivariant(energy_weight=1.0), 1, train, test
            ),
            "EquivariantSpinPotential, spin_orbit": seeds_of(
                equivariant(spin_orbit=True), arguments.seeds, train, test
            ),
            "DeepSpinPotential": seeds_of(
                deep(arguments.deep_seconds), arguments.deep_seeds, train, test
            ),
            "consistency of the labels": consistency(train, test),
            "by the weight of energies": pareto(train, test),
        },
    }
    train, test = left_out(displaced)
    length, moment = VIRTUAL["Ni"]
    other = displaced.assign(magnetic_force=displaced.magnetic_force * moment / length)
    results["displaced"] = {
        "frames": {"training": train.sizes["frame"], "held out": test.sizes["frame"]},
        "null models": null_models(train, test),
        "EquivariantSpinPotential": seeds_of(equivariant(), arguments.seeds, train, test),
        "EquivariantSpinPotential without magnetic forces": seeds_of(
            equivariant(magnetic_weight=0.0, alpha=1e-6), 1, train, test
        ),
        "EquivariantSpinPotential, energies at a hundredth": seeds_of(
            equivariant(energy_weight=0.01), 1, train, test
        ),
        "EquivariantSpinPotential, forces of virtual sites taken as eV/μB": seeds_of(
            equivariant(), 1, *left_out(other)
        ),
        "DeepSpinPotential": seeds_of(
            deep(arguments.deep_seconds), arguments.deep_seeds, train, test
        ),
        "consistency of the labels": consistency(train, test),
    }
    results["tables"] = {name: as_table(results[name]) for name in ("undistorted", "displaced")}
    record("nio", results, started, seeds=list(range(arguments.seeds)))


if __name__ == "__main__":
    main()
