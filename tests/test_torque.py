"""Learned fields: symmetry, locality, learning, and steps in them."""

import joblib
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
    MultipleTimeStep,
    SemiImplicitB,
    TorqueCNN,
    TriangularSDModel,
    load,
    save,
)
from dlintegrate.correctors.field_training import move_sites, point_group, turn_spins
from dlintegrate.testing import check_integrator

pytestmark = pytest.mark.filterwarnings("ignore:.*period of 12 sites")
SMALL = {"n_vectors": 6, "n_scalars": 6, "n_directed": 2, "first_reach": 2, "reach": 1}
ONCE = FieldTraining(epochs=1)


def fields_like(spins, seed=99):
    return np.random.default_rng(seed).normal(size=spins.shape)


def fitted(network, side=8, step=SemiImplicitB, **options):
    """Some weights: what a short fit to anything at all gives."""
    model = TriangularSDModel((side, side), field=options.pop("field", (0, 0, 0)))
    spins = model.random_states(2, 0)
    base = step(model, options.pop("dt", 0.3), **options)
    return CorrectedIntegrator(base, network, random_state=1).fit(spins, fields_like(spins))


@pytest.fixture(
    scope="module", params=[{}, {"energy": True}, {"directional": True}],
    ids=["direct", "from an energy", "directional"],
)  # fmt: skip
def equivariant(request):
    network = EquivariantTorque(
        **SMALL, **request.param, depth=2, training=ONCE, precision="double"
    )
    return fitted(network).simulated


class Priceless(TriangularSDModel):
    """Its exact field is never to be asked for."""

    def field_of(self, array, sites=None):
        raise AssertionError("an exact field was computed")


class TestEquivariantTorque:
    def test_turns_with_the_spins_and_changes_sign_with_them(self, equivariant, rng):
        spins = equivariant.random_states(2, 1)
        field = equivariant.field_of(spins)
        assert np.abs(field).max() > 1e-3
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        np.testing.assert_allclose(equivariant.field_of(spins @ turn.T), field @ turn.T, atol=1e-12)
        np.testing.assert_allclose(equivariant.field_of(-spins), -field, atol=1e-12)

    def test_has_the_symmetry_of_the_lattice(self, equivariant):
        spins = equivariant.random_states(1, 2)
        field = equivariant.field_of(spins)
        for places in point_group((8, 8)).numpy():

            def move(array, places=places):
                return array.reshape(1, 64, 3)[:, places].reshape(1, 8, 8, 3)

            np.testing.assert_allclose(equivariant.field_of(move(spins)), move(field), atol=1e-12)
        rolled = np.roll(spins, (3, 1), (1, 2))
        np.testing.assert_allclose(
            equivariant.field_of(rolled), np.roll(field, (3, 1), (1, 2)), atol=1e-12
        )

    def test_is_perpendicular_to_the_spins(self, equivariant):
        spins = equivariant.random_states(1, 3)
        np.testing.assert_allclose((equivariant.field_of(spins) * spins).sum(-1), 0, atol=1e-14)

    def test_is_the_same_on_a_larger_lattice(self, equivariant):
        spins = equivariant.random_states(1, 4)
        large = equivariant.resized((16, 24, 3)).field_of(np.tile(spins, (1, 2, 3, 1)))
        np.testing.assert_allclose(
            large, np.tile(equivariant.field_of(spins), (1, 2, 3, 1)), atol=1e-12
        )

    @pytest.mark.parametrize("directional", [False, True])
    def test_looks_no_further_than_its_kernels_reach(self, directional):
        network = EquivariantTorque(
            **SMALL, depth=2, training=ONCE, precision="double", directional=directional
        )
        learned = fitted(network).simulated.resized((16, 16, 3))
        spins = learned.random_states(1, 5)
        changed = spins.copy()
        changed[0, 8, 8] *= -1
        moved = np.abs(learned.field_of(changed) - learned.field_of(spins))[0].max(axis=-1)
        a, b = np.indices((16, 16)) - 8
        distance = np.maximum(np.maximum(abs(a), abs(b)), abs(a + b))
        reach = 2 + 2 * 1
        assert moved[distance > reach].max() == 0
        assert moved[distance == reach].max() > 1e-9

    def test_with_an_energy_is_its_gradient(self):
        network = EquivariantTorque(
            **SMALL, depth=1, energy=True, training=ONCE, precision="double"
        )
        learned = fitted(network, field=(0.1, 0.2, -0.3)).simulated
        spins = learned.random_states(1, 6)
        field, h = learned.field_of(spins), 1e-5
        for x, y in [(0, 0), (3, 7)]:
            s = spins[0, x, y]
            along = np.cross(s, [0.3, 0.5, -0.7])
            along /= np.linalg.norm(along)
            energies = []
            for sign in (1, -1):
                turned = spins.copy()
                turned[0, x, y] = np.cos(h) * s + sign * np.sin(h) * along
                energies.append(learned.energy(turned)[0])
            slope = -(energies[0] - energies[1]) / (2 * h)
            assert slope == pytest.approx(field[0, x, y] @ along, abs=1e-7)

    @pytest.mark.parametrize(
        "parameters, message",
        [
            ({"depth": -1}, "depth=-1: expected an int of at least 0"),
            ({"n_vectors": 0}, "n_vectors=0"),
            ({"precision": "half"}, "precision='half'"),
            ({"energy": 1}, "energy=1: expected True or False"),
            ({"training": FieldTraining(loss="mean")}, "loss='mean'"),
            ({"training": FieldTraining(floor=0.0)}, "floor=0.0: expected a positive"),
            ({"training": FieldTraining(balance=2)}, "balance=2: expected a number from 0 to 1"),
        ],
    )
    def test_refuses_parameters_that_make_no_sense(self, parameters, message):
        with pytest.raises(ValueError, match=message):
            fitted(EquivariantTorque(**{**SMALL, "training": ONCE, **parameters}))


