"""The ridge regression on elementary differentials: its fit, and a corrected step."""

import pytest

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
)

SYSTEM = HeisenbergLattice(6)


@pytest.fixture
def corrected():
    """Not fitted."""
    return CorrectedIntegrator(
        SuzukiTrotter2(SYSTEM, 0.1), ElementaryDifferentialResidue(5),
        reference=BlanesMoan4(SYSTEM, 0.02), n_jobs=1,
    )  # fmt: skip


def test_ridge_fit(benchmark, corrected):
    """Order 5 on twelve states of 6³, without their labels."""
    states = SYSTEM.random_states(12, 0, order=1.0)
    labels = BlanesMoan4(SYSTEM, 0.02).advance(states, 5)
    benchmark.pedantic(corrected.fit, (states, labels), rounds=3, warmup_rounds=1)


def test_corrected_step(benchmark, corrected):
    """One step of 16³ with the terms of order 5."""
    corrected.fit(SYSTEM.random_states(12, 0, order=1.0))
    spins = HeisenbergLattice(16).random_states(1, 0)
    corrected.advance(spins, 1)
    benchmark(corrected.advance, spins, 1)
