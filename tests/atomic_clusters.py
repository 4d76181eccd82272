"""A small system of atoms with moments whose every term can be written down."""

import numpy as np

from dlintegrate._kernels.neighbours import Pairs
from dlintegrate._units import ATOMIC_MASS, BOHR_MAGNETON
from dlintegrate.systems import AtomicSystem
from dlintegrate.systems.atoms import Evaluation


class SpringCluster(AtomicSystem):
    """Up to four atoms in a wide cell, every pair of them joined by a spring and by exchange.

    ``E = Σ_{i<j} [½ k (r_ij - d)² - J exp(-slope (r_ij - d)) e_i·e_j] - B·Σ S_i - K Σ (e_i·z)²``
    with d = 2.4 Å.
    """

    def __init__(
        self, n_atoms=4, spring=1.0, J=0.05, slope=1.0, field=(0.0, 0.0, 0.0), anisotropy=0.0,
        moment=2.2, n_bare=0, mass=55.845,
    ):  # fmt: skip
        self.n_atoms = n_atoms
        self.spring = spring
        self.J = J
        self.slope = slope
        self.field = field
        self.anisotropy = anisotropy
        self.moment = moment
        self.n_bare = n_bare
        self.mass = mass

    @property
    def species(self):
        return ["Fe"] * (self.n_atoms - self.n_bare) + ["O"] * self.n_bare

    @property
    def masses(self):
        return np.where(np.array(self.species) == "Fe", self.mass, 15.999) * ATOMIC_MASS

    @property
    def moments(self):
        return np.where(np.array(self.species) == "Fe", float(self.moment), 0.0)

    @property
    def cell(self):
        return 12.0 * np.eye(3)

    @property
    def reference_positions(self):
        tetrahedron = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
        return 2.4 / np.sqrt(8) * tetrahedron[: self.n_atoms]

    @property
    def separate_rotation(self):
        return not np.any(self.field) and self.anisotropy == 0

    @property
    def has_bonds(self):
        return self.separate_rotation

    def _bonds(self, positions):
        apart = positions[:, None] - positions[:, :, None]  # [n, i, j] from i to j
        length = np.linalg.norm(apart, axis=-1)
        natural = 2.4
        magnetic = self.moments > 0
        strength = self.J * np.exp(-self.slope * (length - natural))
        strength = strength * magnetic[:, None] * magnetic * ~np.eye(self.n_atoms, dtype=bool)
        return apart, length, natural, strength

    def exchange_bonds(self, positions):
        n_samples, n = positions.shape[:2]
        first, second = np.nonzero(~np.eye(n, dtype=bool))
        strength = self._bonds(positions)[3][:, first, second] / self.moment**2
        base = n * np.arange(n_samples)[:, None]
        starts = np.arange(n_samples * n + 1) * (n - 1)
        pairs = Pairs(
            (first + base).ravel(), (second + base).ravel(), np.zeros((strength.size, 3)), starts
        )
        return pairs, strength.ravel()

    def compute(self, positions, spins, *, virial=False):
        apart, length, natural, strength = self._bonds(positions)
        unit = spins / self.moment
        aligned = np.einsum("nic,njc->nij", unit, unit)
        stretch = (length - natural) * ~np.eye(self.n_atoms, dtype=bool)
        energy = (0.25 * self.spring * stretch**2 - 0.5 * strength * aligned).sum((1, 2))
        pull = self.spring * stretch + self.slope * strength * aligned
        direction = apart / np.where(length > 0, length, 1.0)[..., None]
        force = (pull[..., None] * direction).sum(axis=2)
        field = BOHR_MAGNETON * np.asarray(self.field, dtype=float)
        magnetic = np.einsum("nij,njc->nic", strength, unit) / self.moment + field
        magnetic[..., 2] += 2 * self.anisotropy * unit[..., 2] / self.moment
        energy = energy - (spins @ field).sum(1) - self.anisotropy * (unit[..., 2] ** 2).sum(1)
        return Evaluation(energy, force, magnetic)
