"""Speed of potentials of positions and spins on one core, and their errors on iron by frames.

    python benchmarks/bench_spin_potential.py [--quick]

Speed: iron at 5 % displacement, energy, forces and magnetic forces with the neighbour list,
which is made again whenever an atom has moved by half its skin. Processor time of the fastest
of several runs of a short walk.
"""

import argparse
import time

import numpy as np
from common import record

from dlintegrate import (
    DeepSpinPotential,
    EquivariantSpinPotential,
    PotentialTraining,
    SpinLatticeCrystal,
    make_frames,
)

LATTICE = 2.8665


def iron(n_cells):
    """Positions, cell and spins of bcc iron (2 n³ atoms for an int) with thermal disorder."""
    sides = np.broadcast_to(n_cells, 3)
    rng = np.random.default_rng(0)
    corners = np.stack(np.meshgrid(*map(np.arange, sides), indexing="ij"), -1).reshape(-1, 3)
    x = LATTICE * np.concatenate([corners, corners + 0.5])
    x = x + rng.normal(scale=0.05, size=x.shape)
    spins = rng.normal(size=x.shape)
    spins *= 2.2 / np.linalg.norm(spins, axis=1, keepdims=True)
    return x[None], LATTICE * np.diag(sides.astype(float)), spins[None]


def atom_steps(potential, n_cells, n_steps=20, repeats=5):
    """Atom-steps per second of a walk with steps of iron at 1000 K and 1 fs."""
    x, cell, spins = iron(n_cells)
    species = ["Fe"] * x.shape[1]
    steps = np.random.default_rng(1).normal(scale=0.004, size=(n_steps, *x.shape))
    potential.compute(x, cell, spins, species)
    best = np.inf
    for _ in range(repeats):
        place = x.copy()
        started = time.process_time()
        for step in steps:
            place += step
            potential.compute(place, cell, spins, species)
        best = min(best, time.process_time() - started)
    return n_steps * x.shape[1] / best


def some_frames(n_frames, seed):
    """Shaken iron of 54 atoms, spins from disorder to order, labelled by the analytic model."""
    crystal = SpinLatticeCrystal(size=3)
    states = [
        crystal.random_states(1, random_state=1000 * seed + k, order=float(k % 4))
        for k in range(n_frames)
    ]
    return make_frames(crystal, np.concatenate(states))


def speeds(quick):
    """Rows of atom-steps per second."""
    rows = []
    frames = some_frames(4, seed=0)
    sizes = {54: 3, 250: 5, 1024: (8, 8, 8)}
    for cutoff in (4.0, 5.0):
        for width in (0, 16):
            potential = EquivariantSpinPotential(cutoff=cutoff, random_state=0).fit(frames)
            potential.width = width
            for name in ("hidden", "bias", "output"):  # a network's cost is not its values
                shape = list(potential.weights_[name].shape)
                shape[1] = width
                potential.weights_[name] = np.zeros(shape)
            for precision in ("single", "double"):
                potential.set_params(precision=precision)
                row = {"potential": "EquivariantSpinPotential", "cutoff": cutoff,
                       "network": width, "precision": precision}  # fmt: skip
                for n_atoms, n_cells in sizes.items():
                    row[f"{n_atoms} atoms"] = round(atom_steps(potential, n_cells))
                rows.append(row)
                print(row, flush=True)
    if not quick:
        training = PotentialTraining(epochs=1)
        deep = DeepSpinPotential(cutoff=4.0, training=training, random_state=0).fit(frames)
        speed = atom_steps(deep, 3, n_steps=2, repeats=2)
        rows.append({"potential": "DeepSpinPotential", "cutoff": 4.0, "precision": "single",
                     "54 atoms": round(speed)})  # fmt: skip
        print(rows[-1])
    return rows


def learning_curve(seeds):
    """Relative errors on iron by the number of frames of 54 atoms."""
    test = some_frames(12, seed=99)
    rows = []
    for n_frames in (1, 2, 5, 10, 20, 40):
        errors = {name: [] for name in ("energy", "force", "magnetic_force", "virial")}
        seconds = []
        for seed in seeds:
            train = some_frames(n_frames, seed)
            started = time.process_time()
            fitted = EquivariantSpinPotential(cutoff=4.5, random_state=seed).fit(train)
            seconds.append(time.process_time() - started)
            found = fitted.errors(test)
            scales = {"energy": test.energy.values.std() / 54, "force": test.force.values.std(),
                      "magnetic_force": test.magnetic_force.values.std(),
                      "virial": (test.virial.values / 54).std()}  # fmt: skip
            for name, values in errors.items():
                values.append(float(found[name] / scales[name]))
        row = {"frames": n_frames, **{k: float(np.mean(v)) for k, v in errors.items()}}
        rows.append({**row, "processor_seconds": float(np.mean(seconds))})
        print(rows[-1], flush=True)
    return rows


def main():
    started = time.time()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="leave DeepSpinPotential out")
    arguments = parser.parse_args()
    seeds = [0, 1, 2]
    results = {
        "atom-steps per second": speeds(arguments.quick),
        "relative errors on iron": learning_curve(seeds),
    }
    record("spin_potential", results, started, seeds=seeds)


if __name__ == "__main__":
    main()
