"""CorrectedIntegrator: labels, guarantees, projection, sizes, nesting, scikit-learn manners."""

import numpy as np
import pytest
import xarray as xr
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    ImplicitMidpoint,
    LearnedComposition,
    RungeKutta4,
    SemiImplicitB,
    SuzukiTrotter2,
    UNetResidue,
    load,
    sample_canonical,
    save,
)
from dlintegrate.metrics import one_step_error
from dlintegrate.testing import check_integrator

SYSTEM = HeisenbergLattice(shape=4)
RIDGE = ElementaryDifferentialResidue(order=4)
COMPOSITION = LearnedComposition(stages=6, max_iter=3, init="blanes-moan")
TINY_UNET = UNetResidue(width=4, epochs=1, depth=1)


@pytest.fixture(scope="module")
def samples():
    return sample_canonical(SYSTEM, [0.4, 1.44, 2.4], 6, random_state=1)


@pytest.fixture(scope="module")
def base():
    return SuzukiTrotter2(SYSTEM, dt=0.1)


@pytest.fixture(scope="module")
def fitted(base, samples):
    """One fit of each kind, with every kind of projection."""
    both = ("energy", "magnetization")
    return {
        "ridge": CorrectedIntegrator(base, RIDGE).fit(samples),
        "ridge, projected": CorrectedIntegrator(base, RIDGE, projection=both).fit(samples),
        "ridge, energy": CorrectedIntegrator(base, RIDGE, projection="energy").fit(samples),
        "composition": CorrectedIntegrator(base, COMPOSITION).fit(samples),
        "composition, magnetization": CorrectedIntegrator(
            base, COMPOSITION, projection="magnetization"
        ).fit(samples),
        "network": CorrectedIntegrator(base, TINY_UNET, random_state=0).fit(samples),
        "network, projected": CorrectedIntegrator(
            base, TINY_UNET, projection=both, random_state=0
        ).fit(samples),
    }


