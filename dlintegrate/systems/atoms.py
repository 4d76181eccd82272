"""What all crystals of atoms that carry magnetic moments have in common."""

from abc import abstractmethod
from typing import NamedTuple

import numpy as np

from .._kernels.neighbours import closest_pair, pairs_within
from .._units import BOLTZMANN, GIGAPASCAL, GYROMAGNETIC
from ..states import NORM_TOLERANCE, in_order, name_samples, to_array
from .base import System, kinetic_interval

POSITION, MOMENTUM, SPIN = range(3)
_VARIABLES = ["position", "momentum", "spin"]
#: Atoms closer than this, in Å, overlap.
CLOSEST = 0.7
#: Atoms faster than this, in Å/fs, have exploded (hydrogen at 300 K: 0.03).
FASTEST = 1.0
#: A spin's length may differ from its moment by this fraction in a healthy state.
_LENGTH_TOLERANCE = 1e-6
#: Pairs are looked for up to this distance, in Å, and lists of them kept for atoms that move.
_NEAR, _NEAR_SKIN = 2.0, 0.5


class Evaluation(NamedTuple):
    """What a potential says of atoms; see :meth:`AtomicSystem.compute`."""

    energy: np.ndarray  #: (n_samples,), eV: potential, without kinetic energy
    force: np.ndarray  #: (n_samples, n_atoms, 3), -∂E/∂R at fixed spins, eV/Å
    magnetic_force: np.ndarray  #: (n_samples, n_atoms, 3), -∂E/∂S at fixed positions, eV/μB
    virial: np.ndarray | None = None  #: (n_samples, 3, 3), -∂E/∂strain, eV


