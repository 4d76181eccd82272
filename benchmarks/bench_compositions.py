"""Learned compositions beside classical ones at equal wall-clock: errors, threshold times, energy.

    python benchmarks/bench_compositions.py

On 16³, unseen equilibrium samples. A budget is a number of half sweeps per unit of
time, which fixes the dt of every method. Where a learned one has angle functions, or
angles so large that the kernel halves them, its sweeps take longer, and the classical
ones get smaller steps until the wall-clock is the same.
"""

import argparse
import time

import numpy as np
import xarray as xr
from common import record

from dlintegrate import HeisenbergLattice, LearnedComposition, SuzukiTrotter2, sample_canonical
from dlintegrate._kernels.sweeps import sweep_kernel
from dlintegrate.correctors import composition_starts as starts
from dlintegrate.correctors.composition_table import COMPOSITIONS
from dlintegrate.integrators import SublatticeComposition
from dlintegrate.integrators.composition import halvings_needed
from dlintegrate.metrics import threshold_time

TEMPERATURES = (0.4, 1.44, 2.4)
T_MAX = {0.4: 120.0, 1.44: 36.0, 2.4: 36.0}
BUDGETS = (20, 40, 80, 120)
SEED = 16
FRAME = 0.1  # time between two frames of the reference; the saved times of all methods fit


def _stages(half, middle):
    return starts.second_order(np.array([*half, middle, *half[::-1]]))


#: Published methods: sweep lengths of a step. The last four are Kahan and Li 1997 (order 6,
#: 9 stages), Sofroniou and Spaletta 2005 (6, 11), McLachlan 1995 (4, 5), Forest and Ruth 1990.
CLASSICAL = {
    "ST2": starts.blanes_moan(1),
    "Suzuki ST4 (5)": starts.suzuki(5),
    "Forest-Ruth (3)": starts.blanes_moan(3),
    "Omelyan (4)": starts.blanes_moan(4),
    "Omelyan (5)": starts.blanes_moan(5),
    "McLachlan (5)": _stages([0.28, 0.62546642846767], 1 - 2 * (0.28 + 0.62546642846767)),
    "Blanes-Moan S6": starts.blanes_moan(6),
    "Blanes-Moan S10": starts.blanes_moan(10),
    "Kahan-Li (9)": _stages(
        [0.39216144400731414, 0.33259913678935944, -0.70624617255763936, 0.0822135962935508],
        0.79854399093482996,
    ),
    "Sofroniou-Spaletta (11)": _stages(
        [0.21375583945878255, 0.18329381407425714, 0.17692819473098944, -0.44329082681170216,
         0.11728560432865936],
        0.50405474843802736,
    ),
}  # fmt: skip


def classical(name, system, budget):
    """A classical method with the dt that the budget allows."""
    lengths = CLASSICAL[name]
    return SublatticeComposition(system, (len(lengths) - 1) / budget, lengths)


def shipped(system, budget, processor):
    """All shipped compositions for this budget, by name."""
    found = {}
    for entry in COMPOSITIONS:
        fits = abs(2 * entry["stages"] / entry["dt"] / budget - 1) < 1e-9
        if fits and (entry["processor"] is not None) == processor:
            chi = entry["processor"] or (None, None)
            name = f"{entry['stages']} stages{'' if entry['angles'] is None else ', angles'}"
            found[name] = SublatticeComposition(
                system, entry["dt"], *starts.palindrome(entry), 0, *chi
            )
    return found


def reference(system, states, duration):
    """Sixth order, steps of at most 0.02."""
    n = max(12, int(np.ceil(duration / 0.02)))
    return SublatticeComposition(system, duration / n, starts.blanes_moan(10)).advance(states, n)


def error_rates(integrator, samples, n_steps=1):
    """rms error per spin of a few steps, per unit of time, at each temperature."""
    duration = n_steps * integrator.dt
    return {
        t: float(
            np.sqrt(
                ((integrator.advance(x, n_steps) - reference(integrator.system, x, duration)) ** 2)
                .sum(-1)
                .mean()
            )
            / duration
        )
        for t, x in samples.items()
    }


