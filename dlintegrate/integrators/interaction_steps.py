"""Steps of the interaction E(R, S) of atoms with moments, at fixed positions."""

from abc import ABC, abstractmethod

import numpy as np

from .._kernels.spin_steps import restore_lengths
from .._kernels.spin_sweeps import sweep_bonds, sweep_sites
from .._units import GYROMAGNETIC
from .spin_steps import midpoint_step, semi_implicit_step

#: Weights of the last values in the polynomial through them, one step ahead.
_EXTRAPOLATION = ((), (1.0,), (2.0, -1.0), (3.0, -3.0, 1.0))


class InteractionStep(ABC):
    """Kick the momenta and turn the spins before and after the atoms move.

    Within one run of steps it may keep what the end of a step and the beginning of the next
    share; the result is a function of the state alone.

    Parameters
    ----------
    system : AtomicSystem
    duration : float
        Of one application, in fs.
    """

    def __init__(self, system, duration):
        self.system = system
        self.duration = duration

    @abstractmethod
    def begin(self, positions, momenta, spins):
        """First application in a step; changes the momenta in place and returns the spins."""

    @abstractmethod
    def end(self, positions, momenta, spins):
        """Second application, the mirror image of the first."""

    @abstractmethod
    def forget(self):
        """Drop what is kept: the next step starts from other states."""

    def restored(self, spins):
        """Spins whose lengths, off by rounding, are the moments again; in place."""
        restore_lengths(spins, self.system.moments)
        return spins


class KickAndTurn(InteractionStep):
    """A kick with the spins fixed and a turn of the spins: ``v s`` before, ``s v`` after.

    The evaluation of the last kick of a step serves the first of the next.
    """

    known = None

    def begin(self, positions, momenta, spins):
        """``v s``."""
        if self.known is None:
            self.known = self.system.compute(positions, spins)
            self.moved(positions)
        momenta += self.duration * self.known.force
        return self.turn(positions, spins, self.known.magnetic_force)

    def end(self, positions, momenta, spins):
        """``s v``."""
        self.moved(positions)
        spins = self.turn(positions, spins, None)
        self.known = self.system.compute(positions, spins)
        momenta += self.duration * self.known.force
        return spins

    def forget(self):
        """Drop the evaluation."""
        self.known = None

    def moved(self, positions):
        """Update what depends on the positions alone."""

    @abstractmethod
    def turn(self, positions, spins, magnetic_force):
        """The spins after the duration, at fixed positions.

        ``magnetic_force`` is that on ``spins``, or None where it is not known.
        """


class FixedSpins(KickAndTurn):
    """For atoms without moments."""

    def turn(self, positions, spins, magnetic_force):
        """Nothing turns."""
        return spins


class Bonds(KickAndTurn):
    """Exact rotation of every bond about its total spin, forward and backward over the list."""

    def moved(self, positions):
        """Couplings at these positions."""
        self.pairs, self.coupling = self.system.exchange_bonds(positions)

    def turn(self, positions, spins, magnetic_force):
        """Sweep over bonds."""
        spins = spins.copy()
        sweep_bonds(
            spins, self.pairs.first, self.pairs.second, self.coupling, GYROMAGNETIC * self.duration
        )
        return self.restored(spins)


class Sites(Bonds):
    """Exact rotation of every spin in the field of the others, forward and backward."""

    def turn(self, positions, spins, magnetic_force):
        """Sweep over spins."""
        spins = spins.copy()
        sweep_sites(
            spins, self.pairs.second, self.coupling, self.pairs.starts, GYROMAGNETIC * self.duration
        )
        return self.restored(spins)


class SemiImplicit(KickAndTurn):
    """Semi-implicit turn: two fields, of which the kick before it knows one."""

    def turn(self, positions, spins, magnetic_force):
        """See :func:`semi_implicit_step`."""
        field = SpinField(self.system, positions)
        known = None if magnetic_force is None else field.angular_velocity(magnetic_force)
        unit = semi_implicit_step(field, field.unit(spins), self.duration, first_field=known)
        return self.restored(field.moments * unit)


class Midpoint(InteractionStep):
    """Spherical midpoint rule of momenta and spins at once.

    ``S' = S + τ (2/ħ) M × F_mag(R, M)`` and ``p' = p + τ F(R, M)`` with the normalised midpoint
    M: the map is symplectic in momenta, positions and spins together, as no splitting
    into kicks at fixed spins and turns at fixed momenta is.

    Parameters
    ----------
    system, duration
        As for :class:`InteractionStep`.
    tol : float
    max_iterations : int
    """

    def __init__(self, system, duration, tol, max_iterations):
        super().__init__(system, duration)
        self.tol = tol
        self.max_iterations = max_iterations
        self.forget()

    def begin(self, positions, momenta, spins):
        """Iterate to the fixed point, from where the last three fields point to."""
        field = SpinField(self.system, positions)
        guess = sum(c * h for c, h in zip(_EXTRAPOLATION[len(self.last)], self.last, strict=True))
        unit = midpoint_step(
            field, field.unit(spins), self.duration, guess=guess if self.last else None,
            tol=self.tol, max_iterations=self.max_iterations,
        )  # fmt: skip
        self.last = [field.velocity, *self.last[:2]]
        momenta += self.duration * field.force
        return self.restored(field.moments * unit)

    end = begin

    def forget(self):
        """Drop the last fields."""
        self.last = []


class SpinField:
    """Angular velocities of unit spins on atoms at fixed positions, and the forces met on the way.

    Parameters
    ----------
    system : AtomicSystem
    positions : ndarray, shape (n_samples, n_atoms, 3)
    """

    def __init__(self, system, positions):
        self.system, self.positions = system, positions
        self.moments = system.moments[:, None]
        self.magnetic = self.moments > 0
        #: at the last directions of each sample
        self.force, self.velocity = np.empty_like(positions), np.empty_like(positions)

    def unit(self, spins):
        """Directions; along z where there is no moment."""
        lengths = np.where(self.magnetic, self.moments, 1.0)
        return np.where(self.magnetic, spins / lengths, [0.0, 0.0, 1.0])

    def angular_velocity(self, magnetic_force):
        """``(2/ħ) F_mag`` on atoms with a moment."""
        return np.where(self.magnetic, GYROMAGNETIC * magnetic_force, 0.0)

    def __call__(self, directions, samples):
        """A field function of :mod:`spin_steps`."""
        every = len(samples) == len(self.positions)
        positions = self.positions if every else self.positions[samples]
        known = self.system.compute(positions, self.moments * directions)
        self.force[samples] = known.force
        velocity = self.angular_velocity(known.magnetic_force)
        self.velocity[samples] = velocity
        return velocity
