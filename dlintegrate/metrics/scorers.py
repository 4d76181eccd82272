"""The metrics as scorers with scikit-learn's signature; greater is better."""

import numbers
import sys

import numpy as np

from ..states import FAILED
from .correlation import spin_correlation, threshold_time
from .drift import energy_drift, magnetization_drift
from .one_step import converged, damping_of, n_substeps, one_step_error
from .phase_space import phase_space_distance
from .stability import PARK_THRESHOLD, unstable_count

#: Errors of the reference of 2e-8 (particles: 1e-5, damped spins: 1e-6) per unit of time:
#: enough to see a correlation of 0.99, and a distance of 1e-8.
_TRAJECTORY_RESOLUTION = 0.05


class Scorer:
    """Base of the scorers: ``scorer(estimator, X, y=None)``.

    A plain object rather than a function, so that it copies, pickles into
    parallel workers and prints its parameters.
    """

    def __repr__(self):
        parameters = ", ".join(f"{k}={v!r}" for k, v in vars(self).items())
        return f"{type(self).__name__}({parameters})"

    def __eq__(self, other):
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class NegOneStepError(Scorer):
    """Minus the one-step error; ``y`` are the labels, else a converged reference is run."""

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: at most 0, ``-inf`` if a sample failed."""
        return -one_step_error(estimator, X, reference=y)


class TrajectoryScorer(Scorer):
    """Base of the scorers that simulate from ``X`` up to ``t_max``."""

    def __init__(self, t_max, save_every=1):
        if not isinstance(t_max, numbers.Real) or not 0 < t_max < np.inf:
            raise ValueError(f"t_max={t_max!r}: expected a positive time")
        self.t_max = t_max
        self.save_every = save_every

    def _simulate(self, estimator, X):
        # cross-validation folds may be backward in time as well: t_max has the sign of dt
        t_max = float(np.copysign(self.t_max, estimator.dt))
        return estimator.simulate(X, t_max, save_every=self.save_every)

    def _with_reference(self, estimator, X):
        """The trajectory, and that of a converged reference at the same times."""
        _, array = estimator.validate(X)
        reference = converged(estimator, array, _TRAJECTORY_RESOLUTION)
        trajectory = self._simulate(estimator, X)
        expected = reference.simulate(
            X,
            trajectory["time"].values[-1],
            save_every=self.save_every * n_substeps(estimator.dt, reference.dt),
        )
        return trajectory, expected


class ThresholdTimeScorer(TrajectoryScorer):
    """Threshold time of the mean correlation with a converged reference.

    A correlation that never falls below the threshold scores ``t_max``; failed
    samples count as uncorrelated. Labels ``y`` are one step long and not used.
    """

    def __init__(self, t_max, save_every=1, threshold=0.99):
        super().__init__(t_max, save_every)
        self.threshold = threshold

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: a time between 0 and ``t_max``."""
        correlation = spin_correlation(*self._with_reference(estimator, X))
        return abs(threshold_time(correlation, threshold=self.threshold, n_bootstrap=0).time)


class NegEnergyDrift(TrajectoryScorer):
    """Minus the largest mean ``|ẽ(t)|`` up to ``t_max``; ``-inf`` if a sample failed."""

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: at most 0, in units of J per site or ε per particle."""
        _check_undamped("neg_energy_drift", estimator)
        return _neg_largest(self._simulate(estimator, X), energy_drift, "mean_absolute")


class NegMagnetizationDrift(TrajectoryScorer):
    """Minus the largest mean of ``|M(t) - M(0)|/N`` up to ``t_max``, the stricter measure."""

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: at most 0; ``-inf`` if a sample failed."""
        if "magnetization" not in estimator.system.invariants:
            field = getattr(estimator.system, "field", None)
            raise ValueError(
                "neg_magnetization_drift: the magnetisation precesses in an external field "
                f"(field={field}), and particles have none; score the energy drift instead"
            )
        _check_undamped("neg_magnetization_drift", estimator)
        return _neg_largest(self._simulate(estimator, X), magnetization_drift, "mean_vector_drift")


