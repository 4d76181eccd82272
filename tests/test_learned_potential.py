"""LearnedPotential: the base step runs in a potential that was fitted to the exact system."""

import warnings

import numpy as np
import pytest
from atomic_clusters import SpringCluster

import dlintegrate
from dlintegrate import (
    CorrectedIntegrator,
    Fallback,
    HeisenbergLattice,
    LearnedCrystal,
    LearnedPotential,
    SemiImplicitB,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
)
from dlintegrate.potentials import Potential
from dlintegrate.systems import UniaxialAnisotropy
from dlintegrate.testing import check_integrator

EXACT = SpringCluster(3, spring=1.3, J=0.08)


class TwoParameters(Potential):
    """The form of the exact energy with an unknown spring and an unknown exchange."""

    def __init__(self, cutoff=5.0, precision="double", random_state=None):
        self.cutoff = cutoff
        self.precision = precision
        self.random_state = random_state

    energy_weight = force_weight = magnetic_weight = 1.0
    virial_weight = 0.0

    @property
    def symmetries(self):
        return frozenset({"translation", "permutation", "time_reversal", "spin_rotation"})

    def _fit(self, parts, validation):
        (part,) = parts
        columns = []
        for spring, J in ((1.0, 0.0), (0.0, 1.0)):
            form = SpringCluster(part.sizes["atom"], spring, J)
            known = form.compute(part.position.values, part.spin.values)
            columns.append(np.concatenate([known.force.ravel(), known.magnetic_force.ravel()]))
        labels = [part.force.values.ravel(), part.magnetic_force.values.ravel()]
        solution = np.linalg.lstsq(np.stack(columns, 1), np.concatenate(labels), rcond=None)[0]
        self.weights_ = {"w": solution}
        self.history_ = {"loss": [0.0]}

    def _evaluate(self, positions, cell, spins, kinds, virial, moving=False):
        form = SpringCluster(positions.shape[1], *map(float, self.weights_["w"]))
        return form.compute(positions, spins)._replace(virial=np.zeros((len(positions), 3, 3)))


class Nothing(TwoParameters):
    """As even and as isotropic, and no energy at all."""

    def _fit(self, parts, validation):
        self.weights_ = {"w": np.zeros(2)}


SAMPLES = EXACT.random_states(4, 0)


def learned(**options):
    base = SpinLatticeSplitting(EXACT, 1.0)
    return CorrectedIntegrator(base, LearnedPotential(TwoParameters()), **options).fit(SAMPLES)


def test_the_fit_finds_the_exact_potential_and_the_step_runs_in_it():
    fitted = learned()
    np.testing.assert_allclose(fitted.corrector_.potential_.weights_["w"], [1.3, 0.08])
    assert isinstance(fitted.simulated, LearnedCrystal)
    exact = SpinLatticeSplitting(EXACT, 1.0, "midpoint").step(SAMPLES, 20)
    np.testing.assert_allclose(fitted.step(SAMPLES, 20), exact, atol=1e-10)
    run = fitted.simulate(SAMPLES, 20.0)
    np.testing.assert_allclose(run.energy[:, 0], EXACT.energy(SAMPLES))
    assert fitted.score(SAMPLES) == pytest.approx(0.0, abs=1e-12)
    np.testing.assert_array_equal(fitted.reverse().dt, -1.0)


def test_keeps_what_it_declares():
    fitted = learned()
    assert fitted.guarantees == SpinLatticeSplitting(EXACT, 1.0, "midpoint").guarantees
    check_integrator(fitted, max_examples=2)


def test_the_energy_is_projected_in_the_learned_potential():
    projected = learned(projection="energy")
    run = projected.simulate(SAMPLES, 200.0)
    assert np.ptp(run.energy.values, axis=1).max() < 1e-11
    assert "symplectic" not in projected.guarantees and "energy" in projected.guarantees
    check_integrator(projected, max_examples=2)


