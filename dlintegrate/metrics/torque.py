"""How well a field turns the spins: errors of torques, and of their symmetry."""

import itertools
import numbers

import numpy as np
import xarray as xr

from ..states import perpendicular
from ._named import named, ordered

#: Parts of a field shorter than this exert no torque to speak of, and have no direction.
_NO_TORQUE = 1e-14


def torque_error(predicted, exact, spins, *, per_sample=False):
    """Relative error of a field as the spins feel it: root mean square, part along them removed.

    ``||P(h' - h)|| / ||P h||`` with ``P h = h - (h·S) S``. The norm runs over everything, so that
    large torques count as much as they move spins; 1 is the error of predicting nothing.

    Parameters
    ----------
    predicted, exact : xarray.DataArray or array-like, like ``spins``
        Local fields, both with or both without the external one.
    spins : xarray.DataArray or array-like, shape (..., 3)
        The spins that they act on.
    per_sample : bool, default False
        One value for each sample (and time, of a DataArray that has them).

    Returns
    -------
    float, or array or DataArray of them

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> from dlintegrate import ExactDiagonalization, KernelPolynomial, TriangularSDModel
    >>> from dlintegrate.metrics import torque_error
    >>> exact = TriangularSDModel((12, 12), solver=ExactDiagonalization())
    >>> coarse = TriangularSDModel((12, 12), solver=KernelPolynomial(n_moments=100))
    >>> spins = exact.random_states(1, random_state=0)
    >>> error = torque_error(coarse.local_field(spins), exact.local_field(spins), spins)
    >>> 1e-3 < error < 0.1
    True
    """
    predicted, exact, s = _alike(predicted, exact, spins)
    wrong, right = perpendicular(predicted - exact, s) ** 2, perpendicular(exact, s) ** 2
    if not per_sample:
        return float(np.sqrt(wrong.sum() / right.sum()))
    kept = [k for k, dim in enumerate(_dims(spins, s.ndim)) if dim in ("sample", "time")]
    summed = tuple(k for k in range(s.ndim) if k not in kept)
    values = np.sqrt(wrong.sum(axis=summed) / right.sum(axis=summed))
    return named(spins, values, [_dims(spins, s.ndim)[k] for k in kept])


def torque_angle(predicted, exact, spins):
    """Angle between the predicted and the exact torque on each spin (Cheng 2023, Fig. 4b).

    Parameters
    ----------
    predicted, exact, spins
        As for :func:`torque_error`.

    Returns
    -------
    ndarray or DataArray, like ``spins`` without its last axis
        In degrees, from 0 to 180; NaN where one of the two vanishes.
    """
    predicted, exact, s = _alike(predicted, exact, spins)
    a, b = perpendicular(predicted, s), perpendicular(exact, s)
    # by both sine and cosine: the cosine alone loses half of the digits of a small angle
    sine = np.linalg.norm(np.cross(a, b), axis=-1)
    angle = np.degrees(np.arctan2(sine, (a * b).sum(-1)))
    shortest = np.minimum(np.linalg.norm(a, axis=-1), np.linalg.norm(b, axis=-1))
    angle = np.where(shortest > _NO_TORQUE, angle, np.nan)
    return named(spins, angle, _dims(spins, s.ndim)[:-1])


def equivariance_error(
    field, spins, group="spin", *, n_operations=4, relative=False, random_state=None
):
    """What a field lacks of a symmetry: ``f(g S) - g f(S)`` (Cheng 2023, Sec. IV D and Fig. 9).

    Only the parts that exert a torque are compared, and the external field is left out. For an
    exact field the result is its numerical noise; for a learned one compare it with the error
    of the prediction: ``equivariance_error(…)`` and ``predicted - exact`` in one histogram.

    Parameters
    ----------
    field : SpinSystem or callable
        A system, learned or exact, or a function of arrays (n_samples, *sides, 3) that
        returns fields, without an external one.
    spins : xarray.DataArray or array-like, shape (n_samples, *sides, 3)
    group : {"spin", "lattice"}, default "spin"
        Random rotations and rotary reflections O(3) of all spins; or the eleven
        operations of the triangular lattice D6 besides the identity, for equal sides.
    n_operations : int, default 4
        Random ones, every other a reflection. D6 is done in full.
    relative : bool, default False
        Return one number instead: the root mean square over that of the torque.
    random_state : int, Generator or None

    Returns
    -------
    ndarray, shape (n_operations, n_samples, *sides, 3), or float

    Raises
    ------
    ValueError
        If the group is unknown, or the lattice has not its symmetry.
    """
    array, torque_field = exchange_of(field, spins)
    if group == "spin":
        operations = _rotations(n_operations, random_state)
    elif group == "lattice":
        operations = _lattice_operations(array.shape[1:-1])
    else:
        raise ValueError(f"group={group!r}: expected 'spin' or 'lattice'")
    before = torque_field(array)
    error = np.stack([torque_field(g(array)) - g(before) for g in operations])
    if not relative:
        return error
    return float(np.sqrt((error**2).mean() / (before**2).mean()))


