"""Pictures of spins on a plane; public through :mod:`dlintegrate.plotting`."""

import numpy as np
import xarray as xr

from .metrics.textures import structure_factor, topological_density
from .systems.textures import ORDERING_PHASES

#: Lattice vectors a1 and a2 of the triangular lattice, and those of the reciprocal lattice.
_LATTICE = np.array([[1.0, 0.0], [0.5, np.sqrt(0.75)]])
_RECIPROCAL = 2 * np.pi * np.linalg.inv(_LATTICE).T
#: By the names that spin systems have for their lattices, in the plane.
LATTICES = {"triangular": _LATTICE, "cubic": np.eye(2)}
#: About this many arrows along each side can be told apart.
_MOST_ARROWS = 48
#: Arrows shorter than this are left out: the colour says that the spin points at us or away.
_SHORTEST_ARROW = 0.15
#: Decades of a logarithmic colour scale.
_DECADES = 4


def plot_texture(
    spins,
    sample=0,
    ax=None,
    *,
    color="z",
    arrows="auto",
    wrap=True,
    colorbar=True,
    lattice=None,
    **cells,
):
    """Spins on a plane: a cell for each site, an arrow for its part in the plane.

    Parameters
    ----------
    spins : xarray.DataArray, xarray.Dataset or array-like, shape ([n_samples,] x, y, 3)
        Samples, or one frame of a trajectory: ``trajectory.isel(time=-1)``.
    sample : int, default 0
        Which one.
    ax : matplotlib.axes.Axes, optional
    color : {"z", "charge"} or array-like of shape (x, y), default "z"
        Colour cells by the z component, by the density of the topological charge, or by numbers.
    arrows : {"auto"}, int or None, default "auto"
        Draw an arrow at every n-th site along both sides; by default as many as can be told
        apart. None draws none.
    wrap : bool, default True
        Draw the periodic lattice as a rectangle instead of the parallelogram of a1 and a2.
    colorbar : bool, default True
    lattice : {"triangular", "cubic"}, optional
        "cubic" is the square lattice, in a plane. By default what the trajectory says, and
        triangular for anything else.
    **cells
        For matplotlib's ``PolyCollection``: ``cmap``, ``norm``, ``clim``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is more than one frame, or spins are not on a plane.
    """
    from matplotlib.ticker import MultipleLocator

    texture = _frame(spins, sample)
    values, label, look = _colors(texture, color)
    vectors = LATTICES[lattice_of(spins, lattice, "triangular")]
    centres = _sites(texture.shape[:2], wrap, vectors)
    width = float(np.clip(len(texture) / 8, 4.8, 9.0))  # inches
    ax = _new_axes(ax, (width, 0.74 * width + 0.3))
    image = _cells(ax, centres, _cell(*vectors), values, look | cells)
    if arrows is not None:
        _arrows(ax, centres, texture, _spacing(arrows, texture.shape[:2]))
    margin = 0.6
    ax.set(
        xlim=(centres[..., 0].min() - margin, centres[..., 0].max() + margin),
        ylim=(centres[..., 1].min() - margin, centres[..., 1].max() + margin),
        aspect="equal", xlabel="$x/a$", ylabel="$y/a$",
    )  # fmt: skip
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MultipleLocator(6 if max(texture.shape) < 36 else 12))
    if colorbar:
        _colorbar(ax, image, label)
    return ax


def plot_topological_density(spins, sample=0, ax=None, **options):
    """Density of the topological charge, without arrows and with the total as title.

    Parameters
    ----------
    spins, sample, ax
        As for :func:`plot_texture`.
    **options
        Of :func:`plot_texture`.

    Returns
    -------
    matplotlib.axes.Axes
    """
    charge = topological_density(_frame(spins, sample)).sum()
    ax = plot_texture(spins, sample, ax, **({"color": "charge", "arrows": None} | options))
    ax.set_title(f"charge {charge:.3g}".replace("-", "\N{MINUS SIGN}"), fontsize=11)
    return ax


