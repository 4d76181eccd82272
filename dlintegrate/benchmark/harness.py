"""The one loop over seeds, methods and steps."""

import time
import warnings
from itertools import chain

import numpy as np

from ..integrators.domain import DomainWarning
from ..integrators.step_size import whole_steps
from .case import EXTERNAL, LEARNED, Method
from .measure import Clock, after_horizon, errors, long_run, reversal_error, with_output
from .pareto import compare, pareto_front, verdict

#: Batches whose cost is measured on the first set of states.
ONE, MANY = "one", "many"
#: How often every method has its turn when costs are measured.
N_ROUNDS = 4
#: Share of the smallest error that halving the step of the reference may change.
CONVERGED = 0.1


def run_benchmark(case, seeds=(0, 1, 2), *, say=print):
    """Measure all methods of a case.

    Parameters
    ----------
    case : Case
    seeds : sequence of int
        Each draws states of its own to fit and to judge. Costs are those of the first.
    say : callable
        Gets one line of progress at a time.

    Returns
    -------
    dict
        ``case`` (what was measured), ``reference``, ``points``, ``predictions``, ``front``,
        ``comparison`` and ``verdict`` by batch, ``transfer``: plain values, all of them made to be
        written as JSON. A point has its error at each set, rms and its spread over seeds, cost by
        batch, reversal error, long run, seconds of labels and training.

    Raises
    ------
    ValueError
        If a step does not divide the horizon, or there is no seed.

    Warns
    -----
    RuntimeWarning
        If the reference is not converged far below the smallest error.
    """
    seeds = list(seeds)
    if not seeds:
        raise ValueError("seeds=[]: give at least one")
    _check_steps(case)
    with warnings.catch_warnings():  # to leave the conditions of a fit is what transfer means
        warnings.simplefilter("ignore", DomainWarning)
        return _run(case, seeds, say)


def _run(case, seeds, say):
    """The benchmark itself."""
    runs, predictions, changes, points = [], [], [], {}
    families = {m.name: m.family for m in case.methods if isinstance(m, Method)}
    for seed in seeds:
        started = time.process_time()
        data = _Data(case, seed)
        changes.append(data.reference_change)
        predictions.append(data.predictions())
        for key, entry in chain.from_iterable(_of_method(m, data) for m in case.methods):
            runs.append((key, seed, entry))
            if seed == seeds[0]:
                points[key] = entry
        say(f"seed {seed}: {time.process_time() - started:.0f} s of processor time")
        if seed == seeds[0]:
            first = data
    clocks = _clocks(first, points)
    say("costs are measured")
    rows = []
    for key, entry in points.items():
        mine = [e for k, _, e in runs if k == key]
        row = _summarize(key, mine)
        if "integrator" in entry:
            n_steps = whole_steps(case.horizon, entry["integrator"].dt)
            row["cost"] = {
                name: with_output(clock.best, entry["integrator"], n_steps)
                for name, clock in clocks[key].items()
            }
            row |= _watched(case, first, mine, row["cost"][MANY])
        else:
            row["cost"] = entry["cost"]
        row["family"] = families.get(key[0])
        rows.append(row)
    smallest = min((p["error"] for p in rows if np.isfinite(p["error"])), default=np.inf)
    reference = {
        "change_when_halved": max(changes), "smallest_error": smallest,
        "converged": bool(max(changes) <= CONVERGED * smallest),
    }  # fmt: skip
    if not reference["converged"]:
        warnings.warn(
            f"halving the step of the reference changes it by {max(changes):.2g}, the smallest "
            f"error measured is {smallest:.2g}; give the case a finer reference, or fewer small "
            "steps",
            RuntimeWarning,
            stacklevel=3,
        )
    return {
        "case": _description(case, first, seeds),
        "reference": reference,
        "points": rows,
        "predictions": _averaged(predictions),
        **conclusions(case.site, rows, first.others),
    }


