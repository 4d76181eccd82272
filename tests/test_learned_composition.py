"""A learned composition beats the classical one it started from and keeps all that one keeps."""

import joblib
import numpy as np
import pytest

from dlintegrate import CorrectedIntegrator, HeisenbergLattice, sample_canonical
from dlintegrate.correctors import LearnedComposition, composition_starts
from dlintegrate.correctors.composition_fit import (
    OneStepError,
    Parametrisation,
    lbfgs,
    levenberg_marquardt,
)
from dlintegrate.correctors.composition_table import COMPOSITIONS
from dlintegrate.integrators import (
    BlanesMoan4,
    ImplicitMidpoint,
    SemiImplicitB,
    SublatticeComposition,
    SuzukiTrotter2,
)

TEMPERATURES = (0.4, 1.44, 2.4)
DT = 0.3


def reference(system, states, dt):
    """Sixth order at dt / 30: right to 1e-11."""
    fine = SublatticeComposition(system, dt / 30, composition_starts.blanes_moan(10))
    return fine.advance(states, 30)


def error(integrator, states):
    """rms error per spin of one step, for each sample."""
    difference = integrator.advance(states, 1) - reference(
        integrator.system.matching(states), states, integrator.dt
    )
    return np.sqrt((difference**2).sum(-1).reshape(len(states), -1).mean(1))


@pytest.fixture(scope="module")
def data():
    system = HeisenbergLattice(4)
    samples = sample_canonical(system, TEMPERATURES, 12, random_state=1, n_jobs=1).values
    return system, samples, reference(system, samples, DT)


@pytest.fixture(scope="module")
def learned(data):
    system, X, Y = data
    base = SuzukiTrotter2(system, DT)
    corrector = LearnedComposition(stages=6, init="blanes-moan", max_iter=25).fit(base, X, Y)
    return base, corrector


def test_beats_blanes_moan_on_unseen_samples_of_another_size(learned):
    _, corrector = learned
    large = HeisenbergLattice(8)
    step = corrector.bind(SuzukiTrotter2(large, DT))
    for temperature in TEMPERATURES:
        unseen = sample_canonical(large, temperature, 2, random_state=2, n_jobs=1).values
        ratio = error(step, unseen).mean() / error(BlanesMoan4(large, DT), unseen).mean()
        assert ratio < 0.65, f"at T = {temperature}"


def test_energy_norm_and_reversibility_are_exact(learned):
    base, corrector = learned
    step = corrector.bind(base)
    start = sample_canonical(base.system, 1.0, 3, random_state=3, n_jobs=1).values
    end = step.advance(start, 200)
    energy = base.system.energy(end) - base.system.energy(start)
    assert np.abs(energy).max() / base.system.n_sites < 1e-12
    assert np.abs(np.linalg.norm(end, axis=-1) - 1).max() < 1e-12
    # to go back is the same composition with the time step negated
    back = corrector.bind(base.with_dt(-DT)).advance(step.advance(start, 5), 5)
    np.testing.assert_allclose(back, start, rtol=0, atol=1e-12)
    assert corrector.guarantees(base) == BlanesMoan4(base.system, DT).guarantees


def test_the_error_never_grows_and_the_cost_is_known(learned):
    _, corrector = learned
    assert (np.diff(corrector.history_["loss"]) <= 0).all()
    assert corrector.history_["loss"][0] == pytest.approx(1, rel=0.1)  # Blanes-Moan itself
    assert corrector.history_["loss"][-1] < 0.5
    assert corrector.n_half_sweeps_ == 12
    assert corrector.coefficients_.shape == (13,)
    assert corrector.angle_coefficients_.shape == (13, 3)
    assert corrector.local


