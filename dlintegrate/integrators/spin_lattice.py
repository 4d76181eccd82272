"""Spin-lattice dynamics: atoms that move and moments that precess."""

import numbers

import numpy as np

from .._checks import check_count
from ..systems.atoms import MOMENTUM, POSITION, SPIN, AtomicSystem
from .base import Integrator
from .interaction_steps import Bonds, FixedSpins, Midpoint, SemiImplicit, Sites
from .langevin import thermal_kick, thermal_turn
from .spin_steps import normal_numbers

SPIN_STEPS = ("bonds", "sites", "midpoint", "semi-implicit")


class SpinLatticeSplitting(Integrator):
    """Symmetric splitting of spin-lattice dynamics: kick, turn, drift, turn, kick.

    ``v(½) s(½) r(1) s(½) v(½)`` (Omelyan, Mryglod and Folk, Phys. Rev. Lett. 86, 898, 2001):
    kicks of the momenta by the forces, turns of the spins at fixed positions, a drift of the
    positions in the middle. Second order. How the spins turn is ``spin_step``:

    - ``"bonds"``: each pair about its total spin, exactly, forward and then backward over the
      bonds. For isotropic exchange alone; keeps the total spin.
    - ``"sites"``: each spin in the field of the others, exactly, forward and backward. For
      isotropic exchange alone; turns keep its energy, not the total spin.
    - ``"midpoint"``: spherical midpoint rule, by fixed-point iteration, for any potential. Kicks
      are taken at the midpoint of the spins too, which makes the step symplectic; it keeps the
      total spin where the exact dynamics does.
    - ``"semi-implicit"``: Mentink's scheme B, two fields per turn, for any potential. Neither
      reversible nor symplectic: the energy drifts at large steps.
    - ``"auto"``: bonds where the system offers them, otherwise midpoint.

    Only "midpoint" is symplectic: a kick at fixed spins and a turn at fixed momenta are each
    no flow of a Hamiltonian where the energy couples both. "bonds" and "sites" are
    time-reversible and preserve volume, and their energy is bounded in practice.

    Two Langevin thermostats act in the middle of the drift, each switched on by its coupling:
    ``friction`` on the momenta (an exact Ornstein-Uhlenbeck step) and ``damping`` on the
    spins. Their noise is a function of the state and ``random_state`` alone, so a
    step is repeatable and a run resumes bit for bit; copies of a state in one batch have
    noise of their own.

    Parameters
    ----------
    system : AtomicSystem
    dt : float
        In fs.
    spin_step : {"auto", "bonds", "sites", "midpoint", "semi-implicit"}, default "auto"
    friction : float, default 0.0
        Of the lattice, γ in 1/fs; 0 for none.
    damping : float, default 0.0
        Of the spins, Gilbert's α; 0 for none.
    temperature : float, default 0.0
        Of the thermostats, in K.
    spin_temperature : float, optional
        Of the spins, in K, where it is not that of the lattice.
    tol : float, default 1e-13
        Of "midpoint": largest change of a unit spin in the last iteration.
    max_iterations : int, default 100
        Of "midpoint"; a sample that has not converged by then fails.
    random_state : int, optional
        Of the noise; None is 0.

    Notes
    -----
    A step costs one evaluation of forces with "bonds" and "sites", four with "semi-implicit",
    and as many as the iterations take with "midpoint", some 20 at 1 fs in iron. Damping
    costs two more.
    """

    def __init__(
        self, system, dt, spin_step="auto", friction=0.0, damping=0.0, temperature=0.0,
        spin_temperature=None, tol=1e-13, max_iterations=100, random_state=None,
    ):  # fmt: skip
        self.system = system
        self.dt = dt
        self.spin_step = spin_step
        self.friction = friction
        self.damping = damping
        self.temperature = temperature
        self.spin_temperature = spin_temperature
        self.tol = tol
        self.max_iterations = max_iterations
        self.random_state = random_state

    @property
    def guarantees(self):
        """Norm; momentum, total spin, reversibility, symplecticity as the spin step has them."""
        step, (friction, damping, lattice_noise, spin_noise) = self._step(), self._couplings()
        kept = {"norm"}
        if not (lattice_noise or spin_noise):
            kept |= self._equivariances(step, friction)
        if friction == 0:
            kept |= {"momentum"} & self.system.invariants
        if friction == damping == 0:
            kept |= self._of_the_flow(step)
        return frozenset(kept)

    def _equivariances(self, step, friction):
        names = {"translation", "spin_rotation"}
        if step in ("midpoint", "semi-implicit"):  # sweeps depend on the order of the atoms
            names.add("permutation")
        if friction == 0:
            names.add("galilean")
        return {f"{name}_equivariant" for name in names & self.system.symmetries}

    def _of_the_flow(self, step):
        """What damping and noise break."""
        if step == "semi-implicit" and self._magnetic():
            return set()
        if not self.system.exact_field:  # rounding of single precision is none of these
            return set()
        kept = {"volume_preserving", "time_reversible"}
        if step != "sites":
            kept |= {"magnetization"} & self.system.invariants
        if step == "midpoint" or not self._magnetic():
            kept.add("symplectic")
        return kept

    def validate(self, states, name="samples"):
        """As :meth:`Integrator.validate`; the system must be one of atoms with moments.

        Raises
        ------
        TypeError
            If it is not.
        """
        if not isinstance(self.system, AtomicSystem):
            raise TypeError(
                f"{type(self).__name__} needs a system of atoms with moments, such as "
                f"SpinLatticeCrystal; got {self.system!r}"
            )
        return super().validate(states, name)

    def advance(self, array, n_steps):
        """Kicks, turns and drifts; see :meth:`Integrator.advance`."""
        couplings, dt = self._couplings(), self.checked_dt()
        if dt < 0 and any(couplings[:2]):
            raise ValueError(f"dt={dt}: friction and damping do not go back in time; set both to 0")
        interaction = self._interaction(0.5 * dt)
        masses = self.system.masses[:, None]
        result = np.full(array.shape, np.nan)
        parts = [np.array(array[:, v], order="C") for v in (POSITION, MOMENTUM, SPIN)]
        samples = np.arange(len(array))
        for _ in range(n_steps):
            finite = np.logical_and.reduce([np.isfinite(x).all(axis=(1, 2)) for x in parts])
            if not finite.all():  # what is lost must not reach the system
                parts, samples = [x[finite] for x in parts], samples[finite]
                interaction.forget()
                if len(samples) == 0:
                    break
            positions, momenta, spins = parts
            spins = interaction.begin(positions, momenta, spins)
            if any(couplings[:2]):
                positions += 0.5 * dt / masses * momenta
                spins = self._thermostats(positions, momenta, spins, dt)
                positions += 0.5 * dt / masses * momenta
            else:
                positions += dt / masses * momenta
            spins = interaction.end(positions, momenta, spins)
            parts = [positions, momenta, spins]
        for variable, values in zip((POSITION, MOMENTUM, SPIN), parts, strict=True):
            result[samples, variable] = values
        return result

    def _thermostats(self, positions, momenta, spins, dt):
        """Friction and damping with their noise, over a whole step."""
        friction, damping, lattice_temperature, spin_temperature = self._couplings()
        drawn = np.zeros((len(momenta), 2, *momenta.shape[1:]))
        if lattice_temperature or spin_temperature:
            state = np.stack([positions, momenta, spins], axis=1)
            drawn = normal_numbers(state, self.random_state, drawn.shape[1:])
        if friction:
            masses = self.system.masses
            thermal_kick(momenta, masses, friction, lattice_temperature, dt, drawn[:, 0])
        if damping:
            spins = thermal_turn(
                self.system, positions, spins, damping, spin_temperature, dt, drawn[:, 1]
            )
        return spins

    def _interaction(self, duration):
        step, system = self._step(), self.system
        if not self._magnetic():
            return FixedSpins(system, duration)
        if step == "midpoint":
            count = check_count("max_iterations", self.max_iterations, 1)
            return Midpoint(system, duration, self.tol, count)
        return {"bonds": Bonds, "sites": Sites, "semi-implicit": SemiImplicit}[step](
            system, duration
        )

    def _magnetic(self):
        return bool((self.system.moments > 0).any())

    def _step(self):
        """The spin step by its name."""
        step = self.spin_step
        if step == "auto":
            return "bonds" if self.system.has_bonds else "midpoint"
        if step not in SPIN_STEPS:
            raise ValueError(f"spin_step={step!r}: expected 'auto' or one of {SPIN_STEPS}")
        if step in ("bonds", "sites") and not self.system.has_bonds:
            raise ValueError(
                f"spin_step={step!r} needs isotropic exchange between pairs and nothing else that "
                f"turns spins, which {type(self.system).__name__} has not; use 'midpoint'"
            )
        return step

    def _couplings(self):
        """Friction, damping, and the temperatures of their noise (0 where there is none)."""
        for name in ("friction", "damping", "temperature", "spin_temperature"):
            value = getattr(self, name)
            if name == "spin_temperature" and value is None:
                continue
            if not isinstance(value, numbers.Real) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: expected a finite number, 0 or more")
        friction, damping = float(self.friction), float(self.damping)
        of_spins = self.temperature if self.spin_temperature is None else self.spin_temperature
        if (self.temperature > 0 and not (friction or damping)) or (
            self.spin_temperature is not None and not damping
        ):
            raise ValueError(
                f"temperature={self.temperature!r}, spin_temperature={self.spin_temperature!r} "
                f"with friction={friction}, damping={damping}: a temperature needs the friction of "
                "the lattice or the damping of the spins; set them, or leave the temperature out"
            )
        return friction, damping, self.temperature * (friction > 0), of_spins * (damping > 0)
