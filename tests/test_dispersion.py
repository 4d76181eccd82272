"""Magnons and phonons against their formulas, and against what a trajectory shows."""

import numpy as np
import pytest
import xarray as xr

from dlintegrate import SpinLatticeCrystal, SpinLatticeSplitting
from dlintegrate._units import ATOMIC_MASS, HBAR
from dlintegrate.metrics import (
    commensurate_wavevectors,
    dynamic_structure_factor,
    energy_drift,
    magnetization_drift,
    magnon_dispersion,
    momentum_drift,
    phonon_dispersion,
)
from dlintegrate.systems import CubicExchange, Morse, UniaxialAnisotropy

A = 2.8665
IRON = SpinLatticeCrystal("bcc", 4)
TO_H = commensurate_wavevectors(IRON, (0, 0, 0), (2 * np.pi / A, 0, 0))
TO_N = commensurate_wavevectors(IRON, (0, 0, 0), (np.pi / A, np.pi / A, 0))


def shells():
    """Vectors to the first two shells of bcc iron."""
    first = np.array(np.meshgrid(*[[-0.5, 0.5]] * 3)).reshape(3, -1).T
    return A * np.concatenate([first, np.eye(3), -np.eye(3)])


@pytest.mark.parametrize("path", [TO_H, TO_N], ids=["H", "N"])
def test_magnons_of_iron(path):
    """``ħω = (2/μ) Σ_j J(r_j) (1 - cos q·r_j)``, μ in μB."""
    vectors = shells()
    J = CubicExchange().evaluate(np.linalg.norm(vectors, axis=1))[0]
    exact = 2 / 2.2 * (J * (1 - np.cos(path @ vectors.T))).sum(axis=1)
    found = magnon_dispersion(IRON, path)
    np.testing.assert_allclose(found.energy.values, 1e3 * exact[:, None], rtol=1e-5, atol=1e-4)
    assert abs(found.growth).max() < 1e-6
    assert exact.max() > 0.3


@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 1, -2), (1, 1, 1)], ids=["z", "11-2", "111"])
def test_magnons_do_not_depend_on_the_rounding_of_spins(axis):
    """Nor on the direction: without anisotropy, exchange knows none."""
    iron = SpinLatticeCrystal("bcc", 2)
    path = commensurate_wavevectors(iron, (0, 0, 0), (2 * np.pi / A, 0, 0))
    state = np.zeros((3, 16, 3))
    state[0] = iron.reference_positions
    spins = np.array(axis) + 1e-10 * np.random.default_rng(0).normal(size=(16, 3))
    state[2] = 2.2 * spins / np.linalg.norm(spins, axis=1, keepdims=True)
    found = magnon_dispersion(iron, path, state)
    exact = magnon_dispersion(iron, path)
    np.testing.assert_allclose(found.energy, exact.energy, rtol=1e-5, atol=1e-3)
    assert abs(found.growth).max() < 1e-6


def test_a_state_is_read_by_the_labels_of_its_variables():
    iron = SpinLatticeCrystal("bcc", 2)
    state = np.zeros((3, 16, 3))
    state[0], state[2, :, 0] = iron.reference_positions, 2.2
    turned = xr.DataArray(
        state[[2, 1, 0]],
        dims=("variable", "atom", "component"),
        coords={"variable": ["spin", "momentum", "position"]},
    )
    path = commensurate_wavevectors(iron, (0, 0, 0), (2 * np.pi / A, 0, 0))
    found, exact = (magnon_dispersion(iron, path, s).energy for s in (turned, state))
    np.testing.assert_array_equal(found, exact)


def test_anisotropy_opens_a_gap_of_the_magnons():
    """``ħω(0) = (2/μ) 2K`` for an easy axis ``-K cos²θ``."""
    iron = SpinLatticeCrystal("bcc", 2, anisotropy=UniaxialAnisotropy(0.01))
    found = magnon_dispersion(iron, [(0, 0, 0)])
    assert found.energy.item() == pytest.approx(1e3 * 2 / 2.2 * 0.02, rel=1e-5)


def chain(n_cells=6, spring_cutoff=2.5):
    """Two kinds of atoms in turn along x, far from their images, joined by Morse bonds at rest."""
    x = np.arange(2 * n_cells) * 2.0
    positions = np.stack([x, 0 * x, 0 * x], axis=1)
    law = Morse(depth=0.5, stiffness=1.5, distance=2.0, cutoff=spring_cutoff, switch=0.2)
    return SpinLatticeCrystal(
        positions=positions, cell_vectors=np.diag([4.0 * n_cells, 9.0, 9.0]),
        element=["Fe", "O"] * n_cells, mass={"Fe": 56.0, "O": 16.0}, moment={"Fe": 2.2, "O": 0.0},
        pair_potential=law, exchange=None,
    )  # fmt: skip


def test_phonons_of_a_chain_of_two_atoms():
    """``ω² = k (1/m + 1/M) ± k √((1/m + 1/M)² - 4 sin²(qa/2)/(mM))``, a the length of a cell."""
    crystal = chain()
    path = commensurate_wavevectors(crystal, (0, 0, 0), (np.pi / 4.0, 0, 0))
    k, m, M = 2 * 0.5 * 1.5**2, 16.0 * ATOMIC_MASS, 56.0 * ATOMIC_MASS
    total = 1 / m + 1 / M
    root = np.sqrt(total**2 - 4 * np.sin(2.0 * path[:, 0]) ** 2 / (m * M))
    exact = 1e3 * HBAR * np.sqrt(np.clip(k * (total + np.stack([-root, root])), 0, None)).T
    found = phonon_dispersion(crystal, path).energy.values
    assert found.shape == (4, 6)
    np.testing.assert_allclose(np.sort(found, axis=1)[:, -2:], exact, rtol=1e-4, atol=0.02)


