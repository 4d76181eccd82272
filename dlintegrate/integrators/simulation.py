"""The one simulation loop: frames, progress, writer, resume, health of each sample."""

import json
import numbers
import os
import signal
import threading
import time
import warnings

import numpy as np
import xarray as xr

from .. import __version__
from ..persistence import encode, fingerprint
from ..states import FAILED, FELL_BACK, OK, name_samples
from .trajectory import open_trajectory, storage_of
from .trajectory_file import describe

#: Frames are handed to the file in chunks of about this size or this age.
CHUNK_BYTES = 8 * 2**20
CHUNK_SECONDS = 5.0
#: What a trajectory holds besides the variables of its frames.
_OF_A_RUN = ("time", "status", "failure_time")


def simulate(integrator, initial, t_max, *, save_every, path, progress):
    """See :meth:`Integrator.simulate`."""
    system, array = integrator.validate(initial, "initial")
    n_frames = _count_frames(integrator, t_max, save_every)
    if path is not None and os.path.exists(path):
        raise FileExistsError(
            f"path={os.fspath(path)!r} exists; delete it, or continue it with resume()"
        )
    attrs = _attributes(integrator, system, save_every)
    run = _Run(integrator, system, array, save_every)
    frame = _frame_variables(system, run)
    coords = {**_sample_coords(initial), **_own_coords(system, array)}
    # such as the times of frames of which someone made samples: here they have another meaning
    coords = {name: c for name, c in coords.items() if name not in {*frame, *_OF_A_RUN}}
    if path is None:
        recorder = _Memory(system, frame, n_frames, coords, attrs)
    else:
        storage_of(path).create(path, system.state_coords, frame, coords, attrs, run.status)
        recorder = _Stream(path)
    _loop(run, recorder, n_frames, progress)
    return recorder.dataset()


def resume(integrator, path, t_max, *, progress):
    """See :meth:`Integrator.resume`."""
    with storage_of(path).open(path) as file:
        attrs, last = file.attributes(), file.last_frame(integrator.system.state_name)
    _check_same(integrator, attrs, path)
    save_every = int(attrs["save_every"])
    system = integrator.simulated.resized(last.state.shape[1:])
    n_frames = _count_frames(integrator, t_max, save_every)
    run = _Run(integrator, system, system.pack(last.state, last.coords), save_every)
    run.frame = last.index
    run.restore(last)
    _check_possible(run, path)
    recorder = _Stream(path)
    _loop(run, recorder, n_frames, progress)
    return recorder.dataset()


class _Run:
    """The state of a simulation: current frame, health of each sample."""

    def __init__(self, integrator, system, array, save_every):
        self.integrator, self.system = integrator, system
        self.state = array
        self.save_every = save_every
        self.frame = 0
        self.status = np.zeros(len(array), dtype=np.int8)
        self.failure_time = np.full(len(array), np.nan)
        self.fallbacks = np.zeros(len(array), dtype=np.int64) if integrator.falls_back else None

    @property
    def time(self):
        """Time of the current frame, by multiplication so that nothing accumulates."""
        return self.frame * self.save_every * self.integrator.checked_dt()

    def restore(self, last):
        """Take over from a file; what it notes after its last frame is met again."""
        known = ~(np.abs(last.failure_time) > abs(self.time))
        failed = known & (last.status == FAILED)
        self.failure_time = np.where(failed, last.failure_time, np.nan)
        if self.fallbacks is not None:
            steps = last.fallback_fraction * self.steps_of_samples
            self.fallbacks = np.rint(steps).astype(np.int64)
        self._note_health(failed)

    @property
    def n_steps(self):
        """Steps made so far."""
        return self.frame * self.save_every

    @property
    def steps_of_samples(self):
        """The same for each sample: up to its failure."""
        until = np.rint(self.failure_time / self.integrator.checked_dt())
        return np.where(np.isnan(until), self.n_steps, until).astype(np.int64)

    def _note_health(self, failed):
        fell_back = False if self.fallbacks is None else self.fallbacks > 0
        self.status = np.where(failed, FAILED, np.where(fell_back, FELL_BACK, OK)).astype(np.int8)

    def advance(self):
        """Go to the next frame. Samples that fail stay as they were; the rest go on."""
        alive = self.status != FAILED
        if alive.all():  # neither selects nor copies: the usual case
            new, fallbacks = self.integrator.advance_counting(self.state, self.save_every)
        else:
            new, fallbacks = self.state.copy(), 0
            if alive.any():
                new[alive], fallbacks = self.integrator.advance_counting(
                    self.state[alive], self.save_every
                )
        if self.fallbacks is not None:
            self.fallbacks[alive] += fallbacks
        self.frame += 1
        failed = alive & ~self.system.healthy(new)
        if failed.any():
            new[failed] = self.state[failed]
            self.failure_time[failed] = self.time
        self._note_health(~alive | failed)
        self.state = new


