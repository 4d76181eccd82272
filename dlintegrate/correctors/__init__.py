"""What is learned: one architecture, one file."""

from .base import Corrector, ResidueCorrector
from .elementary import ElementaryDifferentialResidue
from .learned_composition import LearnedComposition
from .unet import UNetResidue

__all__ = [
    "Corrector",
    "ElementaryDifferentialResidue",
    "LearnedComposition",
    "ResidueCorrector",
    "UNetResidue",
]
