"""A learned residue of steps in the exact field: symmetry, learning, interface."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    CorrectedIntegrator,
    DampedMidpoint,
    EquivariantResidue,
    EquivariantTorque,
    ExactDiagonalization,
    FieldTraining,
    HeisenbergLattice,
    RungeKutta4,
    SemiImplicitB,
    TriangularSDModel,
    load,
    save,
)
from dlintegrate.correctors.equivariant_residue import _tangent
from dlintegrate.correctors.field_training import point_group
from dlintegrate.metrics import one_step_error
from dlintegrate.testing import check_integrator

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SMALL = {"n_vectors": 4, "n_scalars": 4, "n_directed": 2, "depth": 1, "reach": 1, "first_reach": 2}
ONCE = FieldTraining(epochs=1)
EXACT = TriangularSDModel((6, 6), field=(0, 0, 0), solver=ExactDiagonalization())


def spins_of(*shape, seed):
    spins = np.random.default_rng(seed).normal(size=(*shape, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


@pytest.fixture(scope="module", params=["double", "single"])
def step(request):
    """Some weights, on the cheapest exact field."""
    network = EquivariantResidue(**SMALL, training=ONCE, precision=request.param)
    base = SemiImplicitB(EXACT, 4.0, damping=0.1, drop_longitudinal=True)
    reference = RungeKutta4(EXACT, 4.0, damping=0.1)
    step = CorrectedIntegrator(base, network, reference=reference, random_state=0)
    return step.fit(EXACT.random_states(4, 0))


@pytest.fixture
def residue(step):
    """The residue as a function of the spins before and after, in double precision."""
    corrector = load_again(step.corrector_).set_params(precision="double")

    def function(before, after):
        system = TriangularSDModel(before.shape[1:3])
        return corrector.residue(system, before, after) / corrector.scale_

    return function


def load_again(corrector):
    copy = clone(corrector)
    copy.__dict__.update({k: v for k, v in vars(corrector).items() if k.endswith("_")})
    return copy


class TestSymmetry:
    before, after = (spins_of(2, 8, 8, seed=seed) for seed in (1, 2))

    def test_turns_with_the_spins(self, residue, rng):
        plain = residue(self.before, self.after)
        assert np.abs(plain).max() > 0.1
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        turn *= np.sign(np.linalg.det(turn))
        turned = residue(self.before @ turn.T, self.after @ turn.T)
        np.testing.assert_allclose(turned, plain @ turn.T, atol=1e-12)

    def test_is_not_bound_to_reflections(self, residue):
        # reversing all spins reverses time: precession turns the other way
        plain, reversed_ = (residue(s * self.before, s * self.after) for s in (1, -1))
        assert np.abs(reversed_ + plain).max() > 0.1
        assert np.abs(reversed_ - plain).max() > 0.1

    def test_has_the_symmetry_of_the_lattice(self, residue):
        def moved(array, places):
            return array.reshape(2, 64, 3)[:, places].reshape(2, 8, 8, 3)

        plain = residue(self.before, self.after)
        for places in point_group((8, 8)).numpy():
            result = residue(moved(self.before, places), moved(self.after, places))
            np.testing.assert_allclose(result, moved(plain, places), atol=1e-12)
        rolled = residue(*(np.roll(a, (3, 1), (1, 2)) for a in (self.before, self.after)))
        np.testing.assert_allclose(rolled, np.roll(plain, (3, 1), (1, 2)), atol=1e-12)

    def test_is_perpendicular_to_the_spins_after_the_step(self, residue):
        along = (residue(self.before, self.after) * self.after).sum(-1)
        np.testing.assert_allclose(along, 0, atol=1e-13)

    def test_is_the_same_on_a_larger_lattice(self, residue):
        tiled = [np.tile(a, (1, 2, 3, 1)) for a in (self.before, self.after)]
        expected = np.tile(residue(self.before, self.after), (1, 2, 3, 1))
        np.testing.assert_allclose(residue(*tiled), expected, atol=1e-12)

    def test_depends_on_both_states(self, residue):
        other = spins_of(2, 8, 8, seed=3)
        plain = residue(self.before, self.after)
        assert np.abs(residue(other, self.after) - plain).max() > 0.1
        assert np.abs(residue(self.before, other) - plain).max() > 0.1


class TestStep:
    def test_keeps_what_it_declares(self, step):
        symmetric = {"norm", "rotation_equivariant", "translation_equivariant"}
        exact = step.corrector_.precision == "double"
        assert step.guarantees == (symmetric if exact else {"norm"})
        check_integrator(step, max_examples=3)

    def test_promises_no_symmetry_that_the_base_lacks(self, step):
        base = SemiImplicitB(TriangularSDModel((6, 6)), 4.0, damping=0.1)  # in a field
        assert "rotation_equivariant" not in step.corrector_.guarantees(base)

    def test_round_trips(self, step, tmp_path):
        spins = EXACT.random_states(2, 4)
        save(step, tmp_path / "step.safetensors")
        again = load(tmp_path / "step.safetensors")
        np.testing.assert_array_equal(again.step(spins, 2), step.step(spins, 2))

    def test_the_torch_twin_is_differentiable(self, step):
        before, after = (torch.as_tensor(spins_of(1, 6, 6, seed=s)) for s in (5, 6))
        after.requires_grad_(True)
        residue = step.corrector_.residue_tensor(EXACT, before, after)
        expected = step.corrector_.residue(EXACT, before.numpy(), after.detach().numpy())
        np.testing.assert_array_equal(residue.detach().numpy(), expected)
        residue.square().sum().backward()
        assert after.grad.abs().max() > 0


def test_a_label_is_the_residue_that_leads_to_it():
    after = spins_of(50, seed=7)
    labels = after + 0.5 * spins_of(50, seed=8)
    labels /= np.linalg.norm(labels, axis=-1, keepdims=True)
    residue = _tangent(after, labels)
    np.testing.assert_allclose((residue * after).sum(-1), 0, atol=1e-14)
    total = after + residue
    total /= np.linalg.norm(total, axis=-1, keepdims=True)
    np.testing.assert_allclose(total, labels, atol=1e-14)
    assert np.linalg.norm(_tangent(after, -after[::-1]), axis=-1).max() <= 2.0


def test_training_goes_on_in_the_units_of_the_first_one(step):
    """Steps with larger changes and errors make no difference before the first epoch."""
    before, after = (spins_of(2, 6, 6, seed=seed) for seed in (1, 2))
    training = FieldTraining(
        epochs=1, learning_rate=1e-12, initial_weights=step.corrector_.state_dict()
    )
    again = clone(step.corrector_).set_params(training=training)
    base = SemiImplicitB(EXACT, 9.0, damping=0.1, drop_longitudinal=True)
    again.fit(base, before, spins_of(2, 6, 6, seed=3))
    np.testing.assert_allclose(
        again.residue(EXACT, before, after), step.corrector_.residue(EXACT, before, after),
        rtol=1e-5, atol=1e-7,
    )  # fmt: skip


def test_an_unfitted_base_learns_from_labels_of_its_own_kind():
    """The states one step later are no fields."""
    base = CorrectedIntegrator(
        SemiImplicitB(EXACT, 4.0, damping=0.1, drop_longitudinal=True),
        EquivariantTorque(n_vectors=2, n_scalars=2, n_directed=0, depth=0, training=ONCE),
        random_state=0,
    )
    spins = EXACT.random_states(2, 0)
    after = RungeKutta4(EXACT, 4.0, damping=0.1).step(spins)
    step = CorrectedIntegrator(base, EquivariantResidue(**SMALL, training=ONCE), random_state=0)
    step.fit(spins, after)
    assert step.base_.corrector_.scale_ == clone(base).fit(spins).corrector_.scale_


class TestLearning:
    """What a minute teaches about steps of a long duration, on states never seen."""

    def fitted(self, base, samples, epochs):
        training = FieldTraining(epochs=epochs, batch_size=8, learning_rate=0.01)
        network = EquivariantResidue(depth=1, first_reach=3, training=training)
        reference = RungeKutta4(base.system, base.dt / 2, base.damping)
        step = CorrectedIntegrator(base, network, reference=reference, random_state=0)
        return step.fit(samples)

    @pytest.mark.slow
    def test_spin_waves_are_corrected_tenfold_and_stay_so(self):
        base = SemiImplicitB(EXACT, 4.0, damping=0.1, drop_longitudinal=True)
        samples, unseen = (EXACT.random_states(n, n, order=3.0) for n in (64, 8))
        step = self.fitted(base, samples, epochs=60)
        assert one_step_error(step, unseen) < 0.1 * one_step_error(base, unseen)
        # over many steps too, and against the best classical method with as many exact fields
        exact = RungeKutta4(EXACT, 1.0, damping=0.1).step(unseen, 32)
        classical = RungeKutta4(EXACT, 8.0, damping=0.1).step(unseen, 4)
        learned = step.step(unseen, 8)
        assert np.linalg.norm(learned - exact) < 0.2 * np.linalg.norm(classical - exact)

    @pytest.mark.slow
    def test_the_field_along_random_spins_is_corrected_too(self):
        base = SemiImplicitB(EXACT, 4.0, damping=0.1)
        samples, unseen = EXACT.random_states(256, 1), EXACT.random_states(16, 2)
        step = self.fitted(base, samples, epochs=40)
        ratio = one_step_error(base, unseen) / one_step_error(step, unseen)
        assert ratio > 3.5  # a single factor gives 3.1


class TestBadInput:
    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"depth": -1}, ValueError, "depth=-1: expected an int of at least 0"),
            ({"n_vectors": 2.0}, ValueError, "n_vectors=2.0: expected an int"),
            ({"precision": "half"}, ValueError, "precision='half'"),
            ({"training": "fast"}, TypeError, "training='fast': expected a FieldTraining"),
        ],
    )
    def test_parameters(self, parameters, error, message):
        network = EquivariantResidue(**{**SMALL, "training": ONCE, **parameters})
        spins = EXACT.random_states(1, 0)
        with pytest.raises(error, match=message):
            network.fit(RungeKutta4(EXACT, 0.5), spins, spins)

    def test_lattice(self):
        lattice = HeisenbergLattice((6, 6))
        spins = lattice.random_states(1, 0)
        with pytest.raises(TypeError, match="needs spins on a triangular lattice"):
            EquivariantResidue(**SMALL).fit(SemiImplicitB(lattice, 0.1), spins, spins)

    def test_base_without_an_error(self):
        base = RungeKutta4(EXACT, 0.5)
        spins = EXACT.random_states(2, 0)
        with pytest.raises(ValueError, match="makes no error on these samples"):
            EquivariantResidue(**SMALL).fit(base, spins, base.step(spins))

    def test_base_that_fails(self):
        spins = EXACT.random_states(1, 0)
        base = DampedMidpoint(EXACT, 4.0, max_iterations=1)
        with pytest.raises(ValueError, match=r"failed on some samples; give it a smaller dt"):
            EquivariantResidue(**SMALL).fit(base, spins, spins)

    def test_unfitted(self):
        spins = EXACT.random_states(1, 0)
        with pytest.raises(NotFittedError, match="this EquivariantResidue is not fitted"):
            EquivariantResidue().residue(EXACT, spins, spins)
