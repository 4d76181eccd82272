"""The layout of a set of states: DataArray outside, contiguous float64 ndarray inside."""

import numpy as np
import xarray as xr

#: |S| may differ from 1 by this much in what users hand in (float32 data pass).
NORM_TOLERANCE = 1e-5

#: Health of a sample: the values of ``status`` in a trajectory.
OK, FELL_BACK, FAILED = 0, 1, 2


@xr.register_dataset_accessor("dli")
def _accessor(dataset):
    """``dataset.dli``. Registered here because every part of the library comes by; the
    accessor itself knows plots and metrics, and is imported when it is first used."""
    from .accessor import TrajectoryAccessor

    return TrajectoryAccessor(dataset)


def to_array(states, dims, name="samples"):
    """Turn states into a C-contiguous float64 ndarray with axis 0 ``sample``.

    Parameters
    ----------
    states : xarray.DataArray or array-like
        States with dimensions ``("sample", *dims)``; a DataArray may have them
        in any order.
    dims : tuple of str
        Dimensions of one state.
    name : str
        What to call the argument in error messages.

    Returns
    -------
    ndarray, shape (n_samples, ...)
        A new array or a view; never modified by the library.

    Raises
    ------
    ValueError
        If dimensions are missing, there is no sample, or values are not finite.
    TypeError
        If ``states`` is a Dataset or not numeric.
    """
    expected = ("sample", *dims)
    if isinstance(states, xr.Dataset):
        raise TypeError(
            f"{name} is a Dataset; pass one of its variables, for instance {name}['spin']"
        )
    if isinstance(states, xr.DataArray):
        if set(states.dims) != set(expected):
            raise ValueError(f"{name} has dimensions {states.dims}; expected {expected}")
        states = states.transpose(*expected).values
    if hasattr(states, "detach"):  # a torch tensor, also one on another device
        states = states.detach().cpu().numpy()
    try:
        array = np.ascontiguousarray(states, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} cannot be read as an array of floats: {error}") from None
    if array.ndim != len(expected):
        raise ValueError(
            f"{name} has shape {array.shape}; expected {len(expected)} dimensions {expected}. "
            f"A single state needs a leading axis: {name}[None]"
        )
    if len(array) == 0:
        raise ValueError(f"{name} holds no sample: shape {array.shape}")
    bad = ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if bad.any():
        raise ValueError(f"{name} has NaN or infinite values in {name_samples(bad)}; remove them")
    return array


def to_spins(states, dims, name="samples"):
    """As :func:`to_array`, for unit spins: checks and then restores \\|S\\| = 1 exactly.

    Spins that are already of unit length to double precision pass bit for bit.
    """
    array = to_array(states, dims, name)
    if array.shape[-1] != 3:
        raise ValueError(f"{name} has {array.shape[-1]} components per spin; expected 3")
    norm = np.sqrt(np.einsum("...c,...c->...", array, array))
    off = np.abs(norm - 1.0).reshape(len(array), -1).max(axis=1)
    if (off > NORM_TOLERANCE).any():
        bad = off > NORM_TOLERANCE
        raise ValueError(
            f"{name} has spins off the unit sphere in {name_samples(bad)} "
            f"(largest ||S| - 1| = {off.max():.3g}); divide by the norm first"
        )
    # below 1e-12 it is the rounding of a long run: leave it, so that a resumed
    # run sees the very bits that were written
    loose = off > 1e-12
    if loose.any():
        array = array.copy()
        array[loose] /= norm[loose][..., None]
    return array


def in_order(states, variables, name):
    """States with their variables in this order, as the labels of a DataArray tell them apart.

    Parameters
    ----------
    states : xarray.DataArray or array-like
        Without labels along ``variable``, the order is taken for granted.
    variables : list of str
    name : str
        What to call the argument in error messages.

    Raises
    ------
    ValueError
        If the labels are others.
    """
    if not isinstance(states, xr.DataArray) or "variable" not in states.coords:
        return states
    labels = [str(label) for label in np.atleast_1d(states["variable"].values)]
    if sorted(labels) != sorted(variables):
        raise ValueError(f"{name} has variables {labels}; expected {variables}")
    return states if labels == variables else states.sel(variable=variables)


def name_samples(mask):
    """Name the samples marked in ``mask``, at most five of them."""
    index = np.flatnonzero(mask)
    shown = ", ".join(map(str, index[:5])) + (", …" if index.size > 5 else "")
    return f"sample{'s' if index.size > 1 else ''} {shown} ({index.size} of {mask.size})"


def like(array, template, dims):
    """Wrap ``array`` as ``template`` was: a DataArray with its coordinates, or an ndarray.

    Parameters
    ----------
    array : ndarray, shape (n_samples, ...)
    template : xarray.DataArray or array-like
        What the user passed in.
    dims : tuple of str
        Dimensions of one state.
    """
    if not isinstance(template, xr.DataArray):
        return array
    coords = {k: v for k, v in template.coords.items() if "time" not in v.dims and k != "time"}
    return xr.DataArray(
        array, dims=("sample", *dims), coords=coords, name=template.name, attrs=template.attrs
    )


def site_distances(system, after, expected):
    """rms distance per site or particle of each sample; infinite where a sample failed.

    Parameters
    ----------
    system : System
    after, expected : ndarray, shape (n_samples, ...)
        Packed or not: what a system adds to its states does not change in time.

    Returns
    -------
    ndarray, shape (n_samples,)
    """
    square = ((after - expected) ** 2).reshape(len(after), -1).sum(axis=1)
    error = np.sqrt(square / system.n_sites)
    error[np.isnan(error)] = np.inf
    return error


def perpendicular(vectors, spins):
    """The part of vectors at right angles to unit spins.

    Parameters
    ----------
    vectors, spins : ndarray or torch.Tensor, shape (..., 3)

    Returns
    -------
    like ``vectors``
    """
    return vectors - (vectors * spins).sum(-1)[..., None] * spins
