"""The interface of every system."""

from abc import ABC, abstractmethod

import numpy as np

from .._documentation import Estimator
from ..states import like


class System(Estimator, ABC):
    """Something with states, an energy and equations of motion.

    A system holds parameters and no state. Sets of states are DataArrays (or
    ndarrays) with axis 0 ``sample``; see :mod:`dlintegrate.states`.

    Attributes
    ----------
    state_name : str
        Name of the variable that holds the states in a trajectory.
    state_dims : tuple of str
        Dimensions of one state.
    invariants : frozenset of str
        What the exact dynamics conserves (``"norm"``, ``"energy"``,
        ``"magnetization"``, ``"momentum"``).
    symmetries : frozenset of str
        What the exact dynamics commutes with (``"rotation"``, ``"translation"``,
        ``"time_reversal"``).
    """

    state_name: str
    #: Rate of ``dS/dt = rate S × (-∂E/∂S)`` for systems with spins.
    gyromagnetic_ratio = 1.0

    @property
    @abstractmethod
    def state_dims(self):
        """Dimensions of one state."""

    @property
    @abstractmethod
    def invariants(self):
        """Quantities that the exact dynamics conserves."""

    @property
    @abstractmethod
    def symmetries(self):
        """Transformations that the exact dynamics commutes with."""

    @abstractmethod
    def validate(self, states, name="samples"):
        """Check states of this system and return them as a packed ndarray.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, ...)
        name : str
            What to call the argument in error messages.

        Raises
        ------
        ValueError, TypeError
            With the parameter, the value and the remedy.
        """

    @abstractmethod
    def resized(self, state_shape):
        """Return this system at the size of a state: itself, or a resized copy.

        Parameters
        ----------
        state_shape : tuple of int
            Shape of one state, along ``state_dims``.
        """

    def matching(self, array):
        """As :meth:`resized`, for an array that :meth:`validate` returned.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
        """
        return self.resized(array.shape[1:])

    @property
    def state_coords(self):
        """Labels along the dimensions of a state, dict of str to list of str."""
        return {}

    def pack(self, states, coords):
        """Join states and what they need of their coordinates, without checks.

        Integrators work on packed arrays: what belongs to a sample must follow it
        through every selection.

        Parameters
        ----------
        states : ndarray, shape (n_samples, ...)
        coords : dict of str to ndarray, shape (n_samples,)

        Returns
        -------
        ndarray, axis 0 ``sample``
        """
        return states

    def unpack(self, array):
        """Inverse of :meth:`pack`.

        Returns
        -------
        states : ndarray, shape (n_samples, ...)
        coords : dict of str to ndarray, shape (n_samples,)
        """
        return array, {}

    def spins_of(self, array):
        """View of the spins of plain states; None for a system without spins.

        What is left of a state are positions and then momenta, as many of each.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)

        Returns
        -------
        ndarray, shape (n_samples, n_spins, 3), or None
        """
        return None

    @abstractmethod
    def random_states(self, n_samples, random_state=None, order=0.0):
        """Draw states for tests and first steps; *not* from a thermal ensemble.

        Parameters
        ----------
        n_samples : int
        random_state : int, Generator or None
        order : float, default 0
            0 is complete disorder, larger values approach a ground state.

        Returns
        -------
        ndarray, shape (n_samples, ...)
        """

    @abstractmethod
    def energy(self, states):
        """Total energy of each state.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, ...)

        Returns
        -------
        ndarray, shape (n_samples,)
        """

    @abstractmethod
    def observables(self, array):
        """What a trajectory records beside the state.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
            Validated states.

        Returns
        -------
        dict of str to (dims, ndarray)
            Name to the dimensions after ``sample`` and the values, axis 0 ``sample``.
        """

    def project(self, array, before, quantities, elapsed):
        """Restore conserved quantities of the state before a step.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
            States after the step; not modified.
        before : ndarray, like ``array``
            States before it.
        quantities : collection of str
            Names out of ``invariants``.
        elapsed : float
            Time between the two.

        Raises
        ------
        NotImplementedError
            If the system has no such projection.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot project onto {quantities}")

    @abstractmethod
    def healthy(self, array):
        """Which states are possible at all.

        Explosions stay finite, so this checks physical bounds too.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)

        Returns
        -------
        ndarray of bool, shape (n_samples,)
        """

    def diagnose(self, array, before):
        """What the result of a step can be judged by, before any projection.

        Quantities are in the system's own units, and such that one bound serves any size.

        Parameters
        ----------
        array, before : ndarray, shape (n_samples, ...)
            Packed states after and before the step.

        Returns
        -------
        dict of str to ndarray, shape (n_samples,)
            At least ``energy_change``: ``|E - E_before|`` over the square root of the
            number of sites or particles, as independent local errors add up.
        """
        energy, start = (self.observables(a)["energy"][1] for a in (array, before))
        return {"energy_change": np.abs(energy - start) / np.sqrt(self.n_sites)}

    @property
    def default_bounds(self):
        """Bounds on :meth:`diagnose` that :class:`Fallback` uses, name to (lowest, highest)."""
        return {"energy_change": (0.0, 0.1)}

    def conditions(self, array):
        """Under which conditions states are, as far as they show it at little cost.

        What a fit is good for, and what :class:`DomainWarning` compares.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
            Validated states.

        Returns
        -------
        dict of str to ndarray, shape (3, n_samples)
            For instance ``side``, ``n_particles``, ``density``, ``temperature``: the
            best estimate of each, and the lowest and highest value that it may have, three
            times the same where it is exact. NaN where nothing is known.
        """
        return {}

    def lose(self, array, lost):
        """Mark samples of a packed array as lost, in place: their states become NaN.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)
        lost : ndarray of bool, shape (n_samples,)
        """
        array[lost] = np.nan

    def symmetry_action(self, name, rng):
        """Return a random transformation of one of the ``symmetries``, for tests.

        Parameters
        ----------
        name : str
        rng : numpy.random.Generator

        Returns
        -------
        callable
            ``action(states, time)`` on plain states at that time.

        Raises
        ------
        NotImplementedError
            If there is none of this name.
        """
        raise NotImplementedError(f"{type(self).__name__} has no transformation {name!r}")

    def wrap(self, array, template):
        """Return packed ``array`` as the user passed ``template``: DataArray or ndarray."""
        return like(self.unpack(array)[0], template, self.state_dims)


def kinetic_interval(temperature, n_freedoms):
    """A kinetic temperature, and the lowest and highest it may stand for.

    Parameters
    ----------
    temperature : ndarray, shape (n_samples,)
    n_freedoms : int
        Momenta that it is the mean of: its standard error is the fraction ``√(2/n_freedoms)``.
        Four of those are allowed.

    Returns
    -------
    ndarray, shape (3, n_samples)
    """
    fraction = 4 * np.sqrt(2 / n_freedoms)
    highest = temperature / (1 - fraction) if fraction < 1 else np.full_like(temperature, np.inf)
    return np.stack([temperature, temperature / (1 + fraction), highest])
