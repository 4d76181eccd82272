"""What correctors with a torch module have in common once they are fitted."""

import numpy as np
from sklearn.exceptions import NotFittedError

from .._checks import check_count
from .._device import resolve_device
from ..persistence import VersionedState
from .field_training import FieldTraining

#: Sites per forward pass, bounds the memory of a prediction.
SITES_PER_PASS = 2**15


def with_weights(build, weights, owner):
    """A new module with fitted weights.

    Parameters
    ----------
    build : callable
        Makes the module.
    weights : dict of str to ndarray
    owner : estimator
        Whose weights they are.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    ValueError
        If the weights do not fit into it.
    """
    import torch

    with torch.random.fork_rng(devices=[]):  # initial weights, to be overwritten
        module = build()
    try:
        module.load_state_dict({k: torch.as_tensor(v) for k, v in weights.items()})
    except RuntimeError:
        raise ValueError(f"{owner!r} was fitted with other parameters; fit it again") from None
    return module


class ModuleWeights(VersionedState):
    """``weights_`` as arrays, and the module made from them where it is needed."""

    def _keep(self, module, device):
        """Store the weights of a trained module."""
        self.weights_ = {k: v.cpu().numpy().copy() for k, v in module.state_dict().items()}
        self.device_ = str(device)
        self._modules = {}

    def _check_fitted(self):
        if not hasattr(self, "weights_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")

    def _with_weights(self, build, device, dtype, *more):
        """A module with the fitted weights, built once and never pickled.

        Parameters
        ----------
        build : callable
            Makes the module.
        device : str or torch.device
        dtype : torch.dtype
        *more : hashable
            What else makes it another module, beside the parameters.
        """
        from .training import description

        self._check_fitted()
        key = (str(device), dtype, id(self.weights_), description(self), *more)
        cache = self.__dict__.setdefault("_modules", {})
        if key not in cache:
            module = with_weights(build, self.weights_, self)
            cache.clear()
            cache[key] = module.to(device=device, dtype=dtype).eval().requires_grad_(False)
        return cache[key]

    def _prediction_device(self):
        try:
            return resolve_device(self.device_)
        except (AttributeError, ValueError):  # not fitted, or fitted on a device not here
            return resolve_device("cpu")

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_modules"}


class FittedModule(ModuleWeights):
    """A module that is trained by a :class:`FieldTraining`.

    Subclasses have ``precision``, ``training`` and ``_build``.
    """

    local = True
    #: Attributes with the units of what the module takes and gives.
    _units = ("scale_",)

    @property
    def batch_tolerance(self):
        """Sums are split by batch; in double precision it hardly shows."""
        return 1e-12 if self.precision == "double" else 1e-6

    def check(self, base):
        """Parameters, and the lattice; see :meth:`Corrector.check`."""
        self._check_parameters()
        self._training().initial_units(self._units)
        if getattr(base.system, "lattice", None) != "triangular":
            raise TypeError(
                f"{type(self).__name__} needs spins on a triangular lattice, as those of "
                f"TriangularSDModel; got {base.system!r}"
            )

    def _check_parameters(self):
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision={self.precision!r}: expected 'single' or 'double'")
        if self.training is None:
            return
        if not isinstance(self.training, FieldTraining):
            raise TypeError(f"training={self.training!r}: expected a FieldTraining or None")
        self.training.check()

    def _check_counts(self, **least):
        """Raise ValueError for parameters that are not ints, or below these."""
        for name, bound in least.items():
            check_count(name, getattr(self, name), bound)

    def _learn(self, tensors, missing, device, random_state, progress):
        """Build a module, train it, and keep its weights."""
        import torch

        from .training import description, generator_of

        device = resolve_device(device)
        rng = generator_of(random_state)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            module = self._build()
        self.history_ = self._training().run(
            module, tensors, missing, device=device, random_state=rng, progress=progress,
            corrector=description(self),
        )  # fmt: skip
        self._keep(module, device)

    def _training(self):
        return FieldTraining() if self.training is None else self.training

    def _measured(self, *units):
        """Numbers of ``_units``: of the weights that training begins with, or else these."""
        return self._training().initial_units(self._units) or units

    def state_dict(self):
        """Weights and their units, for ``FieldTraining(initial_weights=...)``.

        Returns
        -------
        dict of str to ndarray

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        self._check_fitted()
        return {**self.weights_, **{name: np.float64(getattr(self, name)) for name in self._units}}

    def _predict(self, function, *arrays):
        """Apply a function of tensors to arrays of states, as many at a time as fit."""
        import torch

        device = self._prediction_device()
        n = max(1, SITES_PER_PASS // arrays[0][0, ..., 0].size) if len(arrays[0]) else 1
        out = np.empty(arrays[0].shape)
        with torch.no_grad():
            for start in range(0, len(out), n):
                part = slice(start, start + n)
                tensors = [torch.as_tensor(array[part], device=device) for array in arrays]
                out[part] = function(*tensors).cpu().numpy()
        return out

    def _module(self, device):
        """The module for this precision, and its type of numbers."""
        import torch

        dtype = torch.float64 if self.precision == "double" else torch.float32
        return self._with_weights(self._build, device, dtype), dtype
