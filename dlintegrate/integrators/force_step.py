"""The step of a force corrector: two effective kicks around the drift."""

from .base import Integrator


class ForceStep(Integrator):
    """``p½ = p + dt/2 f1``, ``q' = q + dt p½``, ``p' = p½ + dt/2 f2`` (Park 2022, Eqs 5.1-5.3).

    Parameters
    ----------
    base : Integrator
        The large step; gives the system and dt.
    corrector : ForceCorrector
        Fitted; gives the forces.
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
    def batch_tolerance(self):
        """See :class:`Corrector`."""
        return self.corrector.batch_tolerance

    @property
    def guarantees(self):
        """What the corrector declares for this base."""
        return self.corrector.guarantees(self.base)

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
