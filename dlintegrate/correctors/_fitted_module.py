"""What correctors with a torch module have in common once they are fitted."""

from sklearn.exceptions import NotFittedError

from .._device import resolve_device
from ..persistence import VersionedState


class FittedModule(VersionedState):
    """Weights as arrays, and the module made from them where it is needed.

    Subclasses have ``precision`` and ``_build``, and set ``weights_`` and ``device_`` by
    :meth:`_keep`.
    """

    def _keep(self, module, device):
        """Store the weights of a trained module."""
        self.weights_ = {k: v.cpu().numpy().copy() for k, v in module.state_dict().items()}
        self.device_ = str(device)
        self._modules = {}

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

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_modules"}
