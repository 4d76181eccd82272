"""Functions of a distance as tables of quintic polynomials: one fast form for every law.

A polynomial per interval through the values and slopes at both ends and in the middle errs
by ``3e-6 h⁶ f⁽⁶⁾``: below 1e-12 eV at h = 0.02 Å for the laws of atoms. Its slope is the exact
derivative of its value, so forces are gradients to rounding.
"""

from typing import NamedTuple

import numpy as np

from .jit import kernel

#: Where tables of distances begin, Å; below, laws go on as straight lines.
LOWEST = 0.5
#: Largest width of an interval, Å.
STEP = 0.02

#: Values at 0, 1/2, 1 and slopes there, to coefficients of t⁰ … t⁵.
_POWERS = np.arange(6)
_FROM_ENDS = np.linalg.inv(
    np.stack(
        [t**_POWERS for t in (0.0, 0.5, 1.0)]
        + [_POWERS * t ** np.maximum(_POWERS - 1, 0) for t in (0.0, 0.5, 1.0)]
    )
)


class Tables(NamedTuple):
    """Several functions, the rows of all in one array."""

    low: np.ndarray  #: (n_tables,) argument at which the first interval begins
    inverse_step: np.ndarray  #: (n_tables,)
    last: np.ndarray  #: (n_tables,) int64, index of the last interval
    start: np.ndarray  #: (n_tables,) int64, its first row
    cutoff: np.ndarray  #: (n_tables,) from here on the function is zero
    rows: np.ndarray  #: (n_rows, 6) coefficients of t⁰ … t⁵, t in [0, 1] over an interval


def grid_up_to(cutoff, kink=None):
    """Begin, width and number of intervals that end at a cutoff and have a node at a kink."""
    outer = cutoff - LOWEST if kink is None else cutoff - kink
    step = outer / max(50, np.ceil(outer / STEP))  # narrow switches are steep
    n = int(np.ceil((cutoff - LOWEST) / step - 1e-9))
    return cutoff - n * step, step, n


def quintic_rows(function, low, step, n):
    """Coefficients of a function on ``n`` intervals of width ``step``.

    Parameters
    ----------
    function : callable
        Gives values and slopes at an array of arguments.
    low, step : float
    n : int

    Returns
    -------
    ndarray, shape (n, 6)
    """
    values, slopes = function(low + 0.5 * step * np.arange(2 * n + 1))
    known = [values[:-1:2], values[1::2], values[2::2], slopes[:-1:2], slopes[1::2], slopes[2::2]]
    known[3:] = [step * slope for slope in known[3:]]
    return np.stack(known, axis=1) @ _FROM_ENDS.T


def joined(tables):
    """:class:`Tables` of a list of ``(low, step, cutoff, rows)``."""
    tables = tables or [(0.0, 1.0, 0.0, np.zeros((1, 6)))]
    low, step, cutoff, rows = zip(*tables, strict=True)
    sizes = np.array([len(part) for part in rows])
    return Tables(
        np.array(low), 1.0 / np.array(step), sizes - 1, np.cumsum(sizes) - sizes,
        np.array(cutoff), np.ascontiguousarray(np.concatenate(rows)),
    )  # fmt: skip


@kernel
def look_up(tables, k, x):
    """Value and slope of table ``k`` at ``x``: beyond both ends it goes on as a straight line."""
    inverse_step = tables.inverse_step[k]
    t = (x - tables.low[k]) * inverse_step
    m = min(max(int(t), 0), tables.last[k])
    t -= m
    inside = min(max(t, 0.0), 1.0)
    c = tables.rows[tables.start[k] + m]
    value = c[5]
    slope = 5.0 * c[5]
    value = value * inside + c[4]
    slope = slope * inside + 4.0 * c[4]
    value = value * inside + c[3]
    slope = slope * inside + 3.0 * c[3]
    value = value * inside + c[2]
    slope = slope * inside + 2.0 * c[2]
    value = value * inside + c[1]
    slope = slope * inside + c[1]
    value = value * inside + c[0]
    return value + slope * (t - inside), slope * inverse_step
