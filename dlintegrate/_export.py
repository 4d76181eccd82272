"""Files for other programs to show: VTK and OVF for spins, extended XYZ and GSD for particles."""

import os
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr

from ._spin_plots import lattice_sites
from ._texture_plots import lattice_of
from .metrics._trajectories import box_lengths, kind_of, particles_of, states_of, times_of
from .persistence import replacing

#: The element that stands for a particle without a name: the classic of Lennard-Jones.
_ELEMENT = "Ar"


class Frame(NamedTuple):
    """One sample at one time, in space.

    Attributes
    ----------
    time : float
    position : ndarray, shape (n, 3)
        Of particles unwrapped, of spins on their sites; a plane has z = 0.
    vector : ndarray, shape (n, 3)
        Momenta or spins.
    name : {"momentum", "spin"}
        What the vectors are.
    sides : tuple of int
        Sites along x, y and z; (n, 1, 1) for particles.
    box : ndarray, shape (3,)
        Lengths of the periodic box; 0 along a direction that has none.
    lattice : {"cubic", "triangular"} or None
        None for particles.
    elements : list of str
    """

    time: float
    position: np.ndarray
    vector: np.ndarray
    name: str
    sides: tuple
    box: np.ndarray
    lattice: str | None
    elements: list


class Format(NamedTuple):
    """What writes a kind of file.

    Attributes
    ----------
    library : str
        The module that does it.
    names : tuple of str
        The vectors that it takes: ``"spin"``, ``"momentum"``.
    series : bool
        Whether one file holds many frames.
    write : callable
        ``write(library, path, frames)``, with one frame if not ``series``.
    """

    library: str
    names: tuple
    series: bool
    write: object


def export(states, path, *, sample=0, every=1, lattice=None):
    """Write one sample of a trajectory, or one state, for another program to show.

    ========================  ========================  =============================  ========
    suffix                    what                      read by                        through
    ========================  ========================  =============================  ========
    ``.vtu``, ``.vtk``        spins, particles          ParaView, VisIt                meshio
    ``.xdmf``                 spins, all frames         ParaView, VisIt                meshio
    ``.ovf``                  spins on cubic lattices   OOMMF, mumax, Spirit           pyovf
    ``.xyz``, ``.extxyz``     particles, spins          OVITO, ASE                     ase
    ``.gsd``                  particles                 OVITO, HOOMD, VMD              gsd
    ========================  ========================  =============================  ========

    VTK, XDMF and extended XYZ keep double precision (the latter eight decimals), OVF and GSD
    are written in single precision, as their readers expect. Particles are folded into
    the box, but for extended XYZ, which has them unwrapped; GSD counts the crossings of the box
    in ``image``. Units are the reduced ones of the system, sites are a distance of 1 apart.

    Parameters
    ----------
    states : xarray.Dataset, xarray.DataArray or array-like
        What ``simulate`` returned; or samples without a time. An ndarray holds spins, shape
        (n_samples, x[, y[, z]], 3).
    path : str or path-like
        The suffix chooses the format. Where a file holds one frame, several frames go to
        ``name.0000.vtu``, ``name.0001.vtu``, ..., which viewers open as one series. Files of
        these names are replaced.
    sample : int, default 0
        Which one.
    every : int, default 1
        Write each ``every``-th frame.
    lattice : {"cubic", "triangular"}, optional
        Of spins. By default what the trajectory says, and cubic for anything else.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ValueError
        If the suffix is unknown, or its format cannot hold such states.
    ImportError
        If the library that writes the format is missing.

    Examples
    --------
    >>> from dlintegrate import LennardJones2D, VelocityVerlet, export
    >>> fluid = LennardJones2D(n_particles=4)
    >>> run = VelocityVerlet(fluid, dt=0.01).simulate(fluid.random_states(1, 0), t_max=0.1)
    >>> export(run, "run.gsd")  # doctest: +SKIP
    [PosixPath('run.gsd')]
    """
    path = Path(path)
    form = _format(path)
    states = _with_time(states)
    name = "momentum" if kind_of(states) == "phase_space" else "spin"
    if name not in form.names:
        known = [suffix for suffix, other in FORMATS.items() if name in other.names]
        what = "particles" if name == "momentum" else "spins"
        raise ValueError(f"path={str(path)!r}: {path.suffix} cannot hold {what}; {known} can")
    library = _library(form.library, path.suffix)
    frames = _Frames(states, sample, every, lattice)
    if form.series:
        with replacing(path) as temporary:
            form.write(library, temporary, frames)
        return [path]
    paths = [path]
    if len(frames) > 1:
        digits = max(4, len(str(len(frames) - 1)))
        paths = [path.with_suffix(f".{k:0{digits}d}{path.suffix}") for k in range(len(frames))]
    for target, frame in zip(paths, frames, strict=True):
        with replacing(target) as temporary:
            form.write(library, temporary, frame, path.suffix.lower())
    return paths


