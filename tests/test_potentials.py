"""Potentials of positions and spins: gradients, symmetries, twins, fits and files."""

import os
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
from crystals import SmallCrystal, two_species_frames
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    DeepSpinPotential,
    EquivariantSpinPotential,
    LearnedCrystal,
    PotentialTraining,
    frames_from_arrays,
    load,
    read_deepmd,
    save,
)
from dlintegrate.potentials._tensors import frame_tensors
from dlintegrate.potentials.training import gradients

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DLINTEGRATE_DATA", ROOT.parent / "shared" / "data"))
needs_data = pytest.mark.skipif(
    not (DATA / "nio_spin").is_dir(), reason=f"first-principles data are not at {DATA}"
)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=8, deadline=None)
SMALL = {"cutoff": 4.0, "n_basis": 6, "n_channels": 3, "random_state": 0}


def scrambled(potential, random_state=0):
    """A potential whose every coefficient is large: nothing that could hide cancels."""
    rng = np.random.default_rng(random_state)
    width = potential.width
    fitted = potential.set_params(width=0).fit(two_species_frames())
    fitted.set_params(width=width)
    for name in ("forms", "linear", "hidden", "bias", "output"):
        shape = list(fitted.weights_[name].shape)
        if name in ("hidden", "bias", "output"):
            shape[1] = width
        fitted.weights_[name] = 0.1 * rng.normal(size=shape)
    fitted.weights_["wall"] = fitted.weights_["wall"] + 0.1
    return fitted


@pytest.fixture(scope="module", params=["exchange", "spin-orbit"])
def potential(request):
    joint = request.param == "spin-orbit"
    return scrambled(
        EquivariantSpinPotential(**SMALL, lmax=3, width=4, spin_orbit=joint, alpha=1e-3)
    )


def some_atoms(seed, n_samples=1):
    crystal = SmallCrystal()
    states = crystal.random_states(n_samples, random_state=seed)
    return states[:, 0], crystal.cell, states[:, 2], crystal.species


def derivative(energy, h=2e-4):
    """Of fourth order: the error of a simpler difference would hide that of the forces."""
    e = [energy(k * h) for k in (-2, -1, 1, 2)]
    return (e[0] - 8 * e[1] + 8 * e[2] - e[3]) / (12 * h)


def random_rotation(rng):
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


def transformed(x, cell, s, seed):
    """Atoms with the same energy, if a potential has the symmetry of that name."""
    rng = np.random.default_rng(seed)
    turn, spin_turn = random_rotation(rng), random_rotation(rng)
    order = np.concatenate([rng.permutation(4), 4 + rng.permutation(4)])
    return {
        "translation": (x + rng.normal(size=3), cell, s),
        "rotation": (x @ turn.T, cell @ turn.T, s @ turn.T),
        "inversion": (-x, cell, s),
        "time_reversal": (x, cell, -s),
        "permutation": (x[:, order], cell, s[:, order]),
        "spin_rotation": (x, cell, s @ spin_turn.T),
    }


