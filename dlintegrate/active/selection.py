"""Which explored frames deserve a label: uncertain, but not absurd, and unlike each other."""

import numbers

import numpy as np

from .descriptors import describe_frames
from .ensemble import QUANTITIES

#: The upper level of automatic trust, in units of the lower one.
_BAND = 10.0
#: A deviation is never taken for more than twice the expected error.
_SMALLEST_SCALE = 0.5


def check_trust(trust):
    """Two numbers or a dict of them, in order; see :class:`ActiveLearner`.

    Returns
    -------
    dict of str to (low, high), or None for automatic levels
    """
    if isinstance(trust, str) and trust == "auto":
        return None
    levels = trust if isinstance(trust, dict) else dict.fromkeys(QUANTITIES, trust)
    if set(levels) != set(QUANTITIES):
        raise ValueError(f"trust={trust!r}: expected levels for {' and '.join(QUANTITIES)}")
    for pair in levels.values():
        if np.shape(pair) != (2,) or not 0 < pair[0] < pair[1]:
            raise ValueError(
                f'trust={trust!r}: expected "auto", (low, high) with 0 < low < high, or a dict of '
                "such pairs"
            )
    return {q: (float(low), float(high)) for q, (low, high) in levels.items()}


def trust_levels(trust, unit, scale, tolerance):
    """Deviations between which a frame is worth a label, in eV/Å and eV/μB.

    Parameters
    ----------
    trust : dict or None
        What :func:`check_trust` returned.
    unit : dict of str to float
        What levels are relative to.
    scale : dict of str to float
        True error per deviation, for automatic levels: the lower one is the deviation at which
        the expected error of an atom reaches the tolerance.
    tolerance : float
        In the same units as relative levels.

    Returns
    -------
    dict of str to (low, high)
    """
    levels = {}
    for q in QUANTITIES:
        if trust is None:
            low = tolerance / max(np.nan_to_num(scale[q], nan=1.0), _SMALLEST_SCALE)
            pair = (low, _BAND * low)
        else:
            pair = trust[q]
        known = unit[q] > 0  # of what has no size, spins of a crystal without, nothing is asked
        levels[q] = tuple(unit[q] * level if known else np.inf for level in pair)
    return levels


def sort_out(judged, levels):
    """Which frames are accurate, candidates, or beyond the upper level: three masks."""
    deviation = {q: judged[f"{q}_deviation"].values for q in QUANTITIES}
    beyond = np.any([~(deviation[q] <= levels[q][1]) for q in QUANTITIES], axis=0)
    above = np.any([deviation[q] > levels[q][0] for q in QUANTITIES], axis=0)
    return ~above & ~beyond, above & ~beyond, beyond


def excess(judged, levels):
    """Deviation over its lower level, the larger of force and magnetic force, (n_frames,)."""
    return np.max([judged[f"{q}_deviation"].values / levels[q][0] for q in QUANTITIES], axis=0)


def choose(judged, levels, known, n, max_per_trajectory=None):
    """Choose up to ``n`` frames to label.

    Frames between the trust levels come first, the farthest from all labelled and chosen
    ones in the space of :func:`describe_frames`, weighted by their deviation. If there are
    none, those least beyond the upper level are taken, so that a poor first model gets on.

    Parameters
    ----------
    judged : xarray.Dataset
        With deviations and the coordinate ``trajectory``; frames with labels already left out.
    levels : dict of str to (low, high)
    known : xarray.Dataset
        Labelled frames.
    n : int
    max_per_trajectory : int, optional

    Returns
    -------
    ndarray of int
        In increasing order.
    """
    _, candidate, beyond = sort_out(judged, levels)
    weight = excess(judged, levels)
    if candidate.any():
        pool = np.flatnonzero(candidate)
    else:
        pool = np.flatnonzero(beyond & np.isfinite(weight))
        weight = 1.0 / np.where(weight > 0, weight, 1.0)
    if len(pool) == 0 or n < 1:
        return np.empty(0, dtype=int)
    part = judged.isel(frame=pool)
    points, references = _standardized(describe_frames(part), describe_frames(known))
    chosen = farthest_points(
        points, references, weight[pool], n, part.trajectory.values, max_per_trajectory
    )
    return np.sort(pool[chosen])


def _standardized(points, references):
    together = np.concatenate([points, references])
    width = together.std(axis=0)
    width = np.where(width > 1e-9 * np.abs(together).max(), width, np.inf)  # constant: no weight
    return points / width, references / width


def farthest_points(points, references, weight, n, group=None, max_per_group=None):
    """Greedy choice of points that are far from the references and from each other.

    Parameters
    ----------
    points : ndarray, shape (n_points, n_features)
    references : ndarray, shape (n_references, n_features)
    weight : ndarray, shape (n_points,)
        Multiplies the distance.
    n : int
    group : ndarray, shape (n_points,), optional
    max_per_group : int, optional
        At most so many of one group.

    Returns
    -------
    list of int
        In the order of choice.
    """
    nearest = np.full(len(points), np.inf)
    for reference in references:
        nearest = np.minimum(nearest, np.linalg.norm(points - reference, axis=1))
    if len(references) == 0:
        nearest[:] = 1.0
    free = np.ones(len(points), dtype=bool)
    chosen = []
    while len(chosen) < n and free.any():
        best = int(np.argmax(np.where(free, nearest * weight, -1.0)))
        chosen.append(best)
        free[best] = False
        if max_per_group is not None and (group[chosen] == group[best]).sum() >= max_per_group:
            free &= group != group[best]
        nearest = np.minimum(nearest, np.linalg.norm(points - points[best], axis=1))
    return chosen


def choose_at_random(judged, n, rng):
    """Frames drawn without a look at their deviation: what active learning is measured against."""
    n_frames = judged.sizes["frame"]
    return np.sort(rng.choice(n_frames, min(n, n_frames), replace=False))


def check_fraction(name, value, *, low=0.0, high=1.0):
    """A number from ``low`` to ``high``, or a ValueError that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not low <= value <= high:
        raise ValueError(f"{name}={value!r}: expected a number from {low} to {high}")
    return float(value)


def check_positive(name, value):
    """A finite number above zero, or a ValueError that names the parameter."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < value < np.inf:
        raise ValueError(f"{name}={value!r}: expected a positive number")
    return float(value)
