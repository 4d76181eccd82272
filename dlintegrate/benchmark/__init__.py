"""Does learning pay? Error against cost of every method that a system has, and a verdict.

``dlintegrate benchmark SYSTEM`` and ``benchmarks/bench_pareto.py`` are two ways to call it.
"""

from importlib import import_module

from .case import Case, External, Fit, Learned, Method, fit_corrected, pretrained
from .figure import draw_benchmark
from .harness import run_benchmark

#: System to the module and the function that makes its case.
_CASES = {
    "heisenberg": "heisenberg",
    "lennard-jones": "lennard_jones",
    "sd": "sd",
    "crystal": "crystal",
}

__all__ = [
    "Case",
    "External",
    "Fit",
    "Learned",
    "Method",
    "case_names",
    "draw_benchmark",
    "fit_corrected",
    "make_case",
    "pretrained",
    "run_benchmark",
]


def case_names():
    """Names of the systems that can be benchmarked.

    Returns
    -------
    list of str
    """
    return list(_CASES)


def make_case(name, full=False):
    """The case of a system.

    Parameters
    ----------
    name : str
        One of :func:`case_names`.
    full : bool, default False
        Larger, longer training, minutes of computing; the documentation's picture of Heisenberg
        spins is of this size, its others are of the small one.

    Returns
    -------
    Case

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in _CASES:
        raise ValueError(f"system={name!r}: expected one of {case_names()}")
    return getattr(import_module(f".{_CASES[name]}", __name__), _CASES[name])(full)
