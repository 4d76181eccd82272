"""Active learning: what is uncertain gets a label, and a run ends the same, killed or not."""

import copy

import joblib
import matplotlib
import numpy as np
import pytest
import xarray as xr
from active_toys import SIDE, ToyCrystal, ToyPotential
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from dlintegrate import (
    ActiveLearner,
    DynamicsExplorer,
    Ensemble,
    EquivariantSpinPotential,
    Explorer,
    FolderLabeller,
    Integrator,
    PoolExplorer,
    PotentialTraining,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
)
from dlintegrate.active import calibrate, store
from dlintegrate.active.calibration import rank_correlation
from dlintegrate.active.descriptors import describe_frames
from dlintegrate.active.explorers import frames_of
from dlintegrate.active.frame_sets import frame_keys, join, read_frames, write_frames
from dlintegrate.active.labellers import label_with
from dlintegrate.active.rounds import Run, Stop
from dlintegrate.active.selection import choose, farthest_points, sort_out, trust_levels
from dlintegrate.frames import make_frames
from dlintegrate.plotting import plot_calibration, plot_exploration, plot_rounds

matplotlib.use("Agg")

import matplotlib.pyplot as plt

CRYSTAL = ToyCrystal()
LEVELS = {"force": (1.0, 3.0), "magnetic_force": (1.0, 3.0)}


def states(n, width, seed):
    """States with atoms displaced by about ``width``, in Å."""
    rng = np.random.default_rng(seed)
    result = CRYSTAL.random_states(n, rng)
    result[:, 0] = CRYSTAL.reference_positions + width * rng.normal(size=(n, 8, 3))
    return result


def frames(n, width=0.2, seed=0):
    """Frames without labels."""
    return frames_of(CRYSTAL, states(n, width, seed))


def labelled(n, width=0.2, seed=0):
    return label_with(CRYSTAL, frames(n, width, seed))


INITIAL = labelled(2, 0.05, seed=1)
POOL = frames(20, seed=2)
TEST = labelled(4, seed=3)


def learner(**options):
    defaults = {
        "potential": ToyPotential(), "labeller": CRYSTAL, "explorer": PoolExplorer(POOL),
        "n_models": 3, "batch_size": 1, "validation": TEST,
    }  # fmt: skip
    return ActiveLearner(**defaults | options)


def same(first, second):
    """Whether two fitted learners hold the same, bit for bit."""
    assert first.stopped_ == second.stopped_ and first.message_ == second.message_
    assert repr(first.rounds_) == repr(second.rounds_)
    xr.testing.assert_identical(first.frames_.drop_attrs(), second.frames_.drop_attrs())
    for a, b in zip(first.potentials_, second.potentials_, strict=True):
        assert (a.coefficients_ == b.coefficients_).all()
    return True


class TestToys:
    def test_forces_of_the_toy_are_the_gradient_of_its_energy(self):
        state = states(1, 0.1, 0)[0]
        known = CRYSTAL.compute(state[None, 0], state[None, 2])
        for variable, gradient in ((0, known.force), (2, known.magnetic_force)):
            moved = np.stack([state, state])
            moved[:, variable, 3, 1] += [1e-5, -1e-5]
            energy = CRYSTAL.compute(moved[:, 0], moved[:, 2]).energy
            assert (energy[1] - energy[0]) / 2e-5 == pytest.approx(gradient[0, 3, 1], rel=1e-6)


class TestEnsemble:
    def test_equal_members_do_not_deviate(self):
        member = ToyPotential().fit(INITIAL)
        prediction = Ensemble([member, copy.deepcopy(member)]).predict(TEST)
        assert (prediction.force_deviation == 0).all()
        np.testing.assert_array_equal(prediction.force, member.predict(TEST).force)

    def test_the_deviation_is_the_rms_distance_from_the_mean_and_a_frame_has_its_largest(self):
        members = [ToyPotential(random_state=seed).fit(INITIAL) for seed in range(3)]
        force = np.stack([member.predict(TEST).force.values for member in members])
        expected = np.sqrt(((force - force.mean(0)) ** 2).sum(-1).mean(0))
        ensemble = Ensemble(members)
        np.testing.assert_allclose(ensemble.predict(TEST).force_deviation, expected)
        np.testing.assert_allclose(ensemble.judge(TEST).force_deviation, expected.max(axis=1))

    def test_atoms_without_a_spin_have_no_magnetic_deviation(self):
        members = [ToyPotential(random_state=seed).fit(INITIAL) for seed in range(2)]
        bare = TEST.copy(deep=True)
        bare["spin"][:, 2] = 0.0
        deviation = Ensemble(members).predict(bare).magnetic_force_deviation
        assert (deviation[:, 2] == 0).all() and (deviation[:, 3] > 0).all()


class _Answers:
    """A stand-in for an ensemble with given answers."""

    def __init__(self, **answers):
        self.known = answers

    def answers(self, frames):
        return self.known


