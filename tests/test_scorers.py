"""Scorers: by name in scikit-learn's model selection, grouped, on DataArrays and ndarrays."""

import copy
import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    cross_val_score,
    cross_validate,
)

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    Integrator,
    ResidueCorrector,
    SuzukiTrotter2,
    metrics,
)

SYSTEM = HeisenbergLattice((4, 4))


def random_spins(n, seed=0):
    spins = np.random.default_rng(seed).normal(size=(n, 4, 4, 3))
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


class Substeps(Integrator):
    """ST2 in several substeps: an estimator whose best parameter is known (the largest)."""

    def __init__(self, system=SYSTEM, dt=0.1, n=1):
        self.system = system
        self.dt = dt
        self.n = n

    guarantees = frozenset()

    def fit(self, X, y=None):
        self.validate(X)
        self.n_fitted_ = len(X)
        return self

    def advance(self, array, n_steps):
        return SuzukiTrotter2(self.system, self.dt / self.n).advance(array, self.n * n_steps)


class Explodes(Substeps):
    """Fails for every sample."""

    def advance(self, array, n_steps):
        return np.full_like(array, np.nan)


@pytest.fixture(params=["ndarray", "DataArray"])
def samples(request):
    spins = random_spins(12)
    if request.param == "ndarray":
        return spins
    return xr.DataArray(
        spins,
        dims=("sample", "x", "y", "component"),
        coords={"temperature": ("sample", np.repeat([0.5, 1.5], 6))},
    )


GROUPS = np.repeat(np.arange(4), 3)


# names ---------------------------------------------------------------------------------

ORDERS = {
    "dlintegrate first": """
        from dlintegrate import HeisenbergLattice
        import sklearn.model_selection
    """,
    "scikit-learn first": """
        import sklearn.feature_selection, sklearn.linear_model
        from sklearn.model_selection import cross_val_score, GridSearchCV
        from sklearn.metrics import check_scoring, get_scorer
        from dlintegrate import HeisenbergLattice
    """,
}

USE = """
    import sys
    import numpy as np
    from sklearn.base import BaseEstimator
    from sklearn.metrics import check_scoring, get_scorer, get_scorer_names
    from sklearn.model_selection import GridSearchCV, KFold, cross_validate, cross_val_score
    from sklearn.model_selection import permutation_test_score, RandomizedSearchCV

    class Perfect(BaseEstimator):
        dt = 0.1
        n_sites = 1
        def __init__(self, a=0): self.a = a
        def fit(self, X, y=None): return self
        def step(self, X): return X
        def validate(self, X): return self, np.asarray(X)

    import dlintegrate
    assert "dlintegrate.metrics" in sys.modules  # nobody had to import it
    import dlintegrate.metrics.one_step as one_step
    one_step._labels = lambda integrator, system, array, *_: array
    X, name = np.ones((6, 2, 3)), "neg_one_step_error"
    assert (cross_val_score(Perfect(), X, scoring=name, cv=KFold(2)) == 0).all()
    assert (cross_val_score(Perfect(), X, X, scoring=name, cv=KFold(2)) == 0).all()
    assert "test_" + name in cross_validate(Perfect(), X, scoring=[name], cv=KFold(2))
    for search in (GridSearchCV, RandomizedSearchCV):
        options = {} if search is GridSearchCV else {"n_iter": 2}
        assert search(Perfect(), {"a": [0, 1]}, scoring=name, cv=2, **options).fit(X).score(X) == 0
    for name in dlintegrate.metrics.get_scorer_names():
        assert name in get_scorer_names()
        check_scoring(Perfect(), scoring=name)
        assert get_scorer(name) == dlintegrate.metrics.get_scorer(name)
    try:
        cross_val_score(Perfect(), X, scoring="neg_one_step_eror", cv=2)
    except ValueError:
        print("fine")
"""


@pytest.mark.parametrize("order", ORDERS)
def test_names_work_whatever_is_imported_first(order):
    script = textwrap.dedent(ORDERS[order]) + textwrap.dedent(USE)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "fine", done.stderr


def test_another_scikit_learn_costs_the_names_and_nothing_else(monkeypatch):
    import sklearn.metrics._scorer

    monkeypatch.delattr(sklearn.metrics._scorer, "_SCORERS")
    assert metrics.scorers.register() is False
    scorer = metrics.get_scorer("neg_one_step_error")
    scores = cross_val_score(Substeps(), random_spins(4), scoring=scorer, cv=KFold(2))
    assert (scores < 0).all()


def test_registering_twice_and_names_of_others_are_left_alone(monkeypatch):
    from sklearn.metrics._scorer import _SCORERS

    theirs = object()
    monkeypatch.setitem(_SCORERS, "threshold_time", theirs)
    assert metrics.scorers.register() is True
    assert _SCORERS["threshold_time"] is theirs


