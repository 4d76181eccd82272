"""A learned potential of positions and spins in place of the exact energy."""

import warnings

import numpy as np
from sklearn.base import clone

from ..systems.atoms import POSITION, SPIN, AtomicSystem, Evaluation
from .base import Corrector

#: A total torque below this part of the torques is rounding: spins can be turned together.
_NO_TORQUE = 1e-6


class LearnedPotential(Corrector):
    """Learn the energy of a system of atoms with moments; the base step then runs in it.

    Samples are labelled by the exact system (energy, forces, magnetic forces), a clone of
    ``potential`` is fitted to them, and the step of the base is made in a
    :class:`LearnedCrystal` instead. The base should suit any potential:
    ``SpinLatticeSplitting(system, dt)`` takes its midpoint step then.

    A projection onto the energy and a fallback use the learned energy.

    Parameters
    ----------
    potential : Potential
        Such as :class:`EquivariantSpinPotential`; cloned by the fit.

    Attributes
    ----------
    potential_ : Potential
        Fitted.
    history_ : dict of lists

    Examples
    --------
    >>> from dlintegrate import (CorrectedIntegrator, EquivariantSpinPotential, LearnedPotential,
    ...     SpinLatticeCrystal, SpinLatticeSplitting)
    >>> iron = SpinLatticeCrystal(size=2)
    >>> samples = iron.random_states(6, random_state=0, order=3.0)
    >>> potential = EquivariantSpinPotential(cutoff=3.8, n_basis=6, n_channels=2, lmax=1)
    >>> base = SpinLatticeSplitting(iron, dt=1.0)
    >>> learned = CorrectedIntegrator(base, LearnedPotential(potential)).fit(samples)
    >>> sorted(learned.guarantees & {"magnetization", "momentum", "symplectic"})
    ['magnetization', 'momentum', 'symplectic']
    """

    target = "potential"
    local = True

    def __init__(self, potential):
        self.potential = potential

    def check(self, base):
        """Also that the base moves atoms with moments; see :meth:`Corrector.check`.

        Raises
        ------
        TypeError
            If it does not, or ``potential`` is not one.
        """
        from ..potentials import Potential

        if not isinstance(self.potential, Potential):
            raise TypeError(
                f"potential={self.potential!r}: expected one such as EquivariantSpinPotential"
            )
        given_system = "system" in base.get_params(deep=False)
        if not given_system or not isinstance(base.system, AtomicSystem):
            raise TypeError(
                f"base={base!r}: a learned potential needs a step of atoms with moments in a given "
                "system, such as SpinLatticeSplitting"
            )

    def exact_labels(self, system, array):
        """Energies, forces and magnetic forces."""
        return system.compute(*_positions_and_spins(array))

    def given_labels(self, system, array, y):
        """An Evaluation, checked."""
        if not isinstance(y, Evaluation):
            raise ValueError(
                f"y is a {type(y).__name__}: expected the Evaluation of system.evaluate(samples); "
                f"{self!r} learns an energy, not the next states"
            )
        vectors = (len(array), *array.shape[2:])
        shapes = {"energy": vectors[:1], "force": vectors, "magnetic_force": vectors}
        for name, shape in shapes.items():
            value = np.asarray(getattr(y, name))
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(
                    f"y.{name} has shape {value.shape}: expected finite numbers {shape}"
                )
        return y

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Fit a clone of the potential; see :meth:`Corrector.fit`.

        Parameters
        ----------
        base : Integrator
        X : ndarray, shape (n_samples, 3, n_atoms, 3)
        Y : Evaluation
        device
            Not used: the potential has its own.
        random_state : int or None
            Of the potential, where it is given.
        progress
            Not used.

        Warns
        -----
        UserWarning
            If the potential has a symmetry that the system has not: what breaks it is not learned.
        """
        self.check(base)
        self._compare_symmetries(base.system, X, Y)
        potential = clone(self.potential)
        if random_state is not None:
            potential.set_params(random_state=random_state)
        self.potential_ = potential.fit(_frames(base.system, X, Y))
        self.history_ = dict(getattr(potential, "history_", {}))
        return self

    def _compare_symmetries(self, system, array, labels):
        """Warn of terms of the system that the potential has not by construction."""
        if not system.exact_field:  # rounding has broken what it is to be compared with
            return
        extra = self.potential.symmetries - system.symmetries
        share = _total_torque(array, labels)
        if "time_reversal" in extra:
            what = (
                "even in the spins, and the system is not: it cannot learn a magnetic field. Fit "
                "it without the field, and add -B·S outside"
            )
        elif "spin_rotation" in extra and share > _NO_TORQUE:
            what = (
                "invariant when all spins turn together, and the system is not: a total torque of "
                f"{share:.2g} of the torques on spins cannot be learned. Set spin_orbit=True for "
                "anisotropy that the lattice makes; what has an axis fixed in space, add outside"
            )
        else:
            return
        name = type(self.potential).__name__
        warnings.warn(f"potential: this {name} is {what}", UserWarning, stacklevel=4)

    def learned_score(self, system, array, labels):
        """The potential's own score of the samples as frames."""
        return self.potential_.score(_frames(system, array, labels))

    def stand_in(self, model):
        """The learned energy as a system, in place of ``model``."""
        from ..potentials import LearnedCrystal

        return LearnedCrystal(model, self.potential_)

    def bind(self, base):
        """Return the base step in the learned potential."""
        from ..integrators.field_step import FieldStep

        return FieldStep(base, self)

    def guarantees(self, base):
        """What the base step keeps in the learned potential."""
        return self.bind(base).guarantees


def _total_torque(array, labels):
    """The total torque on the spins over the root of the sum of squares, rms over samples."""
    torques = np.cross(array[:, SPIN], labels.magnetic_force)
    total, single = (torques.sum(axis=1) ** 2).sum(), (torques**2).sum()
    return np.sqrt(total / single) if single > 0 else 0.0


def _positions_and_spins(array):
    return tuple(np.ascontiguousarray(array[:, variable]) for variable in (POSITION, SPIN))


def _frames(system, array, labels):
    """Labelled frames, without virials: labels in hand need not have them."""
    from ..frames import frames_from_arrays

    positions, spins = _positions_and_spins(array)
    return frames_from_arrays(
        positions, system.cell, system.species, spins=spins, energy=labels.energy,
        force=labels.force, magnetic_force=labels.magnetic_force,
    )  # fmt: skip
