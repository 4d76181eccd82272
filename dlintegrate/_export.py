"""Files for other programs to show: VTK and OVF for spins, extended XYZ and GSD for atoms."""

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
from .states import in_order

#: The element that stands for a particle without a name: the classic of Lennard-Jones.
_ELEMENT = "Ar"


class Frame(NamedTuple):
    """One sample at one time, in space.

    Attributes
    ----------
    time : float
    position : ndarray, shape (n, 3)
        Of particles and atoms unwrapped, of spins on their sites; a plane has z = 0.
    vectors : dict of str to ndarray, shape (n, 3)
        ``"momentum"``, ``"spin"`` or both.
    sides : tuple of int
        Sites along x, y and z; (n, 1, 1) without a lattice.
    cell : ndarray, shape (3, 3)
        Rows are the vectors of the periodic cell; zero where there is none.
    lattice : {"cubic", "triangular"} or None
    elements : list of str
    masses : ndarray, shape (n,), or None
    atomistic : bool
        Units are Å, fs and eV instead of reduced ones.
    """

    time: float
    position: np.ndarray
    vectors: dict
    sides: tuple
    cell: np.ndarray
    lattice: str | None
    elements: list
    masses: np.ndarray | None = None
    atomistic: bool = False


class Format(NamedTuple):
    """What writes a kind of file.

    Attributes
    ----------
    library : str
        The module that does it.
    kinds : tuple of str
        The kinds of states that it takes.
    series : bool
        Whether one file holds many frames.
    write : callable
        ``write(library, path, frames)``, or if not ``series``
        ``write(library, path, frame, suffix)``.
    """

    library: str
    kinds: tuple
    series: bool
    write: object