def test_unknown_names_and_parameters_are_refused():
    with pytest.raises(ValueError, match=r"'accuracy' is unknown; expected one of .*_time"):
        metrics.get_scorer("accuracy")
    with pytest.raises(ValueError, match=r"does not take all of .*t_min"):
        metrics.make_scorer("threshold_time", t_min=3)
    with pytest.raises(ValueError, match="does not take all of"):
        metrics.make_scorer("neg_one_step_error", t_max=3)
    with pytest.raises(ValueError, match="t_max=-1"):
        metrics.make_scorer("neg_energy_drift", t_max=-1)


@pytest.mark.parametrize("name", metrics.get_scorer_names())
def test_scorers_copy_pickle_and_print(name):
    scorer = metrics.get_scorer(name)
    assert copy.deepcopy(scorer) == scorer == pickle.loads(pickle.dumps(scorer))
    assert metrics.get_scorer(scorer) is scorer
    assert type(scorer).__name__ in repr(scorer)


# values --------------------------------------------------------------------------------


def test_greater_is_better(samples):
    coarse, fine = Substeps(n=1), Substeps(n=4)
    for name in ("neg_one_step_error", "neg_magnetization_drift", "threshold_time"):
        parameters = {} if name == "neg_one_step_error" else {"t_max": 12.0}
        scorer = metrics.make_scorer(name, **parameters)
        assert scorer(fine, samples) > scorer(coarse, samples), name


def test_one_step_scorer_is_minus_the_metric_with_or_without_labels(samples):
    scorer, step = metrics.get_scorer("neg_one_step_error"), Substeps()
    labels = BlanesMoan4(SYSTEM, 0.01).step(samples, 10)
    assert scorer(step, samples, labels) == -metrics.one_step_error(step, samples, labels)
    assert scorer(step, samples) == pytest.approx(scorer(step, samples, labels), rel=1e-6)


def test_threshold_scorer_agrees_with_the_metric_on_a_reference_of_ones_own(samples):
    step = Substeps()
    exact = BlanesMoan4(SYSTEM, 0.01).simulate(samples, 10.0, save_every=10)
    expected = metrics.threshold_time(step.simulate(samples, 10.0), exact).time
    got = metrics.make_scorer("threshold_time", t_max=10.0)(step, samples)
    assert 1.0 < got < 9.0
    assert got == pytest.approx(expected, rel=1e-6)
    sparse = metrics.make_scorer("threshold_time", t_max=10.0, save_every=3)(step, samples)
    assert sparse == pytest.approx(expected, abs=0.3)


def test_a_threshold_out_of_reach_scores_t_max(samples):
    assert metrics.make_scorer("threshold_time", t_max=1.0)(Substeps(), samples) == 1.0


def test_steps_back_in_time_are_scored_alike(samples):
    scorer = metrics.make_scorer("threshold_time", t_max=8.0)
    assert 1.0 < scorer(Substeps(dt=-0.1), samples) < 8.0


def test_energy_scorer_sees_rounding_only_for_a_sublattice_step(samples):
    score = metrics.make_scorer("neg_energy_drift", t_max=5.0)(Substeps(), samples)
    assert -1e-13 < score <= 0


def test_magnetisation_in_a_field_is_not_scored(samples):
    step = Substeps(HeisenbergLattice((4, 4), field=(0, 0, 1.0)))
    with pytest.raises(ValueError, match="precesses in an external field"):
        metrics.get_scorer("neg_magnetization_drift")(step, samples)


@pytest.mark.filterwarnings("ignore:.*failed:RuntimeWarning")
def test_failed_samples_score_worst(samples):
    assert metrics.get_scorer("neg_one_step_error")(Explodes(), samples) == -np.inf
    for name in ("neg_energy_drift", "neg_magnetization_drift"):
        assert metrics.make_scorer(name, t_max=1.0)(Explodes(), samples) == -np.inf
    # uncorrelated from the first frame on
    assert metrics.make_scorer("threshold_time", t_max=1.0)(Explodes(), samples) < 0.1


# model selection -----------------------------------------------------------------------


@pytest.mark.parametrize("labelled", [False, True])
def test_grouped_cross_validation_by_name(samples, labelled):
    y = BlanesMoan4(SYSTEM, 0.01).step(samples, 10) if labelled else None
    scores = cross_val_score(
        Substeps(), samples, y, groups=GROUPS, cv=GroupKFold(4), scoring="neg_one_step_error"
    )
    assert scores.shape == (4,)
    by_hand = [
        -metrics.one_step_error(Substeps(), samples[test])
        for _, test in GroupKFold(4).split(np.zeros(12), groups=GROUPS)
    ]
    np.testing.assert_allclose(scores, by_hand, rtol=1e-6)


