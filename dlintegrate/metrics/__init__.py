"""How good a trajectory or a step is: functions of trajectories, and scorers of estimators.

Importing this module makes the scorers known to scikit-learn by name.
"""

from ._trajectories import by_temperature
from .correlation import ThresholdTime, spin_correlation, threshold_time
from .drift import energy_drift, magnetization_drift
from .one_step import one_step_error, reference_integrator
from .scorers import get_scorer, get_scorer_names, make_scorer, register

register()

__all__ = [
    "ThresholdTime",
    "by_temperature",
    "energy_drift",
    "get_scorer",
    "get_scorer_names",
    "magnetization_drift",
    "make_scorer",
    "one_step_error",
    "reference_integrator",
    "spin_correlation",
    "threshold_time",
]
