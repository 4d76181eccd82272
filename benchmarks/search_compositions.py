"""Search for the compositions that ship as starts: dlintegrate/correctors/composition_table.py.

For every number of stages and budget, the table's own entry, those of its
neighbours (at other dt, and with fewer stages, grown by splitting a sweep), the
classical methods and random starts are refined on equilibrium samples of 6³, and
the table keeps what is best on unseen ones, at the temperature where it is worst.
Run it again to go on from there::

    python benchmarks/search_compositions.py --budgets 20 40 80 120 --stages 6 8 10 12

The table was begun by a longer search of the same kind on 4³ without angle
functions, some thousand starts for each number of stages.
"""

import argparse
import textwrap
import time

import numpy as np
from common import record

from dlintegrate import HeisenbergLattice, LearnedComposition, SuzukiTrotter2, sample_canonical
from dlintegrate.correctors import composition_starts, composition_table
from dlintegrate.integrators import SublatticeComposition

TEMPERATURES = (0.4, 1.0, 1.44, 2.4)
HEADER = '''"""Learned compositions that serve as starts.

Written by benchmarks/search_compositions.py. Sweep lengths in units of dt and angle
coefficients c1, c2, c3 (or None) of half a palindrome, for J = 1 and no field; fitted on
6³ at T = 0.4, 1, 1.44, 2.4. A processor is ``(lengths, angle coefficients)``.
"""

# fmt: off
COMPOSITIONS = [
'''


def reference(system, states, dt):
    """Sixth order with dt at most 0.02."""
    n = max(12, int(np.ceil(dt / 0.02)))
    lengths = composition_starts.blanes_moan(10)
    return SublatticeComposition(system, dt / n, lengths).advance(states, n)


def rms(difference):
    """rms per spin of each temperature's block."""
    return np.sqrt((difference**2).sum(-1).reshape(len(TEMPERATURES), -1).mean(1))


def one_entry(options, stages, budget, samples, rng):
    """Refine all starts; return the best as a table entry and its errors by temperature."""
    system, dt = HeisenbergLattice(6), 2 * stages / budget
    processor, trials = options.processor, options.trials
    base = SuzukiTrotter2(system, dt)
    train, test = samples
    labels = reference(system, train, dt)
    n_steps = 4 if processor else 1
    exact = reference(system, test, n_steps * dt)
    classical = SublatticeComposition(system, dt, composition_starts.blanes_moan(stages))
    scale = rms(classical.advance(test, n_steps) - exact)
    common = {
        "stages": stages, "processor": processor, "angle_function": not options.no_angles,
        "n_fit_samples": 8,
    }  # fmt: skip
    tries = [LearnedComposition(**common, n_restarts=trials)]
    if not processor:
        tries += [LearnedComposition(**common, init=grown) for grown in _grown(stages, rng, trials)]
    found = []
    for corrector in tries:
        corrector.fit(base, train, labels, random_state=rng)
        found.append((corrector.start_, _entry(corrector, stages, dt)))
    found += [
        ("the table", old) for old in composition_table.COMPOSITIONS if same(old, found[0][1])
    ]

    def errors(entry):
        chi = entry["processor"] or (None, None)
        lengths, angles = composition_starts.palindrome(entry)
        method = SublatticeComposition(system, dt, lengths, angles, 0, *chi)
        return rms(method.advance(test, n_steps) - exact)

    start, entry = min(found, key=lambda pair: (errors(pair[1]) / scale).max())
    return entry, errors(entry) / (n_steps * dt), start


def _grown(stages, rng, count):
    """Compositions of two stages fewer with one sweep of the half split in three."""
    parents = [e for e in composition_table.COMPOSITIONS if e["stages"] == stages - 2]
    for _ in range(count if parents else 0):
        half = np.array(parents[rng.integers(len(parents))]["half"])
        at, part = rng.integers(stages - 2), rng.uniform(0.2, 0.8)
        split = [half[at] * part, 0.05 * rng.standard_normal(), half[at] * (1 - part)]
        half = np.concatenate([half[:at], split, half[at + 1 :]])
        half += rng.choice([0.003, 0.03]) * rng.standard_normal(len(half))
        yield composition_starts.complete(half[: stages - 1], stages)


def _entry(corrector, stages, dt):
    middle, angles = stages + 1, corrector.angle_coefficients_
    processor = None
    if corrector.processor_ is not None:
        processor = (corrector.processor_, corrector.processor_angles_)
    return {
        "stages": stages, "dt": dt, "half": corrector.coefficients_[:middle],
        "angles": None if angles is None else angles[:middle], "processor": processor,
    }  # fmt: skip


def write_table(entries):
    """Write the module of shipped starts."""

    def text(value):
        if isinstance(value, dict):
            return "{" + ", ".join(f'"{k}": {text(v)}' for k, v in value.items()) + "}"
        if isinstance(value, np.ndarray):
            return text(value.tolist())
        if isinstance(value, list | tuple):
            return "[" + ", ".join(map(text, value)) + "]"
        return repr(value) if isinstance(value, int) or value is None else f"{value:.16g}"

    entries = sorted(
        entries,
        key=lambda e: (e["processor"] is not None, e["angles"] is not None, e["stages"], e["dt"]),
    )
    wrapped = [
        textwrap.fill(text(e), 98, initial_indent="    ", subsequent_indent="     ") + ",\n"
        for e in entries
    ]
    with open(composition_table.__file__, "w", encoding="utf-8") as file:
        file.write(HEADER + "".join(wrapped) + "]\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stages", type=int, nargs="+", default=[6, 8, 10, 12])
    parser.add_argument("--budgets", type=int, nargs="+", default=[20, 40, 80, 120])
    parser.add_argument("--processor", action="store_true")
    parser.add_argument("--no-angles", action="store_true")
    parser.add_argument("--trials", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started, rng = time.time(), np.random.default_rng(options.seed)
    samples = [
        sample_canonical(
            HeisenbergLattice(6), TEMPERATURES, 4, random_state=options.seed + k, n_jobs=1
        ).values
        for k in (1, 2)
    ]
    results = []
    for budget in options.budgets:
        for stages in options.stages:
            entry, rates, start = one_entry(options, stages, budget, samples, rng)
            entries = [e for e in composition_table.COMPOSITIONS if not same(e, entry)]
            composition_table.COMPOSITIONS[:] = [*entries, entry]
            write_table(composition_table.COMPOSITIONS)
            results.append(
                {
                    "stages": stages,
                    "budget": budget,
                    "processor": options.processor,
                    "angles": not options.no_angles,
                    "start": start,
                    "error_rate": dict(zip(TEMPERATURES, rates, strict=True)),
                }
            )
            print(stages, budget, start, rates, flush=True)
    record("composition_search", {"fits": results}, started, seeds=options.seed)


def same(one, other):
    return (
        one["stages"] == other["stages"]
        and abs(one["dt"] / other["dt"] - 1) < 1e-9
        and all((one[k] is None) == (other[k] is None) for k in ("angles", "processor"))
    )


if __name__ == "__main__":
    main()
