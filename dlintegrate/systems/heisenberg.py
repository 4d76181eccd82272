"""The classical Heisenberg model on a periodic (hyper)cubic lattice."""

import numbers

import numpy as np

from .._checks import check_finite
from .._kernels import heisenberg as kernels
from .._kernels import projection
from ..states import to_spins
from .spins import SpinSystem


class HeisenbergLattice(SpinSystem):
    """Classical Heisenberg spins with nearest-neighbour exchange.

    ``H = -J Σ_<ij> S_i·S_j - B·Σ_i S_i`` with ``|S_i| = 1``, periodic boundaries,
    each bond counted once. The spins precess: ``dS_i/dt = S_i × h_i`` with the
    local field ``h_i = J Σ_j S_j + B`` (Park 2022, Eqs 2.14 and 3.2; the paper's
    effective field is ``-h``). Reduced units: energy in J, time in 1/J, k_B = 1.

    Parameters
    ----------
    shape : int or tuple of 1 to 3 ints, default (8, 8, 8)
        Number of sites along each side, at least 3. An int means a cube.
    J : float, default 1.0
        Exchange; positive is ferromagnetic.
    field : tuple of 3 floats, default (0, 0, 0)
        Uniform external field B.

    Examples
    --------
    >>> import numpy as np
    >>> from dlintegrate import HeisenbergLattice
    >>> system = HeisenbergLattice(shape=4)
    >>> up = np.zeros((1, 4, 4, 4, 3))
    >>> up[..., 2] = 1.0
    >>> system.energy(up)  # three bonds per site
    array([-192.])
    """

    def __init__(self, shape=(8, 8, 8), J=1.0, field=(0.0, 0.0, 0.0)):
        self.shape = shape
        self.J = J
        self.field = field

    @property
    def lattice_shape(self):
        """The sides.

        Returns
        -------
        tuple of 1 to 3 ints

        Raises
        ------
        ValueError
            If a side is smaller than 3 or their number is not 1 to 3.
        """
        shape = self.shape
        if isinstance(shape, numbers.Integral):
            shape = (shape,) * 3
        try:
            sides = tuple(int(side) for side in shape)
            valid = 1 <= len(sides) <= 3 and all(a == b for a, b in zip(sides, shape, strict=True))
        except (TypeError, ValueError):
            valid = False
        if not valid:
            raise ValueError(f"shape={self.shape!r}: expected an int (cube) or 1 to 3 ints")
        if min(sides) < 3:
            raise ValueError(
                f"shape={self.shape!r}: sides must be at least 3 "
                "(with periodic boundaries a side of 2 would count each bond twice)"
            )
        return sides

    @property
    def coupling(self):
        """J as a checked float."""
        return check_finite("J", self.J)

    @property
    def state_dims(self):
        """``("x", "y", "z", "component")``, as many axes as the lattice has."""
        return (*"xyz"[: len(self.lattice_shape)], "component")

    @property
    def max_field(self):
        """Upper bound of the local field |h|."""
        return 2 * len(self.lattice_shape) * abs(self.coupling) + float(np.linalg.norm(self.bias))

    def resized(self, state_shape):
        """Return this system with the lattice sides of a state."""
        sides = state_shape[:-1]
        if tuple(sides) == self.lattice_shape:
            return self
        if len(sides) != len(self.lattice_shape):
            raise ValueError(
                f"states of shape {tuple(state_shape)} have {len(sides)} lattice axes; "
                f"the system has {len(self.lattice_shape)}: shape={self.shape!r}"
            )
        return type(self)(tuple(map(int, sides)), self.J, self.field)

    def validate(self, states, name="samples"):
        """Check spins and return them as a float64 ndarray.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, *sides, 3)
            Spins, of unit length to 1e-5; what is off by more than 1e-12 is normalised.
        name : str
            What to call the argument in error messages.

        Returns
        -------
        ndarray, shape (n_samples, *sides, 3)

        Raises
        ------
        ValueError
            On a wrong shape, NaN, or spins off the unit sphere.
        """
        array = to_spins(states, self.state_dims, name)
        if array.shape[1:-1] != self.lattice_shape:
            raise ValueError(
                f"{name} has lattice sides {array.shape[1:-1]}; "
                f"the system has shape={self.lattice_shape}"
            )
        return array

    def _cubic(self, array):
        """View ``(n, *sides, 3)`` as a three-dimensional lattice with sides of 1."""
        return array.reshape(len(array), *kernels.cubic_sides(array.shape[1:-1]), 3)

    def local_field(self, states):
        """Local field ``h_i = J Σ_j S_j + B = -∂H/∂S_i``.

        Parameters
        ----------
        states : array-like, shape (n_samples, *sides, 3)

        Returns
        -------
        like ``states``
        """
        return self.wrap(self.field_of(self.validate(states)), states)

    def field_of(self, array):
        """As :meth:`local_field`, of a validated array."""
        array = np.ascontiguousarray(array)
        out = np.empty_like(array)
        kernels.local_field(self._cubic(array), self.coupling, self.bias, self._cubic(out))
        return out

    def energy(self, states):
        """Total energy H of each sample, in units of J.

        Parameters
        ----------
        states : array-like, shape (n_samples, *sides, 3)

        Returns
        -------
        ndarray, shape (n_samples,)
        """
        return kernels.energy(self._cubic(self.validate(states)), self.coupling, self.bias)

    def magnetization(self, states):
        """Total magnetisation ``M = Σ_i S_i`` of each sample.

        Parameters
        ----------
        states : array-like, shape (n_samples, *sides, 3)

        Returns
        -------
        ndarray, shape (n_samples, 3)
        """
        array = self.validate(states)
        return array.reshape(len(array), -1, 3).sum(axis=1)

    def observables(self, array):
        """Energy and magnetisation of each sample."""
        return {
            "energy": ((), kernels.energy(self._cubic(array), self.coupling, self.bias)),
            "magnetization": (("component",), array.reshape(len(array), -1, 3).sum(axis=1)),
        }

    def conditions(self, array):
        """The shortest side, and a temperature from fields; see :meth:`System.conditions`.

        ``1/T = 2 Σ S·h / Σ |S × h|²`` (Ma et al., Phys. Rev. E 82, 031111, 2010, Eq. 18). Its
        standard error is about ``1/T√N`` in the cold, where 2N directions vibrate, and
        ``2/√Σ|S × h|²`` in the heat, where spins are independent. Four of their sums are allowed.
        """
        spins, field = self.spins_of(array), self.spins_of(self.field_of(array))
        along = np.einsum("nsc,nsc->ns", spins, field)
        torque2 = np.maximum(0, np.einsum("nsc,nsc->n", field, field) - (along**2).sum(axis=1))
        with np.errstate(divide="ignore", invalid="ignore"):
            beta = 2 * along.sum(axis=1) / torque2
            error = 4 * (np.abs(beta) / np.sqrt(spins.shape[1]) + 2 / np.sqrt(torque2))
            estimates = np.stack([beta, beta + error, beta - error])
            temperature = np.where(estimates > 0, 1 / estimates, np.inf)
        temperature[:, torque2 == 0] = np.nan  # aligned, or without a field
        return {**super().conditions(array), "temperature": temperature}

    def project(self, array, before, quantities, elapsed):
        """Restore energy or magnetisation exactly by small moves in the tangent planes.

        A Newton solve per sample for the multipliers of the gradients. With a
        field the target magnetisation is the one before, turned about the field
        by the exact Larmor precession ``dM/dt = M × B``.

        Parameters
        ----------
        array : ndarray, shape (n_samples, *sides, 3)
            Not modified.
        before : ndarray, like ``array``
            States whose values are to be kept.
        quantities : collection of str
            Out of ``"energy"`` and ``"magnetization"``.
        elapsed : float
            Time between the two.

        Returns
        -------
        ndarray, like ``array``
            Samples that do not converge are NaN.
        """
        result = np.array(array, order="C")
        used = np.array(["energy" in quantities, *["magnetization" in quantities] * 3])
        targets = projection.measure(self._cubic(before), self.coupling, self.bias)
        if self.bias.any():
            targets[:, 1:] = _precess(targets[:, 1:], self.bias, elapsed)
        projection.project(
            self._cubic(result), targets, used, self.coupling, self.bias,
            max_iterations=20, tolerance=1e-13,
        )  # fmt: skip
        return result


def _precess(vectors, field, time):
    """Turn vectors (n, 3) as dM/dt = M × B does in ``time``."""
    strength = np.linalg.norm(field)
    axis, angle = field / strength, strength * time
    along = (vectors @ axis)[:, None] * axis
    return along + np.cos(angle) * (vectors - along) + np.sin(angle) * np.cross(vectors, axis)
