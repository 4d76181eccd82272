"""Spin-lattice dynamics of 250 atoms of iron: what each spin step keeps over 10 ps, and its cost.

``python benchmarks/bench_spin_lattice.py [--learned] [--quick]``: five minutes of one core, with
``--learned`` (in a learned potential, to a file of its own) a quarter of an hour. Costs are
processor times.
"""

import argparse
import json
import sys
import time

import numpy as np
from common import record
from rival import NotInstalled, Rival

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantSpinPotential,
    LearnedPotential,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
)
from dlintegrate._units import ATOMIC_MASS
from dlintegrate.systems import BetheSlater, Morse

TEMPERATURE, SEED = 300.0, 0


def equilibrium(crystal):
    """A state in equilibrium at 300 K, without total momentum."""
    thermostat = SpinLatticeSplitting(
        crystal, 2.0, friction=0.02, damping=0.2, temperature=TEMPERATURE, random_state=SEED
    )
    state = thermostat.step(crystal.random_states(1, SEED, order=20.0), 1000)
    share = (crystal.masses / crystal.masses.sum())[:, None]
    state[:, 1] -= share * state[:, 1].sum(axis=1, keepdims=True)
    return state


def kept(integrator, state, duration):
    """Drifts over a run, and the cost of a step without the observables."""
    n_atoms = state.shape[2]
    n_steps = max(1, round(50 / integrator.dt))
    seconds = cost(integrator, state, n_steps)
    run = integrator.simulate(state, duration, save_every=round(20 / integrator.dt))
    energy = run.energy.values[0] / n_atoms
    total, momentum = run.magnetization.values[0], run.momentum.values[0]
    last = run.phase_space.values[0, -1, 2]
    moment = np.linalg.norm(state[0, 2], axis=-1)
    return {
        **of_energy(run.time.values, energy),
        "total_spin_per_atom": float(np.linalg.norm(total - total[0], axis=-1).max() / n_atoms),
        "momentum_per_atom": float(np.linalg.norm(momentum - momentum[0], axis=-1).max() / n_atoms),
        "length_error": float(np.abs(np.linalg.norm(last, axis=-1) / moment - 1).max()),
        "ns_per_atom_step": 1e9 * seconds / n_steps / n_atoms,
        "lattice_temperature": float(run.lattice_temperature[0].mean()),
        "spin_temperature": float(run.spin_temperature[0].mean()),
    }


def cost(integrator, state, n_steps):
    """Shortest processor time of ``n_steps`` steps, in seconds."""
    integrator.step(state, n_steps)
    found = []
    for _ in range(5):
        begin = time.process_time()
        integrator.step(state, n_steps)
        found.append(time.process_time() - begin)
    return min(found)


def of_energy(times, energy):
    """Trend by a straight line over the whole run, and fluctuation about it, eV per atom."""
    slope, offset = np.polyfit(times, energy, 1)
    return {
        "drift_eV_per_atom_per_10ps": float(slope * 1e4),
        "fluctuation_eV_per_atom": float((energy - offset - slope * times).std()),
        "largest_change_eV_per_atom": float(np.abs(energy - energy[0]).max()),
    }


def learned_step(dt):
    """The step in a potential learned from 40 frames of 54 atoms, on 250 atoms."""
    small = SpinLatticeCrystal(size=3)
    thermostat = SpinLatticeSplitting(
        small, 2.0, friction=0.02, damping=0.2, temperature=TEMPERATURE, random_state=SEED
    )
    state, samples = small.random_states(4, SEED, order=20.0), []
    for _ in range(10):
        state = thermostat.step(state, 50)
        samples.append(state)
    network = EquivariantSpinPotential(
        cutoff=4.0, n_basis=8, n_channels=3, lmax=2, random_state=SEED
    )
    base = SpinLatticeSplitting(small, dt, tol=1e-11)
    fitted = CorrectedIntegrator(base, LearnedPotential(network)).fit(np.concatenate(samples))
    errors = {"score": fitted.score(thermostat.step(state, 50)), "n_frames": 40, "cutoff": 4.0}
    large = SpinLatticeSplitting(SpinLatticeCrystal(), dt, tol=1e-11)
    return fitted.corrector_.bind(large), errors


