"""The step of a corrector that learns what acts: the base step in a learned field or potential."""

from copy import deepcopy

from sklearn.base import clone

from ..systems.spins import SpinsLike
from .bound import BoundStep


class LearnedField(SpinsLike):
    """A system of spins whose field is a fitted network, plus the external field.

    Parameters
    ----------
    model : SpinSystem
        What the network was fitted to; gives lattice and external field.
    corrector : FieldCorrector
        Fitted.
    """

    def __init__(self, model, corrector):
        self.model = model
        self.corrector = corrector

    def __sklearn_clone__(self):
        return deepcopy(self)  # without its fit it is worth nothing

    @property
    def exact_field(self):
        """For a learned energy in double precision."""
        return self.corrector.conservative and self.corrector.precision == "double"

    @property
    def invariants(self):
        """Energy and magnetisation only where a learned energy implies them."""
        return super().invariants if self.exact_field else frozenset({"norm"})

    @property
    def symmetries(self):
        """Those of the model that the network has by construction."""
        kept = {"translation"}
        if "rotation" in self.corrector.field_symmetries:
            kept |= {"rotation", "time_reversal"}
        double = self.corrector.precision == "double"
        return frozenset(kept & super().symmetries) if double else frozenset()

    def resized(self, state_shape):
        """Return this field on the lattice of a state."""
        model = self.model.resized(state_shape)
        return self if model is self.model else LearnedField(model, self.corrector)

    def field_of(self, array):
        """Field perpendicular to the spins, and the whole external one."""
        return self.corrector.field(array) + self.bias

    def local_field(self, states):
        """As :meth:`field_of`, of states that are checked first.

        Parameters
        ----------
        states : xarray.DataArray or array-like, shape (n_samples, *sides, 3)

        Returns
        -------
        ndarray, like ``states``
        """
        return self.field_of(self.validate(states))

    def field_tensor(self, spins):
        """Torch twin of :meth:`field_of`, without the external field."""
        return self.corrector.field_tensor(spins)

    def energy(self, states):
        """Learned energy ``E - B·Σ S_i``, shape (n_samples,); see FieldCorrector."""
        array = self.validate(states)
        total = array.reshape(len(array), -1, 3).sum(axis=1)
        return self.corrector.learned_energy(array) - total @ self.bias

    def observables(self, array):
        """Total magnetisation, and the learned energy where there is one."""
        total = array.reshape(len(array), -1, 3).sum(axis=1)
        known = {"magnetization": (("component",), total)}
        if self.corrector.conservative:
            known["energy"] = ((), self.corrector.learned_energy(array) - total @ self.bias)
        return known


class FieldStep(BoundStep):
    """The base step with its system replaced by a learned one.

    Parameters
    ----------
    base : Integrator
        A step of any system of the kind that is learned, such as :class:`SemiImplicitB` or
        :class:`SpinLatticeSplitting`.
    corrector : Corrector
        Fitted, with ``stand_in(model)``: a :class:`FieldCorrector` or
        :class:`LearnedPotential`.
    """

    @property
    def system(self):
        """The learned system."""
        return self.corrector.stand_in(self.base.system)

    @property
    def simulated(self):
        """The learned system."""
        return self.system

    @property
    def guarantees(self):
        """Those of the base step for a system with the symmetries of the learned one."""
        return self._step.guarantees

    def with_dt(self, dt):
        """Return this step at another time step: what is learned serves any."""
        return FieldStep(self.base.with_dt(dt), self.corrector)

    @property
    def _step(self):
        return clone(self.base, safe=False).set_params(system=self.system)

    def validate(self, states, name="samples"):
        """As the base step validates; the system is the learned one."""
        return self._step.validate(states, name)

    def advance(self, array, n_steps):
        """Steps of the learned system; see :meth:`Integrator.advance`."""
        return self._step.advance(array, n_steps)
