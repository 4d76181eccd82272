"""What the benchmark scripts share: a clock that forgives a busy machine, and records on disk.

A number may only go into the documentation if a script here wrote it, through
:func:`record`, beside what is needed to obtain it again.
"""

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from dlintegrate.environment import processor_name

RESULTS = Path(__file__).parent / "results"
_PACKAGES = ("dlintegrate", "numpy", "numba", "scikit-learn", "torch", "xarray")


def fastest(function, repeats=7):
    """Shortest and median time of ``function()`` in seconds, after one call to warm up.

    The shortest is the figure to compare: other programs can only add to it.
    """
    function()
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - started)
    return min(seconds), float(np.median(seconds))


def record(name, results, started, *, seeds=None):
    """Write ``benchmarks/results/<name>.json``: results and how they came about.

    Parameters
    ----------
    name : str
        File name without suffix.
    results : dict
        What was measured; numpy scalars and arrays are turned into plain numbers.
    started : float
        ``time.time()`` at the start of the run.
    seeds : optional
        The seeds used, in whatever form repeats them.

    Returns
    -------
    pathlib.Path
        The file written.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {"metadata": metadata(started, seeds), "results": results}
    path.write_text(json.dumps(content, indent=1, default=_plain, ensure_ascii=False) + "\n")
    print(f"wrote benchmarks/results/{path.name}")
    return path


def metadata(started, seeds):
    """How a result came about: command, date, duration, commit, machine, versions, seeds."""
    script = Path(sys.argv[0])
    return {
        "command": shlex.join(
            ["python", f"benchmarks/{script.name}", *map(_portable, sys.argv[1:])]
        ),
        "date": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "duration_seconds": round(time.time() - started, 1),
        "commit": _commit(),
        "cpu": processor_name(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "seeds": seeds,
    }


def _portable(argument):
    """An argument without the folders of this machine."""
    return Path(argument).name if argument.startswith("/") else argument


def _commit():
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=RESULTS.parent, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value)