def _loop(run, recorder, n_frames, progress):
    from tqdm.auto import tqdm

    bar = tqdm(
        total=n_frames, initial=run.frame, unit="frame", disable=not progress,
        desc=progress if isinstance(progress, str) else type(run.integrator).__name__,
    )  # fmt: skip
    with _deferred_interrupt() as interrupt:
        try:
            while run.frame < n_frames and not interrupt.requested:
                run.advance()
                recorder.record(run)
                bar.update()
        finally:
            bar.close()
            recorder.finish(run)
    if interrupt.requested:
        raise KeyboardInterrupt(f"stopped at t = {run.time:g}; resume() continues a streamed run")
    failed = run.status == FAILED
    if failed.any():
        first = np.nanmin(np.abs(run.failure_time))
        warnings.warn(
            f"{name_samples(failed)} failed, the first at t = {first:.4g}, and stay frozen at "
            "their last good frame; see status and failure_time, or use a smaller dt",
            RuntimeWarning,
            stacklevel=4,
        )


class _deferred_interrupt:
    """Let Ctrl-C end the loop between two frames; a second one interrupts at once.

    An exception in the middle of a write would leave half a record.
    """

    requested = False

    def __enter__(self):
        self.previous = None
        if threading.current_thread() is threading.main_thread():
            self.previous = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_):
        self.requested = True
        signal.signal(signal.SIGINT, self.previous)

    def __exit__(self, *_):
        if self.previous is not None:
            signal.signal(signal.SIGINT, self.previous)


def _frame_variables(system, run):
    """What one frame records: name to (dims after sample, values)."""
    variables = {
        system.state_name: (system.state_dims, system.unpack(run.state)[0]),
        **system.observables(run.state),
    }
    if run.fallbacks is not None:
        variables["fallback_fraction"] = ((), run.fallbacks / np.maximum(1, run.steps_of_samples))
    return variables


class _Memory:
    """Keep all frames."""

    def __init__(self, system, frame, n_frames, coords, attrs):
        self.system, self.coords, self.attrs = system, coords, attrs
        self.times = np.full(n_frames + 1, np.nan)
        self.variables = {}
        for name, (dims, values) in frame.items():
            shape = (values.shape[0], n_frames + 1, *values.shape[1:])
            self.variables[name] = (("sample", "time", *dims), np.empty(shape))
        self._store(0, 0.0, frame)

    def record(self, run):
        self._store(run.frame, run.time, _frame_variables(self.system, run))

    def _store(self, number, time_, frame):
        self.times[number] = time_
        for name, (_, values) in frame.items():
            self.variables[name][1][:, number] = values

    def finish(self, run):
        self.health = {
            "status": ("sample", run.status),
            "failure_time": ("sample", run.failure_time),
        }

    def dataset(self):
        dataset = xr.Dataset(
            {**self.variables, **self.health},
            {"time": self.times, **self.coords, **self.system.state_coords},
            self.attrs,
        )
        return describe(dataset)