def plot_structure_factor(spins, ax=None, *, log=False, ordering=True, colorbar=True, **cells):
    """Structure factor on the hexagonal Brillouin zone, mean over samples (Cheng 2023, Fig. 5).

    Parameters
    ----------
    spins : xarray.DataArray, xarray.Dataset or array-like
        Spins, shape ([n_samples,] x, y, 3), or what
        :func:`~dlintegrate.metrics.structure_factor` returned. One frame of a trajectory.
    ax : matplotlib.axes.Axes, optional
    log : bool, default False
        Logarithmic colours over four decades, which show weak and diffuse peaks too.
    ordering : bool, default True
        Mark ±Q1, ±Q2 and ±Q3.
    colorbar : bool, default True
    **cells
        For matplotlib's ``PolyCollection``: ``cmap``, ``norm``, ``clim``, ...

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If there is more than one frame, or spins are not on a plane, or on a square lattice.
    """
    from matplotlib.patches import Polygon

    if (lattice := lattice_of(spins, None, "triangular")) != "triangular":
        raise ValueError(f"spins are on a {lattice} lattice; this zone is of the triangular one")
    weight = _weight(spins)
    zone = _cell(*_RECIPROCAL)
    centres, values, cell = _in_zone(weight, zone)
    ax = _new_axes(ax, (4.8, 4.0))
    image = _cells(ax, centres, cell, values, _scale(values, log) | cells)
    boundary = Polygon(zone, fill=False, edgecolor="0.2", linewidth=1.2, zorder=3)
    ax.add_patch(boundary)
    image.set_clip_path(boundary)
    if ordering:
        _mark_ordering(ax)
    _momentum_axes(ax)
    if colorbar:
        _colorbar(ax, image, r"$S(\mathbf{q})$")
    return ax


def plot_receptive_field(
    receptive_field, ax=None, *, log=True, radius=None, colorbar=True, **cells
):
    """How strongly a torque depends on the spins around it (Cheng 2023, Fig. 10).

    Parameters
    ----------
    receptive_field : xarray.DataArray
        From :func:`~dlintegrate.metrics.effective_receptive_field`.
    ax : matplotlib.axes.Axes, optional
    log : bool, default True
        Logarithmic colours over four decades.
    radius : float, optional
        Draw a circle, as of :func:`~dlintegrate.metrics.receptive_radius`.
    colorbar : bool, default True
    **cells
        For matplotlib's ``PolyCollection``: ``cmap``, ``norm``, ``clim``, ...

    Returns
    -------
    matplotlib.axes.Axes
    """
    from matplotlib.patches import Circle

    values = receptive_field.values
    centres = np.stack([receptive_field["x"].values, receptive_field["y"].values], axis=-1)
    ax = _new_axes(ax, (4.8, 4.0))
    look = _scale(values, log) | {"cmap": "viridis"} | cells
    image = _cells(ax, centres, _cell(*_LATTICE), values, look)
    if radius is not None:
        ax.add_patch(Circle((0, 0), radius, fill=False, edgecolor="white", linestyle="--"))
    ax.autoscale_view()
    ax.set(aspect="equal", xlabel=r"$\Delta x/a$", ylabel=r"$\Delta y/a$")
    if colorbar:
        label = r"$\Sigma_{ab}\,|\partial h_i^a/\partial S_j^b|$"
        _colorbar(ax, image, label)
    return ax


def lattice_of(spins, lattice, otherwise):
    """The name of the lattice: as asked for, as the trajectory says, or else ``otherwise``.

    Raises
    ------
    ValueError
        If there is no lattice of that name.
    """
    name = lattice or getattr(spins, "attrs", {}).get("lattice", otherwise)
    if name not in LATTICES:
        raise ValueError(f"lattice={name!r}: expected one of {sorted(LATTICES)}")
    return name


def texture_animation(frames, ax, *, color="z", arrows="auto", wrap=True, lattice=None, **look):
    """Draw the first of several textures, and return what draws any other.

    Parameters
    ----------
    frames : xarray.DataArray, dims time, x, y, component
    ax : matplotlib.axes.Axes or None
    color, arrows, wrap, lattice, **look
        As for :func:`plot_texture`.

    Returns
    -------
    ax : matplotlib.axes.Axes
    draw : callable
        ``draw(k)`` shows frame k.
    """
    options = {"color": color, "arrows": arrows, "wrap": wrap, "lattice": lattice}
    before = 0 if ax is None else len(ax.collections)
    ax = plot_texture(frames[0], ax=ax, **options, **look)
    image, *drawn = list(ax.collections)[before:]
    sides = frames.shape[1:3]
    centres = _sites(sides, wrap, LATTICES[lattice_of(frames, lattice, "triangular")])

    def draw(k):
        texture = _frame(frames[k], 0)
        image.set_array(_colors(texture, color)[0].ravel())
        while drawn:  # which arrows are long enough to show changes
            drawn.pop().remove()
        if arrows is not None:
            drawn.append(_arrows(ax, centres, texture, _spacing(arrows, sides)))

    return ax, draw


