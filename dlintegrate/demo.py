"""The demo: what two learned corrections gain on a Heisenberg ferromagnet, in minutes."""

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

DT = 0.1
TEMPERATURES = (0.4, 1.44, 2.4)
LEARNED, RIDGE = "learned composition", "ridge on trees"
BARE, SMALL_STEP, CLASSICAL = "ST2, dt 0.1 (bare)", "ST2, dt 0.01", "Blanes-Moan, dt 0.1"


class Scale(NamedTuple):
    """How large the demo is."""

    side: int
    n_train: int
    n_test: int
    order: int
    runs: dict  # temperature to (t_max, time between frames)


FULL = Scale(8, 16, 8, 5, {0.4: (300.0, 2.0), 1.44: (30.0, 0.2), 2.4: (30.0, 0.2)})
QUICK = Scale(4, 16, 4, 4, {0.4: (60.0, 1.0), 1.44: (20.0, 0.2), 2.4: (20.0, 0.2)})
#: The temperature whose trajectory is written.
WRITTEN = 1.44


def run_demo(output, *, seed=0, quick=False, say=print, progress=True):
    """Sample, fit, simulate, compare; write the results to a folder.

    Parameters
    ----------
    output : str or path-like
        Folder for ``trajectory.nc`` (the trajectory of the learned composition),
        ``demo.png`` and ``corrected.safetensors`` (the fitted integrator); files
        of an earlier demo are replaced.
    seed : int, default 0
    quick : bool, default False
        A 4³ lattice and short runs, some ten seconds of work.
    say : callable, default print
        Gets one line of text at a time.
    progress : bool, default True
        Show progress bars.

    Returns
    -------
    list of dict
        The rows of the table.
    """
    from . import BlanesMoan6, HeisenbergLattice, sample_canonical, save
    from .plotting import plot_comparison

    scale = QUICK if quick else FULL
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    system = HeisenbergLattice(shape=scale.side)
    say(f"Heisenberg ferromagnet, {scale.side}³ spins, at T = {', '.join(map(str, TEMPERATURES))}")

    n_samples = scale.n_train + scale.n_test
    samples = sample_canonical(
        system, TEMPERATURES, n_samples, random_state=seed, n_jobs=-1, progress=progress
    )
    held_out = np.arange(samples.sizes["sample"]) % n_samples >= scale.n_train
    train, test = samples[~held_out], samples[held_out]

    integrators = fit_integrators(system, train, scale, seed, say, progress)
    # converged far below what is compared: sixth order at a fifth of the step
    reference = _simulate("reference", BlanesMoan6(system, DT / 5), test, scale, None, progress)
    trajectories = {
        name: _simulate(name, integrator, test, scale, folder, progress)
        for name, integrator in integrators.items()
    }
    rows = [
        _row(name, integrators[name], test, trajectories[name], reference) for name in integrators
    ]
    for line in format_table(rows):
        say(line)
    plot_comparison(
        {name: list(parts.values()) for name, parts in trajectories.items()},
        list(reference.values()), folder / "demo.png", vector=True,
    )  # fmt: skip
    save(integrators[LEARNED], folder / "corrected.safetensors")
    trajectories[LEARNED][WRITTEN].close()
    for name, what in (
        ("demo.png", "correlation with the exact motion, drifts of energy and magnetisation"),
        (
            "trajectory.nc",
            f"trajectory of the learned composition at T = {WRITTEN}; xarray.open_dataset reads it",
        ),
        ("corrected.safetensors", "the fitted integrator; dlintegrate.load reads it"),
    ):
        say(f"{folder / name}: {what}")
    return rows


