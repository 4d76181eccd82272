"""Spin-lattice steps of iron, and the learned potential: its fit and its forces."""

import pytest

from dlintegrate import (
    EquivariantSpinPotential,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    make_frames,
)

IRON = SpinLatticeCrystal()
SMALL = SpinLatticeCrystal(size=3)


@pytest.mark.parametrize("spin_step", ["bonds", "sites", "midpoint", "semi-implicit"])
def test_spin_lattice_step(benchmark, spin_step):
    """One step of 1 fs of 250 atoms."""
    step = SpinLatticeSplitting(IRON, 1.0, spin_step)
    array = IRON.random_states(1, 0, order=3.0)
    step.advance(array, 1)
    benchmark(step.advance, array, 1)


@pytest.fixture(scope="module")
def frames():
    """Four labelled states of 54 atoms."""
    return make_frames(SMALL, SMALL.random_states(4, 0, order=2.0))


@pytest.fixture
def potential():
    """Not fitted."""
    return EquivariantSpinPotential(cutoff=4.0, n_basis=8, n_channels=3, random_state=0)


def test_ridge_fit(benchmark, potential, frames):
    """Energies, forces and magnetic forces of four frames."""
    benchmark.pedantic(potential.fit, (frames,), rounds=3, warmup_rounds=1)


def test_potential(benchmark, potential, frames):
    """Energy, forces and magnetic forces of 250 atoms."""
    potential.fit(frames)
    states = IRON.random_states(1, 1, order=3.0)
    arguments = (states[:, 0], IRON.cell, states[:, 2], IRON.species)
    potential.compute(*arguments)
    benchmark(potential.compute, *arguments)