def _frame(spins, sample):
    """One texture, shape (x, y, 3)."""
    array = _values(spins)
    if array.ndim == 4:
        array = array[sample]
    if array.ndim != 3 or array.shape[-1] != 3:
        raise ValueError(f"spins has shape {np.shape(spins)}; expected (n_samples, x, y, 3)")
    return array


def _values(spins):
    """An array of spins whose frame has been chosen."""
    if isinstance(spins, xr.Dataset):
        spins = spins["spin"]
    if "time" in getattr(spins, "dims", ()):
        raise ValueError(
            f"spins has {spins.sizes['time']} frames; choose one: trajectory.isel(time=-1)"
        )
    if isinstance(spins, xr.DataArray):
        spins = spins.transpose(..., "x", "y", "component")
    return np.asarray(spins, dtype=np.float64)


def _colors(texture, color):
    """Numbers of the cells, what they are, and how to show them."""
    if not isinstance(color, str):
        values = np.asarray(color, dtype=np.float64)
        if values.shape != texture.shape[:2]:
            raise ValueError(f"color has shape {values.shape}; expected {texture.shape[:2]}")
        return values, "", {"cmap": "viridis"}
    if color == "z":
        return texture[..., 2], "$S_z$", {"cmap": "RdBu_r", "clim": (-1, 1)}
    if color == "charge":
        density = topological_density(texture)
        most = max(np.abs(density).max(), 1e-12)
        return density, "charge per site", {"cmap": "PuOr_r", "clim": (-most, most)}
    raise ValueError(f"color={color!r}: expected 'z', 'charge' or numbers of shape (x, y)")


def _sites(sides, wrap, vectors):
    """Cartesian positions, shape (x, y, 2)."""
    positions = np.moveaxis(np.indices(sides), 0, -1) @ vectors
    if wrap:
        positions[..., 0] %= sides[0]
    return positions


