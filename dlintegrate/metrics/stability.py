"""Whether particles have come closer than they can, and how often a step had to be redone."""

import numbers

import numpy as np
import xarray as xr

from .._kernels.pairs import force_over_distance
from ..states import FAILED
from ._trajectories import (
    blocks,
    box_lengths,
    lost_frames,
    over_samples,
    particles_of,
    sample_coords,
    times_of,
    warn_lost,
)

#: Closest approach in the paper's stable runs, in σ (Park 2022, section 5.2.1).
PARK_THRESHOLD = 0.7259


def unstable_count(trajectory, system, q_threshold=PARK_THRESHOLD, per_particle=True):
    """Number of samples that have shown too large a force (Park 2022, Eq. 5.16, Fig. 5.8).

    The bound is the pair force at a distance that stable runs do not reach,
    ``f_thrsh = |φ'(q_thrsh)|``. A sample counts from the first frame on in which
    ``max_k |f_k|/n > f_thrsh``; the paper divides the force by the number of particles.
    Only saved frames are looked at: save often.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with a time dimension and the coordinate
        ``box_length``.
    system : LennardJones2D
        Of any number of particles.
    q_threshold : float, default 0.7259
        In σ.
    per_particle : bool, default True
        Divide the force by n, as the paper does: then, with n = 16, a sample counts once
        two particles are nearer than 0.59 σ. False is stricter.

    Returns
    -------
    xarray.Dataset
        ``count(time)``, which never falls; ``n_samples(time)``, all of them;
        ``unstable(sample, time)`` and ``unstable_since(sample)``, NaN for those that are
        stable. The attribute ``threshold_force`` is f_thrsh.

    Raises
    ------
    ValueError
        On a distance that is not positive, or without ``box_length``.

    Warns
    -----
    RuntimeWarning
        If samples failed. They count from their failure on.
    """
    threshold = _threshold_force(system, q_threshold)
    states = particles_of(trajectory)
    n = states.sizes["particle"]
    largest = _largest_forces(states, system) / (n if per_particle else 1)
    lost = lost_frames(trajectory)
    warn_lost(lost, "trajectory", "they count as unstable from then on")
    # a force that is not finite is not below the bound either
    unstable = np.logical_or.accumulate(~(largest <= threshold) | lost, axis=1)
    since = np.where(unstable.any(axis=1), times_of(states)[unstable.argmax(axis=1)], np.nan)
    return xr.Dataset(
        {
            "count": ("time", unstable.sum(axis=0)),
            "n_samples": ("time", np.full(unstable.shape[1], len(unstable))),
            "unstable": (("sample", "time"), unstable),
            "unstable_since": ("sample", since),
        },
        sample_coords(states),
        {"threshold_force": threshold, "per_particle": int(per_particle)},
    )


def _threshold_force(system, q_threshold):
    if not isinstance(q_threshold, numbers.Real) or not 0 < q_threshold < np.inf:
        raise ValueError(f"q_threshold={q_threshold!r}: expected a positive distance in σ")
    r = float(q_threshold) * system.sigma
    return abs(float(force_over_distance(r * r, system.law)) * r)


def _largest_forces(states, system):
    """Largest force on a particle, shape (n_samples, n_times)."""
    largest = np.empty((states.sizes["sample"], states.sizes["time"]))
    box = box_lengths(states)
    for block in blocks(states):
        part = states[:, block].values
        flat = part.reshape(-1, *part.shape[2:])
        packed = system.pack(flat, {"box_length": np.repeat(box, part.shape[1])})
        with np.errstate(all="ignore"):
            square = (system.forces_of(packed) ** 2).sum(axis=-1).max(axis=1)
        largest[:, block] = np.sqrt(square).reshape(part.shape[:2])
    return largest


def fallback_fraction(trajectory):
    """Which part of the steps was redone with small base steps.

    Parameters
    ----------
    trajectory : xarray.Dataset
        What ``simulate`` of a :class:`~dlintegrate.CorrectedIntegrator` with a fallback
        returned.

    Returns
    -------
    xarray.Dataset
        ``fraction(sample)`` of the whole run; over samples ``mean`` and ``largest``;
        ``n_samples``, ``n_fell_back`` (at least one step), ``n_failed``. The coordinates
        of the samples come along, so ``result.fraction.groupby("temperature").mean()``
        gives it per temperature. The steps of a sample that failed are counted up to its
        failure.

    Raises
    ------
    ValueError
        If the trajectory records no fallback.
    """
    if not isinstance(trajectory, xr.Dataset) or "fallback_fraction" not in trajectory:
        raise ValueError(
            "the trajectory has no variable 'fallback_fraction'; it comes from a "
            "CorrectedIntegrator with a fallback"
        )
    running = trajectory["fallback_fraction"].transpose("sample", "time")
    fraction = running[:, -1].values.astype(np.float64)
    failed = trajectory["status"].values == FAILED if "status" in trajectory else fraction < 0
    mean, _, _ = over_samples(fraction)
    return xr.Dataset(
        {
            "fraction": ("sample", fraction),
            "mean": float(mean),
            "largest": float(fraction.max()),
            "n_samples": fraction.size,
            "n_fell_back": int((fraction > 0).sum()),
            "n_failed": int(failed.sum()),
        },
        {k: v for k, v in sample_coords(running).items() if v.dims == ("sample",)},
    )