class TestGradients:
    @few
    @given(seeds)
    def test_forces_are_the_gradient_of_the_energy(self, potential, seed):
        x, cell, s, species = some_atoms(seed)
        rng = np.random.default_rng(seed)
        move, turn = rng.normal(size=(2, *x.shape))
        turn[:, 4:] = 0.0
        known = potential.compute(x, cell, s, species)

        def slope(a, b):
            return derivative(
                lambda h: potential.compute(x + h * a, cell, s + h * b, species).energy[0]
            )

        for a, b, force in ((move, 0 * turn, known.force), (0 * move, turn, known.magnetic_force)):
            norm = np.linalg.norm(force) * np.linalg.norm(a + b)
            assert abs(slope(a, b) + (force * (a + b)).sum()) < 1e-6 * norm

    @few
    @given(seeds)
    def test_the_virial_is_the_response_to_strain(self, potential, seed):
        x, cell, s, species = some_atoms(seed)
        strain = 0.1 * np.random.default_rng(seed).normal(size=(3, 3))
        virial = potential.compute(x, cell, s, species, virial=True).virial[0]

        def energy(h):
            grown = np.eye(3) + h * strain
            return potential.compute(x @ grown.T, cell @ grown.T, s, species).energy[0]

        expected = -(virial * strain).sum()
        assert abs(derivative(energy) - expected) < 1e-6 * np.linalg.norm(virial) * np.linalg.norm(
            strain
        )

    @few
    @given(seeds)
    def test_kernel_and_torch_agree(self, potential, seed):
        torch = pytest.importorskip("torch")
        x, cell, s, species = some_atoms(seed, n_samples=2)
        known = potential.compute(x, cell, s, species, virial=True)
        frames = frames_from_arrays(x, cell, species, spins=s)
        batch = frame_tensors(
            [frames], potential.species_, potential.moments_, potential.cutoff, torch.float64
        )
        twin = gradients(potential._module(torch.float64), batch, virial=True)
        for name, ours in known._asdict().items():
            theirs = twin[name].detach().numpy()
            np.testing.assert_allclose(ours, theirs, atol=1e-12 * np.abs(ours).max())

    def test_single_precision_is_close_to_double(self, potential):
        x, cell, s, species = some_atoms(3)
        double = potential.compute(x, cell, s, species)
        single = clone(potential).set_params(precision="single")
        vars(single).update({k: v for k, v in vars(potential).items() if k.endswith("_")})
        rough = single.compute(x, cell, s, species)
        for name in ("force", "magnetic_force"):
            ours, theirs = getattr(rough, name), getattr(double, name)
            np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())
            assert not np.array_equal(ours, theirs)

    def test_energy_and_force_fade_smoothly_at_the_cutoff(self, potential):
        cell = 20 * np.eye(3)
        spins = np.array([[[0.0, 0, 1.3], [0, 1.3, 0]]])

        def pair(r):
            return potential.compute([[[0, 0, 0], [r, 0, 0]]], cell, spins, ["Ni", "Ni"])

        alone = pair(4.5).energy[0]
        inside = pair(4.0 - 1e-3)
        assert abs(inside.energy[0] - alone) < 1e-7
        assert np.abs(inside.force).max() < 1e-4


class TestSymmetries:
    @few
    @given(seeds)
    def test_energy_keeps_what_is_declared(self, potential, seed):
        x, cell, s, species = some_atoms(seed)
        exact = potential.compute(x, cell, s, species).energy
        images = transformed(x, cell, s, seed)
        for name in potential.symmetries:
            a, c, b = images[name]
            energy = potential.compute(a, c, b, species).energy
            np.testing.assert_allclose(energy, exact, rtol=1e-10, atol=0, err_msg=name)

    def test_spin_orbit_tells_spins_from_positions(self):
        x, cell, s, species = some_atoms(0)
        turn = random_rotation(np.random.default_rng(1))
        joint = scrambled(EquivariantSpinPotential(**SMALL, width=4, spin_orbit=True, alpha=1e-3))
        assert "spin_rotation" not in joint.symmetries
        change = np.ptp([joint.compute(x, cell, b, species).energy for b in (s, s @ turn.T)])
        assert change > 1e-3

    @few
    @given(seeds)
    def test_forces_add_to_zero_and_torques_too(self, potential, seed):
        x, cell, s, species = some_atoms(seed)
        known = potential.compute(x, cell, s, species)
        assert np.abs(known.force.sum(1)).max() < 1e-12 * np.abs(known.force).max()
        if "spin_rotation" in potential.symmetries:
            torque = np.cross(s, known.magnetic_force)
            assert np.abs(torque.sum(1)).max() < 1e-12 * np.abs(torque).max()

    def test_a_spin_on_a_species_without_moment_has_no_effect(self, potential):
        x, cell, s, species = some_atoms(0)
        turned = s.copy()
        turned[:, 4:] = 1.0
        known = potential.compute(x, cell, turned, species)
        assert known.energy == potential.compute(x, cell, s, species).energy
        assert not known.magnetic_force[:, 4:].any()

    def test_energy_is_a_sum_over_atoms(self, potential):
        x, cell, s, species = some_atoms(0)
        twice = np.concatenate([x, x + cell[0]], axis=1)
        long = cell * [[2], [1], [1]]
        known = potential.compute(twice, long, np.concatenate([s, s], axis=1), 2 * species)
        alone = potential.compute(x, cell, s, species)
        np.testing.assert_allclose(known.energy, 2 * alone.energy, rtol=1e-12)
        np.testing.assert_allclose(known.force[:, :8], alone.force, atol=1e-12)


