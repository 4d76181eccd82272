"""Checks of parameters that several floors share."""

import math
import numbers


def check_count(name, value, least):
    """An int of at least ``least``, or a ValueError that names the parameter."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: expected an int of at least {least}")
    return int(value)


def check_finite(name, value):
    """A finite number, or a ValueError that names the parameter."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise ValueError(f"{name}={value!r}: expected a finite number")
    return float(value)
