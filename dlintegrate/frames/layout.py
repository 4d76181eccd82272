"""The layout of frames: one xarray Dataset for one composition."""

import warnings

import numpy as np
import xarray as xr

from ..states import name_samples

_VECTORS = ("frame", "atom", "component")
#: Variable to (dimensions, units, long name).
LAYOUT = {
    "position": (_VECTORS, "Å", "positions of the atoms"),
    "spin": (_VECTORS, "μB", "magnetic moments"),
    "cell": (("frame", "vector", "component"), "Å", "cell vectors, one a row"),
    "energy": (("frame",), "eV", "potential energy"),
    "force": (_VECTORS, "eV/Å", "forces at fixed spins"),
    "magnetic_force": (_VECTORS, "eV/μB", "-∂E/∂S at fixed positions"),
    "virial": (("frame", "component", "component_b"), "eV", "-∂E/∂strain"),
}
LABELS = ("energy", "force", "magnetic_force", "virial")


def frames_from_arrays(
    positions, cell, species, *, spins=None, energy=None, force=None, magnetic_force=None,
    virial=None,
):  # fmt: skip
    """Put arrays of one composition together as frames.

    Parameters
    ----------
    positions : array-like, shape (n_frames, n_atoms, 3)
        In Å.
    cell : array-like, shape (3, 3) or (n_frames, 3, 3)
        Rows are the cell vectors, in Å.
    species : sequence of str, length n_atoms
        Chemical symbols.
    spins : array-like, shape (n_frames, n_atoms, 3), optional
        In μB; zero where not given.
    energy : array-like, shape (n_frames,), optional
        In eV.
    force, magnetic_force : array-like, shape (n_frames, n_atoms, 3), optional
        In eV/Å and eV/μB.
    virial : array-like, shape (n_frames, 3, 3), optional
        In eV.

    Returns
    -------
    xarray.Dataset
        Variables ``position``, ``spin``, ``cell`` and the labels that were given; the coordinate
        ``species(atom)``. Units are attributes.

    Raises
    ------
    ValueError
        On wrong shapes or values that are not finite.
    """
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 3 or positions.shape[-1] != 3:
        raise ValueError(
            f"positions have shape {positions.shape}; expected (n_frames, n_atoms, 3): "
            "a single frame needs a leading axis, positions[None]"
        )
    cell = np.asarray(cell, dtype=np.float64)
    if cell.shape == (3, 3):
        cell = np.broadcast_to(cell, (len(positions), 3, 3)).copy()
    values = {
        "position": positions, "cell": cell, "energy": energy, "force": force,
        "spin": np.zeros_like(positions) if spins is None else spins,
        "magnetic_force": magnetic_force, "virial": virial,
    }  # fmt: skip
    species = [str(symbol) for symbol in species]
    sizes = {
        "frame": len(positions), "atom": len(species), "component": 3, "vector": 3,
        "component_b": 3,
    }  # fmt: skip
    variables = {}
    for name, (dims, units, meaning) in LAYOUT.items():
        if values[name] is None:
            continue
        array = np.asarray(values[name], dtype=np.float64)
        expected = tuple(sizes[dim] for dim in dims)
        if array.shape != expected:
            raise ValueError(f"{name} has shape {array.shape}; expected {dims} = {expected}")
        variables[name] = (dims, array, {"units": units, "long_name": meaning})
    frames = xr.Dataset(variables, coords={"species": ("atom", species)})
    return _finite(frames, "frames")


def _finite(frames, name):
    for variable in frames.data_vars:
        values = frames[variable].values
        bad = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        if bad.any():
            index = np.flatnonzero(bad)
            raise ValueError(
                f"{name}: {variable} is NaN or infinite in frame {index[0]} ({index.size} of "
                f"{bad.size} frames); remove them, or drop the variable"
            )
    return frames


def check_frames(frames, name="frames", labels=()):
    """Check frames and return them as a list of Datasets, one for each composition.

    Parameters
    ----------
    frames : xarray.Dataset or sequence of xarray.Dataset
    name : str
        What to call the argument in error messages.
    labels : sequence of str
        Labels that have to be there.

    Returns
    -------
    list of xarray.Dataset
        With dimensions in the order of the layout.

    Raises
    ------
    TypeError, ValueError
        If they do not have the layout, or hold NaN or no frame.
    """
    parts = [frames] if isinstance(frames, xr.Dataset) else frames
    if not isinstance(parts, list | tuple) or not all(isinstance(p, xr.Dataset) for p in parts):
        raise TypeError(
            f"{name} is a {type(frames).__name__}; expected a Dataset or a list of them: see "
            "frames_from_arrays, make_frames and read_deepmd"
        )
    if not parts or any(part.sizes.get("frame", 0) == 0 for part in parts):
        raise ValueError(f"{name} holds no frame")
    return [_checked(part, name, labels) for part in parts]


