"""Does the corrected step lose equipartition? A closer look at the states that seemed to.

    python benchmarks/bench_equipartition.py

Kinetic temperature by number of neighbours, against a converged run from the same states: in
``bench_fluid.py`` three of the fifteen states have a difference of more than three standard errors
in one of their bins. Here with three times as many samples, and fresh ones.
"""

import time

import numpy as np
from common import record

from dlintegrate import BlanesMoanRKN4, VelocityVerlet, load_pretrained, sample_park_states
from dlintegrate.metrics import equipartition

STATES = ((0.1, 0.47), (0.27, 0.27), (0.38, 0.47))
N_SAMPLES, N_BLOCKS, T_MAX = 300, 30, 100.0
SEED = 778


def differences(run, converged):
    """Difference of the temperatures of each bin, and its jackknife error over samples."""

    def difference(samples):
        ours, theirs = (equipartition(r.isel(sample=samples)) for r in (run, converged))
        return (ours.by_neighbours - theirs.by_neighbours).values

    everything = np.arange(N_SAMPLES)
    left_out = np.array(
        [difference(np.setdiff1d(everything, b)) for b in np.array_split(everything, N_BLOCKS)]
    )
    return difference(everything), np.sqrt((N_BLOCKS - 1) * left_out.var(axis=0))


def main():
    """Measure, print, store."""
    started = time.time()
    rows = []
    trained = load_pretrained("lennard-jones-graph")
    system = trained.system
    for density, temperature in STATES:
        states = sample_park_states(
            N_SAMPLES, densities=[density], temperatures=[temperature], random_state=SEED
        )
        graph, verlet, converged = (
            i.simulate(states, T_MAX, save_every=round(0.5 / i.dt)).isel(time=slice(20, None))
            for i in (trained, VelocityVerlet(system, 0.01), BlanesMoanRKN4(system, 0.005))
        )
        occurrence = equipartition(converged).occurrence.values
        for name, run in (("graph force", graph), ("velocity Verlet 0.01", verlet)):
            value, error = differences(run, converged)
            common = occurrence > 0.01
            z = value[common] / error[common]
            rows.append(
                {
                    "density": density,
                    "T": temperature,
                    "integrator": name,
                    "bins": int(common.sum()),
                    "rms_z": float(np.sqrt(np.mean(z**2))),
                    "largest_z": float(np.abs(z).max()),
                    "largest_difference": float(np.abs(value[common]).max()),
                }
            )
            print(rows[-1], flush=True)
    record("equipartition", {"rows": rows}, started, seeds=SEED)


if __name__ == "__main__":
    main()
