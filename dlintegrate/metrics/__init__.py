"""How good a trajectory or a step is: functions of trajectories, and scorers of estimators.

Importing this module makes the scorers known to scikit-learn by name.
"""

from ._trajectories import by_temperature
from .correlation import ThresholdTime, spin_correlation, threshold_time
from .dispersion import (
    commensurate_wavevectors,
    dynamic_structure_factor,
    magnon_dispersion,
    phonon_dispersion,
)
from .drift import energy_drift, magnetization_drift, momentum_drift
from .locality import effective_receptive_field, receptive_radius
from .one_step import one_step_error, reference_integrator
from .phase_space import phase_space_distance
from .scorers import get_scorer, get_scorer_names, make_scorer, register
from .stability import fallback_fraction, unstable_count
from .structure import equipartition, radial_distribution
from .textures import (
    ordering_weight,
    structure_factor,
    topological_charge,
    topological_density,
)
from .torque import equivariance_error, torque_angle, torque_error
from .transport import (
    DiffusionCoefficient,
    diffusion_coefficient,
    mean_square_displacement,
    velocity_autocorrelation,
)

register()

__all__ = [
    "DiffusionCoefficient",
    "ThresholdTime",
    "by_temperature",
    "commensurate_wavevectors",
    "diffusion_coefficient",
    "dynamic_structure_factor",
    "effective_receptive_field",
    "energy_drift",
    "equipartition",
    "equivariance_error",
    "fallback_fraction",
    "get_scorer",
    "get_scorer_names",
    "magnetization_drift",
    "magnon_dispersion",
    "make_scorer",
    "mean_square_displacement",
    "momentum_drift",
    "one_step_error",
    "ordering_weight",
    "phase_space_distance",
    "phonon_dispersion",
    "radial_distribution",
    "receptive_radius",
    "reference_integrator",
    "spin_correlation",
    "structure_factor",
    "threshold_time",
    "topological_charge",
    "topological_density",
    "torque_angle",
    "torque_error",
    "unstable_count",
    "velocity_autocorrelation",
]
