"""Speed of the spin integrators on one core: ``python benchmarks/bench_integrators.py``.

Prints ns per spin and step at L = 16 and 32 (one sample, float64), the memory that a
streamed run needs for a short and a ten times longer trajectory, and stores both. Rivals are in
``bench_rivals.py``.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
from common import fastest, record

from dlintegrate import (
    BlanesMoan4,
    HeisenbergLattice,
    ImplicitMidpoint,
    SublatticeComposition,
    SuzukiTrotter2,
    SuzukiTrotter4,
)

SEED = 0
TARGETS = {"ST2": 25.0}


def integrators(system, dt=0.1):
    """Label to integrator."""
    coefficients = BlanesMoan4(system, dt).coefficients
    angles = np.full((len(coefficients), 3), 1e-3)
    return {
        "ST2": SuzukiTrotter2(system, dt),
        "ST4": SuzukiTrotter4(system, dt),
        "Blanes-Moan": BlanesMoan4(system, dt),
        "Blanes-Moan + angle functions": SublatticeComposition(system, dt, coefficients, angles),
        "spherical midpoint": ImplicitMidpoint(system, dt),
    }


def nanoseconds(integrator, states, budget=0.03):
    """Fastest and median time per spin and step."""
    started = time.perf_counter()
    integrator.advance(states, 2)  # compiles
    started = time.perf_counter()
    integrator.advance(states, 2)
    n_steps = max(2, int(budget / ((time.perf_counter() - started) / 2)))
    scale = 1e9 / n_steps / (states.size / 3)
    return tuple(scale * t for t in fastest(lambda: integrator.advance(states, n_steps), 40))


def torch_eager(system, states):
    """The torch twin of ST2 on one thread, for comparison."""
    import torch

    torch.set_num_threads(1)
    tensor, integrator = torch.as_tensor(states), SuzukiTrotter2(system, 0.1)
    scale = 1e9 / 5 / (states.size / 3)
    return tuple(scale * t for t in fastest(lambda: integrator.advance_tensor(tensor, 5), 5))


MEMORY = """
import resource, sys
from dlintegrate import HeisenbergLattice, SuzukiTrotter2
system = HeisenbergLattice(16)
states = system.random_states(4, 0)
SuzukiTrotter2(system, 0.1).simulate(states, float(sys.argv[1]), path=sys.argv[2]).close()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def streamed_memory(t_max):
    """Peak resident MiB of a process that streams 4 samples of 16³, and the file's MiB."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "run.nc")
        run = subprocess.run(
            [sys.executable, "-c", MEMORY, str(t_max), path],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return float(run.stdout), os.path.getsize(path) / 2**20


def main():
    started = time.time()
    results = {"ns_per_spin_and_step": {}, "streamed_memory": []}
    for side in (16, 32):
        system = HeisenbergLattice(side)
        states = system.random_states(1, SEED)
        table = {k: nanoseconds(v, states) for k, v in integrators(system).items()}
        table["ST2, torch twin, eager"] = torch_eager(system, states)
        results["ns_per_spin_and_step"][f"L={side}"] = {
            k: {"min": v[0], "median": v[1]} for k, v in table.items()
        }
        print(f"\nL = {side}: ns per spin and step, one core (min, median)")
        for name, (best, median) in table.items():
            target = f"  target {TARGETS[name]:g}" if name in TARGETS else ""
            print(f"  {name:32} {best:8.1f} {median:8.1f}{target}")
    print("\nstreamed run, 4 samples of 16³")
    for t_max in (20.0, 200.0):
        memory, size = streamed_memory(t_max)
        results["streamed_memory"].append({"t_max": t_max, "peak_MiB": memory, "file_MiB": size})
        print(f"  t_max = {t_max:5g}: file {size:7.1f} MiB, peak memory {memory:6.1f} MiB")
    print(record("integrators", results, started, seeds=SEED))


if __name__ == "__main__":
    main()
