"""A crystal of atoms with moments whose energy is a formula: the analytic spin-lattice model."""

import numbers
from typing import NamedTuple

import numpy as np

from .._checks import check_count
from .._kernels.neighbours import pairs_within
from .._kernels.radial import Tables
from .._kernels.spin_lattice import Terms, bond_couplings, evaluate_samples
from .._units import ATOMIC_MASS, BOHR_MAGNETON
from ._crystal_terms import crystal_terms
from .atoms import AtomicSystem, Evaluation, per_atom

#: Positions in the conventional cell, in lattice constants.
_BASES = {
    "sc": [(0.0, 0.0, 0.0)],
    "bcc": [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5)],
    "fcc": [(0.0, 0.0, 0.0), (0.0, 0.5, 0.5), (0.5, 0.0, 0.5), (0.5, 0.5, 0.0)],
}
#: Lists reach this far beyond the cutoff, Å: atoms of a hot crystal move less than half of it.
SKIN = 1.0


class _Built(NamedTuple):
    """What follows from the parameters; see :meth:`SpinLatticeCrystal._built`."""

    made_of: tuple
    species: list
    masses: np.ndarray
    moments: np.ndarray
    cell: np.ndarray
    positions: np.ndarray
    tables: Tables
    terms: Terms
    exchange_cutoff: float


