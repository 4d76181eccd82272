"""Relaxing spins with their exact fields: what learned torques are trained on."""

import contextlib
import numbers
import os

import joblib
import numpy as np
import xarray as xr

from .._checks import check_count, check_finite
from ..systems.spins import SpinsLike
from ..systems.textures import skyrmion_lattice

#: Frames with a torque in this lowest part of all count as near-relaxed.
_CALM_PART = 0.25


def sample_relaxation(
    model, path, n_trajectories=20, *, n_skyrmion=None, perturbation=0.3, offset=0.2, n_frames=51,
    save_every=10, dt=1.0, damping=0.05, label_solver=None, random_state=0, n_jobs=None,
    progress=False,
):  # fmt: skip
    """Relax random spins and perturbed skyrmion lattices, and record their exact fields.

    The training trajectories of Cheng 2023, Sec. III C: damped dynamics without noise, in one
    file that is readable at any moment. If the file exists, it is continued, bit
    for bit: call again with the same arguments after an interruption, which costs a frame or
    five seconds of work, or with a larger ``n_frames`` for longer trajectories.

    Parameters
    ----------
    model : TriangularSDModel
    path : str or path-like
        The netCDF file.
    n_trajectories : int, default 20
    n_skyrmion : int, optional
        How many of them, the first ones, start from skyrmion lattices; half by default.
        The others start from random spins.
    perturbation : float, default 0.3
        Of the skyrmion lattices, see :func:`skyrmion_lattice`.
    offset : float, default 0.2
        Of the skyrmion lattices: M of Eq. 13. At 0 any perturbation turns spins over.
    n_frames : int, default 51
        Frames of each trajectory, the start included.
    save_every : int, default 10
        Steps between two frames.
    dt, damping : float, default 1.0 and 0.05
        Of :class:`SemiImplicitB`.
    label_solver : ElectronSolver, optional
        Computes the recorded fields, for instance with twisted boundaries, while the solver
        of the model does the dynamics and the energy. By default the same does both.
    random_state : int, default 0
        Seed of the starts.
    n_jobs : int, optional
        Threads of solvers that have no ``n_jobs`` of their own. Trajectories are
        advanced together, so there is work for as many threads as trajectories; the results
        do not depend on it.
    progress : bool, default False
        Show a progress bar.

    Returns
    -------
    xarray.Dataset
        As :meth:`Integrator.simulate`, read from the file when it is used, with the variable
        ``field (sample, time, x, y, component)``, the external field included, and the
        coordinate ``skyrmion_start(sample)``, 1 or 0.

    Raises
    ------
    ValueError
        On bad arguments, or if an existing file was made with others.
    TypeError
        For a system without a field, or a solver for one that has none.

    Examples
    --------
    Split by trajectory, never by frame: neighbouring frames are almost copies. ::

        trajectories = sample_relaxation(model, "relaxation.nc", n_jobs=8)
        test = trajectories.isel(sample=slice(None, None, 5))
        train = trajectories.drop_isel(sample=range(0, 20, 5))
        learned.fit(*torque_samples(train, near_relaxed=0.3, random_state=0))
        learned.score(*torque_samples(test))
    """
    from ..integrators import SemiImplicitB

    check_count("n_frames", n_frames, 1)
    check_count("save_every", save_every, 1)
    if not hasattr(model, "field_of"):
        raise TypeError(f"model={model!r}: expected spins in a field, such as TriangularSDModel")
    if label_solver is not None and not hasattr(model, "solver"):
        raise TypeError(f"label_solver={label_solver!r}: {type(model).__name__} has no solver")
    if not isinstance(dt, numbers.Real) or not 0 < dt < np.inf:
        raise ValueError(f"dt={dt!r}: expected a positive number; spins relax forward in time")
    for name, value in (("perturbation", perturbation), ("damping", damping)):
        if not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
            raise ValueError(f"{name}={value!r}: expected a number, 0 or more")
    check_finite("offset", offset)
    step = SemiImplicitB(LabelledModel(model, label_solver), dt, damping, drop_longitudinal=True)
    texture = {"perturbation": perturbation, "offset": offset}
    initial = _starts(model, n_trajectories, n_skyrmion, texture, random_state)
    t_max = (n_frames - 1) * save_every * step.checked_dt()
    threads = contextlib.nullcontext()
    if n_jobs is not None:  # from outside: as a parameter it would be part of the result's identity
        threads = joblib.parallel_config("threading", n_jobs=n_jobs)
    with threads:
        if not os.path.exists(path):
            return step.simulate(
                initial, t_max, save_every=save_every, path=path, progress=progress
            )
        _check_same_start(path, step, initial, save_every, n_frames)
        return step.resume(path, t_max, progress=progress)


class LabelledModel(SpinsLike):
    """A model of spins whose trajectories record the field on each spin.

    Parameters
    ----------
    model : SpinSystem
    label_solver : ElectronSolver, optional
        Of the recorded field, in place of the solver of the model.
    """

    def __init__(self, model, label_solver=None):
        self.model = model
        self.label_solver = label_solver

    def resized(self, state_shape):
        """Return this system on the lattice of a state."""
        return type(self)(self.model.resized(state_shape), self.label_solver)

    def field_of(self, array):
        """The field of the dynamics."""
        return self.model.field_of(array)

    def energy(self, states):
        """As the model has it."""
        return self.model.energy(states)

    def observables(self, array):
        """Those of the model, and the field."""
        if self.label_solver is None:
            field, known = self.model.field_and_observables(array)
        else:
            parameters = {**self.model.get_params(deep=False), "solver": self.label_solver}
            field = type(self.model)(**parameters).field_of(array)
            known = self.model.observables(array)
        return {**known, "field": (self.state_dims, field)}


