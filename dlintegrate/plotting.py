"""Pictures of what :mod:`dlintegrate.metrics` measures.

Each function takes data and an Axes and returns the Axes; without one it makes a
figure. Only :func:`plot_comparison` composes a whole figure.
"""

import math

import numpy as np

from .metrics import energy_drift, magnetization_drift, spin_correlation, threshold_time
from .metrics._trajectories import temperature_indexers

#: Okabe and Ito's palette, which all common forms of colour vision tell apart,
#: in an order that keeps neighbours apart in lightness too; yellow is left out.
COLORS = ("#000000", "#E69F00", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_STYLES = ("-", "--", "-.", ":")
_MARKERS = "^osvDpX"
#: A drift of exactly zero is drawn here on logarithmic axes.
SMALLEST_DRIFT = 1e-17
#: Drifts per site below this are rounding.
ROUNDING_LEVEL = 1e-13

_QUANTITIES = {"energy": ("e", "energy"), "magnetization": ("m", "magnetisation")}


def _axes(ax):
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(5.0, 3.6), layout="constrained")
    ax.grid(True, color="0.9", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _style(index):
    """Colour, line and marker of the index-th curve; lines change once colours repeat."""
    turn, color = divmod(index, len(COLORS))
    return {
        "color": COLORS[color],
        "linestyle": _STYLES[turn % len(_STYLES)],
        "marker": _MARKERS[color],
    }


def _line(style, **overrides):
    return {k: v for k, v in style.items() if k != "marker"} | {"linewidth": 1.6} | overrides


def _temperature_title(temperature):
    return "" if temperature is None else f"$k_BT/J = {temperature:.4g}$"


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
    ax = _axes(ax)
    t, mean, std = (correlation[name].values for name in ("time", "mean", "std"))
    (curve,) = ax.plot(t, mean, **line)
    if band:
        ax.fill_between(
            t, mean - std, np.minimum(mean + std, 1.0),
            color=curve.get_color(), alpha=0.12, linewidth=0,
        )  # fmt: skip
    if threshold is not None:
        ax.axhline(threshold, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    ax.set_xlabel("time (1/J)")
    ax.set_ylabel(r"correlation $\langle\xi(t)\rangle$")
    return ax


def plot_drift(drift, ax=None, *, vector=False, std=True, log=True, **line):
    """Drift of energy or magnetisation against time (Park 2022, Figs 4.8 and 4.9).

    Parameters
    ----------
    drift : xarray.Dataset
        What :func:`~dlintegrate.metrics.energy_drift` or
        :func:`~dlintegrate.metrics.magnetization_drift` returned.
    ax : matplotlib.axes.Axes, optional
    vector : bool, default False
        Draw the mean length of the vector drift of the magnetisation instead.
    std : bool, default True
        Draw the standard deviation over samples too, thin.
    log : bool, default True
        Logarithmic: what is kept to rounding and what is not differ by many
        decades. An exact zero is drawn at 1e-17.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If ``vector`` is asked of an energy.
    """
    symbol, name = _QUANTITIES[drift.attrs["quantity"]]
    if vector and "mean_vector_drift" not in drift:
        raise ValueError(f"vector=True: the drift of the {name} has no direction")
    ax = _axes(ax)
    mean = drift["mean_vector_drift" if vector else "mean_absolute"].values
    # frame 0 is zero by definition, which a logarithmic axis cannot show
    first = 1 if log else 0
    floor = SMALLEST_DRIFT if log else -np.inf
    t = drift["time"].values[first:]
    (curve,) = ax.plot(t, np.maximum(mean[first:], floor), **line)
    if std and not vector:
        deviation = np.maximum(drift["std"].values[first:], floor)
        ax.plot(t, deviation, color=curve.get_color(), linewidth=0.8, alpha=0.5)
    if log:
        ax.set_yscale("log")
    ax.set_xlabel("time (1/J)")
    shown = r"\mathbf{m}(t)-\mathbf{m}(0)" if vector else rf"{symbol}(t)-{symbol}(0)"
    ax.set_ylabel(rf"{name} drift $\langle|{shown}|\rangle$")
    return ax


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
    ax = _axes(ax)
    for index, (label, by_t) in enumerate(times.items()):
        style = _style(index)
        temperatures = sorted(by_t)
        found = [by_t[t] for t in temperatures]
        values = np.array([abs(f.time) for f in found])
        error = np.nan_to_num([f.error for f in found])
        ax.errorbar(
            temperatures, values, yerr=error, label=label, markersize=6, capsize=2.5,
            linewidth=1.0, color=style["color"], linestyle=style["linestyle"],
            marker=style["marker"],
        )  # fmt: skip
        for temperature, value, result in zip(temperatures, values, found, strict=True):
            if not result.reached:
                ax.plot(
                    temperature, value, style["marker"], color=style["color"],
                    markerfacecolor="white", markersize=6, zorder=3,
                )  # fmt: skip
                ax.annotate(
                    "", (temperature, value * 1.25), (temperature, value),
                    arrowprops={"arrowstyle": "->", "color": style["color"]},
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
    history : dict of str to sequence of float
        ``history_`` of a fitted corrector or CorrectedIntegrator.
    ax : matplotlib.axes.Axes, optional
    names : sequence of str, optional
        What to draw; by default all entries whose name contains ``loss`` or ``error``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is nothing to draw.
    """
    if names is None:
        names = [name for name in history if "loss" in name or "error" in name]
    unknown = [name for name in names if name not in history]
    if unknown or not names:
        raise ValueError(f"names={list(names)!r}: the history has {sorted(history)}")
    ax = _axes(ax)
    drawn = []
    for index, name in enumerate(names):
        values = np.asarray(history[name], dtype=float)
        marker = {"marker": "o", "markersize": 4} if values.size == 1 else {}
        ax.plot(np.arange(1, values.size + 1), values, label=name, **_line(_style(index)), **marker)
        drawn.append(values)
    finite = np.concatenate(drawn)
    if (finite[np.isfinite(finite)] > 0).all():
        ax.set_yscale("log")
    ax.set_xlabel("epoch")
    ax.set_ylabel(names[0] if len(names) == 1 else "loss")
    if len(names) > 1:
        ax.legend(frameon=False)
    return ax


def plot_comparison(trajectories, reference, path=None, *, threshold=0.99, vector=False):
    """Correlation and drifts of several integrators (in the manner of Figs 4.6, 4.8, 4.9).

    One column per temperature; rows: correlation with the reference, drift of
    the energy, drift of the magnetisation, means over samples against time.

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
        Marked in the correlation; the time at which each mean crosses it is a
        tick on that line.
    vector : bool, default False
        Vector drift of the magnetisation instead of that of its magnitude.

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
    columns = [
        (temperature, part, samples)
        for part, expected in enumerate(references)
        for temperature, samples in temperature_indexers(expected).items()
    ]
    # a Figure of its own, not pyplot's: no window, no global state
    figure = Figure(figsize=(1.3 + 3.3 * len(columns), 8.2), layout="constrained")
    axes = figure.subplots(3, len(columns), sharex="col", sharey="row", squeeze=False)
    for index, (label, parts) in enumerate(trajectories.items()):
        line = {"label": label, **_line(_style(index))}
        for column, (_, k, samples) in zip(axes.T, columns, strict=True):
            part, expected = parts[k].isel(sample=samples), references[k].isel(sample=samples)
            correlation = spin_correlation(part, expected)
            plot_correlation(correlation, column[0], **line)
            _mark_threshold(column[0], correlation, threshold, line["color"])
            plot_drift(energy_drift(part), column[1], std=False, **line)
            plot_drift(magnetization_drift(part), column[2], vector=vector, std=False, **line)
    _finish(figure, axes, [temperature for temperature, _, _ in columns], threshold)
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure


def _sequence(value):
    return list(value) if isinstance(value, list | tuple) else [value]


def _mark_threshold(ax, correlation, threshold, color):
    found = threshold_time(correlation, threshold=threshold, n_bootstrap=0)
    if found.reached:
        ax.plot(found.time, threshold, "|", color=color, markersize=9, zorder=4)


def _finish(figure, axes, temperatures, threshold):
    for ax, temperature in zip(axes[0], temperatures, strict=True):
        ax.set_title(_temperature_title(temperature), fontsize=11)
        ax.axhline(threshold, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    for row in axes[1:]:
        _show_rounding(row)
    for ax in axes[:2].flat:
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
