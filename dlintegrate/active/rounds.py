"""The rounds of an :class:`ActiveLearner`: train, measure, explore, choose, label."""

import itertools
import logging
import warnings

import numpy as np

from .calibration import measure, rms_lengths
from .ensemble import QUANTITIES, Ensemble, train_members
from .frame_sets import frame_keys, join, labelled_part, write_frames
from .labellers import as_labeller
from .selection import check_trust, choose, choose_at_random, sort_out, trust_levels
from .store import Store, classes_in, identify

_log = logging.getLogger(__name__)
#: An error has improved if it is below this part of the one before.
_PROGRESS = 0.98
#: What may change between a run and its continuation.
_FREE = ("labeller", "n_rounds", "max_labels", "patience", "coverage", "folder", "n_jobs")
_TRAIN, _EXPLORE, _CHOOSE, _SUBSAMPLE = range(4)


class Stop(Exception):
    """A reason to stop, and the same in a sentence."""


class Run:
    """One call of :meth:`ActiveLearner.fit`.

    Parameters
    ----------
    learner : ActiveLearner
        With checked parameters.
    initial : xarray.Dataset
        Labelled frames.
    """

    def __init__(self, learner, initial):
        self.learner = learner
        self.labeller = as_labeller(learner.labeller, virial="virial" in initial)
        self.validation = (
            None if isinstance(learner.validation, float | int) else learner.validation
        )
        identity = {
            name: identify(value)
            for name, value in sorted(learner.get_params(deep=False).items())
            if name not in _FREE
        }
        identity["initial_frames"] = identify(initial)
        self.store = Store(learner.folder, identity, classes_in(learner.potential))
        self.labelled = [initial]  # one part for each round, and the initial one
        self.asked = set(frame_keys(initial))  # answers may differ from questions by rounding
        self.members = None
        self.records = []

    def go(self):
        """Run to the end, then set the fitted attributes."""
        try:
            for number in itertools.count():
                self._round(number)
        except Stop as stop:
            self._publish(*stop.args)

    # Frames ------------------------------------------------------------------------------

    @property
    def all_frames(self):
        """All labelled frames."""
        return join(self.labelled)

    @property
    def held_out(self):
        """Which of them are kept from training: evenly spread, the wanted share of each part."""
        count = np.arange(self.all_frames.sizes["frame"])
        if self.validation is not None:
            return np.zeros(len(count), dtype=bool)
        share = float(self.learner.validation)
        return np.floor((count + 1) * share + 0.5) > np.floor(count * share + 0.5)

    @property
    def n_bought(self):
        """Labels beyond the initial ones."""
        return sum(part.sizes["frame"] for part in self.labelled[1:])

    # One round ---------------------------------------------------------------------------

    def _round(self, number):
        folder = f"round_{number:03d}"
        frames, held_out = self.all_frames, self.held_out
        training = frames.isel(frame=np.flatnonzero(~held_out))
        test = self.validation
        if test is None:
            test = frames.isel(frame=np.flatnonzero(held_out))
        former = self.members
        self.members = self._train(number, folder, training)
        ensemble = Ensemble(self.members)
        measured = self.store.record(
            f"{folder}/measured", lambda: _measure(ensemble, test) | _before(former, test)
        )
        unit = rms_lengths(frames)
        record = {
            "round": number,
            "n_labels": self.n_bought,
            "n_training": training.sizes["frame"],
            "n_test": test.sizes["frame"],
            **measured,
        }
        self.records.append(record)
        self._stop_before_exploring(number)
        levels = self._levels(record, unit)
        for q in QUANTITIES:
            record[f"{q}_low"], record[f"{q}_high"] = map(float, levels[q])
        explored = self._explore(number, folder, ensemble, frames, levels)
        record |= _account(explored, levels)
        _log.info("round %d: %s", number, record)
        self._stop_after_exploring(record)
        self._label(number, folder, ensemble, explored, frames, levels, record)

    def _seed(self, *key):
        sequence = np.random.SeedSequence([self.learner.random_state, *key])
        return int(sequence.generate_state(1)[0])

    def _train(self, number, folder, training):
        learner, names = self.learner, {}
        for k in range(learner.n_models):
            names[k] = f"{folder}/member_{k}"
        seeds = {
            k: self._seed(_TRAIN, number, k)
            for k, name in names.items()
            if not self.store.has_potential(name)
        }
        former = self.members if learner.warm_start else None
        retrain = learner.retrain or {}
        seen = {k: training.isel(frame=self._seen(k, training.sizes["frame"])) for k in seeds}
        fitted = {}
        for k, potential in train_members(
            learner.potential, former, seen, seeds, retrain, learner.n_jobs
        ):
            fitted[k] = self.store.potential(names[k], lambda done=potential: done)
        for k, name in names.items():
            if k not in fitted:
                fitted[k] = self.store.potential(name, None)
        return [fitted[k] for k in sorted(fitted)]

    def _seen(self, member, n_frames):
        """Which training frames a member sees: in each round the same, and some of the new ones."""
        drawn = np.random.default_rng(self._seed(_SUBSAMPLE, member)).random(n_frames)
        return np.flatnonzero((drawn < self.learner.subsample) | (drawn == drawn.min()))

    def _levels(self, record, unit):
        learner = self.learner
        relative = learner.trust_unit == "rms"
        # what was chosen in the last round is nearest to where the levels are used
        latest = self.records[-2] if len(self.records) > 1 else {}
        scale = {
            q: latest.get(f"new_{q}_scale", record.get(f"{q}_scale", np.nan)) for q in QUANTITIES
        }
        return trust_levels(
            check_trust(learner.trust),
            unit if relative else dict.fromkeys(QUANTITIES, 1.0),
            scale,
            learner.tolerance,
        )

    def _explore(self, number, folder, ensemble, frames, levels):
        def compute():
            return self.learner.explorer.explore(
                ensemble, frames, levels, self._seed(_EXPLORE, number), self.learner.n_jobs
            )

        explored = self.store.frames(f"{folder}/explored", compute)
        new = [k for k, key in enumerate(frame_keys(explored)) if key not in self.asked]
        return explored.isel(frame=new)

    def _label(self, number, folder, ensemble, explored, frames, levels, record):
        learner = self.learner
        n = learner.batch_size
        if learner.max_labels is not None:
            n = min(n, learner.max_labels - self.n_bought)

        def compute():
            if learner.selection == "random":
                rng = np.random.default_rng(self._seed(_CHOOSE, number))
                return explored.isel(frame=choose_at_random(explored, n, rng))
            chosen = choose(explored, levels, frames, n, learner.max_per_trajectory)
            return explored.isel(frame=chosen)

        chosen = self.store.frames(f"{folder}/chosen", compute)
        record["n_chosen"] = chosen.sizes["frame"]
        self.asked.update(frame_keys(chosen))
        if chosen.sizes["frame"] == 0:
            raise Stop("stalled", _nothing_chosen(record, learner))
        partial = self.store.path(f"{folder}/partial.nc")
        labelled = self.store.frames(f"{folder}/labelled", lambda: self._answer(chosen, partial))
        if labelled is None:
            raise Stop(
                "pending", f"labels of {chosen.sizes['frame']} frames are awaited; call fit again"
            )
        record["n_labelled"] = labelled.sizes["frame"]
        if labelled.sizes["frame"] == 0:
            raise Stop("labelling failed", "no chosen frame got a label")
        found = self.store.record(f"{folder}/found", lambda: _measure(ensemble, labelled))
        record |= {f"new_{name}": value for name, value in found.items()}
        dropped = sorted(set(frames.data_vars) - set(labelled.data_vars))
        if dropped:
            warnings.warn(
                f"labeller gave no {' and no '.join(dropped)}, which the initial frames have: from "
                "now on the training is without; label it too, or leave it out from the beginning",
                UserWarning,
                stacklevel=5,
            )
        self.labelled.append(labelled)

    def _answer(self, chosen, partial):
        labelled = self.labeller(chosen, partial)
        return None if labelled is None else labelled_part(labelled)

    # Reasons to stop ---------------------------------------------------------------------

    def _stop_before_exploring(self, number):
        learner = self.learner
        if number >= learner.n_rounds:
            raise Stop("budget", f"n_rounds={learner.n_rounds} are done")
        if learner.max_labels is not None and self.n_bought >= learner.max_labels:
            raise Stop("budget", f"max_labels={learner.max_labels} are spent")
        lately = self.records[-learner.patience :]
        worst = worst_error(lately[-1])
        if len(lately) == learner.patience and worst > learner.tolerance:
            if all(worst_error(r) > _PROGRESS * r.get("error_before", np.inf) for r in lately):
                raise Stop(
                    "stalled",
                    f"no progress in {learner.patience} rounds: relative error {worst:.3g}, with "
                    f"the potentials of the round before {lately[-1]['error_before']:.3g}; more "
                    "labels of this kind do not help: enlarge the potential, train it longer, or "
                    "explore elsewhere",
                )

    def _stop_after_exploring(self, record):
        learner = self.learner
        if record["n_explored"] == 0 and record["n_failed"] == 0:
            raise Stop("stalled", "every explored frame has a label already; explore elsewhere")
        if record["n_explored"] == 0:
            raise Stop(
                "exploration failed",
                f"{record['n_failed']} of {record['n_trajectories']} trajectories failed, and left "
                "no new frame; use a smaller dt, lower temperatures, or more initial frames",
            )
        sure, failed = _shares(record)
        if sure >= learner.coverage and failed <= 1 - learner.coverage:
            error = worst_error(record)
            unmeasured = np.isnan(error) and self.validation is None and learner.validation == 0
            if error <= learner.tolerance or unmeasured:
                raise Stop(
                    "converged",
                    f"{100 * sure:.4g} % of the explored frames are below the lower trust level; "
                    + (
                        f"the error is unmeasured: validation={learner.validation}"
                        if unmeasured
                        else f"relative error on held-out frames {error:.3g}"
                    ),
                )

    # The end -----------------------------------------------------------------------------

    def _publish(self, reason, message):
        learner, frames = self.learner, self.all_frames
        sizes = [part.sizes["frame"] for part in self.labelled]
        origin = np.repeat(np.arange(len(sizes)) - 1, sizes)
        learner.frames_ = frames.assign_coords(
            round=("frame", origin), held_out=("frame", self.held_out.astype(np.int8))
        )
        learner.potentials_ = list(self.members)
        learner.potential_ = learner.potentials_[self.records[-1].get("best_member", 0)]
        learner.rounds_ = self.records
        learner.stopped_, learner.message_ = reason, message
        path = self.store.path("frames.nc")
        if path is not None:
            write_frames(learner.frames_, path)
        _log.info("%s: %s", reason, message)