def kernel_costs(states, repeats=150):
    """ns per spin turned by one sweep, for every variant of the kernel a method may need.

    The variants take turns and the fastest run of each counts: whatever else the
    machine does can only add to it.
    """
    variants = [(halvings, angles) for angles in (False, True) for halvings in range(3)]
    none, spins = np.empty((0, 5)), states.copy()
    sweeps = np.array([[i % 2, 1e-2, 1e-5, 1e-5, 1e-5] for i in range(24)])
    seconds = dict.fromkeys(variants, np.inf)
    for repeat in range(repeats + 1):
        for variant in variants:
            run = sweep_kernel(*variant)
            started = time.perf_counter()
            run(spins, none, sweeps, none, 1, 1.0, np.zeros(3))
            if repeat:  # the first call compiles
                seconds[variant] = min(seconds[variant], time.perf_counter() - started)
    scale = 1e9 / (len(sweeps) * states[..., 0].size / 2)
    return {variant: scale * best for variant, best in seconds.items()}


def variant(method):
    """``(halvings, angle function)`` of the kernel that a method runs in."""
    first, repeated, last = method.schedule()
    halvings = halvings_needed(method.system.max_field, first, repeated, last)
    return halvings, method.angle_coefficients is not None


def frames(system, states, t_max):
    """The reference every FRAME, in single precision."""
    step = SublatticeComposition(system, FRAME / 2, starts.blanes_moan(10))
    out = [states]
    for _ in range(round(t_max / FRAME)):
        out.append(step.advance(out[-1], 2))
        out[-2] = out[-2].astype(np.float32)
    return out


def long_run(integrator, states, expected):
    """Threshold time, and the largest change of the energy per site until the end."""
    n_steps, per_save = 1, 0
    while not per_save or per_save * FRAME < 0.45:
        ratio = n_steps * integrator.dt / FRAME
        per_save = round(ratio) if abs(ratio - round(ratio)) < 1e-9 else 0
        n_steps += 1
    n_steps -= 1
    system, energy = integrator.system, integrator.system.energy(states)
    xi, times, drift = [], [], 0.0
    for index in range(0, len(expected), per_save):
        if index:
            states = integrator.advance(states, n_steps)
        xi.append((states * expected[index]).sum(-1).mean((1, 2, 3)))
        times.append(index * FRAME)
        drift = max(drift, float(np.abs(system.energy(states) - energy).max()) / system.n_sites)
        if xi[-1].mean() < 0.97:
            break
    correlation = xr.DataArray(
        np.array(xi).T, dims=("sample", "time"), coords={"time": np.array(times)}
    )
    threshold = threshold_time(correlation, n_bootstrap=0)
    return {"time": threshold.time, "reached": threshold.reached, "energy_change": drift}


def one_budget(budget, system, samples, costs):
    """Error rates of one step and of a fixed time, and their ratios to the best classical.

    Every learned method has rivals of its own, with dt smaller by what its kernel costs
    more than theirs.
    """
    out = {"one_step": {}, "fixed_time": {}, "one_step_ratio": {}, "fixed_time_ratio": {}}
    out["kernel_cost_factor"] = {}

    def add(name, method):
        out["one_step"][name] = error_rates(method, samples)
        n_steps = max(1, round(60 / budget / method.dt))
        out["fixed_time"][name] = error_rates(method, samples, n_steps)

    def rival(name, factor=1.0):
        return classical(name, system, budget * factor)

    names = [name for name in CLASSICAL if rival(name).dt < 1.6]
    for name in names:
        add(name, rival(name))
    close = [n for n in names if max(ratio(out["one_step"][n], out["one_step"], names)) < 2]
    for processor in (False, True):
        for label, method in shipped(system, budget, processor).items():
            name = f"{'processed' if processor else 'learned'}, {label}"
            add(name, method)
            factor = {n: costs[variant(method)] / costs[variant(rival(n))] for n in close}
            out["kernel_cost_factor"][name] = factor[close[0]]
            equal = {n: rival(n, factor[n]) for n in close}
            one = {n: error_rates(m, samples) for n, m in equal.items()}
            fixed = {
                n: error_rates(m, samples, max(1, round(60 / budget / m.dt)))
                for n, m in equal.items()
            }
            for kind, rivals in (("one_step", one), ("fixed_time", fixed)):
                values = ratio(out[kind][name], rivals, close)
                out[f"{kind}_ratio"][name] = dict(zip(samples, values, strict=True))
    return out