class TestCalibration:
    def test_errors_three_times_the_deviation_have_the_scale_three(self):
        rng = np.random.default_rng(0)
        test = labelled(60)
        shape = (4, *test.force.shape)
        width = rng.uniform(0.1, 1.0, size=(*test.force.shape[:2], 1))
        noise = rng.normal(size=shape)
        noise -= noise.mean(axis=0)
        noise *= width / np.sqrt((noise**2).sum(-1).mean(0))[..., None]  # deviation = width
        error = np.sqrt(3.0) * width * rng.normal(size=shape[1:])  # of length 3 width, rms
        force = test.force.values + error + noise
        answers = {"force": force, "magnetic_force": force, "energy": np.zeros((4, 60))}
        found = calibrate(_Answers(**answers), test)
        assert found["force_scale"] == pytest.approx(3.0, rel=0.05)
        assert found["force_coverage"] == pytest.approx(0.993, abs=0.01)
        assert found["force_rank_correlation"] > 0.6

    @given(seed=st.integers(0, 99))
    @settings(max_examples=10, deadline=None)
    def test_rank_correlation_sees_order_alone(self, seed):
        values = np.random.default_rng(seed).normal(size=30)
        assert rank_correlation(values, np.exp(values)) == pytest.approx(1.0)
        assert rank_correlation(values, -(values**3)) == pytest.approx(-1.0)
        assert np.isnan(rank_correlation(values, np.ones(30)))


class TestSelection:
    @given(seed=st.integers(0, 99))
    @settings(max_examples=5, deadline=None)
    def test_a_description_does_not_feel_shifts_turns_and_the_order_of_atoms(self, seed):
        rng = np.random.default_rng(seed)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        positions = (POOL.position.values + rng.normal(size=3)) @ turn.T
        spins, order = POOL.spin.values @ turn.T, rng.permutation(8)
        moved = frames_of(CRYSTAL, np.stack([positions, positions, spins], axis=1)[:, :, order])
        moved["cell"] = moved.cell.copy(data=POOL.cell.values @ turn.T)
        np.testing.assert_allclose(describe_frames(moved), describe_frames(POOL), atol=1e-10)

    def test_a_description_tells_turned_spins_and_moved_atoms_apart(self):
        start = states(1, 0.1, 0)
        turned, shifted = start.copy(), start.copy()
        turned[:, 2, 0] *= -1
        shifted[:, 0, 0] += 0.3
        first, *others = describe_frames(
            frames_of(CRYSTAL, np.concatenate([start, turned, shifted]))
        )
        for other in others:
            assert np.abs(other - first).max() > 1e-2

    def test_points_far_from_references_and_from_each_other_are_chosen(self):
        points = np.array([[0.0], [0.1], [5.0], [5.1], [9.0]])
        assert farthest_points(points, np.array([[0.0]]), np.ones(5), 2) == [4, 2]

    def test_no_trajectory_gives_more_than_its_share(self):
        points = np.arange(6.0)[:, None]
        group = np.array([0, 0, 0, 0, 1, 1])
        chosen = farthest_points(points, points[:0], np.ones(6), 6, group, max_per_group=2)
        assert sorted(group[chosen]) == [0, 0, 1, 1]

    @given(seed=st.integers(0, 99))
    @settings(max_examples=20, deadline=None)
    def test_each_frame_is_accurate_or_a_candidate_or_beyond(self, seed):
        rng = np.random.default_rng(seed)
        judged = _judged(rng.uniform(0, 4, 30), rng.uniform(0, 4, 30))
        masks = np.array(sort_out(judged, LEVELS))
        assert (masks.sum(axis=0) == 1).all()
        worst = np.maximum(judged.force_deviation, judged.magnetic_force_deviation)
        np.testing.assert_array_equal(masks, [worst <= 1, (worst > 1) & (worst <= 3), worst > 3])

    def test_a_deviation_that_is_not_a_number_is_beyond_trust_and_never_chosen(self):
        judged = _judged([np.nan, 5.0], [0.1, 0.1])
        assert sort_out(judged, LEVELS)[2].all()
        np.testing.assert_array_equal(choose(judged, LEVELS, INITIAL, 5), [1])

    def test_frames_between_the_levels_are_chosen_before_those_beyond(self):
        judged = _judged([0.5, 2.0, 4.0, 9.0], [0.1, 0.1, 0.1, 0.1])
        np.testing.assert_array_equal(choose(judged, LEVELS, INITIAL, 3), [1])

    def test_without_any_between_the_least_absurd_is_chosen(self):
        judged = _judged([0.5, 400.0, 4.0], [0.1, 0.1, 0.1])
        np.testing.assert_array_equal(choose(judged, LEVELS, INITIAL, 1), [2])

    def test_automatic_levels_are_lower_where_deviations_say_too_little(self):
        unit, wrong_by = (
            {"force": 2.0, "magnetic_force": 1.0},
            {"force": 4.0, "magnetic_force": 1.0},
        )
        levels = trust_levels(None, unit, wrong_by, tolerance=0.1)
        assert levels == {"force": (0.05, 0.5), "magnetic_force": (0.1, 1.0)}


def _judged(force, field):
    part = frames(len(force))
    part["force_deviation"] = ("frame", np.array(force))
    part["magnetic_force_deviation"] = ("frame", np.array(field))
    return part.assign_coords(trajectory=("frame", np.arange(len(force))))


