"""Arguments and habits that several commands share."""

import argparse
import contextlib
import math
import os
import shutil
import sys
import tempfile


def complain(kind, message):
    """Print one line to stderr."""
    text = " ".join(str(message).split())
    print(f"dlintegrate: {kind}{': ' if text else ''}{text}", file=sys.stderr, flush=True)


def say(line):
    """Print one line to stdout, at once: a batch job's log is read while it runs."""
    print(line, flush=True)


def add_progress(parser):
    """``--progress`` and ``--no-progress``; by default bars are for terminals."""
    parser.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, default=None,
        help="progress bars on stderr (default: if that is a terminal)",
    )  # fmt: skip


def wants_progress(arguments):
    """Whether to draw progress bars."""
    return sys.stderr.isatty() if arguments.progress is None else arguments.progress


def add_output(parser, default=None, help="file to write"):
    """``--output`` with ``--overwrite`` and ``--resume``, of which one at most."""
    parser.add_argument(
        "-o", "--output", metavar="FILE", default=default, required=default is None, help=help
    ).complete = _FILE
    what_if = parser.add_mutually_exclusive_group()
    what_if.add_argument("--overwrite", action="store_true", help="replace the file if it exists")
    what_if.add_argument(
        "--resume", action="store_true",
        help="continue what was interrupted; starts anew if nothing was, and does nothing if "
        "all is done",
    )  # fmt: skip


def check_output(arguments):
    """Refuse to replace a file unasked, and to write into a folder that does not exist."""
    output = arguments.output
    folder = os.path.dirname(output) or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"--output {output}: there is no folder {folder}; make it first")
    resume = getattr(arguments, "resume", None)  # None: the command has nothing to continue
    if os.path.exists(output) and not (arguments.overwrite or resume):
        continues = "" if resume is None else ", --resume continues it"
        raise FileExistsError(f"--output {output} exists; --overwrite replaces it{continues}")


@contextlib.contextmanager
def replaced(output, overwrite=True):
    """Put aside what ``--overwrite`` replaces, a file or a zarr store, while another is made.

    It is deleted at the end, and comes back if nothing has taken its place.
    """
    if not (overwrite and os.path.exists(output)):
        yield
        return
    store = os.path.exists(os.path.join(output, ".zgroup"))
    if os.path.isdir(output) and not store:
        raise IsADirectoryError(
            f"--overwrite: {output} is a folder and no zarr store; choose another name, or "
            "delete it yourself"
        )
    folder, name = os.path.split(os.path.abspath(output))
    aside = tempfile.mkdtemp(prefix=f".{name}-", suffix=".replaced", dir=folder)
    former = os.path.join(aside, name)
    os.replace(output, former)
    try:
        yield
    finally:
        if not os.path.exists(output):
            os.replace(former, output)
        shutil.rmtree(aside)


def add_settings(parser):
    """``--set KEY=VALUE``, which replaces a value of the TOML file."""
    parser.add_argument(
        "--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
        help="replace a value of the TOML file, for instance base.dt=0.2; may be repeated",
    )  # fmt: skip


def add_jobs(parser):
    """``--jobs``."""
    parser.add_argument(
        "-j", "--jobs", type=int, metavar="N",
        help="parallel workers, -1 for all cores; results do not depend on it",
    )  # fmt: skip


def seed(text):
    """A non-negative int."""
    value = _number(text, int, "an int")
    if value < 0:
        raise argparse.ArgumentTypeError(f"{value} is negative")
    return value


def count(text):
    """An int of at least 1."""
    value = _number(text, int, "an int")
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value}: expected 1 or more")
    return value


def number(text):
    """A finite float."""
    value = _number(text, float, "a number")
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{value}: expected a finite number")
    return value


def _number(text, kind, told):
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {told}") from None


#: What shtab completes as a path, by shell.
_FILE = {
    "bash": "_shtab_compgen_files", "zsh": "_files", "tcsh": "f", "fish": "__fish_complete_path",
}  # fmt: skip


def file_argument(parser, name, **options):
    """A positional argument that completes as a path."""
    parser.add_argument(name, **options).complete = _FILE
