"""Potentials of positions and spins that are learned from frames."""

from .base import Potential
from .deep_spin import DeepSpinPotential
from .equivariant_spin import EquivariantSpinPotential
from .learned_crystal import LearnedCrystal
from .training import PotentialTraining

__all__ = [
    "DeepSpinPotential",
    "EquivariantSpinPotential",
    "LearnedCrystal",
    "Potential",
    "PotentialTraining",
]
