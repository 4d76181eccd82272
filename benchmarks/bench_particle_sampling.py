"""Sampler of the Lennard-Jones fluid: speed, and averages beside the reference table.

Run ``python benchmarks/bench_particle_sampling.py``; about two minutes on one core.
"""

import argparse
import time

import numpy as np
from common import fastest, record

from dlintegrate.sampling import canonical_averages, diagnose_sampling
from dlintegrate.sampling.canonical import chain_of
from dlintegrate.systems import LennardJones2D

#: n = 16, full potential: (ρ, T) to U/n, its error, pressure, its error.
TABLE = {
    (0.10, 0.27): (-1.7642, 0.0012, 0.0018, 0.0002),
    (0.10, 0.47): (-0.7019, 0.0014, 0.0229, 0.0001),
    (0.10, 0.71): (-0.3832, 0.0003, 0.0565, 0.0001),
    (0.14, 0.27): (-1.7739, 0.0010, 0.0029, 0.0002),
    (0.14, 0.47): (-0.8775, 0.0014, 0.0253, 0.0001),
    (0.14, 0.71): (-0.5134, 0.0004, 0.0731, 0.0001),
    (0.20, 0.27): (-1.7775, 0.0009, 0.0033, 0.0003),
    (0.20, 0.47): (-1.0480, 0.0011, 0.0265, 0.0002),
    (0.20, 0.71): (-0.6870, 0.0004, 0.0942, 0.0002),
    (0.27, 0.27): (-1.7683, 0.0009, -0.0157, 0.0007),
    (0.27, 0.47): (-1.1877, 0.0008, 0.0226, 0.0003),
    (0.27, 0.71): (-0.8667, 0.0004, 0.1159, 0.0002),
    (0.38, 0.27): (-1.8996, 0.0011, -0.0961, 0.0008),
    (0.38, 0.47): (-1.3822, 0.0007, -0.0001, 0.0005),
    (0.38, 0.71): (-1.1238, 0.0003, 0.1463, 0.0004),
}
SECOND_VIRIAL = {0.27: -30.792, 0.47: -6.9130, 0.71: -2.6701}


def speed(n_particles, cutoff, n_chains, n_sweeps, temperature=0.47):
    """Sweeps per second (one local trial and one jump of each particle) on one core."""
    chain = chain_of(LennardJones2D(n_particles, 0.38, cutoff))
    places, streams = chain.begin_chains("lattice", np.random.SeedSequence(1).spawn(n_chains))
    temperatures = np.full(n_chains, temperature)
    widths, accepted = chain.equilibrate(places, temperatures, streams, 20 * n_sweeps)
    seconds, median = fastest(
        lambda: chain.run(places, temperatures, n_sweeps, streams, widths), 15
    )
    scale = n_chains * n_sweeps
    return {
        "n_particles": n_particles, "cutoff": cutoff, "n_chains": n_chains,
        "sweeps_per_second": scale / seconds,
        "ns_per_particle_sweep": 1e9 * seconds / (scale * n_particles),
        "ns_per_particle_sweep_median": 1e9 * median / (scale * n_particles),
        "ns_per_trial": 0.5e9 * seconds / (scale * n_particles),
        "accepted_local": accepted[0].mean(), "accepted_jumps": accepted[1].mean(),
    }  # fmt: skip


def state(density, temperature, result):
    """One row of the table beside what was measured."""
    energy, energy_error, pressure, pressure_error = TABLE[density, temperature]
    row = {"density": density, "temperature": temperature}
    for name, value, error in (
        ("potential_energy", energy, energy_error), ("pressure", pressure, pressure_error),
    ):  # fmt: skip
        found, found_error = result[name].item(), result[f"{name}_error"].item()
        row[name] = {
            "value": found, "error": found_error, "reference": value, "reference_error": error,
            "z": (found - value) / np.hypot(found_error, error),
        }  # fmt: skip
    row["heat_capacity"] = {
        "value": result.heat_capacity.item(), "error": result.heat_capacity_error.item(),
    }  # fmt: skip
    return row