def exchange_of(field, spins):
    """Checked spins, and the function that gives the perpendicular field without the external one.

    Parameters
    ----------
    field : SpinSystem or callable
    spins : xarray.DataArray or array-like, shape (n_samples, *sides, 3)

    Raises
    ------
    TypeError
        If ``field`` is neither.
    """
    if hasattr(field, "field_of"):
        sizes = getattr(spins, "sizes", {})
        has_names = all(dim in sizes for dim in field.state_dims)
        field = field.resized(
            tuple(sizes[dim] for dim in field.state_dims) if has_names else np.shape(spins)[1:]
        )
        array = field.validate(spins, "spins")
        bias, local_field = field.bias, field.field_of
    elif callable(field):
        array, bias, local_field = _vectors("spins", spins), 0.0, field
    else:
        raise TypeError(
            f"field={field!r}: expected a system with field_of, such as TriangularSDModel, or a "
            "function of arrays"
        )
    return array, lambda s: perpendicular(np.asarray(local_field(s), np.float64) - bias, s)


def _rotations(n_operations, random_state):
    """Random elements of O(3), every other one with a reflection."""
    if not isinstance(n_operations, numbers.Integral) or n_operations < 1:
        raise ValueError(f"n_operations={n_operations!r}: expected an int, 1 or more")
    rng = np.random.default_rng(random_state)
    turns = np.linalg.qr(rng.normal(size=(n_operations, 3, 3)))[0]
    wanted = 1 - 2 * (np.arange(n_operations) % 2)
    turns *= (np.sign(np.linalg.det(turns)) * wanted)[:, None, None]
    return [lambda s, turn=turn: s @ turn.T for turn in turns]


def _lattice_operations(sides):
    """The eleven of D6 as functions: turns by 60°, (x, y) → (-y, x + y), and (y, x)."""
    if len(sides) != 2 or sides[0] != sides[1]:
        raise ValueError(f"the spins have lattice sides {tuple(sides)}: D6 needs two equal ones")
    turn, swap = np.array([[0, -1], [1, 1]]), np.array([[0, 1], [1, 0]])
    sites = np.stack(np.indices(sides))
    operations = []
    for n_turns, n_swaps in itertools.product(range(6), range(2)):
        matrix = np.linalg.matrix_power(turn, n_turns) @ np.linalg.matrix_power(swap, n_swaps)
        x, y = np.tensordot(matrix, sites, axes=1) % sides[0]
        operations.append(lambda s, x=x, y=y: s[..., x, y, :])
    return operations[1:]


def _alike(predicted, exact, spins):
    predicted = _vectors("predicted", predicted)
    exact, s = _vectors("exact", exact), _vectors("spins", spins)
    if not predicted.shape == exact.shape == s.shape:
        raise ValueError(
            f"predicted has shape {predicted.shape}, exact {exact.shape} and spins {s.shape}; "
            "they must agree"
        )
    return predicted, exact, s


def _vectors(name, values):
    array = np.asarray(ordered(values), dtype=np.float64)
    if array.ndim < 2 or array.shape[-1] != 3:
        raise ValueError(f"{name} has shape {array.shape}; expected (n_samples, ..., 3)")
    return array


def _dims(spins, ndim):
    """Names of the axes; of an array only the first is known."""
    if isinstance(spins, xr.DataArray):
        return list(ordered(spins).dims)
    return ["sample", *(f"dim_{k}" for k in range(1, ndim))]
