"""A small crystal of two species that tests of frames and potentials can label with."""

import numpy as np

from dlintegrate import AtomicSystem
from dlintegrate._kernels.neighbours import pairs_within
from dlintegrate.systems import Evaluation

SIDE = 4.2


class SmallCrystal(AtomicSystem):
    """Rock salt of four magnetic and four other atoms, Gaussian pair energies and exchange."""

    @property
    def species(self):
        return ["Ni"] * 4 + ["O"] * 4

    @property
    def masses(self):
        return np.repeat([6000.0, 1650.0], 4)

    @property
    def moments(self):
        return np.repeat([1.3, 0.0], 4)

    @property
    def cell(self):
        return SIDE * np.eye(3)

    @property
    def reference_positions(self):
        face = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        return SIDE * np.concatenate([face, face + np.array([0.5, 0, 0])])

    @property
    def separate_rotation(self):
        return True

    def compute(self, positions, spins, *, virial=False):
        pairs = pairs_within(positions, self.cell, 6.0)
        x, s = positions.reshape(-1, 3), spins.reshape(-1, 3)
        i, j = pairs.first, pairs.second
        d = x[j] + pairs.offset - x[i]
        strength = np.exp(-(d**2).sum(1) / 4)
        bond = 1.0 + 0.02 * (s[i] * s[j]).sum(1)
        n = len(positions)
        energy = np.bincount(i // self.n_sites, 0.5 * strength * bond, n)
        pull = (-0.25 * strength * bond)[:, None] * d
        force, field = np.zeros((2, *x.shape))
        np.add.at(force, i, pull)
        np.add.at(force, j, -pull)
        np.add.at(field, i, -0.02 * strength[:, None] * s[j])
        stress = np.zeros((n, 3, 3))
        np.add.at(stress, i // self.n_sites, -pull[:, :, None] * d[:, None])
        magnetic = np.repeat(self.moments > 0, 3).reshape(-1, 3)
        field = field.reshape(spins.shape) * magnetic
        return Evaluation(energy, force.reshape(spins.shape), field, stress if virial else None)


def two_species_frames(n_frames=4, random_state=0):
    """Labelled frames of the small crystal."""
    from dlintegrate import make_frames

    crystal = SmallCrystal()
    return make_frames(crystal, crystal.random_states(n_frames, random_state=random_state))
