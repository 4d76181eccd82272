"""MultipleTimeStep: a cheap field at every small step, the exact one at few moments of a large."""

from copy import deepcopy

import numpy as np
from numpy.polynomial import legendre
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from .._checks import check_count
from ..states import perpendicular
from .corrected import CorrectedIntegrator
from .llg import LandauLifshitzGilbert, runge_kutta, velocity


class MultipleTimeStep(LandauLifshitzGilbert):
    """Landau-Lifshitz-Gilbert steps with a cheap field, corrected by few exact ones.

    Each step follows ``h = h_fast + d(t)`` through ``n_inner`` inner steps. The correction
    ``d`` is the polynomial in time through ``h_exact - h_fast``, taken perpendicular to the spins
    at ``n_exact`` moments: the beginning, where the state is known, and the further nodes of
    Radau's quadrature, where it is predicted with the corrections known by then. With the outer
    step this converges to the exact dynamics at second order or better, however wrong the
    cheap field; how good that is only decides how large the step may be. Nothing is
    remembered from one step to the next. Splitting a force into a fast cheap and a slow expensive
    part is of Tuckerman, Berne and Martyna (1992); a correction in the place of the slow part is
    this library's.

    Parameters
    ----------
    base : LandauLifshitzGilbert
        Such as ``SemiImplicitB(model, dt, damping)``: gives the exact system, the outer step
        and the damping. Its own way of stepping is not used. No thermal noise.
    fast : SpinSystem or CorrectedIntegrator
        The cheap field: a system with ``field_of``, or an integrator fitted with a learned
        field. Only its part perpendicular to the spins counts.
    n_inner : int, default 8
        Inner steps per outer one (fourth-order Runge-Kutta, four cheap fields each). They
        should be as small as the cheap field alone would need. Each moment of an exact field is
        predicted from the beginning of the outer step, so the cheap fields of a step are more
        than twice those of the inner steps.
    n_exact : int, default 3
        Exact fields per outer step, at least 2. A longer step with more of them is more
        accurate than a shorter one with fewer, as long as ``n_exact / dt`` is the same.

    Attributes
    ----------
    exact_calls_per_step : int
        Exact fields per outer step: what a step costs.

    Raises
    ------
    ValueError
        On use, if the base has a temperature, or a count is not valid.

    Notes
    -----
    What the cheap field does not know, of relative size ε, enters twice. Interpolation in
    time costs ``ε dt^(2 n_exact - 1)`` at most and is soon negligible; what limits is that the
    spins at the nodes are predicted with an incomplete correction: ``ε² dt²``, with a factor
    that falls fast with ``n_exact``. A single exact field per step, at a midpoint predicted by
    the cheap one alone, leaves ``ε² dt``: first order, and soon worse than two fields per step of
    twice the length. Turning ``d`` along with the spins instead of holding it fixed changed
    nothing, nor did weights of the predictions that would raise the order to three. The field
    along the spins must be left out of ``d``: a learned one has none, the exact one is mostly
    that. ``benchmarks/bench_multiple_time_step.py`` compares with classical methods.

    Examples
    --------
    >>> from dlintegrate import HeisenbergLattice, MultipleTimeStep, SemiImplicitB
    >>> exact, cheap = HeisenbergLattice((8, 8), J=1.0), HeisenbergLattice((8, 8), J=0.9)
    >>> stepper = MultipleTimeStep(SemiImplicitB(exact, dt=0.5, damping=0.1), cheap)
    >>> spins = exact.random_states(1, random_state=0)
    >>> stepper.step(spins, 4).shape, stepper.exact_calls_per_step
    ((1, 8, 8, 3), 3)
    """

    def __init__(self, base, fast, n_inner=8, n_exact=3):
        self.base = base
        self.fast = fast
        self.n_inner = n_inner
        self.n_exact = n_exact

    def __sklearn_clone__(self):
        # a fitted fast field is a parameter here: without its fit it is worth nothing
        return type(self)(clone(self.base), deepcopy(self.fast), self.n_inner, self.n_exact)

    @property
    def system(self):
        """The exact system."""
        return self.base.system

    @property
    def dt(self):
        """The outer step."""
        return self.base.dt

    @property
    def damping(self):
        """The damping of the base."""
        return self.base.damping

    @property
    def temperature(self):
        """The temperature of the base, which must be 0."""
        return self.base.temperature

    @property
    def exact_calls_per_step(self):
        """Exact fields per outer step."""
        return self._count("n_exact", 2)

    @property
    def batch_tolerance(self):
        """That of the learned field."""
        return getattr(self.fast, "batch_tolerance", 0.0)

    @property
    def any_size(self):
        """Whether the learned field is local."""
        return getattr(self.fast, "any_size", True)

    @property
    def guarantees(self):
        """Norm, and the symmetries that both fields have."""
        shared = {f"{name}_equivariant" for name in self.cheap_system.symmetries}
        return super().guarantees & (shared | {"norm"})

    @property
    def cheap_system(self):
        """The system of the cheap field."""
        field = self.fast
        if isinstance(field, CorrectedIntegrator):
            check_is_fitted(field, "step_")
            learned = self.fast.corrector_.target == "field"
            field = self.fast.simulated if learned else None
        if not hasattr(field, "field_of"):
            raise TypeError(
                f"fast={self.fast!r}: expected a system of spins, or a CorrectedIntegrator fitted "
                "with a corrector that learns the field"
            )
        return field

    def _count(self, name, least):
        return check_count(name, getattr(self, name), least)

    def _checked(self):
        if not isinstance(self.base, LandauLifshitzGilbert):
            raise TypeError(
                f"base={self.base!r}: expected a Landau-Lifshitz-Gilbert step such as SemiImplicitB"
            )
        damping, temperature = super()._checked()
        if temperature > 0:
            raise ValueError(
                f"base.temperature={temperature!r}: MultipleTimeStep has no thermal noise; set it "
                "to 0, or use the base itself"
            )
        return damping, temperature

    def with_dt(self, dt):
        """Return this integrator with another outer step."""
        return type(self)(self.base.with_dt(dt), deepcopy(self.fast), self.n_inner, self.n_exact)

    def validate(self, states, name="samples"):
        """As the base, and the cheap field must suit the lattice."""
        system, array = super().validate(states, name)
        self.cheap_system.matching(array)
        return system, array

    def advance(self, array, n_steps):
        """Predict the nodes one after the other, then step; see :meth:`Integrator.advance`."""
        (damping, _), dt, n_inner = self._checked(), self.checked_dt(), self._count("n_inner", 1)
        nodes = dt * _radau_nodes(self.exact_calls_per_step)
        exact, cheap = self.system.matching(array), self.cheap_system.matching(array)
        array = np.array(array)
        for _ in range(n_steps):
            corrections = []

            def slope(spins, time, known=corrections):
                field = cheap.field_of(spins) + _interpolate(nodes, known, time)
                return velocity(spins, field, damping)

            for node in nodes:
                n = int(np.ceil(n_inner * node / dt - 1e-9))
                spins = runge_kutta(slope, array, node, n)
                missing = exact.field_of(spins) - cheap.field_of(spins)
                corrections.append(perpendicular(missing, spins))
            array = runge_kutta(slope, array, dt, n_inner)
        return array


def _interpolate(nodes, values, time):
    """The polynomial through the values at the first nodes; 0 without values."""
    result, nodes = 0.0, nodes[: len(values)]
    for k, value in enumerate(values):
        others = np.delete(nodes, k)
        result = result + np.prod((time - others) / (nodes[k] - others)) * value
    return result


def _radau_nodes(n):
    """Nodes on [0, 1] of Radau's quadrature with the left end: zeros of P_n-1(x) + P_n(x)."""
    roots = legendre.legroots([0.0] * (n - 1) + [1.0, 1.0])
    return np.concatenate([[0.0], 0.5 * (1 + np.sort(roots.real)[1:])])
