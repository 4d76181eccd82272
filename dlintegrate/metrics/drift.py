"""How far a trajectory leaves the values that the exact dynamics keeps."""

import numpy as np
import xarray as xr

from ._trajectories import (
    blocks,
    lost_frames,
    n_sites,
    over_samples,
    sample_coords,
    spins_of,
    warn_lost,
)


def energy_drift(trajectory, system=None):
    """Energy per site relative to its initial value (Park 2022, Eq. 4.10).

    ``ẽ(t) = e(t) - e(0)`` of each sample, and over the samples the mean of
    ``|ẽ|`` and the standard deviation of ``ẽ``.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned; or spins with a time dimension, then with
        ``system``.
    system : System, optional
        Computes the energy where the trajectory has none.

    Returns
    -------
    xarray.Dataset
        ``drift(sample, time)``, ``mean_absolute(time)``, ``std(time)``
        (population), ``n_samples(time)``; energies in units of J per site.

    Raises
    ------
    ValueError
        If there is neither an energy nor a system.

    Warns
    -----
    RuntimeWarning
        If samples failed. They are frozen, so their drift would look small: it is
        NaN from the failure on, and left out of the mean and the deviation;
        ``n_samples`` tells how many are left.
    """
    spins = spins_of(trajectory)
    energy = _energies(trajectory, spins, system) / n_sites(spins)
    drift = _mask_lost(energy - energy[:, :1], trajectory)
    return _summarize(drift, sample_coords(spins), "energy")


def magnetization_drift(trajectory):
    """Magnetisation per site relative to its initial value (Park 2022, Eq. 4.10).

    The paper's m is the *magnitude* ``|Σ S_i|/N`` and ``m̃(t) = m(t) - m(0)``; the
    mean of ``|m̃|`` and the standard deviation of ``m̃`` are over samples. The
    magnitude is blind to a magnetisation that only turns, so the length of the
    vector drift ``|M(t) - M(0)|/N``, never smaller, is given too. Neither vanishes
    in an external field, about which the magnetisation precesses.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or spins with a time dimension.

    Returns
    -------
    xarray.Dataset
        ``drift(sample, time)``, ``mean_absolute(time)``, ``std(time)``
        (population), ``n_samples(time)``, and the stricter
        ``vector_drift(sample, time)`` with ``mean_vector_drift(time)``.

    Warns
    -----
    RuntimeWarning
        If samples failed; as for :func:`energy_drift`.
    """
    spins = spins_of(trajectory)
    m = _magnetizations(trajectory, spins) / n_sites(spins)
    magnitude = np.linalg.norm(m, axis=-1)
    drift = _mask_lost(magnitude - magnitude[:, :1], trajectory)
    result = _summarize(drift, sample_coords(spins), "magnetization")
    vector = np.where(np.isnan(drift), np.nan, np.linalg.norm(m - m[:, :1], axis=-1))
    result["vector_drift"] = (("sample", "time"), vector)
    result["mean_vector_drift"] = ("time", over_samples(vector)[0])
    return result


def _energies(trajectory, spins, system):
    if isinstance(trajectory, xr.Dataset) and "energy" in trajectory:
        return trajectory["energy"].transpose("sample", "time").values.astype(np.float64)
    if system is None:
        raise ValueError("the trajectory has no variable 'energy'; pass system to compute it")
    energy = np.empty((spins.sizes["sample"], spins.sizes["time"]))
    for block in blocks(spins):
        part = spins[:, block].values
        flat = part.reshape(-1, *part.shape[2:])
        energy[:, block] = system.energy(flat).reshape(part.shape[:2])
    return energy


def _magnetizations(trajectory, spins):
    if isinstance(trajectory, xr.Dataset) and "magnetization" in trajectory:
        m = trajectory["magnetization"].transpose("sample", "time", "component")
        return m.values.astype(np.float64)
    total = np.empty((spins.sizes["sample"], spins.sizes["time"], 3))
    for block in blocks(spins):
        part = spins[:, block].values
        axes = tuple(range(2, part.ndim - 1))
        total[:, block] = part.sum(axis=axes, dtype=np.float64)
    return total


def _mask_lost(drift, trajectory):
    lost = lost_frames(trajectory)
    warn_lost(lost, "trajectory", "their drift is NaN from then on and left out of the mean")
    return np.where(lost, np.nan, drift)


def _summarize(drift, coords, quantity):
    mean_absolute, _, count = over_samples(np.abs(drift))
    std = over_samples(drift)[1]
    return xr.Dataset(
        {
            "drift": (("sample", "time"), drift),
            "mean_absolute": ("time", mean_absolute),
            "std": ("time", std),
            "n_samples": ("time", count),
        },
        coords,
        {"quantity": quantity, "units": "1"},
    )
