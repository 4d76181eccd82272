"""Trajectories on disk: an append-only netCDF file that survives a kill at any moment.

Why the CDF-5 layout of netCDF and not the HDF5 one: a CDF-5 file is a header and
a sequence of records, one per frame. Appending never touches what was written,
and the number of valid records is one field of the header that is updated after
the data. An HDF5 file rearranges its internal trees as it grows and is lost if the
process dies at the wrong moment. The price: ``time`` is the first dimension in the
file; :func:`open_trajectory` gives the usual order.
"""

import os
from typing import NamedTuple

import numpy as np
import xarray as xr

from ..persistence import replacing
from ..states import FAILED, FELL_BACK, OK
from .record_count import check_records

_FORMAT = "NETCDF3_64BIT_DATA"


#: (long_name, units) of what a trajectory can hold.
DESCRIPTIONS = {
    "spin": ("spin direction", "1"),
    "time": ("time", "1"),
    "energy": ("total energy", "1"),
    "magnetization": ("total magnetization", "1"),
    "temperature": ("temperature the state was sampled at", "1"),
    "phase_space": ("position and momentum", "1"),
    "momentum": ("total momentum", "1"),
    "kinetic_temperature": ("kinetic temperature about the centre of mass", "1"),
    "pressure": ("virial pressure", "1"),
    "box_length": ("side of the periodic box", "1"),
    "density": ("particles per area", "1"),
    "fallback_fraction": ("fraction of the steps so far redone with small steps", "1"),
    "field": ("field on the spins, the external one included", "1"),
    "failure_time": ("time of the first frame that a failed sample did not reach", "1"),
}
STATUS_ATTRIBUTES = {
    "long_name": "health of the sample",
    "flag_values": np.array([OK, FELL_BACK, FAILED], dtype=np.int8),
    "flag_meanings": "ok fell_back failed",
}


def append_first(file, path, frame, status):
    """Write the frame at time 0 to a new file or store, which will be known by ``path``.

    Parameters
    ----------
    file : TrajectoryFile or TrajectoryStore
        Open for appending, under its temporary name.
    path : str or path-like
    frame : dict of str to (dims, ndarray)
    status : ndarray, shape (n_samples,)
    """
    file.path = os.fspath(path)
    values = {name: array for name, (_, array) in frame.items()}
    file.append([0.0], [values], status, np.full(len(status), np.nan))


def describe(dataset):
    """Add units, long names and the meaning of ``status``."""
    for name, (long_name, units) in DESCRIPTIONS.items():
        if name in dataset.variables:
            dataset[name].attrs.update(long_name=long_name, units=units)
    dataset["status"].attrs.update(STATUS_ATTRIBUTES)
    return dataset


class LastFrame(NamedTuple):
    """Where a file ends: frame index, state, coordinates and health of each sample."""

    index: int  # type: ignore[assignment]
    state: np.ndarray
    coords: dict
    fallback_fraction: np.ndarray
    status: np.ndarray
    failure_time: np.ndarray


