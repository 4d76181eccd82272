"""What every metric needs to know of a trajectory: its states, its times, its lost samples."""

import math
import warnings

import numpy as np
import xarray as xr

from ..states import FAILED, in_order, name_samples

#: Trajectories are read in blocks of frames of about this size.
_BLOCK_BYTES = 64 * 2**20

#: Kind of state to the dimensions that a user may expect.
_KINDS = {
    "spin": "sample, time, x, …, component",
    "phase_space": "sample, time, variable, particle, component",
    "atoms": "sample, time, variable, atom, component",
}
#: Variable that holds them, where it has not the name of the kind.
_VARIABLE = {"atoms": "phase_space"}
#: Variables of a state, in their order.
_ORDER = {"phase_space": ["position", "momentum"], "atoms": ["position", "momentum", "spin"]}
#: Dimensions of a state that do not count sites.
_INNER = ("variable", "component")


def states_of(trajectory, name="trajectory", kinds=tuple(_KINDS)):
    """Return the states as a DataArray ``("sample", "time", ...)``.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
    name : str
        What to call it in error messages.
    kinds : sequence of str
        Which states are meant: ``"spin"``, ``"phase_space"`` (particles), ``"atoms"``.

    Raises
    ------
    TypeError
        If it is neither a Dataset nor a DataArray.
    ValueError
        If states or dimensions are missing.
    """
    states = trajectory
    expected = " or ".join(_KINDS[kind] for kind in kinds)
    if isinstance(trajectory, xr.Dataset):
        wanted = list(dict.fromkeys(_VARIABLE.get(kind, kind) for kind in kinds))
        found = [variable for variable in wanted if variable in trajectory]
        if not found:
            raise ValueError(
                f"{name} has no variable {' or '.join(map(repr, wanted))}, only "
                f"{sorted(map(str, trajectory.data_vars))}; pass what simulate() returned"
            )
        states = trajectory[found[0]]
    if not isinstance(states, xr.DataArray):
        raise TypeError(
            f"{name} is a {type(trajectory).__name__}; expected the Dataset of simulate(), or a "
            f"DataArray of states with dimensions {expected}"
        )
    kind = kind_of(states)
    needed = ("sample", "time", "component") if kind == "spin" else _KINDS[kind].split(", ")
    missing = [d for d in needed if d not in states.dims]
    if missing or kind not in kinds:
        fault = f" and lacks {missing}" if missing else ""
        raise ValueError(f"{name} has dimensions {states.dims}{fault}; expected {expected}")
    for dim in ("sample", "time"):
        if states.sizes[dim] == 0:
            raise ValueError(f"{name} is empty along {dim!r}: sizes {dict(states.sizes)}")
    if kind in _ORDER:
        states = in_order(states, _ORDER[kind], name)
    return states.transpose("sample", "time", ..., *needed[2:])


def kind_of(states):
    """``"phase_space"`` for particles, ``"atoms"``, or else ``"spin"``: told by the dimensions."""
    if "atom" in states.dims:
        return "atoms"
    return "phase_space" if "particle" in states.dims else "spin"


def spins_of(trajectory, name="trajectory"):
    """As :func:`states_of`, of spins only."""
    return states_of(trajectory, name, ("spin",))


def atoms_of(trajectory, name="trajectory"):
    """As :func:`states_of`, of atoms with moments: positions, momenta and spins."""
    return states_of(trajectory, name, ("atoms",))


def particles_of(trajectory, name="trajectory"):
    """As :func:`states_of`, of particles only, positions before momenta."""
    states = states_of(trajectory, name, ("phase_space",))
    if states.sizes["variable"] != 2:
        raise ValueError(
            f"{name} has {states.sizes['variable']} variables; expected {_ORDER['phase_space']}"
        )
    return states


def box_lengths(particles, name="trajectory"):
    """Side of the box of each sample, shape (n_samples,).

    Raises
    ------
    ValueError
        If there is no coordinate ``box_length``.
    """
    if "box_length" not in particles.coords:
        raise ValueError(
            f"{name} has no coordinate 'box_length', so there are no shortest images; add it: "
            "assign_coords(box_length=('sample', …))"
        )
    box = np.broadcast_to(particles["box_length"].values, particles.sizes["sample"])
    return box.astype(np.float64)


def times_of(array, name="trajectory"):
    """Return the saved times, shape (n_times,)."""
    if "time" not in array.coords:
        raise ValueError(f"{name} has no coordinate 'time'; add it: assign_coords(time=…)")
    return np.asarray(array["time"].values, dtype=np.float64)


def n_sites(states):
    """Number of spins or particles of one sample."""
    other = ("sample", "time", *_INNER)
    return math.prod(n for d, n in states.sizes.items() if d not in other)


