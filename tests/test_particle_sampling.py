"""Samples of the Lennard-Jones fluid: exact results, reference states, and the interface."""

import json
import math

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from dlintegrate.sampling import (
    canonical_averages,
    diagnose_sampling,
    heat_capacity,
    histograms,
    park_states,
    sample_canonical,
    sample_park_states,
)
from dlintegrate.sampling import particles as module
from dlintegrate.sampling.canonical import chain_of, child
from dlintegrate.systems import HeisenbergLattice, LennardJones2D

#: Computed elsewhere, n = 16, full potential: (ρ, T) to U/n, its error, pressure, its error.
REFERENCE = {
    (0.10, 0.27): (-1.7642, 0.0012, 0.0018, 0.0002),
    (0.10, 0.47): (-0.7019, 0.0014, 0.0229, 0.0001),
    (0.10, 0.71): (-0.3832, 0.0003, 0.0565, 0.0001),
    (0.14, 0.27): (-1.7739, 0.0010, 0.0029, 0.0002),
    (0.14, 0.47): (-0.8775, 0.0014, 0.0253, 0.0001),
    (0.14, 0.71): (-0.5134, 0.0004, 0.0731, 0.0001),
    (0.20, 0.27): (-1.7775, 0.0009, 0.0033, 0.0003),
    (0.20, 0.47): (-1.0480, 0.0011, 0.0265, 0.0002),
    (0.20, 0.71): (-0.6870, 0.0004, 0.0942, 0.0002),
    (0.27, 0.27): (-1.7683, 0.0009, -0.0157, 0.0007),
    (0.27, 0.47): (-1.1877, 0.0008, 0.0226, 0.0003),
    (0.27, 0.71): (-0.8667, 0.0004, 0.1159, 0.0002),
    (0.38, 0.27): (-1.8996, 0.0011, -0.0961, 0.0008),
    (0.38, 0.47): (-1.3822, 0.0007, -0.0001, 0.0005),
    (0.38, 0.71): (-1.1238, 0.0003, 0.1463, 0.0004),
}
FAST = [(0.38, 0.27), (0.14, 0.47), (0.20, 0.71)]
#: Second virial coefficient of the potential, computed elsewhere.
SECOND_VIRIAL = {0.27: -30.792, 0.47: -6.9130, 0.71: -2.6701}


def agree(first, second, n_errors=4.0):
    """Whether two (mean, error) agree."""
    return abs(first[0] - second[0]) < n_errors * math.hypot(first[1], second[1])


def mean(values):
    """Mean and standard error of independent values."""
    return values.mean(), values.std(ddof=1) / len(values) ** 0.5


def pair_energy(distance, **parameters):
    """φ(r) as the system has it, for two particles in a wide box."""
    system = LennardJones2D(2, 1e-6, **parameters)
    states = np.zeros((len(distance), 2, 2, 2))
    states[:, 0, 1, 0] = distance
    return system.potential_energy(states)


# --- reference states ---------------------------------------------------------------------


@pytest.mark.parametrize(("density", "temperature"), FAST)
def test_energy_and_pressure_are_those_of_the_table(density, temperature):
    system = LennardJones2D(16, density)
    result = canonical_averages(system, temperature, n_records=600, random_state=1).squeeze()
    energy, energy_error, pressure, pressure_error = REFERENCE[density, temperature]
    assert result.potential_energy_error < 0.004
    assert agree((result.potential_energy, result.potential_energy_error), (energy, energy_error))
    assert result.pressure_error < 0.004
    assert agree((result.pressure, result.pressure_error), (pressure, pressure_error))


@pytest.mark.slow
@pytest.mark.parametrize(("density", "temperature"), REFERENCE)
def test_all_states_of_the_table_closely(density, temperature):
    system = LennardJones2D(16, density)
    result = canonical_averages(
        system, temperature, n_chains=192, n_records=2000, random_state=2
    ).squeeze()
    energy, energy_error, pressure, pressure_error = REFERENCE[density, temperature]
    assert result.potential_energy_error < 0.002
    assert agree((result.potential_energy, result.potential_energy_error), (energy, energy_error))
    assert agree((result.pressure, result.pressure_error), (pressure, pressure_error))