def iron_job(system, states, dt):
    """What ``lammps_iron`` needs of a state: Å, Å/ps, unit spins."""
    moments = system.moments[:, None]
    return {
        "positions": states[0, 0] % np.diag(system.cell),
        "velocities": 1e3 * states[0, 1] / system.masses[:, None],
        "spins": states[0, 2] / np.where(moments > 0, moments, 1.0),
        "moment": float(system.moments[0]), "mass": float(system.masses[0] / ATOMIC_MASS),
        "side": float(system.cell[0, 0]), "dt": 1e-3 * dt,
    }  # fmt: skip


def lammps(state, crystal, dt, duration, python):
    """LAMMPS on the same state; None where it is not installed."""
    chunks = 100
    job = {
        **iron_job(crystal, state, dt), "style": "spin", "n_check": 0,
        "n_steps": round(duration / dt / chunks),
    }  # fmt: skip
    try:
        with Rival("lammps_iron", job, python) as rival:
            runs = [rival.run("LAMMPS spin") for _ in range(chunks)]
            energies = [run["total_energy"] for run in (rival.found, *runs)]
    except NotInstalled as error:
        print("LAMMPS does not run here:", error)
        return None
    total = np.array(runs[-1]["total_spin"]) - state[0, 2].sum(axis=0)
    seconds = min(run["processor"] for run in runs) / job["n_steps"]
    return {
        **of_energy(np.linspace(0, duration, chunks + 1), np.array(energies) / crystal.n_sites),
        "total_spin_per_atom": float(np.linalg.norm(total) / crystal.n_sites),
        "length_error": runs[-1]["length_error"],
        "ns_per_atom_step": 1e9 * seconds / crystal.n_sites,
    }


def measure(iron, state, duration, note, python):
    """The exact system: LAMMPS and ours on the same energy, then every spin step."""
    plain = SpinLatticeCrystal(
        exchange=BetheSlater(), pair_potential=Morse(cutoff=5.8, switch=0.0),
        moment=2.0,  # LAMMPS knows no other rate of precession
    )  # fmt: skip
    same = equilibrium(plain)
    found = lammps(same, plain, 0.5, duration, python)
    if found is not None:
        note("LAMMPS, 0.5 fs", found)
    splitting = SpinLatticeSplitting(plain, 0.5, "bonds")
    note("bonds on the energy of LAMMPS, 0.5 fs", kept(splitting, same, duration))
    for dt in (0.5, 1.0):
        note(f"bonds, {dt} fs", kept(SpinLatticeSplitting(iron, dt, "bonds"), state, duration))
    for step in ("sites", "semi-implicit", "midpoint"):
        note(f"{step}, 0.5 fs", kept(SpinLatticeSplitting(iron, 0.5, step), state, duration))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learned", action="store_true", help="in a learned potential")
    parser.add_argument("--quick", action="store_true", help="a hundredth of the time")
    parser.add_argument("--python-for-rivals", default=sys.executable, metavar="PATH")
    options = parser.parse_args()
    started, duration = time.time(), 100.0 if options.quick else 10_000.0
    iron = SpinLatticeCrystal()
    state = equilibrium(iron)
    results = {"n_atoms": iron.n_sites, "duration_fs": duration, "temperature": TEMPERATURE}

    def note(name, entry):
        runs = results if options.learned else results.setdefault("runs", {})
        runs[name] = entry
        print(name, json.dumps(entry), flush=True)
        if not options.quick:
            suffix = "_learned" if options.learned else ""
            record(f"spin_lattice{suffix}", results, started, seeds=SEED)

    if options.learned:
        learned, errors = learned_step(0.5)
        note("midpoint, 0.5 fs", {**kept(learned, state, duration), **errors})
    else:
        measure(iron, state, duration, note, options.python_for_rivals)


if __name__ == "__main__":
    main()
