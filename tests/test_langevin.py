"""Thermostats of atoms and moments, and heat that flows between them without any."""

import numpy as np
import pytest

from dlintegrate import (
    HeisenbergLattice,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    sample_langevin,
)
from dlintegrate._units import BOHR_MAGNETON, BOLTZMANN
from dlintegrate.systems.atoms import MOMENTUM, POSITION, SPIN

IRON = SpinLatticeCrystal(size=3)


def at_rest(crystal, spins):
    """One state with atoms in their places and unit spins along these directions."""
    states = np.zeros((1, 3, crystal.n_sites, 3))
    states[0, POSITION] = crystal.reference_positions
    states[0, SPIN] = crystal.moments[:, None] * spins
    return states


def test_moments_in_a_field_follow_the_langevin_function():
    """``<cos θ> = coth x - 1/x`` with ``x = μ B/(k T)``, here 2; 216 moments, 2000 fs."""
    x, temperature = 2.0, 300.0
    field = x * BOLTZMANN * temperature / (2.2 * BOHR_MAGNETON)
    gas = SpinLatticeCrystal(
        "sc", 6, lattice_constant=3.0, exchange=None, pair_potential=None, field=(0, 0, field)
    )
    thermostat = SpinLatticeSplitting(
        gas, 4.0, "semi-implicit", damping=0.3, temperature=temperature, random_state=1
    )
    start = at_rest(gas, [0.0, 0.0, 1.0])
    run = thermostat.simulate(start, 2200.0, save_every=10)
    cosine = run.magnetization.values[0, 6:, 2] / (216 * 2.2)
    variance = 1 - 2 / x / np.tanh(x) + 2 / x**2 - (1 / np.tanh(x) - 1 / x) ** 2
    error = np.sqrt(variance / 216 / (len(cosine) / 2))  # frames are apart by a correlation time
    assert abs(cosine.mean() - (1 / np.tanh(x) - 1 / x)) < 4 * error
    assert error < 0.01


def test_atoms_take_the_temperature_of_the_friction():
    thermostat = SpinLatticeSplitting(IRON, 2.0, friction=0.05, temperature=500.0, random_state=2)
    run = thermostat.simulate(at_rest(IRON, [0, 0, 1.0]), 1500.0, save_every=10)
    temperature = run.lattice_temperature.values[0, 10:]
    # 159 freedoms, correlation times of the kinetic energy of about 1/(2 friction) = 10 fs
    error = 500.0 * np.sqrt(2 / 159) / np.sqrt(len(temperature) / 2)
    assert abs(temperature.mean() - 500.0) < 4 * error
    assert error < 15.0


@pytest.mark.parametrize("step", ["bonds", pytest.param("midpoint", marks=pytest.mark.slow)])
def test_atoms_and_spins_agree_on_the_temperature_in_equilibrium(step):
    thermostat = SpinLatticeSplitting(
        IRON, 2.0, step, friction=0.02, damping=0.2, temperature=300.0, random_state=3
    )
    start = thermostat.step(IRON.random_states(1, 0, order=20.0), 200)
    run = thermostat.simulate(start, 2000.0, save_every=10)
    for name in ("lattice_temperature", "spin_temperature"):
        # about 40 independent frames of 54 atoms: 4 %, measured, is three errors
        assert run[name].mean() == pytest.approx(300.0, rel=0.05)


def test_atoms_and_spins_may_have_different_temperatures():
    thermostat = SpinLatticeSplitting(
        IRON, 2.0, friction=0.05, damping=0.2, temperature=600.0, spin_temperature=100.0,
        random_state=4,
    )  # fmt: skip
    run = thermostat.simulate(IRON.random_states(1, 0, order=20.0), 1500.0, save_every=10)
    later = run.isel(time=slice(30, None))
    assert later.lattice_temperature.mean() == pytest.approx(600.0, rel=0.08)
    assert later.spin_temperature.mean() == pytest.approx(100.0, rel=0.08)


def test_a_hot_lattice_heats_cold_spins_and_the_energy_stays():
    """A spin spiral is a state of rest of temperature 0, and no total spin holds it up."""
    phase = 2 * np.pi * IRON.reference_positions[:, 0] / IRON.cell[0, 0]
    spiral = np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=1)
    start = at_rest(IRON, spiral)
    start[:, MOMENTUM] = IRON.thermal_momenta(1500.0, 1, 5)
    run = SpinLatticeSplitting(IRON, 1.0).simulate(start, 600.0, save_every=5)
    spins, atoms = run.spin_temperature.values[0], run.lattice_temperature.values[0]
    assert spins[0] < 1e-10
    assert spins[-20:].mean() > spins[20:40].mean() + 2.0 > 2.0
    assert atoms[-20:].mean() < atoms[0]
    assert np.ptp(run.energy.values) < 2e-4 * IRON.n_sites
    np.testing.assert_allclose(run.magnetization, 0.0, atol=1e-11)


