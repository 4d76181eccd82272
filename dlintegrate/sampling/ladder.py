"""Temperatures: those of the paper's training set, and the ladder of simulated annealing."""

from typing import NamedTuple

import numpy as np

#: Critical temperature of the simple cubic ferromagnet, in J/k_B, as the paper rounds it.
CRITICAL_TEMPERATURE = 1.44
#: Ratio f of neighbouring temperatures (Park 2022, Eq. 4.1).
FACTOR = 1.1
#: Rungs below and above the critical temperature: m = 11 and n = 5 (the text has them exchanged).
N_BELOW, N_ABOVE = 11, 5


class TrainingTemperatures(NamedTuple):
    """Temperatures and how many samples to draw at each; unpacks into `sample_canonical`."""

    temperature: np.ndarray
    n_samples: np.ndarray


def park_temperatures(fraction=1.0):
    """Temperatures and sample counts of the paper's training set (Park 2022, section 4.1.1).

    Seventeen temperatures, 0.5 to 2.32 J/k_B, spaced by a factor 1.1 about the
    critical one (Eq. 4.1) and rounded to two decimals as the paper prints them;
    910,000 samples in all: 30,000 at each of the ten lowest, 70,000 at the
    three about 1.44, 100,000 at the four highest.

    Parameters
    ----------
    fraction : float, default 1.0
        Scales the counts, which are rounded up, so that every temperature keeps
        at least one sample.

    Returns
    -------
    TrainingTemperatures
        Named tuple ``(temperature, n_samples)`` of two arrays of length 17.

    Raises
    ------
    ValueError
        If ``fraction`` is not a positive finite number.

    Examples
    --------
    >>> from dlintegrate import park_temperatures
    >>> temperature, n_samples = park_temperatures()
    >>> temperature[[0, 11, 16]], int(n_samples.sum())
    (array([0.5 , 1.44, 2.32]), 910000)
    >>> int(park_temperatures(fraction=0.001).n_samples.sum())
    910
    """
    if not (np.isscalar(fraction) and np.isfinite(fraction) and fraction > 0):
        raise ValueError(f"fraction={fraction!r}: expected a positive finite number, such as 0.01")
    rungs = np.arange(-N_BELOW, N_ABOVE + 1)
    temperature = np.round(CRITICAL_TEMPERATURE * FACTOR**rungs, 2)
    counts = np.repeat([30_000, 70_000, 100_000], [10, 3, 4])
    # 1e-9: that 0.1 is not exactly a tenth shall not add a sample
    return TrainingTemperatures(temperature, np.ceil(counts * fraction - 1e-9).astype(int))


def annealing_ladder(
    temperature, *, hottest=2.4, critical=CRITICAL_TEMPERATURE, factor=FACTOR, scale=1.0
):
    """Temperatures from high to ``temperature`` for simulated annealing (Park 2022, Eq. 4.1).

    The rungs are ``critical * factor**k`` for every integer k that gives a
    temperature between the target and ``hottest``; the target is the last one.

    Parameters
    ----------
    temperature : float
        Target.
    hottest : float, default 2.4
        No rung lies above it (unless the target does).
    critical : float, default 1.44
        The rung k = 0.
    factor : float, default 1.1
        Ratio f of neighbouring rungs.
    scale : float, default 1.0
        Energy scale that multiplies ``hottest`` and ``critical``: \\|J\\|.

    Returns
    -------
    ndarray, shape (n_rungs,)
        Falling temperatures, the last equal to ``temperature``.

    Raises
    ------
    ValueError
        If a parameter is not positive, or ``factor`` is not above 1.

    Examples
    --------
    >>> from dlintegrate.sampling import annealing_ladder
    >>> annealing_ladder(1.5).round(3)
    array([2.319, 2.108, 1.917, 1.742, 1.584, 1.5  ])
    """
    for name, value in {
        "temperature": temperature, "hottest": hottest, "critical": critical, "scale": scale,
    }.items():  # fmt: skip
        if not (np.isfinite(value) and value > 0):
            raise ValueError(f"{name}={value!r}: expected a positive finite number")
    if not (np.isfinite(factor) and factor > 1):
        raise ValueError(f"factor={factor!r}: expected a number above 1, such as {FACTOR}")
    # Eq. 4.2; a rung that equals an end to rounding counts as that end
    top = np.floor(np.log(hottest / critical) / np.log(factor) + 1e-9)
    bottom = np.log(temperature / (scale * critical)) / np.log(factor) + 1e-9
    rungs = np.arange(top, bottom, -1.0)
    return np.append(scale * critical * factor**rungs, temperature)
