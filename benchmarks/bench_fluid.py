"""The shipped graph force in the Lennard-Jones fluid: errors, stability, averages, cost.

    python benchmarks/bench_fluid.py --samples 100 --t-max 200
    python benchmarks/bench_fluid.py --samples 1000 --t-max 1000    # the paper's size

All five densities of Park 2022 at its three test temperatures, from unseen equilibrium states.
Beside the corrected step of 0.1 stand velocity Verlet at several steps and the best classical
methods; averages are compared with a converged run from the same states.
"""

import argparse
import time

import numpy as np
from common import fastest, record

from dlintegrate import (
    BlanesMoanRKN4,
    CorrectedIntegrator,
    Fallback,
    GraphForce,
    LennardJones2D,
    SubsteppedVerlet,
    VelocityVerlet,
    load,
    load_pretrained,
    sample_park_states,
)
from dlintegrate.metrics import equipartition, radial_distribution, unstable_count

DENSITIES = (0.1, 0.14, 0.2, 0.27, 0.38)
TEMPERATURES = (0.27, 0.47, 0.71)
DT = 0.1
SEED = 20261121


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=100, help="of each of the 15 states")
    parser.add_argument("--t-max", type=float, default=200.0)
    parser.add_argument("--weights", help="file; by default the shipped one")
    parser.add_argument("--name", default="fluid", help="of the result file")
    return parser.parse_args()


def classical(system):
    """What the correction has to be compared with: name to integrator."""
    return {
        "velocity Verlet 0.1": VelocityVerlet(system, 0.1),
        "velocity Verlet 0.05": VelocityVerlet(system, 0.05),
        "velocity Verlet 0.025": VelocityVerlet(system, 0.025),
        "velocity Verlet 0.02": VelocityVerlet(system, 0.02),
        "velocity Verlet 0.01": VelocityVerlet(system, 0.01),
        "RESPA 0.1, 10 inner": SubsteppedVerlet(system, 0.1, n_inner=10),
        "RESPA 0.05, 10 inner": SubsteppedVerlet(system, 0.05, n_inner=10),
        "Blanes-Moan RKN 0.05": BlanesMoanRKN4(system, 0.05),
        "Blanes-Moan RKN 0.025": BlanesMoanRKN4(system, 0.025),
    }


def mechanical(base, **parameters):
    """The graph force without its network: nothing is learned."""
    integrator = CorrectedIntegrator(
        base, GraphForce(width=0, **parameters), reference=BlanesMoanRKN4(base.system, DT / 40),
        projection="energy", fallback=Fallback(),
    )  # fmt: skip
    return integrator.fit(base.system.random_states(2, 0))


def one_step(trained, samples):
    """Error after one time of 0.1, and its cost, of every method."""
    system = trained.system
    array = system.validate(samples)
    exact = BlanesMoanRKN4(system, DT / 200).advance(array, 200)
    learned = {
        "graph force, 2 rounds, no network": mechanical(trained.base, n_rounds=2),
        "graph force, 3 rounds, no network": mechanical(trained.base),
        "graph force, 4 rounds, no network": mechanical(trained.base, n_rounds=4),
        "graph force, 5 rounds, no network": mechanical(trained.base, n_rounds=5, pair_substeps=8),
        "graph force, no projection, no fallback": trained.step_,
        "graph force": trained,
    }
    rows = []
    for name, integrator in (classical(system) | learned).items():
        n = round(DT / integrator.dt)
        after = integrator.advance(array, n)
        square = ((after - exact) ** 2)[:, :, :-1].sum(axis=(1, 3)).mean(axis=1)
        square = np.where(system.healthy(after), square, np.inf)
        best, _ = fastest(lambda i=integrator, n=n: i.advance(array, n), repeats=3)
        energy = (system.observables(a)["energy"][1] for a in (after, array))
        change = np.abs(np.subtract(*energy)) / array[0, 0, :-1].shape[0]
        rows.append(
            {
                "method": name,
                "rms": float(np.sqrt(square.mean())),
                "median": float(np.sqrt(np.median(square))),
                "largest": float(np.sqrt(square.max())),
                "energy_change": float(np.median(change)),
                "us_per_sample_and_time": best / len(array) * 1e6 / DT,
            }
        )
        print(rows[-1], flush=True)
    return rows


