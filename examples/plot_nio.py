"""
A potential of NiO from first principles
========================================

Published frames of nickel oxide, with energies, forces and magnetic forces from density functional
theory: one regression learns all of them. Cost: about half a minute, if the data are there.
"""

# %%
# The frames are not part of the library. This example looks for them in ``../shared/data``
# beside the project, or in the folder that the environment variable ``DLINTEGRATE_DATA`` names.

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr

from dlintegrate import EquivariantSpinPotential, read_deepmd

folder = Path(os.environ.get("DLINTEGRATE_DATA", Path.cwd().parents[1] / "shared" / "data"))
sets = [folder / "nio_spin" / f"undistorted_{number}" for number in (0, 1)]
found = all(path.is_dir() for path in sets)
print(f"{len(sets)} sets of frames" if found else f"no data in {folder}: nothing to show")

# %%
# Every sixth frame is left out. The spins of the others point anywhere; displacements are small.

if found:
    parts = [read_deepmd(path) for path in sets]
    frames = xr.concat(parts, "frame", coords="minimal", compat="override")
    test = np.arange(frames.sizes["frame"]) % 6 == 0
    potential = EquivariantSpinPotential(random_state=0).fit(frames.isel(frame=~test))
    errors = potential.errors(frames.isel(frame=test))
    for name, error in errors.items():
        print(f"{name:29s} {1e3 * error:7.3f}")  # meV/atom, meV/Å, meV/μB

# %%
# Energies of the frames left out, and the components of their magnetic forces at right angles
# to the spins. The slope on the right is not 1: the labels of these data contradict each other, and
# a fit without magnetic forces shows by how much. No energy can have both.


def across(vectors, spins):
    """The part of vectors at right angles to spins."""
    unit = spins / np.linalg.norm(spins, axis=-1, keepdims=True)
    return vectors - (vectors * unit).sum(-1, keepdims=True) * unit


if found:
    unseen = frames.isel(frame=test)
    nickel = unseen.species.values == "Ni"
    spins, labels = (unseen[name].values[:, nickel] for name in ("spin", "magnetic_force"))
    alone = EquivariantSpinPotential(magnetic_weight=0, alpha=1e-6, random_state=0)
    alone.fit(frames.isel(frame=~test))

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    mean = float(unseen.energy.mean())
    for fitted, label, color in [
        (potential, "fitted to all labels", "#0072B2"),
        (alone, "fitted without magnetic forces", "#E69F00"),
    ]:
        predicted = fitted.predict(unseen)
        left.plot(*(1e3 / 32 * (e - mean) for e in (unseen.energy, predicted.energy)), "o",
                  color=color, label=label)  # fmt: skip
        gradient = across(predicted.magnetic_force.values[:, nickel], spins)
        right.plot(1e3 * across(labels, spins).ravel(), 1e3 * gradient.ravel(), ".", color=color)
    left.axline((0, 0), slope=1, color="0.7", zorder=0)
    right.axline((0, 0), slope=1, color="0.7", zorder=0)
    left.set(xlabel="energy, first principles (meV/atom)", ylabel="learned")
    right.set(xlabel="magnetic force, first principles (meV/μB)", ylabel="learned")
    left.legend(frameon=False)
    plt.show()
