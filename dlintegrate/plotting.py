"""Pictures of what :mod:`dlintegrate.metrics` measures.

Each function takes data and an Axes and returns the Axes; without one it makes a
figure. Only :func:`plot_comparison` composes a whole figure.
"""

import math

import numpy as np

from ._active_plots import plot_calibration, plot_exploration, plot_rounds
from ._animations import animate, save_animation
from ._atom_plots import plot_atoms
from ._particle_plots import (
    animate_particles,
    plot_distance,
    plot_equipartition,
    plot_heat_capacity,
    plot_histogram,
    plot_histograms,
    plot_mean_square_displacement,
    plot_particles,
    plot_radial_distribution,
    plot_unstable_count,
    plot_velocity_autocorrelation,
)
from ._plot_style import axes_or_new, line, style, temperature_title, time_label
from ._spin_plots import plot_spins_3d
from ._texture_plots import (
    plot_receptive_field,
    plot_structure_factor,
    plot_texture,
    plot_topological_density,
)
from .metrics import (
    energy_drift,
    magnetization_drift,
    phase_space_distance,
    spin_correlation,
    threshold_time,
    unstable_count,
)
from .metrics._trajectories import (
    kind_of,
    lost_frames,
    n_sites,
    states_of,
    temperature_indexers,
    times_of,
)

__all__ = [
    "animate",
    "animate_particles",
    "plot_atoms",
    "plot_calibration",
    "plot_comparison",
    "plot_correlation",
    "plot_distance",
    "plot_drift",
    "plot_energy",
    "plot_equipartition",
    "plot_exploration",
    "plot_heat_capacity",
    "plot_histogram",
    "plot_histograms",
    "plot_history",
    "plot_mean_square_displacement",
    "plot_particles",
    "plot_radial_distribution",
    "plot_receptive_field",
    "plot_rounds",
    "plot_spins_3d",
    "plot_structure_factor",
    "plot_texture",
    "plot_threshold_times",
    "plot_topological_density",
    "plot_unstable_count",
    "plot_velocity_autocorrelation",
    "save_animation",
]

#: A drift of exactly zero is drawn here on logarithmic axes.
SMALLEST_DRIFT = 1e-17
#: Drifts per site below this are rounding.
ROUNDING_LEVEL = 1e-13

#: Quantity to its symbol and name.
_QUANTITIES = {
    "energy": ("e", "energy"),
    "magnetization": ("m", "magnetisation"),
    "momentum": (r"\mathbf{p}", "momentum"),
}

#: Label of the energy axis by kind of state.
_ENERGY_LABELS = {
    "spin": "energy per site $e$",
    "phase_space": "energy per particle $e$",
    "atoms": "energy per atom (eV)",
}


