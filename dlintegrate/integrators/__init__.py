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
from .midpoint import ImplicitMidpoint
from .step_size import suggest_dt
from .trajectory_file import open_trajectory

__all__ = [
    "BlanesMoan4",
    "BlanesMoan6",
    "CorrectedIntegrator",
    "ImplicitMidpoint",
    "Integrator",
    "SublatticeComposition",
    "SuzukiTrotter2",
    "SuzukiTrotter4",
    "open_trajectory",
    "suggest_dt",
]