class TestFit:
    def test_exchange_and_pair_forces_are_learned_from_few_frames(self):
        frames = two_species_frames(10)
        fitted = EquivariantSpinPotential(random_state=0).fit(frames)
        errors = fitted.errors(two_species_frames(3, random_state=1))
        for name in ("energy", "force", "magnetic_force"):
            assert errors[name] < 0.02 * fitted.scales_[name], name
        assert fitted.score(frames) > -1e-3

    def test_the_score_is_of_labels_that_were_learned(self):
        """It needs a spread to compare errors with."""
        frames = two_species_frames()
        plain = frames.drop_vars("virial")
        fitted = EquivariantSpinPotential(**SMALL).fit(plain)
        assert fitted.score(frames) == fitted.score(plain)
        with pytest.raises(ValueError, match=r"have the labels \['virial'\].*fitted to \['energy'"):
            fitted.score(frames.drop_vars(["energy", "force", "magnetic_force"]))

    def test_parts_of_the_magnetic_force_add_up(self):
        fitted = EquivariantSpinPotential(**SMALL).fit(two_species_frames())
        errors = fitted.errors(two_species_frames(2, random_state=1))
        parts = [errors[f"magnetic_force_{part}"] for part in ("perpendicular", "longitudinal")]
        assert np.hypot(*parts) == pytest.approx(errors["magnetic_force"])

    def test_predictions_are_frames_with_labels(self):
        frames = two_species_frames()
        fitted = EquivariantSpinPotential(**SMALL).fit(frames)
        predicted = fitted.predict(frames.drop_vars(["energy", "force"]))
        known = fitted.compute(
            frames.position, frames.cell, frames.spin, list(frames.species.values)
        )
        np.testing.assert_allclose(predicted.force, known.force, atol=1e-13)
        assert isinstance(fitted.predict([frames]), list)

    def test_a_fit_is_reproducible_and_seeds_make_ensembles(self):
        frames = two_species_frames()
        same = [EquivariantSpinPotential(**SMALL).fit(frames) for _ in range(2)]
        other = clone(same[0]).set_params(random_state=1).fit(frames)
        predicted = [p.predict(frames).force.values for p in (*same, other)]
        np.testing.assert_array_equal(predicted[0], predicted[1])
        assert not np.allclose(predicted[0], predicted[2], atol=1e-9)

    def test_compositions_share_one_potential(self):
        frames = two_species_frames(6)
        half = frames.drop_vars("energy").isel(atom=slice(0, 4))
        half["energy"] = frames.energy - 2.0
        fitted = EquivariantSpinPotential(**SMALL, force_weight=0, magnetic_weight=0).fit(
            [frames, half]
        )
        assert fitted.species_ == ["Ni", "O"]
        assert fitted.errors(frames)["energy"] < 0.1 * frames.energy.std() / 8

    def test_a_network_adds_what_the_regression_lacks(self):
        frames = two_species_frames(2)
        plain = EquivariantSpinPotential(**SMALL, alpha=10.0, lmax=1)
        training = PotentialTraining(epochs=20, batch_size=2, learning_rate=2e-2)
        trained = clone(plain).set_params(width=4, training=training).fit(frames)
        assert trained.score(frames) > 0.7 * plain.fit(frames).score(frames)
        assert len(trained.history_["loss"]) == 20

    def test_labels_may_be_energies_alone(self):
        frames = two_species_frames(6).drop_vars(["force", "magnetic_force", "virial"])
        fitted = EquivariantSpinPotential(**SMALL).fit(frames)
        assert set(fitted.errors(frames)) == {"energy"}

    def test_one_frame_is_enough_to_fit(self):
        frames = two_species_frames(1)
        fitted = EquivariantSpinPotential(**SMALL).fit(frames)
        assert fitted.errors(frames)["force"] < fitted.scales_["force"]

    def test_atoms_closer_than_in_any_frame_are_pushed_apart(self):
        fitted = EquivariantSpinPotential(**SMALL, stiffness=100.0).fit(two_species_frames())
        cell, spins = 20 * np.eye(3), np.zeros((1, 2, 3))
        close = fitted.compute([[[0, 0, 0], [0.8, 0, 0]]], cell, spins, ["O", "O"])
        assert close.force[0, 0, 0] < -10


@pytest.fixture(scope="module")
def deep():
    training = PotentialTraining(epochs=2, batch_size=2)
    deep = DeepSpinPotential(
        cutoff=3.5, embedding=(4, 8), n_axis=3, fitting=(8, 8), precision="double",
        virial_weight=0.1, training=training, random_state=0,
    )  # fmt: skip
    return deep.fit(two_species_frames(2))


