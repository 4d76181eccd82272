"""Pictures of particles; public through :mod:`dlintegrate.plotting`."""

import numpy as np
import xarray as xr

from ._plot_style import COLORS, axes_or_new, line, style, time_label
from .metrics._trajectories import box_lengths, particles_of, times_of
from .states import FAILED

_PARTICLE = {"facecolors": "#56B4E9", "edgecolors": "#0072B2", "linewidths": 0.8}


def plot_particles(states, sample=0, ax=None, *, diameter=1.0, values=None, **collection):
    """Particles in their periodic box at one time (Park 2022, Fig. 5.3).

    Circles of diameter σ, wrapped into the box; one that crosses an edge is
    continued at the opposite one.

    Parameters
    ----------
    states : xarray.DataArray or xarray.Dataset
        Samples, or one frame of a trajectory: ``trajectory.isel(time=-1)``; with the
        coordinate ``box_length``.
    sample : int, default 0
        Which one.
    ax : matplotlib.axes.Axes, optional
    diameter : float, default 1.0
        σ, in units of length.
    values : array-like, shape (n_particles,), optional
        Colour particles by these numbers; ``cmap`` and ``norm`` may be given.
    **collection
        For matplotlib's ``EllipseCollection``: ``facecolors``, ``edgecolors``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is no box, or more than one frame.
    """
    if "time" in getattr(states, "dims", ()):
        raise ValueError(
            f"states has {states.sizes['time']} frames; choose one: states.isel(time=-1), or "
            "use animate_particles"
        )
    if isinstance(states, xr.Dataset):
        states = states["phase_space"]
    frame = particles_of(states.drop_vars("time", errors="ignore").expand_dims(time=[0.0]))
    side = float(box_lengths(frame)[sample])
    ax = _box_axes(ax, side)
    _circles(ax, frame[sample, 0, 0].values, side, diameter, values, collection)
    return ax


def animate_particles(
    trajectory, sample=0, ax=None, *, every=1, interval=50, diameter=1.0, **collection
):
    """Animation of one sample of a trajectory.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned.
    sample : int, default 0
        Which one. The title tells if it failed.
    ax : matplotlib.axes.Axes, optional
    every : int, default 1
        Show each ``every``-th frame.
    interval : float, default 50
        Milliseconds between two.
    diameter : float, default 1.0
        σ, in units of length.
    **collection
        As for :func:`plot_particles`.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Keep it in a variable while it runs; ``.save(path)`` writes a file, with
        ``writer="pillow"`` a GIF.

    Raises
    ------
    ValueError
        If there is no box.
    """
    from matplotlib.animation import FuncAnimation

    states = particles_of(trajectory)
    side, times = float(box_lengths(states)[sample]), times_of(states)[::every]
    positions = states[sample, ::every, 0].values
    ax = _box_axes(ax, side)
    circles = _circles(ax, positions[0], side, diameter, None, collection)
    failure = failure_time(trajectory, sample)

    def show(k):
        circles.set_offsets(_images(positions[k], side, diameter)[0])
        failed = " (failed)" if abs(times[k]) >= failure else ""
        ax.set_title(f"$t = {times[k]:.4g}${failed}", fontsize=11)
        return (circles,)

    show(0)
    return FuncAnimation(ax.figure, show, frames=len(times), interval=interval)


def failure_time(trajectory, sample):
    """When a sample failed, infinity if it did not."""
    if not isinstance(trajectory, xr.Dataset) or "failure_time" not in trajectory:
        return np.inf
    failed = trajectory["status"][sample] == FAILED
    return abs(float(trajectory["failure_time"][sample])) if failed else np.inf


def _box_axes(ax, side):
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(4.0, 4.2), layout="constrained")
    ax.set(xlim=(0, side), ylim=(0, side), aspect="equal", xlabel=r"$x/\sigma$")
    ax.set_ylabel(r"$y/\sigma$")
    return ax


def _circles(ax, positions, side, diameter, values, options):
    from matplotlib.collections import EllipseCollection

    offsets, which = _images(positions, side, diameter)
    look = {k: v for k, v in _PARTICLE.items() if values is None or k != "facecolors"}
    # one size for any number of circles: an animation changes the number of images
    circles = EllipseCollection(
        [diameter], [diameter], [0.0], units="xy", offsets=offsets,
        offset_transform=ax.transData, **(look | options),
    )  # fmt: skip
    if values is not None:
        circles.set_array(np.asarray(values, dtype=float)[which])
    ax.add_collection(circles)
    return circles


