"""The command line: parses, calls the library, prints."""

import argparse
import sys

from . import __version__


def main(argv=None):
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; default ``sys.argv[1:]``.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    try:
        arguments.run(arguments)
    except (OSError, ValueError) as error:
        print(f"dlintegrate: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dlintegrate: interrupted", file=sys.stderr)
        return 130
    return 0


def build_parser():
    """The argument parser, one subcommand per task."""
    parser = argparse.ArgumentParser(prog="dlintegrate", description=__doc__.splitlines()[0])
    parser.description = "Classical dynamics at large time steps, corrected by learning."
    parser.add_argument("--version", action="version", version=f"dlintegrate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="sample, fit and compare corrected integrators of a Heisenberg ferromagnet",
        description="Fit two corrections for dt = 0.1 on equilibrium samples of a Heisenberg "
        "ferromagnet, compare them with classical integrators on held-out samples, and write "
        "trajectory.nc, demo.png and corrected.safetensors. A few minutes on two cores.",
    )
    demo.add_argument(
        "--output", default="dlintegrate-demo", metavar="FOLDER",
        help="where to write (default: %(default)s); files of an earlier demo are replaced",
    )  # fmt: skip
    demo.add_argument("--seed", type=_seed, default=0, help="seed (default: %(default)s)")
    demo.add_argument(
        "--quick", action="store_true", help="a 4³ lattice and short runs: well under a minute"
    )
    demo.set_defaults(run=_demo)
    return parser


def _seed(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


def _demo(arguments):
    from .demo import run_demo

    def say(line):
        print(line, flush=True)

    run_demo(arguments.output, seed=arguments.seed, quick=arguments.quick, say=say)
