"""What is learned: one architecture, one file."""

from .base import Corrector, ResidueCorrector
from .combined import CombinedForce
from .elementary import ElementaryDifferentialResidue
from .equivariant_residue import EquivariantResidue
from .equivariant_torque import EquivariantTorque
from .field import FieldCorrector
from .field_training import FieldTraining
from .force import ForceCorrector
from .graph import GraphForce
from .learned_composition import LearnedComposition
from .learned_potential import LearnedPotential
from .many_body import ManyBodyForce
from .pairwise import PairwiseForce
from .roll_out import RollOut
from .series_torque import SeriesTorque
from .torque_cnn import TorqueCNN
from .unet import UNetResidue

__all__ = [
    "CombinedForce",
    "Corrector",
    "ElementaryDifferentialResidue",
    "EquivariantResidue",
    "EquivariantTorque",
    "FieldCorrector",
    "FieldTraining",
    "ForceCorrector",
    "GraphForce",
    "LearnedComposition",
    "LearnedPotential",
    "ManyBodyForce",
    "PairwiseForce",
    "ResidueCorrector",
    "RollOut",
    "SeriesTorque",
    "TorqueCNN",
    "UNetResidue",
]
