"""Where candidates come from: dynamics with the potential learned so far, or a fixed pool."""

import warnings
from abc import ABC, abstractmethod

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone

from .._checks import check_count
from ..frames.layout import frames_from_arrays
from ..integrators.base import Integrator
from ..systems.atoms import MOMENTUM, POSITION, SPIN, AtomicSystem
from .frame_sets import check_one, geometry, join
from .selection import check_positive, sort_out


class Explorer(BaseEstimator, ABC):
    """Proposes frames that the ensemble of an :class:`ActiveLearner` may not know yet."""

    @abstractmethod
    def explore(self, ensemble, labelled, levels, random_state, n_jobs=None):
        """Propose frames.

        Parameters
        ----------
        ensemble : Ensemble
            The potentials so far; ``ensemble.judge(frames)`` adds their deviations.
        labelled : xarray.Dataset
            All frames with labels.
        levels : dict of str to (low, high)
            Trusted deviations of ``"force"`` (eV/Å) and ``"magnetic_force"`` (eV/μB).
        random_state : int
            Seed of this round.
        n_jobs : int, optional

        Returns
        -------
        xarray.Dataset
            Judged frames with the coordinate ``trajectory(frame)``, and the attributes
            ``n_trajectories`` and ``n_failed``, those of them that ended for no good reason.
        """

    def check(self):
        """Raise ValueError for parameters that cannot be."""


class PoolExplorer(Explorer):
    """Candidates from a fixed set of frames.

    Parameters
    ----------
    frames : xarray.Dataset
        Labels, if any, are not looked at. The coordinate ``trajectory(frame)``, if there is
        one, limits how many frames of one trajectory are chosen per round.
    n_frames : int, optional
        Look at so many frames per round, drawn at random; by default at all.
    """

    def __init__(self, frames, n_frames=None):
        self.frames = frames
        self.n_frames = n_frames

    def check(self):
        """See :meth:`Explorer.check`."""
        check_one(self.frames, "frames", labelled=False)
        if self.n_frames is not None:
            check_count("n_frames", self.n_frames, 1)

    def explore(self, ensemble, labelled, levels, random_state, n_jobs=None):
        """See :meth:`Explorer.explore`."""
        self.check()
        n_all = self.frames.sizes["frame"]
        trajectory = np.arange(n_all)
        if "trajectory" in self.frames.coords:
            trajectory = self.frames.trajectory.values
        drawn = np.arange(n_all)
        if self.n_frames is not None and self.n_frames < n_all:
            drawn = np.random.default_rng(random_state).choice(n_all, self.n_frames, replace=False)
            drawn.sort()
        frames = geometry(self.frames).isel(frame=drawn)
        frames = frames.assign_coords(trajectory=("frame", trajectory[drawn]))
        judged = ensemble.judge(frames)
        return judged.assign_attrs(n_trajectories=len(np.unique(trajectory)), n_failed=0)


