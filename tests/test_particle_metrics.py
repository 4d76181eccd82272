"""Metrics of particles: what they say where the answer is known."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, cross_val_score

from dlintegrate import (
    CorrectedIntegrator,
    GraphForce,
    HeisenbergLattice,
    Integrator,
    LennardJones2D,
    SuzukiTrotter2,
    metrics,
)
from dlintegrate._kernels.structure import count_pairs
from dlintegrate.integrators import BlanesMoanRKN4, VelocityVerlet

SYSTEM = LennardJones2D(n_particles=16, density=0.2)
DIMS = ("sample", "time", "variable", "particle", "component")


def particles(positions, momenta=None, box=10.0, times=None, **coords):
    """A trajectory from arrays (n_samples, n_times, n_particles, 2)."""
    positions = np.asarray(positions, dtype=float)
    momenta = np.zeros_like(positions) if momenta is None else momenta
    n_samples, n_times = positions.shape[:2]
    return xr.DataArray(
        np.stack([positions, np.broadcast_to(momenta, positions.shape)], axis=2),
        dims=DIMS,
        coords={
            "time": np.arange(n_times, dtype=float) if times is None else times,
            "variable": ["position", "momentum"],
            "box_length": ("sample", np.broadcast_to(box, n_samples).astype(float)),
            **{name: ("sample", value) for name, value in coords.items()},
        },
        name="phase_space",
    )


def with_failure(states, sample, time):
    """The Dataset that simulate would return, one sample of which failed."""
    n = states.sizes["sample"]
    status, failure_time = np.zeros(n, dtype=np.int8), np.full(n, np.nan)
    status[sample], failure_time[sample] = 2, time
    dataset = states.to_dataset() if isinstance(states, xr.DataArray) else states
    return dataset.assign(status=("sample", status), failure_time=("sample", failure_time))


def free_flight(n_samples=3, n=5, times=None, seed=0):
    rng = np.random.default_rng(seed)
    times = np.arange(40) * 0.25 if times is None else times
    start, velocity = (
        rng.uniform(0, 10, (n_samples, 1, n, 2)),
        rng.normal(size=(n_samples, 1, n, 2)),
    )
    return velocity[:, 0], particles(start + times[:, None, None] * velocity, velocity, 10.0, times)


def equilibrium(system, temperature, n_samples, seed=0):
    """Packed states, thermalised by dynamics with the kinetic temperature held for a while."""
    states = system.random_states(n_samples, seed)
    array, step = system.validate(states), VelocityVerlet(system, 0.005)
    for _ in range(40):
        array = step.advance(array, 100)
        found = system.observables(array)["kinetic_temperature"][1]
        array[:, 1] *= np.sqrt(temperature / found)[:, None, None]
    return step.advance(array, 400)


@pytest.fixture(scope="module")
def initial():
    """Samples in boxes of two densities, as one batch."""
    parts = []
    for density in (0.1, 0.38):
        system = LennardJones2D(16, density)
        states, coords = system.unpack(equilibrium(system, 0.5, 10))
        coords = {"box_length": coords["box_length"], "density": np.full(10, density)}
        parts.append(
            xr.DataArray(
                states,
                dims=("sample", *system.state_dims),
                coords={k: ("sample", v) for k, v in coords.items()},
            )
        )
    return xr.concat(parts, "sample")


@pytest.fixture(scope="module")
def trajectory(initial):
    return VelocityVerlet(SYSTEM, 0.005).simulate(initial, 4.0, save_every=20)


# radial distribution -------------------------------------------------------------------


def test_ideal_gas_has_no_structure_at_any_number_and_density():
    rng = np.random.default_rng(1)
    box = rng.choice([4.0, 6.0, 9.0], size=4000)
    gas = particles(rng.uniform(size=(4000, 1, 4, 2)) * box[:, None, None, None], box=box)
    result = metrics.radial_distribution(gas, bins=10)
    assert result["r"][-1] == pytest.approx(0.95 * 2.0)  # half of the smallest box
    deviation = (result["g"] - 1) / result["error"]
    assert np.abs(deviation).max() < 4
    assert 0.4 < np.sqrt((deviation**2).mean()) < 2  # the error bars are neither idle nor timid


def test_square_lattice_has_the_right_number_of_neighbours_at_the_right_distances():
    grid = np.stack(np.divmod(np.arange(36), 6), axis=-1).astype(float)
    # shaken by whole boxes: distances are between nearest images of unwrapped positions
    away = 6.0 * np.random.default_rng(0).integers(-3, 4, size=(1, 1, 36, 2))
    result = metrics.radial_distribution(particles(grid + away, box=6.0), bins=60, r_max=2.95)
    edges = np.linspace(0, 2.95, 61)
    neighbours = result["g"].values * np.pi * np.diff(edges**2) * 35 / 36
    found = {round(float(r), 1): k for r, k in zip(result["r"], neighbours, strict=True) if k > 0}
    assert list(found) == pytest.approx([1.0, 1.4, 2.0, 2.2, 2.8], abs=0.051)
    np.testing.assert_allclose(list(found.values()), [4, 4, 4, 8, 4], rtol=1e-12)


@pytest.mark.parametrize("n", [30, 400])
def test_pairs_are_those_of_a_direct_count_with_cells_and_without(n):
    rng = np.random.default_rng(n)
    q = rng.uniform(-20, 20, size=(2, n, 2))
    sides, reach = np.array([7.0, 11.0]), 2.0
    histogram, partners = np.zeros((2, 8), int), np.zeros((2, n), int)
    count_pairs(q, sides, reach, histogram, partners)
    for f in range(2):
        d = q[f][:, None] - q[f]
        d -= sides[f] * np.round(d / sides[f])
        r = np.hypot(d[..., 0], d[..., 1])
        np.fill_diagonal(r, np.inf)
        expected, _ = np.histogram(r, bins=np.linspace(0, reach, 9))
        np.testing.assert_array_equal(2 * histogram[f], expected)
        np.testing.assert_array_equal(partners[f], (r < reach).sum(axis=1))


def test_ten_thousand_particles_need_no_table_of_pairs():
    rng = np.random.default_rng(0)
    gas = particles(rng.uniform(0, 100, (1, 1, 10_000, 2)), box=100.0)
    result = metrics.radial_distribution(gas, bins=20)
    pairs = np.pi * np.diff(np.linspace(0, 50, 21) ** 2) * 1e4 * 1e4 / 2 / 1e4
    np.testing.assert_allclose(result["g"], 1.0, atol=5 / np.sqrt(pairs.min()))
    assert np.isnan(result["error"]).all()  # one frame of one sample


def test_frames_of_one_sample_give_an_error_in_blocks():
    rng = np.random.default_rng(2)
    gas = particles(rng.uniform(0, 5, (1, 2000, 6, 2)), box=5.0)
    result = metrics.radial_distribution(gas, bins=6)
    assert result.attrs["n_blocks"] == 10
    assert (np.abs(result["g"] - 1) < 5 * result["error"]).all()
    # independent pairs: the relative error of a count is that of Poisson
    poisson = 1 / np.sqrt(2000 * 15 * np.pi * np.diff(np.linspace(0, 2.5, 7) ** 2) / 25)
    assert np.sqrt((result["error"].values ** 2 / poisson**2).mean()) == pytest.approx(1, abs=0.5)


def test_frames_after_a_failure_do_not_enter_the_structure():
    rng = np.random.default_rng(0)
    q = rng.uniform(0, 5, (3, 4, 6, 2))
    q[1, 2:] = 0.01 * np.arange(6)[:, None]  # frozen in a heap
    failed = with_failure(particles(q, box=5.0), 1, 2.0)
    with pytest.warns(RuntimeWarning, match=r"sample 1 \(1 of 3\) failed; their frames"):
        result = metrics.radial_distribution(failed, bins=5)
    assert result["g"][0] < 5
    alone = metrics.radial_distribution(particles(q[1:2, :2], box=5.0), bins=5, r_max=2.5)
    np.testing.assert_allclose(result["g_sample"][1], alone["g"])
    with pytest.warns(RuntimeWarning), pytest.raises(ValueError, match="no sound frame"):
        metrics.radial_distribution(with_failure(particles(q, box=5.0), slice(None), 0.0))


def test_states_that_are_not_finite_do_not_enter_the_structure():
    gas = particles(np.random.default_rng(3).uniform(0, 5, (8, 1, 6, 2)), box=5.0)
    expected = metrics.radial_distribution(gas[:5], bins=4)
    heat = metrics.equipartition(gas[:5], radius=1.0)
    lost = gas.copy(deep=True)
    lost[5:] = np.nan
    with pytest.warns(RuntimeWarning, match=r"samples 5, 6, 7 \(3 of 8\) failed; their frames"):
        result = metrics.radial_distribution(lost, bins=4)
    xr.testing.assert_allclose(result["g"], expected["g"])
    assert result["n_samples"] == 5
    with pytest.warns(RuntimeWarning, match="samples 5, 6, 7"):
        assert metrics.equipartition(lost, radius=1.0)["temperature"] == heat["temperature"]


def test_states_frames_and_trajectories_are_accepted(trajectory, initial):
    last = trajectory.isel(time=-1)
    expected = metrics.radial_distribution(trajectory.isel(time=[-1]), 8)
    for one in (last, last["phase_space"]):
        xr.testing.assert_allclose(metrics.radial_distribution(one, 8), expected)
    first = metrics.radial_distribution(initial, 8)
    np.testing.assert_allclose(
        first["g"], metrics.radial_distribution(trajectory.isel(time=[0]), 8)["g"]
    )
    swapped = initial.sel(variable=["momentum", "position"]) if "variable" in initial.coords else (
        initial.assign_coords(variable=["position", "momentum"])[:, ::-1]
    )  # fmt: skip
    xr.testing.assert_allclose(metrics.radial_distribution(swapped, 8)["g"], first["g"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 0}, "bins=0"),
        ({"bins": 2.5}, "bins=2.5"),
        ({"r_max": 5.1}, r"r_max=5.1.* at most half of the smallest box, 5"),
        ({"r_max": -1}, "r_max=-1"),
        ({"n_blocks": 3}, "n_blocks=3"),
    ],
)
def test_radial_distribution_refuses_bad_parameters(arguments, message):
    gas = particles(np.random.default_rng(0).uniform(0, 10, (1, 2, 4, 2)))
    with pytest.raises(ValueError, match=message):
        metrics.radial_distribution(gas, **arguments)
    with pytest.raises(ValueError, match="no coordinate 'box_length'"):
        metrics.radial_distribution(gas.drop_vars("box_length"))


# velocities and displacements ----------------------------------------------------------


def test_free_particles_move_ballistically():
    velocity, flight = free_flight()
    v2 = (velocity**2).sum(axis=-1).mean(axis=1)
    msd = metrics.mean_square_displacement(flight, max_lag=9.75)
    lag = msd["lag"].values
    assert len(lag) == 40 and lag[-1] == 9.75
    np.testing.assert_allclose(msd["displacement"], v2[:, None] * lag**2, rtol=1e-10, atol=1e-12)
    vacf = metrics.velocity_autocorrelation(flight)
    np.testing.assert_allclose(vacf["correlation"], np.repeat(v2[:, None], 20, 1), rtol=1e-12)
    np.testing.assert_allclose(vacf["mean"], v2.mean())
    np.testing.assert_allclose(vacf["error"], v2.std(ddof=1) / np.sqrt(3))


def test_oscillators_remember_with_their_frequency():
    times, phase = np.arange(60) * 0.1, 2 * np.pi * np.arange(8) / 8
    angle = 1.7 * times[:, None] + phase
    q = np.stack([np.cos(angle), np.sin(angle)], axis=-1)[None]
    p = 1.7 * np.stack([-np.sin(angle), np.cos(angle)], axis=-1)[None]
    circling = particles(q, p, times=times)
    vacf, msd = (
        metrics.velocity_autocorrelation(circling),
        metrics.mean_square_displacement(circling),
    )
    np.testing.assert_allclose(vacf["mean"], 1.7**2 * np.cos(1.7 * vacf["lag"]), atol=1e-12)
    np.testing.assert_allclose(msd["mean"], 2 - 2 * np.cos(1.7 * msd["lag"]), atol=1e-12)


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6), st.integers(2, 12))
def test_lags_are_sums_over_all_sound_origins(seed, n_times):
    rng = np.random.default_rng(seed)
    walk = rng.normal(size=(3, n_times, 2, 2)).cumsum(axis=1) + 100
    momenta = rng.normal(size=walk.shape)
    n_sound = [n_times, int(rng.integers(0, n_times)), n_times]
    failed = with_failure(particles(walk, momenta), 1, float(n_sound[1]))
    with pytest.warns(RuntimeWarning, match="sample 1"):
        msd = metrics.mean_square_displacement(failed, n_times - 1.0)["displacement"].values
        vacf = metrics.velocity_autocorrelation(failed, n_times - 1.0)["correlation"].values
    for i, n in enumerate(n_sound):
        for lag in range(n_times):
            if lag >= n:
                assert np.isnan(msd[i, lag]) and np.isnan(vacf[i, lag])
                continue
            steps = walk[i, lag:n] - walk[i, : n - lag]
            products = momenta[i, lag:n] * momenta[i, : n - lag]
            assert msd[i, lag] == pytest.approx((steps**2).sum(-1).mean(), rel=1e-9, abs=1e-9)
            assert vacf[i, lag] == pytest.approx(products.sum(-1).mean(), rel=1e-9, abs=1e-9)


def test_random_walk_has_its_diffusion_coefficient():
    rng = np.random.default_rng(3)
    steps = rng.normal(scale=np.sqrt(2 * 0.3 * 0.5), size=(40, 400, 16, 2))
    walk = particles(steps.cumsum(axis=1), times=0.5 * np.arange(400))
    msd = metrics.mean_square_displacement(walk, max_lag=20.0)
    found = metrics.diffusion_coefficient(msd)
    assert abs(found.value - 0.3) < 4 * found.error < 0.05
    early = metrics.diffusion_coefficient(msd, start=0.0, stop=5.0)
    assert early.error < found.error and str(early).startswith("0.")


def test_lags_that_make_no_sense_are_refused():
    _, flight = free_flight()
    with pytest.raises(ValueError, match=r"max_lag=50.* between 0.25 .* and 9.75"):
        metrics.velocity_autocorrelation(flight, 50.0)
    with pytest.raises(ValueError, match="not equally spaced"):
        metrics.mean_square_displacement(flight.isel(time=[0, 1, 3]))
    with pytest.raises(ValueError, match="has 1 frame"):
        metrics.mean_square_displacement(flight.isel(time=[0]))
    with pytest.raises(ValueError, match="fewer than two lags"):
        metrics.diffusion_coefficient(metrics.mean_square_displacement(flight), start=100.0)


# distance ------------------------------------------------------------------------------


def test_a_trajectory_is_at_no_distance_from_itself(trajectory):
    result = metrics.phase_space_distance(trajectory, trajectory)
    assert (result["distance"] == 0).all() and (result["n_samples"] == 20).all()


@settings(deadline=None, max_examples=15)
@given(st.lists(st.floats(-20, 20), min_size=4, max_size=4))
def test_a_shift_is_as_far_as_its_length_even_around_the_box(shift):
    _, flight = free_flight()
    dq, dp = np.array(shift[:2]), np.array(shift[2:])
    moved = flight + np.stack([dq, dp])[:, None]
    result = metrics.phase_space_distance(moved, flight)
    np.testing.assert_allclose(result["distance"], (dq**2).sum() + (dp**2).sum(), atol=1e-9)


def test_distance_is_a_mean_over_particles_and_samples():
    _, flight = free_flight(n_samples=3, n=5)
    moved = flight.copy(deep=True)
    moved[0, :, 0, 2, 1] += 3.0
    moved[2, :, 1, 0, 0] += 10.0
    result = metrics.phase_space_distance(moved, flight)
    np.testing.assert_allclose(result["distance"][:, 7], [9 / 5, 0, 100 / 5])
    np.testing.assert_allclose(result["mean"], (9 + 100) / 15)
    np.testing.assert_allclose(result["median"], 9 / 5)


def test_failed_samples_are_infinitely_far_for_the_median_and_not_in_the_mean():
    _, flight = free_flight(n_samples=3)
    failed = with_failure(flight, 1, 5.0)
    with pytest.warns(RuntimeWarning, match="trajectory: sample 1 .* infinitely far"):
        result = metrics.phase_space_distance(failed, flight)
    assert np.isinf(result["distance"][1, 20:]).all()
    np.testing.assert_array_equal(result["n_samples"], [3] * 20 + [2] * 20)
    assert (result["mean"] == 0).all() and (result["median"] == 0).all()
    with pytest.warns(RuntimeWarning):
        most = metrics.phase_space_distance(failed.isel(sample=[1, 1, 2]), flight[[1, 1, 2]])
    assert np.isinf(most["median"][20:]).all()
    with pytest.warns(RuntimeWarning, match="reference: sample 1 .* left out"):
        result = metrics.phase_space_distance(flight, failed)
    np.testing.assert_array_equal(result["n_samples"], [3] * 20 + [2] * 20)
    assert (result["median"] == 0).all()


def test_trajectories_in_other_boxes_or_of_spins_are_refused(trajectory):
    _, flight = free_flight()
    other = flight.assign_coords(box_length=flight["box_length"] + 1)
    with pytest.raises(ValueError, match="different coordinates 'box_length'"):
        metrics.phase_space_distance(flight, other)
    with pytest.raises(ValueError, match="no variable 'spin', only"):
        metrics.spin_correlation(trajectory, trajectory)
    with pytest.raises(ValueError, match="expected sample, time, x"):
        metrics.spin_correlation(flight, flight)
    spins = HeisenbergLattice((4, 4)).random_states(2, 0)
    spins = SuzukiTrotter2(HeisenbergLattice((4, 4)), 0.1).simulate(spins, 0.2)
    with pytest.raises(ValueError, match="no variable 'phase_space'"):
        metrics.phase_space_distance(spins, spins)


def test_second_order_trajectories_are_four_times_nearer_at_half_the_step(initial):
    exact = BlanesMoanRKN4(SYSTEM, 0.0025).simulate(initial, 0.2, save_every=8)
    distance = [
        metrics.phase_space_distance(
            VelocityVerlet(SYSTEM, dt).simulate(initial, 0.2, save_every=round(0.02 / dt)), exact
        )["median"][-1]
        for dt in (0.01, 0.005)
    ]
    assert np.log2(distance[0] / distance[1]) == pytest.approx(4, abs=0.2)  # of a square


# stability -----------------------------------------------------------------------------


def approaching(distances, box=10.0, n=2, across=False):
    """Two particles at these distances, the others far away; ``across``: by their images."""
    q = np.zeros((1, len(distances), n, 2))
    q[..., 0] = np.arange(n) * 2.5
    q[..., 0, 0] = 0.05
    q[..., 1, 0] = 0.05 - np.asarray(distances) + (box if across else 0.0)
    return particles(q, box=box)


DISTANCES = [1.0, 0.8, 0.73, 0.72, 0.69, 0.68, 0.9]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize(("per_particle", "first"), [(False, 3), (True, 5)])
def test_a_pair_counts_once_nearer_than_the_threshold_and_ever_after(across, per_particle, first):
    # with n = 2 the force is halved: f(0.688) / 2 = f(0.7259)
    result = metrics.unstable_count(
        approaching(DISTANCES, across=across), SYSTEM, per_particle=per_particle
    )
    np.testing.assert_array_equal(result["count"], [0] * first + [1] * (7 - first))
    assert result["unstable_since"].item() == first
    q = 0.7259
    assert result.attrs["threshold_force"] == pytest.approx(48 / q**13 - 24 / q**7, rel=1e-12)


def test_the_threshold_follows_the_units_of_the_system():
    grown = approaching([2 * d for d in DISTANCES], box=20.0)
    system = LennardJones2D(2, 0.02, epsilon=5.0, sigma=2.0)
    result = metrics.unstable_count(grown, system, per_particle=False)
    assert result["unstable_since"].item() == 3
    closer = metrics.unstable_count(grown, system, q_threshold=0.685, per_particle=False)
    assert closer["unstable_since"].item() == 5


def test_each_sample_has_its_own_box():
    pair = approaching([9.3, 9.3], box=10.0)
    both = xr.concat([pair, pair.assign_coords(box_length=("sample", [12.0]))], "sample")
    result = metrics.unstable_count(both, SYSTEM, per_particle=False)
    np.testing.assert_array_equal(result["unstable"], [[True, True], [False, False]])


def test_failed_samples_are_unstable_from_their_failure_on():
    calm = xr.concat([approaching([1.0] * 5)] * 3, "sample")
    with pytest.warns(RuntimeWarning, match="sample 2 .* count as unstable"):
        result = metrics.unstable_count(with_failure(calm, 2, 3.0), SYSTEM)
    np.testing.assert_array_equal(result["count"], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(result["n_samples"], [3] * 5)
    np.testing.assert_array_equal(result["unstable_since"], [np.nan, np.nan, 3.0])


def test_forces_that_overflow_are_unstable():
    assert metrics.unstable_count(approaching([1.0, 1e-60]), SYSTEM)["count"].values.tolist() == [
        0, 1,
    ]  # fmt: skip
    with pytest.raises(ValueError, match="q_threshold=-1"):
        metrics.unstable_count(approaching([1.0]), SYSTEM, q_threshold=-1)


@pytest.mark.filterwarnings("ignore:.*failed:RuntimeWarning")
def test_large_steps_of_velocity_verlet_explode_and_small_ones_do_not(initial):
    counts = {
        dt: metrics.unstable_count(VelocityVerlet(SYSTEM, dt).simulate(initial, 25.0), SYSTEM)
        for dt in (0.01, 0.1)
    }
    assert counts[0.01]["count"][-1] == 0
    assert counts[0.1]["count"][-1] >= 18  # of 20
    assert (np.diff(counts[0.1]["count"]) >= 0).all()


def test_fallback_fraction_is_that_of_the_whole_run_and_splits_by_temperature():
    running = np.array([[0.0, 0.2, 0.1], [0.0, 0.0, 0.0], [0.0, 0.5, 0.4], [0.0, 0.1, 0.1]])
    dataset = xr.Dataset(
        {"fallback_fraction": (("sample", "time"), running), "status": ("sample", [1, 0, 2, 1])},
        {"time": [0.0, 1.0, 2.0], "temperature": ("sample", [0.3, 0.3, 0.7, 0.7])},
    )
    result = metrics.fallback_fraction(dataset)
    np.testing.assert_array_equal(result["fraction"], [0.1, 0.0, 0.4, 0.1])
    assert result["mean"] == pytest.approx(0.15) and result["largest"] == 0.4
    counts = [int(result[k]) for k in ("n_samples", "n_fell_back", "n_failed")]
    assert counts == [4, 3, 1]
    by_temperature = result["fraction"].groupby("temperature").mean()
    np.testing.assert_allclose(by_temperature, [0.05, 0.25])
    with pytest.raises(ValueError, match="no variable 'fallback_fraction'"):
        metrics.fallback_fraction(dataset.drop_vars("fallback_fraction"))


# drifts --------------------------------------------------------------------------------


def test_energy_drift_is_per_particle_with_and_without_recorded_energies(trajectory):
    recorded = metrics.energy_drift(trajectory)
    expected = (trajectory["energy"] - trajectory["energy"][:, 0]) / 16
    np.testing.assert_array_equal(recorded["drift"], expected)
    assert recorded["mean_absolute"][-1] > 1e-6
    computed = metrics.energy_drift(trajectory["phase_space"], SYSTEM)
    np.testing.assert_allclose(computed["drift"], expected, atol=1e-12)
    np.testing.assert_array_equal(computed["density"], [0.1] * 10 + [0.38] * 10)
    with pytest.raises(ValueError, match="pass system"):
        metrics.energy_drift(trajectory["phase_space"])


def test_mean_drift_keeps_its_sign(trajectory):
    heating = np.array([[0.0, 3.0], [0.0, -1.0]]) * 16
    states = trajectory.isel(sample=[0, 1], time=[0, 1])
    result = metrics.energy_drift(states.assign(energy=(("sample", "time"), heating)))
    np.testing.assert_allclose(result["mean"], [0, 1])
    np.testing.assert_allclose(result["mean_absolute"], [0, 2])


def test_momentum_drift_is_the_length_of_what_was_added(trajectory):
    assert metrics.momentum_drift(trajectory)["drift"].max() < 1e-13
    states = trajectory["phase_space"].copy(deep=True)
    states[3, 10:, 1, 5] += np.array([3.0, -4.0])
    result = metrics.momentum_drift(states)
    np.testing.assert_allclose(result["drift"][3, 10:], 5 / 16, atol=1e-13)
    np.testing.assert_allclose(result["mean"][10:], 5 / 16 / 20, atol=1e-13)
    with pytest.warns(RuntimeWarning, match="NaN"):
        failed = metrics.momentum_drift(with_failure(trajectory, 3, 2.0))
    assert failed["n_samples"][-1] == 19
    labelled = states.assign_coords(variable=["position", "momentum"])
    swapped = labelled.sel(variable=["momentum", "position"])
    xr.testing.assert_identical(metrics.momentum_drift(swapped), result)
    with pytest.raises(ValueError, match=r"variables \['q', 'p'\]; expected \['position'"):
        metrics.momentum_drift(states.assign_coords(variable=["q", "p"]))


def test_files_in_blocks_give_the_same(initial, trajectory, tmp_path, monkeypatch):
    step = VelocityVerlet(SYSTEM, 0.005)
    streamed = step.simulate(initial, 4.0, save_every=20, path=tmp_path / "t.nc")
    functions = [
        metrics.energy_drift,
        metrics.momentum_drift,
        metrics.radial_distribution,
        metrics.equipartition,
        metrics.velocity_autocorrelation,
        metrics.mean_square_displacement,
        lambda t: metrics.unstable_count(t, SYSTEM, 0.98, False),
        lambda t: metrics.phase_space_distance(t, trajectory),
        lambda t: metrics.momentum_drift(t["phase_space"]),
        lambda t: metrics.energy_drift(t["phase_space"], SYSTEM),
    ]
    whole = [function(trajectory) for function in functions]
    assert 0 < whole[6]["count"][-1] < 20
    monkeypatch.setattr("dlintegrate.metrics._trajectories._BLOCK_BYTES", 7 * 20 * 64 * 8)
    for function, expected in zip(functions, whole, strict=True):
        xr.testing.assert_allclose(function(streamed), expected, rtol=1e-9, atol=1e-12)
    streamed.close()


# equipartition -------------------------------------------------------------------------


def thermal(n_samples, n, temperature, seed, n_times=1):
    """An ideal gas with momenta from the canonical ensemble of total momentum zero."""
    rng = np.random.default_rng(seed)
    p = np.sqrt(temperature) * rng.normal(size=(n_samples, n_times, n, 2))
    p -= p.mean(axis=2, keepdims=True)
    return rng.uniform(0, 4, (n_samples, n_times, n, 2)), p


def neighbours_of(q, side=4.0, radius=1.5):
    d = q[..., :, None, :] - q[..., None, :, :]
    d -= side * np.round(d / side)
    return (np.hypot(d[..., 0], d[..., 1]) < radius).sum(axis=-1) - 1


def test_thermal_momenta_are_equally_hot_everywhere():
    q, p = thermal(4000, 4, 0.7, seed=0)
    result = metrics.equipartition(particles(q, p, box=4.0))
    assert abs(result["temperature"] - 0.7) < 4 * result["temperature_error"]
    # 2 (n - 1) degrees of freedom in each of 4000 samples
    assert result["temperature_error"] == pytest.approx(0.7 / np.sqrt(3 * 4000), rel=0.05)
    for name in ("by_component", "by_neighbours"):
        found, error = result[name], result[name + "_error"]
        assert (np.abs(found - 0.7) < 4 * error).where(np.isfinite(error), True).all(), name
    occurrence = np.bincount(neighbours_of(q).ravel(), minlength=9) / 16000
    np.testing.assert_allclose(result["occurrence"], occurrence, atol=1e-12)


def test_hot_crowds_are_seen_where_the_mean_temperature_is_right():
    q, p = thermal(3000, 8, 0.5, seed=1)
    crowded = neighbours_of(q) >= 4
    p[crowded] *= np.sqrt(1.4)
    p[~crowded] *= np.sqrt((1 - 1.4 * crowded.mean()) / (1 - crowded.mean()))
    p -= p.mean(axis=2, keepdims=True)
    result = metrics.equipartition(particles(q, p, box=4.0))
    assert result["temperature"] == pytest.approx(0.5, abs=0.01)
    found, error = result["by_neighbours"], result["by_neighbours_error"]
    assert (found[4:6] - 0.5 > 10 * error[4:6]).all()
    assert (0.5 - found[1:4] > 10 * error[1:4]).all()


def test_a_hot_direction_is_seen():
    q, p = thermal(2000, 8, 0.5, seed=2)
    p *= np.sqrt([1.2, 0.8])
    # a fluid that streams is not hot
    result = metrics.equipartition(particles(q, p + 7.0, box=4.0))
    np.testing.assert_allclose(
        result["by_component"], [0.6, 0.4], atol=4 * float(result["by_component_error"].max())
    )
    assert result["by_component_error"].max() < 0.01


def test_error_bars_are_the_scatter_of_repetitions():
    found = []
    for seed in range(60):
        q, p = thermal(50, 6, 1.0, seed)
        found.append(metrics.equipartition(particles(q, p, box=4.0)))
    for name in ("by_component", "by_neighbours"):
        values = np.array([r[name].values[:4] for r in found])
        errors = np.array([r[name + "_error"].values[:4] for r in found])
        np.testing.assert_allclose(values.std(axis=0), errors.mean(axis=0), rtol=0.35)


def test_blocks_of_one_long_sample_have_errors_too():
    q, p = thermal(1, 6, 1.0, seed=3, n_times=1000)
    result = metrics.equipartition(particles(q, p, box=4.0))
    assert result["temperature_error"] == pytest.approx(1 / np.sqrt(5000), rel=0.7)
    assert abs(result["temperature"] - 1) < 5 * result["temperature_error"]


def test_trajectories_have_their_kinetic_temperature_and_more_neighbours_when_dense(trajectory):
    dilute, dense = (
        metrics.equipartition(part)
        for part in (trajectory.isel(sample=slice(0, 10)), trajectory.isel(sample=slice(10, 20)))
    )
    mean = [float((r["occurrence"] * r["neighbours"]).sum()) for r in (dilute, dense)]
    assert mean[0] < mean[1]
    expected = trajectory["kinetic_temperature"][:10].mean()
    assert dilute["temperature"] == pytest.approx(float(expected), rel=1e-12)
    with pytest.raises(ValueError, match="radius=4"):
        metrics.equipartition(trajectory, radius=4.0)


# one step ------------------------------------------------------------------------------


def test_one_step_error_of_velocity_verlet_falls_with_the_cube_of_dt(initial):
    errors = [metrics.one_step_error(VelocityVerlet(SYSTEM, dt), initial) for dt in (0.004, 0.002)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.1)


def test_one_step_error_is_per_particle_of_positions_and_momenta(initial):
    step = VelocityVerlet(SYSTEM, 0.01)
    labels = step.step(initial)
    assert metrics.one_step_error(step, initial, labels) == 0
    labels[4, 0, 3, 0] += 3.0
    labels[4, 1, 7, 1] -= 4.0
    each = metrics.one_step_error(step, initial, labels, per_sample=True)
    np.testing.assert_allclose(each, np.where(np.arange(20) == 4, 5 / 4, 0))
    assert metrics.one_step_error(step, initial, labels) == pytest.approx(5 / 4 / np.sqrt(20))
    assert metrics.one_step_error(step, initial, labels.values) == pytest.approx(1.25 / np.sqrt(20))
    once_around = initial.copy(deep=True)
    once_around[:, 0, :, 0] += initial["box_length"]
    moved = metrics.one_step_error(step, initial, step.step(once_around), per_sample=True)
    np.testing.assert_allclose(moved, initial["box_length"], rtol=1e-10)


def test_the_suggested_step_has_the_error_that_was_asked_for(initial):
    dt = VelocityVerlet(SYSTEM, 0.05).suggest_dt(initial[:4], 1e-2, duration=0.2)
    for n_steps, bound in ((round(0.2 / dt), 1.03), (round(0.2 / dt) - 1, np.inf)):
        step = VelocityVerlet(SYSTEM, 0.2 / n_steps)
        difference = step.step(initial[:4], n_steps) - BlanesMoanRKN4(SYSTEM, 0.0005).step(
            initial[:4], 400
        )
        error = float(np.sqrt((difference**2).sum() / (4 * SYSTEM.n_sites)))
        assert (0 if bound < 2 else 1e-2) < error < bound * 1e-2


def test_a_reference_of_another_density_works_in_the_box_of_the_samples():
    step = VelocityVerlet(SYSTEM, 0.01)
    other = BlanesMoanRKN4(LennardJones2D(16, 0.1), 0.001)
    same = BlanesMoanRKN4(SYSTEM, 0.001)
    states = SYSTEM.random_states(2, 0)
    assert metrics.one_step_error(step, states, other) == metrics.one_step_error(step, states, same)
    labels = [
        CorrectedIntegrator(step, GraphForce(width=0), reference).make_labels(states)
        for reference in (same, other)
    ]
    np.testing.assert_array_equal(*labels)


def test_labels_of_other_shape_and_systems_without_reference_are_refused(initial):
    step = VelocityVerlet(SYSTEM, 0.01)
    with pytest.raises(ValueError, match=r"reference has shape \(2,"):
        metrics.one_step_error(step, initial, initial[:2])
    with pytest.raises(ValueError, match="does not divide"):
        metrics.one_step_error(step, initial, VelocityVerlet(SYSTEM, 0.003))


@pytest.mark.filterwarnings("ignore:.*failed:RuntimeWarning")
def test_exploding_steps_have_infinite_errors(initial):
    error = metrics.one_step_error(VelocityVerlet(SYSTEM, 1.0), initial, initial, per_sample=True)
    assert np.isinf(error).any()


def reference_errors(system, array):
    """Change of the default reference on halving its step, error of velocity Verlet 0.01."""
    reference = metrics.reference_integrator(system, 0.1)
    n = round(0.1 / reference.dt)
    once, twice = reference.advance(array, n), reference.with_dt(0.05 / n).advance(array, 2 * n)
    verlet = VelocityVerlet(system, 0.01).advance(array, 10)
    return [np.sqrt(((a - twice) ** 2).sum() / len(array) / 16) for a in (once, verlet)]


def test_default_reference_is_converged_where_forces_are_smooth():
    system = LennardJones2D(16, 0.38)
    array = equilibrium(system, 0.71, 200)
    array[:, 0, :-1] %= array[:, 0, -1:]
    array[:, 0, -1] *= 10  # in free space, where no pair is half a box apart
    change, verlet = reference_errors(system, array)
    assert change < 1e-9 and verlet > 1e-3


@pytest.mark.parametrize(
    ("options", "bound"), [({}, 1e-3), ({"cutoff": 2.5, "truncation": "smooth"}, 1e-5)]
)
def test_default_reference_is_limited_by_jumps_of_the_force(options, bound):
    system = LennardJones2D(16, 0.38, **options)
    change, verlet = reference_errors(system, equilibrium(system, 0.71, 200))
    assert change < bound * verlet


def test_reference_follows_the_units_of_time():
    slow = metrics.reference_integrator(LennardJones2D(sigma=2.0, epsilon=0.25), 0.1)
    fast = metrics.reference_integrator(LennardJones2D(), 0.1)
    assert isinstance(fast, BlanesMoanRKN4) and fast.dt == pytest.approx(0.0025)
    assert slow.dt == pytest.approx(4 * fast.dt)
    assert metrics.reference_integrator(LennardJones2D(), -0.1).dt < 0


# scorers -------------------------------------------------------------------------------


class Fitted(VelocityVerlet):
    """Velocity Verlet that scikit-learn may fit."""

    def __init__(self, system=SYSTEM, dt=0.005):
        super().__init__(system, dt)

    def fit(self, X, y=None):
        return self


class Explodes(Integrator):
    """Fails for every sample."""

    guarantees = frozenset()

    def __init__(self, system=SYSTEM, dt=0.1):
        self.system = system
        self.dt = dt

    def advance(self, array, n_steps):
        return np.full_like(array, np.nan)


PARTICLE_SCORERS = {
    "neg_one_step_error": {},
    "neg_energy_drift": {"t_max": 2.0},
    "neg_phase_space_distance": {"t_max": 1.0},
}


@pytest.mark.parametrize("name", PARTICLE_SCORERS)
def test_smaller_steps_score_better(initial, name):
    scorer = metrics.make_scorer(name, **PARTICLE_SCORERS[name])
    fine, coarse = (scorer(VelocityVerlet(SYSTEM, dt), initial) for dt in (0.005, 0.02))
    assert coarse < 2 * fine < 0


@pytest.mark.filterwarnings("ignore:.*failed:RuntimeWarning")
def test_unstable_scorer_counts_samples(initial):
    scorer = metrics.make_scorer("neg_unstable_count", t_max=5.0)
    assert scorer(VelocityVerlet(SYSTEM, 0.01), initial) == 0
    assert -20 <= scorer(VelocityVerlet(SYSTEM, 0.1), initial) < -10
    # all pairs that interact are nearer than this
    strict = metrics.make_scorer(
        "neg_unstable_count", t_max=0.1, q_threshold=1.1, per_particle=False
    )
    assert strict(VelocityVerlet(SYSTEM, 0.01), initial) < 0


@pytest.mark.filterwarnings("ignore:.*failed:RuntimeWarning")
def test_failed_particles_score_worst(initial):
    for name, parameters in PARTICLE_SCORERS.items():
        parameters = {k: 0.2 for k in parameters}
        assert metrics.make_scorer(name, **parameters)(Explodes(), initial) == -np.inf
    assert metrics.make_scorer("neg_unstable_count", t_max=0.2)(Explodes(), initial) == -20


def test_scorers_serve_cross_validation_of_mixed_boxes(initial):
    scores = cross_val_score(
        Fitted(), initial, scoring="neg_one_step_error", cv=KFold(2), error_score="raise"
    )
    by_hand = [-metrics.one_step_error(Fitted(), part) for part in (initial[:10], initial[10:])]
    np.testing.assert_allclose(scores, by_hand)
    labels = metrics.reference_integrator(SYSTEM, 0.005).step(initial, 4)
    given = metrics.get_scorer("neg_one_step_error")(Fitted(), initial, labels)
    assert given == pytest.approx(-metrics.one_step_error(Fitted(), initial), rel=1e-3)


def test_particles_have_no_magnetisation_to_score(initial):
    with pytest.raises(ValueError, match="particles have none"):
        metrics.get_scorer("neg_magnetization_drift")(Fitted(), initial)