def conclusions(site, points, others=()):
    """Fronts, comparisons and verdicts of points.

    Parameters
    ----------
    site : str
    points : list of dict
    others : iterable of str
        Sets of states beside the first.

    Returns
    -------
    dict
        ``front``, ``comparison``, ``verdict`` by batch, and the rows of ``transfer``.
    """
    result = {"front": {}, "comparison": {}, "verdict": {}, "transfer": []}
    for batch in (ONE, MANY):
        rows = compare(points, batch)
        result["front"][batch] = [
            {"method": p["method"], "dt": p["dt"], "error": p["error"], "cost": p["cost"][batch]}
            for p in pareto_front(points, batch)
        ]
        result["comparison"][batch] = rows
        result["verdict"][batch] = verdict(rows, site)
    for name in others:
        there = [{**p, "error": p["transfer"].get(name)} for p in points]
        batch = name if any(name in p["cost"] for p in there) else MANY
        result["transfer"] += [
            {"states": name, "seen": next(p["error"] for p in points if _same(p, row)), **row}
            for row in compare(there, batch)
        ]
    return result


def _same(point, row):
    return point["method"] == row["method"] and point["dt"] == row["dt"]


def _check_steps(case):
    for method in case.methods:
        for dt in method.dts:
            if whole_steps(case.horizon, dt) is None:
                raise ValueError(
                    f"{method.name}: dt={dt!r} does not divide horizon={case.horizon!r} into whole "
                    "steps"
                )


class _Data:
    """The states of one seed, and where the reference takes them."""

    def __init__(self, case, seed):
        self.case, self.seed = case, seed
        self.train = case.train(seed)
        self.sets = case.test(seed)
        self.main, *self.others = self.sets
        reference = case.reference(case.horizon)
        self.systems, self.arrays, self.expected = {}, {}, {}
        for name, samples in self.sets.items():
            self.systems[name], self.arrays[name] = reference.validate(samples)
            self.expected[name] = after_horizon(reference, self.arrays[name], case.horizon)
        finer = after_horizon(
            reference.with_dt(reference.dt / 2), self.arrays[self.main], case.horizon
        )
        self.reference_change = self._errors(self.main, finer)["error"]

    def _errors(self, name, after):
        scale = self.case.scale
        return errors(self.systems[name], after / scale, self.expected[name] / scale)

    def of_integrator(self, integrator):
        """Errors on every set that the integrator takes, and the reversal error."""
        found = {}
        for name, samples in self.sets.items():
            try:
                integrator.validate(samples)
            except ValueError:  # it is not local
                continue
            after = after_horizon(integrator, self.arrays[name], self.case.horizon)
            found[name] = self._errors(name, after)
        entry = {"errors": found, "integrator": integrator}
        if self.case.reverse is not None:
            entry["reversal_error"] = reversal_error(
                integrator,
                self.arrays[self.main][:8],
                self.case.horizon,
                self.case.reverse,
                self.case.scale,
            )
        return entry

    def of_program(self, method, dt):
        """The same of another program; None if it cannot be run."""
        found, cost = {}, {}
        for name, samples in self.sets.items():
            n_steps = whole_steps(self.case.horizon, dt)
            got = method.run(samples, dt, n_steps)
            if got is None:
                continue
            array = self.systems[name].pack(
                np.asarray(got[0]), self.systems[name].unpack(self.arrays[name])[1]
            )
            found[name] = self._errors(name, array)
            per_time = got[1] / (len(array) * self.systems[name].n_sites * self.case.horizon)
            cost |= {ONE: per_time, MANY: per_time} if name == self.main else {name: per_time}
        return {"errors": found, "cost": cost} if self.main in found else None

    def predictions(self):
        """Errors of null models that make no step, by name."""
        horizon = self.case.horizon
        return {
            key: self._errors(
                self.main, f(self.systems[self.main], self.arrays[self.main], horizon)
            )["error"]
            for key, f in self.case.predictions.items()
        }


