"""Torques from a short series in small clusters, its coefficients fitted: no network.

    python benchmarks/bench_fitted_series.py FOLDER

``SeriesTorque`` without a network is the rival of learned torques that knows the Hamiltonian.
The shipped fields are timed beside it. FOLDER holds the stages of ``torque_data.py`` and
``train_torque.py``. One core; 4 minutes.
"""

import argparse
import os
import time

import numpy as np
import torque_data
from bench_torque import NETWORKS, processor_time
from common import record
from train_torque import read

from dlintegrate import (
    CorrectedIntegrator,
    SemiImplicitB,
    SeriesTorque,
    TriangularSDModel,
    load_pretrained,
)
from dlintegrate.metrics import torque_error

#: Moments and reach of the cluster in bonds.
SERIES = ((12, 6), (12, 9), (16, 9), (20, 9), (24, 9), (16, 12), (24, 12), (32, 12))
STAGES = ("seed", "young", "younger", "later", "lattices", "fresh")
#: Every so many of their states: a few coefficients are fitted.
EVERY = 6
LARGE = 48


def main():
    """Fit on the training states, judge on the test trajectories, time on a large lattice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder")
    folder = parser.parse_args().folder
    started = time.time()
    spins, fields = (array[::EVERY] for array in read(folder, STAGES))
    model = TriangularSDModel(spins.shape[1:3])
    test = {k: np.float64(v) for k, v in np.load(os.path.join(folder, "test.npz")).items()}
    runs = torque_data.unit(test["spins"])
    large = torque_data.unit(np.random.default_rng(0).normal(size=(1, LARGE, LARGE, 3)))
    shipped = (*NETWORKS, "sd-torque-series")
    learned = {name: load_pretrained(name).corrector_.field for name in shipped}
    for n_moments, reach in SERIES:
        series = CorrectedIntegrator(SemiImplicitB(model, 1.0), SeriesTorque(n_moments, reach))
        name = f"{n_moments} moments within {reach} bonds"
        started_fit = time.process_time()
        learned[name] = series.fit(spins, fields + model.bias).corrector_.field
        print(f"fitted in {time.process_time() - started_fit:.0f} s", flush=True)
    rows = []
    for name, field in learned.items():
        predicted = np.stack([field(run) for run in runs])
        rows.append({
            "field": name,
            "error": torque_error(predicted, test["fields"], runs),
            "error at t = 400": torque_error(
                predicted[:, -1], test["fields"][:, -1], runs[:, -1]
            ),
            "seconds on 48²": processor_time(lambda field=field: field(large), 7)[0],
        })  # fmt: skip
        print(rows[-1], flush=True)
    record("fitted_series", {"states": len(spins), "rows": rows}, started, seeds=0)


if __name__ == "__main__":
    main()
