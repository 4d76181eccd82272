"""Where the learning of a composition starts: classical methods, chance, earlier finds."""

import numpy as np

from .composition_table import COMPOSITIONS


def blanes_moan(stages):
    """Sweep lengths of the best classical method of at most ``stages`` stages.

    S6 (order 4) and S10 (order 6) of Blanes and Moan 2002 (Journal of
    Computational and Applied Mathematics 142, 313, Table 2); below six stages those
    of fourth order of Omelyan, Mryglod and Folk 2002 (Computer Physics
    Communications 146, 188) and Yoshida 1990 (Physics Letters A 150, 262). Stages to
    spare have length zero.

    Parameters
    ----------
    stages : int

    Returns
    -------
    ndarray, shape (2 stages + 1,)
    """
    known = max((s for s in _CLASSICAL if s <= stages), default=None)
    if known is None:
        return second_order(np.full(stages, 1.0 / stages))
    return _pad(complete(_CLASSICAL[known], known), stages)


def suzuki(stages):
    """Suzuki's five second-order steps of fourth order (1990, Physics Letters A 146, 319).

    Below five stages, ``stages`` equal second-order steps; stages to spare have
    length zero.
    """
    if stages < 5:
        return second_order(np.full(stages, 1.0 / stages))
    p = 1.0 / (4.0 - 4.0 ** (1.0 / 3.0))
    return _pad(second_order(np.array([p, p, 1.0 - 4.0 * p, p, p])), stages)


def scatter(stages, rng):
    """Random consistent palindromic lengths, a third of them negative."""
    half = 0.3 * np.abs(rng.standard_normal(stages + 1)) * rng.choice([1, 1, -1], stages + 1)
    return complete(half[: stages - 1], stages)


def shipped(stages, step, processor=False):
    """Learned compositions that come with the package, nearest in |J| dt first, two at most.

    Parameters
    ----------
    stages : int
    step : float
        J dt.
    processor : bool, default False
        Those with a processor, or those without.

    Returns
    -------
    list of (name, step, processor)
        Both as ``(lengths, angle coefficients for J = 1)``; the last None without processor.
    """
    entries = [
        entry
        for entry in COMPOSITIONS
        if entry["stages"] == stages and (entry["processor"] is not None) == processor
    ]
    entries.sort(key=lambda entry: abs(np.log(entry["dt"] / abs(step))))
    return [
        (
            f"shipped, dt={entry['dt']:g}",
            palindrome(entry),
            None if not processor else tuple(map(_array, entry["processor"])),
        )
        for entry in entries[:2]
    ]


def palindrome(entry):
    """Sweep lengths and angle coefficients (or None) of a shipped composition."""
    return _mirrored(entry["half"]), _mirrored(entry["angles"])


def _mirrored(half):
    return None if half is None else np.concatenate([half, half[-2::-1]])


def _array(values):
    return None if values is None else np.array(values)


def rows(lengths, angles=None, coupling=1.0):
    """Rows ``(a, d1, d2, d3)`` of lengths and angle coefficients for J = 1."""
    out = np.zeros((len(lengths), 4))
    out[:, 0] = lengths
    if angles is not None:
        # |h|² and (S·h)² bring their J² along; S·h brings one of two
        out[:, 1:] = lengths[:, None] * angles * np.array([1.0, 1.0, coupling])
    return out


def second_order(steps):
    """Sweep lengths of a sequence of second-order steps, neighbours fused."""
    lengths = np.zeros(2 * len(steps) + 1)
    lengths[1::2] = steps
    lengths[:-1:2] += steps / 2
    lengths[2::2] += steps / 2
    return lengths


def complete(half, stages):
    """The palindrome with the first ``stages - 1`` lengths given and both sums one."""
    n = 2 * stages + 1
    if stages == 1:
        return np.array([0.5, 1.0, 0.5])
    lengths = np.zeros(n)
    lengths[: stages - 1], lengths[n - stages + 1 :] = half, np.asarray(half)[::-1]
    for index, multiplicity in ((stages - 1, 2), (stages, 1)):
        missing = (1.0 - lengths[index % 2 :: 2].sum()) / multiplicity
        lengths[[index, n - 1 - index]] = missing
    return lengths


def _pad(lengths, stages):
    """Split the middle sweep, again and again, by one of length zero."""
    while len(lengths) < 2 * stages + 1:
        middle = len(lengths) // 2
        half = lengths[middle] / 2
        lengths = np.concatenate([lengths[:middle], [half, 0.0, half], lengths[middle + 1 :]])
    return lengths


_YOSHIDA = 1.0 / (2.0 - 2.0 ** (1.0 / 3.0))

#: Stages to the first ``stages - 1`` lengths; the rest follows.
_CLASSICAL = {
    1: [],
    3: [_YOSHIDA / 2, _YOSHIDA],
    4: [0.1786178958448091, (1 + 2 * 0.2123418310626054) / 2, -0.06626458266981849],
    5: [0.08398315262876693, 0.2539785108410595, 0.6822365335719091, -0.03230286765269967],
    6: [0.0792036964311957, 0.209515106613362, 0.353172906049774, -0.143851773179818,
        -0.0420650803577195],
    10: [0.0502627644003922, 0.148816447901042, 0.413514300428344, -0.132385865767784,
         0.0450798897943977, 0.067307604692185, -0.188054853819569, 0.432666402578175,
         0.541960678450780],
}  # fmt: skip