class TestLearning:
    def test_a_linear_field_is_found_by_a_network_without_blocks(self):
        spins = TriangularSDModel((8, 8)).random_states(8, 7)
        fields = 0.0
        for weight, steps in ((-0.7, [(1, 0), (0, 1), (-1, 1)]), (0.3, [(2, 0), (0, 2), (-2, 2)])):
            for a, b in steps:
                for sign in (1, -1):
                    fields = fields + weight * np.roll(spins, (sign * a, sign * b), (1, 2))
        training = FieldTraining(epochs=150, batch_size=2, learning_rate=0.03)
        network = EquivariantTorque(n_vectors=2, depth=0, first_reach=2, training=training)
        model = TriangularSDModel((8, 8), field=(0, 0, 0))
        learned = CorrectedIntegrator(SemiImplicitB(model, 0.1), network, random_state=0)
        learned.fit(spins[:6], fields[:6])
        assert -learned.score(spins[6:], fields[6:]) < 0.02

    @pytest.mark.parametrize(
        "network, bound",
        [
            pytest.param(EquivariantTorque(**SMALL, depth=1), 0.1, marks=pytest.mark.slow),
            (TorqueCNN((8, 8), kernel_size=3), 0.3),
        ],
        ids=["vectors", "plain"],
    )
    def test_the_exact_field_of_unseen_states_is_learned_from_a_few(self, network, bound):
        # hot electrons: their field is smooth and short-ranged, but far from linear
        model = TriangularSDModel((6, 6), temperature=1.0, solver=ExactDiagonalization())
        spins = model.random_states(28, 8)
        training = FieldTraining(epochs=60, batch_size=4, learning_rate=1e-2)
        learned = CorrectedIntegrator(
            SemiImplicitB(model, 0.5), clone(network).set_params(training=training), random_state=0
        ).fit(spins[:24])
        assert -learned.score(spins[24:]) < bound  # a linear field: 0.4

    def test_augmentation_moves_sites_as_the_exact_model_allows(self):
        model = TriangularSDModel((6, 6), solver=ExactDiagonalization(), field=(0, 0, 0))
        spins = model.random_states(3, 9)
        batch = {"spins": spins, "fields": model.field_of(spins)}
        batch = {k: torch.as_tensor(v).movedim(-1, 1) for k, v in batch.items()}
        moved = move_sites(batch, torch.Generator().manual_seed(0))
        assert not torch.equal(moved["spins"], batch["spins"])
        expected = model.field_of(moved["spins"].movedim(1, -1).numpy())
        np.testing.assert_allclose(moved["fields"].movedim(1, -1).numpy(), expected, atol=1e-12)
        assert len(point_group((6, 6))) == 12 and len(point_group((6, 8))) == 2

    def test_the_relative_loss_is_that_of_the_paper_above_its_floor(self, rng):
        spins = rng.normal(size=(2, 3, 4, 4))
        spins /= np.linalg.norm(spins, axis=1, keepdims=True)
        torque = np.cross(spins, rng.normal(size=spins.shape), axis=1)
        batch = {"spins": torch.as_tensor(spins), "torques": torch.as_tensor(torque)}
        loss = FieldTraining(floor=0.3)._relative(lambda x: 0.0 * x, batch)
        length = np.maximum(np.linalg.norm(torque, axis=1), 0.3)
        assert float(loss) == pytest.approx((np.abs(torque).sum(axis=1) / length).mean())

    @pytest.mark.parametrize("balance", [0.0, 0.5, 1.0])
    def test_balance_lets_large_torques_decide_or_every_state_alike(self, balance, rng):
        spins = rng.normal(size=(2, 3, 4, 4))
        spins /= np.linalg.norm(spins, axis=1, keepdims=True)
        torque = np.cross(spins, rng.normal(size=spins.shape), axis=1)
        torque *= np.array([0.5, 3.0])[:, None, None, None]
        batch = {"spins": torch.as_tensor(spins), "torques": torch.as_tensor(torque)}
        loss = FieldTraining(balance=balance)._squares(lambda x: 0.0 * x, batch)
        square = (torque**2).sum(1).mean((1, 2))
        assert float(loss) == pytest.approx((square ** (1 - balance)).mean())

    def test_augmentation_draws_from_all_of_the_orthogonal_group(self):
        """The matrices that the vectors of unit axes become are those that were drawn."""
        axes = torch.eye(3).expand(4000, 3, 3)[..., None]
        turned = turn_spins({"spins": axes.mT}, torch.Generator().manual_seed(0))["spins"]
        matrices = turned.reshape(4000, 3, 3).double()
        identity = torch.eye(3, dtype=torch.float64)
        assert torch.allclose(matrices @ matrices.mT, identity.expand(4000, 3, 3), atol=1e-5)
        assert abs(torch.det(matrices).mean()) < 5 / np.sqrt(4000), "half are reflections"
        for sign in (1, -1):
            some = matrices[torch.det(matrices).sign() == sign]
            assert some.mean(dim=0).abs().max() < 5 / np.sqrt(3 * len(some))

    def test_a_checkpoint_knows_the_weights_that_training_began_with(self, tmp_path):
        first, other = (
            fitted(EquivariantTorque(**SMALL, training=FieldTraining(epochs=n))) for n in (1, 2)
        )
        training = FieldTraining(
            epochs=1, checkpoint=str(tmp_path / "c.pt"), floor=np.float64(0.3),
            batch_size=np.int64(2),
        )  # fmt: skip
        for one in (first, first):  # numpy's numbers do no harm either
            training.set_params(initial_weights=one.corrector_.state_dict())
            fitted(EquivariantTorque(**SMALL, training=training))
        start = {**other.corrector_.state_dict(), "scale_": first.corrector_.scale_}
        training.set_params(initial_weights=start)
        with pytest.raises(ValueError, match=r"belongs to another run .initial_weights"):
            fitted(EquivariantTorque(**SMALL, training=training))

    @pytest.mark.parametrize("wrong", [
        {"optimizer": "sgd"}, {"learning_rate": -1.0}, {"scheduler": "step"},
        {"initial_weights": {"scale_": 0.0}},
    ])  # fmt: skip
    def test_what_cannot_be_trained_costs_no_exact_field(self, wrong):
        model = Priceless((6, 6))
        network = EquivariantTorque(**SMALL, training=FieldTraining(**wrong))
        learner = CorrectedIntegrator(SemiImplicitB(model, 0.1), network)
        with pytest.raises(ValueError, match=next(iter(wrong))):
            learner.fit(model.random_states(2, 0))

    def test_training_goes_on_from_given_weights(self):
        first = fitted(EquivariantTorque(**SMALL, training=FieldTraining(epochs=20, batch_size=1)))
        losses = {}
        for name, start in (("anew", None), ("on", first.corrector_.state_dict())):
            training = FieldTraining(epochs=1, batch_size=1, initial_weights=start)
            losses[name] = fitted(EquivariantTorque(**SMALL, training=training)).history_["loss"][0]
        assert losses["on"] < 0.5 * losses["anew"]
        assert losses["on"] < 1.5 * first.history_["loss"][-1]

    def test_training_goes_on_in_the_units_of_the_first_one(self, rng):
        """States with larger torques make no difference before the first step."""
        first = fitted(EquivariantTorque(**SMALL, training=ONCE))
        training = FieldTraining(
            epochs=1, learning_rate=1e-12, initial_weights=first.corrector_.state_dict()
        )
        spins = first.simulated.random_states(2, rng)
        again = clone(first).set_params(corrector__training=training)
        again.fit(spins, 3.0 * first.simulated.field_of(spins))
        np.testing.assert_allclose(
            again.corrector_.field(spins), first.corrector_.field(spins), rtol=1e-5, atol=1e-8
        )

    @pytest.mark.parametrize(
        "start", [{"first": np.zeros(3), "scale_": 1.0}, {}, "sd-torque", {"scale_": "large"}]
    )
    def test_weights_of_another_network_are_refused(self, start):
        training = FieldTraining(epochs=1, initial_weights=start)
        with pytest.raises(ValueError, match=r"initial_weights: expected the state_dict\(\)"):
            fitted(EquivariantTorque(**SMALL, training=training))

    def test_weights_without_their_units_are_refused(self):
        first = fitted(EquivariantTorque(**SMALL, training=ONCE))
        training = FieldTraining(epochs=1, initial_weights=first.corrector_.weights_)
        with pytest.raises(ValueError, match=r"initial_weights.*scale_"):
            fitted(EquivariantTorque(**SMALL, training=training))

    def test_weights_that_are_not_fitted_cannot_be_had(self):
        with pytest.raises(NotFittedError, match="EquivariantTorque is not fitted"):
            EquivariantTorque().state_dict()

    def test_fields_along_the_spins_teach_nothing(self):
        model = TriangularSDModel((6, 6), field=(0, 0, 0))
        spins = model.random_states(2, 0)
        learner = CorrectedIntegrator(SemiImplicitB(model, 0.1), EquivariantTorque(**SMALL))
        with pytest.raises(ValueError, match="no torque to learn"):
            learner.fit(spins, 0.0 * spins)

    @pytest.mark.parametrize("wrong", [np.nan, "shape"])
    def test_labels_must_be_fields(self, wrong):
        model = TriangularSDModel((6, 6))
        spins = model.random_states(2, 0)
        fields = fields_like(spins)
        fields = fields[:1] if wrong == "shape" else np.where(fields > 2, np.nan, fields)
        learner = CorrectedIntegrator(SemiImplicitB(model, 0.1), EquivariantTorque(**SMALL))
        with pytest.raises(ValueError, match="expected finite fields on the spins"):
            learner.fit(spins, fields)

    def test_other_lattices_are_refused(self):
        lattice = HeisenbergLattice((6, 6))
        learner = CorrectedIntegrator(SemiImplicitB(lattice, 0.1), EquivariantTorque(**SMALL))
        with pytest.raises(TypeError, match="needs spins on a triangular lattice"):
            learner.fit(lattice.random_states(2, 0))


