"""Figures 4.6 to 4.9 of Park's thesis (2022): how long a step follows, what it conserves.

    python benchmarks/reproduce_park.py [--samples 20] [--unet]

Both lattices (4³, 8³), the three temperatures of the thesis, and beside its own
second-order steps the classical fourth-order rival and our corrections. The size of
the residue that Eq. 4.6 normalises is recorded too.
"""

import argparse
import time

import numpy as np
from common import record

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
    sample_canonical,
)
from dlintegrate.metrics import (
    energy_drift,
    magnetization_drift,
    one_step_error,
    spin_correlation,
    threshold_time,
)

TEMPERATURES = (0.4, 1.44, 2.4)
#: Long enough for the second-order step of 0.01 to lose the reference.
T_MAX = {0.4: 160.0, 1.44: 24.0, 2.4: 24.0}
SEEDS = {"training": 0, "unseen": 1}
FRAME = 0.5


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=20, help="per temperature")
    parser.add_argument("--unet", action="store_true", help="add the shipped networks")
    options = parser.parse_args()
    started = time.time()
    corrected = fit_correction()
    rows, residues = [], []
    for size in (4, 8):
        system = HeisenbergLattice(shape=size)
        integrators = {
            "ST2 0.1": SuzukiTrotter2(system, 0.1),
            "ST2 0.01": SuzukiTrotter2(system, 0.01),
            "ST2 0.001": SuzukiTrotter2(system, 0.001),
            "Blanes-Moan 0.1": BlanesMoan4(system, 0.1),
            "ridge 0.1": corrected,
            "ridge 0.1, projected": corrected_with_projection(corrected),
        }
        if options.unet:
            integrators["U-Net 0.1"] = shipped_network(size)
        for temperature in TEMPERATURES:
            samples = sample_canonical(
                system, temperature, options.samples, random_state=SEEDS["unseen"]
            )
            residues.append(residue_size(system, temperature, samples))
            rows += compare(size, temperature, samples, integrators)
    record("reproduce_park", {"rows": rows, "residues": residues}, started, seeds=SEEDS)


def fit_correction():
    """Ridge regression on 6³, as everywhere in the benchmarks."""
    system = HeisenbergLattice(shape=6)
    samples = sample_canonical(system, TEMPERATURES, 16, random_state=SEEDS["training"])
    return CorrectedIntegrator(
        SuzukiTrotter2(system, 0.1),
        ElementaryDifferentialResidue(order=5),
        reference=BlanesMoan4(system, 0.01),
    ).fit(samples)


def corrected_with_projection(corrected):
    """The same fit with energy and magnetisation restored after each step."""
    import copy

    return copy.deepcopy(corrected).set_params(projection=("energy", "magnetization"))


def shipped_network(size):
    """The network that comes with the package for this lattice."""
    from dlintegrate import list_pretrained, load_pretrained

    names = [name for name in list_pretrained() if "unet" in name and f"{size}" in name]
    return load_pretrained(names[0])


def residue_size(system, temperature, samples):
    """Standard deviation per component of what the large step misses (Park 2022, Eq. 4.4)."""
    after = SuzukiTrotter2(system, 0.1).step(samples).values
    residue = BlanesMoan4(system, 0.01).step(samples, 10).values - after
    sigma = float(residue.reshape(-1, 3).std(axis=0).max())
    multiple = {4: 11, 8: 13}[system.lattice_shape[0]]
    return {
        "L": system.lattice_shape[0], "T": temperature, "sigma": sigma,
        "multiple": multiple, "lambda": multiple * sigma,
    }  # fmt: skip


def compare(size, temperature, samples, integrators):
    """Run every integrator beside the reference."""
    t_max = T_MAX[temperature]
    system = HeisenbergLattice(shape=size)
    exact = BlanesMoan4(system, 0.02).simulate(samples, t_max, save_every=round(FRAME / 0.02))
    rows = []
    for name, integrator in integrators.items():
        integrator.step(samples[:1])  # compile
        begun = time.process_time()  # other programs may run beside this one
        run = integrator.simulate(samples, t_max, save_every=round(FRAME / integrator.dt))
        seconds = time.process_time() - begun
        threshold = threshold_time(spin_correlation(run, exact))
        row = {
            "L": size,
            "T": temperature,
            "integrator": name,
            "one_step_error_rate": one_step_error(integrator, samples) / integrator.dt,
            "threshold_time": threshold.time,
            "threshold_error": threshold.error,
            "reached": threshold.reached,
            "threshold": str(threshold),
            "energy_drift": float(energy_drift(run)["mean_absolute"].max()),
            "magnetization_drift": float(magnetization_drift(run)["mean_absolute"].max()),
            "cpu_us_per_spin_and_time": 1e6 * seconds / (t_max * samples[..., 0].size),
        }
        rows.append(row)
        print(*(f"{v:.3g}" if isinstance(v, float) else v for v in row.values()), flush=True)
    return rows


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
