"""How velocities forget and particles spread: correlations over time lags."""

import numbers
from typing import NamedTuple

import numpy as np
import xarray as xr

from ._trajectories import (
    blocks,
    lost_frames,
    over_samples,
    particles_of,
    sample_coords,
    standard_error,
    times_of,
    warn_lost,
)


def velocity_autocorrelation(trajectory, max_lag=None):
    """Velocity autocorrelation function ``C(τ) = <v_i(t + τ)·v_i(t)>``.

    Over all particles and all origins t. ``C(0)`` is the mean of v²: 2 T (1 - 1/n) for
    n particles at temperature T whose total momentum is zero.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with equally spaced times.
    max_lag : float, optional
        Longest lag, by default half of the trajectory.

    Returns
    -------
    xarray.Dataset
        ``correlation(sample, lag)``; over samples ``mean(lag)``, ``error(lag)`` (standard
        error of the mean) and ``n_samples(lag)``. In units of ε/m.

    Raises
    ------
    ValueError
        If times are not equally spaced, or on a bad ``max_lag``.

    Warns
    -----
    RuntimeWarning
        If samples failed. Their frames are left out from the failure on; lags that a
        sample does not reach are NaN.
    """
    return _over_lags(trajectory, max_lag, 1, _products, "correlation")


def mean_square_displacement(trajectory, max_lag=None):
    """Mean square displacement ``<|q_i(t + τ) - q_i(t)|²>`` of unwrapped positions.

    Over all particles and all origins t: ``<v²> τ²`` while particles fly freely,
    ``4 D τ`` once they diffuse, see :func:`diffusion_coefficient`.

    Parameters
    ----------
    trajectory : xarray.Dataset or xarray.DataArray
        What ``simulate`` returned, or particles with equally spaced times. Positions
        must not be wrapped into the box.
    max_lag : float, optional
        Longest lag, by default half of the trajectory.

    Returns
    -------
    xarray.Dataset
        ``displacement(sample, lag)``; over samples ``mean(lag)``, ``error(lag)`` (standard
        error of the mean) and ``n_samples(lag)``. In units of σ².

    Raises
    ------
    ValueError
        If times are not equally spaced, or on a bad ``max_lag``.

    Warns
    -----
    RuntimeWarning
        If samples failed; as for :func:`velocity_autocorrelation`.
    """
    return _over_lags(trajectory, max_lag, 0, _square_differences, "displacement")


class DiffusionCoefficient(NamedTuple):
    """Slope of the mean square displacement over 4.

    Attributes
    ----------
    value : float
        In units of σ (ε/m)^½.
    error : float
        Standard error over samples; NaN for a single one.
    """

    value: float
    error: float

    def __str__(self):
        return f"{self.value:.4g} ± {self.error:.2g}"


def diffusion_coefficient(displacement, start=None, stop=None):
    """Diffusion coefficient in two dimensions: a quarter of the slope of the displacement.

    Straight line by least squares between two lags, which the user should see in a
    picture to be in the linear regime.

    Parameters
    ----------
    displacement : xarray.Dataset
        The result of :func:`mean_square_displacement`.
    start, stop : float, optional
        Range of lags of the fit; by default the second half of them.

    Returns
    -------
    DiffusionCoefficient
        ``(value, error)``.

    Raises
    ------
    ValueError
        If there are fewer than two lags in the range, or no sample reaches them.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> from dlintegrate.metrics import diffusion_coefficient
    >>> lag = np.arange(5.0)
    >>> line = xr.Dataset({"displacement": (("sample", "lag"), [4 * 0.1 * lag])}, {"lag": lag})
    >>> round(diffusion_coefficient(line).value, 12)
    0.1
    """
    lag = np.asarray(displacement["lag"].values)
    longest = np.abs(lag).max()
    start = 0.5 * longest if start is None else start
    stop = longest if stop is None else stop
    chosen = (np.abs(lag) >= start) & (np.abs(lag) <= stop)
    if chosen.sum() < 2:
        raise ValueError(
            f"start={start}, stop={stop}: fewer than two lags in this range; they go from 0 to "
            f"{longest:.6g} in steps of {abs(lag[1] - lag[0]) if lag.size > 1 else 0:.6g}"
        )
    x = np.abs(lag[chosen])
    y = displacement["displacement"].transpose("sample", "lag").values[:, chosen]
    y = y[np.isfinite(y).all(axis=1)]
    if len(y) == 0:
        raise ValueError(f"no sample has a displacement at all lags from {start} to {stop}")
    centred = x - x.mean()
    slope = y @ centred / (centred @ centred)
    return DiffusionCoefficient(float(slope.mean() / 4), float(standard_error(slope) / 4))


