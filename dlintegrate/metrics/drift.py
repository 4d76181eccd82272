"""How far a trajectory leaves the values that the exact dynamics keeps."""

import numpy as np
import xarray as xr

from ._trajectories import (
    blocks,
    kind_of,
    lost_frames,
    n_sites,
    over_samples,
    sample_coords,
    states_of,
    warn_lost,
)


def energy_drift(trajectory, system=None):
    """Energy per site or particle relative to its initial value (Park 2022, Eqs 4.10, 5.18).

    ``ẽ(t) = e(t) - e(0)`` of each sample, and over the samples its mean (Fig. 5.10), the
    mean of ``|ẽ|`` and the standard deviation of ``ẽ``.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned; or spins or particles with a time dimension, then
        with ``system``.
    system : System, optional
        Computes the energy where the trajectory has none.

    Returns
    -------
    xarray.Dataset
        ``drift(sample, time)``, ``mean(time)``, ``mean_absolute(time)``, ``std(time)``
        (population), ``n_samples(time)``; energies per site in units of J, or per
        particle in units of ε.

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
    states = states_of(trajectory)
    energy = _energies(trajectory, states, system) / n_sites(states)
    drift = _mask_lost(energy - energy[:, :1], trajectory)
    return _summarize(drift, states, "energy")


def momentum_drift(trajectory):
    """Total momentum per particle relative to its initial value.

    ``|P(t) - P(0)|/n``, the length of the vector. The mean of the drift is that of its
    length, so ``mean`` and ``mean_absolute`` are the same.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with a time dimension.

    Returns
    -------
    xarray.Dataset
        ``drift(sample, time)``, ``mean(time)``, ``mean_absolute(time)``, ``std(time)``
        (population), ``n_samples(time)``; in units of (mε)^½.

    Warns
    -----
    RuntimeWarning
        If samples failed; as for :func:`energy_drift`.
    """
    states = states_of(trajectory, kinds=("phase_space", "atoms"))
    total = _totals(trajectory, states, "momentum") / n_sites(states)
    length = np.linalg.norm(total - total[:, :1], axis=-1)
    return _summarize(_mask_lost(length, trajectory), states, "momentum")


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
        ``drift(sample, time)``, ``mean(time)``, ``mean_absolute(time)``, ``std(time)``
        (population), ``n_samples(time)``, and the stricter
        ``vector_drift(sample, time)`` with ``mean_vector_drift(time)``.

    Warns
    -----
    RuntimeWarning
        If samples failed; as for :func:`energy_drift`.
    """
    spins = states_of(trajectory, kinds=("spin", "atoms"))
    m = _totals(trajectory, spins, "magnetization") / n_sites(spins)
    magnitude = np.linalg.norm(m, axis=-1)
    drift = _mask_lost(magnitude - magnitude[:, :1], trajectory)
    result = _summarize(drift, spins, "magnetization")
    vector = np.where(np.isnan(drift), np.nan, np.linalg.norm(m - m[:, :1], axis=-1))
    result["vector_drift"] = (("sample", "time"), vector)
    result["mean_vector_drift"] = ("time", over_samples(vector)[0])
    return result


def _energies(trajectory, states, system):
    if isinstance(trajectory, xr.Dataset) and "energy" in trajectory:
        return trajectory["energy"].transpose("sample", "time").values.astype(np.float64)
    if system is None:
        raise ValueError("the trajectory has no variable 'energy'; pass system to compute it")
    energy = np.empty((states.sizes["sample"], states.sizes["time"]))
    for block in blocks(states):
        part = states[:, block].drop_vars(("sample", "time"), errors="ignore")
        part = part.stack(frame=("sample", "time"), create_index=False)
        part = part.transpose("frame", ...).rename(frame="sample")
        energy[:, block] = system.resized(part.shape[1:]).energy(part).reshape(len(energy), -1)
    return energy


def _totals(trajectory, states, name):
    """Sum over sites of the spins or momenta, shape (n_samples, n_times, n_components)."""
    if isinstance(trajectory, xr.Dataset) and name in trajectory:
        total = trajectory[name].transpose("sample", "time", "component")
        return total.values.astype(np.float64)
    total = np.empty((states.sizes["sample"], states.sizes["time"], states.sizes["component"]))
    for block in blocks(states):
        part = states[:, block]
        if kind_of(states) != "spin":
            part = part[:, :, {"momentum": 1, "magnetization": 2}[name]]
        part = part.values
        axes = tuple(range(2, part.ndim - 1))
        total[:, block] = part.sum(axis=axes, dtype=np.float64)
    return total


def _mask_lost(drift, trajectory):
    lost = lost_frames(trajectory)
    warn_lost(lost, "trajectory", "their drift is NaN from then on and left out of the mean", 4)
    return np.where(lost, np.nan, drift)


def _summarize(drift, states, quantity):
    mean_absolute, _, count = over_samples(np.abs(drift))
    mean, std, _ = over_samples(drift)
    return xr.Dataset(
        {
            "drift": (("sample", "time"), drift),
            "mean": ("time", mean),
            "mean_absolute": ("time", mean_absolute),
            "std": ("time", std),
            "n_samples": ("time", count),
        },
        sample_coords(states),
        {"quantity": quantity, "units": "1", "states": kind_of(states)},
    )