def _starts(model, n_trajectories, n_skyrmion, texture, random_state):
    """Skyrmion lattices, then random spins."""
    check_count("n_trajectories", n_trajectories, 1)
    check_count("random_state", random_state, 0)
    if n_skyrmion is None:
        n_skyrmion = (n_trajectories + 1) // 2
    if check_count("n_skyrmion", n_skyrmion, 0) > n_trajectories:
        raise ValueError(f"n_skyrmion={n_skyrmion} of n_trajectories={n_trajectories}")
    # a generator for each trajectory, so that more of them leave the first ones as they were
    spins = []
    for k in range(n_trajectories):
        rng = np.random.default_rng([random_state, k])
        if k < n_skyrmion:
            spins.append(skyrmion_lattice(model.lattice_shape, **texture, random_state=rng))
        else:
            spins.append(model.random_states(1, rng))
    return xr.DataArray(
        np.concatenate(spins),
        dims=("sample", *model.state_dims),
        coords={"skyrmion_start": ("sample", (np.arange(n_trajectories) < n_skyrmion).astype(int))},
    )


def _check_same_start(path, step, initial, save_every, n_frames):
    """Whether a file was started with these arguments; resume() checks the integrator."""
    from ..integrators import open_trajectory

    _, spins = step.validate(initial)
    with open_trajectory(path) as file:
        if file.attrs["save_every"] != save_every:
            raise ValueError(
                f"save_every={save_every}: {os.fspath(path)} has save_every="
                f"{file.attrs['save_every']}; continue with that, or choose another path"
            )
        if file.sizes["time"] > n_frames:
            raise ValueError(
                f"n_frames={n_frames}: {os.fspath(path)} has {file.sizes['time']} already; open "
                "it with open_trajectory"
            )
        if not np.array_equal(file.spin.isel(time=0).values, spins):
            raise ValueError(
                f"{os.fspath(path)} started from other spins; continue it with its own model, "
                "n_trajectories, n_skyrmion, perturbation, offset and random_state, or choose "
                "another path"
            )


def torque_samples(trajectories, n=None, near_relaxed=0.0, random_state=None):
    """Spins and exact fields of recorded frames, to fit a learned field.

    Parameters
    ----------
    trajectories : xarray.Dataset or path
        What :func:`sample_relaxation` returned or wrote, or some of the samples of it:
        ``trajectories.isel(sample=[...])``.
    n : int, optional
        Frames to draw; each is drawn once before any is drawn again. By default all, and
        those of ``near_relaxed`` once more.
    near_relaxed : float, default 0.0
        This part of the ``n`` frames, 0 to 1, is drawn from the quarter with the smallest
        torques. A relaxing magnet spends
        its time near equilibrium, where torques are small and errors of a learned
        field decide where it ends.
    random_state : int, Generator or None
        Of the draw.

    Returns
    -------
    spins, fields : ndarray, shape (n, x, y, 3)
        For ``CorrectedIntegrator.fit(spins, fields)``, in the order of the trajectories.

    Raises
    ------
    ValueError
        On bad arguments, or a file without fields.
    """
    if not isinstance(trajectories, xr.Dataset):
        from ..integrators import open_trajectory

        with open_trajectory(trajectories) as file:
            return torque_samples(file, n, near_relaxed, random_state)
    spins, fields = _frames(trajectories)
    if n is not None:
        check_count("n", n, 1)
    if not isinstance(near_relaxed, numbers.Real) or not 0 <= near_relaxed <= 1:
        raise ValueError(f"near_relaxed={near_relaxed!r}: expected a number from 0 to 1")
    everything = n is None
    n = len(spins) if everything else n
    n_calm = round(near_relaxed * n)
    order = np.argsort(_torque(spins, fields), kind="stable")
    calm = order[: max(1, round(_CALM_PART * len(order)))]
    rng = np.random.default_rng(random_state)
    others = len(order) if everything else n - n_calm  # a label is too dear to be left out
    drawn = np.sort(np.concatenate([_draw(rng, order, others), _draw(rng, calm, n_calm)]))
    return spins[drawn], fields[drawn]


def _frames(trajectories):
    """All frames in which a trajectory had not failed, trajectory by trajectory."""
    missing = [name for name in ("spin", "field") if name not in trajectories]
    if missing or not {"sample", "time"} <= set(trajectories.dims):
        raise ValueError(
            "trajectories: expected samples of a file of sample_relaxation, with the variables "
            f"spin and field and the dimensions sample and time; got {list(trajectories)} with "
            f"{dict(trajectories.sizes)}"
        )
    alive = np.ones((trajectories.sizes["sample"], trajectories.sizes["time"]), dtype=bool)
    if "failure_time" in trajectories:  # NaN where there was none
        alive = ~(trajectories.time.values >= trajectories.failure_time.values[:, None])
    order = ("sample", "time", "x", "y", "component")
    return tuple(trajectories[name].transpose(*order).values[alive] for name in ("spin", "field"))


def _torque(spins, fields):
    """Root mean square torque of each frame."""
    return np.sqrt(np.square(np.cross(spins, fields)).sum(-1).mean(axis=(1, 2)))


def _draw(rng, pool, n):
    """Draw ``n`` of a pool, each once before any twice."""
    rounds, rest = divmod(n, len(pool))
    return np.concatenate([np.tile(pool, rounds), rng.choice(pool, rest, replace=False)])