def _measure(ensemble, test):
    """Errors and calibration on frames that the ensemble was not trained on."""
    return measure(ensemble, test) if test.sizes["frame"] else {}


def _before(former, test):
    """What the potentials of the round before make of the same frames, new to them too."""
    if former is None or not test.sizes["frame"]:
        return {}
    return {"error_before": worst_error(measure(Ensemble(former), test))}


def _account(explored, levels):
    """How many frames were explored, and what the ensemble thinks of them."""
    accurate, candidate, beyond = sort_out(explored, levels)
    return {
        "n_trajectories": int(explored.attrs["n_trajectories"]),
        "n_failed": int(explored.attrs["n_failed"]),
        "n_explored": explored.sizes["frame"],
        "n_accurate": int(accurate.sum()),
        "n_candidates": int(candidate.sum()),
        "n_beyond": int(beyond.sum()),
    }


def worst_error(record):
    """The larger relative error of force and magnetic force; NaN if neither is known."""
    known = [record[k] for q in QUANTITIES if (k := f"{q}_relative_error") in record]
    known = [value for value in known if np.isfinite(value)]
    return max(known) if known else float("nan")


def _shares(record):
    """The share of explored frames that the ensemble is sure about, and of failed trajectories."""
    return (
        record["n_accurate"] / record["n_explored"],
        record["n_failed"] / max(1, record["n_trajectories"]),
    )