def z_score(ours, theirs):
    """Mean difference of two runs from the same states, in standard errors."""
    difference = ours - theirs
    return float(difference.mean() / (difference.std(ddof=1) / np.sqrt(len(difference))))


def long_run(trained, states, t_max):
    """One thermodynamic state: stability, fallbacks, energy and averages."""
    system = trained.system
    row, runs = {}, {}
    for name, integrator in (
        ("graph force", trained),
        ("velocity Verlet 0.01", VelocityVerlet(system, 0.01)),
        ("velocity Verlet 0.02", VelocityVerlet(system, 0.02)),
        ("velocity Verlet 0.025", VelocityVerlet(system, 0.025)),
        ("velocity Verlet 0.05", VelocityVerlet(system, 0.05)),
        ("converged", BlanesMoanRKN4(system, 0.005)),
    ):
        started = time.process_time()
        run = integrator.simulate(states, t_max, save_every=max(1, round(DT / integrator.dt)))
        seconds = time.process_time() - started
        energy = run.energy.values / system.n_sites
        drift = np.abs(energy - energy[:, :1])
        row[name] = {
            "failed": int((run.status == 2).sum()),
            "unstable": int(unstable_count(run, system)["count"][-1]),
            "unstable_strict": int(unstable_count(run, system, per_particle=False)["count"][-1]),
            "largest_energy_change": float(np.nanmax(drift)),
            "median_energy_change": float(np.median(drift[:, -1])),
            "cpu_us_per_sample_and_time": seconds / len(states) / t_max * 1e6,
        }
        if name in ("graph force", "velocity Verlet 0.01", "converged"):
            runs[name] = run.isel(time=slice(run.sizes["time"] // 10, None))
    fallen = trained_fraction(runs["graph force"])
    row["graph force"]["fallback_percent"] = 100 * fallen
    for name in ("graph force", "velocity Verlet 0.01"):
        row[name] |= averages(runs[name], runs["converged"])
    return row


def trained_fraction(run):
    """Fraction of all steps that fell back."""
    return float(run.fallback_fraction[:, -1].mean())


def averages(run, converged):
    """Kinetic temperature, pressure, g(r) and equipartition against the converged run."""
    result = {}
    for quantity in ("kinetic_temperature", "pressure"):
        ours, theirs = (r[quantity].mean("time").values for r in (run, converged))
        result[quantity] = float(ours.mean())
        result[f"{quantity}_converged"] = float(theirs.mean())
        result[f"{quantity}_z"] = z_score(ours, theirs)
    every = max(1, run.sizes["time"] // 200)
    ours, theirs = (
        radial_distribution(r.isel(time=slice(None, None, every)), bins=40)
        for r in (run, converged)
    )
    difference = (ours.g_sample - theirs.g_sample).values
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    counted = (ours.g.values > 0.02) & (error > 0)
    z = difference.mean(axis=0)[counted] / error[counted]
    result["g_rms_z"] = float(np.sqrt(np.mean(z**2)))
    result["g_largest_z"] = float(np.abs(z).max())
    result["equipartition_largest_z"] = equipartition_z(
        *(r.isel(time=slice(None, None, every)) for r in (run, converged))
    )
    return result


def equipartition_z(run, converged, n_blocks=20):
    """Largest difference of the temperatures by number of neighbours, in standard errors.

    Both runs start from the same states, so the error is that of their difference: a
    jackknife over blocks of samples.
    """
    common = equipartition(converged).occurrence.values > 0.01
    blocks = np.array_split(np.arange(run.sizes["sample"]), n_blocks)

    def difference(samples):
        ours, theirs = (equipartition(r.isel(sample=samples)) for r in (run, converged))
        return (ours.by_neighbours - theirs.by_neighbours).values[common]

    everything = np.concatenate(blocks)
    left_out = np.array([difference(np.setdiff1d(everything, block)) for block in blocks])
    error = np.sqrt((n_blocks - 1) * left_out.var(axis=0))
    return float(np.nanmax(np.abs(difference(everything)) / error))


def transfer(trained, n_samples=8):
    """The same fitted integrator at numbers of particles never seen."""
    rows = []
    for n in (64, 256):
        for density, temperature in ((0.2, 0.47), (0.38, 0.47), (0.38, 0.71)):
            states = sample_park_states(
                n_samples, densities=[density], temperatures=[temperature], n_particles=n,
                random_state=SEED + n, n_sweeps=2000,
            )  # fmt: skip
            system = LennardJones2D(n, density)
            array = system.validate(states)
            exact = BlanesMoanRKN4(system, DT / 40).advance(array, 40)
            row = {"n_particles": n, "density": density, "T": temperature}
            for name, integrator, steps in (
                ("graph_force", trained, 1),
                ("verlet_0.01", VelocityVerlet(system, 0.01), 10),
            ):
                square = (integrator.advance(array, steps) - exact)[:, :, :-1] ** 2
                row[f"{name}_rms"] = float(np.sqrt(square.sum(axis=(1, 3)).mean()))
            run = trained.simulate(states, 20.0, save_every=10)
            energy = run.energy.values / n
            row["failed"] = int((run.status == 2).sum())
            row["fallback_percent"] = 100 * trained_fraction(run)
            row["largest_energy_change"] = float(np.abs(energy - energy[:, :1]).max())
            row["momentum_change"] = float(np.abs(run.momentum - run.momentum[:, 0]).max())
            rows.append(row)
            print(row, flush=True)
    return rows


def main():
    """Measure, print, store."""
    options = arguments()
    started = time.time()
    trained = load(options.weights) if options.weights else load_pretrained("lennard-jones-graph")
    samples = sample_park_states(
        options.samples, densities=DENSITIES, temperatures=TEMPERATURES, random_state=SEED
    )
    results = {
        "samples_per_state": options.samples,
        "t_max": options.t_max,
        "one_step": one_step(trained, samples),
        "long": [],
        "transfer": transfer(trained),
    }
    for density in DENSITIES:
        for temperature in TEMPERATURES:
            here = (samples.density == density) & (samples.temperature == temperature)
            row = long_run(trained, samples[here.values], options.t_max)
            for name, values in row.items():
                results["long"].append(
                    {"density": density, "T": temperature, "integrator": name, **values}
                )
            print(density, temperature, row["graph force"], flush=True)
    results["totals"] = totals(results["long"])
    record(options.name, results, started, seeds=SEED)


def totals(rows):
    """Sums and worst cases over the 15 states, for each integrator."""
    result = []
    for name in dict.fromkeys(row["integrator"] for row in rows):
        mine = [row for row in rows if row["integrator"] == name]
        total = {"integrator": name}
        for key in ("failed", "unstable", "unstable_strict"):
            total[key] = sum(row[key] for row in mine)
        for key in ("largest_energy_change", "fallback_percent", "g_rms_z"):
            if key in mine[0]:
                total[key] = max(row[key] for row in mine)
        for key in ("kinetic_temperature_z", "pressure_z"):
            if key in mine[0]:
                total[f"{key}_rms"] = float(np.sqrt(np.mean([row[key] ** 2 for row in mine])))
                total[f"{key}_largest"] = float(max(abs(row[key]) for row in mine))
        total["cpu_us_per_sample_and_time"] = float(
            np.mean([row["cpu_us_per_sample_and_time"] for row in mine])
        )
        result.append(total)
        print(total)
    return result


if __name__ == "__main__":
    main()
