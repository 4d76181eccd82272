"""Spins into LAMMPS and out of it, in double precision: by a data file and a compute."""

import tempfile

import numpy as np


def read_spins(engine, side, mass, positions, spins, moment, velocities=None):
    """Make the cubic box and its atoms, with unit spins along ``spins``; needs atom_style spin."""
    n = len(positions)
    lines = ["atoms with spins\n", f"{n} atoms", "1 atom types"]
    lines += [f"0 {side!r} {axis}lo {axis}hi" for axis in "xyz"]
    lines += ["", "Masses\n", f"1 {mass}", "", "Atoms # spin\n"]
    lines += [
        "{} 1 {:.17g} {:.17g} {:.17g} {:.17g} {:.17g} {:.17g} {}".format(k, *x, *e, moment)
        for k, (x, e) in enumerate(zip(positions, spins, strict=True), start=1)
    ]
    if velocities is not None:
        lines += ["", "Velocities\n"]
        lines += [
            "{} {:.17g} {:.17g} {:.17g}".format(k, *v) for k, v in enumerate(velocities, start=1)
        ]
    with tempfile.NamedTemporaryFile("w", suffix=".data") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        engine.command(f"read_data {file.name}")
    engine.command("compute spins all property/atom id spx spy spz sp")


def spins_of(engine):
    """Unit spins, shape (n, 3), and moments, in the order of the atoms' numbers; after a run."""
    engine.command("run 0 post no")  # computes of the step that has been made
    rows = np.array(engine.numpy.extract_compute("spins", 1, 2))
    rows = rows[np.argsort(rows[:, 0])]
    return rows[:, 1:4], rows[:, 4]
