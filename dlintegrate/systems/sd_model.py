"""Classical spins on a triangular lattice that couple to itinerant electrons."""

import functools
import numbers
import warnings

import numpy as np

from .._checks import check_finite
from .._kernels.triangular import NEAREST
from ..states import to_spins
from .electrons import ElectronSolver
from .kernel_polynomial import KernelPolynomial
from .spins import SpinSystem

#: Sides of the magnetic cell of the triple-Q order at the default filling.
_MAGNETIC_PERIOD = 12


class TriangularSDModel(SpinSystem):
    """The s-d model: classical spins and non-interacting electrons on a triangular lattice.

    ``H = -Σ_ij t_ij c†_iα c_jα - J Σ_i S_i·c†_iα σ_αβ c_iβ`` with hopping t1 to nearest and
    t3 to third neighbours (Cheng 2023, Eq. 4, where the sign of the hopping is
    misprinted). The electrons follow the spins at once, at a temperature and a
    chemical potential of their own, so the spins move in the grand potential Ω:
    ``dS_i/dt = S_i × h_i`` with ``h_i = -∂Ω/∂S_i + B`` (Eqs 3 and 10). Energies in units of t1.

    Parameters
    ----------
    shape : tuple of 2 ints, default (24, 24)
        Sites along a1 and a2. Other than multiples of 12 do not hold the magnetic
        period and are warned about.
    t1, t3 : float, default 1.0 and -0.85
    J : float, default 1.0
    mu : float, default -3.5
        Chemical potential.
    temperature : float, default 0.05
        Of the electrons.
    field : tuple of 3 floats, default (0, 0, 0.005)
        External field B on the spins.
    spin_half : bool, default False
        Couple to the electron spin ``σ/2`` instead of σ: halves the exchange.
    solver : ElectronSolver, optional
        :class:`KernelPolynomial` by default; :class:`ExactDiagonalization` for small
        lattices.

    Examples
    --------
    >>> from dlintegrate import TriangularSDModel
    >>> model = TriangularSDModel(shape=(12, 12))
    >>> spins = model.random_states(1, random_state=0)
    >>> model.local_field(spins).shape
    (1, 12, 12, 3)
    """

    state_dims = ("x", "y", "component")
    lattice = "triangular"

    def __init__(
        self, shape=(24, 24), t1=1.0, t3=-0.85, J=1.0, mu=-3.5, temperature=0.05,
        field=(0.0, 0.0, 0.005), spin_half=False, solver=None,
    ):  # fmt: skip
        self.shape = shape
        self.t1 = t1
        self.t3 = t3
        self.J = J
        self.mu = mu
        self.temperature = temperature
        self.field = field
        self.spin_half = spin_half
        self.solver = solver

    @property
    def lattice_shape(self):
        """The two sides, checked; at least 5, or a third neighbour would count twice."""
        try:
            sides = tuple(int(side) for side in self.shape)
            valid = len(sides) == 2 and sides == tuple(self.shape) and min(sides) >= 5
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(f"shape={self.shape!r}: expected two ints of at least 5")
        return sides

    @property
    def exact_field(self):
        """With :class:`ExactDiagonalization`; a series in single precision is not."""
        return isinstance(self.solver, ElectronSolver) and self.solver.exact

    @property
    def symmetries(self):
        """Those of the s-d model, as far as the solver has them to rounding."""
        return super().symmetries if self.exact_field else frozenset()

    @property
    def exchange(self):
        """Coupling to the Pauli matrices."""
        return self.J * (0.5 if self.spin_half else 1.0)

    @property
    def spectrum(self):
        """Centre and half width of an interval that holds all energies."""
        return _interval(self.t1, self.t3, abs(self.exchange))

    def check(self):
        """Raise ValueError for parameters out of range, TypeError for what solves nothing."""
        for name in ("t1", "t3", "J", "mu"):
            check_finite(name, getattr(self, name))
        if not isinstance(self.temperature, numbers.Real) or not 0 < self.temperature < np.inf:
            raise ValueError(
                f"temperature={self.temperature!r}: expected a positive number; at zero the "
                "filling has a step that no series resolves"
            )
        if self.spin_half not in (False, True):
            raise ValueError(f"spin_half={self.spin_half!r}: expected True or False")
        if self.solver is not None and not isinstance(self.solver, ElectronSolver):
            raise TypeError(
                f"solver={self.solver!r}: expected an ElectronSolver, such as "
                "ExactDiagonalization() or KernelPolynomial()"
            )

    def resized(self, state_shape):
        """Return this system with the lattice sides of a state."""
        sides = tuple(int(side) for side in state_shape[:-1])
        if sides == self.lattice_shape:
            return self
        return type(self)(**{**self.get_params(deep=False), "shape": sides})

    def validate(self, states, name="samples"):
        """Check spins, shape (n_samples, *sides, 3); see :meth:`System.validate`.

        Raises
        ------
        ValueError
            On a wrong shape, NaN, or spins off the unit sphere.

        Warns
        -----
        UserWarning
            If a side is not a multiple of 12.
        """
        array = to_spins(states, self.state_dims, name)
        if array.shape[1:-1] != self.lattice_shape:
            raise ValueError(
                f"{name} has lattice sides {array.shape[1:-1]}; the system has "
                f"shape={self.lattice_shape}"
            )
        if any(side % _MAGNETIC_PERIOD for side in self.lattice_shape):
            warnings.warn(
                f"shape={self.lattice_shape}: the magnetic order of this filling has a period of "
                f"{_MAGNETIC_PERIOD} sites; use multiples of it",
                UserWarning,
                stacklevel=3,
            )
        return array

    def neighbours(self):
        """Flat numbers of the neighbours of each site, (n_sites, 12), and their hoppings."""
        sides = self.lattice_shape
        x, y = (index.ravel() for index in np.indices(sides))
        table, hopping = [], []
        for reach, t in ((1, self.t1), (2, self.t3)):
            for dx, dy in NEAREST:
                table.append((x + reach * dx) % sides[0] * sides[1] + (y + reach * dy) % sides[1])
                hopping.append(t)
        return np.stack(table, axis=1), np.array(hopping, dtype=np.float64)

    def wraps(self):
        """How often each hop goes around the two sides, (n_sites, 12, 2)."""
        sides = np.array(self.lattice_shape)
        sites = np.stack([index.ravel() for index in np.indices(sides)], axis=1)
        steps = np.array([(r * dx, r * dy) for r in (1, 2) for dx, dy in NEAREST])
        return (sites[:, None] + steps) // sides

    def hamiltonian(self, state, twist=(0.0, 0.0)):
        """The matrix of the electrons, with rows 2i + spin.

        Parameters
        ----------
        state : ndarray, shape (*sides, 3)
        twist : tuple of 2 floats
            Phases gained around the lattice.

        Returns
        -------
        ndarray of complex128, shape (2 n_sites, 2 n_sites)
        """
        n, sides = self.n_sites, np.array(self.lattice_shape)
        table, hopping = self.neighbours()
        steps = np.array([(r * dx, r * dy) for r in (1, 2) for dx, dy in NEAREST])
        phase = np.exp(1j * (steps / sides) @ np.asarray(twist))
        matrix = np.zeros((n, 2, n, 2), dtype=np.complex128)
        sites = np.arange(n)
        for k in range(len(hopping)):
            for spin in range(2):
                matrix[sites, spin, table[:, k], spin] -= hopping[k] * phase[k]
        x, y, z = self.exchange * state.reshape(-1, 3).T
        matrix[sites, 0, sites, 0] -= z
        matrix[sites, 1, sites, 1] += z
        matrix[sites, 0, sites, 1] -= x - 1j * y
        matrix[sites, 1, sites, 0] -= x + 1j * y
        return matrix.reshape(2 * n, 2 * n)

    def _solve(self, array, sites=None):
        self.check()
        if not len(array):
            return np.zeros((0, self.n_sites if sites is None else len(sites), 4)), np.zeros(0)
        solver = KernelPolynomial() if self.solver is None else self.solver
        return solver.solve(self, array, sites)

    def local_field(self, states, sites=None):
        """Field ``h_i = -∂Ω/∂S_i + B`` on the spins.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, *sides, 3)
        sites : array-like of int, shape (n_sites,), optional
            Flat numbers of the sites that are wanted.

        Returns
        -------
        ndarray, shape (n_samples, *sides, 3), or (n_samples, len(sites), 3)
        """
        return self.field_of(self.validate(states), sites)

    def field_of(self, array, sites=None):
        """As :meth:`local_field`, of validated states."""
        field = self._field(self._solve(array, sites)[0])
        return field if sites is not None else field.reshape(array.shape)

    def _field(self, blocks):
        """From the density matrices of sites."""
        up, down, real, imaginary = np.moveaxis(blocks, -1, 0)
        return self.exchange * np.stack([2 * real, -2 * imaginary, up - down], axis=-1) + self.bias

    def electron_density(self, states):
        """Electrons per site, shape (n_samples, *sides)."""
        array = self.validate(states)
        blocks, _ = self._solve(array)
        return blocks[..., :2].sum(axis=-1).reshape(array.shape[:-1])

    def energy(self, states):
        """Grand potential and Zeeman energy ``Ω - B·Σ S_i``, shape (n_samples,)."""
        return self.observables(self.validate(states))["energy"][1]

    def observables(self, array):
        """Energy and total magnetisation."""
        return self._observables(array, self._solve(array)[1])

    def field_and_observables(self, array):
        """From one solution of the electrons; see :meth:`SpinSystem.field_and_observables`."""
        blocks, omega = self._solve(array)
        return self._field(blocks).reshape(array.shape), self._observables(array, omega)

    def _observables(self, array, omega):
        total = array.reshape(len(array), -1, 3).sum(axis=1)
        return {
            "energy": ((), omega - total @ self.bias),
            "magnetization": (("component",), total),
        }


@functools.lru_cache(maxsize=128)
def _interval(t1, t3, exchange):
    """Centre and half width of the bare band with margins."""
    k = np.linspace(-np.pi, np.pi, 121)
    kx, ky = np.meshgrid(k, k)
    band = 0.0
    for dx, dy in NEAREST[:3]:
        phase = kx * dx + ky * dy
        band = band - 2 * t1 * np.cos(phase) - 2 * t3 * np.cos(2 * phase)
    margin = exchange + 0.02 * np.ptp(band)
    low, high = band.min() - margin, band.max() + margin
    return 0.5 * (low + high), 0.5 * (high - low)
