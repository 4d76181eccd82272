"""What is learned: one architecture, one file."""

from .base import Corrector, ResidueCorrector
from .combined import CombinedForce
from .elementary import ElementaryDifferentialResidue
from .force import ForceCorrector
from .graph import GraphForce
from .learned_composition import LearnedComposition
from .many_body import ManyBodyForce
from .pairwise import PairwiseForce
from .roll_out import RollOut
from .unet import UNetResidue

__all__ = [
    "CombinedForce",
    "Corrector",
    "ElementaryDifferentialResidue",
    "ForceCorrector",
    "GraphForce",
    "LearnedComposition",
    "ManyBodyForce",
    "PairwiseForce",
    "ResidueCorrector",
    "RollOut",
    "UNetResidue",
]
