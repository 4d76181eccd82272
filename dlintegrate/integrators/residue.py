"""The step of a residue corrector: base step, plus residue, back onto the sphere."""

import numpy as np

from .bound import BoundStep


class ResidueStep(BoundStep):
    """``S' = normalize(base(S) + residue(S, base(S)))`` (Park 2022, Eq. 4.5).

    Parameters
    ----------
    base : Integrator
        The large step.
    corrector : ResidueCorrector
        Fitted.
    """

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