def test_several_scorers_at_once(samples):
    scoring = {
        "error": "neg_one_step_error",
        "threshold": metrics.make_scorer("threshold_time", t_max=2.0),
        "energy": metrics.make_scorer("neg_energy_drift", t_max=2.0),
    }
    result = cross_validate(Substeps(), samples, cv=KFold(3), scoring=scoring)
    assert result["test_error"].shape == result["test_threshold"].shape == (3,)
    assert (np.abs(result["test_energy"]) < 1e-13).all()


def test_grid_search_by_name_finds_the_finest_step(samples):
    search = GridSearchCV(
        Substeps(), {"n": [1, 4, 2]}, scoring="neg_one_step_error", cv=GroupKFold(2)
    ).fit(samples, groups=GROUPS)
    assert search.best_params_ == {"n": 4}
    assert search.score(samples) > -1e-3
    # third order of one step: n substeps are n² times better
    scores = dict(zip([1, 4, 2], search.cv_results_["mean_test_score"], strict=True))
    assert scores[1] / scores[4] == pytest.approx(16, rel=0.2)


def test_parallel_scores_are_the_serial_ones(samples):
    options = {"cv": KFold(3), "scoring": "neg_one_step_error"}
    serial = cross_val_score(Substeps(), samples, **options)
    with joblib.parallel_config(backend="threading"):
        np.testing.assert_array_equal(
            cross_val_score(Substeps(), samples, n_jobs=2, **options), serial
        )


# corrected integrators -----------------------------------------------------------------


class Nothing(ResidueCorrector):
    """The corrector that corrects nothing: what every search must find to be the worst."""

    local = True

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        self.history_ = {"loss": [0.0]}
        return self

    def guarantees(self, base):
        return base.guarantees

    def residue(self, system, before, after):
        return np.zeros_like(after)


@pytest.fixture(scope="module")
def corrected():
    return CorrectedIntegrator(
        SuzukiTrotter2(SYSTEM, 0.1),
        ElementaryDifferentialResidue(order=3),
        reference=BlanesMoan4(SYSTEM, 0.02),
    )


def test_grid_search_over_a_parameter_of_the_corrector(corrected, samples):
    search = GridSearchCV(
        corrected,
        {"corrector__order": [3, 5]},
        scoring="neg_one_step_error",
        cv=GroupKFold(2),
        error_score="raise",
    ).fit(samples, groups=GROUPS)
    assert search.best_params_ == {"corrector__order": 5}
    assert search.best_estimator_.corrector_.order == 5
    assert search.score(samples) == search.best_estimator_.score(samples)
    assert corrected.corrector.order == 3 and not hasattr(corrected, "corrector_")


def test_grid_search_over_whole_correctors(corrected, samples):
    correctors = [Nothing(), ElementaryDifferentialResidue(order=3)]
    search = GridSearchCV(
        corrected, {"corrector": correctors}, cv=GroupKFold(2), error_score="raise"
    ).fit(samples, groups=GROUPS)
    assert search.best_params_ == {"corrector": correctors[1]}
    bare = -metrics.one_step_error(corrected.base, samples)
    np.testing.assert_allclose(search.cv_results_["mean_test_score"][0], bare, rtol=0.3)


def test_labels_and_groups_are_split_like_the_samples(corrected, samples):
    y = BlanesMoan4(SYSTEM, 0.02).step(samples, 5)
    options = {"groups": GROUPS, "cv": GroupKFold(4), "scoring": "neg_one_step_error"}
    with_labels = cross_val_score(corrected, samples, y, error_score="raise", **options)
    without = cross_val_score(corrected, samples, error_score="raise", **options)
    np.testing.assert_allclose(with_labels, without, rtol=1e-4)


PARTICLES_ONLY = {"neg_phase_space_distance", "neg_unstable_count"}


def test_every_scorer_serves_a_corrected_integrator(corrected, samples):
    fitted = clone(corrected).fit(samples)
    for name in set(metrics.get_scorer_names()) - PARTICLES_ONLY:
        parameters = {} if name == "neg_one_step_error" else {"t_max": 2.0}
        assert np.isfinite(metrics.make_scorer(name, **parameters)(fitted, samples)), name


def test_correction_lengthens_the_agreement(corrected, samples):
    fitted = clone(corrected).set_params(corrector__order=4).fit(samples)
    scorer = metrics.make_scorer("threshold_time", t_max=20.0)
    assert scorer(fitted, samples) > 1.3 * scorer(fitted.base, samples)