def fit_integrators(system, train, scale, seed, say, progress):
    """Fit the two corrected integrators and put the classical ones beside them."""
    from . import (
        BlanesMoan6,
        CorrectedIntegrator,
        ElementaryDifferentialResidue,
        LearnedComposition,
        SuzukiTrotter2,
    )

    base = SuzukiTrotter2(system, DT)
    correctors = {
        RIDGE: (ElementaryDifferentialResidue(order=scale.order), ("energy", "magnetization")),
        LEARNED: (LearnedComposition(stages=10), "norm"),
    }
    fitted = {}
    for name, (corrector, projection) in correctors.items():
        started = time.perf_counter()
        fitted[name] = CorrectedIntegrator(
            base, corrector, reference=BlanesMoan6(system, DT / 5), projection=projection,
            random_state=seed, n_jobs=-1,
        ).fit(train, progress=progress)  # fmt: skip
        say(f"fitted {name} on {len(train)} samples in {time.perf_counter() - started:.1f} s")
    cost = {name: cost_per_time(fitted[name], train) for name in (RIDGE,)}
    classical = BlanesMoan6(system, DT)  # ten stages: the sweeps of the learned composition
    n = max(1, round(cost[RIDGE] / cost_per_time(classical, train)))
    return {
        BARE: base,
        RIDGE: fitted[RIDGE],
        LEARNED: fitted[LEARNED],
        SMALL_STEP: SuzukiTrotter2(system, DT / 10),
        CLASSICAL: classical,
        f"Blanes-Moan, dt 0.1/{n}": BlanesMoan6(system, DT / n),
    }


def _simulate(name, integrator, test, scale, folder, progress):
    """Temperature to trajectory; one of them goes to a file."""
    trajectories = {}
    for temperature, (t_max, save_time) in scale.runs.items():
        path = None
        if name == LEARNED and temperature == WRITTEN:
            path = folder / "trajectory.nc"
            path.unlink(missing_ok=True)
        trajectories[temperature] = integrator.simulate(
            test[test.temperature == temperature], t_max, path=path,
            save_every=round(save_time / integrator.dt),
            progress=progress and f"{name}, T = {temperature}",
        )  # fmt: skip
    return trajectories


def cost_per_time(integrator, samples, budget=0.3):
    """Wall-clock seconds per unit of physical time and sample, on one core.

    Parameters
    ----------
    integrator : Integrator
    samples : array-like
    budget : float
        Seconds to spend; the fastest of three runs counts.
    """
    _, array = integrator.validate(samples)
    array = array[:4]
    integrator.advance(array, 2)  # compile
    n_steps, best = 1, np.inf
    while True:
        started = time.perf_counter()
        integrator.advance(array, n_steps)
        elapsed = time.perf_counter() - started
        if elapsed > budget / 6 or n_steps > 100_000:
            break
        n_steps *= 4
    for _ in range(3):
        started = time.perf_counter()
        integrator.advance(array, n_steps)
        best = min(best, time.perf_counter() - started)
    return best / (n_steps * abs(integrator.dt) * len(array))


def _row(name, integrator, test, trajectories, reference):
    from .metrics import energy_drift, magnetization_drift, spin_correlation, threshold_time

    return {
        "integrator": name,
        "cost": cost_per_time(integrator, test),
        "threshold": {
            t: threshold_time(spin_correlation(trajectories[t], reference[t])) for t in trajectories
        },
        "energy": max(
            float(energy_drift(part).mean_absolute[-1]) for part in trajectories.values()
        ),
        "magnetization": max(
            float(magnetization_drift(part).mean_vector_drift[-1]) for part in trajectories.values()
        ),
    }


def format_table(rows):
    """Lines of the table: threshold times, drifts at the end of the worst temperature, cost."""
    temperatures = list(rows[0]["threshold"])
    head = [f"{'':24}", *(f"t_thres({t:g})" for t in temperatures), "|dE|/N", "|dM|/N", "µs/time"]
    yield ""
    yield "  ".join([head[0], *(f"{h:>12}" for h in head[1:])])
    for row in rows:
        times = [f"{_short(row['threshold'][t]):>12}" for t in temperatures]
        numbers = f"{row['energy']:12.1e}  {row['magnetization']:12.1e}  {1e6 * row['cost']:12.0f}"
        yield "  ".join([f"{row['integrator']:24}", *times, numbers])
    yield (
        "t_thres(T): time until the mean correlation with the exact motion falls below 0.99; "
        "|dE|/N, |dM|/N: mean drift per site at the end, worst temperature; "
        "µs/time: one core, one sample, per unit of physical time"
    )
    yield ""


def _short(threshold):
    if not threshold.reached:
        return f"> {threshold.time:.0f}"
    return f"{threshold.time:.1f} ± {threshold.error:.1f}"