def _format(path):
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise ValueError(f"path={str(path)!r}: expected a name that ends in one of {list(FORMATS)}")
    return form


def _library(name, suffix):
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{suffix} files are written by {name}, which cannot be imported ({error}); "
            'pip install "dlintegrate[export]"'
        ) from None


def _with_time(states):
    """States as :func:`states_of` gives them, with the attributes of their trajectory."""
    attrs = dict(getattr(states, "attrs", {}))
    if isinstance(states, xr.Dataset):
        name = next((name for name in ("spin", "phase_space") if name in states), None)
        states = states if name is None else states[name]  # without one, states_of refuses it
    elif not isinstance(states, xr.DataArray):
        array = np.asarray(states, dtype=np.float64)
        if not 3 <= array.ndim <= 5 or array.shape[-1] != 3:
            raise ValueError(
                f"states has shape {array.shape}; expected spins, (n_samples, x[, y[, z]], 3), or "
                "a DataArray"
            )
        states = xr.DataArray(array, dims=("sample", *"xyz"[: array.ndim - 2], "component"))
    if isinstance(states, xr.DataArray) and "time" not in states.dims:
        time = float(states["time"]) if "time" in states.coords else 0.0
        states = states.drop_vars("time", errors="ignore").expand_dims(time=[time])
    states = states_of(states, "states")
    return states.assign_attrs(attrs)


class _Frames:
    """The frames of one sample, read one after the other."""

    def __init__(self, states, sample, every, lattice):
        self.lattice = None
        if kind_of(states) == "phase_space":
            states = particles_of(states, "states")
            self.side = float(box_lengths(states, "states")[sample])
        else:
            self.lattice = lattice_of(states, lattice, "cubic")
        self.times = times_of(states)[::every]
        self.states = states[sample, ::every]

    def __len__(self):
        return len(self.times)

    def __iter__(self):
        build = self._particles if self.lattice is None else self._spins
        for time, state in zip(self.times, self.states, strict=True):
            yield build(float(time), state)

    def _particles(self, time, state):
        position, momentum = _in_space(state.values.astype(np.float64))
        n, dimensions = len(position), state.sizes["component"]
        box = np.where(np.arange(3) < dimensions, self.side, 0.0)
        named = "element" in state.coords
        elements = list(state["element"].values) if named else [_ELEMENT] * n
        return Frame(time, position, momentum, "momentum", (n, 1, 1), box, None, elements)

    def _spins(self, time, state):
        sides = (*state.shape[:-1], *(1,) * (4 - state.ndim))
        position = lattice_sites(sides, self.lattice).reshape(-1, 3)
        spins = state.values.astype(np.float64).reshape(-1, 3)
        # rows of the triangular lattice are closer than its sites
        steps = np.array([1.0, np.sqrt(0.75) if self.lattice == "triangular" else 1.0, 1.0])
        box = np.where(np.arange(3) < state.ndim - 1, sides * steps, 0.0)
        elements = ["X"] * len(spins)
        return Frame(time, position, spins, "spin", sides, box, self.lattice, elements)


def _in_space(vectors):
    """Vectors of two components, in the plane z = 0."""
    missing = 3 - vectors.shape[-1]
    return np.pad(vectors, [(0, 0)] * (vectors.ndim - 1) + [(0, missing)])


