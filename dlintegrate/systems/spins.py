"""What all systems of unit spins on a periodic lattice have in common."""

from abc import abstractmethod

import numpy as np

from .base import System


class SpinSystem(System):
    """Classical unit spins in a uniform external field ``field``."""

    state_name = "spin"
    #: "cubic" (in fewer dimensions a square or a chain) or "triangular".
    lattice = "cubic"

    @property
    @abstractmethod
    def lattice_shape(self):
        """The sides as a tuple of ints."""

    @property
    def n_sites(self):
        """Number of spins."""
        return int(np.prod(self.lattice_shape))

    @property
    def bias(self):
        """The external field as a checked ndarray of shape (3,)."""
        field = np.asarray(self.field, dtype=np.float64)
        if field.shape != (3,) or not np.isfinite(field).all():
            raise ValueError(f"field={self.field!r}: expected three finite numbers")
        return field

    @property
    def exact_field(self):
        """Whether the field is the gradient of the energy to the rounding of double precision."""
        return True

    @property
    def invariants(self):
        """Norm and energy always; the total magnetisation without a field."""
        kept = {"norm", "energy"}
        return frozenset(kept if self.bias.any() else kept | {"magnetization"})

    @property
    def symmetries(self):
        """Lattice translations and, without a field, rotations of all spins.

        Reversing all spins *and* the field reverses time, so time reversal is
        a symmetry too (of the flow: apply a step with -dt to go back).

        Returns
        -------
        frozenset of str
        """
        kept = {"translation", "time_reversal"}
        return frozenset(kept if self.bias.any() else kept | {"rotation"})

    def spins_of(self, array):
        """All of a state; see :meth:`System.spins_of`."""
        return array.reshape(len(array), -1, 3)

    @abstractmethod
    def field_of(self, array):
        """Local field on the spins of a validated array, like it."""

    def field_and_observables(self, array):
        """What :meth:`field_of` and :meth:`observables` return, at the price of one if it can be.

        Parameters
        ----------
        array : ndarray, shape (n_samples, ...)

        Returns
        -------
        field : ndarray, like ``array``
        observables : dict
        """
        return self.field_of(array), self.observables(array)

    def conditions(self, array):
        """The shortest side of the lattice; see :meth:`System.conditions`."""
        return {"side": np.full((3, len(array)), float(min(self.lattice_shape)))}

    def random_states(self, n_samples, random_state=None, order=0.0):
        """Random spins about a random common direction; see :meth:`System.random_states`."""
        rng = np.random.default_rng(random_state)
        spins = rng.normal(size=(n_samples, *self.lattice_shape, 3))
        common = rng.normal(size=3)
        spins += order * common / np.linalg.norm(common)
        return spins / np.linalg.norm(spins, axis=-1, keepdims=True)

    def healthy(self, array):
        """Finite and of unit length to 1e-6."""
        flat = array.reshape(len(array), -1, 3)
        norm2 = np.einsum("nsc,nsc->ns", flat, flat)
        return (np.abs(norm2 - 1.0) < 2e-6).all(axis=1)

    def symmetry_action(self, name, rng):
        """Return a random transformation; see :meth:`System.symmetry_action`."""
        if name == "rotation":
            turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
            turn *= np.sign(np.linalg.det(turn))
            return lambda states, time: states @ turn.T
        if name in ("translation", "even_translation"):
            axes = tuple(range(1, 1 + len(self.lattice_shape)))
            shift = rng.integers(0, 8, size=len(axes))
            if name == "even_translation" and shift.sum() % 2:
                shift[0] += 1
            return lambda states, time: np.roll(states, shift, axes)
        return super().symmetry_action(name, rng)


class SpinsLike(SpinSystem):
    """Spins on the lattice and in the external field of ``model``, another system."""

    @property
    def state_dims(self):
        """Those of the model."""
        return self.model.state_dims

    @property
    def lattice(self):
        """The kind of lattice."""
        return self.model.lattice

    @property
    def lattice_shape(self):
        """The sides of the model's lattice."""
        return self.model.lattice_shape

    @property
    def field(self):
        """The external field."""
        return self.model.field

    def validate(self, states, name="samples"):
        """As the model does."""
        return self.model.validate(states, name)
