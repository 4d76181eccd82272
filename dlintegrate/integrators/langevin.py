"""Langevin thermostats of atoms and of their moments."""

import numpy as np

from .._units import BOLTZMANN, GYROMAGNETIC
from .interaction_steps import SpinField
from .spin_steps import semi_implicit_step


def thermal_kick(momenta, masses, friction, temperature, duration, numbers):
    """Exact Ornstein-Uhlenbeck step ``dp = -γ p dt + √(2 γ m k T) dW``, in place.

    Parameters
    ----------
    momenta : ndarray, shape (n_samples, n_atoms, 3)
    masses : ndarray, shape (n_atoms,)
    friction : float
        γ in 1/fs.
    temperature : float
        In K.
    duration : float
        In fs.
    numbers : ndarray, like ``momenta``
        Normal random numbers.
    """
    keep = np.exp(-friction * duration)
    width = np.sqrt(-np.expm1(-2 * friction * duration) * BOLTZMANN * temperature * masses)
    momenta *= keep
    momenta += width[:, None] * numbers


def thermal_turn(system, positions, spins, damping, temperature, duration, numbers):
    """Damping and noise of spins, without precession, at fixed positions.

    ``de/dt = e × (-α e × b + η)`` with the angular velocity ``b = (2/ħ) F_mag``. For a moment
    μ the noise is ``<η_a η_b> = 2 α (2/ħ) k T / μ δ_ab δ(t - t')``; then ``exp(-E/kT)`` is
    stationary. A step of Mentink's scheme B.

    Parameters
    ----------
    system : AtomicSystem
    positions, spins : ndarray, shape (n_samples, n_atoms, 3)
    damping : float
        α.
    temperature, duration : float
        In K and fs.
    numbers : ndarray, like ``spins``
        Normal random numbers.

    Returns
    -------
    ndarray, like ``spins``
    """
    field = SpinField(system, positions)
    moments = np.where(field.magnetic, field.moments, np.inf)
    width = np.sqrt(2 * damping * GYROMAGNETIC * BOLTZMANN * temperature / moments * duration)
    unit = semi_implicit_step(
        field, field.unit(spins), duration, damping=damping, precession=0.0,
        noise=0.5 * width * numbers,
    )  # fmt: skip
    return field.moments * unit