class NegUnstableCount(TrajectoryScorer):
    """Minus the number of unstable samples up to ``t_max``, failed ones among them."""

    def __init__(self, t_max, save_every=1, q_threshold=PARK_THRESHOLD, per_particle=True):
        super().__init__(t_max, save_every)
        self.q_threshold = q_threshold
        self.per_particle = per_particle

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: between 0 and minus the number of samples."""
        system, _ = estimator.validate(X)
        trajectory = self._simulate(estimator, X)
        result = unstable_count(trajectory, system, self.q_threshold, self.per_particle)
        return float(-result["count"][-1])


class NegPhaseSpaceDistance(TrajectoryScorer):
    """Minus the distance from a converged reference, averaged over times up to ``t_max``.

    The distance at a time is the mean over samples. Labels ``y`` are one step long and not
    used.
    """

    def __call__(self, estimator, X, y=None):
        """Score ``estimator``: at most 0, ``-inf`` if a sample failed."""
        trajectory, expected = self._with_reference(estimator, X)
        if (trajectory["status"] == FAILED).any():  # simulate has warned
            return -np.inf
        return -float(phase_space_distance(trajectory, expected)["mean"].mean())


def _check_undamped(name, estimator):
    damping = damping_of(estimator)
    if damping:
        raise ValueError(
            f"{name}: with damping={damping} the exact dynamics drifts too; score "
            "neg_one_step_error or threshold_time instead"
        )


def _neg_largest(trajectory, metric, name):
    if (trajectory["status"] == FAILED).any():  # simulate has warned
        return -np.inf
    return -float(metric(trajectory)[name].max())


_FACTORIES = {
    "neg_energy_drift": NegEnergyDrift,
    "neg_magnetization_drift": NegMagnetizationDrift,
    "neg_one_step_error": NegOneStepError,
    "neg_phase_space_distance": NegPhaseSpaceDistance,
    "neg_unstable_count": NegUnstableCount,
    "threshold_time": ThresholdTimeScorer,
}
#: Long enough to tell integrators apart near and above Tc, where chaos ends the
#: agreement by t = 20; far below Tc choose more with make_scorer.
_DEFAULT_T_MAX = 20.0
#: Particles collide and forget sooner: by then velocity Verlet at 0.01 has lost the reference.
_DISTANCE_T_MAX = 5.0


def make_scorer(name, **parameters):
    """Make a scorer with other parameters than the named one has.

    Parameters
    ----------
    name : str
        One of :func:`get_scorer_names`.
    **parameters
        ``t_max`` (default 20, for ``"neg_phase_space_distance"`` 5), ``save_every``
        (default 1); for ``"threshold_time"`` also ``threshold`` (default 0.99), for
        ``"neg_unstable_count"`` ``q_threshold`` (default 0.7259) and ``per_particle``
        (default True). ``"neg_one_step_error"`` has none.

    Returns
    -------
    callable
        ``scorer(estimator, X, y=None)``, greater is better; for ``scoring=`` of
        scikit-learn.

    Raises
    ------
    ValueError
        For an unknown name or parameter.

    Examples
    --------
    >>> from dlintegrate.metrics import make_scorer
    >>> make_scorer("threshold_time", t_max=100)
    ThresholdTimeScorer(t_max=100, save_every=1, threshold=0.99)
    """
    if name not in _FACTORIES:
        raise ValueError(f"scoring={name!r} is unknown; expected one of {get_scorer_names()}")
    if issubclass(_FACTORIES[name], TrajectoryScorer):
        t_max = _DISTANCE_T_MAX if name == "neg_phase_space_distance" else _DEFAULT_T_MAX
        parameters = {"t_max": t_max, **parameters}
    try:
        return _FACTORIES[name](**parameters)
    except TypeError:
        raise ValueError(f"scorer {name!r} does not take all of {sorted(parameters)}") from None


def get_scorer(name):
    """Return the scorer of this name with its default parameters.

    Parameters
    ----------
    name : str or callable
        A callable is returned as it is.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return name if callable(name) else make_scorer(name)


def get_scorer_names():
    """Names of the scorers, usable as ``scoring=`` in scikit-learn once this module is imported."""
    return sorted(_FACTORIES)


def register():
    """Make the names known to scikit-learn, which has no public way to do so.

    ``sklearn.metrics.get_scorer`` looks into one dictionary; and functions and
    searches check ``scoring`` against sets of names made when *their* module was
    imported. Both are extended in place; modules imported later see the names
    anyway. With a scikit-learn that works differently nothing happens, and
    ``scoring=dlintegrate.metrics.get_scorer(name)`` works as ever.

    Returns
    -------
    bool
        Whether the names are known now.
    """
    try:
        from sklearn.metrics import get_scorer_names as known_names
        from sklearn.metrics._scorer import _SCORERS

        theirs = set(known_names()) - set(_FACTORIES)
        for name in _FACTORIES:
            _SCORERS.setdefault(name, make_scorer(name))
        for options in _scoring_options():
            if theirs <= options:
                options.update(_FACTORIES)
    except (ImportError, AttributeError, TypeError):
        return False
    return True


def _scoring_options():
    """The sets of valid names that the imported parts of scikit-learn check against."""
    for module_name, module in list(sys.modules.items()):
        if not module_name.startswith("sklearn."):
            continue
        for value in list(vars(module).values()):
            name = "_parameter_constraints" if isinstance(value, type) else (
                "_skl_parameter_constraints" if callable(value) else None
            )  # fmt: skip
            constraints = vars(value).get(name) if name and hasattr(value, "__dict__") else None
            for constraint in (constraints or {}).get("scoring", ()):
                if isinstance(getattr(constraint, "options", None), set):
                    yield constraint.options