def check_same_frames(states, reference):
    """Check that two trajectories hold the same samples, sites, boxes and times.

    xarray would silently keep only what both have; a metric must not.

    Raises
    ------
    ValueError
        With what differs and what to do.
    """
    ours = {d: n for d, n in states.sizes.items() if d != "time"}
    theirs = {d: n for d, n in reference.sizes.items() if d != "time"}
    if ours != theirs:
        raise ValueError(f"trajectory has sizes {ours}, reference has {theirs}; they must agree")
    t, t_ref = times_of(states), times_of(reference, "reference")
    # times are multiples of different dt, so they agree only to rounding
    tolerance = 1e-9 * max(1.0, float(np.abs(t).max()))
    if t.shape != t_ref.shape or np.abs(t - t_ref).max() > tolerance:
        raise ValueError(
            f"the times of trajectory ({_summary(t)}) and reference ({_summary(t_ref)}) differ; "
            "choose save_every so that both are saved at the same times, or select them: "
            "reference.sel(time=trajectory.time, method='nearest', tolerance=1e-9)"
        )
    for label in ("sample", "box_length"):
        if label in states.coords and label in reference.coords:
            if not np.array_equal(states[label].values, reference[label].values):
                raise ValueError(f"trajectory and reference have different coordinates {label!r}")


def _summary(t):
    return f"{t.size} from {t[0]:.6g} to {t[-1]:.6g}"


def lost_frames(trajectory):
    """Mark the frames that a failed sample did not reach, shape (n_samples, n_times).

    A trajectory of ``simulate`` says which; in other states they are those that are not finite.
    """
    shape = trajectory.sizes["sample"], trajectory.sizes["time"]
    if not isinstance(trajectory, xr.Dataset) or "status" not in trajectory:
        lost, states = np.zeros(shape, dtype=bool), states_of(trajectory)
        for block in blocks(states):
            part = states[:, block].values
            lost[:, block] = ~np.isfinite(part.reshape(*part.shape[:2], -1)).all(axis=2)
        return lost
    failed = trajectory["status"].values == FAILED
    since = np.zeros(shape[0])
    if "failure_time" in trajectory:
        since = np.nan_to_num(np.abs(trajectory["failure_time"].values), nan=0.0)
    t = np.abs(times_of(trajectory))
    return failed[:, None] & (t[None, :] >= since[:, None] * (1 - 1e-12))


def warn_lost(lost, what, consequence, stacklevel=3):
    """Say which samples were lost; a metric never drops one silently.

    By default the warning points at the caller of the metric that calls this.
    """
    samples = lost.any(axis=1)
    if samples.any():
        warnings.warn(
            f"{what}: {name_samples(samples)} failed; {consequence}",
            RuntimeWarning,
            stacklevel=stacklevel,
        )


def blocks(states, dim="time"):
    """Yield slices of time (or of samples) that fit into memory, whatever the size of the file."""
    one = max(1, states.nbytes // states.sizes[dim])
    length = max(1, _BLOCK_BYTES // one)
    for start in range(0, states.sizes[dim], length):
        yield slice(start, start + length)


def sample_coords(array):
    """Coordinates of samples and times, for the result."""
    return {
        name: coord.variable
        for name, coord in array.coords.items()
        if coord.dims in (("sample",), ("time",))
    }


def over_samples(values):
    """Mean, standard deviation and number of the finite values along axis 0.

    Returns
    -------
    mean, std : ndarray, shape (n_times,)
        NaN where no sample is left.
    count : ndarray of int, shape (n_times,)
    """
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    some = np.where(count > 0, count, np.nan)
    mean = np.where(finite, values, 0.0).sum(axis=0) / some
    variance = (np.where(finite, values - mean, 0.0) ** 2).sum(axis=0) / some
    return mean, np.sqrt(variance), count


def standard_error(values):
    """Standard error of the mean of the finite values along axis 0; NaN for fewer than two."""
    _, std, count = over_samples(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 1, std / np.sqrt(count - 1.0), np.nan)


def temperature_indexers(trajectory):
    """Temperature to the indexer of its samples, sorted; ``{None: all}`` without one."""
    if "temperature" not in trajectory.coords:
        return {None: slice(None)}
    if trajectory["temperature"].dims != ("sample",):
        return {float(trajectory["temperature"].values.flat[0]): slice(None)}
    temperature = trajectory["temperature"].values
    return {float(t): _as_slice(np.flatnonzero(temperature == t)) for t in np.unique(temperature)}


def _as_slice(index):
    """A slice where the samples are adjacent: then nothing is copied."""
    start, stop = int(index[0]), int(index[-1]) + 1
    return slice(start, stop) if stop - start == len(index) else index


def by_temperature(trajectory):
    """Split a trajectory by its coordinate ``temperature(sample)``.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        With a dimension ``sample``.

    Returns
    -------
    dict of float or None to the same type
        Sorted; ``{None: trajectory}`` if there is no temperature.

    Raises
    ------
    ValueError
        For the result of a metric, whose means are over all its samples: split
        the trajectory, then measure.

    Examples
    --------
    >>> import xarray as xr
    >>> from dlintegrate.metrics import by_temperature
    >>> energy = xr.DataArray([1.0, 2.0, 3.0], dims="sample",
    ...                       coords={"temperature": ("sample", [0.4, 2.4, 0.4])})
    >>> {t: part.size for t, part in by_temperature(energy).items()}
    {0.4: 2, 2.4: 1}
    """
    if isinstance(trajectory, xr.Dataset) and "n_samples" in trajectory:
        raise ValueError(
            "this is the result of a metric, with means over all temperatures; "
            "split the trajectory by temperature and measure the parts"
        )
    return {
        temperature: trajectory.isel(sample=samples) if temperature is not None else trajectory
        for temperature, samples in temperature_indexers(trajectory).items()
    }
