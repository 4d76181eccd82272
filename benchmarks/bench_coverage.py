"""Which lines of the library the tests run: line coverage, kernels left out.

Compiled kernels are invisible to the tracer and are excluded by their decorators; what
they compute is checked by benchmarks/mutants.py instead. Each file of tests runs in one
process, without the slow ones; processes that tests start are measured too.

    python benchmarks/bench_coverage.py [--report]

Some 20 minutes on one core. ``--report`` only sums up the data that are there.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import common

ROOT = Path(__file__).parents[1]


def coverage(*arguments, **options):
    """Run the tool in the root, where its configuration is."""
    command = [sys.executable, "-m", "coverage", *arguments]
    return subprocess.run(command, cwd=ROOT, check=False, **options).returncode


def main():
    """Measure, combine, record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--report", action="store_true", help="use the data that are there")
    options = parser.parse_args()
    started, failed = time.time(), []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"}
    files = [] if options.report else sorted((ROOT / "tests").glob("test_*.py"))
    for path in files:
        print(path.name, flush=True)
        code = coverage(
            "run", "-m", "pytest", "-p", "no:xdist", "-o", "addopts=", "-m", "not slow", "-q",
            str(path.relative_to(ROOT)), env=environment,
        )  # fmt: skip
        if code:
            failed.append(path.name)
    coverage("combine", "-q")
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        coverage("json", "-q", "-o", file.name)
        report = json.loads(Path(file.name).read_text())
    parts = {}
    for name, entry in report["files"].items():
        folder = Path(name).parts[1] if len(Path(name).parts) > 2 else "(top)"
        row = parts.setdefault(folder, {"part": folder, "lines": 0, "missed": 0, "excluded": 0})
        row["lines"] += entry["summary"]["num_statements"]
        row["missed"] += entry["summary"]["missing_lines"]
        row["excluded"] += entry["summary"]["excluded_lines"]
    for row in parts.values():
        row["percent"] = round(100 * (1 - row["missed"] / max(1, row["lines"])), 1)
    totals = report["totals"]
    results = {
        "percent": round(totals["percent_covered"], 1),
        "lines": totals["num_statements"],
        "missed": totals["missing_lines"],
        "excluded": totals["excluded_lines"],
        "failed": failed,
        "parts": sorted(parts.values(), key=lambda row: row["part"]),
    }
    print(json.dumps(results, indent=1))
    common.record("coverage", results, started)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