class DynamicsExplorer(Explorer):
    """Trajectories of the potential learned so far, at chosen temperatures.

    The first member of the ensemble moves the atoms and spins; all of them judge the saved
    frames. A trajectory ends where it leaves the upper trust level (that frame is kept, and
    counts as beyond), or where it fails; the others go on.

    Parameters
    ----------
    integrator : Integrator
        Of the physical system, an :class:`AtomicSystem`; its ``system``, ``temperature`` and
        ``random_state`` are replaced.
    temperatures : sequence of float
        In K; the momenta at the start are drawn at these, too.
    t_max : float
        Length of a trajectory in fs.
    save_every : int, default 20
        Steps between two frames.
    n_trajectories : int, default 4
        At each temperature.
    starts : xarray.DataArray or ndarray, optional
        States to start from, shape (n_states, ...), drawn at random. By default labelled
        frames in the cell of the system.
    """

    def __init__(
        self, integrator, temperatures, t_max, save_every=20, n_trajectories=4, starts=None
    ):
        self.integrator = integrator
        self.temperatures = temperatures
        self.t_max = t_max
        self.save_every = save_every
        self.n_trajectories = n_trajectories
        self.starts = starts

    def check(self):
        """See :meth:`Explorer.check`."""
        system = getattr(self.integrator, "system", None)
        if not isinstance(self.integrator, Integrator) or not isinstance(system, AtomicSystem):
            raise TypeError(
                f"integrator={self.integrator!r}: expected a step of atoms with moments in a given "
                "system, such as SpinLatticeSplitting"
            )
        if self.integrator.checked_dt() < 0:
            raise ValueError(f"integrator has dt={self.integrator.dt}: expected a positive step")
        check_positive("t_max", self.t_max)
        check_count("save_every", self.save_every, 1)
        check_count("n_trajectories", self.n_trajectories, 1)
        temperatures = np.asarray(self.temperatures, dtype=float)
        if temperatures.ndim != 1 or not len(temperatures) or not (temperatures >= 0).all():
            raise ValueError(
                f"temperatures={self.temperatures!r}: expected a list of temperatures in K"
            )

    def explore(self, ensemble, labelled, levels, random_state, n_jobs=None):
        """See :meth:`Explorer.explore`."""
        self.check()
        seeds = np.random.SeedSequence(random_state).generate_state(2 * len(self.temperatures))
        tasks = (
            joblib.delayed(self._explore_at)(
                ensemble, labelled, levels, float(temperature), seeds[2 * k : 2 * k + 2]
            )
            for k, temperature in enumerate(self.temperatures)
        )
        runs = joblib.Parallel(n_jobs=n_jobs)(tasks)
        parts = []
        for k, (frames, _) in enumerate(runs):
            shifted = frames.trajectory.values + k * self.n_trajectories
            parts.append(frames.assign_coords(trajectory=("frame", shifted)))
        result = _join_judged(parts)
        return result.assign_attrs(
            n_trajectories=len(runs) * self.n_trajectories, n_failed=sum(n for _, n in runs)
        )

    def _explore_at(self, ensemble, labelled, levels, temperature, seeds):
        """Judged frames of all trajectories at one temperature, and how many failed."""
        crystal, integrator = self._learned(ensemble.members[0], temperature, seeds[0])
        state = self._starts(labelled, temperature, np.random.default_rng(seeds[1]))
        steps = self.save_every
        n_frames = max(1, round(self.t_max / (steps * integrator.checked_dt())))
        alive = np.arange(len(state))
        parts, n_failed = [_no_frames(self.integrator.system)], 0
        for frame in range(1, n_frames + 1):
            state, good = _advance(integrator, state, steps)
            n_failed += int((~good).sum())
            state, alive = state[good], alive[good]
            if len(state) == 0:
                break
            judged = ensemble.judge(frames_of(crystal, state))
            time = np.full(len(state), frame * steps * integrator.checked_dt())
            parts.append(
                judged.assign_coords(
                    trajectory=("frame", alive),
                    time=("frame", time),
                    temperature=("frame", np.full(len(state), temperature)),
                )
            )
            inside = ~sort_out(judged, levels)[2]
            state, alive = state[inside], alive[inside]
            if len(state) == 0:
                break
        return _join_judged(parts), n_failed

    def _learned(self, potential, temperature, seed):
        """The system with the learned energy, and the integrator that moves it."""
        from ..potentials import LearnedCrystal

        crystal = LearnedCrystal(self.integrator.system, potential)
        wanted = {"system": crystal, "temperature": temperature, "random_state": int(seed)}
        known = self.integrator.get_params(deep=False)
        integrator = clone(self.integrator)
        integrator.set_params(**{k: v for k, v in wanted.items() if k in known})
        _ = integrator.guarantees  # checks its parameters: a wrong one is no failing trajectory
        return crystal, integrator

    def _starts(self, labelled, temperature, rng):
        """States to start from, with thermal momenta."""
        system = self.integrator.system
        if self.starts is not None:
            pool = system.validate(self.starts, "starts")
        else:
            here = np.isclose(labelled.cell.values, system.cell, atol=1e-6).all(axis=(1, 2))
            if not here.any():
                raise ValueError(
                    "starts=None: no labelled frame has the cell of the system; give starts"
                )
            pool = states_of(system, labelled.isel(frame=np.flatnonzero(here)))
        state = pool[rng.integers(len(pool), size=self.n_trajectories)]
        state[:, MOMENTUM] = system.thermal_momenta(temperature, len(state), rng)
        return state


def _advance(integrator, state, n_steps):
    """Advance, and tell which samples are still healthy; one that raises is alone with it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # what fails is counted
        try:
            after = integrator.advance(state, n_steps)
        except (ArithmeticError, RuntimeError, ValueError):
            after = np.full_like(state, np.nan)
            for k, one in enumerate(state):
                try:
                    after[k] = integrator.advance(one[None], n_steps)[0]
                except (ArithmeticError, RuntimeError, ValueError):
                    continue
        return after, integrator.system.healthy(after)


def frames_of(system, state):
    """Frames without labels from validated states of a system."""
    positions, spins = state[:, POSITION], state[:, SPIN]
    return frames_from_arrays(positions, system.cell, system.species, spins=spins)


def states_of(system, frames):
    """States of a system at the positions and spin directions of frames, at rest."""
    state = np.zeros((frames.sizes["frame"], 3, system.n_sites, 3))
    state[:, POSITION] = frames.position.values
    spins = frames.spin.values
    length = np.linalg.norm(spins, axis=-1, keepdims=True)
    unit = np.where(length > 0, spins / np.where(length > 0, length, 1.0), [0.0, 0.0, 1.0])
    state[:, SPIN] = system.moments[:, None] * unit
    return state


def _no_frames(system):
    """What a run without a single good frame has found."""
    empty = frames_of(system, np.zeros((1, 3, system.n_sites, 3))).isel(frame=[])
    nothing = ("frame", np.empty(0))
    return empty.assign(
        force_deviation=nothing, magnetic_force_deviation=nothing
    ).assign_coords(
        trajectory=("frame", np.empty(0, dtype=int)), time=nothing, temperature=nothing
    )  # fmt: skip


def _join_judged(parts):
    """Frames with their coordinates; :func:`join` for judged frames."""
    full = [part for part in parts if part.sizes["frame"]]
    if not full:
        return parts[0]
    per_frame = [c for c in full[0].coords if "frame" in full[0][c].dims]
    joined = join([part.drop_vars(per_frame) for part in full])
    return joined.assign_coords(
        {c: ("frame", np.concatenate([part[c].values for part in full])) for c in per_frame}
    )