class AtomicSystem(System):
    """Atoms with positions, momenta and magnetic moments of constant length, in a periodic cell.

    ``H = Σ p²/2m + E(R, S)``; ``dR/dt = p/m``, ``dp/dt = -∂E/∂R`` and, with g = 2,
    ``dS/dt = (2/ħ) S × (-∂E/∂S)`` for moments S in μB.

    Sets of states are DataArrays ``("sample", "variable", "atom", "component")`` with
    variable = position (Å, not wrapped into the cell), momentum (eV fs/Å) and spin (μB; zero on
    atoms that carry none). Energies are in eV, times in fs, temperatures in K.

    Subclasses give ``species``, ``masses``, ``moments``, ``cell``, ``reference_positions``
    and :meth:`compute`.

    Attributes
    ----------
    species : list of str
        Chemical symbol of each atom.
    masses : ndarray, shape (n_atoms,)
        In eV fs²/Å² (an atomic mass unit is 103.64).
    moments : ndarray, shape (n_atoms,)
        Length of each spin in μB; 0 for atoms without one.
    cell : ndarray, shape (3, 3)
        Rows are the cell vectors, in Å.
    reference_positions : ndarray, shape (n_atoms, 3)
        Where the atoms of :meth:`random_states` are shaken about, in Å.
    """

    state_name = "phase_space"
    state_dims = ("variable", "atom", "component")
    gyromagnetic_ratio = GYROMAGNETIC

    @property
    @abstractmethod
    def species(self):
        """Chemical symbol of each atom."""

    @property
    @abstractmethod
    def masses(self):
        """Masses in eV fs²/Å²."""

    @property
    @abstractmethod
    def moments(self):
        """Lengths of the spins in μB."""

    @property
    @abstractmethod
    def cell(self):
        """Cell vectors as rows, in Å."""

    @property
    @abstractmethod
    def reference_positions(self):
        """Positions at rest, in Å."""

    @abstractmethod
    def compute(self, positions, spins, *, virial=False):
        """Potential energy and its gradients.

        Parameters
        ----------
        positions, spins : ndarray, shape (n_samples, n_atoms, 3)
            In Å and μB.
        virial : bool, default False
            Also the virial.

        Returns
        -------
        Evaluation
        """

    @property
    def separate_rotation(self):
        """Whether the energy is invariant under rotations of all spins alone."""
        return False

    @property
    def exact_field(self):
        """Whether forces are the gradient of the energy to the rounding of double precision."""
        return "energy" in self.invariants

    @property
    def has_bonds(self):
        """Whether all that acts on spins is in :meth:`exchange_bonds`."""
        return False

    def exchange_bonds(self, positions):
        """Bonds of a bilinear exchange and their strengths at given positions.

        Parameters
        ----------
        positions : ndarray, shape (n_samples, n_atoms, 3)
            In Å.

        Raises
        ------
        NotImplementedError
            If the energy of the spins is not a sum over bonds.
        """
        raise NotImplementedError(
            f"the spins of {type(self).__name__} have no bonds; use a step that asks for "
            "magnetic forces, such as the midpoint"
        )

    def spins_of(self, array):
        """The third variable; see :meth:`System.spins_of`."""
        return array[:, SPIN]

    @property
    def n_sites(self):
        """Number of atoms."""
        return len(self.moments)

    @property
    def state_coords(self):
        """Labels of the variables of a state and of the atoms."""
        return {"variable": _VARIABLES}

    @property
    def invariants(self):
        """Norm, energy and momentum; the total spin where spins rotate separately."""
        kept = {"norm", "energy", "momentum"}
        return frozenset(kept | {"magnetization"} if self.separate_rotation else kept)

    @property
    def symmetries(self):
        """Translation, permutation of equal atoms, boosts, time reversal; rotation of spins."""
        kept = {"translation", "permutation", "galilean", "time_reversal"}
        return frozenset(kept | {"spin_rotation"} if self.separate_rotation else kept)

    # States ------------------------------------------------------------------------------

    def resized(self, state_shape):
        """Return this system, if the state has its number of atoms.

        Parameters
        ----------
        state_shape : tuple of int
            Shape of one state, ``(3, n_atoms, 3)``.

        Raises
        ------
        ValueError
            If it has not: where other atoms belong, a state does not say.
        """
        if state_shape[1] != self.n_sites:
            raise ValueError(
                f"a state has {state_shape[1]} atoms, this {type(self).__name__} {self.n_sites}; "
                "make a system of that size"
            )
        return self

    def validate(self, states, name="samples"):
        """Check states and return them as an ndarray.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, 3, n_atoms, 3)
        name : str
            What to call the argument in error messages.

        Returns
        -------
        ndarray, shape (n_samples, 3, n_atoms, 3)

        Raises
        ------
        ValueError
            On a wrong shape, NaN, overlapping atoms, or spins that have not the length of their
            moments.
        """
        array = to_array(in_order(states, _VARIABLES, name), self.state_dims, name)
        if array.shape[1:] != (3, self.n_sites, 3):
            raise ValueError(
                f"{name} has states of shape {array.shape[1:]}; expected (3, n_atoms, 3) = "
                f"(3, {self.n_sites}, 3): positions, momenta and spins"
            )
        array = self._with_spins_of_length(array, name)
        closest = self.closest_pair(array)
        if (closest < CLOSEST).any():
            raise ValueError(
                f"{name} has overlapping atoms in {name_samples(closest < CLOSEST)} (closest pair "
                f"at {closest.min():.3g} Å, expected more than {CLOSEST}); check the cell and "
                "that positions come first"
            )
        return array

    def _with_spins_of_length(self, array, name):
        """States whose spins have the lengths of their moments to rounding."""
        moments = self.moments
        lengths = np.linalg.norm(array[:, SPIN], axis=-1)
        scale = np.where(moments > 0, moments, 1.0)
        off = (np.abs(lengths - moments) / scale).max(axis=1)
        bad = off > NORM_TOLERANCE
        if bad.any():
            raise ValueError(
                f"{name} has spins whose length is not their moment in {name_samples(bad)} "
                f"(off by {off.max():.3g} of it); spins are in μB, zero on atoms without a moment"
            )
        loose = off > 1e-12  # below, it is the rounding of a long run: see to_spins
        if loose.any():
            array = array.copy()
            array[loose, SPIN] *= (moments / np.where(lengths > 0, lengths, 1.0))[loose, :, None]
        return array

    def closest_pair(self, array):
        """Shortest distance between two atoms of each state, in Å; infinite above 2.

        Parameters
        ----------
        array : ndarray, shape (n_samples, 3, n_atoms, 3)

        Returns
        -------
        ndarray, shape (n_samples,)
        """
        positions = np.ascontiguousarray(array[:, POSITION])
        pairs = pairs_within(positions, self.cell, _NEAR, _NEAR_SKIN)
        closest = np.empty(len(array))
        closest_pair(positions, pairs.first, pairs.second, pairs.offset, _NEAR, closest)
        return np.sqrt(closest)

    def random_states(self, n_samples, random_state=None, order=0.0):
        """Atoms shaken by up to 0.1 Å, at about 300 K, with random spins.

        Spins turn to a random common direction, and shaking fades, the larger ``order``;
        see :meth:`System.random_states`.
        """
        rng = np.random.default_rng(random_state)
        states = np.empty((n_samples, 3, self.n_sites, 3))
        shape = (n_samples, self.n_sites, 3)
        shake = rng.uniform(-0.1, 0.1, size=shape) / (1 + order)
        states[:, POSITION] = self.reference_positions + shake
        states[:, MOMENTUM] = self.thermal_momenta(300.0, n_samples, rng)
        spins = rng.normal(size=shape) + order * rng.normal(size=(n_samples, 1, 3))
        unit = spins / np.linalg.norm(spins, axis=-1, keepdims=True)
        states[:, SPIN] = self.moments[:, None] * unit
        return states

    def thermal_momenta(self, temperature, n_samples, random_state=None):
        """Momenta of the Maxwell-Boltzmann distribution, without the total momentum.

        Parameters
        ----------
        temperature : float
            In K.
        n_samples : int
        random_state : int, Generator or None

        Returns
        -------
        ndarray, shape (n_samples, n_atoms, 3)
            In eV fs/Å.
        """
        rng = np.random.default_rng(random_state)
        width = np.sqrt(BOLTZMANN * temperature * self.masses)[:, None]
        momenta = width * rng.normal(size=(n_samples, self.n_sites, 3))
        share = (self.masses / self.masses.sum())[:, None]
        return momenta - share * momenta.sum(axis=1, keepdims=True)

    # Energy and what follows from it -----------------------------------------------------

    def evaluate(self, states, *, virial=False):
        """Potential energy, forces and magnetic forces of states.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, 3, n_atoms, 3)
        virial : bool, default False

        Returns
        -------
        Evaluation
        """
        return self._compute(self.validate(states), virial)

    def _compute(self, array, virial=False):
        positions, spins = (np.ascontiguousarray(array[:, v]) for v in (POSITION, SPIN))
        return self.compute(positions, spins, virial=virial)

    def energy(self, states):
        """Total energy of each state, kinetic and potential, in eV, shape (n_samples,)."""
        return self._total_energy(self.validate(states))

    def _total_energy(self, array):
        return self._compute(array).energy + self._kinetic(array)[0]

    def potential_energy(self, states):
        """Potential energy of each state in eV, shape (n_samples,)."""
        return self.evaluate(states).energy

    def forces(self, states):
        """Forces in eV/Å, shape (n_samples, n_atoms, 3)."""
        return self.evaluate(states).force

    def magnetic_forces(self, states):
        """Magnetic forces in eV/μB, shape (n_samples, n_atoms, 3)."""
        return self.evaluate(states).magnetic_force

    def pressure(self, states):
        """Pressure of each state in GPa, shape (n_samples,): kinetic part and virial."""
        array = self.validate(states)
        trace = np.trace(self._compute(array, virial=True).virial, axis1=1, axis2=2)
        volume = abs(np.linalg.det(self.cell))
        return GIGAPASCAL * (2 * self._kinetic(array)[0] + trace) / (3 * volume)

    def observables(self, array):
        """What a trajectory records.

        Potential and total energy, total momentum and magnetisation, and the temperatures
        of lattice and spins (see :func:`spin_temperature`).
        """
        known = self._compute(array)
        kinetic, relative = self._kinetic(array)
        spins = array[:, SPIN]
        freedoms = max(1, 3 * (self.n_sites - 1))
        return {
            "energy": ((), known.energy + kinetic),
            "potential_energy": ((), known.energy),
            "momentum": (("component",), array[:, MOMENTUM].sum(axis=1)),
            "magnetization": (("component",), spins.sum(axis=1)),
            "lattice_temperature": ((), 2 * relative / (freedoms * BOLTZMANN)),
            "spin_temperature": ((), spin_temperature(spins, known.magnetic_force)),
        }

    def _kinetic(self, array):
        """Kinetic energy, and that about the centre of mass; each (n_samples,)."""
        momenta, masses = array[:, MOMENTUM], self.masses
        total = momenta.sum(axis=1)
        kinetic = 0.5 * ((momenta**2).sum(-1) / masses).sum(-1)
        return kinetic, kinetic - 0.5 * (total**2).sum(-1) / masses.sum()

    def conditions(self, array):
        """Kinetic temperature of atoms that move; see :meth:`System.conditions`.

        That of the spins would take an evaluation of the potential, which may cost hours.
        """
        freedoms = max(1, 3 * (self.n_sites - 1))
        temperature = 2 * self._kinetic(array)[1] / (freedoms * BOLTZMANN)
        temperature[~array[:, MOMENTUM].any(axis=(-1, -2))] = np.nan
        return {"temperature": kinetic_interval(temperature, freedoms)}

    def project(self, array, before, quantities, elapsed):
        """Rescale the momenta about the centre of mass until the energy is that of ``before``.

        Total momentum and spins are not touched; other quantities are not projected.

        Parameters
        ----------
        array, before : ndarray, shape (n_samples, 3, n_atoms, 3)
            Not modified.
        quantities : collection of str
        elapsed : float
            Not used.

        Returns
        -------
        ndarray, like ``array``
            NaN where the potential energy alone exceeds the energy.
        """
        result = np.array(array)
        if "energy" not in quantities:
            return result
        scale = self._rescaling(result, self._total_energy(before))
        share = (self.masses / self.masses.sum())[:, None]
        drift = share * result[:, MOMENTUM].sum(axis=1, keepdims=True)
        result[:, MOMENTUM] = drift + scale[:, None, None] * (result[:, MOMENTUM] - drift)
        self.lose(result, np.isnan(scale))
        return result

    def _rescaling(self, array, target):
        """Factor of the relative momenta that restores an energy; NaN where there is none."""
        kinetic, relative = self._kinetic(array)
        wanted = target - self._compute(array).energy - (kinetic - relative)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.sqrt(wanted / relative)

    # Health ------------------------------------------------------------------------------

    def healthy(self, array):
        """Finite, spins of the right length, no atoms within 0.7 Å or faster than 1 Å/fs.

        Speeds are about the centre of mass.

        Parameters
        ----------
        array : ndarray, shape (n_samples, 3, n_atoms, 3)

        Returns
        -------
        ndarray of bool, shape (n_samples,)
        """
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        result = finite.copy()
        if finite.any():
            rest = array[finite]
            speed = self._speeds(rest)
            lengths = np.linalg.norm(rest[:, SPIN], axis=-1)
            scale = np.where(self.moments > 0, self.moments, 1.0)
            right = np.abs(lengths - self.moments) <= _LENGTH_TOLERANCE * scale
            apart = self.closest_pair(rest) > CLOSEST
            result[finite] = (speed < FASTEST).all(1) & right.all(1) & apart
        return result

    def diagnose(self, array, before):
        """What a step may be judged by; see :meth:`System.diagnose`.

        ``energy_change`` (eV, over the square root of the number of atoms), ``min_distance``
        (Å), ``max_speed`` (Å/fs, about the centre of mass).
        """
        with np.errstate(invalid="ignore", over="ignore"):
            speed = self._speeds(array)
            change = np.abs(self._total_energy(array) - self._total_energy(before))
            return {
                "energy_change": change / np.sqrt(self.n_sites),
                "min_distance": self.closest_pair(array),
                "max_speed": speed.max(axis=1),
            }

    def _speeds(self, array):
        """About the centre of mass, Å/fs, shape (n_samples, n_atoms)."""
        momenta = array[:, MOMENTUM]
        common = momenta.sum(axis=1, keepdims=True) / np.sum(self.masses)
        return np.linalg.norm(momenta / np.reshape(self.masses, (-1, 1)) - common, axis=-1)

    @property
    def default_bounds(self):
        """Bounds of what a step may do; see :class:`Fallback`."""
        return {
            "energy_change": (0.0, 0.05), "min_distance": (1.0, np.inf), "max_speed": (0.0, 0.5),
        }  # fmt: skip

    def symmetry_action(self, name, rng):
        """Return a random transformation; see :meth:`System.symmetry_action`."""
        if name == "permutation":
            order = np.arange(self.n_sites)
            alike = zip(self.species, self.moments, self.masses, strict=True)
            kinds = np.array([f"{s} {m} {mass}" for s, m, mass in alike])
            for kind in np.unique(kinds):
                order[kinds == kind] = rng.permutation(order[kinds == kind])
            return lambda states, time: states[:, :, order]
        if name == "spin_rotation":
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            return lambda states, time: _with(states, SPIN, states[:, SPIN] @ turn.T)
        if name == "time_reversal":
            return lambda states, time: np.array(states) * [[[1.0]], [[-1.0]], [[-1.0]]]
        shift = rng.normal(size=3)
        if name == "translation":
            return lambda states, time: _with(states, POSITION, states[:, POSITION] + shift)
        if name == "galilean":
            velocity, masses = 1e-3 * shift, self.masses[:, None]

            def boost(states, time):
                moved = _with(states, POSITION, states[:, POSITION] + time * velocity)
                return _with(moved, MOMENTUM, moved[:, MOMENTUM] + masses * velocity)

            return boost
        return super().symmetry_action(name, rng)


