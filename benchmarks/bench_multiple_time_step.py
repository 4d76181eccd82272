"""Trajectory error against exact fields: MultipleTimeStep and its classical rivals.

    python benchmarks/bench_multiple_time_step.py                        # 12², stand-in: 10 min
    python benchmarks/bench_multiple_time_step.py --side 24 --fast NAME  # an hour or two a core
    python benchmarks/bench_multiple_time_step.py --side 24 --fast NAME --damping 0.05

NAME is the file of a fitted CorrectedIntegrator, or the name of a pretrained one. Without it,
an exact model with slightly other parameters stands in for a learned field. One start is a
perturbed skyrmion lattice, the other random spins after a relaxation to t = 40.

The reference is the classical Runge-Kutta method with half the smallest step of the rivals; its
distance to the one with twice its step tells how far it has converged. The rivals are the
semi-implicit scheme, with and without the field along the spins, Runge-Kutta (four fields per
step) and Adams-Bashforth (one field per step, with memory).
"""

import argparse
import os
import time

import numpy as np
from common import record

from dlintegrate import (
    ExactDiagonalization,
    KernelPolynomial,
    SemiImplicitB,
    TriangularSDModel,
    load,
    load_pretrained,
    skyrmion_lattice,
)
from dlintegrate.integrators import MultipleTimeStep
from dlintegrate.metrics import torque_error

SEED = 20231107
RELAXATION = 40.0
#: Inner steps of MultipleTimeStep: small enough not to show.
INNER_STEP = 4.0
ADAMS_BASHFORTH = {2: (3 / 2, -1 / 2), 3: (23 / 12, -16 / 12, 5 / 12),
                   4: (55 / 24, -59 / 24, 37 / 24, -9 / 24)}  # fmt: skip


class Counted(TriangularSDModel):
    """Counts the fields of one state each."""

    calls = 0

    def field_of(self, array, sites=None):
        """See TriangularSDModel."""
        type(self).calls += 1
        return super().field_of(array, sites)


def unit(spins):
    """Divide by the length."""
    return spins / np.linalg.norm(spins, axis=-1, keepdims=True)


def velocity(system, spins, damping):
    """Right-hand side of the Landau-Lifshitz-Gilbert equation."""
    torque = np.cross(spins, system.field_of(spins))
    return torque - damping * np.cross(spins, torque)


def runge_kutta(system, spins, damping, dt, n_steps):
    """The classical method of fourth order, on the spheres."""
    for _ in range(n_steps):
        first = velocity(system, spins, damping)
        second = velocity(system, unit(spins + dt / 2 * first), damping)
        third = velocity(system, unit(spins + dt / 2 * second), damping)
        fourth = velocity(system, unit(spins + dt * third), damping)
        spins = unit(spins + dt / 6 * (first + 2 * second + 2 * third + fourth))
    return spins


def adams_bashforth(order):
    """The explicit multistep method, started by Runge-Kutta."""

    def run(system, spins, damping, dt, n_steps):
        known = []
        for _ in range(n_steps):
            if len(known) < order - 1:
                known.insert(0, velocity(system, spins, damping))
                spins = runge_kutta(system, spins, damping, dt, 1)
                continue
            known = [velocity(system, spins, damping), *known][:order]
            change = sum(c * v for c, v in zip(ADAMS_BASHFORTH[order], known, strict=True))
            spins = unit(spins + dt * change)
        return spins

    return run


def semi_implicit(drop_longitudinal):
    """SemiImplicitB as a function like the others."""

    def run(system, spins, damping, dt, n_steps):
        step = SemiImplicitB(system, dt, damping, drop_longitudinal=drop_longitudinal)
        return step.advance(spins, n_steps)

    return run


def multiple_time_step(fast, n_exact):
    """MultipleTimeStep as a function like the others."""

    def run(system, spins, damping, dt, n_steps):
        n_inner = max(1, round(dt / INNER_STEP))
        step = MultipleTimeStep(SemiImplicitB(system, dt, damping), fast, n_inner, n_exact)
        before = Counted.calls
        spins = step.advance(spins, n_steps)
        assert Counted.calls - before == n_steps * step.exact_calls_per_step
        return spins

    return run


def methods(fast):
    """Name to (function, numbers of steps to 40), classical ones first."""
    classical = {
        "SIB": (semi_implicit(False), (40, 20)),
        "SIB without the field along the spins": (semi_implicit(True), (80, 40, 20, 10, 5)),
        "Runge-Kutta 4": (runge_kutta, (20, 10, 5, 3)),
        **{
            f"Adams-Bashforth {order}": (adams_bashforth(order), (40, 20))
            for order in ADAMS_BASHFORTH
        },
    }
    steps = {2: (8, 4, 2), 3: (4, 2, 1), 4: (4, 2, 1), 6: (2, 1)}
    corrected = {
        f"MultipleTimeStep, {n} exact fields per step": (multiple_time_step(fast, n), numbers)
        for n, numbers in steps.items()
    }
    return classical, corrected


def rms(spins, reference):
    """Root mean square distance of a spin, of each sample."""
    return np.sqrt(np.square(spins - reference).sum(-1).mean(axis=(1, 2)))


