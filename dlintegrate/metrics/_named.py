"""Metrics of arrays with named axes: in the order of a state, and named again afterwards."""

import xarray as xr

#: Axes of a state of spins, in their order.
_SITE_AXES = ("x", "y", "z", "component")


def ordered(values):
    """A DataArray with the axes of a state last, in their order; anything else as it is."""
    if not isinstance(values, xr.DataArray):
        return values
    return values.transpose(..., *(d for d in _SITE_AXES if d in values.dims))


def named(spins, values, dims):
    """``values`` with axes ``dims`` and the coordinates of spins; an array where they are one."""
    if not isinstance(spins, xr.DataArray):
        return values
    return xr.DataArray(values, dims=dims, coords=coordinates(spins, dims))


def coordinates(spins, dims):
    """The coordinates of spins along ``dims``; none of an array."""
    coords = spins.coords.items() if isinstance(spins, xr.DataArray) else ()
    return {name: coord for name, coord in coords if set(coord.dims) <= set(dims)}
