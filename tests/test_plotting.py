"""Pictures: what is drawn is what was measured."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from dlintegrate import (
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    LennardJones2D,
    SuzukiTrotter2,
    metrics,
    plotting,
)
from dlintegrate.integrators import VelocityVerlet

SYSTEM = HeisenbergLattice((4, 4))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def trajectories():
    spins = np.random.default_rng(0).normal(size=(6, 4, 4, 3))
    spins /= np.linalg.norm(spins, axis=-1, keepdims=True)
    samples = xr.DataArray(
        spins,
        dims=("sample", "x", "y", "component"),
        coords={"temperature": ("sample", [0.4, 2.4, 0.4, 2.4, 0.4, 2.4])},
    )
    return {
        dt: SuzukiTrotter2(SYSTEM, dt).simulate(samples, 8.0, save_every=round(0.2 / dt))
        for dt in (0.2, 0.1, 0.01)
    }


def test_correlation_curve_is_the_mean(trajectories):
    correlation = metrics.spin_correlation(trajectories[0.2], trajectories[0.01])
    ax = plotting.plot_correlation(correlation, threshold=0.99, label="ST2", color="C3")
    curve, line = ax.lines
    np.testing.assert_array_equal(curve.get_xdata(), correlation["time"])
    np.testing.assert_array_equal(curve.get_ydata(), correlation["mean"])
    assert (curve.get_label(), curve.get_color()) == ("ST2", "C3")
    assert line.get_ydata()[0] == 0.99
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() <= 1.0


def test_given_axes_are_used_and_returned(trajectories):
    _, ax = plt.subplots()
    n_figures = len(plt.get_fignums())
    correlation = metrics.spin_correlation(trajectories[0.2], trajectories[0.01])
    assert plotting.plot_correlation(correlation, ax) is ax
    assert plotting.plot_drift(metrics.energy_drift(trajectories[0.2]), ax) is ax
    assert plotting.plot_threshold_times({}, ax) is ax
    assert plotting.plot_history({"loss": [1.0]}, ax) is ax
    assert len(plt.get_fignums()) == n_figures


def test_drift_curves_are_mean_and_deviation_without_the_zero_at_the_start(trajectories):
    drift = metrics.magnetization_drift(trajectories[0.2])
    ax = plotting.plot_drift(drift)
    mean, std = ax.lines
    np.testing.assert_array_equal(mean.get_xdata(), drift["time"][1:])
    np.testing.assert_array_equal(mean.get_ydata(), drift["mean_absolute"][1:])
    np.testing.assert_array_equal(std.get_ydata(), drift["std"][1:])
    assert ax.get_yscale() == "log"
    (vector,) = plotting.plot_drift(drift, vector=True, log=False).lines
    np.testing.assert_array_equal(vector.get_ydata(), drift["mean_vector_drift"])


def test_exact_conservation_can_be_drawn_on_a_logarithmic_axis(trajectories):
    drift = metrics.energy_drift(trajectories[0.2])
    drift["mean_absolute"][:] = 0.0
    ax = plotting.plot_drift(drift, std=False)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), 1e-17)


def test_energy_has_no_vector_drift(trajectories):
    with pytest.raises(ValueError, match="vector=True"):
        plotting.plot_drift(metrics.energy_drift(trajectories[0.2]), vector=True)


def test_threshold_times_that_were_not_reached_are_open_with_an_arrow():
    reached = metrics.ThresholdTime(5.0, 0.2, True)
    bound = metrics.ThresholdTime(20.0, np.nan, False)
    ax = plotting.plot_threshold_times({"ST2": {2.4: reached, 0.4: bound}})
    curve = next(line for line in ax.lines if line.get_linestyle() == "-")
    np.testing.assert_array_equal(curve.get_xdata(), [0.4, 2.4])
    np.testing.assert_array_equal(curve.get_ydata(), [20.0, 5.0])
    open_markers = [line for line in ax.lines if line.get_markerfacecolor() == "white"]
    assert [list(line.get_xdata()) for line in open_markers] == [[0.4]]
    assert len(ax.texts) == 1 and ax.get_yscale() == "log"


def test_history_draws_losses_and_refuses_what_is_not_there():
    history = {"loss": [1.0, 0.5], "validation_loss": [1.1, 0.7], "learning_rate": [1e-3, 1e-3]}
    ax = plotting.plot_history(history)
    assert [line.get_label() for line in ax.lines] == ["loss", "validation_loss"]
    assert ax.get_yscale() == "log"
    assert plotting.plot_history({"loss": [1.0, -0.5]}).get_yscale() == "linear"
    with pytest.raises(ValueError, match="the history has"):
        plotting.plot_history(history, names=["accuracy"])
    with pytest.raises(ValueError, match="the history has"):
        plotting.plot_history({})


def test_history_is_taken_from_a_fitted_estimator():
    corrector = ElementaryDifferentialResidue()
    with pytest.raises(ValueError, match="ElementaryDifferentialResidue has no history_; fit it"):
        plotting.plot_history(corrector)
    corrector.history_ = {"loss": [3.0, 2.0]}
    np.testing.assert_array_equal(plotting.plot_history(corrector).lines[0].get_ydata(), [3, 2])


def test_energy_cannot_be_drawn_from_states_alone(trajectories):
    with pytest.raises(ValueError, match="no variable 'energy'"):
        plotting.plot_energy(trajectories[0.2].spin)


def test_comparison_has_a_column_per_temperature_and_its_own_means(trajectories, tmp_path):
    reference = trajectories[0.01]
    path = tmp_path / "comparison.png"
    figure = plotting.plot_comparison(
        {"dt = 0.2": trajectories[0.2], "dt = 0.1": trajectories[0.1]}, reference, path
    )
    assert path.stat().st_size > 10_000 and not plt.get_fignums()
    axes = np.array(figure.axes).reshape(3, 2)
    assert [ax.get_title() for ax in axes[0]] == ["$k_BT/J = 0.4$", "$k_BT/J = 2.4$"]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == ["dt = 0.2", "dt = 0.1"]
    cold = {dt: metrics.by_temperature(t)[0.4] for dt, t in trajectories.items()}
    expected = (
        metrics.spin_correlation(cold[0.2], cold[0.01])["mean"],
        metrics.energy_drift(cold[0.2])["mean_absolute"][1:],
        metrics.magnetization_drift(cold[0.2])["mean_absolute"][1:],
    )
    for ax, values in zip(axes[:, 0], expected, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), np.maximum(values, 1e-17))


def test_comparison_works_without_temperatures_and_with_many_integrators(trajectories):
    bare = {dt: t.drop_vars("temperature") for dt, t in trajectories.items()}
    many = {str(i): bare[0.1] for i in range(9)}
    figure = plotting.plot_comparison(many, bare[0.01], vector=True)
    assert len(figure.axes) == 3
    curves = [line for line in figure.axes[0].lines if not line.get_label().startswith("_")]
    looks = {(line.get_color(), line.get_linestyle()) for line in curves}
    assert len(curves) == len(looks) == 9


def test_comparison_of_nothing_is_refused(trajectories):
    with pytest.raises(ValueError, match="trajectories is empty"):
        plotting.plot_comparison({}, trajectories[0.01])
    with pytest.raises(ValueError, match="times of trajectory"):
        plotting.plot_comparison({"a": trajectories[0.1][{"time": slice(3)}]}, trajectories[0.01])


# particles -----------------------------------------------------------------------------

FLUID = LennardJones2D(16, 0.2)


@pytest.fixture(scope="module")
def fluid():
    """Trajectories of a fluid at two labelled temperatures, by time step."""
    states = FLUID.random_states(6, 0)
    samples = xr.DataArray(
        states,
        dims=("sample", *FLUID.state_dims),
        coords={
            "box_length": ("sample", np.full(6, FLUID.box_length)),
            "temperature": ("sample", [0.3, 0.7, 0.3, 0.7, 0.3, 0.7]),
        },
    )
    return {
        dt: VelocityVerlet(FLUID, dt).simulate(samples, 4.0, save_every=round(0.2 / dt))
        for dt in (0.02, 0.01, 0.0025)
    }


def circles(ax):
    (collection,) = ax.collections
    return collection


def test_particles_are_drawn_in_their_box_and_again_where_they_cross_its_edge():
    q = np.array([[2.0, 3.0], [0.2, 5.0], [-0.1, 9.9], [25.0, 5.0]])  # unwrapped
    states = xr.DataArray(
        np.stack([q, 0 * q])[None],
        dims=("sample", *FLUID.state_dims),
        coords={"box_length": ("sample", [10.0])},
    )
    ax = plotting.plot_particles(states, values=[0, 1, 2, 3])
    collection = circles(ax)
    drawn = {tuple(np.round(xy, 9)) for xy in collection.get_offsets()}
    corner = {(9.9, 9.9), (-0.1, 9.9), (9.9, -0.1), (-0.1, -0.1)}
    assert drawn == {(2.0, 3.0), (0.2, 5.0), (10.2, 5.0), (5.0, 5.0)} | corner
    assert sorted(collection.get_array()) == [0, 1, 1, 2, 2, 2, 2, 3]
    assert (ax.get_xlim(), ax.get_ylim(), ax.get_aspect()) == ((0, 10), (0, 10), 1.0)
    ax.figure.canvas.draw()


def test_a_circle_is_as_wide_as_sigma_on_paper():
    q = np.array([[5.0, 5.0]])
    states = xr.DataArray(
        np.stack([q, 0 * q])[None],
        dims=("sample", *FLUID.state_dims),
        coords={"box_length": ("sample", [10.0])},
    )
    ax = plotting.plot_particles(states, diameter=2.0, linewidths=0, facecolors="k")
    ax.set_axis_off()
    ax.figure.canvas.draw()
    inside = np.asarray(ax.figure.canvas.buffer_rgba())[..., 0] < 128
    scale = abs(np.diff(ax.transData.transform([(0, 0), (1, 0)])[:, 0])[0])
    assert inside.sum() == pytest.approx(np.pi * scale**2, rel=0.02)


def test_snapshots_of_trajectories_need_a_time(fluid):
    with pytest.raises(ValueError, match=r"21 frames; choose one: states.isel\(time=-1\)"):
        plotting.plot_particles(fluid[0.01])
    ax = plotting.plot_particles(fluid[0.01].isel(time=-1), sample=2)
    assert len(circles(ax).get_offsets()) >= 16
    with pytest.raises(ValueError, match="no coordinate 'box_length'"):
        plotting.plot_particles(fluid[0.01].isel(time=-1).drop_vars("box_length"))


def test_animation_shows_each_frame_and_tells_of_a_failure(fluid, tmp_path):
    trajectory = fluid[0.01].isel(time=slice(0, 5)).copy(deep=True)
    trajectory["status"][1], trajectory["failure_time"][1] = 2, 0.5
    animation = plotting.animate_particles(trajectory, sample=1, every=2)
    ax = animation._fig.axes[0]
    animation.save(tmp_path / "fluid.gif", writer="pillow", dpi=30)
    assert (tmp_path / "fluid.gif").stat().st_size > 1000
    assert ax.get_title() == "$t = 0.8$ (failed)"
    last = FLUID.box_length * np.floor(trajectory["phase_space"][1, 4, 0] / FLUID.box_length)
    wrapped = (trajectory["phase_space"][1, 4, 0] - last).values
    offsets = circles(ax).get_offsets()
    distance = np.abs(wrapped[:, None] - offsets).max(axis=-1)
    np.testing.assert_allclose(distance.min(axis=1), 0, atol=1e-12)
    animation._func(1)
    assert ax.get_title() == "$t = 0.4$"


def test_curves_of_particles_are_what_was_measured(fluid):
    run, exact = fluid[0.02], fluid[0.0025]
    count = metrics.unstable_count(run, FLUID, q_threshold=0.99, per_particle=False)
    assert count["count"][-1] > 0
    ax = plotting.plot_unstable_count(count, label="a")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), count["count"])
    assert ax.get_ylim()[1] > count["count"][-1] and "of 6" in ax.get_ylabel()
    distance = metrics.phase_space_distance(run, exact)
    for name in ("mean", "median"):
        ax = plotting.plot_distance(distance, median=name == "median")
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), distance[name][1:])
        assert ax.get_yscale() == "log" and name in ax.get_ylabel()
    drift = metrics.energy_drift(run)
    ax = plotting.plot_drift(drift, signed=True)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), drift["mean"])
    assert ax.get_yscale() == "linear" and "sigma" in ax.get_xlabel()
    ax = plotting.plot_drift(metrics.momentum_drift(run))
    assert "momentum" in ax.get_ylabel()
    with pytest.raises(ValueError, match="no vector drift"):
        plotting.plot_drift(drift, vector=True)


def test_structure_and_transport_have_error_bands(fluid):
    g = metrics.radial_distribution(fluid[0.01], 20)
    ax = plotting.plot_radial_distribution(g, color="C1")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), g["g"])
    taller = g.assign(g=3 * g["g"])
    plotting.plot_radial_distribution(taller, ax)
    assert ax.get_ylim()[1] > taller["g"].max()  # the limits follow the second curve
    msd = metrics.mean_square_displacement(fluid[0.01])
    ax = plotting.plot_mean_square_displacement(msd)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), msd["mean"][1:])
    assert ax.get_xscale() == ax.get_yscale() == "log"
    vacf = metrics.velocity_autocorrelation(fluid[0.01])
    ax = plotting.plot_velocity_autocorrelation(vacf, band=False)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), vacf["mean"])
    assert not ax.collections
    equal = metrics.equipartition(fluid[0.01])
    ax = plotting.plot_equipartition(equal)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), equal["by_neighbours"])


def test_heat_capacities_and_histograms_have_a_curve_per_density():
    result = xr.Dataset(
        {
            "heat_capacity": (("density", "temperature"), [[1.0, 2.0], [3.0, 4.0]]),
            "heat_capacity_error": (("density", "temperature"), np.full((2, 2), 0.1)),
            "energy": (("density", "bin"), [[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]]),
            "energy_center": ("bin", [-1.0, 0.0, 1.0], {"long_name": "energy per particle"}),
        },
        {"density": [0.1, 0.38], "temperature": [0.3, 0.7]},
    )
    ax = plotting.plot_heat_capacity(result)
    assert [t.get_text() for t in ax.get_legend().get_texts()] == [
        r"$\rho = 0.1$", r"$\rho = 0.38$",
    ]  # fmt: skip
    ax = plotting.plot_heat_capacity(result.isel(density=0))
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [1, 2])
    ax = plotting.plot_histogram(result, "energy")
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), [0, 0.25, 0.75])
    assert ax.get_xlabel() == "energy per particle"
    with pytest.raises(ValueError, match=r"quantity='mass': the result has \['energy'\]"):
        plotting.plot_histogram(result, "mass")
    for name in ("kinetic_energy", "potential_energy", "momentum"):
        result[name], result[f"{name}_center"] = result["energy"], result["energy_center"]
    figure = plotting.plot_histograms(result)
    assert len(figure.axes) == 4 and len(figure.legends[0].get_texts()) == 2


def test_comparison_of_particles_shows_distance_energy_and_instability(fluid, tmp_path):
    runs = {"0.02": fluid[0.02], "0.01": fluid[0.01]}
    path = tmp_path / "comparison.png"
    figure = plotting.plot_comparison(runs, fluid[0.0025], path, system=FLUID)
    axes = np.array(figure.axes).reshape(3, 2)
    assert path.stat().st_size > 10_000
    assert [ax.get_title() for ax in axes[0]] == [
        r"$k_BT/\epsilon = 0.3$", r"$k_BT/\epsilon = 0.7$",
    ]  # fmt: skip
    cold, exact = (metrics.by_temperature(fluid[dt])[0.3] for dt in (0.02, 0.0025))
    expected = (
        metrics.phase_space_distance(cold, exact)["mean"][1:],
        metrics.energy_drift(cold)["mean_absolute"][1:],
        metrics.unstable_count(cold, FLUID)["count"],
    )
    for ax, values in zip(axes[:, 0], expected, strict=True):
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), values)
    assert len(plotting.plot_comparison(runs, fluid[0.0025]).axes) == 4
