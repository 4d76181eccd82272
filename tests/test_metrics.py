"""Metrics: what they say of trajectories whose answer is known."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    DampedMidpoint,
    ElementaryDifferentialResidue,
    EquivariantTorque,
    ExactDiagonalization,
    FieldTraining,
    HeisenbergLattice,
    ImplicitMidpoint,
    MultipleTimeStep,
    RungeKutta4,
    SemiImplicitB,
    SuzukiTrotter2,
    TriangularSDModel,
    metrics,
)

SYSTEM = HeisenbergLattice(4)


def random_spins(n, shape=(4, 4, 4), seed=0):
    spins = np.random.default_rng(seed).normal(size=(n, *shape, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def rotated(spins, angle):
    """Turn all spins about z."""
    c, s = np.cos(angle), np.sin(angle)
    return spins @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


def frames(*arrays, times=None):
    """A trajectory of spins from one array per time."""
    dims = ("sample", "time", *"xyz"[: arrays[0].ndim - 2], "component")
    times = np.arange(len(arrays), dtype=float) if times is None else times
    return xr.DataArray(np.stack(arrays, axis=1), dims=dims, coords={"time": times})


def correlations(xi, times=None):
    xi = np.atleast_2d(xi)
    times = np.arange(xi.shape[1], dtype=float) if times is None else times
    return xr.DataArray(xi, dims=("sample", "time"), coords={"time": times})


@pytest.fixture(scope="module")
def trajectory():
    temperature = ("sample", [0.4, 0.4, 2.4, 2.4])
    samples = xr.DataArray(
        random_spins(4), dims=("sample", *"xyz", "component"), coords={"temperature": temperature}
    )
    return SuzukiTrotter2(SYSTEM, 0.1).simulate(samples, 2.0)


# correlation ---------------------------------------------------------------------------


def test_trajectory_is_fully_correlated_with_itself(trajectory):
    result = metrics.spin_correlation(trajectory, trajectory)
    np.testing.assert_allclose(result["correlation"], 1.0, rtol=0, atol=1e-14)
    np.testing.assert_allclose(result["std"], 0.0, atol=1e-14)
    assert (result["n_samples"] == 4).all()
    assert not metrics.threshold_time(result).reached


@settings(deadline=None, max_examples=10)
@given(angle=st.floats(-np.pi, np.pi))
def test_uniform_rotation_in_the_plane_gives_the_cosine(angle):
    phase = np.random.default_rng(1).uniform(0, 2 * np.pi, size=(2, 3, 4))
    planar = np.stack([np.cos(phase), np.sin(phase), 0 * phase], axis=-1)
    result = metrics.spin_correlation(frames(rotated(planar, angle)), frames(planar))
    np.testing.assert_allclose(result["correlation"], np.cos(angle), rtol=0, atol=1e-14)


def test_mean_and_deviation_are_over_samples():
    up = np.zeros((2, 4, 3))
    up[..., 2] = 1.0
    turned = up.copy()
    turned[1] = [1.0, 0.0, 0.0]
    result = metrics.spin_correlation(frames(turned), frames(up))
    assert result["mean"].item() == pytest.approx(0.5)
    assert result["std"].item() == pytest.approx(0.5)


def test_array_and_dataset_in_any_order_of_dimensions_agree(trajectory):
    other = BlanesMoan4(SYSTEM, 0.1).simulate(trajectory["spin"].isel(time=0), 2.0)
    expected = metrics.spin_correlation(trajectory, other)["correlation"]
    swapped = trajectory["spin"].transpose("time", "component", "z", "sample", "y", "x")
    got = metrics.spin_correlation(swapped, other["spin"])["correlation"]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(got["temperature"], [0.4, 0.4, 2.4, 2.4])


def test_files_larger_than_a_block_give_the_same(trajectory, tmp_path, monkeypatch):
    whole = metrics.spin_correlation(trajectory, trajectory)
    path = tmp_path / "t.nc"
    initial = trajectory["spin"].isel(time=0)
    streamed = SuzukiTrotter2(SYSTEM, 0.1).simulate(initial, 2.0, path=path)
    monkeypatch.setattr("dlintegrate.metrics._trajectories._BLOCK_BYTES", 3 * 4 * 64 * 24)
    from dlintegrate.metrics._trajectories import blocks, spins_of

    assert len(list(blocks(spins_of(streamed)))) == 7
    xr.testing.assert_allclose(metrics.spin_correlation(streamed, trajectory), whole)
    spins = streamed["spin"]
    energy = metrics.energy_drift(spins, SYSTEM)["drift"]
    np.testing.assert_allclose(energy, metrics.energy_drift(trajectory)["drift"], atol=1e-14)
    m = metrics.magnetization_drift(spins)
    np.testing.assert_allclose(
        m["vector_drift"], metrics.magnetization_drift(trajectory)["vector_drift"], atol=1e-14
    )
    streamed.close()


def test_times_that_differ_are_refused_and_not_intersected(trajectory):
    shifted = trajectory.assign_coords(time=trajectory["time"] * 1.01)
    with pytest.raises(ValueError, match=r"times of trajectory .21 from 0 to 2.* differ"):
        metrics.spin_correlation(trajectory, shifted)
    with pytest.raises(ValueError, match="save_every"):
        metrics.spin_correlation(trajectory, trajectory.isel(time=slice(0, 5)))


def test_times_of_different_steps_agree_to_rounding(trajectory):
    fine = SuzukiTrotter2(SYSTEM, 0.1 / 7).simulate(trajectory["spin"][:, 0], 2.0, save_every=7)
    assert not np.array_equal(fine["time"], trajectory["time"])
    assert metrics.spin_correlation(trajectory, fine)["mean"].size == 21


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda t: t.isel(sample=slice(0, 2)), ValueError, "sizes"),
        (lambda t: t.isel(x=slice(0, 2)), ValueError, "sizes"),
        (lambda t: t["spin"].values, TypeError, "ndarray"),
        (lambda t: t["spin"].isel(time=0), ValueError, "lacks"),
        (lambda t: t.drop_vars("time"), ValueError, "coordinate 'time'"),
        (lambda t: t[["energy"]], ValueError, "no variable 'spin'"),
        (lambda t: t.isel(sample=[]), ValueError, "empty"),
    ],
)
def test_unsuitable_reference_is_refused(trajectory, change, error, message):
    with pytest.raises(error, match=message):
        metrics.spin_correlation(trajectory, change(trajectory))


# samples that failed -------------------------------------------------------------------


def with_failure(trajectory, sample, time):
    status, failure_time = np.zeros(4, dtype=np.int8), np.full(4, np.nan)
    status[sample], failure_time[sample] = 2, time
    return trajectory.assign(status=("sample", status), failure_time=("sample", failure_time))


def test_failed_sample_counts_as_uncorrelated_from_its_failure_on(trajectory):
    failed = with_failure(trajectory, 1, 1.0)
    with pytest.warns(RuntimeWarning, match=r"sample 1 \(1 of 4\) failed; they count"):
        result = metrics.spin_correlation(failed, trajectory)
    np.testing.assert_allclose(result["mean"][:10], 1.0)
    np.testing.assert_allclose(result["mean"][10:], 0.75)
    assert metrics.threshold_time(result, n_bootstrap=0).reached


def test_sample_whose_reference_failed_is_left_out(trajectory):
    with pytest.warns(RuntimeWarning, match="reference: sample 1 .* left out"):
        result = metrics.spin_correlation(trajectory, with_failure(trajectory, 1, 1.0))
    np.testing.assert_array_equal(result["n_samples"], [4] * 10 + [3] * 11)
    np.testing.assert_allclose(result["mean"], 1.0)
    assert not metrics.threshold_time(result).reached


def test_drift_of_a_failed_sample_does_not_flatter(trajectory):
    for metric in (metrics.energy_drift, metrics.magnetization_drift):
        with pytest.warns(RuntimeWarning, match="sample 3 .* NaN"):
            result = metric(with_failure(trajectory, 3, 0.5))
        assert np.isnan(result["drift"][3, 5:]).all() and np.isfinite(result["drift"][3, :5]).all()
        np.testing.assert_array_equal(result["n_samples"], [4] * 5 + [3] * 16)
        assert np.isfinite(result["mean_absolute"]).all()


# threshold time ------------------------------------------------------------------------


@settings(deadline=None, max_examples=20)
@given(rate=st.floats(1e-3, 0.2), threshold=st.floats(0.5, 0.999), step=st.floats(0.01, 3.0))
def test_interpolation_is_exact_on_a_linear_decay(rate, threshold, step):
    end = 1.3 * (1 - threshold) / rate
    times = np.arange(0, end + step, step)
    if times[-1] * rate <= 1 - threshold:
        return
    found = metrics.threshold_time(correlations(1 - rate * times, times), threshold=threshold)
    assert found.reached
    assert found.time == pytest.approx((1 - threshold) / rate, rel=1e-9)
    assert np.isnan(found.error)  # of one sample nothing is known


def test_threshold_is_of_the_mean_not_of_a_sample():
    xi = correlations([[1.0, 0.9, 0.8, 0.7], [1.0, 1.0, 1.0, 1.0]])
    assert metrics.threshold_time(xi, threshold=0.9).time == pytest.approx(2.0)


def test_first_crossing_counts():
    xi = correlations([[1.0, 0.98, 1.0, 0.98]])
    assert metrics.threshold_time(xi).time == pytest.approx(0.5)


def test_correlation_that_never_falls_gives_a_flagged_lower_bound():
    found = metrics.threshold_time(correlations([[1.0, 0.995, 0.99]]))
    assert (found.time, found.reached) == (2.0, False) and np.isnan(found.error)
    assert str(found) == "> 2"


def test_backward_trajectories_have_negative_threshold_times():
    xi = correlations([[1.0, 0.98]], times=[0.0, -1.0])
    assert metrics.threshold_time(xi).time == pytest.approx(-0.5)


def decaying(n, seed):
    """Correlations that fall below 0.99 at times with standard deviation 1 about 10."""
    crossing = np.random.default_rng(seed).normal(10, 1, size=n)
    times = np.linspace(0, 20, 81)
    # all fall at the same rate, so the mean crosses at the mean of the crossings
    return correlations(0.99 - 0.002 * (times - crossing[:, None]), times)


@pytest.mark.parametrize("n", [25, 400])
def test_bootstrap_error_is_the_standard_error_of_the_mean(n):
    xi = decaying(n, seed=n)
    found = metrics.threshold_time(xi, n_bootstrap=400)
    # linear decays: the crossing of the mean is the mean of the crossings
    crossings = [metrics.threshold_time(xi[[i]], n_bootstrap=0).time for i in range(n)]
    assert found.time == pytest.approx(np.mean(crossings), rel=1e-9)
    assert found.error == pytest.approx(np.std(crossings) / np.sqrt(n), rel=0.15)


def test_bootstrap_is_reproducible_and_can_be_left_out():
    xi = decaying(10, seed=0)
    assert metrics.threshold_time(xi) == metrics.threshold_time(xi)
    assert metrics.threshold_time(xi).error != metrics.threshold_time(xi, random_state=1).error
    assert np.isnan(metrics.threshold_time(xi, n_bootstrap=0).error)


def test_threshold_time_takes_two_trajectories(trajectory):
    exact = BlanesMoan4(SYSTEM, 0.01).simulate(trajectory["spin"][:, 0], 2.0, save_every=10)
    direct = metrics.threshold_time(trajectory, exact, threshold=0.9999)
    assert direct == metrics.threshold_time(
        metrics.spin_correlation(trajectory, exact), threshold=0.9999
    )
    assert direct.reached and 0.5 < direct.time < 2.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"threshold": 1.5}, "threshold=1.5"),
        ({"threshold": "high"}, "threshold='high'"),
        ({"n_bootstrap": -1}, "n_bootstrap=-1"),
        ({"n_bootstrap": 2.5}, "n_bootstrap=2.5"),
    ],
)
def test_threshold_time_refuses_bad_parameters(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.threshold_time(correlations([[1.0, 0.9]]), **arguments)


def test_threshold_time_of_a_trajectory_needs_the_reference(trajectory):
    with pytest.raises(ValueError, match="pass reference as well"):
        metrics.threshold_time(trajectory)
    with pytest.raises(ValueError, match="did the reference fail"):
        metrics.threshold_time(correlations([[1.0, np.nan]]))


# drift ---------------------------------------------------------------------------------


def precessing(field, J=1.0, n_times=6):
    """Ferromagnetic samples tilted against a field along z: they precess as one."""
    system = HeisenbergLattice((4, 4), J=J, field=(0.0, 0.0, field))
    spins = np.zeros((2, 4, 4, 3))
    spins[0] = [0.6, 0.0, 0.8]
    spins[1] = [0.8, 0.0, 0.6]
    times = np.arange(n_times) * 0.5
    # dS/dt = S × B turns by -B t about z
    return system, times, frames(*(rotated(spins, -field * t) for t in times), times=times)


def test_uniform_precession_keeps_energy_and_magnitude_but_not_direction():
    system, times, spins = precessing(field=0.7)
    energy = metrics.energy_drift(spins, system)
    m = metrics.magnetization_drift(spins)
    for kept in (energy["drift"], energy["std"], m["drift"], m["mean_absolute"]):
        np.testing.assert_allclose(kept, 0.0, atol=1e-14)
    chord = 2 * np.abs(np.sin(0.7 * times / 2))  # of a unit circle
    np.testing.assert_allclose(m["vector_drift"], np.outer([0.6, 0.8], chord), atol=1e-14)
    np.testing.assert_allclose(m["mean_vector_drift"], 0.7 * chord, atol=1e-14)


def test_without_exchange_the_integrator_precesses_exactly():
    system, times, spins = precessing(field=0.7, J=0.0)
    run = SuzukiTrotter2(system, 0.05).simulate(spins.isel(time=0), times[-1], save_every=10)
    np.testing.assert_allclose(metrics.spin_correlation(run, spins)["mean"], 1.0, atol=1e-14)


def test_drift_is_per_site_and_relative_to_the_start():
    up = np.zeros((1, 4, 4, 3))
    up[..., 2] = 1.0
    flipped = up.copy()
    flipped[0, 0, 0, 2] = -1.0
    system = HeisenbergLattice((4, 4))
    energy = metrics.energy_drift(frames(up, flipped), system)["drift"]
    np.testing.assert_allclose(energy[0], [0.0, 8 / 16])  # four broken bonds of 2 J
    m = metrics.magnetization_drift(frames(up, flipped))
    np.testing.assert_allclose(m["drift"][0], [0.0, -2 / 16])
    np.testing.assert_allclose(m["mean_absolute"], [0.0, 2 / 16])


def test_mean_is_of_absolute_values_and_deviation_of_signed_ones(trajectory):
    drift = np.array([[0.0, 3.0], [0.0, -1.0], [0.0, 3.0], [0.0, -1.0]]) * 64
    result = metrics.energy_drift(
        trajectory.isel(time=[0, 1]).assign(energy=(("sample", "time"), drift + 5.0))
    )
    np.testing.assert_allclose(result["mean_absolute"], [0.0, 2.0])
    np.testing.assert_allclose(result["std"], [0.0, 2.0])


def test_suzuki_trotter_keeps_energy_and_lets_the_magnetisation_drift(trajectory):
    assert np.abs(metrics.energy_drift(trajectory)["drift"]).max() < 1e-14
    m = metrics.magnetization_drift(trajectory)
    assert m["mean_absolute"][-1] > 1e-5
    assert (m["vector_drift"] >= np.abs(m["drift"]) - 1e-15).all()


def test_energy_drift_without_energy_asks_for_the_system(trajectory):
    with pytest.raises(ValueError, match="pass system"):
        metrics.energy_drift(trajectory["spin"])


# one step ------------------------------------------------------------------------------


def test_one_step_error_of_second_order_falls_with_the_cube_of_dt():
    samples = random_spins(8)
    errors = [metrics.one_step_error(SuzukiTrotter2(SYSTEM, dt), samples) for dt in (0.04, 0.02)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.05)


def test_default_reference_is_converged():
    samples = random_spins(4)
    for system in (SYSTEM, HeisenbergLattice(4, J=-3.0, field=(0, 2.0, 0))):
        reference = metrics.reference_integrator(system, 0.1)
        finer = reference.with_dt(reference.dt / 4)
        n = round(0.1 / reference.dt)
        difference = reference.step(samples, n) - finer.step(samples, 4 * n)
        assert np.sqrt((difference**2).sum(-1).mean()) < 1e-10


def test_odd_lattices_have_a_reference_too():
    samples = random_spins(2, (5, 3))
    system = HeisenbergLattice((5, 3))
    midpoint = [metrics.one_step_error(ImplicitMidpoint(system, dt), samples) for dt in (0.1, 0.05)]
    assert np.log2(midpoint[0] / midpoint[1]) == pytest.approx(3.0, abs=0.1)


def test_references_labels_and_containers_agree():
    samples = random_spins(3)
    wrapped = xr.DataArray(samples, dims=("sample", *SYSTEM.state_dims))
    step, reference = SuzukiTrotter2(SYSTEM, 0.1), BlanesMoan4(SYSTEM, 0.02)
    expected = metrics.one_step_error(step, samples, reference)
    labels = reference.step(wrapped, 5)
    assert metrics.one_step_error(step, samples, labels) == expected
    assert metrics.one_step_error(step, wrapped, labels.values) == expected
    swapped = wrapped.transpose("component", "x", "sample", "z", "y")
    assert metrics.one_step_error(step, swapped, reference) == expected
    assert metrics.one_step_error(step, samples) == pytest.approx(expected, rel=1e-3)


def test_error_is_the_root_mean_square_of_the_samples_errors():
    samples = random_spins(5)
    step = SuzukiTrotter2(SYSTEM, 0.1)
    each = metrics.one_step_error(step, samples, per_sample=True)
    assert each.shape == (5,)
    assert metrics.one_step_error(step, samples) == pytest.approx(np.sqrt(np.mean(each**2)))
    alone = metrics.one_step_error(step, samples[2:3])
    assert alone == pytest.approx(each[2])


def test_a_known_rotation_has_the_length_of_its_chord():
    system = HeisenbergLattice((4, 4), J=0.0, field=(0.0, 0.0, 1.0))
    planar = np.zeros((1, 4, 4, 3))
    planar[..., 0] = 1.0
    error = metrics.one_step_error(SuzukiTrotter2(system, 0.3), planar, planar)
    assert error == pytest.approx(2 * np.sin(0.15), rel=1e-12)


def test_failed_step_has_an_infinite_error():
    step = ImplicitMidpoint(SYSTEM, 0.1, max_iterations=1)
    up = np.zeros((1, 4, 4, 4, 3))
    up[..., 2] = 1.0
    samples = np.concatenate([up, random_spins(1)])
    with pytest.warns(RuntimeWarning, match="failed"):
        each = metrics.one_step_error(step, samples, per_sample=True)
    assert each[1] == np.inf


def test_unsuitable_references_are_refused():
    samples, step = random_spins(3), SuzukiTrotter2(SYSTEM, 0.1)
    with pytest.raises(ValueError, match=r"reference.dt=0.03 does not divide dt=0.1"):
        metrics.one_step_error(step, samples, BlanesMoan4(SYSTEM, 0.03))
    with pytest.raises(ValueError, match="does not divide"):
        metrics.one_step_error(step, samples, BlanesMoan4(SYSTEM, -0.01))
    with pytest.raises(ValueError, match=r"reference has shape \(2,"):
        metrics.one_step_error(step, samples, samples[:2])
    with pytest.raises(ValueError, match="NaN"):
        metrics.one_step_error(step, samples, np.full_like(samples, np.nan))


def test_other_systems_need_a_reference_of_their_own():
    with pytest.raises(TypeError, match="no converged reference is known"):
        metrics.reference_integrator(object(), 0.1)


# with damping, and with electrons -------------------------------------------------------


@pytest.mark.parametrize("kind", [SemiImplicitB, DampedMidpoint])
def test_the_error_of_a_damped_step_does_not_contain_the_damping(kind):
    samples = random_spins(4)
    errors = [metrics.one_step_error(kind(SYSTEM, dt, 0.5), samples) for dt in (0.02, 0.01)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.05)
    backwards = metrics.one_step_error(kind(SYSTEM, -0.01, 0.5), samples)
    assert backwards == pytest.approx(errors[1], rel=0.2)


@pytest.mark.parametrize("system", [SYSTEM, HeisenbergLattice((5, 3), J=-3.0, field=(0, 2.0, 0))])
def test_the_damped_reference_is_converged(system):
    samples = random_spins(4, system.lattice_shape)
    reference = metrics.reference_integrator(system, 0.1, damping=0.3)
    finer = reference.with_dt(reference.dt / 2)
    n = round(0.1 / reference.dt)
    difference = reference.step(samples, n) - finer.step(samples, 2 * n)
    assert np.sqrt((difference**2).sum(-1).mean()) < 1e-9
    other = DampedMidpoint(system, 1e-4, 0.3).step(samples, 1000)
    assert np.abs(other - reference.step(samples, n)).max() < 1e-6


def test_damping_is_found_in_whatever_wraps_the_step():
    samples = random_spins(4)
    base = SemiImplicitB(SYSTEM, 0.02, damping=0.5)
    bare = metrics.one_step_error(base, samples)
    corrected = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=3, alpha=1e6))
    corrected.fit(samples)  # so strongly regularised that it does nothing
    assert metrics.one_step_error(corrected, samples) == pytest.approx(bare, rel=1e-3)
    assert -corrected.score(samples) == pytest.approx(bare, rel=1e-3)
    inner = MultipleTimeStep(base, SYSTEM, n_inner=4)
    assert metrics.one_step_error(inner, samples) < 1e-3 * bare


def test_trajectories_of_damped_steps_are_compared_with_damped_ones():
    samples = random_spins(2)
    step = RungeKutta4(SYSTEM, 0.05, damping=0.5)
    assert metrics.make_scorer("threshold_time", t_max=3.0)(step, samples) == 3.0
    for name in ("neg_energy_drift", "neg_magnetization_drift"):
        with pytest.raises(ValueError, match=rf"{name}: with damping=0.5 the exact dynamics"):
            metrics.make_scorer(name, t_max=1.0)(step, samples)


def test_a_noisy_step_has_no_error():
    samples = random_spins(2)
    noisy = SemiImplicitB(SYSTEM, 0.1, damping=0.5, temperature=0.3)
    for score in (metrics.one_step_error, metrics.get_scorer("threshold_time")):
        with pytest.raises(ValueError, match=r"temperature=0.3: .* pass a reference"):
            score(noisy, samples)
    quiet = SemiImplicitB(SYSTEM, 0.01, damping=0.5)
    assert metrics.one_step_error(noisy, samples, quiet) > 0.01


@pytest.mark.filterwarnings("ignore:.*period of 12 sites")
class TestItinerantSpins:
    MODEL = TriangularSDModel((6, 6), solver=ExactDiagonalization())

    @pytest.mark.parametrize("dt", [1.0, pytest.param(8.0, marks=pytest.mark.slow)])
    def test_the_reference_is_converged(self, dt):
        samples = self.MODEL.random_states(2, 0)
        reference = metrics.reference_integrator(self.MODEL, dt, damping=0.05)
        n = round(dt / reference.dt)
        assert n >= dt
        expected = reference.step(samples, n)
        finer = reference.with_dt(reference.dt / 2).step(samples, 2 * n)
        step = SemiImplicitB(self.MODEL, dt, 0.05, drop_longitudinal=True)
        error = metrics.one_step_error(step, samples)
        assert np.sqrt(((finer - expected) ** 2).sum(-1).mean()) < 1e-4 * error
        assert error == pytest.approx(metrics.one_step_error(step, samples, finer), rel=1e-3)

    def test_a_learned_field_is_compared_with_the_exact_one(self):
        samples = self.MODEL.random_states(2, 0)
        network = EquivariantTorque(
            2, 2, 1, depth=0, first_reach=2, training=FieldTraining(epochs=1)
        )
        base = SemiImplicitB(self.MODEL, 1.0, 0.05)
        learned = CorrectedIntegrator(base, network, random_state=0).fit(samples, -samples[::-1])
        exact = RungeKutta4(self.MODEL, 0.25, 0.05).step(samples, 4)
        expected = metrics.one_step_error(learned, samples, exact)
        assert metrics.one_step_error(learned, samples) == pytest.approx(expected, rel=1e-6)
        in_its_own_field = metrics.one_step_error(
            SemiImplicitB(learned.simulated, 1.0, 0.05), samples
        )
        assert in_its_own_field != pytest.approx(expected, rel=0.5)


# temperatures --------------------------------------------------------------------------


def test_trajectories_split_by_temperature(trajectory):
    parts = metrics.by_temperature(trajectory)
    assert list(parts) == [0.4, 2.4]
    xr.testing.assert_identical(parts[2.4], trajectory.isel(sample=[2, 3]))
    assert list(metrics.by_temperature(trajectory.drop_vars("temperature"))) == [None]
    assert list(metrics.by_temperature(trajectory.assign_coords(temperature=1.44))) == [1.44]


def test_temperatures_that_alternate_are_split_too(trajectory):
    mixed = trajectory.isel(sample=[2, 0, 3, 1])
    cold = metrics.by_temperature(mixed)[0.4]
    xr.testing.assert_identical(cold, trajectory.isel(sample=[0, 1]))


def test_means_over_all_temperatures_are_not_split(trajectory):
    with pytest.raises(ValueError, match="split the trajectory"):
        metrics.by_temperature(metrics.energy_drift(trajectory))
