"""Spins in three dimensions; public through :mod:`dlintegrate.plotting`."""

import numpy as np
import xarray as xr

from ._texture_plots import LATTICES, lattice_of

#: More cones than this along a side hide one another.
_MOST_CONES = 12
#: Sides of a cone, its length and its radius, in units of the distance between sites.
_CORNERS, _LENGTH, _RADIUS = 7, 0.86, 0.24
#: Where the light comes from, and how much of it comes from everywhere.
_LIGHT, _AMBIENT = np.array([0.35, -0.65, 0.67]), 0.62
#: How a picture is turned, in degrees; a plane is seen from further above.
_AZIMUTH, _ELEVATION, _ELEVATION_OF_PLANE = -62, 22, 48


def direction_colors(spins):
    """Colours of directions: hue for the angle in the plane, light for up, dark for down.

    Parameters
    ----------
    spins : ndarray, shape (..., 3)

    Returns
    -------
    ndarray, shape (..., 3)
        Red, green, blue from 0 to 1.
    """
    from matplotlib import colormaps

    hue = (np.arctan2(spins[..., 1], spins[..., 0]) / (2 * np.pi)) % 1.0
    light = 0.5 + 0.45 * np.clip(spins[..., 2], -1, 1)
    chroma = 1 - np.abs(2 * light - 1)
    pure = colormaps["hsv"](hue)[..., :3]
    return np.clip(chroma[..., None] * pure + np.maximum(2 * light - 1, 0)[..., None], 0, 1)


def plot_spins_3d(
    spins, sample=0, ax=None, *, kind="auto", every="auto", lattice=None, legend=True
):
    """Spins in space, coloured by their direction.

    Hue is the angle in the plane of x and y; spins that point up are light, down dark.

    Parameters
    ----------
    spins : xarray.DataArray, xarray.Dataset or array-like, shape ([n_samples,] x[, y[, z]], 3)
        Samples, or one frame of a trajectory: ``trajectory.isel(time=-1)``.
    sample : int, default 0
        Which one.
    ax : mpl_toolkits.mplot3d.axes3d.Axes3D, optional
        Made with ``projection="3d"``.
    kind : {"auto", "cones", "faces"}, default "auto"
        A cone for each spin, or cells on the three faces of the lattice that are seen. By
        default cones on up to twelve sites along each side, or in a plane.
    every : int or "auto", default "auto"
        Draw every n-th cone along each side; by default as many as can be told apart.
    lattice : {"triangular", "cubic"}, optional
        By default what the trajectory says, and cubic for anything else.
    legend : bool, default True
        Show the colours of directions.

    Returns
    -------
    mpl_toolkits.mplot3d.axes3d.Axes3D

    Raises
    ------
    ValueError
        If there is more than one frame, or ``kind`` is unknown.
    """
    array = _spins_of(spins, sample)
    name = lattice_of(spins, lattice, "cubic")
    if kind not in ("auto", "cones", "faces"):
        raise ValueError(f"kind={kind!r}: expected 'auto', 'cones' or 'faces'")
    if kind == "faces" and name != "cubic":
        raise ValueError(f"kind='faces': a {name} lattice has no faces; use kind='cones'")
    if kind == "auto":
        kind = "cones" if array.shape[2] == 1 or max(array.shape[:3]) <= _MOST_CONES else "faces"
    sites = lattice_sites(array.shape[:3], name)
    margin, flat = np.full(3, 0.5), sites.shape[2] == 1
    flattened = sites.reshape(-1, 3)
    ax = space_axes(ax, flattened.min(axis=0) - margin, flattened.max(axis=0) + margin, flat)
    if kind == "faces":
        _faces(ax, array)
    else:
        spacing = _spacing(every, array.shape[:3])
        chosen = (slice(None, None, spacing),) * 3
        add_cones(ax, sites[chosen].reshape(-1, 3), array[chosen].reshape(-1, 3), spacing)
    if legend:
        direction_legend(ax)
    return ax


def space_animation(plot, frames, ax, **options):
    """Draw the first of several configurations, and return what draws any other.

    Parameters
    ----------
    plot : callable
        :func:`plot_spins_3d` or its like.
    frames : xarray.DataArray, dims time, ...
    ax : Axes3D or None
    **options
        For ``plot``.

    Returns
    -------
    ax : Axes3D
    draw : callable
        ``draw(k)`` shows frame k.
    """
    before = 0 if ax is None else len(ax.collections)
    ax = plot(frames[0], ax=ax, **options)
    drawn = list(ax.collections)[before:]

    def draw(k):
        while drawn:
            drawn.pop().remove()
        start = len(ax.collections)
        plot(frames[k], ax=ax, **{**options, "legend": False})
        drawn.extend(list(ax.collections)[start:])

    return ax, draw


def lattice_sites(sides, name):
    """Cartesian positions of sites, shape (x, y, z, 3), distance 1 between neighbours.

    A periodic triangular lattice fills a rectangle, as in :func:`plot_texture`.
    """
    positions = np.moveaxis(np.indices(sides), 0, -1).astype(np.float64)
    positions[..., :2] = positions[..., :2] @ LATTICES[name]
    positions[..., 0] %= sides[0]
    return positions


