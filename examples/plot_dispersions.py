"""
Magnons and phonons of a learned potential
==========================================

Waves frozen into a crystal tell its dispersions: of magnons from the torques, of phonons from the
forces. A potential learned from twenty frames has both. Cost: about ten seconds.
"""

# %%
# Frames of 54 atoms at 300 K, labelled by the exact model. ``LearnedPotential`` makes labels, fits
# the potential, and gives the step of the base in it.

import matplotlib.pyplot as plt
import numpy as np

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantSpinPotential,
    LearnedCrystal,
    LearnedPotential,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
)
from dlintegrate.metrics import commensurate_wavevectors, magnon_dispersion, phonon_dispersion

iron = SpinLatticeCrystal("bcc", size=3)
thermostat = SpinLatticeSplitting(
    iron, dt=2.0, friction=0.02, damping=0.2, temperature=300.0, random_state=0
)
aligned = iron.random_states(4, random_state=0, order=20.0)
run = thermostat.simulate(aligned, t_max=600.0, save_every=60)
samples = run.phase_space[:, 1:].values.reshape(-1, *aligned.shape[1:])

potential = EquivariantSpinPotential(cutoff=4.2, n_channels=3, random_state=0)
corrected = CorrectedIntegrator(SpinLatticeSplitting(iron, dt=1.0), LearnedPotential(potential))
corrected.fit(samples)

# %%
# The learned potential serves a larger crystal, in which more waves fit. The path goes from a
# corner of the Brillouin zone (H) through its centre (Γ) to the middle of an edge (N).

large = SpinLatticeCrystal("bcc", size=6)
learned = LearnedCrystal(large, corrected.corrector_.potential_)
zone = np.pi / large.lattice_constant
to_h = commensurate_wavevectors(large, (2 * zone, 0, 0), (0, 0, 0))
to_n = commensurate_wavevectors(large, (0, 0, 0), (zone, zone, 0))
path = np.concatenate([to_h, to_n[1:]])
steps = np.linalg.norm(np.diff(path, axis=0), axis=1)
along = np.concatenate([[0.0], np.cumsum(steps)])

_, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
for ax, dispersion in zip(axes, (magnon_dispersion, phonon_dispersion), strict=True):
    true, found = (dispersion(system, path).energy for system in (large, learned))
    ax.plot(along, true, color="#000000", label="true")
    ax.plot(along, found, "o", color="#D55E00", fillstyle="none", label="learned")
    ax.set_xticks([0.0, along[len(to_h) - 1], along[-1]], ["H", "Γ", "N"])
    ax.set(ylabel=f"{dispersion.__name__.split('_')[0]} energy (meV)", ylim=(0, None))
    ax.legend(*[handles[:: max(1, true.shape[1])] for handles in ax.get_legend_handles_labels()])
    print(f"{ax.get_ylabel()}: off by {float(np.abs(found - true).max()):.2g} at most")
plt.show()
