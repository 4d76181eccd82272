"""The spherical midpoint rule: implicit, symplectic, for any lattice."""

import numpy as np

from .._checks import check_count
from .._kernels.heisenberg import cubic_sides
from .._kernels.midpoint import spherical_midpoint, spherical_midpoint_torch
from .base import Integrator
from .composition import check_lattice


class ImplicitMidpoint(Integrator):
    """Spherical midpoint rule for spins (McLachlan, Modin, Verdier 2014).

    Solves ``S' = S + dt m × h(m)`` with ``m_i = (S_i + S'_i)/|S_i + S'_i|`` by
    fixed-point iteration (Physical Review E 89, 061301). Second order,
    time-reversible and symplectic; keeps norms and, without a field, the total
    magnetisation to rounding; the energy error stays bounded. It needs no
    sublattices, so it serves odd sides too.

    Parameters
    ----------
    system : HeisenbergLattice
    dt : float
        Time step in units of 1/J. The iteration converges for about
        ``dt < 0.7 / max|h|``-like steps; beyond, samples fail.
    max_iterations : int, default 200
        A sample that has not converged by then is reported as failed.
    """

    def __init__(self, system, dt, max_iterations=200):
        self.system = system
        self.dt = dt
        self.max_iterations = max_iterations

    @property
    def guarantees(self):
        """Norm, symplecticity, reversibility, translations; without a field M and rotations."""
        kept = {
            "norm", "symplectic", "volume_preserving", "time_reversible",
            "translation_equivariant", "even_translation_equivariant",
        }  # fmt: skip
        if "magnetization" in self.system.invariants:
            kept.add("magnetization")
        if "rotation" in self.system.symmetries:
            kept.add("rotation_equivariant")
        return frozenset(kept)

    def validate(self, states, name="samples"):
        """As :meth:`Integrator.validate`; the system must be a HeisenbergLattice."""
        check_lattice(self)
        return super().validate(states, name)

    def advance(self, array, n_steps):
        """Run the numba kernel; see :meth:`Integrator.advance`."""
        result = np.array(array, dtype=np.float64, order="C")
        system = self.system
        cubic = result.reshape(len(result), *cubic_sides(result.shape[1:-1]), 3)
        spherical_midpoint(
            cubic, self.checked_dt(), n_steps, system.coupling, system.bias,
            check_count("max_iterations", self.max_iterations, 1),
        )  # fmt: skip
        return result

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin of :meth:`advance`; see :meth:`Integrator.advance_tensor`."""
        return spherical_midpoint_torch(
            tensor, self.checked_dt(), n_steps, self.system.coupling, self.system.bias,
            check_count("max_iterations", self.max_iterations, 1),
        )  # fmt: skip
