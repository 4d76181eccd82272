"""What is simulated: energies, fields and forces, invariants and symmetries."""

from .atoms import AtomicSystem, Evaluation, spin_temperature
from .base import System
from .electrons import ElectronSolver, ExactDiagonalization
from .heisenberg import HeisenbergLattice
from .kernel_polynomial import KernelPolynomial
from .lennard_jones import LennardJones2D
from .sd_model import TriangularSDModel
from .textures import ferromagnet, helix, skyrmion_lattice

__all__ = [
    "AtomicSystem",
    "ElectronSolver",
    "Evaluation",
    "ExactDiagonalization",
    "HeisenbergLattice",
    "KernelPolynomial",
    "LennardJones2D",
    "System",
    "TriangularSDModel",
    "ferromagnet",
    "helix",
    "skyrmion_lattice",
    "spin_temperature",
]