def test_phonons_of_iron_are_those_of_its_force_constants():
    """Three times zero at q = 0; at H the mode in which corners move against centres."""
    found = phonon_dispersion(IRON, TO_H).energy.values
    np.testing.assert_allclose(found[0], 0.0, atol=0.05)
    np.testing.assert_allclose(found[-1], found[-1].mean(), rtol=1e-6)  # cubic symmetry at H
    amplitude = 1e-3
    state = np.stack([IRON.reference_positions, np.zeros((128, 3)), np.zeros((128, 3))])[None]
    state[:, 2, :, 2] = 2.2
    corner = np.arange(128) % 2 == 0
    state[0, 0, corner, 0] += amplitude
    state[0, 0, ~corner, 0] -= amplitude
    square = -IRON.forces(state)[0, 0, 0] / amplitude / IRON.masses[0]
    assert found[-1, 0] == pytest.approx(1e3 * HBAR * np.sqrt(square), rel=1e-4)


def with_a_wave(system, wavevector, signs=1.0, amplitude=0.02):
    """One state at rest with spins along ``±z``, tilted along x in a wave."""
    start = np.zeros((1, 3, 128, 3))
    start[0, 0] = system.reference_positions
    tilt = amplitude * np.cos(system.reference_positions @ wavevector)
    start[0, 2] = 2.2 * np.stack([np.sin(tilt), 0 * tilt, signs * np.cos(tilt)], axis=1)
    return start


def check_peak(run, system, wavevector, energy):
    """The spectrum has its peak where it should, within the resolution, and its sum is 1."""
    spectrum = dynamic_structure_factor(run, system, wavevector).intensity
    peak = float(spectrum.energy[spectrum[0].values.argmax()])
    assert peak == pytest.approx(energy, abs=6.0)
    assert spectrum[0].max() > 0.3
    np.testing.assert_allclose(spectrum.sum("energy"), 1.0)


def test_a_trajectory_shows_the_magnons():
    """The peak of a wave that was let go lies at its energy, within the resolution."""
    start = with_a_wave(IRON, TO_H[1])
    run = SpinLatticeSplitting(IRON, 2.0).simulate(start, 800.0, save_every=4)
    energy = magnon_dispersion(IRON, TO_H[1:2]).energy.item()
    check_peak(run, IRON, TO_H[1:2], energy)


def test_a_trajectory_shows_the_magnons_of_an_antiferromagnet():
    """Its magnetisation vanishes; the part at right angles to the spins of a sublattice does not.

    A failed sample is left out, and said so.
    """
    crystal = SpinLatticeCrystal("bcc", 4, exchange=CubicExchange(-0.89))
    signs = np.where(np.arange(128) % 2 == 0, 1.0, -1.0)
    still = with_a_wave(crystal, TO_H[1], signs, amplitude=0.0)[0]
    energy = magnon_dispersion(crystal, TO_H[1:2], still).energy.values[0, 0]
    assert energy > 50
    start = with_a_wave(crystal, TO_H[1], signs)
    run = SpinLatticeSplitting(crystal, 2.0).simulate(start, 800.0, save_every=4)
    check_peak(run, crystal, TO_H[1:2], energy)
    lost = run.isel(sample=[0, 0]).copy(deep=True)
    lost["phase_space"][1, 10:] = np.nan
    with pytest.warns(RuntimeWarning, match=r"sample 1 \(1 of 2\) failed; they are left out"):
        check_peak(lost, crystal, TO_H[1:2], energy)
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="no sound sample"):
        dynamic_structure_factor(lost.isel(sample=[1]), crystal, TO_H[1:2])


def test_spins_without_order_have_no_transverse_part():
    rng = np.random.default_rng(0)
    run = xr.DataArray(
        np.zeros((1, 1000, 3, 128, 3)),
        dims=("sample", "time", "variable", "atom", "component"),
        coords={"time": np.arange(1000.0)},
    )
    spins = rng.normal(size=(1000, 128, 3))
    run[0, :, 2] = 2.2 * spins / np.linalg.norm(spins, axis=-1, keepdims=True)
    with pytest.raises(ValueError, match="simulate an ordered state"):
        dynamic_structure_factor(run, IRON, TO_H[1:2])
    still = SpinLatticeCrystal("bcc", 4, moment=0.0)
    with pytest.raises(ValueError, match="no atom of the system has a moment"):
        dynamic_structure_factor(run, still, TO_H[1:2])


def test_drifts_of_atoms():
    run = SpinLatticeSplitting(IRON, 1.0).simulate(IRON.random_states(2, 0), 5.0)
    assert energy_drift(run).mean_absolute.max() < 1e-3
    assert momentum_drift(run).drift.max() < 1e-11
    assert momentum_drift(run.phase_space).drift.max() < 1e-11
    assert magnetization_drift(run.phase_space).vector_drift.max() < 1e-12


def test_what_does_not_fit_into_the_cell_is_refused():
    with pytest.raises(ValueError, match="the nearest that does is"):
        magnon_dispersion(IRON, [(0.1, 0.0, 0.0)])
    state = IRON.random_states(1, 0)[0]
    with pytest.raises(ValueError, match="relax it first"):
        magnon_dispersion(IRON, [(0.0, 0.0, 0.0)], state)