class TestRounds:
    def test_it_converges_with_fewer_labels_than_random_choice(self):
        active = learner().fit(INITIAL)
        random = learner(selection="random").fit(INITIAL)
        assert active.stopped_ == random.stopped_ == "converged"
        assert active.rounds_[-1]["n_labels"] <= random.rounds_[-1]["n_labels"]
        last = active.rounds_[-1]
        assert last["force_relative_error"] < 0.05 and last["magnetic_force_relative_error"] < 0.05
        assert active.score(TEST) == -max(
            last["force_relative_error"], last["magnetic_force_relative_error"]
        )

    def test_labels_are_those_of_the_labeller_and_no_frame_is_asked_twice(self):
        fitted = learner(n_rounds=3, tolerance=1e-9).fit(INITIAL)
        keys = frame_keys(fitted.frames_)
        assert len(set(keys)) == len(keys) == 5
        known = CRYSTAL.compute(fitted.frames_.position.values, fitted.frames_.spin.values)
        np.testing.assert_array_equal(fitted.frames_.force, known.force)
        np.testing.assert_array_equal(fitted.frames_["round"], [-1, -1, 0, 1, 2])

    def test_a_crystal_without_spins_is_judged_by_its_forces_alone(self):
        class Bare(ToyCrystal):
            moments = property(lambda self: np.zeros(8))

        def bare(given):
            return label_with(Bare(), given.assign(spin=0 * given.spin))

        fitted = learner(
            labeller=Bare(), explorer=PoolExplorer(bare(POOL)), validation=bare(TEST)
        ).fit(bare(INITIAL))
        assert fitted.stopped_ == "converged" and fitted.rounds_[0]["n_candidates"] > 0
        assert fitted.rounds_[0]["magnetic_force_low"] == np.inf

    def test_a_pool_is_used_up_and_no_further(self):
        options = {"selection": "random", "batch_size": 4, "tolerance": 1e-9}
        fitted = learner(explorer=PoolExplorer(POOL.isel(frame=slice(6))), **options).fit(INITIAL)
        assert [record["n_training"] for record in fitted.rounds_] == [2, 6, 8]
        assert fitted.stopped_ == "stalled" and "has a label already" in fitted.message_

    def test_the_share_held_out_is_not_trained_on(self):
        seen = []

        class Watched(ToyPotential):
            def fit(self, frames, validation=None):
                seen.append(frame_keys(frames))
                return super().fit(frames)

        fitted = learner(
            potential=Watched(), validation=0.25, n_rounds=2, batch_size=3, tolerance=1e-9
        )
        fitted.fit(labelled(6))
        held = np.array(frame_keys(fitted.frames_))[fitted.frames_.held_out.values == 1]
        assert len(held) == 3 and not set(held) & set(seen[-1])
        assert [record["n_test"] for record in fitted.rounds_] == [2, 2, 3]

    def test_the_budget_ends_it(self):
        fitted = learner(n_rounds=1, tolerance=1e-9).fit(INITIAL)
        assert fitted.stopped_ == "budget" and "n_rounds=1" in fitted.message_
        fitted = learner(max_labels=3, batch_size=2, tolerance=1e-9).fit(INITIAL)
        assert fitted.stopped_ == "budget" and fitted.rounds_[-1]["n_labels"] == 3

    def test_a_potential_that_cannot_learn_more_has_stalled(self):
        crude = ToyPotential(n_waves=3)
        options = {"potential": crude, "trust": (1e-9, 1e9), "patience": 2, "n_rounds": 12}
        fitted = learner(**options, warm_start=False).fit(INITIAL)
        assert fitted.stopped_ == "stalled" and "no progress" in fitted.message_
        assert len(fitted.rounds_) < 12

    def test_harder_frames_to_be_measured_on_are_no_lack_of_progress(self):
        run = Run(learner(patience=2), INITIAL)

        def measured(error, before):
            return {"force_relative_error": error, "error_before": before}

        run.records = [measured(0.06, 0.3), measured(0.2, 0.9)]  # frames that are held out change
        run._stop_before_exploring(2)
        run.records = [measured(0.2, 0.2), measured(0.06, 0.06)]
        with pytest.raises(Stop, match="no progress"):
            run._stop_before_exploring(2)

    def test_an_ensemble_that_agrees_and_errs_has_stalled(self):
        alike = ToyPotential(n_waves=20, ridge=1e-12)
        fitted = learner(potential=alike, trust=(1e-3, 1.0)).fit(labelled(8))
        assert fitted.stopped_ == "stalled" and "the ensemble is sure" in fitted.message_

    def test_what_was_not_measured_has_not_converged(self):
        """A tenth of four frames is none; who wants none held out is told what that means."""
        alike = ToyPotential(n_waves=20, ridge=1e-12)
        options = {"potential": alike, "trust": (1e-3, 1.0)}
        fitted = learner(**options, validation=0.1).fit(labelled(4))
        assert fitted.stopped_ == "stalled" and "0 frames held out of 4" in fitted.message_
        fitted = learner(**options, validation=0).fit(labelled(4))
        assert fitted.stopped_ == "converged" and "unmeasured" in fitted.message_

    def test_while_there_is_something_to_learn_it_goes_on_without_a_measure(self):
        sure = {"n_explored": 100, "n_accurate": 99, "n_trajectories": 1, "n_failed": 0}
        Run(learner(validation=0.1), INITIAL)._stop_after_exploring(sure)
        measured = sure | {"force_relative_error": 0.01}
        with pytest.raises(Stop, match="error on held-out frames"):
            Run(learner(validation=0.1), INITIAL)._stop_after_exploring(measured)

    @pytest.mark.parametrize(
        ("n_failed", "deviation", "message"),
        [
            (3, 1e-9, "3 of 4 trajectories failed, and none of the 20 frames"),
            (0, np.inf, "no finite deviation on 20 of 20 explored frames"),
        ],
    )
    def test_a_stop_without_candidates_says_which_kind_it_is(self, n_failed, deviation, message):
        class Pool(PoolExplorer):
            def explore(self, *arguments):
                judged = super().explore(*arguments)
                judged["force_deviation"] = judged["force_deviation"] * 0 + deviation
                judged["magnetic_force_deviation"] = judged["force_deviation"]
                return judged.assign_attrs(n_trajectories=4, n_failed=n_failed)

        fitted = learner(explorer=Pool(POOL)).fit(labelled(40))
        assert fitted.stopped_ == "stalled" and message in fitted.message_
        assert "tolerance" not in fitted.message_

    def test_members_that_see_other_frames_do_not_agree_where_they_err(self):
        alike = ToyPotential(n_waves=20, ridge=1e-12)
        options = {"potential": alike, "n_rounds": 0, "warm_start": False}
        together = learner(**options).fit(labelled(12)).rounds_[0]
        apart = learner(**options, subsample=0.7).fit(labelled(12)).rounds_[0]
        assert together["force_scale"] > 1e6 and apart["force_scale"] < 30

    def test_frames_that_cannot_be_labelled_are_left_out(self):
        class Choosy(ToyCrystal):
            def compute(self, positions, spins, **options):
                known = super().compute(positions, spins, **options)
                if known.energy[0] > energies[1]:
                    raise RuntimeError("no convergence")
                return known

        energies = np.sort(CRYSTAL.compute(POOL.position.values, POOL.spin.values).energy)[::-1]
        with pytest.warns(RuntimeWarning, match="no convergence"):
            fitted = learner(labeller=Choosy(), batch_size=20, n_rounds=1, trust=(1e-9, 1e9)).fit(
                INITIAL
            )
        assert fitted.rounds_[0]["n_chosen"] == 20 and fitted.rounds_[0]["n_labelled"] == 19

    def test_new_frames_have_a_virial_where_the_initial_ones_do(self):
        """A function may give none: then it is dropped, and that is said once."""

        class Strained(ToyCrystal):
            def compute(self, positions, spins, *, virial=False):
                known = super().compute(positions, spins)
                of_each = known.energy[:, None, None] * np.eye(3)
                return known._replace(virial=of_each if virial else None)

        initial = make_frames(Strained(), states(2, 0.05, seed=1))
        options = {"n_rounds": 3, "tolerance": 1e-9}
        frames = learner(labeller=Strained(), **options).fit(initial).frames_
        np.testing.assert_array_equal(frames.virial[:, 1, 1], frames.energy)
        bare = learner(labeller=lambda frames: label_with(CRYSTAL, frames), **options)
        with pytest.warns(UserWarning, match="labeller gave no virial") as said:
            assert "virial" not in bare.fit(initial).frames_
        assert len(said) == 1 and said[0].filename == __file__

    def test_no_label_at_all_ends_it(self):
        fitted = learner(labeller=lambda frames: labelled(1).isel(frame=[])).fit(INITIAL)
        assert fitted.stopped_ == "labelling failed"

    def test_nothing_explored_ends_it(self):
        class Nowhere(Explorer):
            def explore(self, ensemble, labelled, levels, random_state, n_jobs=None):
                judged = ensemble.judge(POOL).isel(frame=[])
                judged = judged.assign_coords(trajectory=("frame", np.empty(0, dtype=int)))
                return judged.assign_attrs(n_trajectories=7, n_failed=7)

        fitted = learner(explorer=Nowhere()).fit(INITIAL)
        assert fitted.stopped_ == "exploration failed" and "7 of 7" in fitted.message_

    def test_members_go_on_from_their_former_weights(self):
        warm = learner(n_rounds=1, tolerance=1e-9).fit(INITIAL)
        cold = learner(n_rounds=1, tolerance=1e-9, warm_start=False).fit(INITIAL)
        assert warm.rounds_[1] != cold.rounds_[1] and warm.rounds_[0] == cold.rounds_[0]
        slow = learner(n_rounds=1, tolerance=1e-9, retrain={"ridge": 1e12}).fit(INITIAL)
        assert slow.rounds_[1]["force_error"] == pytest.approx(slow.rounds_[0]["force_error"])

    def test_no_two_trainings_share_a_checkpoint(self):
        used = []

        class Checkpointed(ToyPotential):
            def __init__(self, training=None, warm_start=False, random_state=None):
                super().__init__(warm_start=warm_start, random_state=random_state)
                self.training = training

            def fit(self, frames, validation=None):
                used.append(self.training.checkpoint)
                return super().fit(frames)

        first, then = (PotentialTraining(checkpoint=name) for name in ("first.pt", "then.pt"))
        options = {"n_rounds": 2, "tolerance": 1e-9, "retrain": {"training": then}}
        fitted = learner(potential=Checkpointed(first), **options).fit(INITIAL)
        assert len(used) == len(set(used)) == 9
        assert [name[:5] for name in used] == ["first"] * 3 + ["then."] * 6
        assert {p.training.checkpoint for p in fitted.potentials_} == {"then.pt"}
        assert (first.checkpoint, then.checkpoint) == ("first.pt", "then.pt")

    def test_two_runs_are_the_same_on_one_thread_or_on_two(self):
        first = learner(n_rounds=1, tolerance=1e-9).fit(INITIAL)
        assert same(first, learner(n_rounds=1, tolerance=1e-9).fit(INITIAL))
        with joblib.parallel_config("threading"):
            assert same(first, learner(n_rounds=1, tolerance=1e-9, n_jobs=2).fit(INITIAL))

    def test_the_mean_of_the_ensemble_is_predicted(self):
        fitted = learner(n_rounds=0).fit(INITIAL)
        mean = np.mean([p.predict(TEST).force.values for p in fitted.potentials_], axis=0)
        np.testing.assert_allclose(fitted.predict(TEST).force, mean)
        assert any(fitted.potential_ is p for p in fitted.potentials_)
        assert fitted.calibrate(TEST)["force_scale"] == fitted.rounds_[0]["force_scale"]