@pytest.mark.parametrize("start", ["random", "lattice"])
def test_independent_samples_have_the_energy_of_the_table_from_any_start(start):
    system = LennardJones2D(16, 0.38)
    samples = sample_canonical(system, 0.27, 640, start=start, random_state=3)
    energy, error, pressure, pressure_error = REFERENCE[0.38, 0.27]
    found = mean(system.potential_energy(samples) / 16)
    assert found[1] < 0.006
    assert agree(found, (energy, error))
    assert agree(mean(system.pressure(samples)), (pressure, pressure_error))


def test_second_virial_coefficient_of_the_potential():
    r = np.linspace(0.55, 60.0, 200_001)
    energy = pair_energy(r)
    for temperature, expected in SECOND_VIRIAL.items():
        mayer = np.expm1(-energy / temperature)
        inside = 0.5 * 0.55**2  # f = -1 there
        tail = 1.0 / (temperature * 60.0**4)
        b2 = math.pi * (inside - np.trapezoid(mayer * r, r) - tail)
        assert abs(b2 - expected) < 1e-4 * abs(expected)


# --- exact results ------------------------------------------------------------------------


@pytest.mark.parametrize(("cutoff", "truncation"), [(None, "shift"), (2.0, "smooth")])
@pytest.mark.parametrize("few", [module.FEW, 0])  # lanes, and one chain at a time
def test_two_particles_follow_the_boltzmann_factor(cutoff, truncation, few, monkeypatch):
    monkeypatch.setattr(module, "FEW", few)
    temperature, side = 0.5, 5.0
    system = LennardJones2D(2, 2 / side**2, cutoff, truncation=truncation)
    samples = sample_canonical(system, temperature, 4000, n_sweeps=100, random_state=4)
    # the difference of the two places is uniform but for the Boltzmann factor
    grid = side * ((np.arange(800) + 0.5) / 800 - 0.5)
    r = np.hypot(grid[:, None], grid).ravel()
    energy = np.full(r.size, np.inf)
    energy[r > 0.55] = pair_energy(r[r > 0.55], cutoff=cutoff, truncation=truncation)
    weight = np.exp(-energy / temperature)
    weight /= weight.sum()
    energy[np.isinf(energy)] = 0.0
    exact = (energy * weight).sum()
    found = system.potential_energy(samples)
    assert agree(mean(found), (exact, 0.0))
    assert agree(mean((found - exact) ** 2), ((energy - exact) ** 2 @ weight, 0.0))
    # distances: eight classes of equal probability
    apart = samples.values[:, 0, 0] - samples.values[:, 0, 1]
    distance = np.hypot(*(apart - side * np.round(apart / side)).T)
    order = np.argsort(r)
    edges = np.interp(np.arange(1, 8) / 8, np.cumsum(weight[order]), r[order])
    counts = np.bincount(np.searchsorted(edges, distance), minlength=8)
    assert stats.chisquare(counts).pvalue > 1e-4
    # the centre of mass is anywhere
    assert stats.kstest(samples.values[:, 0, 0].ravel() / side, "uniform").pvalue > 1e-4


def test_ideal_gas_limit():
    system = LennardJones2D(8, density=1e-4)
    samples = sample_canonical(system, 50.0, 500, random_state=5)
    assert stats.kstest(samples.values[:, 0].ravel() / system.box_length, "uniform").pvalue > 1e-4
    result = canonical_averages(system, 50.0, n_records=200, random_state=6).squeeze()
    assert abs(result.pressure / (1e-4 * 50.0) - 1) < 1e-3
    assert abs(result.heat_capacity - 7 / 8) < 1e-3


def test_second_virial_coefficient_sets_the_pressure_of_a_dilute_gas():
    density, temperature = 4e-3, 0.47
    system = LennardJones2D(16, density)
    result = canonical_averages(system, temperature, random_state=7).squeeze()
    # of 16 particles, each has 15 others: a share 15/16 of B2
    scale = density**2 * temperature * 15 / 16
    found = (result.pressure - density * temperature) / scale
    error = result.pressure_error / scale
    assert error < 0.4
    assert agree((found, error), (SECOND_VIRIAL[0.47], 0.1))  # 0.1: the third coefficient


