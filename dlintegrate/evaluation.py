"""One report of how good an integrator or a trajectory is, temperature by temperature."""

import math

import numpy as np

from .integrators.step_size import whole_steps
from .metrics import (
    by_temperature,
    energy_drift,
    magnetization_drift,
    momentum_drift,
    one_step_error,
    phase_space_distance,
    reference_integrator,
    spin_correlation,
    threshold_time,
)
from .metrics._trajectories import temperature_indexers
from .metrics.one_step import damping_of
from .states import FAILED, FELL_BACK

#: Frames of an evaluation that names no spacing.
_N_FRAMES = 100


def evaluate_integrator(integrator, samples, *, t_max=None, save_time=None, reference=None,
                        reference_run=None):  # fmt: skip
    """Error of one step and, with ``t_max``, drifts and the time that the reference is followed.

    Parameters
    ----------
    integrator : Integrator
    samples : xarray.DataArray, shape (n_samples, ...)
    t_max : float, optional
        Simulate to this time.
    save_time : float, optional
        Time between two frames, a multiple of the step; default about ``t_max``/100.
    reference : Integrator, optional
        For the error of one step; default a converged one.
    reference_run : xarray.Dataset, optional
        What :func:`simulate_reference` returned.

    Returns
    -------
    list of dict
        A row for each temperature: plain numbers.
    """
    rows = [
        {
            "temperature": temperature,
            "n_samples": part.sizes["sample"],
            "one_step_error": one_step_error(integrator, part, reference),
        }
        for temperature, part in by_temperature(samples).items()
    ]
    if t_max is None:
        return rows
    run = integrator.simulate(samples, t_max, save_every=frames_every(integrator, t_max, save_time))
    return [
        {**row, **measured}
        for row, measured in zip(rows, evaluate_trajectory(run, reference_run), strict=True)
    ]


def evaluate_trajectory(run, reference_run=None):
    """Drifts at the end of a trajectory and, with a reference, how long it is followed.

    Parameters
    ----------
    run : xarray.Dataset
        What ``simulate`` returned.
    reference_run : xarray.Dataset, optional
        From the same states, at the same times.

    Returns
    -------
    list of dict
        A row for each temperature: plain numbers. The drifts are means of absolute values
        per site or particle, in the last frame, over samples that have not failed.

    Raises
    ------
    ValueError
        If the reference has other samples, as far as their number and temperatures tell.
    """
    parts, indexers = by_temperature(run), temperature_indexers(run)
    if reference_run is None:
        return [_row(temperature, part, None) for temperature, part in parts.items()]
    _check_same_samples(run, reference_run)
    return [
        _row(temperature, part, reference_run.isel(sample=indexers[temperature]))
        for temperature, part in parts.items()
    ]


def simulate_reference(integrator, samples, t_max, save_time=None, reference=None):
    """The trajectory that others are compared with.

    Parameters
    ----------
    integrator : Integrator
        Whose equation of motion it solves, and whose step divides the time between frames.
    samples : xarray.DataArray, shape (n_samples, ...)
    t_max, save_time : float
        As for :func:`evaluate_integrator`.
    reference : Integrator, optional
        Default: the converged one of :func:`~dlintegrate.metrics.reference_integrator`.

    Returns
    -------
    xarray.Dataset
    """
    every = frames_every(integrator, t_max, save_time)
    if reference is None:
        system = integrator.system.matching(integrator.validate(samples)[1])
        reference = reference_integrator(system, integrator.dt, damping=damping_of(integrator))
    return reference.simulate(
        samples, t_max, save_every=frames_every(reference, t_max, every * integrator.dt)
    )


def frames_every(integrator, t_max, save_time=None):
    """Steps between two frames.

    Parameters
    ----------
    integrator : Integrator
    t_max : float
    save_time : float, optional
        Time between two frames; default about ``t_max``/100.

    Raises
    ------
    ValueError
        If ``save_time`` is not a multiple of the step.
    """
    dt = integrator.checked_dt()
    if save_time is None:
        return max(1, round(t_max / _N_FRAMES / dt))
    steps = whole_steps(save_time, dt)
    if steps is None:
        raise ValueError(
            f"save_time={save_time:g} is no multiple of dt={dt:g} of {type(integrator).__name__}; "
            f"use for instance {max(1, round(save_time / dt)) * dt:g}"
        )
    return steps