def test_friction_alone_brings_atoms_to_rest_and_damping_spins():
    start = IRON.random_states(1, 1, order=5.0)
    for coupling, name in (("friction", "lattice_temperature"), ("damping", "spin_temperature")):
        run = SpinLatticeSplitting(IRON, 2.0, **{coupling: 0.3}).simulate(start, 400.0)
        assert run[name][0, -1] < 0.1 * run[name][0, 0]
        assert run.energy[0, -1] < run.energy[0, 0] - 0.05


def test_noise_depends_on_the_seed_and_on_nothing_else():
    start = IRON.random_states(2, 2, order=5.0)

    def after(seed, states=start):
        options = {"friction": 0.1, "damping": 0.1, "temperature": 300.0}
        return SpinLatticeSplitting(IRON, 1.0, random_state=seed, **options).step(states, 2)

    np.testing.assert_array_equal(after(1), after(1))
    np.testing.assert_array_equal(after(1)[1:], after(1, start[1:]))
    assert np.abs(after(1) - after(2)).max() > 1e-3


@pytest.fixture(scope="module")
def samples():
    return sample_langevin(IRON, [100.0, 400.0], [4, 8], duration=600.0, random_state=0)


class TestSampling:
    def test_lattice_and_spins_have_the_temperature_of_the_label(self, samples):
        assert samples.temperature.values.tolist() == [100.0] * 4 + [400.0] * 8
        found = IRON.observables(IRON.validate(samples))
        for name in ("lattice_temperature", "spin_temperature"):
            values = found[name][1] / samples.temperature.values
            # about 160 freedoms each: a standard error of 11 % per state
            assert values.mean() == pytest.approx(1.0, abs=0.12)
            assert 0.05 < values.std() < 0.25, "they fluctuate, each on its own"

    def test_the_crystal_as_a_whole_is_at_rest(self, samples):
        np.testing.assert_allclose(samples.sel(variable="momentum").sum("atom"), 0.0, atol=1e-11)

    def test_a_sample_depends_on_its_number_and_seed_alone(self, samples):
        crystal = SpinLatticeCrystal(size=2)
        options = {"duration": 20.0, "random_state": 5}
        once = sample_langevin(crystal, 300.0, 3, **options)
        np.testing.assert_array_equal(once, sample_langevin(crystal, 300.0, 3, n_jobs=2, **options))
        np.testing.assert_array_equal(once, sample_langevin(crystal, 300.0, 5, **options)[:3])
        other = sample_langevin(crystal, 300.0, 3, duration=20.0, random_state=6)
        assert np.abs(once - other).max() > 1e-3

    def test_from_a_given_state_every_sample_goes_its_own_way(self):
        crystal = SpinLatticeCrystal(size=2)
        start = at_rest(crystal, [1.0, 0.0, 0.0])
        drawn = sample_langevin(crystal, 50.0, 2, duration=10.0, start=start, random_state=0)
        assert (drawn.sel(variable="spin", component=0).mean("atom") > 2.0).all()
        assert np.abs(drawn[0] - drawn[1]).max() > 1e-3
        with pytest.raises(ValueError, match="start holds 3 states for 2"):
            sample_langevin(crystal, 50.0, 2, start=np.repeat(start, 3, axis=0))

    def test_atoms_without_moments(self):
        plain = SpinLatticeCrystal(size=2, moment=0.0, exchange=None)
        drawn = sample_langevin(plain, 300.0, 2, duration=50.0, random_state=0)
        assert (drawn.sel(variable="spin") == 0).all()

    @pytest.mark.parametrize("options", [
        {"duration": 0.0}, {"dt": np.nan}, {"friction": 0.0}, {"damping": -1.0},
    ])  # fmt: skip
    def test_bad_arguments(self, options):
        (name,) = options
        with pytest.raises(ValueError, match=f"{name}="):
            sample_langevin(IRON, 300.0, 1, **options)

    def test_other_systems_and_steps_that_are_too_large(self):
        with pytest.raises(TypeError, match="sample_canonical"):
            sample_langevin(HeisenbergLattice(4), 1.0, 1)
        with pytest.raises(ValueError, match="use a smaller dt"):
            sample_langevin(SpinLatticeCrystal(size=2), 300.0, 1, dt=60.0, random_state=0)
