"""What all learned fields have in common."""

from abc import abstractmethod

import numpy as np
from sklearn.exceptions import NotFittedError

from .._device import resolve_device
from ..persistence import VersionedState
from .base import Corrector
from .field_training import FieldTraining

#: Sites per forward pass, bounds the memory of a prediction.
_SITES_PER_PASS = 2**15


class FieldCorrector(VersionedState, Corrector):
    """A learned field on the spins, instead of the exact one of the system.

    Only the part of a field perpendicular to its spin moves the spin, so only that is
    learned and returned. The external field is not learned: it is added by the step.
    Local: fitted on one size, a field serves any other.

    Subclasses have the parameters ``training`` (a :class:`FieldTraining`, or None for its
    defaults) and ``precision``, and build a torch module from spins (n, 3, X, Y) to
    fields of the same shape, in units of the mean torque of the training set.
    """

    local = True
    target = "field"

    @property
    def batch_tolerance(self):
        """Sums are split by batch; in double precision it hardly shows."""
        return 1e-12 if self.precision == "double" else 1e-6

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

        from .training import generator_of

        self._check_parameters()
        system = base.system.matching(X)
        if getattr(system, "lattice", None) != "triangular":
            raise TypeError(
                f"{type(self).__name__} needs spins on a triangular lattice, as those of "
                f"TriangularSDModel; got {base.system!r}"
            )
        torque = Y - system.bias
        torque = torque - (torque * X).sum(-1, keepdims=True) * X
        scale = float(np.sqrt((torque**2).sum(-1)).mean())
        if not scale > 1e-12 * np.abs(Y).max():
            raise ValueError("the fields are all along the spins: there is no torque to learn")
        device = resolve_device(device)
        rng = generator_of(random_state)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            module = self._build()
        self._modules = {}
        tensors = {
            "spins": torch.as_tensor(np.moveaxis(X, -1, 1), dtype=torch.float32),
            "torques": torch.as_tensor(np.moveaxis(torque / scale, -1, 1), dtype=torch.float32),
        }
        training = FieldTraining() if self.training is None else self.training
        self.history_ = training.run(
            module, tensors, {"rotation", "lattice"} - self.field_symmetries,
            device=device, random_state=rng, progress=progress,
        )  # fmt: skip
        self.weights_ = {k: v.cpu().numpy().copy() for k, v in module.state_dict().items()}
        self.scale_ = scale
        self.device_ = str(device)
        return self

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
        import torch

        device = self._prediction_device()
        n = max(1, _SITES_PER_PASS // (array.shape[1] * array.shape[2]))
        out = np.empty(array.shape)
        with torch.no_grad():
            for start in range(0, len(array), n):
                part = torch.as_tensor(array[start : start + n], device=device)
                out[start : start + n] = self.field_tensor(part).cpu().numpy()
        return out

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
        return fields - (fields * spins).sum(-1, keepdim=True) * spins

    def learned_energy(self, array):
        """Learned energy of which the field is the gradient, shape (n_samples,).

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

    def _module(self, device):
        """The module with the fitted weights, built once per device and never pickled."""
        import torch

        if not hasattr(self, "weights_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")
        dtype = torch.float64 if self.precision == "double" else torch.float32
        key = (str(device), dtype, id(self.weights_))
        cache = self.__dict__.setdefault("_modules", {})
        if key not in cache:
            module = self._build()
            module.load_state_dict({k: torch.as_tensor(v) for k, v in self.weights_.items()})
            cache.clear()
            cache[key] = module.to(device=device, dtype=dtype).eval().requires_grad_(False)
        return cache[key], dtype

    def _prediction_device(self):
        try:
            return resolve_device(self.device_)
        except (AttributeError, ValueError):  # not fitted, or fitted on a device not here
            return resolve_device("cpu")

    def _check_parameters(self):
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision={self.precision!r}: expected 'single' or 'double'")
        if self.training is not None and not isinstance(self.training, FieldTraining):
            raise TypeError(f"training={self.training!r}: expected a FieldTraining or None")

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_modules"}