def _of_method(method, data):
    """``(method, kind, dt)`` and what was measured there, for each step."""
    for dt in method.dts:
        key = (method.name, method.kind, dt)
        if method.kind == EXTERNAL:
            entry = data.of_program(method, dt)
            if entry is not None:
                yield key, entry
        elif method.kind == LEARNED:
            fit = method.fit(dt, data.train, data.seed)
            yield key, {**data.of_integrator(fit.integrator), **vars(fit)}
        else:
            yield key, data.of_integrator(method.make(dt))


def _clocks(data, points):
    """Least costs by point and batch; all methods take turns."""
    clocks = {}
    main = data.arrays[data.main]
    for key, entry in points.items():
        if "integrator" not in entry:
            continue
        batches = {ONE: main[:1], MANY: main}
        for name in data.others:
            if name in entry["errors"] and data.arrays[name].shape[1:] != main.shape[1:]:
                batches[name] = data.arrays[name]
        clocks[key] = {
            name: Clock(entry["integrator"], array, data.case.cost_seconds)
            for name, array in batches.items()
        }
    for _ in range(N_ROUNDS - 1):
        for mine in clocks.values():
            for clock in mine.values():
                clock()
    return clocks


def _summarize(key, entries):
    """One point: means over seeds, and their spread."""
    method, kind, dt = key
    names = list(entries[0]["errors"])
    main, *others = names
    each = [e["errors"][main]["error"] for e in entries]
    row = {
        "method": method, "kind": kind, "dt": dt, "error": float(np.mean(each)),
        "error_of_seeds": each, "error_spread": _spread(each),
        "error_median": float(np.mean([e["errors"][main]["median"] for e in entries])),
        "n_failed": sum(e["errors"][main]["n_failed"] for e in entries),
        "transfer": {
            name: float(np.mean([e["errors"][name]["error"] for e in entries])) for name in others
        },
    }  # fmt: skip
    if "reversal_error" in entries[0]:
        row["reversal_error"] = float(np.mean([e["reversal_error"] for e in entries]))
    if kind == LEARNED:
        for name in ("label_seconds", "training_seconds"):
            row[name] = float(np.mean([e[name] for e in entries]))
        row["origin"] = entries[0]["origin"]
    return row


def _spread(values):
    """Standard deviation over seeds; None where it has no meaning."""
    return float(np.std(values, ddof=1)) if len(values) > 1 and np.isfinite(values).all() else None


def _watched(case, data, entries, cost):
    """The long runs of a point; what is learned differs from seed to seed, so each fit has one."""
    if not case.conserves_energy:
        return {}
    integrators = [e["integrator"] for e in entries]
    if entries[0].get("origin") != "fitted":
        integrators = integrators[:1]
    samples = data.sets[data.main][: case.n_long]
    seconds = case.run_seconds / len(integrators)
    runs = [
        long_run(i, samples, case.long_time, case.explosion, seconds, cost) for i in integrators
    ]
    result = {"long_time": min(run["t_max"] for run in runs)}
    result |= {f"long_{k}": sum(r[k] for r in runs) for k in ("n_samples", "n_exploded")}
    for name, summed in (
        ("energy_drift", np.mean), ("largest_energy_change", np.max), ("fallback_percent", np.mean)
    ):  # fmt: skip
        values = [r[name] for r in runs if r[name] is not None]
        result[name] = float(summed(values)) if values else None
    return result


def _averaged(predictions):
    return {key: {"error": float(np.mean([p[key] for p in predictions]))} for key in predictions[0]}


def _description(case, data, seeds):
    return {
        "name": case.name, "title": case.title, "horizon": case.horizon, "site": case.site,
        "time_unit": case.time_unit, "error_unit": case.error_unit, "seeds": seeds,
        "explosion": case.explosion, "precision": "double",
        "n_train": data.train.sizes["sample"],
        "batch": data.sets[data.main].sizes["sample"],
        "sets": {
            name: {"samples": s.sizes["sample"], "sites": data.systems[name].n_sites}
            for name, s in data.sets.items()
        },
    }  # fmt: skip
