"""What a learned residue of large steps in the exact field is worth, and where.

    python benchmarks/bench_residue.py      # 10 minutes

Exact diagonalisation, α = 0.1, steps of 4. ``EquivariantResidue`` on top of ``SemiImplicitB``
without the field along the spins, fitted to 64 states and judged by 8 others, after one step and
at t = 32; beside it the classical Runge-Kutta method with as many exact fields (steps of 8).
"""

import time
import warnings

import numpy as np
from common import record

from dlintegrate import (
    CorrectedIntegrator,
    EquivariantResidue,
    ExactDiagonalization,
    FieldTraining,
    RungeKutta4,
    SemiImplicitB,
    TriangularSDModel,
)
from dlintegrate.metrics import one_step_error

STEP, DAMPING = 4.0, 0.1


def model_of(side):
    """The s-d model on a lattice."""
    return TriangularSDModel((side, side), solver=ExactDiagonalization())


def states(kind, side, n, seed):
    """Waves about a common direction, or random spins."""
    return model_of(side).random_states(n, seed, order=3.0 if kind == "spin waves" else 0.0)


def rms(a, b):
    """Root mean square distance of a spin."""
    return float(np.sqrt(((a - b) ** 2).sum(-1).mean()))


def main():
    """Fit, measure, store."""
    warnings.filterwarnings("ignore", message=".*period of 12 sites")
    started = time.time()
    rows = []
    for kind, side, judged in (("spin waves", 6, (6, 12)), ("spin waves", 12, (12,)),
                               ("random", 6, (6,))):  # fmt: skip
        base = SemiImplicitB(model_of(side), STEP, DAMPING, drop_longitudinal=True)
        training = FieldTraining(epochs=60, batch_size=8, learning_rate=0.01)
        step = CorrectedIntegrator(
            base, EquivariantResidue(depth=1, first_reach=3, training=training),
            reference=RungeKutta4(model_of(side), STEP / 2, DAMPING), random_state=0,
        ).fit(states(kind, side, 64, 1))  # fmt: skip
        for other in judged:
            unseen = states(kind, other, 8, 2)
            exact = RungeKutta4(model_of(other), 1.0, DAMPING).step(unseen, 32)
            classical = RungeKutta4(model_of(other), 8.0, DAMPING).step(unseen, 4)
            before, after = one_step_error(base, unseen), one_step_error(step, unseen)
            rows.append({
                "states": kind, "fitted on": side, "judged on": other, "base": before,
                "corrected": after, "times_smaller": before / after,
                "base at t = 32": rms(base.step(unseen, 8), exact),
                "corrected at t = 32": rms(step.step(unseen, 8), exact),
                "Runge-Kutta at t = 32": rms(classical, exact),
            })  # fmt: skip
            print(rows[-1], flush=True)
    record("residue", rows, started, seeds=[1, 2])


if __name__ == "__main__":
    main()