def _with(states, variable, values):
    """A copy of states with other values of a variable."""
    states = np.array(states)
    states[:, variable] = values
    return states


def per_atom(name, value, species):
    """A parameter of atoms, given for all, for each or by element, as an array.

    Parameters
    ----------
    name : str
        What to call it in error messages.
    value : float, sequence of float or dict of str to float
    species : list of str

    Returns
    -------
    ndarray, shape (n_atoms,)
    """
    given = value
    if isinstance(value, dict):
        missing = sorted(set(species) - set(value))
        if missing:
            raise ValueError(f"{name} has no value for {missing}; it has {sorted(value)}")
        given = [value[s] for s in species]
    values = np.array(given, dtype=np.float64)
    if values.shape not in ((), (len(species),)) or not np.isfinite(values).all():
        raise ValueError(
            f"{name}={value!r}: expected a number, one for each of the {len(species)} atoms, "
            "or a dict by element"
        )
    return np.array(np.broadcast_to(values, len(species)))


def spin_temperature(spins, magnetic_forces):
    """Temperature of classical spins with bilinear exchange, from their torques.

    ``k_B T = Σ |S × H|² / 2 Σ S·H`` with H = -∂E/∂S (Ma, Dudarev, Semenov and Woo, Phys. Rev. E 82,
    031111, 2010, Eq. 18). Where the energy has other terms (anisotropy, a learned dependence on
    the length of a moment) this is an estimate.

    Parameters
    ----------
    spins, magnetic_forces : ndarray, shape (n_samples, n_atoms, 3)
        In μB and eV/μB.

    Returns
    -------
    ndarray, shape (n_samples,)
        In K; NaN without spins, infinite for spins without order in their fields.
    """
    torque2 = (np.cross(spins, magnetic_forces) ** 2).sum((-1, -2))
    along = (spins * magnetic_forces).sum((-1, -2))
    with np.errstate(invalid="ignore", divide="ignore"):
        return torque2 / (2 * BOLTZMANN * along)
