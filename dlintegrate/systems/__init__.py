"""What is simulated: energies, fields and forces, invariants and symmetries."""

from .base import System
from .heisenberg import HeisenbergLattice

__all__ = ["HeisenbergLattice", "System"]
