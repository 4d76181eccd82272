"""Where shipped integrators are good, and where not: the ranges on their cards.

Errors of one step on unseen samples, within and beyond the conditions of the training. What
passes, and was also met in the long runs of other scripts, is the ``domain`` of the card, outside
of which :func:`load_pretrained` makes integrators warn. To pass, residues must have
less than 0.9 of the error of their base step, forces less than velocity Verlet at a tenth of the
step, torques less than 1.15 times the error on their own size.

    python benchmarks/rate_pretrained.py [NAME ...] [--samples 24]

Run it after a new training: it adds ``domain``, ``not_for`` and ``rated`` to
the card and leaves the rest as it is. Some minutes on one core.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import common
import numpy as np

from dlintegrate import (
    BlanesMoan4,
    DomainWarning,
    HeisenbergLattice,
    KernelPolynomial,
    LennardJones2D,
    VelocityVerlet,
    list_pretrained,
    load_pretrained,
    sample_canonical,
)
from dlintegrate.metrics import one_step_error, torque_error

#: What bench_unet.py and bench_fluid.py simulated for long; larger sizes among them.
LONG_RUNS = {
    "residue": {"temperature": (0.4, 2.4)},
    "force": {"n_particles": (16, None), "density": (0.1, 0.38), "temperature": (0.27, 0.71)},
}
WEIGHTS = Path(__file__).parents[1] / "dlintegrate" / "datasets" / "weights"


def rate_residue(integrator, n_samples, seed):
    """Sizes at three temperatures, temperatures at the own size."""
    own = integrator.system.lattice_shape[0]
    sizes = (4, 6, 8, 12, 16) if integrator.any_size else (own,)
    table = []

    def passes(size, temperature):
        system = HeisenbergLattice(size)
        n = max(4, n_samples * 64 // size**3)
        samples = sample_canonical(system, temperature, n, random_state=seed)
        reference = BlanesMoan4(system, integrator.dt / 5)
        error = one_step_error(integrator, samples, reference)
        base = one_step_error(integrator.base, samples, reference)
        table.append({"side": size, "temperature": temperature, "corrected": error, "base": base})
        return error < 0.9 * base

    temperatures = (0.1, 0.2, 0.3, 0.4, 0.5, 1.44, 2.32, 2.4, 3.0, 4.0, 6.0)
    good = around([passes(own, t) for t in temperatures], temperatures, 1.44)
    fine = [all([passes(size, t) for t in (0.5, 1.44, 2.32)]) for size in sizes]
    side = around(fine, sizes, own)
    open_ended = integrator.any_size and side[1] == sizes[-1]
    domain = {"side": [side[0], None if open_ended else side[1]], "temperature": good}
    where = (
        "other lattice sides" if not integrator.any_size else "lattice sides outside of the range"
    )
    words = (
        f"{where}, temperatures outside of the range, an external field, antiferromagnets, other "
        f"time steps than {integrator.dt}; long runs at constant energy, for which the "
        "projection must be ('energy', 'magnetization')"
    )
    return table, met_in_long_runs(domain, "residue"), words


def rate_force(integrator, n_samples, seed):
    """Densities, temperatures and numbers of particles, each with the others in the middle."""
    table = []

    def passes(n_particles, density, temperature):
        system = LennardJones2D(n_particles, density)
        n = max(8, n_samples * 4 * 16 // n_particles)
        samples = sample_canonical(system, temperature, n, random_state=seed, n_sweeps=2000)
        error = one_step_error(integrator, samples)
        reference = integrator.reference
        expected = reference.step(samples, round(integrator.dt / reference.dt))
        verlet = VelocityVerlet(system, integrator.dt / 10).step(samples, 10)
        rival = float(np.sqrt(((verlet - expected) ** 2).sum(("variable", "component")).mean()))
        table.append(
            {
                "n_particles": n_particles, "density": density, "temperature": temperature,
                "corrected": error, "velocity Verlet at 0.01": rival,
            }
        )  # fmt: skip
        return error < rival

    densities = (0.05, 0.1, 0.2, 0.38, 0.5, 0.6)
    temperatures = (0.2, 0.27, 0.47, 0.71, 1.0, 2.0)
    numbers = (4, 8, 16, 48, 128, 256)
    dense = around([passes(16, d, 0.47) for d in densities], densities, 0.2)
    warm = around([passes(16, 0.2, t) for t in temperatures], temperatures, 0.47)
    many = around([passes(n, 0.3, 0.47) for n in numbers], numbers, 16)
    top = None if many[1] == numbers[-1] else many[1]
    domain = {"n_particles": [many[0], top], "density": dense, "temperature": warm}
    words = (
        "densities and temperatures outside of the ranges, a potential with a cut-off or other "
        f"constants, three dimensions, other time steps than {integrator.dt}; and the fluid itself "
        "where speed counts: BlanesMoanRKN4 costs less at equal error"
    )
    return table, met_in_long_runs(domain, "force"), words


def rate_torque(integrator, n_samples, seed):
    """Sizes, on random spins; the exact fields are averaged over boundaries, as in training."""
    table, sides = [], (12, 24, 36, 48)
    for side in sides:
        system = integrator.system.resized((side, side, 3))
        exact = type(system)(
            **{**system.get_params(deep=False), "solver": KernelPolynomial(150, n_twists=2)}
        )
        spins = exact.random_states(max(1, n_samples * 24 // side**2), seed)
        learned = integrator.simulated.resized((side, side, 3)).field_of(spins)
        error = torque_error(learned, exact.field_of(spins), spins)
        table.append({"side": side, "torque_error": error})
    own = table[sides.index(24)]["torque_error"]
    side = around([row["torque_error"] < 1.15 * own for row in table], sides, 24)
    domain = {"side": [side[0], None if side[1] == sides[-1] else side[1]]}
    words = (
        "other hopping, coupling, filling or temperature of the electrons, noise on the spins, "
        "sides that are not multiples of 12; fine differences of energy, since torques are "
        "off by a tenth"
    )
    return table, domain, words


def met_in_long_runs(domain, kind):
    """The ranges, or what long runs met of them."""
    for name, (low, high) in LONG_RUNS[kind].items():
        found_low, found_high = domain[name]
        ends = [end for end in (high, found_high) if end is not None]
        domain[name] = [max(low, found_low), min(ends) if ends else None]
    return domain


def where_it_loses(found):
    """Where the correction follows the exact trajectory for less long than the bare step."""
    lost = found.get("shorter_than_base", [])
    if not lost:
        return ""
    return (
        f"; trajectories at {' and '.join(lost)}, which it follows for less long than the bare "
        "step although its error after one step is smaller (see thresholds)"
    )


def around(good, values, start):
    """Lowest and highest value of the unbroken run of good ones about ``start``."""
    low = high = values.index(start)
    if not good[low]:
        raise RuntimeError(f"fails on its own ground, {start}")
    while low > 0 and good[low - 1]:
        low -= 1
    while high + 1 < len(values) and good[high + 1]:
        high += 1
    return [values[low], values[high]]


def thresholds(name, integrator):
    """What longer runs showed, from the results of other scripts."""
    if "unet" in name:
        return _threshold_times(name, integrator.system.lattice_shape[0])
    if "graph" in name:
        content = _results("fluid")
        total = next(x for x in content["results"]["totals"] if x["integrator"] == "graph force")
        found = {
            "t_max": content["results"]["t_max"],
            "fallback_bounds": {k: list(v) for k, v in integrator.system.default_bounds.items()},
            **{k: total[k] for k in ("failed", "unstable", "fallback_percent")},
        }
        found["fallback_bounds"]["min_distance"][1] = None
        return {**found, "measured": content["metadata"]["command"]}
    content = _results("torque")["results"]
    part = name.replace("sd-torque", "transfer").replace("-", "_")
    return {
        "torque_error_at_48²": content[part]["all"],
        "measured": content["measured"][part]["command"],
    }


def _threshold_times(name, size):
    """When the mean correlation with a converged run falls below 0.99, beside the base step."""
    content = _results("unet")
    found, lost = {}, []
    for temperature, rows in content["results"][f"L={size}"].items():
        found[temperature] = {
            label: _time(rows[row])
            for label, row in (
                ("corrected", name), ("E and M projected", f"{name}, E and M projected"),
                ("base", "ST2 0.1"),
            )
        }  # fmt: skip
        mine, base = rows[name], rows["ST2 0.1"]
        error = np.hypot(mine["threshold_time_error"], base["threshold_time_error"])
        if base["threshold_time"] - mine["threshold_time"] > error:
            lost.append(temperature)
    return {
        "threshold_time": found,
        "shorter_than_base": lost,
        "measured": content["metadata"]["command"],
    }


def _time(row):
    return round(row["threshold_time"], 2) if row["threshold_reached"] else f"> {row['t_max']:g}"


def _results(name):
    return json.loads((common.RESULTS / f"{name}.json").read_text())


def main():
    """Rate each, and write its card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list_pretrained())
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--seed", type=int, default=2027)
    options = parser.parse_args()
    warnings.simplefilter("ignore", DomainWarning)
    for name in options.names:
        started = time.time()
        integrator = load_pretrained(name)
        kinds = {"unet": rate_residue, "graph": rate_force, "torque": rate_torque}
        rate = next(function for word, function in kinds.items() if word in name)
        table, domain, words = rate(integrator, options.samples, options.seed)
        path = WEIGHTS / f"{name}.json"
        card = json.loads(path.read_text(encoding="utf-8"))
        provenance = card.pop("provenance")
        found = thresholds(name, integrator)
        card |= {
            "domain": domain,
            "not_for": words + where_it_loses(found),
            "thresholds": found,
            "rated": {
                "errors": table,
                "provenance": {
                    **common.metadata(started, options.seed),
                    "command": "python benchmarks/rate_pretrained.py "
                    f"{name} --samples {options.samples}",
                },
            },
            "provenance": provenance,
        }
        path.write_text(
            json.dumps(card, indent=1, ensure_ascii=False, default=common._plain) + "\n",
            encoding="utf-8",
        )
        print(name, domain, f"{time.time() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