def _wrapped(frame, origin):
    """Positions folded into a box that starts at ``origin``, and the crossings."""
    box = np.where(frame.box > 0, frame.box, np.inf)
    image = np.floor((frame.position - origin) / box)
    image[:, frame.box == 0] = 0
    return frame.position - image * frame.box, image.astype(np.int32)


# The formats ------------------------------------------------------------------------------------


def _mesh(frame):
    """Points and cells; on a cubic lattice neighbours span lines, squares or cubes."""
    points = _wrapped(frame, 0.0)[0] if frame.lattice is None else frame.position
    if frame.lattice != "cubic" or max(frame.sides) == 1:
        return points, [("vertex", np.arange(len(points))[:, None])]
    number = np.arange(len(points)).reshape([n for n in frame.sides if n > 1])
    corners = [
        number[tuple(slice(k, n - 1 + k) for k, n in zip(corner, number.shape, strict=False))]
        for corner in _CORNERS[: 2**number.ndim]
    ]
    cells = np.stack([corner.ravel() for corner in corners], axis=-1)
    return points, [(_CELLS[number.ndim], cells)]


def _write_vtk(meshio, path, frame, suffix):
    mesh = meshio.Mesh(*_mesh(frame), point_data={frame.name: frame.vector})
    mesh.write(path, file_format=suffix[1:])


def _write_xdmf(meshio, path, frames):
    with meshio.xdmf.TimeSeriesWriter(path, data_format="XML") as file:
        for k, frame in enumerate(frames):
            if k == 0:
                file.write_points_cells(*_mesh(frame))
            file.write_data(frame.time, point_data={frame.name: frame.vector})


def _write_ovf(pyovf, path, frame, suffix):
    if frame.lattice != "cubic":
        raise ValueError("an OVF file holds a rectangular mesh; for this lattice use .vtu or .xyz")
    x, y, z = frame.sides
    limits = {f"{axis}lim": [-0.5, n - 0.5] for axis, n in zip("XYZ", frame.sides, strict=True)}
    # the format runs along x first
    spins = np.ascontiguousarray(frame.vector.reshape(x, y, z, 3).transpose(2, 1, 0, 3))
    pyovf.write(os.fspath(path), spins.astype(np.float32), title="m", **limits)


def _write_xyz(ase, path, frames):
    from ase.io import write

    with open(path, "w") as file:
        for frame in frames:
            atoms = ase.Atoms(frame.elements, frame.position, cell=frame.box, pbc=frame.box > 0)
            atoms.info["time"] = frame.time
            if frame.name == "momentum":
                atoms.set_masses(np.ones(len(atoms)))
                atoms.set_momenta(frame.vector)
            else:
                atoms.set_array(frame.name, frame.vector)
            write(file, atoms, format="extxyz")


def _write_gsd(gsd, path, frames):
    hoomd = import_module("gsd.hoomd")
    with hoomd.open(path, "w") as file:
        for step, frame in enumerate(frames):
            snapshot = hoomd.Frame()
            snapshot.configuration.step = step
            snapshot.configuration.dimensions = int((frame.box > 0).sum())
            snapshot.configuration.box = [*frame.box, 0, 0, 0]
            position, image = _wrapped(frame, -0.5 * frame.box)
            particles = snapshot.particles
            particles.types, particles.typeid = np.unique(frame.elements, return_inverse=True)
            particles.N = len(position)
            particles.position, particles.image = position, image
            particles.velocity = frame.vector  # unit masses
            snapshot.log["time"] = np.array([frame.time])
            file.append(snapshot)


#: Corners of a cell in the order of VTK, and its name by dimension.
_CORNERS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}

_BOTH = ("spin", "momentum")
#: Suffix to format.
FORMATS = {
    ".vtu": Format("meshio", _BOTH, False, _write_vtk),
    ".vtk": Format("meshio", _BOTH, False, _write_vtk),
    ".xdmf": Format("meshio", ("spin",), True, _write_xdmf),
    ".ovf": Format("pyovf", ("spin",), False, _write_ovf),
    ".xyz": Format("ase", _BOTH, True, _write_xyz),
    ".extxyz": Format("ase", _BOTH, True, _write_xyz),
    ".gsd": Format("gsd", ("momentum",), True, _write_gsd),
}