KINDS = [
    "ridge", "ridge, projected", "ridge, energy", "composition", "composition, magnetization",
    "network", "network, projected",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_keeps_what_it_declares(fitted, kind):
    check_integrator(fitted[kind], max_examples=3)


@pytest.mark.parametrize("kind", ["ridge, projected", "network, projected"])
def test_projection_is_declared(fitted, kind):
    assert {"norm", "energy", "magnetization"} <= fitted[kind].guarantees
    assert "time_reversible" not in fitted[kind].guarantees


def test_a_learned_composition_stays_reversible_and_a_projection_costs_that(fitted):
    assert "time_reversible" in fitted["composition"].guarantees
    assert "time_reversible" not in fitted["composition, magnetization"].guarantees


def test_a_correction_is_better_than_its_base(fitted, base):
    unseen = sample_canonical(SYSTEM, [0.4, 1.44, 2.4], 2, random_state=2)
    bare = one_step_error(base, unseen)
    assert one_step_error(fitted["ridge"], unseen) < 0.1 * bare
    assert one_step_error(fitted["composition"], unseen) < 0.1 * bare


def test_projection_keeps_energy_and_magnetization_over_a_long_run(fitted, samples):
    trajectory = fitted["ridge, projected"].simulate(samples, t_max=20.0, save_every=50)
    n = SYSTEM.n_sites
    assert np.abs(trajectory.energy - trajectory.energy[:, 0]).max() < 1e-12 * n
    assert np.abs(trajectory.magnetization - trajectory.magnetization[:, 0]).max() < 1e-12 * n


def test_labels_are_the_reference_after_one_large_step(base, samples):
    """The default reference, at dt/100, is as good as a converged one to 1e-6."""
    converged = BlanesMoan4(SYSTEM, 0.01).step(samples, 10).values
    default = CorrectedIntegrator(base, RIDGE).make_labels(samples)
    assert np.abs(default - converged).max() < 5e-6
    fourth = CorrectedIntegrator(base, RIDGE, reference=BlanesMoan4(SYSTEM, 0.02), n_jobs=2)
    assert np.abs(fourth.make_labels(samples) - converged).max() < 1e-8


def test_the_fit_does_not_depend_on_the_number_of_jobs(base, samples):
    fits = [CorrectedIntegrator(base, RIDGE, n_jobs=n).fit(samples) for n in (1, 2)]
    assert (fits[0].step(samples).values == fits[1].step(samples).values).all()


def test_labels_of_ones_own_are_used(base, samples):
    labels = BlanesMoan4(SYSTEM, 0.02).step(samples, 5)
    own = CorrectedIntegrator(base, RIDGE).fit(samples, labels)
    made = CorrectedIntegrator(base, RIDGE, reference=BlanesMoan4(SYSTEM, 0.02)).fit(samples)
    assert (own.step(samples).values == made.step(samples).values).all()
    assert own.score(samples, labels) == pytest.approx(-one_step_error(own, samples, labels))


def test_predict_is_the_state_one_step_later(fitted, samples):
    predicted = fitted["ridge"].predict(samples)
    assert isinstance(predicted, xr.DataArray) and predicted.dims == samples.dims
    xr.testing.assert_identical(predicted, fitted["ridge"].step(samples))


class TestSizes:
    @pytest.mark.parametrize("kind", ["ridge", "ridge, projected", "composition"])
    def test_a_local_corrector_serves_any_lattice(self, fitted, base, kind):
        large = HeisenbergLattice((6, 4, 8))
        unseen = sample_canonical(large, 1.44, 4, random_state=3)
        trajectory = fitted[kind].simulate(unseen, t_max=0.5)
        assert trajectory.spin.shape == (4, 6, 6, 4, 8, 3)
        assert one_step_error(fitted[kind], unseen) < 0.1 * one_step_error(base, unseen)

    def test_a_dense_network_takes_its_own_size_only(self, base, samples):
        dense = UNetResidue(width=4, epochs=1, depth=1, bottleneck="dense")
        corrected = CorrectedIntegrator(base, dense, random_state=0).fit(samples)
        corrected.step(samples)
        other = HeisenbergLattice(6).random_states(1, 0)
        with pytest.raises(ValueError, match=r"not local.*\(4, 4, 4, 3\)"):
            corrected.step(other)

    def test_another_dimension_is_refused(self, fitted):
        with pytest.raises(ValueError, match=r"dimensions \('sample', 'x', 'y', 'z'"):
            fitted["ridge"].step(HeisenbergLattice((4, 4)).random_states(1, 0))


class TestNesting:
    def test_a_fitted_one_is_a_base(self, fitted, samples):
        """What the composition leaves, a ridge on top of it takes away."""
        nested = CorrectedIntegrator(
            fitted["composition"], ElementaryDifferentialResidue(order=5), n_jobs=1
        ).fit(samples)
        assert one_step_error(nested, samples) < one_step_error(fitted["composition"], samples)
        check_integrator(nested, max_examples=2)

    def test_an_unfitted_base_is_fitted_as_a_clone(self, base, samples):
        inner = CorrectedIntegrator(base, RIDGE)
        outer = CorrectedIntegrator(inner, RIDGE).fit(samples)
        assert not hasattr(inner, "step_") and hasattr(outer.base_, "step_")
        outer.step(samples)


class TestManners:
    def test_init_stores_and_fit_leaves_the_parameters_alone(self, base, samples):
        corrector, samples_before = clone(RIDGE), samples.copy(deep=True)
        corrected = CorrectedIntegrator(base, corrector)
        assert corrected.base is base and corrected.corrector is corrector
        assert corrected.fit(samples) is corrected
        assert not hasattr(corrector, "coef_")
        xr.testing.assert_identical(samples, samples_before)
        assert set(vars(corrected)) - set(corrected.get_params(deep=False)) == {
            "base_", "corrector_", "step_", "history_", "state_shape_", "domain_",
        }  # fmt: skip

    def test_nested_parameters(self, base):
        corrected = CorrectedIntegrator(base, RIDGE)
        twin = clone(corrected).set_params(corrector__order=3, base__dt=0.05, base__system__J=2.0)
        assert twin.corrector.order == 3 and twin.dt == 0.05 and twin.system.J == 2.0
        assert corrected.base.dt == 0.1, "a clone is independent"

    def test_a_residue_refuses_another_base_until_it_is_fitted_again(self, base, samples, tmp_path):
        corrected = CorrectedIntegrator(clone(base), RIDGE).fit(samples)
        expected = corrected.step(samples[:2])
        save(corrected, tmp_path / "fitted.joblib")
        for fitted in (corrected, load(tmp_path / "fitted.joblib")):
            fitted.set_params(base__dt=0.05)
            with pytest.raises(ValueError, match=r"dt=0\.05.* not that of the fit.*fit again"):
                fitted.simulate(samples[:2], t_max=0.1)
            fitted.base.dt = 0.1
            xr.testing.assert_identical(fitted.step(samples[:2]), expected)
        corrected.set_params(base__dt=0.05).fit(samples)
        assert corrected.simulate(samples[:2], t_max=0.1).sizes["time"] == 3

    def test_a_step_is_suggested_for_what_serves_more_than_one(self, fitted, samples):
        for kind in KINDS:
            with pytest.raises(
                ValueError, match="learned for one step; ask suggest_dt of its base"
            ):
                fitted[kind].suggest_dt(samples[:2], 1e-3)

    def test_numbers_may_be_written_as_ints(self, samples):
        base = SuzukiTrotter2(HeisenbergLattice(4, J=1.0), dt=0.1)
        same = BlanesMoan4(HeisenbergLattice(4, J=1, field=[0, 0, 0]), dt=0.02)
        CorrectedIntegrator(base, RIDGE, reference=same).fit(samples[:4])

    def test_a_base_that_cannot_make_its_step_is_named(self, samples):
        cold = HeisenbergLattice(4).random_states(2, 0, order=30.0)
        base = ImplicitMidpoint(HeisenbergLattice(4), 0.2)
        for corrector in (RIDGE, TINY_UNET):
            with pytest.raises(ValueError, match="failed on some samples; give it a smaller dt"):
                CorrectedIntegrator(base, corrector).fit(cold)

    def test_fitting_again_forgets(self, fitted, base, samples):
        again = CorrectedIntegrator(base, RIDGE).fit(samples[:6]).fit(samples)
        assert (again.step(samples).values == fitted["ridge"].step(samples).values).all()

    def test_history(self, fitted):
        for kind in KINDS:
            assert len(fitted[kind].history_["loss"]) >= 1

    @pytest.mark.parametrize("method", ["step", "predict", "score", "simulate"])
    def test_unfitted(self, base, samples, method):
        corrected = CorrectedIntegrator(base, RIDGE)
        with pytest.raises(NotFittedError, match="fit"):
            getattr(corrected, method)(samples, *((1.0,) if method == "simulate" else ()))

    def test_same_seed_same_network(self, base, samples):
        steps = [
            CorrectedIntegrator(base, TINY_UNET, random_state=3).fit(samples).step(samples).values
            for _ in range(2)
        ]
        assert (steps[0] == steps[1]).all()


class TestBadInput:
    def test_reference(self, base, samples):
        with pytest.raises(ValueError, match=r"reference\.dt=0\.03 does not divide base\.dt=0\.1"):
            CorrectedIntegrator(base, RIDGE, reference=BlanesMoan4(SYSTEM, 0.03)).fit(samples)
        other = BlanesMoan4(HeisenbergLattice(4, J=2.0), 0.02)
        with pytest.raises(ValueError, match=r"reference\.system.*differs"):
            CorrectedIntegrator(base, RIDGE, reference=other).fit(samples)

    def test_a_reference_that_fails(self, samples):
        hot = ImplicitMidpoint(SYSTEM, 5.0)
        with pytest.raises(ValueError, match=r"reference=.*smaller dt"):
            CorrectedIntegrator(SuzukiTrotter2(SYSTEM, 5.0), RIDGE, reference=hot).fit(samples)

    @pytest.mark.parametrize("projection", ["momentum", ("energy", "spin"), "Energy"])
    def test_projection(self, base, samples, projection):
        with pytest.raises(ValueError, match="projection="):
            CorrectedIntegrator(base, RIDGE, projection=projection).fit(samples)

    def test_device(self, base, samples):
        with pytest.raises(ValueError, match="device='nonsense'"):
            CorrectedIntegrator(base, TINY_UNET, device="nonsense").fit(samples)

    def test_samples_and_labels(self, base, samples):
        with pytest.raises(ValueError, match="NaN"):
            CorrectedIntegrator(base, RIDGE).fit(samples.where(samples.temperature > 1))
        with pytest.raises(ValueError, match=r"y has shape \(3, 4, 4, 4, 3\)"):
            CorrectedIntegrator(base, RIDGE).fit(samples, samples[:3])


class TestDampedBases:
    """What a correction of damped or noisy steps must not learn or undo."""

    LATTICE = HeisenbergLattice((4, 4))

    def refused(self, samples_of, message, **options):
        with pytest.raises(ValueError, match=message):
            CorrectedIntegrator(corrector=RIDGE, **options).fit(samples_of.random_states(4, 0))

    def test_a_reference_without_the_damping_of_the_base_is_refused(self):
        base = SemiImplicitB(self.LATTICE, 0.1, damping=0.5)
        reference = RungeKutta4(self.LATTICE, 0.05)
        self.refused(self.LATTICE, "would undo the damping", base=base, reference=reference)

    def test_noise_is_no_label(self):
        base = SemiImplicitB(self.LATTICE, 0.1, damping=0.5, temperature=0.2)
        self.refused(self.LATTICE, "noise cannot be learned", base=base)

    def test_the_energy_that_damping_takes_is_not_given_back(self):
        base = SemiImplicitB(self.LATTICE, 0.1, damping=0.5)
        self.refused(self.LATTICE, "would give it back", base=base, projection="energy")