def second_virial(temperature):
    """B2 by direct integration of the system's pair energy."""
    r = np.linspace(0.55, 60.0, 200_001)
    states = np.zeros((r.size, 2, 2, 2))
    states[:, 0, 1, 0] = r
    mayer = np.expm1(-LennardJones2D(2, 1e-6).potential_energy(states) / temperature)
    tail = 1.0 / (temperature * r[-1] ** 4)
    value = np.pi * (0.5 * r[0] ** 2 - np.trapezoid(mayer * r, r) - tail)
    reference = SECOND_VIRIAL[temperature]
    return {"temperature": temperature, "value": value, "reference": reference}


def equilibration(density, temperature, seed):
    """Default sweeps against autocorrelation times, from a droplet and from a random start."""
    report = diagnose_sampling(LennardJones2D(16, density), temperature, random_state=seed)
    times, differences = report.autocorrelation_time.values[0], report.start_difference.values[0]
    return {
        "density": density, "temperature": temperature, "n_sweeps": int(report.n_sweeps[0]),
        "tau_energy": times[0], "tau_longest_waves": times[1],
        "start_difference": differences, "sufficient": bool(report.sufficient[0]),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chains", type=int, default=192)
    parser.add_argument("--records", type=int, default=2000, help="each after 10 sweeps")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    started = time.time()
    cases = [(16, None, 64, 50), (16, 2.5, 64, 50), (64, 2.5, 64, 10), (1024, 2.5, 1, 10)]
    results = {"speed": [speed(*case) for case in cases]}
    for row in results["speed"]:
        print(
            "n={n_particles}, cut-off {cutoff}: {sweeps_per_second:.0f} sweeps/s, "
            "{ns_per_particle_sweep:.1f} ns per particle and sweep, accepted "
            "{accepted_local:.2f} local, {accepted_jumps:.3f} jumps".format(**row)
        )
    temperatures = sorted(SECOND_VIRIAL)
    results["second_virial"] = [second_virial(t) for t in temperatures]
    for row in results["second_virial"]:
        print("B2({temperature}) = {value:.5g}, reference {reference}".format(**row))
    results["states"] = []
    for i, density in enumerate(sorted({density for density, _ in TABLE})):
        averages = canonical_averages(
            LennardJones2D(16, density), temperatures, n_chains=arguments.chains,
            n_records=arguments.records, random_state=np.random.SeedSequence([arguments.seed, i]),
        )  # fmt: skip
        for t in temperatures:
            row = state(density, t, averages.sel(temperature=t))
            results["states"].append(row)
            u, p, c = row["potential_energy"], row["pressure"], row["heat_capacity"]
            print(
                f"ρ={density} T={t}: U/n {u['value']:.4f}({u['error']:.4f}), {u['z']:+.1f} errors; "
                f"P = {p['value']:.4f}({p['error']:.4f}), {p['z']:+.1f} errors; "
                f"c_v = {c['value']:.2f}({c['error']:.2f})"
            )
    results["largest_z"] = max(
        abs(row[name]["z"])
        for row in results["states"]
        for name in ("potential_energy", "pressure")
    )
    print(f"largest deviation: {results['largest_z']:.1f} combined standard errors")
    results["equilibration"] = [
        equilibration(density, t, arguments.seed) for density in (0.1, 0.38) for t in temperatures
    ]
    for row in results["equilibration"]:
        print(
            "ρ={density} T={temperature}: {n_sweeps} sweeps by default, autocorrelation times "
            "{tau_energy:.1f} (energy), {tau_longest_waves:.1f} (longest waves): ".format(**row)
            + ("sufficient" if row["sufficient"] else "NOT sufficient")
        )
    record("particle_sampling", results, started, seeds=arguments.seed)


if __name__ == "__main__":
    main()