def _checked(part, name, labels):
    for variable in ("position", "spin", "cell", *labels):
        if variable not in part:
            raise ValueError(f"{name} has no variable {variable!r}; it has {list(part.data_vars)}")
    if "species" not in part.coords:
        raise ValueError(f"{name} has no coordinate species(atom)")
    for variable in part.data_vars:
        if variable in LAYOUT:
            dims = LAYOUT[variable][0]
            if set(part[variable].dims) != set(dims):
                raise ValueError(
                    f"{name}: {variable} has dimensions {part[variable].dims}; expected {dims}"
                )
            part = part.assign({variable: part[variable].transpose(*dims)})
    wrong = {dim: part.sizes[dim] for dim in ("component", "vector") if part.sizes[dim] != 3}
    if wrong:
        raise ValueError(f"{name} has sizes {wrong}; expected 3")
    return _finite(part[[v for v in part.data_vars if v in LAYOUT]], name)


def make_frames(system, states, label=True):
    """Frames from states of a system of atoms.

    Parameters
    ----------
    system : AtomicSystem
    states : xarray.DataArray or array-like, shape (n_samples, 3, n_atoms, 3)
        Positions, momenta (left out) and spins.
    label : bool, default True
        Let the system label them: energy, forces, magnetic forces and, where it has one, virial.

    Returns
    -------
    xarray.Dataset
        Without the states that the system failed on.

    Raises
    ------
    ValueError
        If it failed on all.

    Warns
    -----
    RuntimeWarning
        That names them.
    """
    from ..systems.atoms import POSITION, SPIN

    array = system.validate(states)
    positions, spins = (np.ascontiguousarray(array[:, v]) for v in (POSITION, SPIN))
    arrays = {"spins": spins}
    if label:
        labels = labels_of(system, positions, spins, virial=True)
        known = [np.isfinite(values.reshape(len(array), -1)).all(1) for values in labels.values()]
        found, name = np.logical_and.reduce(known), type(system).__name__
        if not found.any():
            raise ValueError(f"no labels: {name} failed for all {len(array)} states")
        if not found.all():
            warnings.warn(
                f"no labels for {name_samples(~found)}: {name} failed; they are left out",
                RuntimeWarning,
                stacklevel=2,
            )
            positions = positions[found]
        arrays = {key: values[found] for key, values in (arrays | labels).items()}
    return frames_from_arrays(positions, system.cell, system.species, **arrays)


def labels_of(system, positions, spins, *, virial):
    """What a system says of frames; without the virial where it has none.

    Parameters
    ----------
    system : AtomicSystem
    positions, spins : ndarray, shape (n_frames, n_atoms, 3)
    virial : bool
        Whether it is wanted.

    Returns
    -------
    dict of str to ndarray
        By the names of the layout; NaN where the system failed.
    """
    try:
        known = system.compute(positions, spins, virial=virial)
    except NotImplementedError:
        if not virial:
            raise
        known = system.compute(positions, spins)
    return {name: values for name, values in known._asdict().items() if values is not None}


def frames_to_states(frames, system, momenta=0.0):
    """States of a system of atoms from frames of its composition and cell.

    Parameters
    ----------
    frames : xarray.Dataset
    system : AtomicSystem
    momenta : float or array-like, shape (n_frames, n_atoms, 3), default 0
        In eV fs/Å.

    Returns
    -------
    ndarray, shape (n_frames, 3, n_atoms, 3)
        Validated by the system.

    Raises
    ------
    ValueError
        If species or cell are not those of the system.
    """
    (part,) = check_frames([frames])
    theirs, ours = list(part.species.values), list(system.species)
    if theirs != ours:
        raise ValueError(f"frames have the species {theirs}, the system has {ours}")
    if not np.allclose(part.cell.values, system.cell, rtol=0, atol=1e-6):
        raise ValueError("frames have another cell than the system; make a system with that cell")
    position = part.position.values
    momentum = np.broadcast_to(np.asarray(momenta, dtype=np.float64), position.shape)
    return system.validate(np.stack([position, momentum, part.spin.values], axis=1), "frames")
