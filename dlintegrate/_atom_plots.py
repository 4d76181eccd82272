"""Atoms and their moments in space; public through :mod:`dlintegrate.plotting`."""

import numpy as np
import xarray as xr

from ._spin_plots import add_cones, direction_legend, space_axes
from .states import in_order

_VARIABLES = ["position", "momentum", "spin"]
#: Spins shorter than this, in μB, are not drawn as cones.
_SMALLEST_MOMENT = 1e-6
#: Distance of neighbours over the cube root of the volume per atom: of bcc, in between others.
_CLOSE_PACKING = 1.09
#: Size of cones over that distance: moments move.
_SIZE = 0.8
_BARE = {"s": 14, "color": "0.6", "edgecolors": "0.4", "linewidths": 0.4}


def plot_atoms(states, sample=0, ax=None, *, system=None, legend=True):
    """Atoms in space: cones along their moments, coloured by direction, dots where is none.

    Parameters
    ----------
    states : xarray.DataArray, xarray.Dataset or array-like, shape ([n_samples,] 3, n_atoms, 3)
        Samples, or one frame of a trajectory: ``trajectory.isel(time=-1)``.
    sample : int, default 0
        Which one.
    ax : mpl_toolkits.mplot3d.axes3d.Axes3D, optional
        Made with ``projection="3d"``.
    system : AtomicSystem, optional
        Its cell is drawn, and atoms are folded into it.
    legend : bool, default True
        Show the colours of directions.

    Returns
    -------
    mpl_toolkits.mplot3d.axes3d.Axes3D

    Raises
    ------
    ValueError
        If there is more than one frame, or these are no atoms.
    """
    position, spin = _atoms_of(states, sample)
    if system is None:
        around, spacing = position, _neighbour_distance(position)
    else:
        position = folded(position, system.cell)
        # of the cell alone, so that nothing but the atoms moves in an animation
        around = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T @ system.cell
        spacing = _CLOSE_PACKING * np.cbrt(abs(np.linalg.det(system.cell)) / len(position))
    margin = 0.4 * spacing
    ax = space_axes(ax, around.min(axis=0) - margin, around.max(axis=0) + margin)
    moment = np.linalg.norm(spin, axis=-1)
    magnetic = moment > _SMALLEST_MOMENT
    add_cones(ax, position[magnetic], spin[magnetic] / moment[magnetic, None], _SIZE * spacing)
    ax.scatter(*position[~magnetic].T, **_BARE)
    if system is not None:
        _draw_cell(ax, system.cell)
    if legend and magnetic.any():
        direction_legend(ax)
    return ax


def folded(position, cell):
    """Positions folded into a cell whose vectors are the rows of a matrix."""
    fraction = position @ np.linalg.inv(cell)
    return (fraction - np.floor(fraction)) @ cell


def _atoms_of(states, sample):
    """Positions and spins of one state, each of shape (n_atoms, 3)."""
    if isinstance(states, xr.Dataset):
        if "phase_space" not in states:
            raise ValueError(
                f"states is a Dataset of {sorted(map(str, states))}, without 'phase_space'"
            )
        states = states["phase_space"]
    if "time" in getattr(states, "dims", ()):
        raise ValueError(
            f"states has {states.sizes['time']} frames; choose one: trajectory.isel(time=-1)"
        )
    if isinstance(states, xr.DataArray):
        if "atom" not in states.dims:
            raise ValueError(f"states has dimensions {states.dims}; expected those of atoms")
        states = in_order(states, _VARIABLES, "states").transpose(
            ..., "variable", "atom", "component"
        )
    array = np.asarray(states, dtype=np.float64)
    if array.ndim == 4:
        array = array[sample]
    if array.ndim != 3 or array.shape[0] != 3 or array.shape[2] != 3:
        raise ValueError(
            f"states has shape {np.shape(states)}; expected (n_samples, 3, n_atoms, 3)"
        )
    return array[0], array[2]


def _neighbour_distance(position):
    """The distance to the nearest other atom, typically; 1 for a single one."""
    from scipy.spatial import cKDTree

    if len(position) < 2:
        return 1.0
    return float(np.median(cKDTree(position).query(position, k=2)[0][:, 1]))


def _draw_cell(ax, cell):
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    edges = []
    for axis in range(3):
        b, c = (cell[k] for k in range(3) if k != axis)
        edges += [(start, start + cell[axis]) for start in (0 * b, b, c, b + c)]
    ax.add_collection3d(Line3DCollection(edges, colors="0.5", linewidths=0.8))
