"""The conditions that an integrator was fitted or tested under, and what to say outside of them."""

import warnings

import numpy as np
import xarray as xr

from ..states import name_samples

#: So far beyond the ends of a range, as a fraction of them, nothing is said.
MARGIN = 0.1
#: Sizes: what is local may be used on larger ones.
_SIZES = ("side", "n_particles")


class DomainWarning(UserWarning):
    """States lie outside of the conditions that an integrator was fitted or tested under."""


def record_domain(system, array, states, any_size):
    """Ranges of the conditions of samples.

    Parameters
    ----------
    system : System
        Of the samples.
    array : ndarray, shape (n_samples, ...)
        Validated samples.
    states : xarray.DataArray or array-like
        What the user passed in; its coordinate ``temperature`` comes before an estimate.
    any_size : bool
        Whether larger samples are as good.

    Returns
    -------
    dict of str to list
        Name to ``[lowest, highest]``; None where there is no bound.
    """
    domain = {}
    for name, (values, _, _) in _conditions(system, array, states).items():
        if np.isnan(values).all():
            continue
        ends = float(np.nanmin(values)), float(np.nanmax(values))
        low, high = (end if np.isfinite(end) else None for end in ends)
        domain[name] = [low, None if any_size and name in _SIZES else high]
    return domain


def warn_outside(domain, system, array, states, name, whose):
    """Warn once of all conditions that are surely outside.

    Parameters
    ----------
    domain : dict of str to list
        As :func:`record_domain` returns it.
    system, array, states
        As there.
    name : str
        What to call the states.
    whose : str
        What to call the integrator.

    Warns
    -----
    DomainWarning
        With each condition, its values, the samples, and the range.
    """
    found = _conditions(system, array, states)
    told = []
    for key in domain.keys() & found.keys():
        values, lowest, highest = found[key]
        low, high = domain[key]
        outside = np.zeros(len(array), dtype=bool)
        if low is not None:
            outside |= highest < low / (1 + MARGIN)
        if high is not None:
            outside |= lowest > high * (1 + MARGIN)
        if outside.any():
            ends = sorted({f"{v:.3g}" for v in (values[outside].min(), values[outside].max())})
            told.append(
                f"{key} {' to '.join(ends)} of {name_samples(outside)} is not "
                f"{_range_in_words(low, high)}"
            )
    if told:
        warnings.warn(
            f"{name}: {'; '.join(sorted(told))}, for which this {whose} was fitted or tested. "
            "Measure its one_step_error there, or fit it on such states",
            DomainWarning,
            stacklevel=4,
        )


def _range_in_words(low, high):
    if high is None:
        return f"{low:.3g} or more"
    return f"{high:.3g} or less" if low is None else f"{low:.3g} to {high:.3g}"


def _conditions(system, array, states):
    """Those that the states show, and the temperature that they are labelled with."""
    found = dict(system.conditions(array))
    if isinstance(states, xr.DataArray) and "temperature" in states.coords:
        labels = states.coords["temperature"]
        if set(labels.dims) <= {"sample"} and labels.dtype.kind in "fiu":
            known = np.broadcast_to(labels.values, len(array)).astype(np.float64)
            told = np.isfinite(known)
            rest = found.get("temperature", np.full((3, len(array)), np.nan))
            found["temperature"] = np.where(told, known, rest)
    return found
