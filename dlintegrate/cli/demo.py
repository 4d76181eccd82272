"""``dlintegrate demo``."""

from .options import say, seed


def add_to(commands):
    """Add the command."""
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
    demo.add_argument("--seed", type=seed, default=0, help="seed (default: %(default)s)")
    demo.add_argument(
        "--quick", action="store_true", help="a 4³ lattice and short runs: well under a minute"
    )
    demo.set_defaults(run=_run)


def _run(arguments):
    from ..demo import run_demo

    run_demo(arguments.output, seed=arguments.seed, quick=arguments.quick, say=say)
