"""What a trajectory can show of itself: ``trajectory.dli``."""

import numpy as np

from . import metrics, plotting
from .metrics._trajectories import kind_of, n_sites, states_of
from .states import FAILED, FELL_BACK


class TrajectoryAccessor:
    """``trajectory.dli``: pictures, measures and files of one trajectory.

    A Dataset that :meth:`~dlintegrate.Integrator.simulate` or
    :func:`~dlintegrate.open_trajectory` returned has it; any other Dataset has it too, and
    its methods say what is missing. Every method is one function of
    :mod:`dlintegrate.plotting` or :mod:`dlintegrate.metrics` under a short name. It is there as
    soon as any part of the library has been used; to have it on files that xarray itself opens,
    ``import dlintegrate.accessor``.

    Parameters
    ----------
    trajectory : xarray.Dataset

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, SuzukiTrotter2
    >>> system = HeisenbergLattice(shape=4)
    >>> run = SuzukiTrotter2(system, dt=0.1).simulate(system.random_states(2, 0), t_max=1.0)
    >>> print(run.dli.summary().splitlines()[0])
    HeisenbergLattice integrated by SuzukiTrotter2: 2 samples of 64 spins, 11 frames to t = 1
    """

    def __init__(self, trajectory):
        self._trajectory = trajectory

    # Pictures ------------------------------------------------------------------------------

    def plot_energy(self, ax=None, **line):
        """Energy per site against time; see :func:`~dlintegrate.plotting.plot_energy`."""
        return plotting.plot_energy(self._checked(), ax, **line)

    def plot_energy_drift(self, ax=None, **options):
        """Drift of the energy against time; see :func:`~dlintegrate.plotting.plot_drift`."""
        return plotting.plot_drift(metrics.energy_drift(self._checked()), ax, **options)

    def animate(self, sample=0, ax=None, **options):
        """Animation of one sample; see :func:`~dlintegrate.plotting.animate`."""
        return plotting.animate(self._checked(), sample, ax, **options)

    def spin_texture(self, sample=0, time=-1, ax=None, **options):
        """The spins of one sample in one frame.

        Parameters
        ----------
        sample : int, default 0
        time : int, default -1
            Which frame; the default is the last.
        ax : matplotlib.axes.Axes, optional
            For atoms and for spins in space or on a chain one made with ``projection="3d"``.
        **options
            For :func:`~dlintegrate.plotting.plot_texture` (spins on a plane),
            :func:`~dlintegrate.plotting.plot_spins_3d` or
            :func:`~dlintegrate.plotting.plot_atoms`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If there are no spins.
        """
        run = self._checked("spin", "atoms")
        frame = states_of(run).isel(time=time).assign_attrs(run.attrs)
        if "atom" in frame.dims:
            draw = plotting.plot_atoms
        else:
            draw = plotting.plot_texture if frame.ndim == 4 else plotting.plot_spins_3d
        return draw(frame, sample, ax, **options)

    def particles(self, sample=0, time=-1, ax=None, **options):
        """The particles of one sample in one frame.

        Parameters
        ----------
        sample : int, default 0
        time : int, default -1
            Which frame; the default is the last.
        ax : matplotlib.axes.Axes, optional
        **options
            For :func:`~dlintegrate.plotting.plot_particles`.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ValueError
            If there are no particles.
        """
        frame = self._checked("phase_space").isel(time=time)
        return plotting.plot_particles(frame, sample, ax, **options)

    # Measures ------------------------------------------------------------------------------

    def energy_drift(self, system=None):
        """How far the energy is off; see :func:`~dlintegrate.metrics.energy_drift`."""
        return metrics.energy_drift(self._checked(), system)

    def spin_correlation(self, reference):
        """Correlation with the reference; see :func:`~dlintegrate.metrics.spin_correlation`."""
        return metrics.spin_correlation(self._checked("spin"), reference)

    def threshold_time(self, reference, threshold=0.99, **options):
        """How long it follows the reference; see :func:`~dlintegrate.metrics.threshold_time`."""
        return metrics.threshold_time(self._checked("spin"), reference, threshold, **options)

    def phase_space_distance(self, reference):
        """Distance from the reference; see :func:`~dlintegrate.metrics.phase_space_distance`."""
        return metrics.phase_space_distance(self._checked("phase_space"), reference)

    def by_temperature(self):
        """Its parts, one per temperature; see :func:`~dlintegrate.metrics.by_temperature`."""
        return metrics.by_temperature(self._checked())

    def summary(self):
        """What it is and how it fared, in a few lines of text.

        Returns
        -------
        str
            Sizes and times; how many samples are sound, fell back or failed, and when; the
            largest change of the energy per site among those that did not fail.
        """
        run = self._checked()
        states = states_of(run)
        what = {"spin": "spin", "phase_space": "particle", "atoms": "atom"}[kind_of(states)]
        lines = [
            f"{run.attrs.get('title', 'trajectory')}: {_count(states.sizes['sample'], 'sample')} "
            f"of {_count(n_sites(states), what)}, {_count(states.sizes['time'], 'frame')} "
            f"to t = {float(states['time'][-1]):.6g}"
        ]
        if "dt" in run.attrs:
            every = int(run.attrs.get("save_every", 1))
            lines.append(f"step {run.attrs['dt']:.6g}, a frame every {_count(every, 'step')}")
        if "status" in run:
            lines.append(_health(run))
        if "energy" in run:
            lines.append(_largest_drift(run, n_sites(states), what))
        return "\n".join(lines)

    # Files ---------------------------------------------------------------------------------

    def export(self, path, **options):
        """Write it for another program to show; see :func:`~dlintegrate.export`."""
        from ._export import export

        return export(self._checked(), path, **options)

    def _checked(self, *kinds):
        """The Dataset, if it is a trajectory of one of these kinds."""
        kinds = kinds or ("spin", "phase_space", "atoms")
        states_of(self._trajectory, "the Dataset", kinds)
        return self._trajectory


def _count(n, word):
    return f"{n} {word}{'' if n == 1 else 's'}"


def _health(run):
    status = run["status"].values
    failed, fell_back = (status == FAILED).sum(), (status == FELL_BACK).sum()
    text = f"{len(status) - failed - fell_back} sound, {fell_back} fell back, {failed} failed"
    if "fallback_fraction" in run:
        fraction = metrics.fallback_fraction(run)
        text += f"; {100 * float(fraction['mean']):.2g} % of the steps redone"
    if failed and "failure_time" in run:
        first = float(np.nanmin(np.abs(run["failure_time"].values[status == FAILED])))
        text += f"; the first failed at t = {first:.4g}"
    return text


def _largest_drift(run, n, what):
    energy = run["energy"].transpose("sample", "time").values
    if "status" in run:
        energy = energy[run["status"].values != FAILED]
    if len(energy) == 0:
        return "no sample is left whose energy could be judged"
    off = np.abs(energy - energy[:, :1]).max() / n
    return f"energy changed by at most {off:.2g} per {what}"
