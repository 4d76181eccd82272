"""How long a trajectory follows the reference."""

import numbers
from typing import NamedTuple

import numpy as np
import xarray as xr
from sklearn.utils import check_random_state

from ._trajectories import (
    blocks,
    check_same_frames,
    lost_frames,
    over_samples,
    sample_coords,
    spins_of,
    times_of,
    warn_lost,
)


def spin_correlation(trajectory, reference):
    """Correlation of a trajectory with the reference (Park 2022, Eq. 4.9).

    ``ξ(t) = (1/N) Σ_j ρ_j(t)·σ_j(t)``: 1 while both agree, about 0 once they
    have nothing in common (in the paramagnet).

    Parameters
    ----------
    trajectory, reference : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or spins with dimensions
        ``("sample", "time", "x", ..., "component")``, at the same times and from
        the same initial states. Files are read in blocks.

    Returns
    -------
    xarray.Dataset
        ``correlation(sample, time)``, and over the samples ``mean(time)``,
        ``std(time)`` (population) and ``n_samples(time)``; the coordinate
        ``temperature(sample)`` comes along, see :func:`by_temperature`.

    Raises
    ------
    ValueError
        If samples, sites or times differ.

    Warns
    -----
    RuntimeWarning
        If samples failed. A sample of ``trajectory`` that failed has lost its
        reference: it *counts*, with ξ = 0 from its failure on. One whose
        ``reference`` failed is excluded (NaN) from there on.
    """
    spins, ref = spins_of(trajectory), spins_of(reference, "reference")
    ref = ref.transpose(*spins.dims) if set(ref.dims) == set(spins.dims) else ref
    check_same_frames(spins, ref)
    xi = np.empty((spins.sizes["sample"], spins.sizes["time"]))
    for block in blocks(spins):
        a, b = spins[:, block].values, ref[:, block].values
        xi[:, block] = np.einsum("nt...c,nt...c->nt...", a, b, dtype=np.float64).mean(
            axis=tuple(range(2, a.ndim - 1))
        )
    lost = lost_frames(trajectory)
    unknown = lost_frames(reference)
    xi[lost] = 0.0
    xi[unknown] = np.nan
    warn_lost(lost, "trajectory", "they count with a correlation of 0 from then on")
    warn_lost(unknown, "reference", "they are left out from then on")
    return _summarize(xi, sample_coords(spins))


def _summarize(xi, coords):
    mean, std, count = over_samples(xi)
    result = xr.Dataset(
        {
            "correlation": (("sample", "time"), xi),
            "mean": ("time", mean),
            "std": ("time", std),
            "n_samples": ("time", count),
        },
        coords,
    )
    result["correlation"].attrs.update(long_name="spin correlation with the reference", units="1")
    result["mean"].attrs.update(long_name="mean spin correlation", units="1")
    result["std"].attrs.update(long_name="standard deviation of the spin correlation", units="1")
    return result


class ThresholdTime(NamedTuple):
    """When the mean correlation falls below the threshold.

    Attributes
    ----------
    time : float
        The threshold time, or, if ``reached`` is False, the end of the
        trajectory, which is a lower bound.
    error : float
        Bootstrap standard error over samples; NaN for a single sample or if the
        threshold was not reached.
    reached : bool
        Whether the mean fell below the threshold at all.
    """

    time: float
    error: float
    reached: bool

    def __str__(self):
        if not self.reached:
            return f"> {self.time:.4g}"
        return f"{self.time:.4g}" if np.isnan(self.error) else f"{self.time:.4g} ± {self.error:.2g}"


def threshold_time(
    correlation, reference=None, threshold=0.99, n_bootstrap=200, random_state=0
):  # fmt: skip
    """Time at which the *mean* correlation first falls below a threshold.

    ``t_thres`` of Park 2022, section 4.2.1 and Fig. 4.7; linear interpolation
    between saved times. All samples are averaged: split several temperatures
    with :func:`by_temperature` first.

    Parameters
    ----------
    correlation : xarray.Dataset or xarray.DataArray
        The result of :func:`spin_correlation` (or its ``correlation``); or a
        trajectory, together with ``reference``.
    reference : xarray.Dataset or xarray.DataArray, optional
        The reference trajectory.
    threshold : float, default 0.99
        Between -1 and 1.
    n_bootstrap : int, default 200
        Resamplings of the samples for the error; 0 for none.
    random_state : int, RandomState or None, default 0
        Of the resampling.

    Returns
    -------
    ThresholdTime
        ``(time, error, reached)``. Resamplings that do not fall below the
        threshold enter the error with the end of the trajectory, so near the end
        the error is a lower bound.

    Raises
    ------
    ValueError
        On a threshold out of range, or if there is nothing to average.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from dlintegrate.metrics import threshold_time
    >>> xi = xr.DataArray([[1.0, 0.98, 0.96]], dims=("sample", "time"),
    ...                   coords={"time": [0.0, 1.0, 2.0]})
    >>> float(threshold_time(xi).time)
    0.5
    """
    if not isinstance(threshold, numbers.Real) or not -1 < threshold <= 1:
        raise ValueError(f"threshold={threshold!r}: expected a number above -1, at most 1")
    if not isinstance(n_bootstrap, numbers.Integral) or n_bootstrap < 0:
        raise ValueError(f"n_bootstrap={n_bootstrap!r}: expected an int, 0 or more")
    if reference is not None:
        correlation = spin_correlation(correlation, reference)
    xi, times = _per_sample(correlation)
    time, reached = _first_below(xi.mean(axis=0)[None], times, threshold)
    error = np.nan
    if reached[0] and n_bootstrap > 1 and len(xi) > 1:
        random = check_random_state(random_state)
        n = len(xi)
        draws = random.multinomial(n, np.full(n, 1 / n), size=n_bootstrap)
        error = _first_below(draws @ xi / n, times, threshold)[0].std(ddof=1)
    return ThresholdTime(float(time[0]), float(error), bool(reached[0]))


def _per_sample(correlation):
    """The correlations of the samples with a sound reference, and the times."""
    if isinstance(correlation, xr.Dataset) and "correlation" in correlation:
        correlation = correlation["correlation"]
    if not isinstance(correlation, xr.DataArray) or set(correlation.dims) != {"sample", "time"}:
        raise ValueError(
            "expected the result of spin_correlation, with dimensions sample and time; "
            "for a trajectory pass reference as well"
        )
    times = times_of(correlation, "correlation")
    xi = correlation.transpose("sample", "time").values.astype(np.float64)
    # a sample whose reference failed says nothing about what comes after
    xi = xi[np.isfinite(xi).all(axis=1)]
    if xi.size == 0:
        raise ValueError("no sample has a correlation at every time; did the reference fail?")
    return xi, times


def _first_below(curves, times, threshold):
    """Crossing times of curves (n_curves, n_times), and whether they cross."""
    below = curves < threshold
    reached = below.any(axis=1)
    k = np.where(reached, below.argmax(axis=1), len(times) - 1)
    j = np.maximum(k - 1, 0)
    row = np.arange(len(curves))
    before, after = curves[row, j], curves[row, k]
    drop = np.where(before > after, before - after, 1.0)
    fraction = np.clip((before - threshold) / drop, 0.0, 1.0)
    crossing = times[j] + fraction * (times[k] - times[j])
    return np.where(reached, crossing, times[-1]), reached