def _spins_of(spins, sample):
    """One configuration, shape (x, y, z, 3)."""
    if isinstance(spins, xr.Dataset):
        if "spin" not in spins:
            raise ValueError(f"spins is a Dataset of {sorted(map(str, spins))}, without 'spin'")
        spins = spins["spin"]
    if "time" in getattr(spins, "dims", ()):
        raise ValueError(
            f"spins has {spins.sizes['time']} frames; choose one: trajectory.isel(time=-1)"
        )
    if isinstance(spins, xr.DataArray):
        if "sample" in spins.dims:
            spins = spins.isel(sample=sample)
        array = spins.transpose(..., "component").values
    else:
        # beyond a chain, an ndarray is ambiguous: states have a leading axis everywhere
        array = np.asarray(spins)
        array = array[sample] if array.ndim > 2 else array
    array = np.asarray(array, dtype=np.float64)
    if not 2 <= array.ndim <= 4 or array.shape[-1] != 3:
        raise ValueError(
            f"spins has shape {np.shape(spins)}; expected (n_samples, x, 3), (n_samples, x, y, 3) "
            "or (n_samples, x, y, z, 3)"
        )
    return array.reshape(*array.shape[:-1], *(1,) * (4 - array.ndim), 3)


def space_axes(ax, low, high, flat=False):
    """The given Axes or those of a new figure, without frame, around a box; a plane from above."""
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=(5.2, 4.8)).add_axes((0, 0, 1, 1), projection="3d")
        ax.view_init(elev=_ELEVATION_OF_PLANE if flat else _ELEVATION, azim=_AZIMUTH)
    elif not hasattr(ax, "add_collection3d"):
        raise ValueError('ax is flat; make it with projection="3d", or leave it out')
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
    ax.set_box_aspect(high - low, zoom=1.08 if flat else 1.0)
    ax.set_axis_off()
    return ax


def _spacing(every, sides):
    if every != "auto":
        return max(1, int(every))
    most = _MOST_CONES if min(sides) > 1 else 2 * _MOST_CONES
    return max(1, -(-max(sides) // most))


def add_cones(ax, sites, spins, spacing):
    """Cones in the colours of their directions.

    Parameters
    ----------
    ax : Axes3D
    sites : ndarray, shape (n, 3)
    spins : ndarray, shape (n, 3)
        Unit vectors.
    spacing : float
        Distance between cones: what sets their size.
    """
    triangles = _cone(sites, spins, spacing)
    first, second, third = np.moveaxis(triangles, 2, 0)
    normal = np.cross(second - first, third - first)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-300)
    brightness = _AMBIENT + (1 - _AMBIENT) * np.maximum(normal @ _LIGHT, 0)
    colors = direction_colors(spins)[:, None] * brightness[..., None]
    _add(ax, triangles.reshape(-1, 3, 3), colors.reshape(-1, 3), linewidths=0)


def _cone(sites, spins, spacing):
    """Triangles of cones that point along spins, shape (n, triangles, 3, 3)."""
    # any vector that is not along the spin: the axis along which it is shortest
    other = np.eye(3)[np.abs(spins).argmin(axis=-1)]
    first = np.cross(spins, other)
    first /= np.maximum(np.linalg.norm(first, axis=-1, keepdims=True), 1e-300)
    second = np.cross(spins, first)
    angle = 2 * np.pi * np.arange(_CORNERS) / _CORNERS
    around = np.cos(angle)[:, None] * first[:, None] + np.sin(angle)[:, None] * second[:, None]
    half = 0.5 * _LENGTH * spacing * spins[:, None]
    base = sites[:, None] - half + _RADIUS * spacing * around
    following = np.roll(base, -1, axis=1)
    tip = np.broadcast_to(sites[:, None] + half, base.shape)
    middle = np.broadcast_to(sites[:, None] - half, base.shape)
    sides = np.stack([base, following, tip], axis=2)
    floor = np.stack([following, base, middle], axis=2)
    return np.concatenate([sides, floor], axis=1)


def _faces(ax, array):
    """Cells on the three faces that are seen: x = last, y = first and z = last."""
    corners = np.array([(-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)])
    for axis, index in ((0, -1), (1, 0), (2, -1)):
        layer = np.take(array, index, axis=axis)
        flat = np.moveaxis(np.indices(layer.shape[:2]), 0, -1).reshape(-1, 1, 2) + corners
        height = -0.5 if index == 0 else array.shape[axis] - 0.5
        colors = direction_colors(layer.reshape(-1, 3))
        # an edge of the colour of its cell closes the gaps that smoothing would leave
        _add(ax, np.insert(flat, axis, height, axis=-1), colors, edgecolors=colors, linewidths=0.2)


def _add(ax, polygons, colors, **options):
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    ax.add_collection3d(Poly3DCollection(polygons, facecolors=colors, **options))


def direction_legend(ax):
    """Directions as colours, seen from above: a small disc, its middle up."""
    inset = ax.inset_axes((0.01, 0.02, 0.11, 0.11))
    x, y = np.meshgrid(*[np.linspace(-1, 1, 121)] * 2)
    r = np.hypot(x, y)
    inside = r <= 1
    z = np.cos(0.5 * np.pi * np.minimum(r, 1))
    planar = np.sqrt(1 - z**2) / np.maximum(r, 1e-12)
    colors = direction_colors(np.stack([x * planar, y * planar, z], axis=-1))
    image = np.concatenate([colors, inside[..., None]], axis=-1)
    inset.imshow(image, origin="lower", extent=(-1, 1, -1, 1))
    inset.set_axis_off()
    inset.text(1.1, 0, "$x$", va="center", fontsize=9)
    inset.text(0, 1.1, "$y$", ha="center", fontsize=9)
