"""scikit-learn's own estimator checks: those that need no data on everything, and all
applicable ones on CorrectedIntegrator behind a façade that turns rows into spins."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils import estimator_checks as checks
from sklearn.utils.validation import check_is_fitted, validate_data

from dlintegrate import (
    PEFRL,
    BlanesMoan4,
    BlanesMoanRKN4,
    CombinedForce,
    CorrectedIntegrator,
    DampedMidpoint,
    DeepSpinPotential,
    ElementaryDifferentialResidue,
    EquivariantResidue,
    EquivariantSpinPotential,
    EquivariantTorque,
    ExactDiagonalization,
    Fallback,
    FieldTraining,
    GraphForce,
    HeisenbergLattice,
    ImplicitMidpoint,
    KernelPolynomial,
    LearnedComposition,
    LearnedCrystal,
    LearnedPotential,
    LennardJones2D,
    ManyBodyForce,
    MultipleTimeStep,
    PairwiseForce,
    PotentialTraining,
    RollOut,
    RungeKutta4,
    SemiImplicitB,
    SeriesTorque,
    SpinLatticeCrystal,
    SpinLatticeSplitting,
    SublatticeComposition,
    SubsteppedVerlet,
    SuzukiTrotter2,
    SuzukiTrotter4,
    TorqueCNN,
    TriangularSDModel,
    UNetResidue,
    VelocityVerlet,
)
from dlintegrate.systems import (
    BetheSlater,
    CubicAnisotropy,
    CubicExchange,
    FinnisSinclair,
    Morse,
    UniaxialAnisotropy,
)

SYSTEM = HeisenbergLattice(shape=4)
BASE = SuzukiTrotter2(SYSTEM, 0.1)
FLUID = LennardJones2D(4)
VERLET = VelocityVerlet(FLUID, 0.1)
MAGNET = TriangularSDModel((12, 12))
LLG = SemiImplicitB(MAGNET, 0.5, damping=0.1)
EVERYTHING = [
    SYSTEM, BASE, SuzukiTrotter4(SYSTEM, 0.1), BlanesMoan4(SYSTEM, 0.1),
    ImplicitMidpoint(SYSTEM, 0.1), SublatticeComposition(SYSTEM, 0.1, [0.5, 1.0, 0.5]),
    ElementaryDifferentialResidue(), LearnedComposition(), UNetResidue(),
    CorrectedIntegrator(BASE, LearnedComposition()),
    FLUID, VERLET, PEFRL(FLUID, 0.1), BlanesMoanRKN4(FLUID, 0.1), SubsteppedVerlet(FLUID, 0.1),
    RollOut(), Fallback(), PairwiseForce(), ManyBodyForce(), CombinedForce(), GraphForce(),
    CorrectedIntegrator(VERLET, GraphForce(training=RollOut()), fallback=Fallback()),
    MAGNET, LLG, ExactDiagonalization(), KernelPolynomial(), DampedMidpoint(MAGNET, 0.1),
    TorqueCNN(), EquivariantTorque(), FieldTraining(), MultipleTimeStep(LLG, MAGNET),
    CorrectedIntegrator(LLG, EquivariantTorque(training=FieldTraining())),
    RungeKutta4(MAGNET, 0.1), EquivariantResidue(), SeriesTorque(network=EquivariantTorque()),
    SpinLatticeCrystal(), CubicExchange(), BetheSlater(), Morse(), FinnisSinclair(),
    UniaxialAnisotropy(0.1), CubicAnisotropy(0.1),
    SpinLatticeSplitting(SpinLatticeCrystal(), 1.0), LearnedPotential(EquivariantSpinPotential()),
    EquivariantSpinPotential(), DeepSpinPotential(), PotentialTraining(),
    LearnedCrystal(SpinLatticeCrystal(), EquivariantSpinPotential(training=PotentialTraining())),
]  # fmt: skip
WITHOUT_DATA = [
    checks.check_estimator_cloneable,
    checks.check_estimator_repr,
    checks.check_estimator_tags_renamed,
    checks.check_get_params_invariance,
    checks.check_no_attributes_set_in_init,
    checks.check_set_params,
    checks.check_valid_tag_types,
]


@pytest.mark.parametrize("estimator", EVERYTHING, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("check", WITHOUT_DATA, ids=lambda c: c.__name__)
def test_checks_that_need_no_data(estimator, check):
    check(type(estimator).__name__, clone(estimator))


class Rows(RegressorMixin, BaseEstimator):
    """A CorrectedIntegrator whose samples are rows: features become the angles of 4 spins."""

    def __init__(self, order=3, alpha=1e-8):
        self.order = order
        self.alpha = alpha

    def states(self, X):
        angles = np.resize(np.arange(1.0, 9.0), (len(X), 8)) + np.tile(X, 8)[:, :8]
        polar, azimuth = angles[:, :4], angles[:, 4:]
        return np.stack(
            [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], -1
        )

    def fit(self, X, y=None):
        X = validate_data(self, X, y="no_validation" if y is None else y)
        X = X if y is None else X[0]
        system = HeisenbergLattice(shape=(4,))
        corrector = ElementaryDifferentialResidue(order=self.order, alpha=self.alpha)
        self.integrator_ = CorrectedIntegrator(SuzukiTrotter2(system, 0.2), corrector)
        self.integrator_.fit(self.states(X))
        return self

    def predict(self, X):
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return self.integrator_.predict(self.states(X))[:, 0, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.regressor_tags.poor_score = True  # it predicts spins, not the check's y
        return tags


@checks.parametrize_with_checks([Rows()])
def test_checks_with_data(estimator, check):
    check(estimator)
