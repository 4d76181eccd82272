"""Landau-Lifshitz-Gilbert dynamics of any system of spins that has a local field."""

import numbers

import numpy as np

from .base import Integrator
from .spin_steps import midpoint_step, normal_numbers, semi_implicit_step


class LandauLifshitzGilbert(Integrator):
    """Base of the steps of ``dS/dt = S × (h - α S × h + η)``.

    The noise has ``<η_a η_b> = 2 α T δ_ab δ(t - t')``, the strength for which spins come to
    equilibrium at T. It is a function of the state and of ``random_state`` alone: a
    step is repeatable, does not depend on the batch, and resumes bit for bit. Only copies
    of a state in one batch know of each other: each has noise of its own, so many runs may
    start from one state.
    """

    @property
    def guarantees(self):
        """Norm; symmetries of the system, where no noise breaks them."""
        kept = {"norm"}
        if self._checked()[1] == 0:
            kept |= {f"{s}_equivariant" for s in ("rotation", "translation")
                     if s in self.system.symmetries}  # fmt: skip
        return frozenset(kept)

    def validate(self, states, name="samples"):
        """As :meth:`Integrator.validate`; the system must have spins in a local field.

        Raises
        ------
        TypeError
            If it has not.
        """
        if not hasattr(self.system, "field_of"):
            raise TypeError(
                f"{type(self).__name__} needs spins in a local field, such as HeisenbergLattice or "
                f"TriangularSDModel; got {self.system!r}"
            )
        return super().validate(states, name)

    def _checked(self):
        """Damping and temperature."""
        for name in ("damping", "temperature"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: expected a number, 0 or more")
        if self.temperature > 0 and self.damping == 0:
            raise ValueError(
                f"temperature={self.temperature!r} with damping=0: without damping there is no "
                "noise; set damping, or temperature=0"
            )
        return float(self.damping), float(self.temperature)

    def _impulse(self, array):
        """Half the time integral of the noise over a step, like ``array``; None without noise."""
        damping, temperature = self._checked()
        if temperature == 0:
            return None
        width = 0.5 * np.sqrt(2 * damping * temperature * abs(self.checked_dt()))
        return width * normal_numbers(array, self.random_state)

    def _stepped(self, step, array, n_steps, **options):
        """Apply a step of :mod:`spin_steps` to spins on any lattice, ``n_steps`` times."""
        system, shape = self.system.matching(array), array.shape
        flat = (len(array), -1, 3)

        def field_of(directions, samples):
            field = system.field_of(directions.reshape(len(directions), *shape[1:]))
            return np.ascontiguousarray(field, dtype=np.float64).reshape(directions.shape)

        array = np.array(array)
        for _ in range(n_steps):
            noise = self._impulse(array)
            noise = None if noise is None else noise.reshape(flat)
            array = step(
                field_of, array.reshape(flat), self.checked_dt(), damping=self._checked()[0],
                noise=noise, **options,
            ).reshape(shape)  # fmt: skip
        return array


class SemiImplicitB(LandauLifshitzGilbert):
    """The semi-implicit scheme B of Mentink et al. (J. Phys.: Condens. Matter 22, 176001, 2010).

    Two rotations, each with the implicit midpoint in the spin itself and an explicit
    field: the second one with the field halfway to where the first one leads. Second order,
    norm exact, two fields per step.

    Parameters
    ----------
    system : HeisenbergLattice, TriangularSDModel or other with ``field_of``
    dt : float
    damping : float, default 0.0
        α.
    temperature : float, default 0.0
        T of the spins, k_B = 1.
    drop_longitudinal : bool, default False
        Remove the part of the field along the spin before the step. It exerts no
        torque, but in a rotation of finite angle it does harm: without it the error is
        smaller by far where the field is mostly parallel, and larger steps are stable.
    random_state : int, optional
        Of the noise; None is 0.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, SemiImplicitB
    >>> lattice = HeisenbergLattice(shape=(8, 8))
    >>> relax = SemiImplicitB(lattice, dt=0.05, damping=0.5)
    >>> run = relax.simulate(lattice.random_states(1, random_state=0), t_max=5.0, save_every=20)
    >>> bool((run.energy.diff("time") < 0).all())
    True
    """

    def __init__(
        self, system, dt, damping=0.0, temperature=0.0, drop_longitudinal=False, random_state=None
    ):
        self.system = system
        self.dt = dt
        self.damping = damping
        self.temperature = temperature
        self.drop_longitudinal = drop_longitudinal
        self.random_state = random_state

    def advance(self, array, n_steps):
        """Predictor and corrector; see :meth:`Integrator.advance`."""
        return self._stepped(
            semi_implicit_step, array, n_steps, drop_longitudinal=self.drop_longitudinal
        )


class DampedMidpoint(LandauLifshitzGilbert):
    """Spherical midpoint rule with damping, by fixed-point iteration.

    ``S' = S + dt m × (h(m) - α m × h(m))`` with ``m = (S + S')/|S + S'|``. Second order; without
    damping it is the symplectic rule of :class:`ImplicitMidpoint` (McLachlan, Modin and
    Verdier 2014), for any system. Each iteration costs a field.

    Parameters
    ----------
    system, dt, damping, temperature, random_state
        As for :class:`SemiImplicitB`.
    tol : float, default 1e-13
        Largest change of a spin in the last iteration. Where the field is known to single
        precision only (:class:`KernelPolynomial`, learned fields), the iteration ends when
        the changes, below 1e-6, no longer fall.
    max_iterations : int, default 100
        A sample that has not converged by then fails.
    """

    def __init__(
        self, system, dt, damping=0.0, temperature=0.0, random_state=None, tol=1e-13,
        max_iterations=100,
    ):  # fmt: skip
        self.system = system
        self.dt = dt
        self.damping = damping
        self.temperature = temperature
        self.tol = tol
        self.max_iterations = max_iterations
        self.random_state = random_state

    @property
    def guarantees(self):
        """Without damping and noise also magnetisation, time reversal, symplecticity."""
        kept = set(super().guarantees)
        if self.damping == 0:
            if "time_reversal" in self.system.symmetries:
                kept.add("time_reversible")
            if self.system.exact_field:
                kept |= {"symplectic", "volume_preserving"}
                kept |= {"magnetization"} & self.system.invariants
        return frozenset(kept)

    def advance(self, array, n_steps):
        """Iterate each step to its fixed point; see :meth:`Integrator.advance`."""
        return self._stepped(
            self._unit_step, array, n_steps, tol=self.tol, max_iterations=self.max_iterations
        )

    @staticmethod
    def _unit_step(*args, **options):
        end = midpoint_step(*args, **options)
        return end / np.linalg.norm(end, axis=-1, keepdims=True)  # off by tol at most


class RungeKutta4(LandauLifshitzGilbert):
    """The classical method of fourth order (Kutta 1901), with the spins put back on the sphere.

    Four fields per step, none of them implicit. Dividing by the length after every stage
    restores the norm and does not lower the order; energy and magnetisation are kept to the
    order of the step only, so over very long times without damping a symplectic step drifts
    less. There is no thermal noise.

    Where the field is expensive this is the best of the classical one-step methods. On the
    s-d model at 12², over a time of 40 with α = 0.05
    (``benchmarks/results/multiple_time_step_12.json``), 20 fields leave an error of 1.0e-3 per
    spin and 40 fields 6e-5; ``SemiImplicitB(drop_longitudinal=True)`` leaves 8e-3 and 2e-3 with
    as many. Steps so large that this error approaches one are the exception.

    Parameters
    ----------
    system, dt, damping
        As for :class:`SemiImplicitB`.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, RungeKutta4
    >>> lattice = HeisenbergLattice(shape=(8, 8))
    >>> RungeKutta4(lattice, dt=0.1).step(lattice.random_states(1, random_state=0)).shape
    (1, 8, 8, 3)
    """

    temperature = 0.0

    def __init__(self, system, dt, damping=0.0):
        self.system = system
        self.dt = dt
        self.damping = damping

    def advance(self, array, n_steps):
        """Four fields and their weighted mean; see :meth:`Integrator.advance`."""
        (damping, _), dt, system = self._checked(), self.checked_dt(), self.system.matching(array)
        array = np.array(array)

        def slope(spins, time):
            return velocity(spins, system.field_of(spins), damping)

        for _ in range(n_steps):
            array = runge_kutta(slope, array, dt)
        return array


def velocity(spins, field, damping):
    """``dS/dt = S × (h - α S × h)``."""
    torque = np.cross(spins, field)
    return torque - damping * np.cross(spins, torque)


def runge_kutta(slope, spins, duration, n_steps=1):
    """Classical steps of fourth order on the spheres, of ``slope(spins, time)`` from time 0."""
    for k in range(n_steps):
        step, time = duration / n_steps, duration * k / n_steps
        first = slope(spins, time)
        second = slope(_unit(spins + 0.5 * step * first), time + 0.5 * step)
        third = slope(_unit(spins + 0.5 * step * second), time + 0.5 * step)
        fourth = slope(_unit(spins + step * third), time + step)
        spins = _unit(spins + step / 6 * (first + 2 * second + 2 * third + fourth))
    return spins


def _unit(spins):
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)
