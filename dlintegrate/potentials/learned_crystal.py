"""A crystal whose energy is a fitted potential."""

from copy import deepcopy

from ..systems.atoms import AtomicSystem
from .base import Potential


class LearnedCrystal(AtomicSystem):
    """The atoms of a model in the energy of a fitted potential.

    Parameters
    ----------
    model : AtomicSystem
        Gives species, masses, moments, cell and positions at rest.
    potential : Potential
        Fitted, to frames that hold the species of the model. Cloning keeps the fit.

    Examples
    --------
    >>> from dlintegrate import LearnedCrystal
    >>> learned = LearnedCrystal(iron, potential)  # doctest: +SKIP
    """

    def __init__(self, model, potential):
        self.model = model
        self.potential = potential

    def __sklearn_clone__(self):
        return deepcopy(self)  # without its fit it is worth nothing

    @property
    def species(self):
        """Those of the model."""
        return self.model.species

    @property
    def masses(self):
        """Those of the model."""
        return self.model.masses

    @property
    def moments(self):
        """Those of the model."""
        return self.model.moments

    @property
    def cell(self):
        """That of the model."""
        return self.model.cell

    @property
    def reference_positions(self):
        """Those of the model."""
        return self.model.reference_positions

    @property
    def _exact(self):
        """Whether what holds in the equations holds to rounding."""
        return self.potential.precision == "double"

    @property
    def separate_rotation(self):
        """Whether the potential declares it, and is evaluated in double precision."""
        return self._exact and "spin_rotation" in self.potential.symmetries

    @property
    def invariants(self):
        """Those of the dynamics; in single precision norm and momentum alone."""
        return super().invariants if self._exact else frozenset({"norm", "momentum"})

    @property
    def symmetries(self):
        """Those that the potential has by construction; none in single precision."""
        if not self._exact:
            return frozenset()
        missing = {"time_reversal"} - self.potential.symmetries
        return super().symmetries - missing

    def compute(self, positions, spins, *, virial=False):
        """Energy and gradients of the potential; see :meth:`AtomicSystem.compute`.

        Raises
        ------
        TypeError
            If ``potential`` is not one.
        NotFittedError, ValueError
            If it is not fitted, or not to all species of the model.
        """
        if not isinstance(self.potential, Potential):
            raise TypeError(f"potential={self.potential!r}: expected a fitted Potential")
        return self.potential.compute(positions, self.cell, spins, self.species, virial=virial)
