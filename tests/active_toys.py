"""A crystal and a potential so small that a round of active learning takes milliseconds."""

from functools import cache

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

from dlintegrate._units import ATOMIC_MASS
from dlintegrate.systems.atoms import AtomicSystem, Evaluation

SIDE = 5.0  # Å, of a cube with 2 × 2 × 2 atoms


@cache
def waves(n_max=2):
    """Wave vectors of the cube, one of each pair ±k, (n_waves, 3)."""
    grid = np.stack(np.meshgrid(*[np.arange(-n_max, n_max + 1)] * 3), axis=-1).reshape(-1, 3)
    half = [n for n in grid.tolist() if n > [0, 0, 0]]
    half.sort(key=lambda n: (np.dot(n, n), n))
    return 2 * np.pi / SIDE * np.array(half, dtype=float)


class PlaneWaves:
    """E = Σ_k [a_k Σ_ij cos k·r_ij + b_k Σ_ij cos k·r_ij S_i·S_j] / 2, and its gradients."""

    def __init__(self, k):
        self.k = np.asarray(k)

    def design(self, positions, spins):
        """Energy, force and magnetic force of each wave with unit coefficients.

        Returns arrays (n_samples, 2 n_waves), (n_samples, 2 n_waves, n_atoms, 3) twice.
        """
        phase = positions @ self.k.T  # (sample, atom, wave)
        wave = np.exp(1j * phase)
        total = wave.sum(axis=1)
        spin_wave = np.einsum("saw,sac->swc", wave, spins)
        scalar = 0.5 * np.abs(total) ** 2
        magnetic = 0.5 * (np.abs(spin_wave) ** 2).sum(-1)
        slope = np.imag(wave.conj() * total[:, None])  # -dE/dphase
        spin_slope = np.imag(wave.conj() * np.einsum("sac,swc->saw", spins, spin_wave))
        force = -np.einsum("saw,wc->swac", slope, self.k)
        spin_force = -np.einsum("saw,wc->swac", spin_slope, self.k)
        field = -np.real(np.einsum("saw,swc->swac", wave.conj(), spin_wave))
        return (
            np.concatenate([scalar, magnetic], axis=1),
            np.concatenate([force, spin_force], axis=1),
            np.concatenate([np.zeros_like(field), field], axis=1),
        )

    def evaluate(self, coefficients, positions, spins):
        energy, force, field = self.design(positions, spins)
        return Evaluation(
            energy @ coefficients,
            np.einsum("swac,w->sac", force, coefficients),
            np.einsum("swac,w->sac", field, coefficients),
        )


class ToyCrystal(AtomicSystem):
    """Eight atoms of iron's mass held on a simple cubic lattice by plane waves."""

    separate_rotation = True

    def __init__(self, seed=1):
        self.seed = seed

    species = property(lambda self: ["Fe"] * 8)
    masses = property(lambda self: np.full(8, 55.845 * ATOMIC_MASS))
    moments = property(lambda self: np.full(8, 2.0))
    cell = property(lambda self: SIDE * np.eye(3))

    @property
    def reference_positions(self):
        grid = np.meshgrid(*[np.arange(2)] * 3, indexing="ij")
        return SIDE / 2 * np.stack(grid, axis=-1).reshape(8, 3)

    def compute(self, positions, spins, *, virial=False):
        k = waves()
        even = (np.rint(k * SIDE / (2 * np.pi)) % 2 == 0).all(axis=1)  # periods of the lattice
        rng = np.random.default_rng(self.seed)
        decay = np.exp(-0.1 * (k**2).sum(-1))
        a = 0.05 * rng.uniform(0.5, 1.0, len(k)) * decay * np.where(even, -4.0, 1.0)
        b = -0.02 * rng.uniform(0.0, 1.0, len(k)) * decay
        return PlaneWaves(k).evaluate(np.concatenate([a, b]), positions, spins)


class ToyPotential(BaseEstimator):
    """Ridge regression on the first plane waves, about random coefficients or the former ones."""

    def __init__(self, n_waves=62, ridge=1e-3, warm_start=False, random_state=None):
        self.n_waves = n_waves
        self.ridge = ridge
        self.warm_start = warm_start
        self.random_state = random_state

    def fit(self, frames, validation=None):
        design = PlaneWaves(waves()[: self.n_waves]).design(*_geometry(frames))
        labels = [frames[name].values for name in ("energy", "force", "magnetic_force")]
        n = 2 * self.n_waves
        rows = np.concatenate([np.moveaxis(d, 1, -1).reshape(-1, n) for d in design])
        targets = np.concatenate([label.reshape(-1) for label in labels])
        prior = 0.1 * np.random.default_rng(self.random_state).normal(size=n)
        if self.warm_start and hasattr(self, "coefficients_"):
            prior = self.coefficients_
        normal = rows.T @ rows + self.ridge * np.eye(n)
        right = rows.T @ (targets - rows @ prior)
        self.coefficients_ = prior + np.linalg.solve(normal, right)
        return self

    def compute(self, positions, cell, spins, species, *, virial=False):
        return PlaneWaves(waves()[: self.n_waves]).evaluate(self.coefficients_, positions, spins)

    def predict(self, frames):
        positions, spins = _geometry(frames)
        known = self.compute(positions, None, spins, None)
        dims = ("frame", "atom", "component")
        return xr.Dataset(
            {
                "energy": ("frame", known.energy),
                "force": (dims, known.force),
                "magnetic_force": (dims, known.magnetic_force),
            }
        )


def _geometry(frames):
    return frames.position.values, frames.spin.values
