"""The Lennard-Jones fluid in two dimensions."""

import numbers

import numpy as np
import xarray as xr

from .._kernels import pairs, verlet_list
from ..states import in_order, name_samples, to_array
from .base import System, kinetic_interval

#: Below this distance, in σ, two particles count as overlapping (φ > 16 000 ε).
CLOSEST = 0.5
#: Above this speed, in sqrt(ε), a sample counts as exploded.
FASTEST = 1e3
#: Up to here all pairs are computed, side by side for many samples: faster than lists.
_FEW = 200
#: Up to here SIMD lanes hold samples, beyond particles: better for single samples.
_LANES = 32
_VARIABLES = ["position", "momentum"]


class LennardJones2D(System):
    """Particles in a periodic square that interact by the Lennard-Jones potential.

    ``H = Σ p_i²/2 + Σ_{i<k} φ(r_ik)``, ``φ(r) = 4ε[(σ/r)^12 - (σ/r)^6]``, unit masses,
    each pair once, at its shortest periodic image (Park 2022, Eqs 3.5-3.12, whose
    sums run over each pair twice). Reduced units: k_B = 1; with the defaults, energy in
    ε, length in σ, time in σ(m/ε)^½.

    Sets of states are DataArrays ``("sample", "variable", "particle", "component")``
    with variable = position, momentum, and the coordinate ``box_length(sample)``, so
    that one batch may hold several densities. A plain ndarray of that shape is taken
    to be in the box of ``density``. Positions are not wrapped into the box: distances
    travelled can be read off.

    Parameters
    ----------
    n_particles : int, default 16
        At least 2. Integrators accept states of any other number, too.
    density : float, default 0.2
        Particles per area: the box of states that carry none has the side
        ``sqrt(n_particles / density)``.
    cutoff : float, optional
        Distance r_c beyond which pairs do not interact, at most half the box. By
        default there is none, as in the paper. With a cut-off, large samples use
        neighbour lists and cost a time proportional to ``n_particles``.
    epsilon, sigma : float, default 1.0
        Depth and length of the potential.
    truncation : {"shift", "smooth"}, default "shift"
        What makes the potential continuous at r_c: a constant (the force jumps
        by ``φ'(r_c)``), or a constant and a term linear in r² (the force vanishes there;
        better for energy conservation and for methods of fourth order).

    Examples
    --------
    >>> import numpy as np
    >>> from dlintegrate import LennardJones2D
    >>> system = LennardJones2D(n_particles=2, density=0.01)
    >>> pair = np.zeros((1, 2, 2, 2))
    >>> pair[0, 0, 1, 0] = 2 ** (1 / 6)  # at the minimum of the potential
    >>> system.energy(pair).round(12)
    array([-1.])
    """

    state_name = "phase_space"
    state_dims = ("variable", "particle", "component")
    invariants = frozenset({"energy", "momentum"})
    symmetries = frozenset({"rotation", "translation", "permutation", "galilean", "time_reversal"})

    def __init__(
        self, n_particles=16, density=0.2, cutoff=None, epsilon=1.0, sigma=1.0, truncation="shift"
    ):
        self.n_particles = n_particles
        self.density = density
        self.cutoff = cutoff
        self.epsilon = epsilon
        self.sigma = sigma
        self.truncation = truncation

    # Parameters, checked where they are used ---------------------------------------------

    @property
    def n_sites(self):
        """Number of particles, checked."""
        n = self.n_particles
        if not isinstance(n, numbers.Integral) or isinstance(n, bool) or n < 2:
            raise ValueError(f"n_particles={n!r}: expected an int, 2 or more")
        return int(n)

    @property
    def box_length(self):
        """Side of the box of states that carry none."""
        return float(np.sqrt(self.n_sites / self._positive("density")))

    @property
    def law(self):
        """Constants of the force law, for the kernels (checked)."""
        cutoff = None if self.cutoff is None else self._positive("cutoff")
        if self.truncation not in ("shift", "smooth"):
            raise ValueError(f"truncation={self.truncation!r}: expected 'shift' or 'smooth'")
        return pairs.force_law(
            self._positive("epsilon"), self._positive("sigma"), cutoff, self.truncation == "smooth"
        )

    def _positive(self, name):
        value = getattr(self, name)
        if not isinstance(value, numbers.Real) or not np.isfinite(value) or value <= 0:
            raise ValueError(f"{name}={value!r}: expected a positive number")
        return float(value)

    @property
    def state_coords(self):
        """Labels of the variables of a state."""
        return {"variable": _VARIABLES}

    # States ------------------------------------------------------------------------------

    def resized(self, state_shape):
        """Return this system with the number of particles of a state."""
        n = int(state_shape[1])
        return (
            self if n == self.n_particles else type(self)(**{**self.get_params(), "n_particles": n})
        )

    def matching(self, array):
        """Return this system with the number of particles of a packed array."""
        return self.resized((2, array.shape[2] - 1, 2))

    def validate(self, states, name="samples"):
        """Check states and return them packed.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, 2, n_particles, 2)
            With the coordinate ``box_length(sample)``, or in the box of ``density``.
        name : str
            What to call the argument in error messages.

        Returns
        -------
        ndarray, shape (n_samples, 2, n_particles + 1, 2)
            See :meth:`pack`.

        Raises
        ------
        ValueError
            On a wrong shape, NaN, overlapping particles, a box that is not positive, or a
            cut-off beyond half of the box.
        """
        states = in_order(states, _VARIABLES, name)
        array = to_array(states, self.state_dims, name)
        if array.shape[1:] != (2, self.n_sites, 2):
            raise ValueError(
                f"{name} has states of shape {array.shape[1:]}; expected (2, n_particles, 2) = "
                f"(2, {self.n_sites}, 2): positions and momenta in two dimensions"
            )
        self.law  # noqa: B018 - parameters before states
        packed = self.pack(array, {"box_length": self._box_of(states, len(array), name)})
        self._check_cutoff(packed)
        closest = np.sqrt(self._measure(packed)[:, 2])
        overlapping = ~(closest > CLOSEST * self.sigma)
        if overlapping.any():
            raise ValueError(
                f"{name} has overlapping particles in {name_samples(overlapping)} (closest pair at "
                f"{np.nanmin(closest):.3g}, expected more than {CLOSEST}σ); check box_length and "
                "that positions come first"
            )
        return packed

    def _box_of(self, states, n_samples, name):
        if not isinstance(states, xr.DataArray) or "box_length" not in states.coords:
            return np.full(n_samples, self.box_length)
        box = np.broadcast_to(states["box_length"].values, n_samples)
        box = box.astype(np.float64)
        bad = ~(np.isfinite(box) & (box > 0))
        if bad.any():
            raise ValueError(
                f"{name}: box_length is not positive and finite in {name_samples(bad)}"
            )
        return box

    def _check_cutoff(self, packed):
        smallest = packed[:, 0, -1, 0].min()
        if self.cutoff is not None and self.cutoff > 0.5 * smallest:
            raise ValueError(
                f"cutoff={self.cutoff} exceeds half of the smallest box, {smallest / 2:.6g}: a "
                "particle would meet two images of another. Use a smaller cut-off, more "
                "particles, or cutoff=None"
            )

    def pack(self, states, coords):
        """Append the box to states: what integrators work on.

        Parameters
        ----------
        states : ndarray, shape (n_samples, 2, n_particles, 2)
        coords : dict
            With ``box_length``, shape (n_samples,).

        Returns
        -------
        ndarray, shape (n_samples, 2, n_particles + 1, 2)
            The last row of the positions is ``(box_length, box_length)``, that of the
            momenta zero. So a sample carries its box through every selection.
        """
        n_samples, _, n, _ = states.shape
        packed = np.zeros((n_samples, 2, n + 1, 2))
        packed[:, :, :n] = states
        packed[:, 0, n] = np.asarray(coords["box_length"])[:, None]
        return packed

    def unpack(self, array):
        """Inverse of :meth:`pack`: ``(states, {"box_length": ...})``."""
        return array[:, :, :-1], {"box_length": array[:, 0, -1, 0].copy()}

    def random_states(self, n_samples, random_state=None, order=0.0):
        """A square lattice, shaken less the larger ``order``; see :meth:`System.random_states`."""
        rng = np.random.default_rng(random_state)
        n, side = self.n_sites, self.box_length
        m = int(np.ceil(np.sqrt(n)))
        spacing = side / m
        room = max(min(0.2 * spacing, 0.5 * (spacing - 0.9 * self.sigma)), 0.01 * spacing)
        grid = spacing * np.stack(np.divmod(np.arange(n), m), axis=-1)
        states = np.empty((n_samples, 2, n, 2))
        states[:, 0] = grid + room / (1 + order) * rng.uniform(-1, 1, size=(n_samples, n, 2))
        momenta = np.sqrt(0.5 * self.epsilon) * rng.normal(size=(n_samples, n, 2))
        states[:, 1] = momenta - momenta.mean(axis=1, keepdims=True)
        return states

    # Energy, forces and what follows from them -----------------------------------------------

    def uses_list(self, array):
        """Which samples of a packed array are large enough for neighbour lists.

        Parameters
        ----------
        array : ndarray, shape (n_samples, 2, n_particles + 1, 2)

        Returns
        -------
        ndarray of bool, shape (n_samples,)
        """
        if self.cutoff is None or array.shape[2] - 1 <= _FEW:
            return np.zeros(len(array), dtype=bool)
        reach = self.cutoff * (1 + verlet_list.SKIN)
        # three cells along a side, beyond the rounding of their number
        return array[:, 0, -1, 0] >= (3 + 1e-9) * reach

    def _run(self, array, few, many, *out):
        """Call the kernel for few particles, or that with lists, for each sample its own."""
        law = self.law
        listed = self.uses_list(array)
        array = np.ascontiguousarray(array)
        if not listed.any():
            few(array, law, *out)
        elif listed.all():
            many(array, law, self.cutoff * verlet_list.SKIN, *out)
        else:
            for samples in (listed, ~listed):
                parts = [x[samples] for x in (array, *out)]
                self._run(parts[0], few, many, *parts[1:])
                for whole, part in zip((array, *out), parts, strict=True):
                    whole[samples] = part
        return array

    def _measure(self, array):
        """Potential energy, virial and smallest r² of packed states, shape (n_samples, 3)."""
        out = np.empty((len(array), 3))
        self._run(array, pairs.measure_small, verlet_list.measure_large, out)
        return out

    def advance(self, array, schedule, n_steps):
        """Kicks and drifts of packed states: the common work of the splitting integrators.

        Parameters
        ----------
        array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
            Not modified.
        schedule : ndarray, shape (n_rows, 2)
            Rows ``(1, length)`` for a kick and ``(0, length)`` for a drift.
        n_steps : int

        Returns
        -------
        ndarray, like ``array``
        """
        few = pairs.advance_small if array.shape[2] - 1 <= _LANES else pairs.advance_middle
        return self._run(
            np.array(array, dtype=np.float64, order="C"),
            lambda a, law: few(a, schedule, n_steps, law),
            lambda a, law, skin: verlet_list.advance_large(a, schedule, n_steps, law, skin),
        )

    def forces(self, states):
        """Forces ``-∂H/∂q``.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, 2, n_particles, 2)

        Returns
        -------
        ndarray, shape (n_samples, n_particles, 2)
        """
        return self.forces_of(self.validate(states))

    def forces_of(self, array):
        """As :meth:`forces`, of packed states."""
        out = np.empty((len(array), array.shape[2] - 1, 2))
        self._run(array, pairs.forces_small, verlet_list.forces_large, out)
        return out

    def energy(self, states):
        """Total energy of each state, in ε; see :meth:`System.energy`."""
        return self.energy_of(self.validate(states))

    def potential_energy(self, states):
        """Potential energy of each state, shape (n_samples,)."""
        return self._measure(self.validate(states))[:, 0]

    def pressure(self, states):
        """Virial pressure ``ρ T + Σ r·f / 2A`` with the kinetic temperature, shape (n_samples,)."""
        return self.observables(self.validate(states))["pressure"][1]

    def kinetic_temperature(self, states):
        """``2 K / (2 (n - 1))`` with the kinetic energy K about the centre of mass.

        The total momentum is conserved, which leaves ``2 (n - 1)`` degrees of freedom.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, 2, n_particles, 2)

        Returns
        -------
        ndarray, shape (n_samples,)
        """
        return self.observables(self.validate(states))["kinetic_temperature"][1]

    def observables(self, array):
        """Energy, total momentum, kinetic temperature and pressure of packed states."""
        return self._observables(array, self._measure(array))

    def _observables(self, array, measured):
        potential, virial, _ = measured.T
        p = array[:, 1, :-1]
        n = p.shape[1]
        total = p.sum(axis=1)
        kinetic, relative = _kinetic(p, total)
        temperature = relative / (n - 1)
        area = array[:, 0, -1, 0] ** 2
        return {
            "energy": ((), potential + kinetic),
            "momentum": (("component",), total),
            "kinetic_temperature": ((), temperature),
            "pressure": ((), (n * temperature + 0.5 * virial) / area),
        }

    def conditions(self, array):
        """Number of particles, density, kinetic temperature; see :meth:`System.conditions`."""
        p = array[:, 1, :-1]
        n = p.shape[1]
        _, relative = _kinetic(p, p.sum(axis=1))
        return {
            "n_particles": np.full((3, len(array)), float(n)),
            "density": np.tile(n / array[:, 0, -1, 0] ** 2, (3, 1)),
            "temperature": kinetic_interval(relative / (n - 1), 2 * (n - 1)),
        }

    def project(self, array, before, quantities, elapsed):
        """Rescale the momenta about the centre of mass until the energy is that of ``before``.

        The total momentum is not touched. Other quantities are not projected.

        Parameters
        ----------
        array, before : ndarray, shape (n_samples, 2, n_particles + 1, 2)
            Packed states; not modified.
        quantities : collection of str
        elapsed : float
            Not used.

        Returns
        -------
        ndarray, like ``array``
            NaN where the potential energy alone exceeds the energy.
        """
        if "energy" not in quantities:
            return np.array(array)
        result = np.array(array, order="C")
        p = result[:, 1, :-1]
        scale = self._rescaling(result, self._measure(result), self.energy_of(before))
        mean = p.mean(axis=1, keepdims=True)
        p[:] = mean + scale[:, None, None] * (p - mean)
        self.lose(result, np.isnan(scale))
        return result

    def energy_of(self, array):
        """As :meth:`energy`, of packed states."""
        return self.observables(array)["energy"][1]

    def _rescaling(self, array, measured, target):
        """Factor of the relative momenta that restores an energy; NaN where there is none."""
        p = array[:, 1, :-1]
        kinetic, relative = _kinetic(p, p.sum(axis=1))
        wanted = target - measured[:, 0] - (kinetic - relative)
        at_rest = (relative == 0) & (np.abs(wanted) <= 1e-12 * np.maximum(1.0, np.abs(target)))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(at_rest, 1.0, np.sqrt(wanted / relative))

    def lose(self, array, lost):
        """As :meth:`System.lose`; a lost sample keeps its box."""
        array[lost, :, :-1] = np.nan

    def diagnose(self, array, before):
        """What a step may be judged by; see :meth:`System.diagnose`.

        ``energy_change`` (in ε, over the square root of the number of particles),
        ``min_distance`` (in σ), ``max_speed`` (in sqrt(ε), about the centre of mass),
        ``rescaling`` (the factor of the energy projection, NaN where that is impossible).
        """
        measured, start = self._measure(array), self.energy_of(before)
        energy = self._observables(array, measured)["energy"][1]
        with np.errstate(invalid="ignore", over="ignore"):
            speed = np.sqrt(_largest_square(array))
            return {
                "energy_change": np.abs(energy - start)
                / (self.epsilon * np.sqrt(array.shape[2] - 1)),
                "min_distance": np.sqrt(measured[:, 2]) / self.sigma,
                "max_speed": speed / np.sqrt(self.epsilon),
                "rescaling": self._rescaling(array, measured, start),
            }

    @property
    def default_bounds(self):
        """Bounds of what a step may do; see :class:`Fallback`."""
        return {
            "energy_change": (0.0, 0.08),
            "min_distance": (0.75, np.inf),
            "max_speed": (0.0, 30.0),
            "rescaling": (0.5, 2.0),
        }

    def healthy(self, array):
        """Finite, no pair closer than 0.5 σ, no speed about the centre of mass above 1000 sqrt(ε).

        A sample that explodes stays finite (Park 2022, section 5.2.1), so both bounds
        matter.

        Parameters
        ----------
        array : ndarray, shape (n_samples, 2, n_particles + 1, 2)

        Returns
        -------
        ndarray of bool, shape (n_samples,)
        """
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        result = finite.copy()
        if finite.any():
            rest = array[finite]
            slow = _largest_square(rest) < FASTEST**2 * self.epsilon
            apart = self._measure(rest)[:, 2] > (CLOSEST * self.sigma) ** 2
            result[finite] = slow & apart
        return result

    def symmetry_action(self, name, rng):
        """Return a random transformation; see :meth:`System.symmetry_action`.

        Rotations and reflections are those of the square box.
        """
        if name == "rotation":
            turn = np.linalg.matrix_power(np.array([[0.0, -1.0], [1.0, 0.0]]), rng.integers(4))
            turn = turn @ np.diag([1.0, rng.choice([-1.0, 1.0])])
            return lambda states, time: states @ turn.T
        if name == "permutation":
            order = rng.permutation(self.n_sites)
            return lambda states, time: states[:, :, order]
        shift = rng.normal(size=2)
        if name == "translation":
            return lambda states, time: states + np.array([shift, 0 * shift])[None, :, None]
        if name == "galilean":
            return lambda states, time: states + np.array([time * shift, shift])[None, :, None]
        return super().symmetry_action(name, rng)


def _largest_square(array):
    """Largest square of a momentum about the centre of mass, shape (n_samples,)."""
    momenta = array[:, 1, :-1]
    relative = momenta - momenta.mean(axis=1, keepdims=True)
    return (relative**2).sum(axis=-1).max(axis=1)


def _kinetic(momenta, total):
    """Kinetic energy, and that about the centre of mass; each (n_samples,)."""
    kinetic = 0.5 * np.einsum("nic,nic->n", momenta, momenta)
    relative = momenta - total[:, None] / momenta.shape[1]
    return kinetic, 0.5 * np.einsum("nic,nic->n", relative, relative)