def test_a_step_out_of_bounds_is_redone_in_the_learned_potential():
    narrow = Fallback(n_substeps=10, bounds={"energy_change": (0.0, 1e-8)})
    run = learned(fallback=narrow).simulate(SAMPLES, 20.0)
    whole = learned().simulate(SAMPLES, 20.0)
    assert (run.status == 1).sum() > 2
    spread, unwatched = (np.ptp(r.energy.values, axis=1).max() for r in (run, whole))
    assert spread < 0.1 * unwatched


def test_labels_may_be_given():
    base = SpinLatticeSplitting(EXACT, 1.0)
    corrected = CorrectedIntegrator(base, LearnedPotential(TwoParameters()))
    other = SpringCluster(3, spring=2.0, J=0.01)
    corrected.fit(SAMPLES, other.evaluate(SAMPLES))
    np.testing.assert_allclose(corrected.corrector_.potential_.weights_["w"], [2.0, 0.01])
    with pytest.raises(ValueError, match="expected the Evaluation"):
        corrected.fit(SAMPLES, SAMPLES)
    with pytest.raises(ValueError, match=r"y.force has shape \(3, 3, 3\)"):
        corrected.fit(SAMPLES, other.evaluate(SAMPLES)._replace(force=np.zeros((3, 3, 3))))


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"field": (0.0, 0.0, 10.0)}, "even in the spins.*add -B·S outside"),
        ({"anisotropy": UniaxialAnisotropy(1e-4)}, "total torque of .*spin_orbit=True"),
    ],
)
def test_terms_that_the_symmetries_of_a_potential_forbid_are_told(terms, message):
    """The Zeeman energy is odd in the spins, and anisotropy knows a direction."""
    base = SpinLatticeSplitting(SpinLatticeCrystal(size=2, **terms), 1.0)
    samples = base.system.random_states(2, 0)
    with pytest.warns(UserWarning, match=message) as said:
        CorrectedIntegrator(base, LearnedPotential(Nothing())).fit(samples)
    assert [w.filename for w in said] == [__file__]


@pytest.mark.parametrize("system", [SpinLatticeCrystal(size=2), "undeclared"])
def test_no_warning_where_the_labels_have_the_symmetry(system):
    """Also of a system that does not declare what it has."""

    class Undeclared(SpringCluster):
        separate_rotation = False

    system = Undeclared(3) if system == "undeclared" else system
    base = SpinLatticeSplitting(system, 1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        CorrectedIntegrator(base, LearnedPotential(Nothing())).fit(system.random_states(2, 0))


def test_a_fit_survives_a_file_and_a_run_resumes(tmp_path):
    fitted = learned()
    dlintegrate.save(fitted, tmp_path / "fit.safetensors")
    loaded = dlintegrate.load(tmp_path / "fit.safetensors", classes=[TwoParameters, SpringCluster])
    whole = fitted.simulate(SAMPLES, 20.0, save_every=2)
    loaded.simulate(SAMPLES, 10.0, save_every=2, path=tmp_path / "run.nc")
    resumed = fitted.resume(tmp_path / "run.nc", 20.0)
    np.testing.assert_array_equal(resumed.phase_space.values, whole.phase_space.values)


def test_what_cannot_be_learned_is_refused():
    spins = HeisenbergLattice(4)
    with pytest.raises(TypeError, match="atoms with moments"):
        LearnedPotential(TwoParameters()).check(SemiImplicitB(spins, 0.1))
    with pytest.raises(TypeError, match="expected one such as"):
        LearnedPotential(None).check(SpinLatticeSplitting(EXACT, 1.0))
    with pytest.raises(ValueError, match="no projection onto magnetization"):
        learned(projection="magnetization")
    damped = SpinLatticeSplitting(EXACT, 1.0, friction=0.1)
    with pytest.raises(ValueError, match=r"friction=0\.1"):
        CorrectedIntegrator(damped, LearnedPotential(TwoParameters()), projection="energy").fit(
            SAMPLES
        )
