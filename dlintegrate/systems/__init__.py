"""What is simulated: energies, fields and forces, invariants and symmetries."""

from .base import System
from .heisenberg import HeisenbergLattice
from .lennard_jones import LennardJones2D

__all__ = ["HeisenbergLattice", "LennardJones2D", "System"]