def _nothing_chosen(record, learner):
    """Why no explored frame is a candidate, and what to do."""
    sure, failed = _shares(record)
    if failed > 1 - learner.coverage:
        return (
            f"{record['n_failed']} of {record['n_trajectories']} trajectories failed, and none of "
            f"the {record['n_explored']} frames that they left is worth a label; use a smaller dt, "
            "lower temperatures, or more initial frames"
        )
    if sure < learner.coverage:  # finite deviations would have been chosen, however large
        return (
            f"the ensemble has no finite deviation on {record['n_beyond']} of "
            f"{record['n_explored']} explored frames, and is sure about the others; train the "
            "potential more gently, explore at lower temperatures, or give more initial frames"
        )
    known = f"the ensemble is sure about {_of_all(record['n_accurate'], record['n_explored'])}"
    error = worst_error(record)
    if np.isnan(error):
        return (
            f"{known}, but its error is unmeasured, with {record['n_test']} frames held out of "
            f"{record['n_training'] + record['n_test']}; give more initial frames, a larger "
            "validation, or labelled frames as validation"
        )
    return (
        f"{known}, but its relative error on held-out frames is {error:.3g}, above "
        f"tolerance={learner.tolerance}; members that are too alike say little: set subsample=0.7, "
        "lower the trust levels, explore elsewhere, or enlarge the potential"
    )


def _of_all(n, n_all):
    return f"{'all' if n == n_all else f'{n} of'} {n_all} explored frames"
