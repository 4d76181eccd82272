"""Deciding what to label next: ensembles, exploration, selection, labelling, in rounds."""

from .calibration import calibrate
from .ensemble import Ensemble
from .explorers import DynamicsExplorer, Explorer, PoolExplorer
from .labellers import FolderLabeller
from .learner import ActiveLearner

__all__ = [
    "ActiveLearner",
    "DynamicsExplorer",
    "Ensemble",
    "Explorer",
    "FolderLabeller",
    "PoolExplorer",
    "calibrate",
]
