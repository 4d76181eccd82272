"""What is simulated: energies, fields and forces, invariants and symmetries."""

from .atoms import AtomicSystem, Evaluation, spin_temperature
from .base import System
from .calculator import CalculatorSystem
from .crystal import SpinLatticeCrystal
from .electrons import ElectronSolver, ExactDiagonalization
from .embedded_atom import EmbeddedAtom, FinnisSinclair
from .heisenberg import HeisenbergLattice
from .interactions import (
    BetheSlater,
    CubicAnisotropy,
    CubicExchange,
    Morse,
    RadialLaw,
    UniaxialAnisotropy,
)
from .kernel_polynomial import KernelPolynomial
from .lennard_jones import LennardJones2D
from .sd_model import TriangularSDModel
from .textures import ferromagnet, helix, skyrmion_lattice

__all__ = [
    "AtomicSystem",
    "BetheSlater",
    "CalculatorSystem",
    "CubicAnisotropy",
    "CubicExchange",
    "ElectronSolver",
    "EmbeddedAtom",
    "Evaluation",
    "ExactDiagonalization",
    "FinnisSinclair",
    "HeisenbergLattice",
    "KernelPolynomial",
    "LennardJones2D",
    "Morse",
    "RadialLaw",
    "SpinLatticeCrystal",
    "System",
    "TriangularSDModel",
    "UniaxialAnisotropy",
    "ferromagnet",
    "helix",
    "skyrmion_lattice",
    "spin_temperature",
]
