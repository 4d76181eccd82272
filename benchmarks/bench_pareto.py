"""Error against cost for every method of a system, and when learning pays.

    python benchmarks/bench_pareto.py heisenberg     # some ten minutes of one core
    python benchmarks/bench_pareto.py --draw         # all pictures of docs/does_it_pay.md

The same harness as ``dlintegrate benchmark SYSTEM --full``; the result goes into
``benchmarks/results/pareto_SYSTEM.json`` and its picture into ``docs/_static``.
"""

import argparse
import json
import time
from pathlib import Path

from common import RESULTS, record

from dlintegrate.benchmark import case_names, make_case, run_benchmark
from dlintegrate.benchmark.figure import draw_benchmark
from dlintegrate.benchmark.report import format_benchmark
from dlintegrate.evaluation import plain

PICTURES = Path(__file__).parents[1] / "docs" / "_static"


def draw(name):
    """The picture of what was measured, if it was."""
    path = RESULTS / f"pareto_{name}.json"
    if path.exists():
        results = json.loads(path.read_text())["results"]
        draw_benchmark(results, PICTURES / f"pareto_{name}.svg")
        print(f"wrote docs/_static/pareto_{name}.svg")


def main():
    """Measure, print, store, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("system", nargs="*", help=f"some of {', '.join(case_names())}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--small", action="store_true", help="the size of the command line")
    parser.add_argument("--draw", action="store_true", help="only draw what was measured before")
    options = parser.parse_args()
    if options.draw:
        for name in options.system or case_names():
            draw(name)
        return
    if not options.system:
        parser.error(f"SYSTEM: expected some of {', '.join(case_names())}, or --draw")
    for name in options.system:
        started = time.time()
        results = run_benchmark(make_case(name, full=not options.small), options.seeds)
        print(*format_benchmark(results), sep="\n")
        record(f"pareto_{name}", plain(results), started, seeds=options.seeds)
        draw(name)


if __name__ == "__main__":
    main()
