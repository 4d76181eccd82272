"""Splittings into kicks and drifts: velocity Verlet and its better relatives."""

from abc import abstractmethod

import numpy as np

from .base import Integrator

#: What kicks by pair forces and drifts keep, whatever their lengths.
PAIR_GUARANTEES = frozenset(
    {
        "momentum",
        "symplectic",
        "volume_preserving",
        "time_reversible",
        "rotation_equivariant",
        "translation_equivariant",
        "permutation_equivariant",
        "galilean_equivariant",
    }
)


class _OfParticles(Integrator):
    """An integrator of positions and momenta."""

    def validate(self, states, name="samples"):
        """As :meth:`Integrator.validate`; the system must consist of particles.

        Raises
        ------
        TypeError
            If it does not.
        """
        if "momentum" not in self.system.invariants:
            raise TypeError(
                f"{type(self).__name__} needs a system of particles, such as LennardJones2D; "
                f"got {self.system!r}"
            )
        return super().validate(states, name)


class Splitting(_OfParticles):
    """A palindrome of kicks ``p += b dt f(q)`` and drifts ``q += a dt p``.

    Symplectic and time-reversible; total momentum is kept to rounding, energy only
    to the order of the method.
    """

    def __init__(self, system, dt):
        self.system = system
        self.dt = dt

    @property
    @abstractmethod
    def coefficients(self):
        """Alternating lengths in units of dt, the first of which is a kick or a drift."""

    @property
    @abstractmethod
    def kick_first(self):
        """Whether the first entry of ``coefficients`` is a kick."""

    @property
    def n_forces(self):
        """Force evaluations per step (the last kick shares one with the next step): the cost."""
        n_kicks = len(self.coefficients[0 if self.kick_first else 1 :: 2])
        return n_kicks - 1 if self.kick_first else n_kicks

    @property
    def guarantees(self):
        """Momentum, symplecticity, reversibility and the symmetries of the pair forces."""
        return PAIR_GUARANTEES

    def schedule(self):
        """Rows ``(is_kick, length)`` of one step."""
        lengths = self.checked_dt() * np.asarray(self.coefficients, dtype=np.float64)
        is_kick = (np.arange(len(lengths)) + self.kick_first) % 2
        return np.stack([is_kick.astype(np.float64), lengths], axis=1)

    def advance(self, array, n_steps):
        """Run the kicks and drifts in the numba kernel; see :meth:`Integrator.advance`."""
        return self.system.advance(array, self.schedule(), n_steps)

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin, on packed states; see :meth:`Integrator.advance_tensor`."""
        from .._kernels.pairs_torch import advance_schedule

        return advance_schedule(tensor, self.schedule().tolist(), n_steps, self.system.law)


class VelocityVerlet(Splitting):
    """Velocity Verlet: half a kick, a drift, half a kick (Park 2022, Eq. 3.13).

    Second order, one force evaluation per step. Stable as long as ``dt`` times the
    largest frequency stays below 2; in collisions of a Lennard-Jones fluid that is at
    about ``dt = 0.03``.

    Parameters
    ----------
    system : LennardJones2D
    dt : float

    Examples
    --------
    >>> from dlintegrate import LennardJones2D, VelocityVerlet
    >>> system = LennardJones2D(n_particles=16, density=0.2)
    >>> states = system.random_states(2, random_state=0)
    >>> trajectory = VelocityVerlet(system, dt=0.005).simulate(states, t_max=1.0)
    >>> drift = trajectory.energy - trajectory.energy[:, 0]
    >>> bool(abs(drift).max() < 0.01)
    True
    """

    coefficients = (0.5, 1.0, 0.5)
    kick_first = True


class PEFRL(Splitting):
    """Position-extended Forest-Ruth-like splitting: fourth order, four force evaluations.

    Omelyan, Mryglod and Folk, Comput. Phys. Commun. 146, 188 (2002), Eq. 20.

    Parameters
    ----------
    system : LennardJones2D
    dt : float
    """

    kick_first = False
    coefficients = (
        0.1786178958448091,
        0.5 * (1.0 + 2.0 * 0.2123418310626054),
        -0.06626458266981849,
        -0.2123418310626054,
        1.0 - 2.0 * (0.1786178958448091 - 0.06626458266981849),
        -0.2123418310626054,
        -0.06626458266981849,
        0.5 * (1.0 + 2.0 * 0.2123418310626054),
        0.1786178958448091,
    )


def _blanes_moan():
    kicks = [0.0829844064174052, 0.396309801498368, -0.0390563049223486]
    drifts = [0.245298957184271, 0.604872665711080]
    kicks.append(1.0 - 2.0 * sum(kicks))
    drifts.append(0.5 - sum(drifts))
    half = [x for pair in zip(kicks[:3], drifts, strict=True) for x in pair]
    return (*half, kicks[3], *half[::-1])


class BlanesMoanRKN4(Splitting):
    """Fourth-order Runge-Kutta-Nyström splitting of Blanes and Moan, six force evaluations.

    J. Comput. Appl. Math. 142, 313 (2002), the scheme SRKN_6^b. The most accurate of
    the splittings here at equal cost, where the step is small enough to be stable.

    Parameters
    ----------
    system : LennardJones2D
    dt : float
    """

    kick_first = True
    coefficients = _blanes_moan()


class SubsteppedVerlet(_OfParticles):
    """Velocity Verlet with small inner steps for close pairs (RESPA).

    The pair force is divided by a smooth window of the distance: what lies below it is
    integrated with ``n_inner`` substeps, the rest with the outer step (Tuckerman, Berne
    and Martyna, J. Chem. Phys. 97, 1990 (1992)). Symplectic and time-reversible, because
    both parts are gradients.

    Parameters
    ----------
    system : LennardJones2D
    dt : float
        The outer step.
    n_inner : int, default 10
        Inner steps in each outer one.
    window : tuple of 2 floats, default (1.2, 1.8)
        Distances in σ: below the first all of the force is inner, above the second all
        of it is outer.
    """

    def __init__(self, system, dt, n_inner=10, window=(1.2, 1.8)):
        self.system = system
        self.dt = dt
        self.n_inner = n_inner
        self.window = window

    @property
    def guarantees(self):
        """As those of :class:`VelocityVerlet`."""
        return PAIR_GUARANTEES

    def advance(self, array, n_steps):
        """Run the numba kernel; see :meth:`Integrator.advance`."""
        from .._kernels.respa import advance_respa

        n_inner, window = self._checked()
        system = self.system
        result = np.array(array, dtype=np.float64, order="C")
        listed = system.uses_list(result)
        for by_cells in (True, False):
            mine = listed == by_cells
            if mine.any():
                part = result[mine]
                advance_respa(
                    part, self.checked_dt(), n_inner, n_steps, system.law, window, by_cells
                )
                result[mine] = part
        return result

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin, on packed states; see :meth:`Integrator.advance_tensor`."""
        from .._kernels.pairs_torch import advance_respa

        n_inner, window = self._checked()
        return advance_respa(tensor, self.checked_dt(), n_inner, n_steps, self.system.law, window)

    def _checked(self):
        if not isinstance(self.n_inner, int | np.integer) or self.n_inner < 1:
            raise ValueError(f"n_inner={self.n_inner!r}: expected an int, 1 or more")
        try:
            inner, outer = (float(w) * self.system.sigma for w in self.window)
        except (TypeError, ValueError):
            inner, outer = np.nan, np.nan
        if not 0 < inner < outer < np.inf:
            raise ValueError(f"window={self.window!r}: expected two increasing distances")
        cutoff = self.system.cutoff
        if cutoff is not None and cutoff < outer:
            raise ValueError(f"window={self.window!r} reaches beyond cutoff={cutoff}")
        return int(self.n_inner), (inner, outer)