def ratio(rates, rivals, names):
    """Error rates in units of the best rival's, at each temperature."""
    return [rates[t] / min(rivals[n][t] for n in names) for t in rates]


def best(table, prefix):
    """The name with this prefix whose worst ratio is smallest."""
    names = [name for name in table if name.startswith(prefix)]
    return min(names, key=lambda name: max(table[name].values())) if names else None


def default_fit(samples6, samples):
    """What a user gets: the default corrector at dt = 0.1, fitted on 6³."""
    base = SuzukiTrotter2(HeisenbergLattice(6), 0.1)
    labels = reference(base.system, samples6, 0.1)
    out = {}
    for name, init in (("default", "auto"), ("without shipped starts", "blanes-moan")):
        started, used = time.perf_counter(), time.process_time()
        corrector = LearnedComposition(init=init).fit(base, samples6, labels, random_state=SEED)
        seconds = {"wall": time.perf_counter() - started, "cpu": time.process_time() - used}
        step = corrector.bind(SuzukiTrotter2(HeisenbergLattice(16), 0.1))
        out[name] = {"start": corrector.start_, "seconds": seconds,
                     "one_step": error_rates(step, samples)}  # fmt: skip
    return out


def show(title, rows):
    """Print a table of numbers by temperature."""
    print(f"\n{title}\n{'':28}" + "".join(f"{'T = ' + str(t):>11}" for t in TEMPERATURES))
    for name, values in rows.items():
        print(f"{name:28}" + "".join(f"{values[t]:11.3g}" for t in TEMPERATURES), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=2, help="per temperature")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--no-long-runs", action="store_true")
    options = parser.parse_args()
    started = time.time()
    system = HeisenbergLattice(16)
    samples = {
        t: sample_canonical(system, t, options.samples, random_state=SEED, n_jobs=1).values
        for t in TEMPERATURES
    }
    results = {"budgets": {}, "long_runs": {}}
    costs = kernel_costs(samples[1.44][:1])
    results["ns_per_turned_spin"] = {f"halvings {h}, angles {a}": c for (h, a), c in costs.items()}
    print(results["ns_per_turned_spin"])
    for budget in options.budgets:
        found = results["budgets"][budget] = one_budget(budget, system, samples, costs)
        print(f"\n=== {budget} half sweeps per unit of time")
        for kind in ("one_step", "fixed_time"):
            show(f"{kind}: error per unit of time", found[kind])
            show(f"{kind}: ratio to the best classical, same time", found[f"{kind}_ratio"])
        print("cost of the kernel:", found["kernel_cost_factor"])
    small = sample_canonical(
        HeisenbergLattice(6), (0.4, 1.0, 1.44, 2.4), 10, random_state=SEED + 1, n_jobs=1
    ).values
    results["default_fit"] = default_fit(small, samples)
    for name, fit in results["default_fit"].items():
        show(f"fit at dt = 0.1, {name}: {fit['seconds']}", {fit["start"]: fit["one_step"]})
    if not options.no_long_runs:
        for t, states in samples.items():
            expected = frames(system, states, T_MAX[t])
            for budget in options.budgets:
                found = results["budgets"][budget]
                rivals = {name: classical(name, system, budget)
                          for name in ("ST2", "Blanes-Moan S6", "Blanes-Moan S10")}  # fmt: skip
                for kind, processor in (("learned", False), ("processed", True)):
                    table = found["fixed_time_ratio"]
                    name = best(table, kind)
                    if name:
                        key = name.split(", ", 1)[1]
                        rivals[name] = shipped(system, budget, processor)[key]
                for name, method in rivals.items():
                    run = long_run(method, states, expected)
                    results["long_runs"].setdefault(budget, {}).setdefault(name, {})[t] = run
                    print(budget, t, name, run, flush=True)
    record("compositions", results, started, seeds=SEED)


if __name__ == "__main__":
    main()
