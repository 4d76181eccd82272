"""Pictures of active learning; public through :mod:`dlintegrate.plotting`."""

import numpy as np

from ._plot_style import axes_or_new, line, style

#: Relative errors in a record, their labels and curves.
_ERRORS = {
    "force_relative_error": ("force", 2),
    "magnetic_force_relative_error": ("magnetic force", 3),
}
#: What becomes of explored frames, and colours: the surer, the lighter.
_SHARES = {
    "n_accurate": ("accurate", "#BFE3F7"),
    "n_candidates": ("worth a label", "#0072B2"),
    "n_beyond": ("beyond trust", "#D55E00"),
}
_QUANTITIES = {"force": "eV/Å", "magnetic_force": r"eV/$\mu_B$"}


def plot_rounds(rounds, ax=None, *, tolerance=None, label=None, **curve):
    """Errors on held-out frames against the number of labels, round by round.

    Parameters
    ----------
    rounds : list of dict
        ``rounds_`` of an :class:`~dlintegrate.ActiveLearner`.
    ax : matplotlib.axes.Axes, optional
    tolerance : float, optional
        Draw a line there.
    label : str, optional
        Put before "force" and "magnetic force" in the legend, to tell runs apart.
    **curve
        For ``Axes.plot``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If no record holds an error: nothing was held out.
    """
    ax = axes_or_new(ax)
    if not any(name in record for record in rounds for name in _ERRORS):
        raise ValueError("rounds hold no errors: give the learner validation frames, or a share")
    for name, (quantity, index) in _ERRORS.items():
        known = [r for r in rounds if name in r]
        look = line(style(index)) | {"marker": style(index)["marker"], "markersize": 4}
        title = quantity if label is None else f"{label}: {quantity}"
        n_labels, errors = ([r[key] for r in known] for key in ("n_labels", name))
        ax.plot(n_labels, errors, **look | {"label": title} | curve)
    if tolerance is not None:
        ax.axhline(tolerance, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    ax.set_yscale("log")
    ax.set_xlabel("labels beyond the initial frames")
    ax.set_ylabel("rms error / rms label")
    ax.legend(frameon=False)
    return ax


def plot_exploration(rounds, ax=None, **bars):
    """What the ensemble thinks of the frames it explores: a stack of shares for each round.

    Parameters
    ----------
    rounds : list of dict
        ``rounds_`` of an :class:`~dlintegrate.ActiveLearner`.
    ax : matplotlib.axes.Axes, optional
    **bars
        For ``Axes.bar``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If no round has explored anything.
    """
    explored = [r for r in rounds if r.get("n_explored")]
    if not explored:
        raise ValueError("rounds hold no explored frames: the learner stopped before")
    ax = axes_or_new(ax)
    number = [r["round"] for r in explored]
    bottom = np.zeros(len(explored))
    for name, (label, color) in _SHARES.items():
        share = np.array([r[name] / r["n_explored"] for r in explored])
        look = {"color": color, "width": 0.8, "label": label} | bars
        ax.bar(number, share, bottom=bottom, **look)
        bottom += share
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel("round")
    ax.set_ylabel("share of explored frames")
    ax.set_ylim(0, 1)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.15), ncols=3)
    return ax


def plot_calibration(prediction, frames, ax=None, *, quantity="force", **points):
    """True error of each atom against the deviation of the ensemble.

    Lines show where they are equal, and where the error is what the mean ratio of both says.

    Parameters
    ----------
    prediction : xarray.Dataset
        What :meth:`ActiveLearner.predict <dlintegrate.ActiveLearner.predict>` returned.
    frames : xarray.Dataset
        The frames that it was asked about: labelled ones that the ensemble was not trained on.
    ax : matplotlib.axes.Axes, optional
    quantity : {"force", "magnetic_force"}, default "force"
    **points
        For ``Axes.scatter``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        For another ``quantity``.
    """
    if quantity not in _QUANTITIES:
        raise ValueError(f"quantity={quantity!r}: expected one of {sorted(_QUANTITIES)}")
    ax = axes_or_new(ax)
    error = np.linalg.norm(prediction[quantity].values - frames[quantity].values, axis=-1).ravel()
    deviation = prediction[f"{quantity}_deviation"].values.ravel()
    seen = (deviation > 0) & (error > 0)  # atoms without a spin have neither
    error, deviation = error[seen], deviation[seen]
    look = {"s": 6, "linewidths": 0, "alpha": 0.4, "color": "#0072B2"}
    ax.scatter(deviation, error, **look | points)
    scale = np.sqrt(np.mean(error**2) / np.mean(deviation**2))
    ends = np.array([deviation.min(), deviation.max()])
    ax.plot(ends, ends, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, label="equal")
    ax.plot(ends, scale * ends, color="#D55E00", linewidth=1.4, label=f"{scale:.2g} × deviation")
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_xlabel(f"deviation ({_QUANTITIES[quantity]})")
    ax.set_ylabel(f"error ({_QUANTITIES[quantity]})")
    ax.legend(frameon=False)
    return ax
