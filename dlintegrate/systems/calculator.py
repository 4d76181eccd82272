"""Anything with an ASE calculator as a system of atoms with moments."""

import warnings

import numpy as np

from .._units import ATOMIC_MASS
from .atoms import AtomicSystem, Evaluation, per_atom

#: What calculators call -∂E/∂m, in eV/μB; the first that one implements is taken.
MAGNETIC_KEYS = ("magnetic_forces", "magforces", "force_mag")


class CalculatorSystem(AtomicSystem):
    """The atoms, the cell and the calculator of ASE, the atomic simulation environment.

    Energies, forces and stresses are the calculator's. It is asked for its free energy where
    it has one, since that is what its forces are the gradient of. Spins reach it as the
    initial magnetic moments of the atoms, vectors in μB; it answers with magnetic forces
    -∂E/∂S in eV/μB among its results. Needs ASE: ``pip install "dlintegrate[ase]"``.

    Parameters
    ----------
    atoms : ase.Atoms
        Species, masses, positions at rest and cell; periodic in all three directions. Neither
        its constraints nor its own calculator are used, and it is not modified.
    calculator : ase calculator
        For instance ``ase.calculators.emt.EMT()``. Samples are computed one after the other.
    moment : float, sequence, dict or None
        Length of the spins in μB; of all atoms, of each, or by element, 0 for none. By default the
        initial magnetic moments of ``atoms``, if the calculator has magnetic forces; otherwise
        there are no spins, and the calculator sees the initial moments as they are.
    magnetic_key : str, optional
        Name of the magnetic forces among the calculator's results. By default one of
        "magnetic_forces", "magforces" and "force_mag" that is among its
        ``implemented_properties``. They must be -∂E/∂S, not a field in tesla or the opposite
        sign: compare with differences of the energy before you rely on it.

    Notes
    -----
    A calculator that fails for a sample (``CalculatorError``, for instance if it has not converged)
    loses that sample, with a warning, and the others go on. Clones share the calculator.
    Such a system cannot be written by :func:`~dlintegrate.save`; use joblib.

    Examples
    --------
    >>> from ase.build import bulk
    >>> from ase.calculators.emt import EMT
    >>> from dlintegrate import CalculatorSystem
    >>> copper = CalculatorSystem(bulk("Cu", cubic=True) * (2, 2, 2), EMT())
    >>> copper.forces(copper.random_states(1, random_state=0)).shape
    (1, 32, 3)
    """

    def __init__(self, atoms, calculator, moment=None, magnetic_key=None):
        self.atoms = atoms
        self.calculator = calculator
        self.moment = moment
        self.magnetic_key = magnetic_key

    def __sklearn_clone__(self):
        return type(self)(**self.get_params(deep=False))

    def _checked(self):
        """The atoms, if they are what they should be."""
        if not hasattr(self.atoms, "get_chemical_symbols"):
            raise TypeError(f"atoms is a {type(self.atoms).__name__}; expected an ase.Atoms object")
        if not np.all(self.atoms.pbc) or abs(self.atoms.cell.volume) < 1e-6:
            raise ValueError(
                f"atoms.pbc={self.atoms.pbc.tolist()}, cell={self.atoms.cell.array.tolist()}: "
                "expected a cell that is periodic in all three directions; give molecules a large "
                "one and set atoms.pbc = True"
            )
        return self.atoms

    @property
    def species(self):
        """Chemical symbol of each atom."""
        return self._checked().get_chemical_symbols()

    @property
    def masses(self):
        """Masses in eV fs²/Å²."""
        return ATOMIC_MASS * self._checked().get_masses()

    @property
    def cell(self):
        """Cell vectors as rows, in Å."""
        return np.array(self._checked().cell)

    @property
    def reference_positions(self):
        """Positions at rest, in Å."""
        return self._checked().get_positions()

    @property
    def moments(self):
        """Lengths of the spins in μB."""
        atoms = self._checked()
        if self.moment is None:
            if self._magnetic_key() is None:
                return np.zeros(len(atoms))
            initial = atoms.get_initial_magnetic_moments()
            return np.linalg.norm(initial.reshape(len(atoms), -1), axis=1)
        moments = per_atom("moment", self.moment, atoms.get_chemical_symbols())
        if not (moments >= 0).all():
            raise ValueError(f"moment={self.moment!r}: expected numbers of μB, none negative")
        if moments.any() and self._magnetic_key() is None:
            raise ValueError(
                f"moment={self.moment!r}, but {type(self.calculator).__name__} implements none of "
                f"{', '.join(MAGNETIC_KEYS)}: its spins would not know how to turn. Name its "
                "magnetic forces with magnetic_key, or leave moment out to move atoms alone"
            )
        return moments

    def _magnetic_key(self):
        if self.magnetic_key is not None:
            return self.magnetic_key
        known = getattr(self.calculator, "implemented_properties", ())
        return next((key for key in MAGNETIC_KEYS if key in known), None)

    def compute(self, positions, spins, *, virial=False):
        """Potential energy and its gradients; see :meth:`AtomicSystem.compute`.

        Parameters
        ----------
        positions, spins : ndarray, shape (n_samples, n_atoms, 3)
            In Å and μB.
        virial : bool, default False

        Returns
        -------
        Evaluation

        Raises
        ------
        NotImplementedError
            If the calculator has no stress, and the virial is wanted.
        """
        calculator_error = _calculator_error()
        atoms = self._checked().copy()
        atoms.set_constraint()
        spinning = self.moments.any()
        known = Evaluation(
            np.full(len(positions), np.nan), np.full_like(positions, np.nan),
            np.full_like(positions, np.nan),
            np.full((len(positions), 3, 3), np.nan) if virial else None,
        )  # fmt: skip
        for s in np.flatnonzero(np.isfinite(positions + spins).all(axis=(1, 2))):
            atoms.set_positions(positions[s])
            if spinning:
                atoms.set_initial_magnetic_moments(None)  # scalars would not give way to vectors
                atoms.set_initial_magnetic_moments(spins[s])
            try:
                self._compute_one(atoms, spinning, s, known)
            except calculator_error as error:
                for part in known:
                    if part is not None:
                        part[s] = np.nan
                warnings.warn(
                    f"{type(self.calculator).__name__} failed for sample {s}: {error}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        return known

    def _compute_one(self, atoms, spinning, s, known):
        """Fill one sample of an Evaluation."""
        ask = self.calculator.get_property
        known.force[s] = ask("forces", atoms)  # first: an energy alone would be computed twice
        free = "free_energy" in getattr(self.calculator, "implemented_properties", ())
        known.energy[s] = ask("free_energy" if free else "energy", atoms)
        known.magnetic_force[s] = self._magnetic_force(atoms) if spinning else 0.0
        if known.virial is not None:
            xx, yy, zz, yz, xz, xy = self._stress(atoms)
            stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
            known.virial[s] = -atoms.get_volume() * stress

    def _magnetic_force(self, atoms):
        key = self._magnetic_key()
        if key in getattr(self.calculator, "implemented_properties", ()):
            return self.calculator.get_property(key, atoms)
        if key not in self.calculator.results:
            raise ValueError(
                f"magnetic_key={key!r}: {type(self.calculator).__name__} has only "
                f"{sorted(self.calculator.results)} among its results"
            )
        return self.calculator.results[key]

    def _stress(self, atoms):
        try:
            return self.calculator.get_property("stress", atoms)
        except NotImplementedError:
            raise NotImplementedError(
                f"{type(self.calculator).__name__} has no stress, hence no virial and no pressure"
            ) from None


def _calculator_error():
    """What ASE's calculators raise when they fail."""
    try:
        from ase.calculators.calculator import CalculatorError
    except ImportError:
        raise ImportError(
            'CalculatorSystem needs ASE; install it: pip install "dlintegrate[ase]"'
        ) from None
    return CalculatorError