def _over_lags(trajectory, max_lag, variable, correlate, name):
    """Apply ``correlate`` to positions or momenta, batches of samples at a time."""
    states = particles_of(trajectory)
    lags = _lags(times_of(states), max_lag)
    lost = lost_frames(trajectory)
    warn_lost(lost, "trajectory", "their frames are left out from then on", 4)
    values = np.empty((states.sizes["sample"], len(lags)))
    for block in blocks(states, "sample"):
        series = states[block, :, variable].values.astype(np.float64)
        series = series.reshape(*series.shape[:2], -1)
        values[block] = correlate(series, ~lost[block], len(lags)) / states.sizes["particle"]
    mean, _, count = over_samples(values)
    return xr.Dataset(
        {
            name: (("sample", "lag"), values),
            "mean": ("lag", mean),
            "error": ("lag", standard_error(values)),
            "n_samples": ("lag", count),
        },
        {
            "lag": lags,
            **{k: v for k, v in sample_coords(states).items() if v.dims == ("sample",)},
        },
        {"quantity": name, "units": "1"},
    )


def _lags(times, max_lag):
    """Multiples of the interval between frames up to ``max_lag``."""
    if len(times) < 2:
        raise ValueError(f"the trajectory has {len(times)} frame; lags need two or more")
    interval = (times[-1] - times[0]) / (len(times) - 1)
    if np.abs(np.diff(times) - interval).max() > 1e-6 * abs(interval):
        raise ValueError("the times are not equally spaced; simulate with one save_every")
    span = abs(times[-1] - times[0])
    max_lag = 0.5 * span if max_lag is None else max_lag
    if not isinstance(max_lag, numbers.Real) or not abs(interval) <= max_lag <= span * (1 + 1e-9):
        raise ValueError(
            f"max_lag={max_lag!r}: expected a time between {abs(interval):.6g} (one frame) and "
            f"{span:.6g} (all of them)"
        )
    return interval * np.arange(int(max_lag / abs(interval) * (1 + 1e-9)) + 1)


def _products(series, sound, n_lags):
    """Sum over columns of the mean over origins of ``x(t) x(t + τ)``, shape (n, n_lags)."""
    series = np.where(sound[..., None], series, 0.0)
    return _sums_of_products(series, n_lags) / _origins(sound, n_lags)


def _square_differences(series, sound, n_lags):
    """As ``_products``, of ``(x(t + τ) - x(t))²``: sums of squares less twice the products."""
    # about the mean of each series, where the difference of large sums loses least
    n_sound = np.maximum(sound.sum(axis=1), 1)[:, None, None]
    mean = np.where(sound[..., None], series, 0.0).sum(axis=1, keepdims=True) / n_sound
    series = np.where(sound[..., None], series - mean, 0.0)
    running = np.cumsum((series**2).sum(axis=2), axis=1)
    running = np.concatenate([np.zeros((len(series), 1)), running], axis=1)
    length, lag = sound.sum(axis=1)[:, None], np.arange(n_lags)
    heads = np.take_along_axis(running, np.maximum(length - lag, 0), axis=1)
    tails = running[:, -1:] - running[:, :n_lags]
    result = (heads + tails - 2 * _sums_of_products(series, n_lags)) / _origins(sound, n_lags)
    result[:, 0] = np.where(np.isnan(result[:, 0]), np.nan, 0.0)
    return np.maximum(result, 0.0)


def _sums_of_products(series, n_lags):
    """``Σ_t x(t) x(t + τ)`` by the Wiener-Khinchin theorem, padded against wrapping round."""
    n_times = series.shape[1]
    spectrum = np.fft.rfft(series, n=2 * n_times, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).sum(axis=2)
    return np.fft.irfft(power, n=2 * n_times, axis=1)[:, :n_lags]


def _origins(sound, n_lags):
    """Number of origins of each lag; NaN where there is none."""
    count = sound.sum(axis=1)[:, None] - np.arange(n_lags)
    return np.where(count > 0, count, np.nan)