def plot_correlation(correlation, ax=None, *, threshold=None, band=True, **line):
    """Mean correlation with the reference against time (Park 2022, Fig. 4.6).

    Parameters
    ----------
    correlation : xarray.Dataset
        What :func:`~dlintegrate.metrics.spin_correlation` returned.
    ax : matplotlib.axes.Axes, optional
    threshold : float, optional
        Draw a line there.
    band : bool, default True
        Shade one standard deviation over samples on either side, up to 1.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    t, mean, std = (correlation[name].values for name in ("time", "mean", "std"))
    (curve,) = ax.plot(t, mean, **line)
    if band:
        ax.fill_between(
            t, mean - std, np.minimum(mean + std, 1.0),
            color=curve.get_color(), alpha=0.12, linewidth=0,
        )  # fmt: skip
    if threshold is not None:
        ax.axhline(threshold, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    ax.set_xlabel(time_label("spin"))
    ax.set_ylabel(r"correlation $\langle\xi(t)\rangle$")
    return ax


def plot_energy(trajectory, ax=None, **line_options):
    """Energy per site, particle or atom against time: a line per sample, coloured by temperature.

    Parameters
    ----------
    trajectory : xarray.Dataset
        What ``simulate`` returned. The line of a sample that failed ends there.
    ax : matplotlib.axes.Axes, optional
    **line_options
        For ``Axes.plot``: ``color``, ``linewidth``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the trajectory records no energy.
    """
    states = states_of(trajectory)
    if not hasattr(trajectory, "data_vars") or "energy" not in trajectory:
        raise ValueError(
            "the trajectory has no variable 'energy'; pass what simulate() returned, or draw "
            "plot_drift(energy_drift(trajectory, system))"
        )
    energy = trajectory["energy"].transpose("sample", "time").values / n_sites(states)
    energy = np.where(lost_frames(trajectory), np.nan, energy)
    kind, times = kind_of(states), times_of(states)
    ax = axes_or_new(ax)
    for index, (temperature, samples) in enumerate(temperature_indexers(trajectory).items()):
        look = {**line(style(index)), "linewidth": 1.0, "alpha": 0.8, **line_options}
        curves = ax.plot(times, energy[samples].T, **look)
        curves[0].set_label(temperature_title(temperature, kind) or "_")
    ax.set_xlabel(time_label(kind))
    ax.set_ylabel(_ENERGY_LABELS[kind])
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False)
    return ax


def plot_drift(drift, ax=None, *, vector=False, std=True, log=True, signed=False, **line):
    """Drift of a conserved quantity against time (Park 2022, Figs 4.8, 4.9 and 5.10).

    Parameters
    ----------
    drift : xarray.Dataset
        What :func:`~dlintegrate.metrics.energy_drift`,
        :func:`~dlintegrate.metrics.magnetization_drift` or
        :func:`~dlintegrate.metrics.momentum_drift` returned.
    ax : matplotlib.axes.Axes, optional
    vector : bool, default False
        Draw the mean length of the vector drift of the magnetisation instead.
    std : bool, default True
        Draw the standard deviation over samples too, thin; as a band if ``signed``.
    log : bool, default True
        Logarithmic: what is kept to rounding and what is not differ by many
        decades. An exact zero is drawn at 1e-17.
    signed : bool, default False
        Draw the mean of the drift itself instead of its absolute value, on a linear
        axis: heating and cooling differ.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If ``vector`` is asked of anything but a magnetisation, or both of it and ``signed``.
    """
    symbol, name = _QUANTITIES[drift.attrs["quantity"]]
    if vector and "mean_vector_drift" not in drift:
        raise ValueError(f"vector=True: the drift of the {name} has no vector drift")
    if vector and signed:
        raise ValueError("vector=True, signed=True: a length has no sign; choose one")
    ax = axes_or_new(ax)
    difference = rf"{symbol}(t)-{symbol}(0)"
    if signed:
        _signed_curve(drift, ax, std, line)
        shown = rf"\langle {difference}\rangle"
    else:
        mean = drift["mean_vector_drift" if vector else "mean_absolute"]
        _absolute_curve(drift, mean, ax, std and not vector, log, line)
        difference = r"\mathbf{m}(t)-\mathbf{m}(0)" if vector else difference
        shown = rf"\langle|{difference}|\rangle"
    ax.set_xlabel(time_label(drift.attrs.get("states", "spin")))
    ax.set_ylabel(f"{name} drift ${shown}$")
    return ax


def _absolute_curve(drift, mean, ax, std, log, line):
    # frame 0 is zero by definition, which a logarithmic axis cannot show
    first = 1 if log else 0
    floor = SMALLEST_DRIFT if log else -np.inf
    t = drift["time"].values[first:]
    (curve,) = ax.plot(t, np.maximum(mean.values[first:], floor), **line)
    if std:
        deviation = np.maximum(drift["std"].values[first:], floor)
        ax.plot(t, deviation, color=curve.get_color(), linewidth=0.8, alpha=0.5)
    if log:
        ax.set_yscale("log")


def _signed_curve(drift, ax, std, line):
    t, mean, deviation = (drift[name].values for name in ("time", "mean", "std"))
    (curve,) = ax.plot(t, mean, **line)
    if std:
        ax.fill_between(
            t, mean - deviation, mean + deviation,
            color=curve.get_color(), alpha=0.12, linewidth=0,
        )  # fmt: skip


def plot_threshold_times(times, ax=None):
    """Threshold times against temperature, logarithmic (Park 2022, Fig. 4.7).

    Parameters
    ----------
    times : dict of str to dict of float to ThresholdTime
        Label to temperature to the result of
        :func:`~dlintegrate.metrics.threshold_time`. One that was not reached is
        a lower bound: an open marker with an arrow.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    for index, (label, by_t) in enumerate(times.items()):
        look = style(index)
        temperatures = sorted(by_t)
        found = [by_t[t] for t in temperatures]
        values = np.array([abs(f.time) for f in found])
        error = np.nan_to_num([f.error for f in found])
        ax.errorbar(
            temperatures, values, yerr=error, label=label, markersize=6, capsize=2.5,
            linewidth=1.0, color=look["color"], linestyle=look["linestyle"],
            marker=look["marker"],
        )  # fmt: skip
        for temperature, value, result in zip(temperatures, values, found, strict=True):
            if not result.reached:
                ax.plot(
                    temperature, value, look["marker"], color=look["color"],
                    markerfacecolor="white", markersize=6, zorder=3,
                )  # fmt: skip
                ax.annotate(
                    "", (temperature, value * 1.25), (temperature, value),
                    arrowprops={"arrowstyle": "->", "color": look["color"]},
                )  # fmt: skip
    _plain_log(ax)
    ax.set_xlabel(r"temperature $k_BT/J$")
    ax.set_ylabel(r"threshold time $t_{\mathrm{thres}}$ (1/J)")
    ax.margins(y=0.15)
    return ax


