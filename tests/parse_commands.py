"""Do scripts understand their arguments? Each is started, and stopped as soon as it has parsed.

Reads a JSON list of [script, [argument, ...]] from standard input, and prints a list with null
for each that is understood and with the complaint for the others.
"""

import argparse
import contextlib
import io
import json
import runpy
import sys
from pathlib import Path


class Understood(BaseException):
    """No Exception: no script catches it by accident."""


def complaint(script, arguments):
    """What the script says against its arguments, or None."""
    path = Path(script)
    if not path.is_file():
        return "no such file"
    takes_options = "parse_args()" in path.read_text()
    if arguments and not takes_options:
        return "takes no arguments"
    sys.argv = [script, *arguments]
    sys.path[0] = str(path.parent)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            runpy.run_path(script, run_name="__main__" if takes_options else "imported")
        except Understood:
            return None
        except SystemExit:
            return said.getvalue().strip().splitlines()[-1]
        except Exception as error:
            return f"{type(error).__name__}: {error}"
    return "began to work before it looked at its arguments" if takes_options else None


def main():
    parse = argparse.ArgumentParser.parse_args

    def parse_and_stop(self, *args, **kwargs):
        parse(self, *args, **kwargs)
        raise Understood

    argparse.ArgumentParser.parse_args = parse_and_stop
    print(json.dumps([complaint(*command) for command in json.load(sys.stdin)]))


if __name__ == "__main__":
    main()
