"""What is learned: one architecture, one file."""

from .base import Corrector, ResidueCorrector
from .elementary import ElementaryDifferentialResidue
from .force import ForceCorrector
from .graph import GraphForce
from .learned_composition import LearnedComposition
from .roll_out import RollOut
from .unet import UNetResidue

__all__ = [
    "Corrector",
    "ElementaryDifferentialResidue",
    "ForceCorrector",
    "GraphForce",
    "LearnedComposition",
    "ResidueCorrector",
    "RollOut",
    "UNetResidue",
]