class TestResume:
    def killed_after(self, monkeypatch, n_stages, folder):
        """Run until the n-th file is written, and die there; whether that happened."""
        written = []
        replacing = store.replacing

        def dying(path):
            if len(written) == n_stages:
                raise KeyboardInterrupt
            written.append(path)
            return replacing(path)

        with monkeypatch.context() as patch:
            for module in ("store", "frame_sets"):
                patch.setattr(f"dlintegrate.active.{module}.replacing", dying)
            patch.setattr("dlintegrate.persistence.replacing", dying)
            try:
                self.run(folder)
            except KeyboardInterrupt:
                return True
            return False

    def run(self, folder, **options):
        return learner(
            n_models=2, n_rounds=2, tolerance=1e-9, folder=folder,
            explorer=PoolExplorer(POOL, n_frames=6), **options,
        ).fit(INITIAL)  # fmt: skip

    @pytest.mark.parametrize("stage", range(0, 19, 3))
    def test_a_run_killed_at_any_stage_ends_as_if_it_had_not_been(
        self, stage, tmp_path, monkeypatch
    ):
        assert self.killed_after(monkeypatch, stage, tmp_path / "killed")
        assert same(self.run(tmp_path / "killed"), self.run(None))

    @pytest.mark.slow
    def test_a_run_killed_again_and_again_makes_progress(self, tmp_path, monkeypatch):
        kills = 0
        while self.killed_after(monkeypatch, 1, tmp_path):
            kills += 1
        assert kills > 15 and same(self.run(tmp_path), self.run(None))

    def test_a_kill_while_labelling_loses_little(self, tmp_path, monkeypatch):
        monkeypatch.setattr("dlintegrate.active.labellers._SAVE_SECONDS", 0.0)
        calls = []

        class Dying(ToyCrystal):
            def compute(self, positions, spins, **options):
                calls.append(len(positions))
                if len(calls) == 4:
                    raise KeyboardInterrupt
                return super().compute(positions, spins, **options)

        with pytest.raises(KeyboardInterrupt):
            self.run(tmp_path, labeller=Dying(), batch_size=5)
        fitted = self.run(tmp_path, labeller=Dying(), batch_size=5)
        asked = [record["n_chosen"] for record in fitted.rounds_[:-1]]
        assert asked[0] == 5 and len(calls) == sum(asked) + 1  # three were kept
        assert same(fitted, self.run(None, batch_size=5))

    def test_a_longer_run_goes_on_where_the_shorter_ended(self, tmp_path):
        short = self.run(tmp_path)
        longer = learner(**short.get_params(deep=False) | {"n_rounds": 3}).fit(INITIAL)
        fresh = learner(**short.get_params(deep=False) | {"n_rounds": 3, "folder": None})
        assert same(longer, fresh.fit(INITIAL))

    def test_a_run_that_is_done_is_read_and_not_repeated(self, tmp_path, monkeypatch):
        def never(*arguments):
            raise AssertionError("a finished stage was repeated")

        first = self.run(tmp_path)
        for method in ("fit", "predict"):
            monkeypatch.setattr(ToyPotential, method, never)
        monkeypatch.setattr(PoolExplorer, "explore", never)
        monkeypatch.setattr(ToyCrystal, "compute", never)
        assert same(first, self.run(tmp_path))

    def test_the_folder_of_another_run_is_refused_and_the_difference_named(self, tmp_path):
        self.run(tmp_path)
        with pytest.raises(ValueError, match="another batch_size;"):
            self.run(tmp_path, batch_size=2)
        with pytest.raises(ValueError, match="another initial_frames;"):
            learner(n_models=2, n_rounds=2, tolerance=1e-9, folder=tmp_path,
                    explorer=PoolExplorer(POOL, n_frames=6)).fit(TEST)  # fmt: skip

    def test_frames_on_disk_keep_their_bits(self, tmp_path):
        write_frames(TEST, tmp_path / "frames.nc")
        xr.testing.assert_identical(read_frames(tmp_path / "frames.nc"), TEST)
        empty = TEST.isel(frame=[])
        write_frames(empty, tmp_path / "empty.nc")
        assert read_frames(tmp_path / "empty.nc").sizes["frame"] == 0


