"""The command line: parses, calls the library, prints.

Each file adds one command or two; nothing that costs time is imported before it runs.
"""

import argparse
import contextlib
import os
import sys
import traceback
import warnings

from .. import __version__
from . import about, benchmark, completion, demo, evaluate, fit, sample, simulate
from .options import complain

COMMANDS = (demo, sample, fit, simulate, evaluate, benchmark, about, completion)

#: Exit codes.
DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
#: What the library raises for something that the user can put right by another input.
_BAD_INPUT = (
    ValueError, TypeError, FileNotFoundError, FileExistsError, IsADirectoryError,
    NotADirectoryError, PermissionError, ImportError,
)  # fmt: skip


def main(argv=None):
    """Run the command line and return the exit code.

    Parameters
    ----------
    argv : list of str, optional
        Arguments without the program's name; default ``sys.argv[1:]``.

    Returns
    -------
    int
        0 done, 1 the run failed, 2 bad input, 130 interrupted.

    Raises
    ------
    SystemExit
        With 2 for arguments that cannot be parsed, with 0 after ``--help``.
    """
    arguments = build_parser().parse_args(argv)
    with _warnings_in_one_line():
        try:
            status = arguments.run(arguments) or DONE
            sys.stdout.flush()
            return status
        except KeyboardInterrupt as interrupt:
            complain("interrupted", interrupt)
            return INTERRUPTED
        except BrokenPipeError:  # the reader of a pipe has gone: nothing is left to say
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return FAILED
        except Exception as error:
            if arguments.debug:
                traceback.print_exc()
            return _told(error)


def _told(error):
    """Say what went wrong in one line, and return the exit code."""
    if isinstance(error, _BAD_INPUT) and not _is_bug(error):
        complain("error", error)
        return BAD_INPUT
    if isinstance(error, OSError):
        complain("error", error)
        return FAILED
    remedy = "--debug shows where, `dlintegrate info` what a report of it needs"
    complain("error", f"{type(error).__name__}: {error}; {remedy}")
    return FAILED


def _is_bug(error):
    """Whether Python itself raised a TypeError, instead of a check of the library."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, TypeError) and not (frames and frames[-1].line.startswith("raise"))


@contextlib.contextmanager
def _warnings_in_one_line():
    """Warnings as lines for people, each once, without the place in the code that gave them."""
    told = set()

    def show(message, category, filename, lineno, file=None, line=None):
        if str(message) not in told:
            told.add(str(message))
            complain("warning", message)

    with warnings.catch_warnings():
        if sys.warnoptions == []:
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", PendingDeprecationWarning)
        warnings.showwarning = show
        yield


def build_parser():
    """The argument parser, one subcommand per task."""
    parser = argparse.ArgumentParser(
        prog="dlintegrate",
        description="Classical dynamics at large time steps, corrected by learning.",
        epilog="Exit codes: 0 done, 1 the run failed, 2 bad input, 130 interrupted.",
    )
    parser.add_argument("--version", action="version", version=f"dlintegrate {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_to(commands)
    for command in commands.choices.values():  # also after the command; the default is above
        command.add_argument(
            "--debug", action="store_true", default=argparse.SUPPRESS,
            help="show the traceback of an error",
        )  # fmt: skip
    return parser