def test_momenta_follow_maxwell_and_boltzmann_without_total_momentum():
    n, temperature = 5, 0.6
    samples = sample_canonical(
        LennardJones2D(n, 0.1), temperature, 2000, n_sweeps=2, random_state=8
    )
    momenta = samples.sel(variable="momentum").values
    assert np.abs(momenta.sum(axis=1)).max() < 1e-14 * n
    kinetic = 0.5 * (momenta**2).sum(axis=(1, 2))
    assert stats.kstest(2 * kinetic / temperature, stats.chi2(2 * (n - 1)).cdf).pvalue > 1e-4
    sigma = (temperature * (n - 1) / n) ** 0.5
    for component in momenta.transpose(2, 1, 0).reshape(2 * n, -1):
        assert stats.kstest(component / sigma, "norm").pvalue > 1e-4
    system = LennardJones2D(n, 0.1)
    assert agree(mean(system.kinetic_temperature(samples)), (temperature, 0.0))


def test_units_scale_energies_lengths_and_temperatures():
    plain, scaled = LennardJones2D(16, 0.2), LennardJones2D(16, 0.2 / 9, epsilon=2.0, sigma=3.0)
    first = sample_canonical(plain, 0.4, 64, random_state=9)
    second = sample_canonical(scaled, 0.8, 64, random_state=9)
    # the same random numbers: the same states to rounding, unless a decision was close
    close = np.isclose(3 * first.values[:, 0], second.values[:, 0], atol=1e-6).all(axis=(1, 2))
    assert close.mean() > 0.9
    np.testing.assert_allclose(np.sqrt(2) * first.values[:, 1], second.values[:, 1], rtol=1e-12)


@pytest.mark.parametrize("cutoff", [None, 2.5])
def test_lanes_and_single_chains_agree(cutoff, monkeypatch):
    system = LennardJones2D(16, 0.2, cutoff)  # with the cut-off: 3 × 3 cells
    lanes = sample_canonical(system, 0.5, 400, random_state=10)
    monkeypatch.setattr(module, "FEW", 0)
    single = sample_canonical(system, 0.5, 400, random_state=11)
    for quantity in (system.potential_energy, system.pressure):
        assert agree(mean(quantity(lanes)), mean(quantity(single)))


def test_cells_see_every_pair(monkeypatch):
    system = LennardJones2D(100, 0.2, 2.5)  # 8 × 8 cells
    chain = chain_of(system, n_sweeps=300)
    seeds = [child(np.random.SeedSequence(12), i) for i in range(64)]
    temperatures = np.full(64, 0.6)
    lanes = system.potential_energy(chain.draw_batch(temperatures, seeds))
    monkeypatch.setattr(module, "FEW", 0)
    cells = system.potential_energy(chain.draw_batch(temperatures, seeds))
    assert agree(mean(lanes), mean(cells))
    assert mean(cells)[1] < 0.02 * abs(cells.mean())


# --- equilibration and tuning -------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.27, 0.47, 0.71])
@pytest.mark.parametrize("density", [0.1, 0.38])
def test_local_trials_are_tuned_and_then_left_alone(density, temperature):
    chain = chain_of(LennardJones2D(16, density))
    places, streams = chain.begin_chains("random", np.random.SeedSequence(13).spawn(64))
    temperatures = np.full(64, temperature)
    widths, accepted = chain.equilibrate(places, temperatures, streams, 1000)
    # in the dilute gas even trials across the whole box are accepted more often
    inside = widths < 0.999 * chain.system.box_length
    assert (accepted[0][~inside] > 0.4).all()
    if inside.any():
        assert 0.3 < accepted[0][inside].mean() < 0.5
    assert (accepted[1] > 0).all()  # jumps
    before = widths.copy()
    chain.follow(places, temperature, streams, widths, 5, 10)
    np.testing.assert_array_equal(widths, before)


def test_default_sweeps_suffice_at_the_coldest_and_densest_state():
    report = diagnose_sampling(LennardJones2D(16, 0.38), [0.27, 0.47], length=4, random_state=14)
    assert report.sufficient.all()
    assert report.start.values.tolist() == ["lattice", "random"]
    assert report.energy.shape == (2, 2, 16, 4001)
    # far from equilibrium at first, on either side
    assert report.energy.sel(temperature=0.27, start="random").isel(sweep=0).mean() > 1e3


def test_too_few_sweeps_are_noticed():
    report = diagnose_sampling(LennardJones2D(16, 0.38), 0.27, n_sweeps=40, random_state=15)
    assert not report.sufficient.any()