class _Stream:
    """Hand frames to the file in chunks; memory does not grow with the run."""

    def __init__(self, path):
        self.path = path
        self.file = storage_of(path).open(path, append=True)
        self.times, self.frames = [], []
        self.bytes, self.written = 0, time.monotonic()

    def record(self, run):
        frame = {k: v for k, (_, v) in _frame_variables(run.system, run).items()}
        self.times.append(run.time)
        self.frames.append(frame)
        self.bytes += sum(v.nbytes for v in frame.values())
        if self.bytes > CHUNK_BYTES or time.monotonic() - self.written > CHUNK_SECONDS:
            self.flush(run)

    def flush(self, run):
        if self.frames:
            frames, times = self.frames, self.times
            self.frames, self.times, self.bytes = [], [], 0
            self.file.append(times, frames, run.status, run.failure_time)
        self.written = time.monotonic()

    def finish(self, run):
        try:
            self.flush(run)
        finally:
            self.file.close()

    def dataset(self):
        return open_trajectory(self.path)


def _count_frames(integrator, t_max, save_every):
    if not isinstance(save_every, numbers.Integral) or save_every < 1:
        raise ValueError(f"save_every={save_every!r}: expected an int, 1 or more")
    dt = integrator.checked_dt()
    if not isinstance(t_max, numbers.Real) or not np.isfinite(t_max) or t_max / dt < 0:
        raise ValueError(f"t_max={t_max!r}: expected a finite time with the sign of dt={dt}")
    return round(t_max / (dt * save_every))


def _sample_coords(initial):
    if not isinstance(initial, xr.DataArray):
        return {}
    return {
        name: (("sample",), coord.values)
        for name, coord in initial.coords.items()
        if coord.dims == ("sample",) and coord.dtype.kind in "fiu"
    }


def _own_coords(system, array):
    """What the system itself attaches to each sample, such as the box."""
    return {name: (("sample",), values) for name, values in system.unpack(array)[1].items()}


def _attributes(integrator, system, save_every):
    # of spins, whose sites are nowhere else; what a crystal calls its lattice is a parameter
    on_lattice = system.state_name == "spin" and hasattr(system, "lattice")
    return {
        "Conventions": "CF-1.10",
        "title": f"{type(system).__name__} integrated by {type(integrator).__name__}",
        "dlintegrate_version": __version__,
        "dt": integrator.checked_dt(),
        "save_every": int(save_every),
        "integrator": _parameters_json(integrator),
        "system": _parameters_json(system),
        **({"lattice": system.lattice} if on_lattice else {}),
        "fingerprint": _fingerprint(integrator),
    }


def _parameters_json(estimator):
    """Class and parameters for people and scripts to read; weights are left out."""

    def short(tree):
        if isinstance(tree, dict):
            if "array" in tree:
                return "array"
            if "class" in tree:
                return {"class": tree["class"], **{k: short(v) for k, v in tree["params"].items()}}
            return short(next(iter(tree.values())))
        return [short(v) for v in tree] if isinstance(tree, list) else tree

    try:
        return json.dumps(short(encode(estimator, {})))
    except TypeError:
        return json.dumps(repr(estimator))


def _fingerprint(integrator):
    try:
        return fingerprint(integrator)
    except TypeError:  # a class of the user's that holds something else
        return "unknown"


def _check_possible(run, path):
    """Raise ValueError if a file ends with states that no run could have got through to."""
    damaged = (run.status != FAILED) & ~run.system.healthy(run.state)
    if run.frame and damaged.any():
        raise ValueError(
            f"{os.fspath(path)} is damaged: its last frame, t = {run.time:g}, holds impossible "
            f"states of {name_samples(damaged)}; restore it from a copy, or begin anew in another "
            "file"
        )


def _check_same(integrator, attrs, path):
    ours, theirs = _fingerprint(integrator), attrs.get("fingerprint", "unknown")
    if ours != theirs and "unknown" not in (ours, theirs):
        raise ValueError(
            f"{os.fspath(path)} was written by another integrator: {attrs.get('integrator')}; "
            f"this one is {_parameters_json(integrator)}. Resume with the one that started it"
        )
