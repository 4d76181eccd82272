"""What all learned fields have in common."""

from abc import abstractmethod

import numpy as np

from ..states import perpendicular
from ._fitted_module import FittedModule
from .base import Corrector


class FieldCorrector(FittedModule, Corrector):  # type: ignore[override]
    """A learned field on the spins, instead of the exact one of the system.

    Only the part of a field perpendicular to its spin moves the spin, so only that is
    learned and returned. The external field is not learned: it is added by the step.
    Local: fitted on one size, a field serves any other.

    Subclasses have the parameters ``training`` (a :class:`FieldTraining`, or None for its
    defaults) and ``precision``, and build a torch module from spins (n, 3, X, Y) to
    fields of the same shape, in units of ``scale_``: the mean torque of the training set.
    """

    target = "field"

    @abstractmethod
    def _build(self):
        """Return the module."""

    @property
    @abstractmethod
    def field_symmetries(self):
        """What the field is equivariant under by construction: a set of "rotation", "lattice"."""

    @property
    def conservative(self):
        """Whether the field is the gradient of a learned energy."""
        return False

    def guarantees(self, base):
        """What the base step keeps with the learned field."""
        return self.bind(base).guarantees

    def check(self, base):
        """Also that the base is a step in a field; see :meth:`Corrector.check`.

        Raises
        ------
        TypeError
            If it is not, or the spins are not on a triangular lattice.
        """
        from ..integrators.llg import LandauLifshitzGilbert

        super().check(base)
        steps_in_a_field = isinstance(base, LandauLifshitzGilbert)
        if not steps_in_a_field or "system" not in base.get_params(deep=False):
            raise TypeError(
                f"base={base!r}: a learned field needs a step in a given field, such as "
                "SemiImplicitB, DampedMidpoint or RungeKutta4"
            )

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Learn fields; see :meth:`Corrector.fit`.

        Parameters
        ----------
        base : Integrator
            A step of spins in a local field.
        X : ndarray, shape (n_samples, x, y, 3)
        Y : ndarray, shape (n_samples, x, y, 3)
            Fields on them, the external one included.
        device, random_state, progress
            As in :meth:`Corrector.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For parameters out of range, or fields without any torque.
        TypeError
            If the spins are not on a triangular lattice.
        """
        import torch

        self.check(base)
        system = base.system.matching(X)
        torque = perpendicular(Y - system.bias, X)
        scale = float(np.sqrt((torque**2).sum(-1)).mean())
        if not scale > 1e-12 * np.abs(Y).max():
            raise ValueError("the fields are all along the spins: there is no torque to learn")
        (scale,) = self._measured(scale)
        tensors = {
            "spins": torch.as_tensor(np.moveaxis(X, -1, 1), dtype=torch.float32),
            "torques": torch.as_tensor(np.moveaxis(torque / scale, -1, 1), dtype=torch.float32),
        }
        missing = {"rotation", "lattice"} - self.field_symmetries
        self._learn(tensors, missing, device, random_state, progress)
        self.scale_ = scale
        return self

    def exact_labels(self, system, array):
        """Fields on the spins, the external one included."""
        return system.field_of(array)

    def given_labels(self, system, array, y):
        """Fields, checked."""
        y = y.transpose("sample", *system.state_dims) if hasattr(y, "dims") else y
        fields = np.asarray(y, dtype=np.float64)
        if fields.shape != array.shape or not np.isfinite(fields).all():
            raise ValueError(
                f"y has shape {fields.shape}: expected finite fields on the spins, of shape "
                f"{array.shape}; {self!r} learns fields, not the next states"
            )
        return fields

    def learned_score(self, system, array, labels):
        """Negative :func:`torque_error`."""
        from ..metrics import torque_error

        return -torque_error(system.field_of(array), labels, array)

    def stand_in(self, model):
        """The learned field as a system, in place of ``model``."""
        from ..integrators.field_step import LearnedField

        return LearnedField(model, self)

    def bind(self, base):
        """Return the base step in the learned field."""
        from ..integrators.field_step import FieldStep

        return FieldStep(base, self)

    def field(self, array):
        """Learned field perpendicular to the spins, without the external one.

        Parameters
        ----------
        array : ndarray, shape (n_samples, x, y, 3)

        Returns
        -------
        ndarray, like ``array``
        """
        return self._predict(self.field_tensor, array)

    def field_tensor(self, spins):
        """Torch twin of :meth:`field`: differentiable, on the tensor's device.

        Parameters
        ----------
        spins : torch.Tensor, shape (n_samples, x, y, 3)

        Returns
        -------
        torch.Tensor, like ``spins``
        """
        module, dtype = self._module(spins.device)
        channels = spins.movedim(-1, 1).to(dtype)
        fields = (self.scale_ * module(channels)).movedim(1, -1).to(spins.dtype)
        return perpendicular(fields, spins)

    def learned_energy(self, array):
        """Learned energy of which the field is the gradient.

        Parameters
        ----------
        array : ndarray, shape (n_samples, x, y, 3)

        Returns
        -------
        ndarray, shape (n_samples,)

        Raises
        ------
        TypeError
            If the field is not made from an energy.
        """
        import torch

        if not self.conservative:
            raise TypeError(f"{self!r} learns a field without an energy")
        device = self._prediction_device()
        module, dtype = self._module(device)
        with torch.no_grad():
            spins = torch.as_tensor(array, device=device).movedim(-1, 1).to(dtype)
            total = torch.cat([module.total_energy(part) for part in spins.split(1)])
        return self.scale_ * total.double().cpu().numpy()