@pytest.mark.parametrize("stages", [1, 2, 5, 6, 9])
@pytest.mark.parametrize("processor", [0, 6])
def test_consistency_holds_for_any_parameters(stages, processor):
    parametrisation = Parametrisation(stages, True, processor)
    parameters = np.random.default_rng(stages).standard_normal(parametrisation.n_free)
    step, chi = parametrisation.sweeps(parameters)
    np.testing.assert_allclose([step[::2, 0].sum(), step[1::2, 0].sum()], 1.0, rtol=0, atol=1e-13)
    np.testing.assert_array_equal(step, step[::-1])
    if processor:
        np.testing.assert_allclose([chi[::2, 0].sum(), chi[1::2, 0].sum()], 0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(parametrisation.parameters(step, chi), parameters, atol=1e-12)


@pytest.mark.parametrize("processor", [0, 6])
def test_the_fit_sees_what_the_integrator_does(data, processor):
    """The residuals of the fit are those of SublatticeComposition."""
    system, X, _ = data
    parametrisation = Parametrisation(3, True, processor)
    parameters = 0.1 * np.random.default_rng(0).standard_normal(parametrisation.n_free)
    step, chi = parametrisation.sweeps(parameters)
    integrator = SublatticeComposition(
        system, DT, step[:, 0], step[:, 1:] / step[:, :1], 1,
        chi[:, 0] if processor else None, chi[:, 1:] / chi[:, :1] if processor else None,
    )  # fmt: skip
    seen = OneStepError(parametrisation, system, DT, X, np.zeros_like(X), np.ones(len(X)), 2, 1)
    expected = integrator.advance(X, 2).ravel() / np.sqrt(X.size / 3)
    np.testing.assert_allclose(seen(parameters), expected, rtol=0, atol=1e-13)


def test_a_processor_helps_and_is_undone_exactly(data, learned):
    base, plain = learned
    _, X, Y = data
    corrector = LearnedComposition(
        stages=6, processor=True, init="blanes-moan", n_fit_samples=12, max_iter=20
    ).fit(base, X, Y, random_state=0)
    step = corrector.bind(base)
    unseen = sample_canonical(base.system, 1.0, 8, random_state=4, n_jobs=1).values
    exact = unseen
    for _ in range(4):
        exact = reference(base.system, exact, DT)

    def after_four(integrator):
        return np.sqrt(((integrator.advance(unseen, 4) - exact) ** 2).sum(-1).mean())

    assert after_four(step) < 0.85 * after_four(plain.bind(base))
    assert "time_reversible" not in step.guarantees
    # a run of four steps is two of two, though the processor is undone in between
    np.testing.assert_allclose(
        step.advance(step.advance(X, 2), 2), step.advance(X, 4), rtol=0, atol=1e-12
    )
    assert np.abs(corrector.processor_).max() > 1e-3


def test_lbfgs_through_torch_goes_the_same_way(data):
    system, X, Y = data
    parametrisation = Parametrisation(5, False)
    residual = OneStepError(parametrisation, system, DT, X[::9], Y[::9], np.ones(4))
    start = parametrisation.parameters(composition_starts.rows(composition_starts.blanes_moan(5)))
    found, history = lbfgs(residual, start, 8)
    assert history[-1] < 0.9 * history[0]
    assert np.linalg.norm(residual(found)) == pytest.approx(history[-1], rel=1e-9)
    _, gauss_newton = levenberg_marquardt(residual, start, 30)
    assert gauss_newton[0] == pytest.approx(history[0], rel=1e-9)
    assert gauss_newton[-1] < 1.01 * history[-1]


@pytest.mark.parametrize(
    "system, temperature",
    [
        (HeisenbergLattice(4, J=-1.0), 0.8),
        (HeisenbergLattice((6, 4), J=0.5, field=(0.0, 0.3, 0.4)), 0.4),
        (HeisenbergLattice((8,)), 0.5),
    ],
)
def test_learns_for_antiferromagnets_fields_and_fewer_dimensions(system, temperature):
    X = sample_canonical(system, temperature, 24, random_state=5, n_jobs=1).values
    base = SuzukiTrotter2(system, DT)
    Y = reference(system, X, DT)
    corrector = LearnedComposition(stages=6, max_iter=12).fit(base, X[:16], Y[:16])
    unseen = X[16:]
    assert (
        error(corrector.bind(base), unseen).mean()
        < 0.7 * error(BlanesMoan4(system, DT), unseen).mean()
    )


@pytest.mark.parametrize("entry", COMPOSITIONS, ids=lambda e: f"{e['stages']}-{e['dt']:.3g}")
def test_shipped_starts_are_consistent_and_beat_their_classical_method(data, entry):
    system, X, _ = data
    dt, states = entry["dt"], X[::6]
    n_steps = 4 if entry["processor"] else 1
    chi = entry["processor"] or (None, None)
    shipped = SublatticeComposition(system, dt, *composition_starts.palindrome(entry), 0, *chi)
    classical = SublatticeComposition(system, dt, composition_starts.blanes_moan(entry["stages"]))
    exact = states
    for _ in range(n_steps):
        exact = reference(system, exact, dt)
    ours, theirs = (
        np.sqrt(((method.advance(states, n_steps) - exact) ** 2).sum(-1).mean())
        for method in (shipped, classical)
    )
    assert ours < 0.6 * theirs


def test_shipped_processors_are_starts(data):
    system, X, _ = data
    base = SuzukiTrotter2(system, 0.6)
    labels = reference(system, X, 0.6)
    corrector = LearnedComposition(stages=6, processor=True, max_iter=0).fit(base, X, labels)
    assert corrector.start_ == "shipped, dt=0.6"
    assert corrector.history_["loss"][-1] < 0.5


def test_start_of_chance_is_reproducible(data):
    system, X, Y = data
    base = SuzukiTrotter2(system, DT)
    make = LearnedComposition(
        stages=4, angle_function=False, init="random", n_restarts=2, max_iter=5
    ).fit
    first, second = (make(base, X, Y, random_state=7).coefficients_.copy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_falls_back_to_the_start_with_a_warning(data):
    """Learned from one sample, and that with a wrong label, it is useless on the rest."""
    system, X, Y = data
    base = SuzukiTrotter2(system, DT)
    wrong = Y.copy()
    wrong[0] = BlanesMoan4(system, 0.99 * DT).advance(X[:1], 1)[0]
    X, wrong = X[:12], wrong[:12]  # one temperature
    wrong[1:] = BlanesMoan4(system, DT).advance(X[1:], 1)
    wrong[1:] += 1e-2 * np.random.default_rng(0).standard_normal(wrong[1:].shape)
    corrector = LearnedComposition(init="blanes-moan", n_fit_samples=1)
    with pytest.warns(RuntimeWarning, match="start is kept"):
        corrector.fit(base, X, wrong)
    expected = composition_starts.blanes_moan(6)
    np.testing.assert_allclose(corrector.coefficients_, expected, rtol=0, atol=1e-14)


def test_inside_corrected_integrator_and_through_joblib(tmp_path, data):
    system, X, _ = data
    fitted = CorrectedIntegrator(
        SuzukiTrotter2(system, 0.1), LearnedComposition(max_iter=5), BlanesMoan4(system, 0.02)
    ).fit(X)
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    again = joblib.load(tmp_path / "fitted.joblib")
    np.testing.assert_array_equal(fitted.predict(X[:2]), again.predict(X[:2]))


@pytest.mark.parametrize(
    "bad, message",
    [
        ({"stages": 0}, "stages=0"),
        ({"stages": 2.5}, "stages=2.5"),
        ({"init": "yoshida"}, "init='yoshida'"),
        ({"solver": "adam"}, "solver='adam'"),
        ({"n_restarts": -1}, "n_restarts=-1"),
        ({"max_iter": -1}, "max_iter=-1"),
        ({"n_fit_samples": 0}, "n_fit_samples=0"),
    ],
)
def test_refuses_bad_parameters(data, bad, message):
    system, X, Y = data
    with pytest.raises(ValueError, match=message):
        LearnedComposition(**bad).fit(SuzukiTrotter2(system, DT), X, Y)


def test_refuses_a_base_that_loses_energy(data):
    system, X, Y = data
    for options, message in (
        ({"damping": 0.1}, "base has damping=0.1"),
        ({"damping": 0.1, "temperature": 1.0}, "base has damping"),
    ):
        with pytest.raises(ValueError, match=message):
            LearnedComposition().fit(SemiImplicitB(system, DT, **options), X, Y)


def test_refuses_odd_sides_and_another_time_step(learned):
    base, corrector = learned
    odd = HeisenbergLattice(5)
    states = np.zeros((1, 5, 5, 5, 3))
    states[..., 2] = 1
    with pytest.raises(ValueError, match="even sides"):
        LearnedComposition().fit(ImplicitMidpoint(odd, DT), states, states)
    with pytest.raises(ValueError, match=r"learned for dt=0.3"):
        corrector.bind(base.with_dt(0.1))
