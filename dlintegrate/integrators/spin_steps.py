"""Steps of unit spins in any field: what the integrators of spins alone and of crystals share.

A field function is called ``field_of(directions, samples)`` with unit vectors of the same shape
as the spins and the indices of their samples in the batch, and returns angular velocities.
"""

import hashlib
from collections import Counter

import numpy as np

from .._checks import check_count
from .._kernels.spin_steps import cayley_turn, midpoint_directions, midpoint_iteration
from ..states import perpendicular

#: Changes below this may be rounding of a field in single precision.
_SINGLE_PRECISION = 1e-6


def semi_implicit_step(
    field_of, spins, dt, *, damping=0.0, precession=1.0, noise=None, first_field=None,
    drop_longitudinal=False,
):  # fmt: skip
    """Scheme B of Mentink et al. (J. Phys.: Condens. Matter 22, 176001, 2010).

    Parameters
    ----------
    field_of : callable
        See the module.
    spins : ndarray, shape (n_samples, n_spins, 3)
    dt : float
    damping : float
        α.
    precession : float
        Weight of the field itself; 0 leaves damping and noise alone.
    noise : ndarray, like ``spins``, optional
        Half of the time integral of the noise.
    first_field : ndarray, like ``spins``, optional
        The field at ``spins``, where it is known.
    drop_longitudinal : bool
        Remove the part of the field along the spin.

    Returns
    -------
    ndarray, like ``spins``
    """
    samples = np.arange(len(spins))
    noise = np.zeros_like(spins) if noise is None else noise

    def turned(direction, axis, field):
        field = field_of(direction, samples) if field is None else field
        if drop_longitudinal:
            field = perpendicular(field, direction)
        end = np.empty_like(spins)
        cayley_turn(spins, axis, field, noise, dt, precession, damping, end)
        return end

    predicted = turned(spins, spins, first_field)
    middle, direction = 0.5 * (spins + predicted), np.empty_like(spins)
    midpoint_directions(spins, predicted, direction)
    # the damping sees the midpoint itself: with the spin, the order drops to one
    return turned(direction, middle, None)


def midpoint_step(
    field_of, spins, dt, *, damping=0.0, noise=None, guess=None, tol=1e-13, max_iterations=100,
):  # fmt: skip
    """Spherical midpoint rule (McLachlan, Modin and Verdier, Phys. Rev. E 89, 061301, 2014).

    ``S' = S + dt m × (h(m) - α m × h(m))`` with ``m = (S + S')/|S + S'|``, by fixed-point
    iteration. A field in single precision ends it when the changes, below 1e-6, no longer
    fall.

    Parameters
    ----------
    field_of, spins, dt, damping, noise
        As for :func:`semi_implicit_step`.
    guess : ndarray, like ``spins``, optional
        About the field at the midpoint: where the iteration starts.
    tol : float
        Largest change of a spin in the last iteration.
    max_iterations : int

    Returns
    -------
    ndarray, like ``spins``
        Not exactly of unit length: off by ``tol``. NaN where the iteration did not converge.
    """
    end = spins.copy()
    noise = np.zeros_like(spins) if noise is None else noise
    if guess is not None:
        cayley_turn(spins, spins, guess, noise, dt, 1.0, damping, end)
    left = np.arange(len(spins))  # a sample that has converged stays as it is
    last = np.full(len(spins), np.inf)
    for _ in range(max_iterations):
        every = len(left) == len(spins)  # neither selects nor copies: the usual case
        start, new = (spins, end) if every else (spins[left], end[left])
        middle, change = np.empty_like(start), np.empty(len(left))
        midpoint_directions(start, new, middle)
        field = field_of(middle, left)
        pushed = noise if every else noise[left]
        midpoint_iteration(start, middle, field, pushed, dt, damping, new, change)
        end[left] = new
        # a field in single precision stops improving before tol is reached
        stuck = (change < _SINGLE_PRECISION) & (change >= last[left])
        last[left] = change
        left = left[~((change <= tol) | stuck)]
        if len(left) == 0:
            break
    end[left] = np.nan
    return end


def normal_numbers(array, random_state, shape=None):
    """Normal random numbers that depend on each sample and ``random_state`` alone.

    Parameters
    ----------
    array : ndarray, shape (n_samples, ...)
        The states: what follows from a state is the same whenever it is met. Copies of a state
        have numbers of their own, by the order in which they come.
    random_state : int or None
        None is 0.
    shape : tuple of int, optional
        Of the numbers of one sample; by default that of a state.

    Returns
    -------
    ndarray, shape (n_samples, *shape)

    Raises
    ------
    ValueError
        For another ``random_state``: a generator has a state of its own, which no file keeps.
    """
    seed = 0 if random_state is None else check_count("random_state", random_state, 0)
    numbers = np.empty((len(array), *(array.shape[1:] if shape is None else shape)))
    met = Counter()
    for sample, drawn in zip(array, numbers, strict=True):
        digest = hashlib.blake2b(sample.tobytes(), digest_size=16).digest()
        copy = [met[digest]] if met[digest] else []
        met[digest] += 1
        key = np.random.SeedSequence([seed, int.from_bytes(digest, "little"), *copy])
        drawn[:] = np.random.Generator(np.random.Philox(key)).normal(size=drawn.shape)
    return numbers