class TestDeepSpin:
    @settings(max_examples=3, deadline=None)
    @given(seeds)
    def test_forces_are_the_gradient_of_the_energy(self, deep, seed):
        x, cell, s, species = some_atoms(seed)
        move, turn = np.random.default_rng(seed).normal(size=(2, *x.shape))
        turn[:, 4:] = 0.0
        known = deep.compute(x, cell, s, species)
        for a, b, force in ((move, 0 * turn, known.force), (0 * move, turn, known.magnetic_force)):
            change = derivative(
                lambda h, a=a, b=b: deep.compute(x + h * a, cell, s + h * b, species).energy[0]
            )
            norm = np.linalg.norm(force) * np.linalg.norm(a + b)
            assert abs(change + (force * (a + b)).sum()) < 1e-6 * norm

    @settings(max_examples=3, deadline=None)
    @given(seeds)
    def test_energy_keeps_what_is_declared_and_nothing_else(self, deep, seed):
        x, cell, s, species = some_atoms(seed)
        exact = deep.compute(x, cell, s, species).energy
        scale = deep.scales_["energy"]
        for name, (a, c, b) in transformed(x, cell, s, seed).items():
            change = np.abs(deep.compute(a, c, b, species).energy - exact)
            if name in deep.symmetries:
                assert change < 1e-10 * np.abs(exact), name
            else:
                assert change > 1e-6 * scale, name

    def test_the_loss_falls(self, deep):
        training = PotentialTraining(epochs=8, batch_size=2, learning_rate=1e-2)
        again = clone(deep).set_params(training=training).fit(two_species_frames(2))
        assert again.score(two_species_frames(2)) > deep.score(two_species_frames(2))

    def test_a_file_holds_the_same_potential(self, deep, tmp_path):
        x, cell, s, species = some_atoms(0)
        save(deep, tmp_path / "deep.safetensors")
        again = load(tmp_path / "deep.safetensors").compute(x, cell, s, species)
        np.testing.assert_array_equal(again.force, deep.compute(x, cell, s, species).force)

    def test_a_warm_start_goes_on_from_the_former_weights(self, deep):
        still = PotentialTraining(epochs=1, batch_size=2, learning_rate=1e-12)
        warm = DeepSpinPotential().set_params(**deep.get_params(deep=False))
        warm.weights_ = deep.weights_
        warm.set_params(warm_start=True, training=still).fit(two_species_frames(2))
        x, cell, s, species = some_atoms(0)
        expected = deep.compute(x, cell, s, species).force
        np.testing.assert_allclose(warm.compute(x, cell, s, species).force, expected, atol=1e-7)

    @pytest.mark.parametrize(
        "parameters", [{"embedding": ()}, {"n_axis": 50}, {"reach": -1.0}, {"smooth": 9.0}]
    )
    def test_parameters_out_of_range_are_named(self, parameters):
        with pytest.raises(ValueError, match=next(iter(parameters))):
            DeepSpinPotential(**parameters).fit(two_species_frames(1))


@needs_data
@pytest.mark.firstprinciples
@pytest.mark.slow
class TestNickelOxide:
    def test_first_principles_labels_are_met_on_frames_left_out(self):
        parts = [read_deepmd(DATA / "nio_spin" / f"undistorted_{i}") for i in (0, 1)]
        left_out = np.arange(60) % 6 == 0
        train = [part.isel(frame=~left_out) for part in parts]
        errors = (
            EquivariantSpinPotential(random_state=0)
            .fit(train)
            .errors([part.isel(frame=left_out) for part in parts])
        )
        assert errors["energy"] < 0.05e-3
        assert errors["force"] < 1e-3
        assert errors["magnetic_force"] < 1.5e-3


