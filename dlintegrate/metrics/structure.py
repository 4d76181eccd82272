"""How particles are arranged, and whether all of them are equally hot."""

import numbers

import numpy as np
import xarray as xr

from .._kernels.structure import count_pairs
from ._trajectories import (
    blocks,
    box_lengths,
    lost_frames,
    particles_of,
    sample_coords,
    standard_error,
    warn_lost,
)

#: More neighbours than this are counted as this many; at most seven fit where 6 is usual.
_MOST_NEIGHBOURS = 8


def radial_distribution(trajectory, bins=100, r_max=None, *, n_blocks=None):
    """Radial distribution function g(r) in two dimensions.

    The density of other particles at distance r from one, divided by
    ``(n - 1)/box_length²``: exactly 1 on average in an ideal gas of any n.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with or without a time dimension, with the
        coordinate ``box_length``. Boxes may differ: each sample is compared with its
        own density. Split several temperatures with :func:`by_temperature` first.
    bins : int, default 100
        Number of bins of equal width.
    r_max : float, optional
        Up to half of the smallest box, which is the default.
    n_blocks : int, optional
        Consecutive parts of each sample's frames that count as independent of each
        other in the error. By default 1, but 10 for a single sample.

    Returns
    -------
    xarray.Dataset
        ``g(r)`` at the middle of the bins; ``error(r)``, the standard error of the mean
        over samples (and blocks); ``g_sample(sample, r)``; ``n_samples``.

    Raises
    ------
    ValueError
        On bad parameters, an ``r_max`` beyond half of the smallest box, or if no frame is
        left.

    Warns
    -----
    RuntimeWarning
        If samples failed. Their frames are left out from the failure on.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from dlintegrate.metrics import radial_distribution
    >>> gas = np.random.default_rng(0).uniform(0, 5.0, size=(1000, 2, 16, 2))
    >>> gas = xr.DataArray(gas, dims=("sample", "variable", "particle", "component"),
    ...                    coords={"box_length": ("sample", np.full(1000, 5.0))})
    >>> g = radial_distribution(gas, bins=5)
    >>> bool((abs(g.g - 1) < 4 * g.error).all())
    True
    """
    if not isinstance(bins, numbers.Integral) or bins < 1:
        raise ValueError(f"bins={bins!r}: expected an int, 1 or more")
    states, frames = _frames_of(trajectory)
    box, n = box_lengths(states), states.sizes["particle"]
    r_max = _checked_reach(box, r_max, "r_max")
    parts = _parts(frames, n_blocks)
    counts = np.zeros((*parts.shape[1:], int(bins)))  # (block, sample, bin)
    for block, histogram, _ in _pair_counts(states, box, r_max, int(bins)):
        counts += np.einsum("tbn,ntr->bnr", parts[block], histogram)
    edges = np.linspace(0.0, r_max, int(bins) + 1)
    ideal = np.pi * np.diff(edges**2) * (0.5 * n * (n - 1)) / box[:, None] ** 2
    with np.errstate(invalid="ignore"):  # 0/0 where no frame is left
        g = counts / parts.sum(axis=0)[..., None] / ideal
    sampled = np.isfinite(g[..., 0])
    weights = parts.sum(axis=0)
    g_sample = np.einsum("bn,bnr->nr", weights, np.nan_to_num(g))
    with np.errstate(invalid="ignore"):
        g_sample /= weights.sum(axis=0)[:, None]
    result = xr.Dataset(
        {
            "g": ("r", np.nanmean(g_sample, axis=0)),
            "error": ("r", standard_error(g[sampled])),
            "g_sample": (("sample", "r"), g_sample),
            "n_samples": int(frames.any(axis=1).sum()),
        },
        {"r": 0.5 * (edges[1:] + edges[:-1]), **_of_samples(states)},
        {"n_blocks": parts.shape[1]},
    )
    result["g"].attrs.update(long_name="radial distribution function", units="1")
    result["r"].attrs.update(long_name="distance", units="1")
    return result