def _plain_log(ax):
    """A logarithmic axis with 1, 2, 5, 10, 20, ... written out: times span a decade or two."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())


def plot_history(history, ax=None, *, names=None):
    """Training curves, logarithmic if all values are positive.

    Parameters
    ----------
    history : estimator, or dict of str to sequence of float
        A fitted corrector or CorrectedIntegrator, or its ``history_``.
    ax : matplotlib.axes.Axes, optional
    names : sequence of str, optional
        What to draw; by default all entries whose name contains ``loss`` or ``error``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is nothing to draw, or the estimator has not been fitted.
    """
    if hasattr(history, "get_params"):
        history = _history_of(history)
    if names is None:
        names = [name for name in history if "loss" in name or "error" in name]
    unknown = [name for name in names if name not in history]
    if unknown or not names:
        raise ValueError(f"names={list(names)!r}: the history has {sorted(history)}")
    ax = axes_or_new(ax)
    drawn = []
    for index, name in enumerate(names):
        values = np.asarray(history[name], dtype=float)
        marker = {"marker": "o", "markersize": 4} if values.size == 1 else {}
        ax.plot(np.arange(1, values.size + 1), values, label=name, **line(style(index)), **marker)
        drawn.append(values)
    finite = np.concatenate(drawn)
    if (finite[np.isfinite(finite)] > 0).all():
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel(names[0] if len(names) == 1 else "loss")
    if len(names) > 1:
        ax.legend(frameon=False)
    return ax


def _history_of(estimator):
    if not hasattr(estimator, "history_"):
        raise ValueError(
            f"{type(estimator).__name__} has no history_; fit it first (some have nothing to train)"
        )
    return estimator.history_


def plot_comparison(
    trajectories, reference, path=None, *, threshold=0.99, vector=False, system=None
):
    """What several integrators keep, and how long they follow the reference.

    One column per temperature, means over samples against time. Rows, for spins (in the
    manner of Figs 4.6, 4.8, 4.9): correlation with the reference, drift of the energy,
    drift of the magnetisation; for particles (Figs 5.8 to 5.10): distance from the
    reference, drift of the energy and, with ``system``, the number of unstable samples.

    Parameters
    ----------
    trajectories : dict of str to xarray.Dataset, or to a sequence of them
        Label to what ``simulate`` returned, from the same initial states and
        saved at the times of ``reference``. The ``temperature(sample)`` of the
        initial states makes the columns. Several Datasets (of other lengths in
        time, say) stand side by side.
    reference : xarray.Dataset or sequence of them
        The reference trajectories.
    path : str or path-like, optional
        Save the figure there, at 200 dots per inch.
    threshold : float, default 0.99
        For spins, marked in the correlation; the time at which each mean crosses it is a
        tick on that line.
    vector : bool, default False
        For spins: vector drift of the magnetisation instead of that of its magnitude.
    system : LennardJones2D, optional
        For particles: whose forces tell which samples are unstable.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there is no trajectory, or times or samples differ.
    """
    from matplotlib.figure import Figure

    if not trajectories:
        raise ValueError("trajectories is empty; expected a dict of label to trajectory")
    trajectories = {label: _sequence(value) for label, value in trajectories.items()}
    references = _sequence(reference)
    kind = kind_of(states_of(references[0], "reference"))
    rows = _spin_rows(threshold, vector) if kind == "spin" else _particle_rows(system)
    columns = [
        (temperature, part, samples)
        for part, expected in enumerate(references)
        for temperature, samples in temperature_indexers(expected).items()
    ]
    # a Figure of its own, not pyplot's: no window, no global state
    figure = Figure(figsize=(1.3 + 3.3 * len(columns), 0.5 + 2.6 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), sharex="col", sharey="row", squeeze=False)
    for index, (label, parts) in enumerate(trajectories.items()):
        look = {"label": label, **line(style(index))}
        for column, (_, k, samples) in zip(axes.T, columns, strict=True):
            part, expected = parts[k].isel(sample=samples), references[k].isel(sample=samples)
            for draw, ax in zip(rows, column, strict=True):
                draw(part, expected, ax, look)
    _finish(figure, axes, [temperature_title(temperature, kind) for temperature, _, _ in columns])
    if kind == "spin":
        _finish_spins(axes, threshold)
    else:
        _show_rounding(axes[1])
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure


def _spin_rows(threshold, vector):
    """Functions ``draw(trajectory, reference, ax, line)``, one per row."""

    def correlation(part, expected, ax, line):
        found = spin_correlation(part, expected)
        plot_correlation(found, ax, **line)
        _mark_threshold(ax, found, threshold, line["color"])

    def magnetization(part, expected, ax, line):
        plot_drift(magnetization_drift(part), ax, vector=vector, std=False, **line)

    return correlation, _energy_row, magnetization


def _particle_rows(system):
    """As ``_spin_rows``."""

    def distance(part, expected, ax, line):
        plot_distance(phase_space_distance(part, expected), ax, **line)

    def unstable(part, expected, ax, line):
        plot_unstable_count(unstable_count(part, system), ax, **line)

    return (distance, _energy_row) if system is None else (distance, _energy_row, unstable)


def _energy_row(part, expected, ax, line):
    plot_drift(energy_drift(part), ax, std=False, **line)


def _sequence(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def _mark_threshold(ax, correlation, threshold, color):
    found = threshold_time(correlation, threshold=threshold, n_bootstrap=0)
    if found.reached:
        ax.plot(found.time, threshold, "|", color=color, markersize=9, zorder=4)


def _finish_spins(axes, threshold):
    for ax in axes[0]:
        ax.axhline(threshold, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    for row in axes[1:]:
        _show_rounding(row)


def _finish(figure, axes, titles):
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=11)
    for ax in axes[:-1].flat:
        ax.set_xlabel("")
    for ax in axes[:, 1:].flat:
        ax.set_ylabel("")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    rows = math.ceil(len(labels) / 4)
    ncols = math.ceil(len(labels) / rows)
    figure.legend(handles, labels, loc="outside upper center", ncols=ncols, frameon=False)


def _show_rounding(row):
    """Shade what is rounding, with room above it: noise must not fill a panel."""
    low, high = row[0].get_ylim()
    if low > ROUNDING_LEVEL:
        return
    row[0].set_ylim(min(low, 1e-17), max(high, 1e-11))  # the row shares its axis
    for ax in row:
        ax.axhspan(1e-30, ROUNDING_LEVEL, color="0.95", linewidth=0, zorder=0)
    row[0].annotate(
        "rounding", (0.02, ROUNDING_LEVEL), (0, -3), xycoords=row[0].get_yaxis_transform(),
        textcoords="offset points", va="top", fontsize=8, color="0.4",
    )  # fmt: skip