def test_colder_and_larger_systems_get_more_sweeps():
    small, large = (chain_of(LennardJones2D(n, 0.2)) for n in (16, 64))
    assert small.sweeps_at(0.15) > small.sweeps_at(0.27) >= small.sweeps_at(0.71)
    assert large.sweeps_at(0.27) > 4 * small.sweeps_at(0.27)
    assert small.start_at(0.27) == "lattice"
    assert small.start_at(0.71) == "random"


@pytest.mark.parametrize("n_particles", [2, 7, 16, 64])
@pytest.mark.parametrize("density", [0.05, 0.38, 0.85, 1.1])
def test_droplet_holds_all_particles_apart(n_particles, density):
    system = LennardJones2D(n_particles, density)
    droplet = module.triangular_droplet(n_particles, system.box_length)
    assert droplet.shape == (n_particles, 2)
    states = np.zeros((1, 2, n_particles, 2))
    states[0, 0] = droplet
    assert system.diagnose(system.validate(states), system.validate(states))["min_distance"] > 0.7
    if density == 0.05 and n_particles > 2:
        assert system.potential_energy(states)[0] / n_particles < -0.9


# --- what comes out -----------------------------------------------------------------------


def test_layout_and_provenance():
    system = LennardJones2D(16, 0.2)
    samples = sample_canonical(system, [0.5, 0.7], [3, 2], n_sweeps=20, random_state=16)
    assert samples.name == "phase_space"
    assert samples.dims == ("sample", "variable", "particle", "component")
    assert samples.shape == (5, 2, 16, 2)
    assert samples["variable"].values.tolist() == ["position", "momentum"]
    assert samples.temperature.values.tolist() == [0.5] * 3 + [0.7] * 2
    np.testing.assert_allclose(samples.box_length, system.box_length, rtol=1e-15)
    assert samples.density.values.tolist() == [0.2] * 5
    places = samples.sel(variable="position")
    assert 0 <= places.min() and places.max() < system.box_length
    parameters = json.loads(samples.attrs["parameters"])
    assert parameters["method"] == "metropolis"
    assert parameters["system"]["class"] == "LennardJones2D"
    system.validate(samples)


def test_same_bits_for_the_same_seed_whatever_n_jobs(monkeypatch):
    system = LennardJones2D(16, 0.2)
    options = {"n_sweeps": 30, "random_state": 17}
    whole = sample_canonical(system, [0.3, 0.7], 70, **options)
    monkeypatch.setattr("dlintegrate.sampling.canonical._TASK_SIZE", 16 * 64)
    np.testing.assert_array_equal(
        whole, sample_canonical(system, [0.3, 0.7], 70, n_jobs=2, **options)
    )
    # fewer samples are the first of more, and a chain does not feel its neighbours
    np.testing.assert_array_equal(whole[:5], sample_canonical(system, 0.3, 5, **options))
    other = sample_canonical(system, 0.3, 70, n_sweeps=30, random_state=18)
    assert not np.isclose(whole[:70].values, other.values).any()
    assert len(np.unique(whole.values[:, 0, 0, 0])) == 140


def test_given_start_is_continued():
    system = LennardJones2D(16, 0.2)
    start = sample_canonical(system, 0.3, 3, n_sweeps=50, random_state=19)
    cold = sample_canonical(system, 1e-6, 3, n_sweeps=1, start=start, random_state=20)
    change = cold.values[:, 0] - start.values[:, 0]
    side = system.box_length
    change -= side * np.round(change / side)
    assert np.abs(change).max() < 0.5  # one sweep at T = 0 only goes downhill, locally
    energy = system.potential_energy(start)
    assert (system.potential_energy(cold) <= energy + 1e-9).all()


def test_each_chain_of_averages_begins_at_a_state_of_its_own(monkeypatch):
    system = LennardJones2D(300, 0.2)  # one chain in each task
    given = sample_canonical(system, 1.0, 8, n_sweeps=2, random_state=0)
    begun = []

    def recorded(chain, places, temperatures, streams, n_sweeps):
        begun.extend(places.copy())
        return np.full(len(places), 0.1), None

    monkeypatch.setattr("dlintegrate.sampling.particles.ParticleChain.equilibrate", recorded)
    canonical_averages(system, 1.0, n_chains=8, n_records=1, start=given, random_state=0)
    np.testing.assert_array_equal(np.sort(begun, 0), np.sort(given.values[:, 0], 0))
    with pytest.raises(ValueError, match="start holds 3 states for 8 chains"):
        canonical_averages(system, 1.0, n_chains=8, start=given[:3])


