"""How a step is made."""

from .base import Integrator
from .composition import (
    BlanesMoan4,
    BlanesMoan6,
    SublatticeComposition,
    SuzukiTrotter2,
    SuzukiTrotter4,
)
from .corrected import CorrectedIntegrator
from .domain import DomainWarning
from .fallback import Fallback
from .field_step import LearnedField
from .llg import DampedMidpoint, LandauLifshitzGilbert, RungeKutta4, SemiImplicitB
from .midpoint import ImplicitMidpoint
from .multiple_time_step import MultipleTimeStep
from .spin_lattice import SpinLatticeSplitting
from .step_size import suggest_dt
from .trajectory import open_trajectory
from .verlet import PEFRL, BlanesMoanRKN4, SubsteppedVerlet, VelocityVerlet

__all__ = [
    "PEFRL",
    "BlanesMoan4",
    "BlanesMoan6",
    "BlanesMoanRKN4",
    "CorrectedIntegrator",
    "DampedMidpoint",
    "DomainWarning",
    "Fallback",
    "ImplicitMidpoint",
    "Integrator",
    "LandauLifshitzGilbert",
    "LearnedField",
    "MultipleTimeStep",
    "RungeKutta4",
    "SemiImplicitB",
    "SpinLatticeSplitting",
    "SublatticeComposition",
    "SubsteppedVerlet",
    "SuzukiTrotter2",
    "SuzukiTrotter4",
    "VelocityVerlet",
    "open_trajectory",
    "suggest_dt",
]