class SpinLatticeCrystal(AtomicSystem):
    """A periodic crystal with pair or embedded-atom forces and distance-dependent exchange.

    ``H = Σ p²/2m + U(R) - ½ Σ_{i≠j} J(r_ij) (e_i·e_j - 1) - Σ B·S_i + Σ A(e_i)`` with
    ``e = S/μ`` (Ma, Woo and Dudarev, Phys. Rev. B 78, 024434, 2008). The sums over
    pairs run over all periodic images within the cutoffs. Gradients with respect to spins are
    those of this polynomial in S with fixed μ.

    The defaults are bcc iron with Morse forces: 250 atoms, Curie temperature near 1043 K.

    Parameters
    ----------
    lattice : {"bcc", "fcc", "sc"}, default "bcc"
        Ignored if ``positions`` are given.
    size : int or tuple of 3 ints, default 5
        Conventional cells along each side.
    lattice_constant : float, default 2.8665
        In Å.
    element : str or sequence of str, default "Fe"
        Chemical symbol of all atoms or of each.
    mass : float, sequence or dict, default 55.845
        In atomic mass units; of all atoms, of each, or by element.
    moment : float, sequence or dict, default 2.2
        Length of the spins in μB; of all atoms, of each, or by element. 0 for none.
    exchange : "cubic", "bethe-slater", RadialLaw, dict or None, default "cubic"
        J(r); a name stands for the law's iron. A dict gives the laws by pairs of elements, for
        instance ``{"Fe-Fe": "cubic", "Fe-O": BetheSlater(...)}``; those that are
        missing do not interact. None is no exchange.
    pair_potential : "morse", "finnis-sinclair", RadialLaw, EmbeddedAtom, dict or None
        U(R): a pair potential or an embedded-atom potential, by default Morse forces of iron.
        None suits spins on atoms that do not move.
    field : sequence of 3 floats, default (0, 0, 0)
        Magnetic field B in tesla.
    anisotropy : UniaxialAnisotropy, CubicAnisotropy, list of them or None
        Of every atom with a moment.
    offset : bool, default True
        Whether the exchange has its ``- 1``: the forces of the aligned crystal are then those of U.
        The magnetic forces do not depend on it.
    positions : array-like, shape (n_atoms, 3), optional
        Positions at rest in Å, instead of a lattice.
    cell_vectors : array-like, shape (3, 3), optional
        Rows are the cell vectors in Å; required with ``positions``.

    Notes
    -----
    Arrays and lists among the parameters must not be changed in place; set the parameter anew.

    Examples
    --------
    >>> from dlintegrate import SpinLatticeCrystal
    >>> iron = SpinLatticeCrystal("bcc", size=4)
    >>> states = iron.random_states(2, random_state=0)
    >>> states.shape
    (2, 3, 128, 3)
    >>> iron.magnetic_forces(states).shape
    (2, 128, 3)
    """

    def __init__(
        self, lattice="bcc", size=5, lattice_constant=2.8665, element="Fe", mass=55.845, moment=2.2,
        exchange="cubic", pair_potential="morse", field=(0.0, 0.0, 0.0), anisotropy=None,
        offset=True, positions=None, cell_vectors=None,
    ):  # fmt: skip
        self.lattice = lattice
        self.size = size
        self.lattice_constant = lattice_constant
        self.element = element
        self.mass = mass
        self.moment = moment
        self.exchange = exchange
        self.pair_potential = pair_potential
        self.field = field
        self.anisotropy = anisotropy
        self.offset = offset
        self.positions = positions
        self.cell_vectors = cell_vectors

    # What follows from the parameters -----------------------------------------------------

    def _built(self):
        """Atoms, tables and terms; made once, and again when a parameter has changed."""
        made_of = _fingerprint(self)
        known = self.__dict__.get("_known")
        if known is None or known.made_of != made_of:
            self._known = known = self._build(made_of)
        return known

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_known"}

    def _build(self, made_of):
        positions, cell = self._sites()
        species = self._symbols(len(positions))
        masses = per_atom("mass", self.mass, species)
        moments = per_atom("moment", self.moment, species)
        if not (masses > 0).all():
            raise ValueError(f"mass={self.mass!r}: expected positive numbers")
        if not (moments >= 0).all():
            raise ValueError(f"moment={self.moment!r}: expected numbers of μB, none negative")
        tables, terms, reach = crystal_terms(
            species, moments, self.exchange, self.pair_potential, self._field(), self.anisotropy,
            self.offset,
        )  # fmt: skip
        for array in (masses, moments, positions, cell):
            array.flags.writeable = False
        return _Built(
            made_of, species, masses * ATOMIC_MASS, moments, cell, positions, tables, terms, reach
        )

    def _sites(self):
        """Positions at rest and cell, checked."""
        if self.positions is None:
            return self._lattice_sites()
        if self.cell_vectors is None:
            raise ValueError("positions are given without cell_vectors; pass both")
        positions = np.array(self.positions, dtype=np.float64)
        cell = np.array(self.cell_vectors, dtype=np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3 or len(positions) == 0:
            raise ValueError(f"positions have shape {positions.shape}; expected (n_atoms, 3)")
        if cell.shape != (3, 3) or not abs(np.linalg.det(cell)) > 1e-6:
            raise ValueError(
                f"cell_vectors={cell.tolist()}: expected three vectors that span a volume, as rows"
            )
        if not np.isfinite(positions).all():
            raise ValueError("positions have NaN or infinite values")
        return positions, cell

    def _lattice_sites(self):
        if self.cell_vectors is not None:
            raise ValueError("cell_vectors are given without positions; pass both, or lattice")
        if self.lattice not in _BASES:
            raise ValueError(
                f"lattice={self.lattice!r}: expected one of {sorted(_BASES)}, or pass positions "
                "and cell_vectors"
            )
        size = (self.size,) * 3 if isinstance(self.size, numbers.Integral) else tuple(self.size)
        if len(size) != 3:
            raise ValueError(f"size={self.size!r}: expected an int or three of them")
        size = [check_count("size", n, 1) for n in size]
        constant = self.lattice_constant
        if not isinstance(constant, numbers.Real) or not constant > 0:
            raise ValueError(f"lattice_constant={constant!r}: expected a positive number of Å")
        corners = np.stack(np.meshgrid(*map(np.arange, size), indexing="ij"), -1).reshape(-1, 1, 3)
        sites = (corners + np.array(_BASES[self.lattice])).reshape(-1, 3)
        return constant * sites, constant * np.diag(np.array(size, dtype=np.float64))

    def _symbols(self, n_atoms):
        if isinstance(self.element, str):
            return [self.element] * n_atoms
        species = [str(s) for s in self.element]
        if len(species) != n_atoms:
            raise ValueError(f"element names {len(species)} atoms; the crystal has {n_atoms}")
        return species

    def _field(self):
        field = np.array(self.field, dtype=np.float64)
        if field.shape != (3,) or not np.isfinite(field).all():
            raise ValueError(f"field={self.field!r}: expected three numbers, in tesla")
        return BOHR_MAGNETON * field

    # The interface of AtomicSystem ----------------------------------------------------------

    @property
    def species(self):
        """Chemical symbol of each atom."""
        return self._built().species

    @property
    def masses(self):
        """Masses in eV fs²/Å²."""
        return self._built().masses

    @property
    def moments(self):
        """Lengths of the spins in μB."""
        return self._built().moments

    @property
    def cell(self):
        """Cell vectors as rows, in Å."""
        return self._built().cell

    @property
    def reference_positions(self):
        """Positions at rest, in Å."""
        return self._built().positions

    @property
    def interaction_cutoff(self):
        """Distance beyond which no law reaches, in Å."""
        return self._built().terms.cutoff

    @property
    def separate_rotation(self):
        """True without field and anisotropy."""
        return self.has_bonds

    @property
    def has_bonds(self):
        """Whether all that acts on spins is in :meth:`exchange_bonds`."""
        terms = self._built().terms
        return not (terms.field.any() or len(terms.uniaxial) or len(terms.cubic))

    @property
    def symmetries(self):
        """As for all atoms; a field breaks time reversal."""
        kept = super().symmetries
        return kept - {"time_reversal"} if self._built().terms.field.any() else kept

    def compute(self, positions, spins, *, virial=False):
        """Potential energy and its gradients; see :meth:`AtomicSystem.compute`.

        Parameters
        ----------
        positions, spins : ndarray, shape (n_samples, n_atoms, 3)
            In Å and μB. Samples with NaN among the positions have NaN results.
        virial : bool, default False

        Returns
        -------
        Evaluation

        Raises
        ------
        ValueError
            If the numbers of samples of the two differ.
        """
        built = self._built()
        positions, spins = (self._of_all_atoms(x) for x in (positions, spins))
        if len(spins) != len(positions):
            raise ValueError(f"{len(positions)} samples of positions and {len(spins)} of spins")
        pairs = pairs_within(positions, built.cell, built.terms.cutoff, SKIN)
        n_samples = len(positions)
        energy = np.empty(n_samples)
        force, magnetic = np.empty_like(positions), np.empty_like(spins)
        stress = np.zeros((n_samples if virial else 0, 3, 3))
        evaluate_samples(
            positions.reshape(-1, 3), spins.reshape(-1, 3), pairs, built.tables, built.terms,
            energy, force.reshape(-1, 3), magnetic.reshape(-1, 3), stress,
        )  # fmt: skip
        return Evaluation(energy, force, magnetic, stress if virial else None)

    def _of_all_atoms(self, vectors):
        """Vectors as kernels take them: they do not look whether there are enough."""
        vectors = np.ascontiguousarray(vectors, dtype=np.float64)
        expected = self._built().positions.shape
        if vectors.shape[1:] != expected:
            raise ValueError(
                f"positions or spins of shape {vectors.shape}; expected (n_samples, "
                f"{expected[0]}, 3)"
            )
        return vectors

    def exchange_bonds(self, positions):
        """Bonds of the exchange and their strengths at given positions.

        ``E = -½ Σ J_ij S_i·S_j`` over the ordered pairs, and terms without bonds of spins
        (see ``has_bonds``). Every bond is there twice, an atom may meet its own images, and some
        pairs lie beyond the cutoff: their J is exactly 0.

        Parameters
        ----------
        positions : ndarray, shape (n_samples, n_atoms, 3)
            In Å.

        Returns
        -------
        pairs : Pairs
            With arrays ``first``, ``second``, ``offset`` and ``starts``; atoms of all samples are
            numbered through.
        coupling : ndarray, shape (n_pairs,)
            J in eV/μB².
        """
        built = self._built()
        positions = self._of_all_atoms(positions)
        pairs = pairs_within(positions, built.cell, built.exchange_cutoff, SKIN)
        coupling = np.empty(len(pairs.first))
        bond_couplings(positions.reshape(-1, 3), pairs, built.tables, built.terms, coupling)
        return pairs, coupling


def _fingerprint(value):
    """Something that differs when a parameter has been set anew.

    Arrays, lists and long tuples count by identity: comparing them would cost more than a step.
    """
    if hasattr(value, "get_params"):
        parameters = [v for k, v in vars(value).items() if k != "_known"]
        return type(value), *map(_fingerprint, parameters)
    if isinstance(value, dict):
        return tuple((k, _fingerprint(v)) for k, v in value.items())
    if isinstance(value, tuple) and len(value) < 16:
        return tuple(map(_fingerprint, value))
    if isinstance(value, str | bool | numbers.Number | None):
        return value
    return _Same(value)


class _Same:
    """Equal only to what holds the same object."""

    def __init__(self, held):
        self.held = held

    def __eq__(self, other):
        return isinstance(other, _Same) and self.held is other.held

    __hash__ = None  # type: ignore[assignment]
