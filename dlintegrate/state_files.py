"""Sets of states as netCDF files, and the draws that a TOML file describes."""

import hashlib
import inspect
import json
import os
import warnings

import xarray as xr

from . import sampling, systems
from .configuration import check_complete, check_keys, choices, plain
from .integrators.record_count import check_records
from .persistence import replacing
from .states import FAILED
from .systems import AtomicSystem

#: What ``[samples] function`` may name.
FUNCTIONS = {
    "sample_canonical": sampling.sample_canonical,
    "sample_langevin": sampling.sample_langevin,
    "sample_park_states": sampling.sample_park_states,
    "sample_relaxation": sampling.sample_relaxation,
    "skyrmion_lattice": systems.skyrmion_lattice,
}
#: Variables that hold states.
_STATES = ("spin", "phase_space")


def write_states(states, path):
    """Write a set of states, in one piece.

    Parameters
    ----------
    states : xarray.DataArray
        As the sampling functions return it; coordinates and attributes come along.
    path : str or path-like

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        try:
            states.to_netcdf(temporary, engine="netcdf4")
        except RuntimeError as error:  # what the HDF5 library makes of a full disk
            raise OSError(f"cannot write {os.fspath(path)} ({error}); free some space") from error


def read_states(path):
    """Read a set of states; of a trajectory, the last frame of what has not failed.

    Parameters
    ----------
    path : str or path-like
        Written by :func:`write_states` or :meth:`Integrator.simulate`, or any netCDF file
        with one variable that has a dimension ``sample``.

    Returns
    -------
    xarray.DataArray
        In memory.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ValueError
        If it holds no states.

    Warns
    -----
    UserWarning
        If samples of a trajectory have failed.
    """
    with open_states(path) as data:
        states = data[_name_of_states(data, path)]
        if "time" in states.dims:
            states = states.isel(time=-1, drop=True)
            failed = data["status"].values == FAILED if "status" in data else None
            if failed is not None and failed.any():
                warnings.warn(
                    f"{os.fspath(path)}: {failed.sum()} failed samples are left out",
                    UserWarning, stacklevel=2,
                )  # fmt: skip
                states = states.isel(sample=~failed)
        return states.load()


def read_training_set(path, n=None, near_relaxed=0.0, random_state=None):
    """What to call ``fit`` with: states, or spins and fields where the file has fields.

    Parameters
    ----------
    path : str or path-like
    n, near_relaxed, random_state
        See :func:`~dlintegrate.torque_samples`; only for files with fields.

    Returns
    -------
    tuple
        ``(samples,)`` or ``(spins, fields)``.
    """
    with open_states(path) as data:
        if "field" in data:
            return sampling.torque_samples(data, n, near_relaxed, random_state)
    if n is not None or near_relaxed:
        raise ValueError(
            f"n={n!r}, near_relaxed={near_relaxed!r}: {os.fspath(path)} has no fields to draw from"
        )
    return (read_states(path),)


def training_set(configuration, *, n_jobs=None, progress=False):
    """The samples of ``[samples]``, from a file or drawn; see :func:`read_training_set`.

    Parameters
    ----------
    configuration : Configuration
    n_jobs : int, optional
    progress : bool

    Raises
    ------
    ValueError
        If the section is missing or says something impossible.
    """
    table = dict(_samples_table(configuration))
    if "file" not in table:
        return (draw(configuration, None, n_jobs=n_jobs, progress=progress),)
    path = configuration.path(table.pop("file"))
    for key in table:
        if key not in ("n", "near_relaxed"):
            raise ValueError(
                f"{configuration.name}: [samples] has file and {key!r}; a file may have "
                "n and near_relaxed beside it"
            )
    return read_training_set(path, **table, random_state=configuration.seed)


def draw(configuration, path, *, n_jobs=None, progress=False):
    """Draw the samples that ``[samples]`` describes.

    Parameters
    ----------
    configuration : Configuration
        Its ``samples`` has the parameters of a sampling function, named by ``function``
        (default ``sample_langevin`` for atoms, ``sample_canonical`` for others).
    path : str or path-like or None
        Where functions that write a file themselves should do so; such a file is continued.
    n_jobs : int, optional
    progress : bool

    Returns
    -------
    xarray.DataArray or None
        None if it was written to ``path``.

    Raises
    ------
    ValueError
        If the section is missing or says something impossible.
    """
    table = dict(_samples_table(configuration))
    name, where = table.pop("function", None), f"{configuration.name}: [samples]"
    system = configuration.system() if configuration.has("system") else None
    function = _function(name, system, where)
    known = list(inspect.signature(function).parameters)
    given = {
        "system": system, "model": system, "path": path, "shape": getattr(system, "shape", None),
        "random_state": configuration.seed, "n_jobs": n_jobs, "progress": progress,
    }  # fmt: skip
    given = {key: value for key, value in given.items() if key in known and value is not None}
    own = [key for key in known if key not in given or key == "shape"]
    where = f"{where} {function.__name__}"
    check_keys(table, own, where)
    if "path" in known and path is None:
        raise ValueError(f"{where} writes a file: draw with `dlintegrate sample`, then fit with it")
    arguments = {**given, **{key: plain(value) for key, value in table.items()}}
    check_complete(arguments, function, where)
    drawn = function(**arguments)
    if "path" in given:
        drawn.close()
        return None
    if isinstance(drawn, xr.DataArray):
        return drawn
    if system is None:
        raise ValueError(f"{configuration.name} has no [system]; {name} needs one")
    return xr.DataArray(drawn, dims=("sample", *system.state_dims), name=system.state_name)


def _function(name, system, where):
    if name is None and hasattr(system, "solver"):
        raise ValueError(
            f"{where} needs a function: {type(system).__name__} has no canonical sampler; use "
            '"skyrmion_lattice", or "sample_relaxation" for trajectories with their fields'
        )
    if name is None:
        name = "sample_langevin" if isinstance(system, AtomicSystem) else "sample_canonical"
    if name not in FUNCTIONS:
        raise ValueError(f"{where} function={name!r}: {choices(name, FUNCTIONS)}")
    return FUNCTIONS[name]


def described(states, configuration):
    """Attach what the samples were drawn from, for :func:`same_description`."""
    return states.assign_attrs(description=samples_description(configuration))


def same_description(path, configuration):
    """Whether a file holds the samples that a configuration describes."""
    with open_states(path) as data:
        attributes = data[_name_of_states(data, path)].attrs
        return attributes.get("description") == samples_description(configuration)


def samples_description(configuration):
    """What decides about the samples of a configuration, as text.

    Parameters
    ----------
    configuration : Configuration

    Returns
    -------
    str
        With a digest of the file that they are read from, if they are.
    """
    parts = {key: configuration.table.get(key) for key in ("system", "samples")}
    parts["seed"] = configuration.seed
    table = parts["samples"]
    if table is not None and "file" in table:
        path = configuration.path(table["file"])
        if os.path.isfile(path):  # a zarr store is a folder, and goes by its name
            with open(path, "rb") as file:
                parts["digest"] = hashlib.file_digest(file, "sha256").hexdigest()
    return json.dumps(parts, sort_keys=True)


def _samples_table(configuration):
    if not configuration.has("samples"):
        raise ValueError(
            f'{configuration.name} has no [samples]; give file = "..." or, for instance, '
            "temperature and n_samples"
        )
    return configuration.table["samples"]


def open_states(path):
    """The file as a Dataset in the usual order of dimensions."""
    name = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{name}: no such file")
    try:
        engine = "zarr" if name.rstrip("/").endswith(".zarr") else "netcdf4"
        if engine == "netcdf4":
            check_records(path)
        data = xr.open_dataset(path, engine=engine, decode_times=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{name} is not a readable netCDF file: {error}") from None
    for key, words in data.coords.items():
        if words.dtype.kind in "OSU":  # padded to a common length in trajectories
            data[key] = words.astype(str).str.strip()
    return data.transpose("sample", "time", ..., missing_dims="ignore")


def _name_of_states(data, path):
    names = [name for name in _STATES if name in data]
    names = names or [name for name in data.data_vars if "sample" in data[name].dims]
    if len(names) != 1:
        raise ValueError(
            f"{os.fspath(path)} has the variables {', '.join(map(str, data.data_vars)) or 'none'}; "
            f"expected one of {', '.join(_STATES)} with a dimension sample"
        )
    return names[0]