class TestFolderLabeller:
    @pytest.mark.parametrize("format", ["npy", "extxyz"])
    def test_it_waits_for_an_answer_and_goes_on_with_it(self, tmp_path, format):
        from dlintegrate import frames as files

        if format == "extxyz":
            pytest.importorskip("ase")
        read, write, suffix = {
            "npy": (files.read_deepmd, files.write_deepmd, ""),
            "extxyz": (files.read_extxyz, files.write_extxyz, ".xyz"),
        }[format]
        options = {
            "labeller": FolderLabeller(tmp_path / "labels", format), "batch_size": 3, "n_rounds": 1,
            "folder": tmp_path / "run", "tolerance": 1e-9,
        }  # fmt: skip
        pending = learner(**options).fit(INITIAL)
        assert pending.stopped_ == "pending" and pending.rounds_[-1]["n_chosen"] == 3
        (place,) = (tmp_path / "labels").iterdir()
        question = read(place / f"question{suffix}")
        backwards = label_with(CRYSTAL, question.isel(frame=[2, 0]))
        write(backwards, place / f"answer{suffix}")
        done = learner(**options).fit(INITIAL)
        assert done.stopped_ == "budget"
        got = done.frames_.isel(frame=slice(2, None))
        np.testing.assert_allclose(got.position, question.position[[0, 2]], atol=1e-6)
        np.testing.assert_allclose(got.force, backwards.force[::-1], atol=1e-6)

    def test_an_answer_to_another_question_is_refused(self, tmp_path):
        from dlintegrate.frames import write_deepmd

        labeller = FolderLabeller(tmp_path)
        assert labeller(POOL) is None
        (place,) = tmp_path.iterdir()
        write_deepmd(labelled(3, seed=77), place / "answer")
        with pytest.raises(ValueError, match="3 frames that are not in the question"):
            labeller(POOL)

    def test_an_answer_without_forces_or_with_other_atoms_is_refused(self, tmp_path):
        from dlintegrate.frames import write_deepmd

        question = frames(2)
        for name, answer, told in (
            ("bare", labelled(2).drop_vars("magnetic_force"), "lacks magnetic_force"),
            ("other", labelled(2).assign_coords(species=("atom", ["Ni"] * 8)), "has other atoms"),
        ):
            labeller = FolderLabeller(tmp_path / name)
            assert labeller(question) is None
            (place,) = (tmp_path / name).iterdir()
            write_deepmd(answer, place / "answer")
            with pytest.raises(ValueError, match=told):
                labeller(question)

    def test_an_unknown_format_is_named(self, tmp_path):
        with pytest.raises(ValueError, match=r"format='vasp': expected one of \['extxyz', 'npy'\]"):
            FolderLabeller(tmp_path, "vasp")(POOL)


