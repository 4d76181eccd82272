"""What all learned effective forces have in common."""

from abc import abstractmethod

import numpy as np

from .._device import resolve_device
from ._fitted_module import ModuleWeights
from .base import Corrector
from .roll_out import RollOut

#: Pairs of particles (all of them, within a sample) in one pass of a network.
_PAIRS_PER_PASS = 200_000
#: A network takes all pairs of a sample at once; beyond this many particles they fill the memory.
_MOST_PARTICLES = 2000


class ForceCorrector(ModuleWeights, Corrector):
    """Effective forces inside the base step (Park 2022, Eqs 5.1-5.3).

    Two kicks with learned forces replace those of velocity Verlet. A subclass builds the
    torch module that makes the step and declares what its forces respect.

    Subclasses have the parameters ``training`` (a :class:`RollOut`, or None for its
    defaults) and ``precision``.
    """

    local = True

    @property
    def horizon(self):
        """Largest number of steps of the roll-out."""
        return self._training().stages()[-1][0]

    @property
    def batch_tolerance(self):
        """Sums over pairs are split by batch; in double precision it hardly shows."""
        return 1e-12 if self.precision == "double" else 1e-6

    def _training(self):
        return RollOut() if self.training is None else self.training

    @abstractmethod
    def _build(self, law, dt):
        """Return the module, with ``step(q, p, side) -> (q, p)``."""

    def _check_parameters(self):
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision={self.precision!r}: expected 'single' or 'double'")
        if self.training is not None and not isinstance(self.training, RollOut):
            raise TypeError(f"training={self.training!r}: expected a RollOut or None")
        self._training().check()

    def check(self, base):
        """Parameters, and that the system has particles; see :meth:`Corrector.check`.

        Raises
        ------
        ValueError, TypeError
            If not.
        """
        self._check_parameters()
        _law_of(base.system)

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Train by roll-out; see :meth:`Corrector.fit`.

        Raises
        ------
        ValueError
            For parameters out of range.
        TypeError
            If the system is not made of particles.
        """
        import torch

        from .training import generator_of

        self.check(base)
        law = _law_of(base.system)
        device = resolve_device(device)
        rng = generator_of(random_state)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(rng.integers(2**62)))
            module = self._build(law, base.checked_dt())
        Y = Y if Y.ndim > X.ndim else Y[:, None]
        self.history_ = self._train(module, X, Y, law, device, rng, progress)
        self._keep(module, device)
        self.dt_ = base.checked_dt()
        return self

    def _train(self, module, X, Y, law, device, rng, progress):
        from .training import description

        return self._training().run(
            module, X, Y, law, device=device, random_state=rng, progress=progress,
            corrector=description(self),
        )  # fmt: skip

    def bind(self, base):
        """Return the step with the learned forces."""
        from ..integrators.force_step import ForceStep

        return ForceStep(base, self)

    def step(self, system, array, dt):
        """One corrected step of packed states.

        Parameters
        ----------
        system : System
        array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
            Not modified.
        dt : float

        Returns
        -------
        ndarray, like ``array``

        Raises
        ------
        ValueError
            If a sample has more particles than the network can take at once.
        """
        import torch

        if array.shape[2] - 1 > _MOST_PARTICLES:
            raise ValueError(
                f"{array.shape[2] - 1} particles: {type(self).__name__} computes all pairs of a "
                f"sample at once, at most of {_MOST_PARTICLES} particles; use GraphForce with "
                "mechanical messages and a system with a cut-off"
            )
        device = self._prediction_device()
        n = max(1, _PAIRS_PER_PASS // array.shape[2] ** 2)
        out = np.empty(array.shape)
        with torch.no_grad():
            for start in range(0, len(array), n):
                part = torch.as_tensor(array[start : start + n], device=device)
                out[start : start + n] = self.step_tensor(system, part, dt).cpu().numpy()
        return out

    def step_tensor(self, system, tensor, dt):
        """As :meth:`step`, of a torch tensor: differentiable, on its device."""
        from .._kernels.pairs_torch import repack

        module = self._module(system, dt, tensor.device)
        q, p = module.step(tensor[:, 0, :-1], tensor[:, 1, :-1], tensor[:, 0, -1, 0])
        return repack(q, p, tensor)

    def _module(self, system, dt, device):
        """The module with the fitted weights, built once per device and never pickled."""
        import torch

        self._check_fitted()
        if dt != self.dt_:
            raise ValueError(f"fitted for dt={self.dt_}, used with dt={dt}; fit it again")
        law = _law_of(system)
        dtype = torch.float64 if self.precision == "double" else torch.float32
        return self._with_weights(lambda: self._build(law, dt), device, dtype, law)


def _law_of(system):
    if not hasattr(system, "law"):
        raise TypeError(
            f"effective forces need a system of particles, such as LennardJones2D; "
            f"got {type(system).__name__}"
        )
    return system.law
