"""Bounds on a large step, and what is done when they are broken."""

import numbers

import numpy as np

from .._documentation import Estimator
from .step_size import whole_steps

#: How many steps, in units of the first number of small steps, a step is given in turn.
_REFINEMENTS = (1, 4, 16, 64, 256)


class Fallback(Estimator):
    """Redo a step with small steps, for the samples whose large step breaks a bound.

    A learned step is wrong now and then, mostly in hard collisions. Its result is judged
    before any projection; where it leaves a bound, that sample alone goes back and takes
    ``n_substeps`` small steps instead. Where these change the energy by more than its
    bound too, or to where no projection leads back, it takes four times as many, and so on
    up to 256 times; what still fails is given up. A step that is refined costs the sum of
    these.

    Parameters
    ----------
    n_substeps : int, default 20
        Small steps of the base integrator that replace one large one.
    integrator : Integrator, optional
        Makes the small steps, in place of the base at ``dt / n_substeps``; its dt must
        divide that of the base.
    bounds : dict of str to (lowest, highest), optional
        Bounds on the quantities of ``system.diagnose``, for particles
        ``energy_change`` (before the projection), ``min_distance``, ``max_speed`` and
        ``rescaling``; None lifts a bound. What is not named is bounded as
        ``system.default_bounds`` has it.

    Examples
    --------
    >>> from dlintegrate import Fallback
    >>> strict = Fallback(bounds={"energy_change": (0, 0.001)})
    """

    def __init__(self, n_substeps=20, integrator=None, bounds=None):
        self.n_substeps = n_substeps
        self.integrator = integrator
        self.bounds = bounds

    def small_steps(self, base):
        """The integrator of the small steps, and how many make one step of ``base``.

        Parameters
        ----------
        base : Integrator

        Returns
        -------
        integrator : Integrator
        n_substeps : int

        Raises
        ------
        ValueError
            If their number is not an int, or the steps do not fit into one of the base.
        """
        if self.integrator is None:
            n = self.n_substeps
            if not isinstance(n, numbers.Integral) or isinstance(n, bool) or n < 1:
                raise ValueError(f"n_substeps={n!r}: expected an int, 1 or more")
            return base.with_dt(base.dt / n), int(n)
        same_system(base.system, self.integrator.system, "fallback: integrator.system")
        n_steps = whole_steps(base.dt, self.integrator.dt)
        if n_steps is None:
            raise ValueError(
                f"fallback: integrator.dt={self.integrator.dt} does not divide base.dt={base.dt}"
            )
        return self.integrator, n_steps

    def checked_bounds(self, system):
        """All bounds that hold.

        Parameters
        ----------
        system : System

        Returns
        -------
        dict of str to (float, float)
            Lowest and highest value of each quantity that is judged.

        Raises
        ------
        ValueError
            For a quantity that the system does not diagnose, or an empty interval.
        """
        known = system.default_bounds
        own = {} if self.bounds is None else self.bounds
        if not isinstance(own, dict):
            raise ValueError(f"bounds={own!r}: expected a dict of name to (lowest, highest)")
        bounds = {k: v for k, v in {**known, **own}.items() if v is not None}
        for name, bound in {**own, **bounds}.items():
            if name not in known:
                raise ValueError(
                    f"bounds={self.bounds!r}: {type(system).__name__} has no {name!r}, only "
                    f"{sorted(known)}"
                )
            if bound is not None and (np.shape(bound) != (2,) or not bound[0] < bound[1]):
                raise ValueError(f"bounds[{name!r}]={bound!r}: expected (lowest, highest)")
        return bounds

    def advance(self, base, array, before):
        """Replace what broke a bound by the result of small steps.

        Parameters
        ----------
        base : Integrator
        array : ndarray, shape (n_samples, ...)
            States after the large step; overwritten where the step is redone.
        before : ndarray, like ``array``
            States before it. Samples that are NaN stay so.

        Returns
        -------
        ndarray of bool, shape (n_samples,)
            Which samples fell back. One whose smallest steps fail too, or change the energy
            by more than its bound, is NaN.
        """
        system = base.system.matching(array)
        bounds = self.checked_bounds(system)
        alive = np.isfinite(before.reshape(len(before), -1)).all(axis=1)
        bad = alive & ~_within(bounds, system, array, before)
        if bad.any():
            array[bad] = self._redone(base, system, before[bad], bounds)
        return bad

    def _redone(self, base, system, start, bounds):
        """The step in small steps, refined for those samples that need it."""
        small, n = self.small_steps(base)
        # the bounds on distances and speeds are suspicions; that on the energy is proof,
        # and so is an energy that no rescaling restores
        proof = {k: v for k, v in bounds.items() if k == "energy_change"}
        if "rescaling" in bounds:
            proof["rescaling"] = (0.0, np.inf)
        result = start.copy()
        system.lose(result, np.ones(len(start), dtype=bool))
        left = np.arange(len(start))
        for factor in _REFINEMENTS:
            finer = small.with_dt(small.dt / factor) if factor > 1 else small
            redone = finer.advance(start[left], n * factor)
            good = system.healthy(redone) & _within(proof, system, redone, start[left])
            result[left[good]] = redone[good]
            left = left[~good]
            if len(left) == 0:
                break
        return result


def _within(bounds, system, array, before):
    """Which samples are finite and keep all bounds."""
    result = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    # a sample that is not finite must not reach the system: zeros are not a state either
    judged = system.diagnose(np.where(_lift(result, array), array, before), before)
    for name, (lowest, highest) in bounds.items():
        with np.errstate(invalid="ignore"):
            result &= (judged[name] >= lowest) & (judged[name] <= highest)
    return result


def _lift(mask, array):
    return mask.reshape(-1, *[1] * (array.ndim - 1))


def _plain(value):
    """As lists and floats: 1 is 1.0, and a tuple a list."""
    array = np.asarray(value)
    return (array.astype(np.float64) if array.dtype.kind in "iuf" else array).tolist()


def same_system(ours, theirs, name):
    """Check that two systems have the same physics; their sizes may differ.

    Raises
    ------
    ValueError
        With both, if they differ.
    """
    sizes = ("shape", "n_particles", "density")
    if type(ours) is type(theirs):
        parameters = (
            {k: _plain(v) for k, v in s.get_params(deep=False).items() if k not in sizes}
            for s in (ours, theirs)
        )
        first, second = parameters
        if repr(first) == repr(second):
            return
    raise ValueError(f"{name}={theirs!r} differs from base.system={ours!r}")