def export(states, path, *, sample=0, every=1, system=None, lattice=None):
    """Write one sample of a trajectory, or one state, for another program to show.

    =====================  ==========================  ====================  =========
    suffix                 what                        read by               through
    =====================  ==========================  ====================  =========
    ``.vtu``, ``.vtk``     spins, particles, atoms     ParaView, VisIt       meshio
    ``.xdmf``              spins, all frames           ParaView, VisIt       meshio
    ``.ovf``               spins on cubic lattices     OOMMF, mumax, Spirit  pyovf
    ``.xyz``, ``.extxyz``  spins, particles, atoms     OVITO, ASE            ase
    ``.gsd``               particles, atoms            OVITO, HOOMD, VMD     gsd
    =====================  ==========================  ====================  =========

    VTK and XDMF keep double precision, extended XYZ eight decimals; OVF and GSD are written in
    single precision, as their readers expect. Particles and atoms are folded into the cell,
    but for extended XYZ, which has them unwrapped; GSD counts the crossings of the cell in
    ``image``. Units are those of the system; sites of a lattice are a distance of 1 apart. Only
    masses and momenta of atoms in extended XYZ are those of ASE, which reads velocities from them.

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
    system : AtomicSystem, optional
        Of atoms, whose states do not tell their elements, masses and cell.
    lattice : {"cubic", "triangular"}, optional
        Of spins. By default what the trajectory says, and cubic for anything else.

    Returns
    -------
    list of pathlib.Path
        The files.

    Raises
    ------
    ValueError
        If the suffix is unknown, its format cannot hold such states, or atoms come without
        their system.
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
    kind = kind_of(states)
    if kind not in form.kinds:
        known = [suffix for suffix, other in FORMATS.items() if kind in other.kinds]
        what = {"spin": "spins", "phase_space": "particles", "atoms": "atoms"}[kind]
        raise ValueError(f"path={str(path)!r}: {path.suffix} cannot hold {what}; {known} can")
    library = _library(form.library, path.suffix)
    frames = _FRAMES[kind](states, sample, every, system, lattice)
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

    def __init__(self, states, sample, every):
        self.times = times_of(states)[::every]
        self.states = states[sample, ::every]

    def __len__(self):
        return len(self.times)

    def __iter__(self):
        for time, state in zip(self.times, self.states, strict=True):
            yield self.frame(float(time), state.values.astype(np.float64))


class _Spins(_Frames):
    """Of spins on a lattice."""

    def __init__(self, states, sample, every, system, lattice):
        self.lattice = lattice_of(states, lattice, "cubic")
        super().__init__(states, sample, every)

    def frame(self, time, state):
        dimensions = state.ndim - 1
        sides = (*state.shape[:-1], *(1,) * (3 - dimensions))
        position = lattice_sites(sides, self.lattice).reshape(-1, 3)
        # rows of the triangular lattice are closer than its sites
        steps = np.array([1.0, np.sqrt(0.75) if self.lattice == "triangular" else 1.0, 1.0])
        cell = np.diag(np.where(np.arange(3) < dimensions, sides * steps, 0.0))
        vectors = {"spin": state.reshape(-1, 3)}
        return Frame(time, position, vectors, sides, cell, self.lattice, ["X"] * len(position))


class _Particles(_Frames):
    """Of particles in a square box."""

    def __init__(self, states, sample, every, system, lattice):
        states = particles_of(states, "states")
        self.side = float(box_lengths(states, "states")[sample])
        super().__init__(states, sample, every)

    def frame(self, time, state):
        n, dimensions = state.shape[1:]
        # in the plane z = 0
        position, momentum = np.pad(state, ((0, 0), (0, 0), (0, 3 - dimensions)))
        cell = np.diag(np.where(np.arange(3) < dimensions, self.side, 0.0))
        vectors = {"momentum": momentum}
        elements = [_ELEMENT] * n
        return Frame(time, position, vectors, (n, 1, 1), cell, None, elements, np.ones(n))


class _Atoms(_Frames):
    """Of atoms in the cell of their system."""

    def __init__(self, states, sample, every, system, lattice):
        if system is None or not hasattr(system, "species"):
            raise ValueError(
                f"system={system!r}: states of atoms do not tell their cell and elements; pass "
                "the system that they belong to"
            )
        if states.sizes["atom"] != len(system.species):
            raise ValueError(
                f"system has {len(system.species)} atoms, the states have {states.sizes['atom']}"
            )
        self.system = system
        super().__init__(
            in_order(states, ["position", "momentum", "spin"], "states"), sample, every
        )

    def frame(self, time, state):
        position, momentum, spin = state
        n, system = len(position), self.system
        return Frame(
            time, position, {"momentum": momentum, "spin": spin}, (n, 1, 1), system.cell, None,
            list(system.species), system.masses, True,
        )  # fmt: skip


_FRAMES = {"spin": _Spins, "phase_space": _Particles, "atoms": _Atoms}


def _wrapped(frame, origin=0.0):
    """Positions folded into the cell that starts at ``origin``, and the crossings."""
    open_axes = ~_periodic(frame)
    full = frame.cell + np.diag(open_axes.astype(float))
    image = np.floor((frame.position - origin) @ np.linalg.inv(full))
    image[:, open_axes] = 0
    return frame.position - image @ full, image.astype(np.int32)


def _periodic(frame):
    return frame.cell.any(axis=1)


# The formats ------------------------------------------------------------------------------------


def _mesh(frame):
    """Points and cells; on a cubic lattice neighbours span lines, squares or cubes."""
    points = _wrapped(frame)[0] if frame.lattice is None else frame.position
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
    mesh = meshio.Mesh(*_mesh(frame), point_data=frame.vectors)
    mesh.write(path, file_format=suffix[1:])


def _write_xdmf(meshio, path, frames):
    with meshio.xdmf.TimeSeriesWriter(path, data_format="XML") as file:
        for k, frame in enumerate(frames):
            if k == 0:
                file.write_points_cells(*_mesh(frame))
            file.write_data(frame.time, point_data=frame.vectors)


def _write_ovf(pyovf, path, frame, suffix):
    if frame.lattice != "cubic":
        raise ValueError("an OVF file holds a rectangular mesh; for this lattice use .vtu or .xyz")
    x, y, z = frame.sides
    limits = {f"{axis}lim": [-0.5, n - 0.5] for axis, n in zip("XYZ", frame.sides, strict=True)}
    # the format runs along x first
    spins = np.ascontiguousarray(frame.vectors["spin"].reshape(x, y, z, 3).transpose(2, 1, 0, 3))
    pyovf.write(os.fspath(path), spins.astype(np.float32), title="m", **limits)


def _write_xyz(ase, path, frames):
    from ase import units
    from ase.io import write

    with open(path, "w") as file:
        for frame in frames:
            periodic = _periodic(frame)
            atoms = ase.Atoms(frame.elements, frame.position, cell=frame.cell, pbc=periodic)
            atoms.info["time"] = frame.time
            if frame.masses is not None:
                # ASE has a time of its own, in which an atomic mass unit is 1 eV over its square
                fs = units.fs if frame.atomistic else 1.0
                atoms.set_masses(frame.masses * fs**2)
                atoms.set_momenta(frame.vectors["momentum"] * fs)
            if "spin" in frame.vectors:
                atoms.set_array("spin", frame.vectors["spin"])
            write(file, atoms, format="extxyz")


def _write_gsd(gsd, path, frames):
    hoomd = import_module("gsd.hoomd")
    with hoomd.open(path, "w") as file:
        for step, frame in enumerate(frames):
            box = np.diag(frame.cell)
            if (frame.cell != np.diag(box)).any():
                raise ValueError(
                    f"cell={frame.cell.tolist()}: a GSD file is written for boxes at right angles "
                    "along x, y and z; use .xyz"
                )
            snapshot = hoomd.Frame()
            snapshot.configuration.step = step
            snapshot.configuration.dimensions = int(_periodic(frame).sum())
            snapshot.configuration.box = [*box, 0, 0, 0]
            particles = snapshot.particles
            particles.position, particles.image = _wrapped(frame, -0.5 * box)

            particles.N = len(particles.position)
            particles.types, particles.typeid = np.unique(frame.elements, return_inverse=True)
            particles.mass = frame.masses
            particles.velocity = frame.vectors["momentum"] / frame.masses[:, None]
            snapshot.log["time"] = np.array([frame.time])
            if "spin" in frame.vectors:
                snapshot.log["particles/spin"] = frame.vectors["spin"]
            file.append(snapshot)


#: Corners of a cell in the order of VTK, and its name by dimension.
_CORNERS = [(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)]
_CELLS = {1: "line", 2: "quad", 3: "hexahedron"}

_ALL = ("spin", "phase_space", "atoms")
#: Suffix to format.
FORMATS = {
    ".vtu": Format("meshio", _ALL, False, _write_vtk),
    ".vtk": Format("meshio", _ALL, False, _write_vtk),
    ".xdmf": Format("meshio", ("spin",), True, _write_xdmf),
    ".ovf": Format("pyovf", ("spin",), False, _write_ovf),
    ".xyz": Format("ase", _ALL, True, _write_xyz),
    ".extxyz": Format("ase", _ALL, True, _write_xyz),
    ".gsd": Format("gsd", ("phase_space", "atoms"), True, _write_gsd),
}
