"""MultipleTimeStep: exact whatever the cheap field, and cheaper than without one."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    CorrectedIntegrator,
    Corrector,
    DampedMidpoint,
    ElementaryDifferentialResidue,
    ExactDiagonalization,
    FieldCorrector,
    HeisenbergLattice,
    LennardJones2D,
    RungeKutta4,
    SemiImplicitB,
    SuzukiTrotter2,
    TriangularSDModel,
    load,
    save,
)
from dlintegrate.integrators import MultipleTimeStep
from dlintegrate.integrators.bound import BoundStep
from dlintegrate.integrators.multiple_time_step import _radau_nodes
from dlintegrate.testing import check_integrator

EXACT = HeisenbergLattice((4, 4))
SPINS = EXACT.random_states(3, 0, order=1.0)


class Counting(HeisenbergLattice):
    calls = 0

    def field_of(self, array):
        type(self).calls += 1
        return super().field_of(array)


def stepper(cheap, dt, damping=0.1, exact=EXACT, **options):
    return MultipleTimeStep(SemiImplicitB(exact, dt, damping), cheap, **options)


def rms(a, b):
    return np.sqrt(np.square(a - b).sum(-1).mean())


@pytest.fixture(scope="module")
def converged():
    """States at t = 1, extrapolated from two steps of another integrator."""
    result = {}
    for damping in (0.0, 0.1):
        coarse, fine = (DampedMidpoint(EXACT, 1 / n, damping).step(SPINS, n) for n in (250, 500))
        result[damping] = fine + (fine - coarse) / 3
    return result


@pytest.mark.parametrize(
    "integrator",
    [
        stepper(HeisenbergLattice((4, 4), J=0.9), 0.3),
        stepper(HeisenbergLattice((4, 4), J=0.9), 0.3, damping=0.0, n_exact=2, n_inner=3),
        stepper(HeisenbergLattice((4, 4), field=(0, 0, 0.5)), 0.3),
    ],
    ids=["damped", "two exact fields", "a cheap field without the symmetry"],
)
def test_keeps_what_it_declares(integrator):
    check_integrator(integrator, max_examples=4)


def test_declares_only_what_both_fields_have():
    assert "rotation_equivariant" in stepper(HeisenbergLattice((4, 4), J=0.9), 0.3).guarantees
    cheap = HeisenbergLattice((4, 4), field=(0, 0, 0.5))
    assert stepper(cheap, 0.3).guarantees == {"norm", "translation_equivariant"}


@pytest.mark.parametrize("J", [0.9, 0.0, -1.0], ids=["good", "none", "of the wrong sign"])
@pytest.mark.parametrize("n_exact", [2, 3])
@pytest.mark.parametrize("damping", [0.0, 0.1])
def test_converges_to_the_exact_dynamics_whatever_the_cheap_field(converged, J, n_exact, damping):
    cheap = HeisenbergLattice((4, 4), J=J)
    errors = [
        rms(stepper(cheap, 1 / n, damping, n_exact=n_exact).step(SPINS, n), converged[damping])
        for n in (10, 20)
    ]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2, abs=0.2)
    assert errors[1] < 0.01 * (1 - J) ** 2  # what the cheap field lacks enters squared


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_moments_are_those_of_a_quadrature_exact_to_degree_2n_minus_2(n):
    nodes = _radau_nodes(n)
    powers = np.vander(nodes, 2 * n - 1, increasing=True).T
    integrals = 1 / np.arange(1, 2 * n)
    weights = np.linalg.solve(powers[:n], integrals[:n])
    np.testing.assert_allclose(powers @ weights, integrals, atol=1e-12)
    assert nodes[0] == 0.0


@pytest.mark.parametrize("n_exact", [2, 4])
def test_costs_the_exact_fields_that_it_says(n_exact):
    exact = Counting((4, 4))
    step = stepper(HeisenbergLattice((4, 4), J=0.9), 0.2, exact=exact, n_exact=n_exact)
    Counting.calls = 0
    step.step(SPINS, 5)
    assert Counting.calls == 5 * step.exact_calls_per_step == 5 * n_exact


def test_needs_a_fifth_of_the_exact_fields_of_the_plain_step(converged):
    plain = SemiImplicitB(EXACT, 1 / 40, 0.1, drop_longitudinal=True).step(SPINS, 40)
    cheap = HeisenbergLattice((4, 4), J=0.95)
    corrected = stepper(cheap, 1 / 4, n_exact=4, n_inner=4).step(SPINS, 4)  # 16, not 80
    assert rms(corrected, converged[0.1]) < rms(plain, converged[0.1])


@pytest.mark.filterwarnings("ignore:.*period of 12 sites")
def test_itinerant_spins_follow_their_exact_field():
    exact, cheap = (
        TriangularSDModel((6, 6), J=J, solver=ExactDiagonalization()) for J in (1.0, 1.05)
    )
    spins = exact.random_states(2, 3)
    reference, alone = (
        stepper(system, 8.0, 0.05, exact=system, n_exact=2).step(spins) for system in (exact, cheap)
    )
    corrected = stepper(cheap, 8.0, 0.05, exact=exact).step(spins)
    assert rms(corrected, reference) < 0.02 * rms(alone, reference)


def test_has_no_memory(tmp_path):
    step = stepper(HeisenbergLattice((4, 4), J=0.9), 0.2)
    whole = step.simulate(SPINS, 2.0).spin
    path = tmp_path / "part.nc"
    step.simulate(SPINS, 0.8, path=path).close()
    with step.resume(path, 2.0) as resumed:
        np.testing.assert_array_equal(resumed.spin, whole)


def test_with_the_exact_field_as_the_cheap_one_it_is_its_inner_loop():
    step = MultipleTimeStep(RungeKutta4(EXACT, 0.4, damping=0.1), EXACT, n_inner=4)
    expected = RungeKutta4(EXACT, 0.1, damping=0.1).step(SPINS, 8)
    np.testing.assert_allclose(step.step(SPINS, 2), expected, atol=1e-12)


class Learned(HeisenbergLattice):
    """Its part along the spins means nothing."""

    def field_of(self, array):
        return super().field_of(array) + 5.0 * array

    @property
    def symmetries(self):
        return frozenset({"translation"})


class LearnedStep(BoundStep):
    @property
    def system(self):
        return Learned(self.base.system.shape, J=self.corrector.J_)

    @property
    def simulated(self):
        return self.system

    def advance(self, array, n_steps):
        return array


class FieldOfAFit(Corrector):
    local = True
    target = "field"
    given_labels = FieldCorrector.given_labels

    def fit(self, base, X, Y, **_):
        self.J_, self.history_ = 0.9, {"loss": [0.0]}
        return self

    def bind(self, base):
        return LearnedStep(base, self)

    def guarantees(self, base):
        return frozenset({"norm", "translation_equivariant"})


def test_takes_the_field_of_a_fitted_integrator_and_keeps_it():
    base = SemiImplicitB(EXACT, 0.2, 0.1)
    fast = CorrectedIntegrator(base, FieldOfAFit())
    with pytest.raises(NotFittedError):
        MultipleTimeStep(base, fast).step(SPINS)
    step = MultipleTimeStep(base, fast.fit(SPINS, SPINS))
    expected = MultipleTimeStep(base, HeisenbergLattice((4, 4), J=0.9))
    np.testing.assert_allclose(step.step(SPINS, 2), expected.step(SPINS, 2), atol=1e-13)
    assert step.guarantees == {"norm", "translation_equivariant"}
    np.testing.assert_array_equal(clone(step).step(SPINS), step.step(SPINS))
    assert step.with_dt(0.1).dt == 0.1 and step.dt == 0.2


def test_is_saved_with_its_cheap_field(tmp_path):
    step = stepper(HeisenbergLattice((4, 4), J=0.9), 0.2, n_exact=2)
    save(step, tmp_path / "step")
    again = load(tmp_path / "step")
    np.testing.assert_array_equal(again.step(SPINS), step.step(SPINS))


class TestBadInput:
    @pytest.mark.parametrize(
        "options", [{"n_inner": 0}, {"n_inner": 2.0}, {"n_exact": 1}, {"n_exact": True}]
    )
    def test_counts(self, options):
        with pytest.raises(ValueError, match=f"{next(iter(options))}=.*int of at least"):
            stepper(EXACT, 0.1, **options).step(SPINS)

    def test_temperature(self):
        base = SemiImplicitB(EXACT, 0.1, 0.1, temperature=0.5)
        with pytest.raises(ValueError, match=r"base.temperature=0.5"):
            MultipleTimeStep(base, EXACT).step(SPINS)

    def test_base(self):
        with pytest.raises(TypeError, match=r"base=.*Landau-Lifshitz"):
            MultipleTimeStep(SuzukiTrotter2(EXACT, 0.1), EXACT).step(SPINS)

    def test_fast_without_a_field(self):
        base = SuzukiTrotter2(EXACT, 0.1)
        residue = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=3)).fit(SPINS)
        for fast in (residue, base, LennardJones2D(4, density=0.5)):
            with pytest.raises(TypeError, match=r"fast=(.|\n)*learns the field"):
                stepper(fast, 0.1).step(SPINS)

    def test_fast_for_another_lattice(self):
        with pytest.raises(ValueError, match="lattice axes"):
            stepper(HeisenbergLattice((4, 4, 4)), 0.1).step(SPINS)
