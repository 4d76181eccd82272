"""Cost of energies, forces and magnetic forces of iron on one core: ``python bench_crystal.py``.

Million atom-evaluations per second: energy, forces and magnetic forces of all atoms of thermal
states, neighbour lists kept. Times are those of the processor, so that a busy machine matters
less. Run with OMP_NUM_THREADS=1. Whole steps, LAMMPS beside them: ``bench_rivals.py``.
"""

import time
from functools import partial

import numpy as np
from common import record

from dlintegrate import SpinLatticeCrystal
from dlintegrate._kernels.neighbours import pairs_within
from dlintegrate.systems import BetheSlater, Morse

SEED = 20261127
MORSE = Morse(switch=0.0)
MODELS = {
    "Morse and cubic exchange": {},
    "Morse and Bethe-Slater exchange, cut plainly": {
        "pair_potential": MORSE, "exchange": BetheSlater(),
    },
    "Morse alone, cut plainly": {"pair_potential": MORSE, "exchange": None},
    "Finnis-Sinclair and cubic exchange": {"pair_potential": "finnis-sinclair"},
    "Finnis-Sinclair alone": {"pair_potential": "finnis-sinclair", "exchange": None},
}  # fmt: skip
BATCHES = ((3, 1), (5, 1), (5, 16), (10, 1))


def positions_of(system, n_samples):
    """Atoms shaken as at some hundred K, and random spins."""
    states = system.random_states(n_samples, SEED)
    return np.ascontiguousarray(states[:, 0]), np.ascontiguousarray(states[:, 2])


def shortest(task):
    """Fewest processor seconds of a task: ten windows of at least 20 ms, after one to warm up."""
    started = time.process_time()
    task()
    task()
    calls = 1 + int(0.04 / max(1e-6, time.process_time() - started))
    best = np.inf
    for _ in range(10):
        started = time.process_time()
        for _ in range(calls):
            task()
        best = min(best, (time.process_time() - started) / calls)
    return best


def evaluations():
    """Rates of all models, sizes and batches."""
    for name, parameters in MODELS.items():
        for size, n_samples in BATCHES:
            system = SpinLatticeCrystal(size=size, **parameters)
            states = positions_of(system, n_samples)
            rate = n_samples * system.n_sites / shortest(partial(system.compute, *states)) / 1e6
            yield {"model": name, "atoms": system.n_sites, "samples": n_samples, "rate": rate}
            print(f"{name}, {system.n_sites} atoms x {n_samples}: {rate:.2f} million/s", flush=True)


def other_costs():
    """Milliseconds of what happens around evaluations, 250 atoms."""
    system = SpinLatticeCrystal()
    positions, _ = positions_of(system, 1)
    states = system.random_states(1, SEED)
    cutoff = system.interaction_cutoff
    tasks = {
        "new list of neighbours": lambda: pairs_within(positions, system.cell, cutoff + 1.0),
        "bonds of the exchange": lambda: system.exchange_bonds(positions),
        "health of a state": lambda: system.healthy(states),
        "observables of a state": lambda: system.observables(states),
        "virial and pressure": lambda: system.pressure(states),
    }
    return {name: 1e3 * shortest(task) for name, task in tasks.items()}


if __name__ == "__main__":
    started = time.time()
    record("crystal", {"evaluations": list(evaluations()), "milliseconds": other_costs()}, started,
           seeds=SEED)  # fmt: skip