def equipartition(trajectory, radius=1.5, *, n_blocks=None):
    """Kinetic temperature by component and by local density.

    Momenta are taken about the centre of mass, whose conserved motion takes 2 of the
    2n degrees of freedom: ``T_a = Σ_i (p_ia - P_a/n)²/(n - 1)`` for each component, and for
    the particles with k neighbours the mean of ``|p_i - P/n|²/2 · n/(n - 1)``. In the
    canonical ensemble, which exact dynamics keeps if the initial states are drawn from
    it, all are equal. An integrator that rescales momenta, or heats where particles
    collide, may break this while its mean temperature looks right.

    Means are over all particles of all samples and frames, not of the means of samples: in a
    single sample of given energy, more neighbours go along with a lower potential
    and so a higher kinetic energy, and only the ensemble of energies restores equality.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with or without a time dimension, with the
        coordinate ``box_length``. Split several temperatures with
        :func:`by_temperature` first.
    radius : float, default 1.5
        Particles nearer than this, in units of length, are neighbours.
    n_blocks : int, optional
        As for :func:`radial_distribution`.

    Returns
    -------
    xarray.Dataset
        ``temperature`` and ``temperature_error``; ``by_component(component)`` and
        ``by_component_error``; ``by_neighbours(neighbours)``, ``by_neighbours_error`` and
        ``occurrence(neighbours)``, the fraction of particles with that many (the
        last entry: or more). NaN where there are none, or too few for an error.
        Errors are of ratios of sums over independent samples (and blocks).

    Raises
    ------
    ValueError
        On bad parameters, a radius beyond half of the smallest box, or if no frame is
        left.

    Warns
    -----
    RuntimeWarning
        If samples failed. Their frames are left out from the failure on.
    """
    states, frames = _frames_of(trajectory)
    box = box_lengths(states)
    radius = _checked_reach(box, radius, "radius")
    parts = _parts(frames, n_blocks)
    shape = parts.shape[1:]
    component, heat, number = (np.zeros((*shape, k)) for k in (2, *[_MOST_NEIGHBOURS + 1] * 2))
    n = states.sizes["particle"]
    for block, _, partners in _pair_counts(states, box, radius, 1):
        p = np.nan_to_num(states[:, block, 1].values.astype(np.float64))  # of lost frames: no part
        square = (p - p.mean(axis=2, keepdims=True)) ** 2 * (n / (n - 1))
        component += np.einsum("tbn,ntic->bnc", parts[block], square) / n
        partners = np.minimum(partners, _MOST_NEIGHBOURS)
        temperature = 0.5 * square.sum(axis=-1)
        for k in range(_MOST_NEIGHBOURS + 1):
            has = partners == k
            number[..., k] += np.einsum("tbn,nti->bn", parts[block], has)
            heat[..., k] += np.einsum("tbn,nti->bn", parts[block], np.where(has, temperature, 0.0))
    n_frames = parts.sum(axis=0)
    by_component, component_error = _ratio(component, n_frames[..., None])
    by_neighbours, neighbours_error = _ratio(heat, number)
    temperature, error = _ratio(component.mean(axis=-1, keepdims=True), n_frames[..., None])
    return xr.Dataset(
        {
            "temperature": float(temperature[0]),
            "temperature_error": float(error[0]),
            "by_component": ("component", by_component),
            "by_component_error": ("component", component_error),
            "by_neighbours": ("neighbours", by_neighbours),
            "by_neighbours_error": ("neighbours", neighbours_error),
            "occurrence": ("neighbours", number.sum(axis=(0, 1)) / number.sum()),
            "n_samples": int(frames.any(axis=1).sum()),
        },
        {"component": ["x", "y"], "neighbours": np.arange(_MOST_NEIGHBOURS + 1)},
        {"radius": radius, "n_blocks": parts.shape[1]},
    )


def _ratio(numerator, denominator):
    """``Σ a / Σ b`` over axes 0 and 1 and its error, for correlated a and b (delta method)."""
    a, b = (x.reshape(-1, x.shape[-1]) for x in (numerator, denominator))
    used = b > 0
    n = used.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = a.sum(axis=0) / b.sum(axis=0)
        scatter = np.sqrt(((a - ratio * b) ** 2).sum(axis=0) * n / (n - 1)) / b.sum(axis=0)
    return ratio, np.where(n > 1, scatter, np.nan)


def _frames_of(trajectory):
    """Particles with a time dimension, and which frames are sound, shape (n_samples, n_times)."""
    if "time" not in getattr(trajectory, "dims", ["time"]):
        trajectory = _with_time(trajectory)
    states = particles_of(trajectory)
    lost = lost_frames(trajectory)
    warn_lost(lost, "trajectory", "their frames are left out from then on", 4)
    if lost.all():
        raise ValueError("no sound frame is left: all samples failed at the start")
    return states, ~lost


def _with_time(frame):
    """A trajectory of one frame; what belongs to samples stays as it is."""
    time = [float(frame.coords["time"])] if "time" in frame.coords else [0.0]
    if isinstance(frame, xr.DataArray):
        return frame.drop_vars("time", errors="ignore").expand_dims(time=time)
    health = frame[[name for name in ("status", "failure_time") if name in frame]]
    states = frame[["phase_space"]] if "phase_space" in frame else frame
    states = states.drop_vars("time", errors="ignore").expand_dims(time=time)
    return states.assign({name: health[name].variable for name in health.data_vars})


def _checked_reach(box, reach, name):
    half = 0.5 * float(box.min())
    if reach is None:
        return half
    if not isinstance(reach, numbers.Real) or not 0 < reach <= half * (1 + 1e-12):
        raise ValueError(
            f"{name}={reach!r}: expected a positive distance, at most half of the smallest box, "
            f"{half:.6g}"
        )
    return min(float(reach), half)


def _parts(frames, n_blocks):
    """Weights of frames in the blocks of the error, shape (n_times, n_blocks, n_samples)."""
    n_samples, n_times = frames.shape
    if n_blocks is None:
        n_blocks = 1 if n_samples > 1 else min(10, n_times)
    if not isinstance(n_blocks, numbers.Integral) or not 1 <= n_blocks <= n_times:
        raise ValueError(f"n_blocks={n_blocks!r}: expected an int between 1 and {n_times} frames")
    block = np.arange(n_times) * int(n_blocks) // n_times
    member = block[:, None] == np.arange(n_blocks)
    return member[:, :, None] * frames.T[:, None, :].astype(np.float64)


def _pair_counts(states, box, reach, n_bins):
    """Yield blocks of time with their histograms of pairs and numbers of neighbours."""
    for block in blocks(states):
        q = states[:, block, 0].values.astype(np.float64)
        n_samples, n_times, n, _ = q.shape
        histogram = np.zeros((n_samples * n_times, n_bins), np.int64)
        partners = np.zeros((n_samples * n_times, n), np.int64)
        sides = np.repeat(box, n_times)
        count_pairs(np.ascontiguousarray(q.reshape(-1, n, 2)), sides, reach, histogram, partners)
        yield (
            block,
            histogram.reshape(n_samples, n_times, n_bins),
            partners.reshape(n_samples, n_times, n),
        )


def _of_samples(states):
    return {k: v for k, v in sample_coords(states).items() if v.dims == ("sample",)}