class TestManners:
    def test_init_only_stores_and_fit_leaves_the_parameters_alone(self):
        own = learner(n_rounds=0)
        before = {k: repr(v) for k, v in own.get_params().items()}
        copied = clone(own)
        own.fit(INITIAL)
        assert {k: repr(v) for k, v in own.get_params().items()} == before
        assert not hasattr(own.potential, "coefficients_")
        assert {k: repr(v) for k, v in copied.get_params().items()} == before

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_models": 1}, "n_models=1"),
            ({"trust": (0.3, 0.1)}, "0 < low < high"),
            ({"trust": {"force": (0.1, 0.2)}}, "magnetic_force"),
            ({"trust_unit": "absolute"}, "give levels"),
            ({"selection": "clever"}, "selection='clever'"),
            ({"validation": 1.5}, "validation=1.5"),
            ({"tolerance": 0}, "tolerance=0"),
            ({"subsample": 0.0}, "subsample=0.0"),
            ({"max_labels": 0}, "max_labels=0"),
            ({"random_state": None}, "random_state=None"),
            ({"explorer": PoolExplorer(POOL, n_frames=0)}, "n_frames=0"),
        ],
    )
    def test_what_cannot_be_is_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            learner(**options).fit(INITIAL)

    def test_frames_without_labels_are_refused(self):
        with pytest.raises(ValueError, match="energy"):
            learner().fit(POOL)
        with pytest.raises(TypeError, match="labeller"):
            learner(labeller=3).fit(INITIAL)
        with pytest.raises(TypeError, match="explorer"):
            learner(explorer=POOL).fit(INITIAL)

    def test_frames_of_other_atoms_are_not_joined(self):
        other = TEST.assign_coords(species=("atom", ["Co"] * 8))
        with pytest.raises(ValueError, match="one composition"):
            join([TEST, other])

    def test_a_labeller_with_another_cell_is_refused(self):
        wide = TEST.assign(cell=TEST.cell * (SIDE + 1) / SIDE)
        with pytest.raises(ValueError, match="cell"):
            label_with(CRYSTAL, wide)


