"""Trajectories as moving pictures; public through :mod:`dlintegrate.plotting`."""

import os

from ._atom_plots import plot_atoms
from ._particle_plots import animate_particles, failure_time
from ._spin_plots import plot_spins_3d, space_animation
from ._texture_plots import texture_animation
from .metrics._trajectories import kind_of, states_of, times_of

#: Suffix to the writer of matplotlib.
_WRITERS = {".gif": "pillow", ".mp4": "ffmpeg"}


def animate(trajectory, sample=0, ax=None, *, path=None, every=1, interval=50, dpi=100, **look):
    """Animation of one sample: particles in their box, spins on a plane or in space, atoms.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned.
    sample : int, default 0
        Which one. The title tells if it failed.
    ax : matplotlib.axes.Axes, optional
        For atoms and for spins in space or on a chain one made with ``projection="3d"``.
    path : str or path-like, optional
        Write the animation there, see :func:`save_animation`.
    every : int, default 1
        Show each ``every``-th frame.
    interval : float, default 50
        Milliseconds between two.
    dpi : float, default 100
        Of the file.
    **look
        For :func:`animate_particles`, :func:`plot_texture` (spins on a plane),
        :func:`plot_spins_3d` or :func:`plot_atoms`.

    Returns
    -------
    matplotlib.animation.FuncAnimation
        Keep it in a variable while it runs; it draws what the file holds as it goes.

    Raises
    ------
    ValueError
        If this is no trajectory, or the suffix of ``path`` is unknown.
    """
    from matplotlib.animation import FuncAnimation

    if path is not None:
        _writer(path)  # a film that cannot be written is not worth drawing
    states = states_of(trajectory)
    if kind_of(states) == "phase_space":
        film = animate_particles(trajectory, sample, ax, every=every, interval=interval, **look)
    else:
        frames, times = states[sample, ::every], times_of(states)[::every]
        frames = frames.assign_attrs(trajectory.attrs)
        atoms, own = "atom" in frames.dims, ax is None
        flat = frames.ndim == 4 and not atoms
        if flat:
            ax, draw = texture_animation(frames, ax, **look)
        else:
            plot = plot_atoms if atoms else plot_spins_3d
            ax, draw = space_animation(plot, frames, ax, **look)
        failure = failure_time(trajectory, sample)

        def show(k):
            draw(k)
            failed = " (failed)" if abs(times[k]) >= failure else ""
            ax.set_title(
                f"$t = {times[k]:.4g}${failed}", fontsize=11, y=1.0 if frames.ndim == 4 else 0.95
            )
            return ()

        show(0)
        if own and (engine := ax.figure.get_layout_engine()) is not None:
            # laid out once: nothing moves but the spins, and a frame costs half
            engine.execute(ax.figure)
            ax.figure.set_layout_engine("none")
        film = FuncAnimation(ax.figure, show, frames=len(times), interval=interval)
    if path is not None:
        save_animation(film, path, dpi=dpi)
    return film


def save_animation(animation, path, *, dpi=100):
    """Write an animation to a file.

    Parameters
    ----------
    animation : matplotlib.animation.Animation
    path : str or path-like
        ``*.gif``, which needs nothing else, or ``*.mp4``, smaller, which needs the program
        ffmpeg.
    dpi : float, default 100
        Dots per inch.

    Raises
    ------
    ValueError
        If the suffix is another.
    RuntimeError
        If ffmpeg is needed and missing.
    """
    animation.save(os.fspath(path), writer=_writer(path), dpi=dpi)


def _writer(path):
    from matplotlib.animation import writers

    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if suffix not in _WRITERS:
        raise ValueError(f"path={os.fspath(path)!r}: expected a name that ends in .gif or .mp4")
    writer = _WRITERS[suffix]
    if not writers.is_available(writer):
        raise RuntimeError(
            f"path={os.fspath(path)!r}: MP4 needs the program ffmpeg, which is not on the search "
            "path; install it, or write a .gif"
        )
    return writer