class TrajectoryFile:
    """An open trajectory; use :meth:`create` and :meth:`open`."""

    def __init__(self, dataset, path):
        self.nc, self.path = dataset, os.fspath(path)

    @classmethod
    def create(cls, path, labels, frame, coords, attrs, status):
        """Write a file that holds frame 0; it appears at ``path`` complete or not at all.

        Parameters
        ----------
        path : str or path-like
        labels : dict of str to list of str
            Labels along the dimensions of a state.
        frame : dict of str to (dims, ndarray)
            The variables of a frame, axis 0 ``sample``.
        coords : dict of str to (dims, ndarray)
            Coordinates of the samples.
        attrs : dict
            Strings and numbers.
        status : ndarray, shape (n_samples,)
        """
        import netCDF4

        def define(name, dtype, dims):
            variable = nc.createVariable(name, dtype, dims)
            if name in DESCRIPTIONS:
                variable.long_name, variable.units = DESCRIPTIONS[name]
            return variable

        with replacing(path) as temporary:
            nc = netCDF4.Dataset(temporary, "w", format=_FORMAT)
            with cls(nc, path) as file, clear_errors(file):
                nc.set_fill_off()
                nc.setncatts(attrs)
                nc.createDimension("time", None)
                nc.createDimension("sample", len(status))
                for dims, values in frame.values():
                    for dim, size in zip(dims, values.shape[1:], strict=True):
                        if dim not in nc.dimensions:
                            nc.createDimension(dim, size)
                define("time", "f8", ("time",))
                for name, (dims, _) in frame.items():
                    variable = define(name, "f8", ("time", "sample", *dims))
                    if coords:  # CF: tells readers which variables are coordinates
                        variable.coordinates = " ".join(coords)
                for name, (dims, values) in coords.items():
                    define(name, values.dtype, dims)[:] = values
                for name, words in labels.items():
                    _define_words(nc, name, words)
                define("status", "i1", ("sample",)).setncatts(STATUS_ATTRIBUTES)
                define("failure_time", "f8", ("sample",))
            with cls.open(temporary, append=True) as file:
                append_first(file, path, frame, status)

    @classmethod
    def open(cls, path, append=False):
        """Open a file for reading, or for appending.

        Raises
        ------
        OSError
            If it is missing, truncated, or not a trajectory.
        """
        import netCDF4

        check_records(path)
        try:
            nc = netCDF4.Dataset(os.fspath(path), "a" if append else "r")
        except (OSError, RuntimeError) as error:
            raise OSError(f"{os.fspath(path)} is not a readable netCDF file: {error}") from None
        if "time" not in nc.dimensions or "status" not in nc.variables:
            nc.close()
            raise OSError(f"{os.fspath(path)} is not a trajectory written by dlintegrate")
        nc.set_auto_mask(False)
        if append:
            nc.set_fill_off()
        return cls(nc, path)

    @staticmethod
    def dataset(path):
        """The file as a Dataset in the order of the file; see :func:`open_trajectory`."""
        check_records(path)
        return xr.open_dataset(os.fspath(path), engine="netcdf4", decode_times=False)

    def append(self, times, frames, status, failure_time):
        """Add frames, then count them in, then return: everything is on its way to disk.

        Parameters
        ----------
        times : list of float
        frames : list of dict of str to ndarray
        status, failure_time : ndarray, shape (n_samples,)
        """
        start = len(self.nc.dimensions["time"])
        stop = start + len(times)
        with clear_errors(self):
            for name in frames[0]:
                self.nc[name][start:stop] = np.stack([frame[name] for frame in frames])
            self.nc["time"][start:stop] = times
            self.nc["status"][:] = status
            self.nc["failure_time"][:] = failure_time
            self.nc.sync()

    def attributes(self):
        """The global attributes as a dict."""
        return {name: self.nc.getncattr(name) for name in self.nc.ncattrs()}

    def last_frame(self, state_name):
        """The state to continue from."""
        index = len(self.nc.dimensions["time"]) - 1
        per_sample = {
            name: np.array(variable[:])
            for name, variable in self.nc.variables.items()
            if variable.dimensions == ("sample",)
        }
        status, failure_time = (per_sample.pop(name) for name in ("status", "failure_time"))
        fraction = np.zeros(len(status))
        if "fallback_fraction" in self.nc.variables:
            fraction = np.array(self.nc["fallback_fraction"][index])
        return LastFrame(
            index,
            np.ascontiguousarray(self.nc[state_name][index], dtype=np.float64),
            per_sample,
            fraction,
            status,
            failure_time,
        )

    def close(self):
        """Close the file, if it is open."""
        if self.nc.isopen():
            with clear_errors(self):
                self.nc.close()

    def abandon(self):
        """Give the file up after an error, leaving what is on disk as it is.

        Closing would try once more to write, and could count in records whose
        data never arrived. netCDF4 closes on collection too (and crashes if that
        is the second time), so the object has to forget that it is open; plain
        assignment would write a netCDF attribute.
        """
        is_open = vars(type(self.nc)).get("_isopen")
        if hasattr(is_open, "__set__"):
            is_open.__set__(self.nc, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _define_words(nc, name, words):
    """A coordinate of strings: a character array, which this format has instead."""
    length = f"{name}_length"
    characters = np.array([list(word.ljust(max(map(len, words)))) for word in words], dtype="S1")
    nc.createDimension(length, characters.shape[1])
    variable = nc.createVariable(name, "S1", (name, length))
    variable._Encoding = "utf-8"
    variable[:] = characters


class clear_errors:
    """Turn what the storage libraries raise on a full disk into one clear message."""

    def __init__(self, file):
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if kind is None:
            return
        self.file.abandon()
        if issubclass(kind, OSError | RuntimeError):
            raise OSError(
                f"cannot write the trajectory {self.file.path} ({error}). Complete frames "
                "written before are kept; free some space, then call resume()"
            ) from error