def test_park_states_are_those_of_the_table():
    states = park_states()
    assert len(states) == 60
    assert sum(state.n_samples for state in states) == 1_200_000
    assert {state.phase for state in states} == {"gas+solid", "gas+liquid", "gas"}
    assert [state.n_samples for state in states if state.phase == "gas"] == [30_000] * 20
    by_density = {round(state.box_length, 2) for state in states}
    assert by_density == {12.65, 10.69, 8.94, 7.70, 6.49}
    assert states[0].system.get_params() == LennardJones2D(16, 0.1).get_params()
    assert sum(state.n_samples for state in park_states(64, fraction=1e-3)) == 1200
    with pytest.raises(ValueError, match="fraction=-1"):
        park_states(fraction=-1)
    with pytest.raises(ValueError, match="n_particles=1"):
        park_states(1)


def test_samples_of_several_densities_are_one_set():
    samples = sample_park_states(
        3, densities=[0.1, 0.38], temperatures=[0.47, 0.71], n_sweeps=30, random_state=21
    )
    assert samples.density.values.tolist() == [0.1] * 6 + [0.38] * 6
    np.testing.assert_allclose(samples.box_length**2 * samples.density, 16)
    assert json.loads(samples.attrs["parameters"])["system"]["density"] == [0.1, 0.38]
    # whatever the density of the system that looks at them, the box of a sample counts
    system = LennardJones2D(16, 0.5)
    dense = samples[samples.density == 0.38]
    np.testing.assert_array_equal(
        system.energy(dense), LennardJones2D(16, 0.38).energy(dense.drop_vars("box_length"))
    )
    more = xr.concat([samples, dense], "sample")
    assert more.box_length.shape == (18,)
    again = sample_park_states(
        3, densities=[0.1, 0.38], temperatures=[0.47, 0.71], n_sweeps=30, random_state=21
    )
    xr.testing.assert_identical(samples, again)
    assert not np.array_equal(samples.values[:6, 1], samples.values[6:, 1])
    for options, message in (
        ({"densities": [0.1, -1]}, "densities="),
        ({"temperatures": 0}, "temperature="),
        ({"n_samples_per_state": 0}, "n_samples_per_state=0"),
    ):
        with pytest.raises(ValueError, match=message):
            sample_park_states(**options)


# --- averages -----------------------------------------------------------------------------


def test_heat_capacity_is_the_derivative_of_the_energy():
    system, step = LennardJones2D(16, 0.2), 0.05
    result = canonical_averages(
        system, [0.47 - step, 0.47, 0.47 + step], n_records=900, random_state=22
    )
    below, middle, above = (result.isel(temperature=i) for i in range(3))
    slope = (above.potential_energy - below.potential_energy) / (2 * step) + 15 / 16
    error = np.hypot(above.potential_energy_error, below.potential_energy_error) / (2 * step)
    assert error < 0.06
    # the third derivative over the step adds some hundredths
    assert agree((middle.heat_capacity, middle.heat_capacity_error), (slope, error + 0.02))
    assert middle.heat_capacity > 3  # high near the critical temperature


def test_heat_capacity_of_samples_and_of_chains_agree():
    samples = sample_park_states(640, densities=[0.1, 0.38], temperatures=[0.71], random_state=23)
    result = heat_capacity(LennardJones2D(), samples)
    assert result.heat_capacity.dims == ("density", "temperature")
    for density in (0.1, 0.38):
        chains = canonical_averages(
            LennardJones2D(16, density), 0.71, n_records=300, random_state=24
        ).squeeze()
        one = result.sel(density=density, temperature=0.71)
        assert one.heat_capacity_error < 0.12 * one.heat_capacity
        assert agree(
            (one.heat_capacity, one.heat_capacity_error),
            (chains.heat_capacity, chains.heat_capacity_error),
        )