def _images(positions, side, diameter):
    """Centres of all circles that reach into the box, and the particles they belong to."""
    wrapped = positions - side * np.floor(positions / side)
    shift = side * np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), axis=-1).reshape(9, 1, 2)
    images = (wrapped + shift).reshape(-1, 2)
    inside = (np.abs(images - 0.5 * side) < 0.5 * (side + diameter)).all(axis=1)
    return images[inside], np.tile(np.arange(len(positions)), 9)[inside]


def plot_unstable_count(count, ax=None, **line):
    """Number of unstable samples against time (Park 2022, Fig. 5.8).

    Parameters
    ----------
    count : xarray.Dataset
        What :func:`~dlintegrate.metrics.unstable_count` returned.
    ax : matplotlib.axes.Axes, optional
    **line
        For ``Axes.step``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    t = count["time"].values
    ax.step(t, count["count"].values, where="post", **line)
    _show_value(ax, t[0], 1.0)  # room for one, even if there is none
    ax.set_xlabel(time_label("phase_space"))
    ax.set_ylabel(f"unstable samples of {int(count['n_samples'].max())}")
    return ax


def _show_value(ax, x, y):
    """Widen the limits to a value, and leave them free to follow further curves."""
    ax.update_datalim([(x, y)])
    ax.autoscale_view()


def plot_distance(distance, ax=None, *, median=False, **line):
    """Distance from the reference in phase space against time (Park 2022, Fig. 5.9).

    Parameters
    ----------
    distance : xarray.Dataset
        What :func:`~dlintegrate.metrics.phase_space_distance` returned.
    ax : matplotlib.axes.Axes, optional
    median : bool, default False
        Draw the median over samples instead of the mean, which a few hard collisions
        dominate. It ends where half of the samples have failed.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    values = distance["median" if median else "mean"].values
    shown = np.isfinite(values) & (values > 0)  # frame 0 has no logarithm
    ax.plot(distance["time"].values[shown], values[shown], **line)
    ax.set_yscale("log")
    ax.set_xlabel(time_label("phase_space"))
    ax.set_ylabel(r"distance $\Delta(t)$" + (", median" if median else ", mean"))
    return ax


def plot_radial_distribution(result, ax=None, *, band=True, **line):
    """Radial distribution function with its error.

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`~dlintegrate.metrics.radial_distribution` returned.
    ax : matplotlib.axes.Axes, optional
    band : bool, default True
        Shade one standard error on either side.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _curve_with_band(result["r"], result["g"], result["error"], ax, band, line)
    ax.axhline(1.0, color="0.45", linestyle=(0, (1, 2)), linewidth=1.0, zorder=1)
    _show_value(ax, 0.0, 0.0)
    ax.set_xlabel(r"$r/\sigma$")
    ax.set_ylabel("$g(r)$")
    return ax


def plot_velocity_autocorrelation(result, ax=None, *, band=True, **line):
    """Velocity autocorrelation function with its error.

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`~dlintegrate.metrics.velocity_autocorrelation` returned.
    ax : matplotlib.axes.Axes, optional
    band : bool, default True
        Shade one standard error on either side.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = _curve_with_band(result["lag"], result["mean"], result["error"], ax, band, line)
    ax.set_xlabel(r"lag $\tau$ ($\sigma\sqrt{m/\epsilon}$)")
    ax.set_ylabel(r"$\langle v(t+\tau)\cdot v(t)\rangle$")
    return ax


