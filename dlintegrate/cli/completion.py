"""``dlintegrate completion``: completion of commands, options and files in a shell."""

SHELLS = ("bash", "zsh", "fish", "tcsh")


def add_to(commands):
    """Add the command."""
    completion = commands.add_parser(
        "completion",
        help="print the completion script of a shell",
        description='Print a completion script, for instance: eval "$(dlintegrate completion '
        'bash)" in ~/.bashrc. Needs pip install "dlintegrate[completion]".',
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.set_defaults(run=_run)


def _run(arguments):
    from . import build_parser

    try:
        import shtab
    except ImportError:
        raise ImportError('completion needs shtab: pip install "dlintegrate[completion]"') from None
    print(shtab.complete(build_parser(), arguments.shell))