def _spacing(arrows, sides):
    """Sites from arrow to arrow: where possible a divisor, so that no seam shows."""
    if arrows != "auto":
        return max(1, int(arrows))
    least = max(1, -(-max(sides) // _MOST_ARROWS))
    return next((n for n in range(least, 2 * least) if not any(s % n for s in sides)), least)


def _arrows(ax, centres, texture, spacing):
    chosen = slice(None, None, spacing)
    centres, texture = centres[chosen, chosen], texture[chosen, chosen]
    shown = np.hypot(texture[..., 0], texture[..., 1]) > _SHORTEST_ARROW
    (x, y), (u, v) = centres[shown].T, texture[shown, :2].T
    return ax.quiver(
        x, y, u, v, pivot="mid", angles="xy", scale_units="xy", scale=1.05 / spacing,
        units="xy", width=0.1 * spacing, headwidth=4, headlength=4, headaxislength=3.6,
        color="0.1", zorder=2,
    )  # fmt: skip


def _cell(a, b):
    """Corners of the Wigner-Seitz cell of a lattice in the plane, in order."""
    a, b = np.array(a, dtype=float), np.array(b, dtype=float)
    while True:  # Gauss: the shortest vectors are those that bound the cell
        b = b - np.round(a @ b / (a @ a)) * a
        if b @ b >= a @ a - 1e-12:
            break
        a, b = b, a
    steps = [(m, n) for m in (-1, 0, 1) for n in (-1, 0, 1) if m or n]
    g = np.array(steps) @ np.stack([a, b])
    first, second = np.triu_indices(len(g), 1)
    pairs = np.stack([g[first], g[second]], axis=1)
    pairs = pairs[np.abs(np.linalg.det(pairs)) > 1e-9 * (a @ a)]
    corners = np.linalg.solve(pairs, 0.5 * (pairs**2).sum(-1, keepdims=True))[..., 0]
    inside = (corners @ g.T <= 0.5 * (g**2).sum(-1) + 1e-9 * (a @ a)).all(axis=1)
    corners = np.unique(corners[inside].round(9), axis=0)
    return corners[np.argsort(np.arctan2(corners[:, 1], corners[:, 0]))]


def _cells(ax, centres, cell, values, look):
    from matplotlib.collections import PolyCollection

    corners = centres.reshape(-1, 1, 2) + cell
    # an edge of the colour of its cell closes the gaps that smoothing would leave
    image = PolyCollection(corners, edgecolors="face", linewidths=0.3, zorder=1, **look)
    image.set_array(np.ravel(values))
    ax.add_collection(image)
    return image


def _weight(spins):
    """Structure factor, mean over samples, dimensions q1 and q2."""
    if isinstance(spins, xr.DataArray) and "q1" in spins.dims:
        weight = spins
        if "time" in weight.dims:
            _values(weight)  # refuses it
    else:
        array = _values(spins)
        if array.ndim not in (3, 4):
            raise ValueError(f"spins has shape {array.shape}; expected (n_samples, x, y, 3)")
        weight = structure_factor(array)
    return weight.mean([dim for dim in weight.dims if dim not in ("q1", "q2")])


def _in_zone(weight, zone):
    """Points whose cells reach into the zone, their weights, and the cell."""
    sides = np.array(weight.shape)
    cell = _cell(*(_RECIPROCAL / sides[:, None]))
    points = np.stack([weight["qx"].values, weight["qy"].values], axis=-1).reshape(-1, 2)
    images = [(m, n) for m in (-1, 0, 1) for n in (-1, 0, 1)] @ _RECIPROCAL
    points = (points + images[:, None]).reshape(-1, 2)
    values = np.tile(weight.values.ravel(), len(images))
    middles = 0.5 * (zone + np.roll(zone, -1, axis=0))
    reach = np.hypot(*middles[0]) + np.hypot(*cell.T).max()
    near = (points @ (middles / np.hypot(*middles.T)[:, None]).T < reach).all(axis=1)
    return points[near], values[near], cell


def _scale(values, log):
    from matplotlib.colors import LogNorm, Normalize

    most = max(float(values.max()), 1e-300)
    if not log:
        return {"cmap": "magma", "norm": Normalize(0, most)}
    norm = LogNorm(most * 10.0**-_DECADES, most, clip=True)
    return {"cmap": "magma", "norm": norm}


def _mark_ordering(ax):
    q1, q2 = ORDERING_PHASES.T
    vectors = np.stack([q1, (2 * q2 - q1) / np.sqrt(3)], axis=-1)
    both = np.concatenate([vectors, -vectors])
    ax.scatter(*both.T, s=70, facecolors="none", edgecolors="white", linewidths=0.9, zorder=4)
    for number, vector in enumerate(vectors, start=1):
        ax.annotate(
            rf"$\mathbf{{Q}}_{number}$", 1.55 * vector, color="white", fontsize=9, ha="center",
            va="center", zorder=4,
        )  # fmt: skip


def _momentum_axes(ax):
    thirds = [-4, -2, 0, 2, 4]
    labels = [r"$-4\pi/3$", r"$-2\pi/3$", "0", r"$2\pi/3$", r"$4\pi/3$"]
    limit = 1.04 * np.abs(_cell(*_RECIPROCAL)).max(axis=0)
    ax.set(xlim=(-limit[0], limit[0]), ylim=(-limit[1], limit[1]), aspect="equal")
    ax.set_xticks(np.pi / 3 * np.array(thirds), labels)
    ax.set_yticks(np.pi / 3 * np.array(thirds[1:-1]), labels[1:-1])
    ax.set(xlabel="$q_xa$", ylabel="$q_ya$")
    ax.spines[["top", "right"]].set_visible(False)


def _new_axes(ax, size):
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=size, layout="constrained")
    return ax


def _colorbar(ax, image, label):
    # inside of an inset, which is as high as the picture whatever its shape
    bar = ax.figure.colorbar(image, cax=ax.inset_axes((1.03, 0.0, 0.035, 1.0)), label=label)
    bar.outline.set_visible(False)
    figure = ax.figure
    if figure.axes == [ax] and figure.get_layout_engine() is not None:
        for _ in range(4):  # the bar grows with the axes, so the layout needs some passes
            figure.get_layout_engine().execute(figure)
