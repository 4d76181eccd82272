"""``dlintegrate benchmark``: does learning pay on a system? A table, a picture, a verdict."""

import shlex

from .options import say, seed


def add_to(commands):
    """Add the command."""
    benchmark = commands.add_parser(
        "benchmark",
        help="error against cost of all methods for a system, and whether learning pays",
        description="Measure every classical integrator and every corrector for a system: the "
        "error after a fixed time against processor time, null models, energy drift, explosions, "
        "other sizes and temperatures, and when labels and training have paid. Prints a table "
        "and a verdict, writes pareto_SYSTEM.json and pareto_SYSTEM.png. Minutes on one core.",
    )
    benchmark.add_argument(
        "system", metavar="SYSTEM", help="heisenberg, lennard-jones, sd or crystal"
    )
    benchmark.add_argument(
        "--output", default="dlintegrate-benchmark", metavar="FOLDER",
        help="where to write (default: %(default)s); files of an earlier run are replaced",
    )  # fmt: skip
    benchmark.add_argument(
        "--seeds", type=seed, nargs="+", default=[0, 1, 2], metavar="SEED",
        help="each draws its own states and fits anew (default: 0 1 2)",
    )  # fmt: skip
    benchmark.add_argument(
        "--full", action="store_true",
        help="larger, longer training, some ten minutes of one core",
    )  # fmt: skip
    benchmark.set_defaults(run=_run)


def _run(arguments):
    import time

    from ..benchmark import make_case, run_benchmark
    from ..benchmark.report import format_benchmark, make_folder, write_benchmark

    started = time.time()
    case = make_case(arguments.system, arguments.full)
    make_folder(arguments.output)
    results = run_benchmark(case, arguments.seeds, say=say)
    for line in format_benchmark(results):
        say(line)
    words = ["dlintegrate", "benchmark", arguments.system, "--seeds", *map(str, arguments.seeds)]
    command = shlex.join(words + ["--full"] * arguments.full)
    for path in write_benchmark(results, arguments.output, command=command, started=started):
        say(str(path))