def _check_same_samples(run, reference):
    """Raise ValueError if they cannot have begun with the same states."""
    told = "has to start from the same states as the run"
    n, n_ref = (x.sizes.get("sample") for x in (run, reference))
    if n != n_ref:
        raise ValueError(f"the reference has {n_ref} samples, not {n}; it {told}")
    if all("temperature" in x.coords for x in (run, reference)):
        t, t_ref = (np.broadcast_to(x["temperature"].values, n) for x in (run, reference))
        if not np.array_equal(t, t_ref):
            k = np.flatnonzero(t != t_ref)[0]
            raise ValueError(
                f"sample {k} of the reference has temperature {t_ref[k]:g}, not {t[k]:g}; it {told}"
            )


def _row(temperature, run, reference):
    status = run["status"].values
    row = {
        "temperature": temperature,
        "n_samples": run.sizes["sample"],
        "n_failed": int((status == FAILED).sum()),
        "n_fell_back": int((status == FELL_BACK).sum()),
        "t_max": float(run.time[-1]),
    }
    if "energy" in run:
        row["energy_drift"] = float(energy_drift(run).mean_absolute[-1])
    if "spin" in run:
        row["magnetization_drift"] = float(magnetization_drift(run).mean_vector_drift[-1])
    else:
        row["momentum_drift"] = float(momentum_drift(run).mean_absolute[-1])
    if reference is None:
        return row
    if "spin" in run:
        threshold = threshold_time(spin_correlation(run, reference))
        return {
            **row, "threshold_time": threshold.time, "threshold_time_error": threshold.error,
            "threshold_reached": threshold.reached,
        }  # fmt: skip
    return {
        **row,
        "phase_space_distance": float(phase_space_distance(run, reference)["median"][-1]),
    }


def plain(value):
    """Numbers that JSON knows: what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    return value


#: Column to its heading.
_HEADINGS = {
    "temperature": "T", "n_samples": "samples", "one_step_error": "one-step error",
    "energy_drift": "|dE|/N", "magnetization_drift": "|dM|/N", "momentum_drift": "|dP|/N",
    "threshold_time": "t_thres", "phase_space_distance": "distance", "n_failed": "failed",
    "n_fell_back": "fell back",
}  # fmt: skip
#: What headings mean that do not explain themselves.
_LEGEND = {
    "one_step_error": "one-step error: rms distance from the reference per site or particle",
    "energy_drift": "|dE|/N, |dM|/N, |dP|/N: mean drift per site or particle at the end",
    "threshold_time": "t_thres: time until the mean correlation with the reference is below 0.99",
    "phase_space_distance": "distance: median square distance in phase space at the end",
}


def format_rows(reports):
    """Lines of a table.

    Parameters
    ----------
    reports : dict of str to list of dict
        Name of an integrator to its rows.

    Yields
    ------
    str
    """
    used = {key for rows in reports.values() for row in rows for key in row}
    columns = [key for key in _HEADINGS if key in used]
    width = max(map(len, reports))
    yield "  ".join([" " * width, *(f"{_HEADINGS[key]:>14}" for key in columns)]).rstrip()
    for name, rows in reports.items():
        for row in rows:
            yield "  ".join([f"{name:{width}}", *(f"{_cell(row, key):>14}" for key in columns)])
    yield from (_LEGEND[key] for key in columns if key in _LEGEND)


def _cell(row, key):
    value = row.get(key)
    if value is None:
        return "-"
    if key == "threshold_time":
        if not row["threshold_reached"]:
            return f"> {value:.4g}"
        error = row["threshold_time_error"]
        return f"{value:.4g}" if math.isnan(error) else f"{value:.4g} ± {error:.2g}"
    return str(value) if isinstance(value, int) else f"{value:.4g}"
