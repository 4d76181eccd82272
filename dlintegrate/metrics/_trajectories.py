"""What every metric needs to know of a trajectory: its spins, its times, its lost samples."""

import math
import warnings

import numpy as np
import xarray as xr

from ..states import FAILED, name_samples

#: Trajectories are read in blocks of frames of about this size.
_BLOCK_BYTES = 64 * 2**20


def spins_of(trajectory, name="trajectory"):
    """Return the spins as a DataArray ``("sample", "time", ...)``.

    Raises
    ------
    TypeError
        If it is neither a Dataset nor a DataArray.
    ValueError
        If spins or dimensions are missing.
    """
    spins = trajectory
    if isinstance(trajectory, xr.Dataset):
        if "spin" not in trajectory:
            raise ValueError(
                f"{name} has no variable 'spin', only {sorted(map(str, trajectory.data_vars))}; "
                "pass what simulate() returned"
            )
        spins = trajectory["spin"]
    if not isinstance(spins, xr.DataArray):
        raise TypeError(
            f"{name} is a {type(trajectory).__name__}; expected the Dataset of simulate(), or a "
            "DataArray of spins with dimensions sample, time, x, …, component"
        )
    missing = [d for d in ("sample", "time", "component") if d not in spins.dims]
    if missing:
        raise ValueError(
            f"{name} has dimensions {spins.dims} and lacks {missing}; expected "
            "sample, time, x, …, component"
        )
    for dim in ("sample", "time"):
        if spins.sizes[dim] == 0:
            raise ValueError(f"{name} is empty along {dim!r}: sizes {dict(spins.sizes)}")
    return spins.transpose("sample", "time", ..., "component")


def times_of(array, name="trajectory"):
    """Return the saved times, shape (n_times,)."""
    if "time" not in array.coords:
        raise ValueError(f"{name} has no coordinate 'time'; add it: assign_coords(time=…)")
    return np.asarray(array["time"].values, dtype=np.float64)


def n_sites(spins):
    """Number of spins of one sample."""
    return math.prod(n for d, n in spins.sizes.items() if d not in ("sample", "time", "component"))


def check_same_frames(spins, reference):
    """Check that two trajectories hold the same samples, sites and times.

    xarray would silently keep only what both have; a metric must not.

    Raises
    ------
    ValueError
        With what differs and what to do.
    """
    ours = {d: n for d, n in spins.sizes.items() if d != "time"}
    theirs = {d: n for d, n in reference.sizes.items() if d != "time"}
    if ours != theirs:
        raise ValueError(f"trajectory has sizes {ours}, reference has {theirs}; they must agree")
    t, t_ref = times_of(spins), times_of(reference, "reference")
    # times are multiples of different dt, so they agree only to rounding
    tolerance = 1e-9 * max(1.0, float(np.abs(t).max()))
    if t.shape != t_ref.shape or np.abs(t - t_ref).max() > tolerance:
        raise ValueError(
            f"the times of trajectory ({_summary(t)}) and reference ({_summary(t_ref)}) differ; "
            "choose save_every so that both are saved at the same times, or select them: "
            "reference.sel(time=trajectory.time, method='nearest', tolerance=1e-9)"
        )
    if "sample" in spins.indexes and "sample" in reference.indexes:
        if not np.array_equal(spins["sample"].values, reference["sample"].values):
            raise ValueError("trajectory and reference have different coordinates 'sample'")


def _summary(t):
    return f"{t.size} from {t[0]:.6g} to {t[-1]:.6g}"


def lost_frames(trajectory):
    """Mark the frames that a failed sample did not reach, shape (n_samples, n_times)."""
    shape = trajectory.sizes["sample"], trajectory.sizes["time"]
    if not isinstance(trajectory, xr.Dataset) or "status" not in trajectory:
        return np.zeros(shape, dtype=bool)
    failed = trajectory["status"].values == FAILED
    since = np.zeros(shape[0])
    if "failure_time" in trajectory:
        since = np.nan_to_num(np.abs(trajectory["failure_time"].values), nan=0.0)
    t = np.abs(times_of(trajectory))
    return failed[:, None] & (t[None, :] >= since[:, None] * (1 - 1e-12))


def warn_lost(lost, what, consequence):
    """Say which samples were lost; a metric never drops one silently."""
    samples = lost.any(axis=1)
    if samples.any():
        warnings.warn(
            f"{what}: {name_samples(samples)} failed; {consequence}", RuntimeWarning, stacklevel=4
        )


def blocks(spins):
    """Yield slices of time that fit into memory, whatever the length of the file."""
    frame = max(1, spins[:, :1].nbytes)
    length = max(1, _BLOCK_BYTES // frame)
    for start in range(0, spins.sizes["time"], length):
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
