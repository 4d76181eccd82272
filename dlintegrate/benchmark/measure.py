"""What is measured of one integrator: error, cost, reversal, long runs."""

import time
import warnings

import numpy as np

from ..metrics import energy_drift, fallback_fraction
from ..metrics.one_step import n_substeps
from ..states import site_distances

#: Steps of one timing, at most.
_MOST_STEPS = 100_000


def errors(system, after, expected):
    """How far states are from the reference.

    Parameters
    ----------
    system : System
    after, expected : ndarray, shape (n_samples, ...)
        Packed; samples that failed are NaN.

    Returns
    -------
    dict
        ``error``, the rms over samples and sites, infinite if a sample failed; ``median`` over
        samples; ``n_failed``.
    """
    distances = site_distances(system, after, expected)
    return {
        "error": float(np.sqrt(np.mean(distances**2))),
        "median": float(np.median(distances)),
        "n_failed": int(np.isinf(distances).sum()),
    }


def after_horizon(integrator, array, horizon):
    """Packed states after the horizon; a sample that cannot be advanced is NaN."""
    with np.errstate(all="ignore"):
        after = integrator.advance(array, n_substeps(horizon, integrator.dt))
    after[~integrator.system.matching(array).healthy(after)] = np.nan
    return after


class Clock:
    """Least processor time per site and unit of time of one integrator on one batch.

    Every call measures once more: when methods take turns, a busy moment of the machine does not
    fall upon one of them alone.

    Parameters
    ----------
    integrator : Integrator
    array : ndarray, shape (n_samples, ...)
        Validated states.
    seconds : float
        How long one measurement takes, unless a single step takes longer.
    """

    def __init__(self, integrator, array, seconds):
        self.integrator, self.array = integrator, array
        self.site_steps = len(array) * integrator.system.matching(array).n_sites
        self.n_steps, self.best = 1, np.inf
        self._run()  # compile
        while self.n_steps < _MOST_STEPS:
            used = self._run()
            if used >= 0.4 * seconds:
                break
            self.n_steps *= int(np.clip(seconds / max(used, 1e-6), 2, 20))
        self.best = np.inf  # fewer steps carry more overhead
        self()

    def __call__(self):
        self._run()

    def _run(self):
        started = time.process_time()
        with np.errstate(all="ignore"):
            self.integrator.advance(self.array, self.n_steps)
        used = time.process_time() - started
        if used > 0:  # else too short for the clock
            per_time = self.n_steps * abs(self.integrator.dt) * self.site_steps
            self.best = min(self.best, used / per_time)
        return used


def with_output(cost, integrator, n_steps):
    """A cost per time in a long run as that of a run of ``n_steps`` and one output.

    Parameters
    ----------
    cost : float
    integrator : Integrator
        Of a composition with a processor, which runs at the start and is undone at each output.
    n_steps : int

    Returns
    -------
    float
    """
    step = getattr(integrator, "step_", integrator)
    sweeps = getattr(step, "n_output_sweeps", 0)
    return cost * (1 + sweeps / (n_steps * step.n_half_sweeps)) if sweeps else cost


def reversal_error(integrator, array, horizon, reverse, scale=1.0):
    """rms distance from the start after going forth, turning the motion back, and going forth.

    Parameters
    ----------
    integrator : Integrator
    array : ndarray, shape (n_samples, ...)
    horizon : float
    reverse : callable
        Of packed states.
    scale : float or ndarray
        By which states are divided before distances are taken.

    Returns
    -------
    float
        Infinite if a sample failed.
    """
    there = after_horizon(integrator, array, horizon)
    good = np.isfinite(there.reshape(len(there), -1)).all(axis=1)
    if not good.all():
        return np.inf
    back = reverse(after_horizon(integrator, reverse(there), horizon))
    return errors(integrator.system.matching(array), back / scale, array / scale)["error"]


def long_run(integrator, samples, t_max, explosion, seconds, cost):
    """Drift of the energy, failures, explosions and fall-backs of a long run.

    Parameters
    ----------
    integrator : Integrator
    samples : xarray.DataArray
    t_max : float
    explosion : float
        Change of energy per site beyond which a sample has exploded.
    seconds : float
        Processor time to spend, about. What is slow gets fewer samples, and then less time.
    cost : float
        Processor seconds per site and unit of time.

    Returns
    -------
    dict
        ``t_max``, ``n_samples``, ``n_exploded`` (failures among them), ``n_failed``,
        ``energy_drift`` (mean over the samples that did not explode of the absolute change per
        site at the end; None if there is none), ``largest_energy_change`` of these,
        ``fallback_percent`` (None without fall-backs).
    """
    sites = integrator.validate(samples[:1])[0].n_sites
    affordable = seconds / (cost * sites)  # sample-times
    n = int(np.clip(affordable / t_max, 1, len(samples)))
    n_steps = max(4, round(min(t_max, affordable / n) / integrator.dt))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        run = integrator.simulate(
            samples[:n], n_steps * integrator.dt, save_every=max(1, n_steps // 50)
        )
        drift = np.abs(energy_drift(run)["drift"].values)
    failed = run["status"].values == 2
    exploded = failed | (np.nan_to_num(drift, nan=np.inf).max(axis=1) > explosion)
    rest = drift[~exploded]
    return {
        "t_max": float(run.time[-1]),
        "n_samples": n,
        "n_failed": int(failed.sum()),
        "n_exploded": int(exploded.sum()),
        "energy_drift": float(rest[:, -1].mean()) if len(rest) else None,
        "largest_energy_change": float(rest.max()) if len(rest) else None,
        "fallback_percent": (
            100 * float(fallback_fraction(run)["mean"]) if integrator.falls_back else None
        ),
    }
