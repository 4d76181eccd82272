"""How far particles are from where the reference has them."""

import numpy as np
import xarray as xr

from ._trajectories import (
    blocks,
    check_same_frames,
    lost_frames,
    over_samples,
    particles_of,
    sample_coords,
    warn_lost,
)


def phase_space_distance(trajectory, reference):
    """Mean square distance from the reference in phase space (Park 2022, Eq. 5.17, Fig. 5.9).

    ``Δ(t) = (1/n) Σ_i |q_i - q_i^ref|² + (1/n) Σ_i |p_i - p_i^ref|²`` with unwrapped
    positions, so a particle that went once around the box is not where it was. Grows
    exponentially until the trajectories have nothing in common, then diffusively.

    Parameters
    ----------
    trajectory, reference : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with dimensions ``("sample", "time",
        "variable", "particle", "component")``, at the same times and from the same
        initial states. Files are read in blocks.

    Returns
    -------
    xarray.Dataset
        ``distance(sample, time)``, and over the samples ``mean(time)``, ``std(time)``
        (population), ``median(time)`` and ``n_samples(time)``, in units of σ² (momenta in
        those of (mε)^½). A few samples that met a hard collision dominate the mean; the
        median is the typical one.

    Raises
    ------
    ValueError
        If samples, particles, boxes or times differ.

    Warns
    -----
    RuntimeWarning
        If samples failed. The distance of a sample of ``trajectory`` is infinite from its
        failure on: the median counts it, the mean leaves it out, and ``n_samples`` is the
        number of those in the mean. One whose ``reference`` failed is excluded (NaN) from
        both.
    """
    states, ref = particles_of(trajectory), particles_of(reference, "reference")
    check_same_frames(states, ref)
    distance = np.empty((states.sizes["sample"], states.sizes["time"]))
    for block in blocks(states):
        difference = np.subtract(states[:, block].values, ref[:, block].values, dtype=np.float64)
        distance[:, block] = np.einsum("ntvic,ntvic->nt", difference, difference)
    distance /= states.sizes["particle"]
    lost, unknown = lost_frames(trajectory), lost_frames(reference)
    distance[lost] = np.inf
    distance[unknown] = np.nan
    warn_lost(lost, "trajectory", "they are infinitely far from then on, and not in the mean")
    warn_lost(unknown, "reference", "they are left out from then on")
    return _summarize(distance, sample_coords(states))


def _summarize(distance, coords):
    mean, std, count = over_samples(distance)
    return xr.Dataset(
        {
            "distance": (("sample", "time"), distance),
            "mean": ("time", mean),
            "std": ("time", std),
            "median": ("time", _median(distance)),
            "n_samples": ("time", count),
        },
        coords,
        {"units": "1", "long_name": "mean square distance in phase space"},
    )


def _median(distance):
    """Median along axis 0, infinities included, NaN left out."""
    ordered = np.sort(distance, axis=0)  # NaN last
    known = (~np.isnan(distance)).sum(axis=0)
    column = np.arange(distance.shape[1])
    low, high = (ordered[np.maximum(k, 0), column] for k in ((known - 1) // 2, known // 2))
    return np.where(low == high, low, 0.5 * (low + high))