class TestSteps:
    def test_labels_are_the_exact_fields(self):
        model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
        spins = model.random_states(3, 10)
        network = EquivariantTorque(**SMALL, depth=1, training=FieldTraining(epochs=2))
        fits = [
            CorrectedIntegrator(SemiImplicitB(model, 0.5), network, random_state=3).fit(*given)
            for given in ((spins,), (spins, model.local_field(spins)))
        ]
        np.testing.assert_array_equal(fits[0].step(spins), fits[1].step(spins))

    def test_the_step_is_the_base_step_in_the_learned_field(self):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE), damping=0.2, field=(0, 0, 0.1))
        spins = learned.simulated.random_states(2, 11)
        expected = SemiImplicitB(learned.simulated, 0.3, damping=0.2).step(spins, 3)
        np.testing.assert_array_equal(learned.step(spins, 3), expected)

    @pytest.mark.parametrize("directional", [False, True])
    @pytest.mark.parametrize("options", [{}, {"damping": 0.2, "drop_longitudinal": True}])
    def test_a_direct_field_keeps_what_it_declares(self, options, directional):
        network = EquivariantTorque(
            **SMALL, depth=1, training=ONCE, precision="double", directional=directional
        )
        learned = fitted(network, **options)
        assert {"norm", "rotation_equivariant", "translation_equivariant"} <= learned.guarantees
        assert "energy" not in learned.guarantees
        check_integrator(learned, max_examples=2)

    def test_a_learned_energy_keeps_the_magnetisation_under_the_midpoint_rule(self):
        network = EquivariantTorque(
            n_vectors=2, n_scalars=2, n_directed=0, first_reach=1, depth=0, energy=True,
            training=ONCE, precision="double",
        )  # fmt: skip
        learned = fitted(network, side=5, step=DampedMidpoint, dt=0.05)
        assert {"magnetization", "symplectic", "time_reversible"} <= learned.guarantees
        check_integrator(learned, max_examples=1)

    def test_single_precision_declares_the_norm_alone(self):
        assert fitted(EquivariantTorque(**SMALL, training=ONCE)).guarantees == {"norm"}
        assert fitted(TorqueCNN((4,), training=ONCE, precision="double")).guarantees == {
            "norm", "translation_equivariant"
        }  # fmt: skip

    def test_damping_lowers_a_learned_energy(self):
        network = EquivariantTorque(**SMALL, energy=True, training=ONCE)
        learned = fitted(network, damping=0.3, drop_longitudinal=True, dt=0.1)
        run = learned.simulate(learned.simulated.random_states(1, 12), 3.0, save_every=5)
        assert (run.energy.diff("time") < 0).all()

    def test_a_direct_field_has_no_energy(self):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE))
        assert "energy" not in learned.simulate(learned.simulated.random_states(1, 0), 0.3)
        with pytest.raises(TypeError, match="learns a field without an energy"):
            learned.simulated.energy(learned.simulated.random_states(1, 0))

    def test_round_trips_and_resumes_bit_for_bit(self, tmp_path):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE), damping=0.1)
        save(learned, tmp_path / "learned.safetensors")
        again = load(tmp_path / "learned.safetensors")
        start = TriangularSDModel((12, 12)).random_states(1, 13)
        whole = learned.simulate(start, 1.8, save_every=2)
        again.simulate(start, 0.6, save_every=2, path=tmp_path / "run.nc")
        with again.resume(tmp_path / "run.nc", 1.8) as resumed:
            np.testing.assert_array_equal(resumed.spin, whole.spin)
            np.testing.assert_array_equal(resumed.magnetization, whole.magnetization)

    def test_steps_on_top_of_a_learned_field_record_and_resume_what_they_see(self, tmp_path):
        learned = fitted(EquivariantTorque(**SMALL, energy=True, training=ONCE), side=6)
        spins = learned.simulated.random_states(2, 14)
        twice = CorrectedIntegrator(learned, EquivariantResidue(**SMALL, depth=0, training=ONCE))
        twice.fit(spins, SemiImplicitB(learned.simulated, 0.03).step(spins, 10))
        assert twice.simulated.corrector is learned.corrector_
        whole = twice.simulate(spins, 1.2)
        twice.simulate(spins, 0.6, path=tmp_path / "run.nc")
        with twice.resume(tmp_path / "run.nc", 1.2) as resumed:
            np.testing.assert_array_equal(resumed.energy, whole.energy)

    def test_pickles_without_its_module_and_predicts_on_another_device(self, tmp_path):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE))
        spins = learned.simulated.random_states(1, 15)
        after = learned.step(spins)
        learned.corrector_.device_ = "cuda:7"
        joblib.dump(learned, tmp_path / "learned.joblib")
        again = joblib.load(tmp_path / "learned.joblib")
        assert "_modules" not in vars(again.corrector_)
        np.testing.assert_array_equal(again.step(spins), after)

    def test_other_parameters_after_the_fit_are_noticed(self):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE))
        spins = learned.simulated.random_states(1, 15)
        learned.corrector_.set_params(n_vectors=7)
        with pytest.raises(ValueError, match="was fitted with other parameters; fit it again"):
            learned.step(spins)

    def test_exact_steps_are_corrected_by_a_learned_field(self, tmp_path):
        model = TriangularSDModel((6, 6), solver=ExactDiagonalization())
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE), side=6)
        stepper = MultipleTimeStep(SemiImplicitB(model, 1.0, damping=0.1), learned, n_inner=2)
        spins = model.random_states(1, 16)
        after = stepper.step(spins)
        np.testing.assert_array_equal(clone(stepper).step(spins), after)
        save(stepper, tmp_path / "stepper.safetensors")
        np.testing.assert_array_equal(load(tmp_path / "stepper.safetensors").step(spins), after)
        other = clone(stepper).set_params(fast__base__dt=0.1)
        assert other.fast is not stepper.fast and stepper.fast.base.dt == 0.3

    @pytest.mark.parametrize("kind", [DampedMidpoint, SemiImplicitB])
    def test_a_base_that_cannot_follow_a_field_is_refused_before_labels_are_made(self, kind):
        model = Priceless((6, 6))
        good = CorrectedIntegrator(kind(model, 0.1), EquivariantTorque(depth=-1))
        with pytest.raises(ValueError, match="depth=-1"):
            good.fit(model.random_states(1, 0))
        base = MultipleTimeStep(kind(model, 0.1), model)
        with pytest.raises(TypeError, match="a learned field needs a step in a given field"):
            CorrectedIntegrator(base, EquivariantTorque()).fit(model.random_states(1, 0))

    def test_a_projection_that_does_not_exist_is_refused_by_fit(self):
        model = Priceless((6, 6))
        learner = CorrectedIntegrator(
            SemiImplicitB(model, 0.1), EquivariantTorque(), projection="energy"
        )
        with pytest.raises(ValueError, match="projection='energy': Priceless has no projection"):
            learner.fit(model.random_states(1, 0))

    def test_another_loss_does_not_continue_a_checkpoint(self, tmp_path):
        training = FieldTraining(epochs=1, checkpoint=str(tmp_path / "run"))
        fitted(EquivariantTorque(**SMALL, training=training))
        training = clone(training).set_params(loss="relative")
        with pytest.raises(ValueError, match="loss"):
            fitted(EquivariantTorque(**SMALL, training=training))

    def test_a_step_in_a_learned_field_is_cloned_with_its_fit(self):
        learned = fitted(EquivariantTorque(**SMALL, training=ONCE))
        step = SemiImplicitB(learned.simulated, 0.3)
        spins = learned.simulated.random_states(1, 17)
        np.testing.assert_array_equal(step.with_dt(0.3).step(spins), step.step(spins))

    def test_an_unfitted_field_says_so(self):
        with pytest.raises(NotFittedError, match="this TorqueCNN is not fitted"):
            TorqueCNN().field(np.ones((1, 6, 6, 3)))
