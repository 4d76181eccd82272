"""Which storage a trajectory on disk has, and reading it whichever it is."""

import os

from .trajectory_file import TrajectoryFile
from .trajectory_store import TrajectoryStore


def storage_of(path):
    """The class that writes and reads ``path``: zarr for ``*.zarr``, netCDF for the rest."""
    return TrajectoryStore if os.fspath(path).rstrip("/").endswith(".zarr") else TrajectoryFile


def open_trajectory(path):
    """Open a trajectory on disk; variables are read when they are used.

    Parameters
    ----------
    path : str or path-like
        Written by ``simulate(path=…)``, finished, running or killed: a netCDF file,
        or a zarr store if it ends in ``.zarr``.

    Returns
    -------
    xarray.Dataset
        With dimensions ``("sample", "time", ...)``.

    Raises
    ------
    OSError
        If it is missing, truncated, or not what its name says.
    ImportError
        For a zarr store, if zarr is missing.
    """
    dataset = storage_of(path).dataset(path)
    for name, words in dataset.coords.items():
        if words.dtype.kind in "OSU":  # padded to a common length in the file
            dataset[name] = words.str.strip()
    return dataset.transpose("sample", "time", ...)
