"""The step of a force corrector: two effective kicks around the drift."""

from .bound import BoundStep


class ForceStep(BoundStep):
    """``p½ = p + dt/2 f1``, ``q' = q + dt p½``, ``p' = p½ + dt/2 f2`` (Park 2022, Eqs 5.1-5.3).

    Parameters
    ----------
    base : Integrator
        The large step; gives the system and dt.
    corrector : ForceCorrector
        Fitted; gives the forces.
    """

    def advance(self, array, n_steps):
        """Corrected steps; see :meth:`Integrator.advance`."""
        array = array.copy()
        for _ in range(n_steps):
            array = self.corrector.step(self.system, array, self.checked_dt())
        return array

    def advance_tensor(self, tensor, n_steps=1):
        """Torch twin, on packed states; see :meth:`Integrator.advance_tensor`."""
        for _ in range(n_steps):
            tensor = self.corrector.step_tensor(self.system, tensor, self.checked_dt())
        return tensor