class TestErrors:
    def test_nothing_is_predicted_before_a_fit(self):
        with pytest.raises(NotFittedError, match="call fit first"):
            EquivariantSpinPotential().predict(two_species_frames(1))

    def test_other_species_are_named(self, potential):
        x, cell, s, _ = some_atoms(0)
        with pytest.raises(ValueError, match=r"\['Fe'\] were not in the frames of the fit"):
            potential.compute(x, cell, s, ["Fe"] * 8)

    def test_shapes_that_do_not_fit_are_named(self, potential):
        x, cell, s, species = some_atoms(0)
        with pytest.raises(ValueError, match="positions have shape"):
            potential.compute(x[0], cell, s, species)
        with pytest.raises(ValueError, match="spins have shape"):
            potential.compute(x, cell, s[:, :4], species)
        with pytest.raises(ValueError, match="cell has shape"):
            potential.compute(x, np.ones(3), s, species)

    def test_frames_without_labels_teach_nothing(self):
        frames = two_species_frames(2).drop_vars(["energy", "force", "magnetic_force", "virial"])
        with pytest.raises(ValueError, match="neither energy nor force"):
            EquivariantSpinPotential().fit(frames)

    @pytest.mark.parametrize(
        "parameters",
        [{"cutoff": -1.0}, {"n_basis": 1}, {"lmax": 4}, {"spin_orbit": True, "lmax": 0},
         {"precision": "half"}, {"energy_weight": -1}, {"alpha": 0.0}, {"width": -1}],
    )  # fmt: skip
    def test_parameters_out_of_range_are_named(self, parameters):
        name = next(iter(parameters))
        with pytest.raises(ValueError, match=name):
            EquivariantSpinPotential(**parameters).fit(two_species_frames(1))

    def test_a_lost_sample_is_nan_and_the_others_are_not(self, potential):
        x, cell, s, species = some_atoms(0, n_samples=2)
        expected = potential.compute(x[1:], cell, s[1:], species)
        x[0, 0] = np.nan
        known = potential.compute(x, cell, s, species)
        assert np.isnan(known.energy[0]) and np.isnan(known.force[0]).all()
        np.testing.assert_array_equal(known.force[1:], expected.force)


class TestFiles:
    @pytest.mark.parametrize("width", [0, 4])
    def test_a_file_holds_the_same_potential(self, tmp_path, width):
        fitted = scrambled(EquivariantSpinPotential(**SMALL, width=width, alpha=1e-3))
        x, cell, s, species = some_atoms(0)
        expected = fitted.compute(x, cell, s, species)
        save(fitted, tmp_path / "p.safetensors")
        joblib.dump(fitted, tmp_path / "p.joblib")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            again = [load(tmp_path / "p.safetensors"), joblib.load(tmp_path / "p.joblib")]
        for potential in again:
            np.testing.assert_array_equal(
                potential.compute(x, cell, s, species).force, expected.force
            )

    def test_other_parameters_after_the_fit_are_refused(self):
        fitted = EquivariantSpinPotential(**SMALL).fit(two_species_frames(2))
        x, cell, s, species = some_atoms(0)
        fitted.set_params(n_channels=5)
        with pytest.raises(ValueError, match="fitted with other parameters"):
            fitted.compute(x, cell, s, species)


class TestLearnedCrystal:
    def test_has_the_energy_of_the_potential(self, potential):
        learned = LearnedCrystal(SmallCrystal(), potential)
        states = learned.random_states(2, random_state=0)
        known = learned.evaluate(states, virial=True)
        expected = potential.compute(states[:, 0], learned.cell, states[:, 2], learned.species)
        np.testing.assert_array_equal(known.energy, expected.energy)
        assert learned.separate_rotation == (not potential.spin_orbit)
        assert np.isfinite(learned.pressure(states)).all()

    def test_a_clone_keeps_the_fit(self, potential):
        learned = LearnedCrystal(SmallCrystal(), potential)
        states = learned.random_states(1, random_state=0)
        np.testing.assert_array_equal(clone(learned).energy(states), learned.energy(states))

    def test_in_single_precision_it_declares_only_what_it_keeps(self, potential):
        rough = clone(LearnedCrystal(SmallCrystal(), potential))
        rough.potential.set_params(precision="single")
        assert rough.symmetries == frozenset()
        assert rough.invariants == {"norm", "momentum"}

    def test_needs_a_potential(self):
        learned = LearnedCrystal(SmallCrystal(), "iron.safetensors")
        with pytest.raises(TypeError, match="expected a fitted Potential"):
            learned.energy(SmallCrystal().random_states(1, random_state=0))

    def test_a_file_holds_the_crystal(self, potential, tmp_path):
        learned = LearnedCrystal(SmallCrystal(), potential)
        save(learned, tmp_path / "crystal.safetensors")
        again = load(tmp_path / "crystal.safetensors", classes=[SmallCrystal])
        states = learned.random_states(1, random_state=0)
        np.testing.assert_array_equal(again.energy(states), learned.energy(states))
