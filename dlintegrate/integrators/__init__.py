"""How a step is made."""

from .base import Integrator
from .composition import BlanesMoan4, SublatticeComposition, SuzukiTrotter2, SuzukiTrotter4
from .midpoint import ImplicitMidpoint

__all__ = [
    "BlanesMoan4",
    "ImplicitMidpoint",
    "Integrator",
    "SublatticeComposition",
    "SuzukiTrotter2",
    "SuzukiTrotter4",
]