def test_jackknife_error_of_the_heat_capacity_is_right():
    # on many sets the estimates scatter as their errors say, and have no bias
    system = LennardJones2D(4, 0.2)
    samples = sample_canonical(system, 0.6, 60 * 40, n_sweeps=100, random_state=25)
    parts = [heat_capacity(system, samples[i * 40 : (i + 1) * 40]) for i in range(60)]
    values, errors = (
        np.array([p[name].item() for p in parts])
        for name in ("heat_capacity", "heat_capacity_error")
    )
    whole = heat_capacity(system, samples).heat_capacity.item()
    assert abs(values.mean() - whole) < 4 * values.std() / 60**0.5
    assert 0.6 < np.sqrt((errors**2).mean()) / values.std() < 1.6


def test_histograms_are_densities_with_errors():
    samples = sample_park_states(
        400, densities=[0.1, 0.38], temperatures=[0.59, 0.71], n_sweeps=200, random_state=26
    )
    result = histograms(LennardJones2D(), samples, bins=30)
    for name in ("energy", "kinetic_energy", "potential_energy", "momentum"):
        center = result[f"{name}_center"]
        width = center.diff("bin")[0].item()
        np.testing.assert_allclose(width * result[name].sum("bin"), 1.0, rtol=1e-12)
        assert (result[f"{name}_error"] >= 0).all()
    # dense samples are bound, and momenta know nothing of the density
    center = result.potential_energy_center
    average = (center * result.potential_energy).sum("bin") / result.potential_energy.sum("bin")
    assert average[1] < average[0] - 0.3
    gap = result.momentum[0] - result.momentum[1]
    error = np.hypot(*result.momentum_error)
    assert (np.abs(gap[error > 0]) < 5 * error[error > 0]).all()
    # the mean of two Gaussians
    x = result.momentum_center.values
    exact = np.mean([stats.norm(0, (t * 15 / 16) ** 0.5).pdf(x) for t in (0.59, 0.71)], axis=0)
    assert np.abs(result.momentum - exact).max() < 0.02


def test_a_histogram_of_one_sample_has_no_error_and_needs_no_labels():
    system = LennardJones2D(16, 0.2)
    samples = sample_canonical(system, 0.71, 1, n_sweeps=10, random_state=0)
    result = histograms(system, samples.drop_vars("variable", errors="ignore"), bins=5)
    assert np.isnan(result.energy_error).all()


def test_averages_need_labelled_samples_and_particles():
    system = LennardJones2D()
    with pytest.raises(ValueError, match="temperature"):
        heat_capacity(system, system.random_states(4, 0))
    with pytest.raises(TypeError, match="LennardJones2D"):
        canonical_averages(HeisenbergLattice((4,)), 1.0)
    samples = sample_canonical(system, 0.5, 2, n_sweeps=2, random_state=0)
    assert np.isnan(heat_capacity(system, samples).heat_capacity).all()
    with pytest.raises(ValueError, match="bins=0"):
        histograms(system, samples, bins=0)


# --- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "heat_bath"}, "method='heat_bath'.*the heat bath is for spins"),
        ({"n_over_relaxation": 4}, "n_over_relaxation=4: only spins"),
        ({"n_sweeps": 0}, "n_sweeps=0"),
        ({"start": "ordered"}, "start='ordered': expected one of"),
        ({"start": np.zeros((1, 2, 16, 2))}, "start has overlapping particles"),
        ({"start": np.zeros((1, 2, 9, 2))}, "start has states of shape"),
        ({"temperature": 0.0}, "temperature=0.0"),
    ],
)
def test_bad_options_are_named(options, message):
    options = {"temperature": 0.5, "n_samples": 3, **options}
    with pytest.raises(ValueError, match=message):
        sample_canonical(LennardJones2D(), **options)


def test_bad_systems_are_named():
    with pytest.raises(ValueError, match=r"cutoff=5\.0 exceeds half"):
        sample_canonical(LennardJones2D(16, 0.2, cutoff=5.0), 0.5, 1)
    with pytest.raises(ValueError, match="density=-1"):
        sample_canonical(LennardJones2D(16, -1), 0.5, 1)


def test_start_must_be_of_the_density_of_the_system():
    dilute, dense = LennardJones2D(16, 0.1), LennardJones2D(16, 0.3)
    start = sample_canonical(dilute, 0.7, 1, n_sweeps=5, random_state=0)
    with pytest.raises(ValueError, match=r"start has box_length 12\.6"):
        sample_canonical(dense, 0.7, 1, start=start)