def plot_mean_square_displacement(result, ax=None, *, band=True, **line):
    """Mean square displacement with its error, both axes logarithmic.

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`~dlintegrate.metrics.mean_square_displacement` returned.
    ax : matplotlib.axes.Axes, optional
    band : bool, default True
        Shade one standard error on either side.
    **line
        For ``Axes.plot``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    moved = result.isel(lag=slice(1, None))
    ax = _curve_with_band(np.abs(moved["lag"]), moved["mean"], moved["error"], ax, band, line)
    ax.set(xscale="log", yscale="log")
    ax.set_xlabel(r"lag $\tau$ ($\sigma\sqrt{m/\epsilon}$)")
    ax.set_ylabel(r"$\langle |q(t+\tau)-q(t)|^2\rangle$ ($\sigma^2$)")
    return ax


def _curve_with_band(x, mean, error, ax, band, line):
    ax = axes_or_new(ax)
    x, mean, error = (np.asarray(values) for values in (x, mean, error))
    (curve,) = ax.plot(x, mean, **line)
    if band:
        ax.fill_between(
            x, mean - error, mean + error, color=curve.get_color(), alpha=0.2, linewidth=0
        )
    return ax


def plot_equipartition(result, ax=None, **line):
    """Kinetic temperature against the number of neighbours; dotted, that of all particles.

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`~dlintegrate.metrics.equipartition` returned.
    ax : matplotlib.axes.Axes, optional
    **line
        For ``Axes.errorbar``: ``label``, ``color``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    bars = ax.errorbar(
        result["neighbours"].values, result["by_neighbours"].values,
        yerr=result["by_neighbours_error"].values,
        **({"marker": "o", "markersize": 4, "capsize": 2.5, "linewidth": 1.2} | line),
    )  # fmt: skip
    color = bars.lines[0].get_color()
    ax.axhline(
        float(result["temperature"]), color=color, linestyle=(0, (1, 2)), linewidth=1.0, zorder=1
    )
    ax.set_xlabel(f"neighbours nearer than {result.attrs['radius']:.3g}" + r" $\sigma$")
    ax.set_ylabel(r"kinetic temperature ($\epsilon/k_B$)")
    return ax


def plot_heat_capacity(result, ax=None, **line):
    """Heat capacity per particle against temperature, a curve per density (Park 2022, Fig. 5.1).

    Parameters
    ----------
    result : xarray.Dataset
        ``heat_capacity`` and ``heat_capacity_error`` (temperature), or (density,
        temperature), as from :func:`dlintegrate.sampling.heat_capacity` or
        :func:`dlintegrate.sampling.canonical_averages`.
    ax : matplotlib.axes.Axes, optional
    **line
        For ``Axes.errorbar``; with several densities their labels and colours are set.

    Returns
    -------
    matplotlib.axes.Axes
    """
    ax = axes_or_new(ax)
    for label, part in _by_density(result):
        ax.errorbar(
            part["temperature"].values, part["heat_capacity"].values,
            yerr=part["heat_capacity_error"].values,
            **({"capsize": 2.5, "linewidth": 1.2, "markersize": 5} | label | line),
        )  # fmt: skip
    _legend(ax)
    ax.set_xlabel(r"temperature $k_BT/\epsilon$")
    ax.set_ylabel("heat capacity per particle $c_v/k_B$")
    return ax


def _by_density(result):
    """Yield the style of each density, and its part of the result."""
    if "density" not in result.dims:
        yield {"marker": "o", "color": COLORS[0]}, result
        return
    for index, density in enumerate(result["density"].values):
        label = rf"$\rho = {density:.3g}$"
        yield {"label": label, **style(index)}, result.isel(density=index)


def _legend(ax):
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, fontsize=9)


def plot_histogram(result, quantity="energy", ax=None, **options):
    """Histogram of one quantity of a set of samples, a curve per density (Park 2022, Fig. 5.4).

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`dlintegrate.sampling.histograms` returned.
    quantity : {"energy", "kinetic_energy", "momentum", "potential_energy"}
    ax : matplotlib.axes.Axes, optional
    **options
        For ``Axes.step``.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the result has no such histogram.
    """
    if f"{quantity}_center" not in result:
        known = [str(name)[: -len("_center")] for name in result if str(name).endswith("_center")]
        raise ValueError(f"quantity={quantity!r}: the result has {known}")
    ax = axes_or_new(ax)
    center = result[f"{quantity}_center"]
    for label, part in _by_density(result[[quantity, f"{quantity}_center"]]):
        ax.step(center.values, part[quantity].values, where="mid", **(line(label) | options))
    _show_value(ax, center.values[0], 0.0)
    ax.set_xlabel(center.attrs.get("long_name", quantity))
    ax.set_ylabel("probability density")
    return ax


def plot_histograms(result, path=None):
    """All four histograms of a set of samples in one figure (Park 2022, Fig. 5.4).

    Parameters
    ----------
    result : xarray.Dataset
        What :func:`dlintegrate.sampling.histograms` returned.
    path : str or path-like, optional
        Save the figure there, at 200 dots per inch.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.2, 6.2), layout="constrained")
    axes = figure.subplots(2, 2)
    for ax, quantity in zip(
        axes.flat, ("energy", "kinetic_energy", "momentum", "potential_energy"), strict=True
    ):
        plot_histogram(result, quantity, ax)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside upper center", ncols=len(labels), frameon=False)
    if path is not None:
        figure.savefig(path, dpi=200)
    return figure
