"""Run the micro-benchmarks and keep their shortest times: ``python benchmarks/bench_micro.py``.

To compare two states of the code, run ``python -m pytest benchmarks/micro`` with
``--benchmark-autosave`` before and ``--benchmark-compare`` after.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import record

FOLDER = Path(__file__).parent / "micro"


def main():
    """Run, shorten, store."""
    started = time.time()
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        subprocess.run(
            [sys.executable, "-m", "pytest", str(FOLDER), f"--benchmark-json={file.name}"],
            check=True,
        )
        found = json.load(file)["benchmarks"]
    rows = [
        {
            "kernels": Path(entry["fullname"].split("::")[0]).stem.removesuffix("_kernels"),
            "benchmark": entry["name"].removeprefix("test_").replace("_", " "),
            "milliseconds": 1e3 * entry["stats"]["min"],
            "median": 1e3 * entry["stats"]["median"],
            "rounds": entry["stats"]["rounds"],
        }
        for entry in found
    ]
    record("micro", rows, started, seeds=0)


if __name__ == "__main__":
    main()
