"""What the steps that a corrector binds have in common."""

from .base import Integrator


class BoundStep(Integrator):
    """A base step and a fitted corrector, joined.

    Parameters
    ----------
    base : Integrator
        The large step; gives the system and dt.
    corrector : Corrector
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
    def simulated(self):
        """What the base step simulates."""
        return self.base.simulated

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
