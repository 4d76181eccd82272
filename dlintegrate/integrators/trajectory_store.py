"""Trajectories on disk: a zarr store, a folder of chunks, for sizes beyond one file.

Why version 2 of the format: there, all shapes stand in one small file of the store,
``.zmetadata``. It is replaced in one piece, after the data, so that readers see a
frame in every variable or in none. What a killed process wrote beyond is not
counted, and is overwritten when the run continues.
"""

import contextlib
import os
import shutil
import tempfile

import numpy as np
import xarray as xr

from .trajectory_file import (
    DESCRIPTIONS,
    STATUS_ATTRIBUTES,
    LastFrame,
    append_first,
    clear_errors,
)

#: A chunk of a variable has about this size, before compression...
CHUNK_BYTES = 8 * 2**20
#: ...and not more frames than this: a chunk is written anew while it fills up.
CHUNK_FRAMES = 4096

_DIMENSIONS = "_ARRAY_DIMENSIONS"  # by this name readers of version 2 find them


class TrajectoryStore:
    """An open zarr store; the same interface as :class:`TrajectoryFile`."""

    def __init__(self, path, arrays, attrs, store):
        self.path, self.store = os.fspath(path), store
        self.arrays, self.attrs = arrays, attrs

    @classmethod
    def create(cls, path, labels, frame, coords, attrs, status):
        """Write a store that holds frame 0; see :meth:`TrajectoryFile.create`.

        Raises
        ------
        ImportError
            If zarr is missing.
        """
        zarr = _import_zarr()
        with _new_folder(path) as temporary:
            group = zarr.create_group(temporary, zarr_format=2)

            def define(name, dtype, dims, shape, attributes=()):
                known = DESCRIPTIONS.get(name)
                described = dict(zip(("long_name", "units"), known, strict=True)) if known else {}
                return group.create_array(
                    name, shape=shape, chunks=_chunks(dims, shape, dtype), dtype=dtype,
                    fill_value=None,
                    attributes={_DIMENSIONS: list(dims), **described, **dict(attributes)},
                )  # fmt: skip

            with clear_errors(cls(path, {}, {}, temporary)):
                group.attrs.update(attrs)
                define("time", "f8", ("time",), (0,))
                marks = {"coordinates": " ".join(coords)} if coords else {}
                for name, (dims, values) in frame.items():
                    dims, shape = ("time", "sample", *dims), (0, *values.shape)
                    define(name, "f8", dims, shape, marks)
                for name, (dims, values) in coords.items():
                    define(name, values.dtype, dims, values.shape)[:] = values
                for name, words in labels.items():
                    words = np.asarray(words)
                    define(name, words.dtype, (name,), words.shape)[:] = words
                flags = {**STATUS_ATTRIBUTES, "flag_values": [0, 1, 2]}
                define("status", "i1", ("sample",), status.shape, flags)
                define("failure_time", "f8", ("sample",), status.shape)
                _count_in(temporary)
            with cls.open(temporary, append=True) as store:
                append_first(store, path, frame, status)

    @classmethod
    def open(cls, path, append=False):
        """Open a store for reading, or for appending.

        Raises
        ------
        OSError
            If it is missing or not a trajectory.
        ImportError
            If zarr is missing.
        """
        zarr = _import_zarr()
        name = os.fspath(path)
        if not os.path.exists(name):
            raise FileNotFoundError(f"{name} does not exist")
        try:
            group = zarr.open_group(
                name, mode="r+" if append else "r", zarr_format=2, use_consolidated=True
            )
            arrays = dict(group.arrays())
        except (OSError, ValueError) as error:
            raise OSError(f"{name} is not a readable zarr store: {error}") from None
        if "time" not in arrays or "status" not in arrays:
            raise OSError(f"{name} is not a trajectory written by dlintegrate")
        if append:
            _sweep(name)
        return cls(path, arrays, dict(group.attrs), name)

    @staticmethod
    def dataset(path):
        """The store as a Dataset in the order of the file; see :func:`open_trajectory`."""
        _import_zarr()
        return xr.open_dataset(
            os.fspath(path), engine="zarr", consolidated=True, decode_times=False
        )

    def append(self, times, frames, status, failure_time):
        """Add frames, then count them in; see :meth:`TrajectoryFile.append`."""
        start = self.arrays["time"].shape[0]
        stop = start + len(times)
        columns = {name: np.stack([frame[name] for frame in frames]) for name in frames[0]}
        with clear_errors(self):
            for name, values in {**columns, "time": np.asarray(times)}.items():
                array = self.arrays[name]
                array.resize((stop, *array.shape[1:]))
                array[start:stop] = values
            self.arrays["status"][:] = status
            self.arrays["failure_time"][:] = failure_time
            _count_in(self.store)

    def attributes(self):
        """The global attributes as a dict."""
        return dict(self.attrs)

    def last_frame(self, state_name):
        """The state to continue from."""
        index = self.arrays["time"].shape[0] - 1
        per_sample = {
            name: array[:]
            for name, array in self.arrays.items()
            if tuple(array.attrs[_DIMENSIONS]) == ("sample",)
        }
        status, failure_time = (per_sample.pop(name) for name in ("status", "failure_time"))
        fraction = np.zeros(len(status))
        if "fallback_fraction" in self.arrays:
            fraction = self.arrays["fallback_fraction"][index]
        state = np.ascontiguousarray(self.arrays[state_name][index], dtype=np.float64)
        return LastFrame(index, state, per_sample, fraction, status, failure_time)

    def close(self):
        """Nothing is open between two calls."""

    def abandon(self):
        """The same: what is not counted in does not exist."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _import_zarr():
    try:
        import zarr
    except ImportError:
        raise ImportError('a path "*.zarr" needs zarr: pip install "dlintegrate[zarr]"') from None
    return zarr


def _chunks(dims, shape, dtype):
    """Frames together while they are small; samples apart where one frame is large."""
    if "time" not in dims:
        return tuple(max(1, n) for n in shape)
    frame = shape[1:]
    size = np.dtype(dtype).itemsize * int(np.prod(frame))
    if size <= CHUNK_BYTES:
        return (min(CHUNK_FRAMES, CHUNK_BYTES // max(1, size)), *frame)
    n_samples = max(1, CHUNK_BYTES * frame[0] // size)
    return (1, n_samples, *frame[1:])


def _count_in(store):
    """Make the present shapes the valid ones: one file, replaced in one piece."""
    _import_zarr().consolidate_metadata(store, zarr_format=2)


def _sweep(store):
    """Remove the unfinished chunks of a killed process."""
    folders = [store, *(entry.path for entry in os.scandir(store) if entry.is_dir())]
    for folder in folders:
        for entry in os.scandir(folder):
            if entry.name.endswith(".partial"):
                os.unlink(entry.path)


@contextlib.contextmanager
def _new_folder(path):
    """Yield a temporary folder that becomes ``path`` only if the block succeeds."""
    parent = os.path.dirname(os.path.abspath(path))
    temporary = tempfile.mkdtemp(dir=parent, prefix=".dlintegrate-", suffix=".part")
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o777 & ~umask)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