class Drift(Integrator):
    """A toy that moves atoms by their momenta, and may fail on one of its samples."""

    guarantees = frozenset()

    def __init__(self, system, dt=1.0, temperature=0.0, random_state=None, fails=None):
        self.system = system
        self.dt = dt
        self.temperature = temperature
        self.random_state = random_state
        self.fails = fails

    def advance(self, array, n_steps):
        lost = np.isclose(array[:, 2, 0, 2], MARK)
        if self.fails == "raises" and lost.any():
            raise ValueError("no neighbours")
        array = array.copy()
        array[:, 0] += n_steps * self.dt * array[:, 1] / self.system.masses[:, None]
        if self.fails == "silently":
            array[lost, 0, 0] = array[lost, 0, 1]  # one atom upon another
        return array


MARK = 1.0


class TestDynamics:
    def explorer(self, fails=None, **options):
        start = states(40, 0.02, 4)
        start[1::2, 2, 0] = [np.sqrt(4.0 - MARK**2), 0.0, MARK]  # every other one is marked
        defaults = {"temperatures": [100.0, 2000.0], "t_max": 60.0, "starts": start}
        return DynamicsExplorer(
            Drift(CRYSTAL, fails=fails), save_every=10, n_trajectories=6, **defaults | options
        )

    def explore(self, levels=None, **options):
        ensemble = Ensemble([ToyPotential(random_state=k).fit(INITIAL) for k in range(2)])
        wide = {"force": (1.0, 1e9), "magnetic_force": (1.0, 1e9)}
        return self.explorer(**options).explore(ensemble, INITIAL, levels or wide, 3), ensemble

    def test_each_trajectory_leaves_a_frame_every_few_steps(self):
        found, ensemble = self.explore()
        assert found.sizes["frame"] == 2 * 6 * 6 and found.attrs["n_trajectories"] == 12
        assert sorted(np.unique(found.time)) == [10, 20, 30, 40, 50, 60]
        assert (found.temperature.values[found.trajectory.values < 6] == 100).all()
        judged = ensemble.judge(found.isel(frame=[3]))
        assert judged.force_deviation == found.force_deviation[3]

    @pytest.mark.parametrize("fails", ["raises", "silently"])
    def test_a_failing_trajectory_takes_no_other_along_and_is_counted(self, fails):
        found, _ = self.explore(fails=fails)
        whole, _ = self.explore()
        marked = np.isclose(whole.spin.values[:, 0, 2], MARK)
        assert 0 < found.attrs["n_failed"] == marked.sum() / 6 < 12
        np.testing.assert_array_equal(found.position, whole.position[~marked])

    def test_a_trajectory_ends_where_it_leaves_the_upper_level(self):
        whole, _ = self.explore()
        limit = float(np.median(whole.force_deviation))
        levels = {"force": (0.1 * limit, limit), "magnetic_force": (1.0, 1e9)}
        found, _ = self.explore(levels)
        for number in np.unique(found.trajectory):
            deviation = found.force_deviation.values[found.trajectory.values == number]
            assert (deviation[:-1] <= limit).all()
            assert len(deviation) == 6 or deviation[-1] > limit

    def test_it_starts_from_labelled_frames_in_the_cell_of_the_system(self):
        found, _ = self.explore(starts=None, t_max=10.0, temperatures=[0.0])
        starts = {tuple(np.round(x.ravel(), 9)) for x in INITIAL.position.values}
        assert {tuple(np.round(x.ravel(), 9)) for x in found.position.values} <= starts
        wide = INITIAL.assign(cell=1.1 * INITIAL.cell)
        with pytest.raises(ValueError, match="give starts"):
            self.explorer(starts=None).explore(
                Ensemble([ToyPotential().fit(INITIAL)]), wide, LEVELS, 0
            )

    def test_another_seed_starts_elsewhere(self):
        explorer = self.explorer(starts=None)
        ensemble = Ensemble([ToyPotential().fit(INITIAL)])
        wide = {"force": (1.0, 1e9), "magnetic_force": (1.0, 1e9)}
        first, again, other = (
            explorer.explore(ensemble, INITIAL, wide, seed) for seed in (1, 1, 2)
        )
        np.testing.assert_array_equal(first.position, again.position)
        assert not np.array_equal(first.position, other.position)

    def test_a_learner_explores_by_dynamics_and_converges(self, tmp_path):
        options = {
            "explorer": self.explorer(starts=None), "batch_size": 2, "max_per_trajectory": 1,
            "coverage": 0.9, "n_rounds": 6,
        }  # fmt: skip
        fitted = learner(**options).fit(INITIAL)
        assert fitted.stopped_ == "converged"
        assert same(fitted, learner(**options, folder=tmp_path).fit(INITIAL))
        assert same(fitted, learner(**options, folder=tmp_path).fit(INITIAL))  # all from the folder

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"temperatures": [-1.0]}, "temperatures="),
            ({"t_max": 0.0}, "t_max=0.0"),
        ],
    )
    def test_what_cannot_be_explored_is_named(self, options, message):
        with pytest.raises(ValueError, match=message):
            learner(explorer=self.explorer(**options)).fit(INITIAL)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"spin_step": "bonds", "friction": 0.1}, "which LearnedCrystal has not; use 'mid"),
            ({"spin_step": "midpiont", "friction": 0.1}, "spin_step='midpiont': expected"),
            ({"spin_step": "midpoint"}, "a temperature needs the friction"),
            ({"dt": -1.0}, "dt=-1.0: expected a positive step"),
        ],
    )
    def test_a_step_that_cannot_run_in_a_learned_potential_is_no_failing_trajectory(
        self, options, message
    ):
        """It would fail at any dt."""
        explorer = self.explorer()
        explorer.integrator = SpinLatticeSplitting(CRYSTAL, **{"dt": 1.0} | options)
        with pytest.raises(ValueError, match=message):
            learner(explorer=explorer).fit(INITIAL)

    @pytest.mark.parametrize("integrator", [CRYSTAL, "midpoint"])
    def test_what_moves_no_atoms_is_refused(self, integrator):
        explorer = self.explorer()
        explorer.integrator = integrator
        with pytest.raises(TypeError, match="expected a step of atoms with moments"):
            learner(explorer=explorer).fit(INITIAL)