def measure(name, method, n_steps, exact, start, reference, damping, duration):
    """One row of the table."""
    Counted.calls, began = 0, time.perf_counter()
    spins = method(exact, start, damping, duration / n_steps, n_steps)
    errors = rms(spins, reference)
    row = {
        "method": name, "damping": damping, "dt": duration / n_steps, "exact_calls": Counted.calls,
        "errors": errors, "error": float(np.sqrt(np.mean(errors**2))),
        "seconds": time.perf_counter() - began,
    }  # fmt: skip
    print(
        f"α={damping:<5g}{name:45s} dt={row['dt']:<6.3g} exact fields {row['exact_calls']:4d}  "
        f"error {row['error']:.2e}  {row['seconds']:.1f} s", flush=True,
    )  # fmt: skip
    return row


def calls_for(rows, error):
    """Exact fields with which a method reaches an error, between its measured points.

    None beyond the measured errors.
    """
    rows = sorted(rows, key=lambda row: row["error"])
    errors = np.log([row["error"] for row in rows])
    if not errors[0] <= np.log(error) <= errors[-1]:
        return None
    calls = np.log([row["exact_calls"] for row in rows])
    return float(np.exp(np.interp(np.log(error), errors, calls)))


def add_savings(corrected, classical):
    """How many times fewer exact fields than each classical method at the same error."""
    for row in corrected:
        row["times_fewer_than"] = {}
        for name in sorted({other["method"] for other in classical}):
            needed = calls_for([other for other in classical if other["method"] == name],
                               row["error"])  # fmt: skip
            if needed is not None:
                row["times_fewer_than"][name] = needed / row["exact_calls"]
        shown = ", ".join(f"{name}: {x:.1f}" for name, x in row["times_fewer_than"].items())
        print(f"{row['method']}, dt={row['dt']:g}, error {row['error']:.1e}: times fewer than "
              f"{shown}")  # fmt: skip


def load_fast(name, shape):
    """A learned field, or its stand-in."""
    if name is None:
        return TriangularSDModel(shape, J=1.05, mu=-3.48, solver=ExactDiagonalization())
    return load(name) if os.path.exists(name) else load_pretrained(name)


def main():
    """Measure, print, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=12, choices=(12, 24))
    parser.add_argument("--fast", help="file or pretrained name of a learned field")
    parser.add_argument("--damping", type=float, nargs="+", default=[0.05, 0.0])
    parser.add_argument("--duration", type=float, default=40.0)
    parser.add_argument("--twists", type=int, default=1, help="of the exact field")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the exact field")
    options = parser.parse_args()
    began = time.time()
    shape = (options.side, options.side)
    # at 24² the series is faster than diagonalisation, and takes threads better; all methods
    # see the same field, so its own error (5e-4 of the torque) does not matter here
    solver = (
        ExactDiagonalization(options.twists, options.jobs)
        if options.side == 12
        else KernelPolynomial(200, n_twists=options.twists, n_jobs=options.jobs)
    )
    exact = Counted(shape, solver=solver)
    fast = load_fast(options.fast, shape)
    n_relax = round(RELAXATION / 2)
    random = runge_kutta(exact, exact.random_states(1, SEED), 0.05, 2.0, n_relax)
    lattice = skyrmion_lattice(shape, perturbation=0.3, random_state=SEED)
    start = np.concatenate([lattice, random])
    cheap = MultipleTimeStep(SemiImplicitB(exact, 1.0), fast).cheap_system.matching(start)
    difference = [
        float(torque_error(cheap.field_of(s), exact.field_of(s), s))
        for s in (lattice, random)
    ]  # fmt: skip
    print("torque error of the cheap field at the two starts:", difference, flush=True)
    classical, corrected, references = [], [], []
    for damping in options.damping:
        fine, coarse = (
            runge_kutta(exact, start, damping, options.duration / n, n) for n in (40, 20)
        )
        references.append({"damping": damping, "distance to twice the step": rms(coarse, fine)})
        print(f"α={damping}: reference has converged to", rms(coarse, fine), flush=True)
        alone = runge_kutta(cheap, start, damping, options.duration / 40, 40)
        print("error of the cheap field alone", rms(alone, fine), flush=True)
        references[-1]["error of the cheap field alone"] = rms(alone, fine)
        known, new = (
            [
                measure(name, method, n, exact, start, fine, damping, options.duration)
                for name, (method, numbers) in group.items()
                for n in numbers
            ]
            for group in methods(fast)
        )
        add_savings(new, known)
        classical += known
        corrected += new
    results = {
        "side": options.side, "duration": options.duration, "exact_solver": str(solver),
        "fast": str(fast) if options.fast is None else os.path.basename(options.fast),
        "starts": ["perturbed skyrmion lattice", f"random spins relaxed to t = {RELAXATION:g}"],
        "torque_error_of_the_cheap_field": difference,
        "references": references, "classical": classical, "multiple_time_step": corrected,
    }  # fmt: skip
    name = f"multiple_time_step_{options.side}" + ("" if options.fast is None else "_learned")
    record(name, results, began, seeds=SEED)


if __name__ == "__main__":
    main()
