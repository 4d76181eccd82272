"""The benchmark harness: fronts, break-even times, what an explosion does, and a whole small run."""

from dataclasses import replace

import pytest
import xarray as xr

from dlintegrate import (
    BlanesMoan4,
    CorrectedIntegrator,
    ElementaryDifferentialResidue,
    HeisenbergLattice,
    SuzukiTrotter2,
)
from dlintegrate.benchmark import (
    Case,
    Learned,
    Method,
    fit_corrected,
    run_benchmark,
)

SYSTEM = HeisenbergLattice(4)
SMALL, LARGE = "4³", "6³"


def point(method, error, cost, dt=0.1, kind="classical", seconds=0.0):
    return {
        "method": method, "kind": kind, "dt": dt, "error": error, "cost": {"many": cost},
        "label_seconds": 0.25 * seconds, "training_seconds": 0.75 * seconds,
    }  # fmt: skip


def spins(side, n, seed):
    return HeisenbergLattice(side).random_states(n, seed, order=2.0)


def tiny(**changes):
    """Two classical methods and a ridge regression on 4³."""

    def states(side, n, seed):
        dims = ("sample", "x", "y", "z", "component")
        return xr.DataArray(spins(side, n, seed), dims=dims, name="spin")

    def fit(dt, train, seed):
        small = HeisenbergLattice(4)
        return fit_corrected(
            CorrectedIntegrator(
                SuzukiTrotter2(small, dt), ElementaryDifferentialResidue(3),
                reference=BlanesMoan4(small, dt / 5), n_jobs=1,
            ),
            train, seed,
        )  # fmt: skip

    case = Case(
        name="tiny", title="a test", horizon=0.4,
        methods=(
            Method("ST2", (0.2, 0.1, 0.05), lambda dt: SuzukiTrotter2(SYSTEM, dt)),
            Method("BM4", (0.4, 0.2), lambda dt: BlanesMoan4(SYSTEM, dt)),
            Learned("residue", (0.1,), fit),
        ),
        train=lambda seed: states(4, 8, 50 + seed),
        test=lambda seed: {SMALL: states(4, 3, seed), LARGE: states(6, 1, seed)},
        reference=lambda dt: BlanesMoan4(SYSTEM, dt / 40),
        predictions={"at rest": lambda system, array, horizon: array.copy()},
        reverse=lambda array: -array,
        long_time=2.0, run_seconds=0.01, cost_seconds=0.001,
    )  # fmt: skip
    return replace(case, **changes)


@pytest.fixture(scope="module")
def results():
    return run_benchmark(tiny(), seeds=(0, 1), say=lambda line: None)