@pytest.mark.slow
class TestIron:
    """The parts that users put together."""

    def test_a_potential_learns_iron_and_a_killed_run_resumes_bit_for_bit(
        self, tmp_path, monkeypatch
    ):
        iron = SpinLatticeCrystal("bcc", size=2, pair_potential="finnis-sinclair")
        initial = make_frames(iron, iron.random_states(6, random_state=0, order=5.0))
        test = make_frames(iron, iron.random_states(6, random_state=1))
        thermostat = SpinLatticeSplitting(
            iron, dt=2.0, spin_step="semi-implicit", friction=0.02, damping=0.1
        )
        options = {
            "potential": EquivariantSpinPotential(cutoff=4.0, n_basis=6, n_channels=2),
            "labeller": iron,
            "explorer": DynamicsExplorer(
                thermostat, [300.0, 1500.0], t_max=80.0, save_every=10, n_trajectories=2
            ),
            "n_models": 3, "batch_size": 3, "n_rounds": 2, "validation": test, "tolerance": 1e-6,
        }  # fmt: skip
        whole = ActiveLearner(**options).fit(initial)
        assert whole.rounds_[-1]["force_error"] < whole.rounds_[0]["force_error"]
        with monkeypatch.context() as patch:
            patch.setattr(
                EquivariantSpinPotential, "fit", _dying_fit(EquivariantSpinPotential.fit, 5)
            )
            with pytest.raises(KeyboardInterrupt):
                ActiveLearner(**options, folder=tmp_path).fit(initial)
        resumed = ActiveLearner(**options, folder=tmp_path).fit(initial)
        assert repr(resumed.rounds_) == repr(whole.rounds_)
        for a, b in zip(resumed.potentials_, whole.potentials_, strict=True):
            np.testing.assert_array_equal(a.predict(test).force, b.predict(test).force)


def _dying_fit(fit, n):
    """A fit that is killed when it is called for the n-th time."""
    calls = []

    def dying(self, *arguments):
        calls.append(1)
        if len(calls) == n:
            raise KeyboardInterrupt
        return fit(self, *arguments)

    return dying


class TestPictures:
    @pytest.fixture(autouse=True)
    def close_figures(self):
        yield
        plt.close("all")

    def test_errors_are_drawn_over_the_labels(self):
        rounds = learner(n_rounds=2, tolerance=1e-9).fit(INITIAL).rounds_
        curves = plot_rounds(rounds, tolerance=0.05).lines
        np.testing.assert_array_equal(curves[0].get_xdata(), [0, 1, 2])
        np.testing.assert_array_equal(
            curves[1].get_ydata(), [r["magnetic_force_relative_error"] for r in rounds]
        )
        with pytest.raises(ValueError, match="hold no errors"):
            plot_rounds([{"n_labels": 0}])

    def test_shares_of_explored_frames_add_up_to_one(self):
        fitted = learner(n_rounds=2, tolerance=1e-9).fit(INITIAL)
        bars = plot_exploration(fitted.rounds_).patches
        heights = np.array([bar.get_height() for bar in bars]).reshape(3, -1)
        np.testing.assert_allclose(heights.sum(axis=0), 1.0)
        with pytest.raises(ValueError, match="no explored frames"):
            plot_exploration(fitted.rounds_[-1:])

    def test_each_atom_is_a_point_of_the_calibration(self):
        fitted = learner(n_rounds=0).fit(INITIAL)
        ax = plot_calibration(fitted.predict(TEST), TEST, quantity="magnetic_force")
        assert len(ax.collections[0].get_offsets()) == TEST.sizes["frame"] * 8
        with pytest.raises(ValueError, match="quantity='energy'"):
            plot_calibration(fitted.predict(TEST), TEST, quantity="energy")
