"""What a benchmark prints and writes: a table, a verdict, JSON and PNG."""

import json
import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ..environment import describe_environment
from ..evaluation import plain
from ..persistence import replacing
from .harness import MANY

_HEAD = ("method", "dt", "error", "± seeds", "s/{site}/t", "reversed", "|dE|/N", "broke", "pays")


def format_benchmark(results):
    """Lines of the table and of the verdict.

    Parameters
    ----------
    results : dict
        What :func:`~dlintegrate.benchmark.run_benchmark` returned.

    Yields
    ------
    str
    """
    case = results["case"]
    yield case["title"]
    head = [h.format(site=case["site"]) for h in _HEAD]
    width = max(len(p["method"]) for p in results["points"]) + 2
    yield f"{head[0]:{width}}" + "".join(f"{h:>13}" for h in head[1:])
    pays = {(r["method"], r["dt"]): r["break_even"] for r in results["comparison"][MANY]}
    front = {(p["method"], p["dt"]) for p in results["front"][MANY]}
    for p in results["points"]:
        key = p["method"], p["dt"]
        cells = [
            f"{p['dt']:.4g}", _short(p["error"]), _short(p["error_spread"]),
            _short(p["cost"].get(MANY)), _short(p.get("reversal_error")),
            _short(p.get("energy_drift")), _broke(p), _short(pays.get(key)),
        ]  # fmt: skip
        name = ("* " if key in front else "  ") + p["method"]
        yield f"{name:{width}}" + "".join(f"{c:>13}" for c in cells)
    for name, row in results["predictions"].items():
        yield f"  {name:{width - 2}}{'':13}{_short(row['error']):>13}"
    yield (
        f"* on the Pareto front; error: rms per {case['site']} after t = {case['horizon']:g}; "
        f"s/{case['site']}/t: processor seconds per {case['site']} and unit of time, "
        f"{case['batch']} states at once; reversed: distance from the start after going back; "
        "|dE|/N: energy drift of a long run; broke: samples that exploded in it, and steps that "
        f"fell back; pays: {case['site']}-times after which labels and training are paid"
    )
    for batch, text in results["verdict"].items():
        number = "one state at a time" if batch != MANY else f"{case['batch']} states at once"
        yield f"{number}: {text}"


def _broke(point):
    if "long_n_samples" not in point:
        return "-"
    fell = point["fallback_percent"]
    counts = f"{point['long_n_exploded']}/{point['long_n_samples']}"
    return counts if fell is None else f"{counts} {fell:.2g}%"


def _short(value):
    return "-" if value is None else value if isinstance(value, str) else f"{value:.2e}"


def make_folder(folder):
    """Make the folder to write to, and write to it: what fails does so before the measurements.

    Parameters
    ----------
    folder : str or path-like

    Raises
    ------
    OSError
        If there can be no such folder, or no file in it.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def write_benchmark(results, folder, *, command, started):
    """Write ``pareto_SYSTEM.json`` and ``pareto_SYSTEM.png``.

    Parameters
    ----------
    results : dict
    folder : str or path-like
        Made if it does not exist.
    command : str
        What repeats the run.
    started : float
        ``time.time()`` at its start.

    Returns
    -------
    list of pathlib.Path
        The files.
    """
    from .figure import draw_benchmark

    make_folder(folder)
    stem = f"pareto_{results['case']['name']}"
    files = [Path(folder) / f"{stem}.{suffix}" for suffix in ("json", "png")]
    metadata = {
        "command": command,
        "date": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "duration_seconds": round(time.time() - started, 1),
        "load_average": [round(load, 2) for load in getattr(os, "getloadavg", tuple)()],
        "seeds": results["case"]["seeds"],
        **describe_environment(),
    }
    with replacing(files[0]) as temporary:
        content = plain({"metadata": metadata, "results": results})
        Path(temporary).write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    draw_benchmark(results, files[1])
    return files
