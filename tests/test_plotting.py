"""Pictures: what is drawn is what was measured."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from dlintegrate import HeisenbergLattice, SuzukiTrotter2, metrics, plotting

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
