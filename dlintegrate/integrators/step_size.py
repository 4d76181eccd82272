"""Which time step to use."""

import numbers

import numpy as np

from ..states import site_distances

#: The reference makes this many steps for each step that is tested: at second
#: order its own error is then 1.6 % of the one that is measured.
_REFINEMENT = 8


def whole_steps(dt, small_dt):
    """How many steps of ``small_dt`` make one of ``dt``; None if no whole number does."""
    ratio = dt / small_dt
    n_steps = round(ratio)
    return n_steps if n_steps >= 1 and abs(ratio - n_steps) <= 1e-9 * ratio else None


def suggest_dt(integrator, samples, tol, *, duration=1.0, max_steps=4096):
    """Find the largest time step whose error over ``duration`` stays below ``tol``.

    Parameters
    ----------
    integrator : Integrator
        Its own dt is only the first guess.
    samples : array-like, shape (n_samples, ...)
        Equilibrium states of the temperatures in question; a few suffice.
    tol : float
        Allowed rms over samples and spins (or particles) of the distance from the exact
        state at the end of ``duration``, as :func:`~dlintegrate.metrics.one_step_error` has it.
    duration : float, default 1.0
        Physical time. Errors grow roughly linearly at first, exponentially
        beyond the Lyapunov time.
    max_steps : int, default 4096
        Give up beyond so many steps per ``duration``.

    Returns
    -------
    float
        ``duration / n`` with an integer n.

    Raises
    ------
    ValueError
        If the tolerance is not positive or cannot be reached, or the integrator has learned the
        residue of one step.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, SuzukiTrotter2, suggest_dt
    >>> system = HeisenbergLattice(shape=4)
    >>> dt = suggest_dt(SuzukiTrotter2(system, dt=0.1), system.random_states(2, 0), tol=1e-3)
    >>> 0.005 < dt < 0.05
    True
    """
    for name, value in (("tol", tol), ("duration", duration)):
        if not isinstance(value, numbers.Real) or not np.isfinite(value) or value <= 0:
            raise ValueError(f"{name}={value!r}: expected a positive number")
    if type(integrator.with_dt(integrator.dt)) is not type(integrator):
        raise ValueError(
            f"{integrator!r} was learned for one step; ask suggest_dt of its base, or compare "
            "one_step_error of fits at several steps"
        )
    system, array = integrator.validate(samples)

    def error(n):
        coarse = integrator.with_dt(duration / n).advance(array, n)
        fine = integrator.with_dt(duration / (n * _REFINEMENT)).advance(array, n * _REFINEMENT)
        return np.sqrt(np.mean(site_distances(system, coarse, fine) ** 2))

    good = max(1, round(duration / abs(integrator.checked_dt())))
    bad = 0
    while error(good) > tol:
        bad, good = good, 2 * good
        if good > max_steps:
            raise ValueError(
                f"tol={tol:g} is not reached with {max_steps} steps per {duration:g}; use a "
                "larger tol, a shorter duration or an integrator of higher order"
            )
    while good - bad > 1:
        middle = (good + bad) // 2
        if error(middle) > tol:
            bad = middle
        else:
            good = middle
    return duration / good
