"""What the effective forces of Park 2022, section 5.1.2, have in common."""

import numbers
from abc import abstractmethod

import numpy as np

from .._checks import check_count
from .force import ForceCorrector


class NetworkForce(ForceCorrector):
    """Two networks of one kind: θ1 before the drift, θ2 after it (Eqs 5.1-5.3).

    Subclasses have the parameters ``width``, ``depth``, ``equivariant``, ``training`` and
    ``precision``, and say how one of the two forces is built.
    """

    @property
    def batch_tolerance(self):
        """As in ForceCorrector; but in single precision the whole force rounds."""
        return 1e-12 if self.precision == "double" else 1e-5

    def guarantees(self, base):
        """The symmetries of the inputs; with ``equivariant=True`` momentum and rotations too."""
        kept = {"momentum"} if self.equivariant else set()
        if self.precision == "double":  # differences of positions round once they are shifted
            kept |= {"translation_equivariant", "galilean_equivariant", "permutation_equivariant"}
            kept |= {"rotation_equivariant"} if self.equivariant else set()
        return frozenset(kept)

    def _check_parameters(self):
        super()._check_parameters()
        for name in ("width", "depth"):
            check_count(name, getattr(self, name), 1)
        if not isinstance(self.equivariant, bool | np.bool_):
            raise ValueError(f"equivariant={self.equivariant!r}: expected True or False")

    def _build(self, law, dt):
        from ._force_modules import TwoForces

        return TwoForces(self._force(law, dt), self._force(law, dt), dt)

    @abstractmethod
    def _force(self, law, dt):
        """Return the module of one of the two forces, ``force(q, p, side)``."""


def check_positive(corrector, *names):
    """Raise ValueError for parameters that are not positive numbers."""
    for name in names:
        value = getattr(corrector, name)
        if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 < value < np.inf:
            raise ValueError(f"{name}={value!r}: expected a positive number")
