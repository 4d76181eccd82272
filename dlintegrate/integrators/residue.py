"""The step of a residue corrector: base step, plus residue, back onto the sphere."""

import numpy as np

from .base import Integrator


class ResidueStep(Integrator):
    """``S' = normalize(base(S) + residue(S, base(S)))`` (Park 2022, Eq. 4.5).

    Parameters
    ----------
    base : Integrator
        The large step.
    corrector : ResidueCorrector
        Fitted.
    """

    def __init__(self, base, corrector):
        self.base = base
        self.corrector = corrector

    @property
    def system(self):
        """The system of the base step."""
        return self.base.system

    @property
    def dt(self):
        """The time step of the base step."""
        return self.base.dt

    @property
    def any_size(self):
        """Whether the corrector is local."""
        return self.base.any_size and self.corrector.local

    @property
    def batch_tolerance(self):
        """See :class:`Corrector`."""
        return self.corrector.batch_tolerance

    @property
    def guarantees(self):
        """What the corrector declares for this base."""
        return self.corrector.guarantees(self.base)

    def validate(self, states, name="samples"):
        """As the base step validates."""
        return self.base.validate(states, name)

    def advance(self, array, n_steps):
        """Base step and residue in turn; see :meth:`Integrator.advance`."""
        system = self.system.matching(array)
        state = np.array(array, dtype=np.float64, order="C")
        for _ in range(n_steps):
            after = self.base.advance(state, 1)
            state = self.corrector.correct(system, state, after)
        return state

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin, for correctors that have ``residue_tensor``."""
        import torch

        if not hasattr(self.corrector, "residue_tensor"):
            return super().advance_tensor(tensor, n_steps)
        system = self.system.matching(tensor)
        for _ in range(n_steps):
            after = self.base.advance_tensor(tensor, 1)
            total = after + self.corrector.residue_tensor(system, tensor, after)
            tensor = torch.nn.functional.normalize(total, dim=-1)
        return tensor
