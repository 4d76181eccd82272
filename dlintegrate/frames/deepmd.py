"""Folders of .npy files with flat rows, as DeePMD-kit and DeepSPIN keep their data."""

import os
from pathlib import Path

import numpy as np

from .layout import check_frames, frames_from_arrays

_VECTORS = {"coord": "position", "spin": "spin", "force": "force", "force_mag": "magnetic_force"}


def read_deepmd(folder, species=None, virtual=None):
    """Read frames in the deepmd/npy layout.

    A folder holds ``type.raw`` (the type of each site), ``type_map.raw`` (the symbols of the types)
    and ``set.000``, ``set.001``, … with one flat row a frame in ``coord.npy``, ``box.npy`` and,
    where known, ``energy.npy``, ``force.npy``, ``virial.npy``. Spins come in two forms: as
    ``spin.npy`` and ``force_mag.npy``; or as virtual sites at ``R + η S/μ`` whose force is
    ``-∂E/∂S · μ/η``.

    Parameters
    ----------
    folder : str or path-like
    species : sequence of str, optional
        Symbols of the types, instead of those in ``type_map.raw``.
    virtual : dict of str to (float, float), optional
        For folders with virtual sites: the symbol of each magnetic species to (η in Å, μ in
        μB), in the order of the types of their sites. These come after the real types, and their
        sites are in the order of the atoms that they belong to.

    Returns
    -------
    xarray.Dataset
        See :func:`frames_from_arrays`; all sets one after the other.

    Raises
    ------
    FileNotFoundError
        If the folder or a file that has to be there is missing.
    ValueError
        If a file is damaged, or sizes do not fit together.

    Examples
    --------
    >>> from dlintegrate.frames import read_deepmd
    >>> frames = read_deepmd("nio", virtual={"Ni": (0.4, 1.2737)})  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder={os.fspath(folder)!r} does not exist")
    if (folder / "nopbc").exists():
        raise ValueError(f"{folder}: frames without periodic boundaries (nopbc) are not supported")
    types = _types(folder / "type.raw")
    sets = sorted(path for path in folder.glob("set.*") if path.is_dir())
    if not sets:
        raise FileNotFoundError(f"{folder} has no set.000; pass the folder that holds type.raw")
    parts = [_read_set(path, len(types)) for path in sets]
    names = set(parts[0])
    for path, part in zip(sets, parts, strict=True):
        if set(part) != names:
            odd = sorted(set(part) ^ names)
            raise ValueError(f"{path} and {sets[0]} do not hold the same files: {odd}")
    arrays = {name: np.concatenate([part[name] for part in parts]) for name in names}
    if virtual:
        types, arrays = _without_virtual(folder, types, arrays, virtual, species)
    symbols = _symbols(folder, types, species)
    return frames_from_arrays(
        arrays["position"], arrays["cell"], symbols, spins=arrays.get("spin"),
        energy=arrays.get("energy"), force=arrays.get("force"),
        magnetic_force=arrays.get("magnetic_force"), virial=arrays.get("virial"),
    )  # fmt: skip


def _types(path):
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; pass the folder that holds type.raw")
    try:
        types = np.array(path.read_text().split(), dtype=int)
    except ValueError:
        raise ValueError(f"{path} is damaged: expected the type of each site, an int") from None
    if types.size == 0 or types.min() < 0:
        raise ValueError(f"{path} is damaged: expected types of 0 or more, got {types[:5]}")
    return types


def _names(folder, species):
    """Symbols of the types."""
    if species is not None:
        return [str(symbol) for symbol in species]
    path = folder / "type_map.raw"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; pass the symbols of the types, species=['Ni', 'O']"
        )
    return path.read_text().split()


def _symbols(folder, types, species):
    species = _names(folder, species)
    if types.max() >= len(species):
        raise ValueError(
            f"{folder}: type {types.max()} has no symbol in species={list(species)}; where it is "
            "a virtual site, say so: virtual={'Ni': (0.4, 1.2737)}"
        )
    return [species[t] for t in types]


def _read_set(path, n_sites):
    """Arrays of one set, by their names in the layout of frames."""
    arrays = {}
    position = _load(path / "coord.npy", 3 * n_sites, required=True)
    n_frames = len(position)
    for name, variable in _VECTORS.items():
        array = _load(path / f"{name}.npy", 3 * n_sites, n_frames)
        if array is not None:
            arrays[variable] = array.reshape(n_frames, n_sites, 3)
    arrays["cell"] = _load(path / "box.npy", 9, n_frames, required=True).reshape(n_frames, 3, 3)
    energy = _load(path / "energy.npy", 1, n_frames)
    virial = _load(path / "virial.npy", 9, n_frames)
    if energy is not None:
        arrays["energy"] = energy[:, 0]
    if virial is not None:
        arrays["virial"] = virial.reshape(n_frames, 3, 3)
    return arrays


def _load(path, width, n_frames=None, required=False):
    """Rows of a file as (n_frames, width) in double precision, or None if it is absent."""
    if not path.exists():
        if required:
            raise FileNotFoundError(f"{path} is missing; every set needs it")
        return None
    try:
        array = np.load(path, allow_pickle=False).astype(np.float64)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again") from None
    rows = len(array) if array.ndim > 0 else 0
    if rows == 0 or array.size != rows * width or (n_frames or rows) != rows:
        raise ValueError(
            f"{path} has shape {array.shape}; expected ({n_frames or 'n_frames'}, {width}), "
            "as type.raw and coord.npy have it"
        )
    return array.reshape(rows, width)


def _without_virtual(folder, types, arrays, virtual, species):
    """Types and arrays of the real sites, with spins and their forces from the virtual ones."""
    n_real = int(types.max()) + 1 - len(virtual)
    if n_real < 1:
        raise ValueError(
            f"{folder}: {types.max() + 1} types cannot hold those of virtual={virtual} too"
        )
    real = np.flatnonzero(types < n_real)
    position = arrays["position"]
    spin, field = np.zeros_like(position), np.zeros_like(position)
    for number, (symbol, (length, moment)) in enumerate(virtual.items()):
        sites = np.flatnonzero(types == n_real + number)
        owners = _owners(folder, types, symbol, len(sites), species)
        shift = position[:, sites] - position[:, owners]
        shift -= np.einsum("fak,fkc->fac", _whole(shift, arrays["cell"]), arrays["cell"])
        spin[:, owners] = shift * moment / length
        if "force" in arrays:
            field[:, owners] = arrays["force"][:, sites] * length / moment
    result = {k: v[:, real] if k in ("position", "force") else v for k, v in arrays.items()}
    result["spin"] = spin[:, real]
    if "force" in arrays:
        result["magnetic_force"] = field[:, real]
    return types[real], result


def _whole(shift, cell):
    """Numbers of whole cells in a shift: a site may have been wrapped apart from its atom."""
    return np.round(shift @ np.linalg.inv(cell))


def _owners(folder, types, symbol, n_sites, species):
    """Atoms that the virtual sites of a species belong to: those of its type, in order."""
    known = _names(folder, species)
    if symbol not in known:
        raise ValueError(f"{folder}: virtual={symbol!r} is none of the species {known}")
    owners = np.flatnonzero(types == known.index(symbol))
    if len(owners) != n_sites:
        raise ValueError(f"{folder}: {n_sites} virtual sites for {len(owners)} atoms of {symbol}")
    return owners


def write_deepmd(frames, folder, virtual=None, dtype="float64", set_size=None):
    """Write frames in the deepmd/npy layout; see :func:`read_deepmd`.

    Parameters
    ----------
    frames : xarray.Dataset
    folder : str or path-like
        Made if it does not exist; must not hold sets already.
    virtual : dict of str to (float, float), optional
        Write spins as virtual sites instead of ``spin.npy``; of all species that have any.
    dtype : str, default "float64"
    set_size : int, optional
        Frames of one set; by default there is one set.

    Raises
    ------
    FileExistsError
        If the folder holds sets.
    ValueError
        If ``virtual`` lacks a species whose spins are not zero.
    """
    (part,) = check_frames([frames])
    turning = part.species.values[part.spin.values.any(axis=(0, 2))].tolist()
    unnamed = sorted(set(turning) - set(virtual or turning))
    if unnamed:
        raise ValueError(
            f"virtual={virtual} would lose the spins of {unnamed}; name these species too, or set "
            "their spins to 0"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.glob("set.*")):
        raise FileExistsError(f"{folder} holds sets already; write to another folder")
    symbols = list(part.species.values)
    kinds = list(dict.fromkeys([*(virtual or {}), *symbols]))
    types = np.array([kinds.index(symbol) for symbol in symbols])
    arrays = {
        name: part[variable].values for name, variable in _VECTORS.items() if variable in part
    }
    if virtual:
        types, arrays = _with_virtual(types, arrays, kinds, virtual)
    arrays["box"] = part.cell.values
    arrays.update({name: part[name].values for name in ("energy", "virial") if name in part})
    (folder / "type.raw").write_text("".join(f"{t}\n" for t in types))
    (folder / "type_map.raw").write_text("".join(f"{kind}\n" for kind in kinds))
    n_frames = part.sizes["frame"]
    size = set_size or n_frames
    for number, start in enumerate(range(0, n_frames, size)):
        path = folder / f"set.{number:03d}"
        path.mkdir()
        for name, array in arrays.items():
            rows = array[start : start + size].astype(dtype)
            flat = rows.reshape(len(rows), -1) if rows.ndim > 1 else rows
            np.save(path / f"{name}.npy", flat)


def _with_virtual(types, arrays, kinds, virtual):
    """Types and arrays with spins turned into virtual sites behind the real ones."""
    coords, forces, sites = [arrays["coord"]], [arrays.get("force")], [types]
    for number, (symbol, (length, moment)) in enumerate(virtual.items()):
        owners = np.flatnonzero(types == kinds.index(symbol))
        coords.append(arrays["coord"][:, owners] + length / moment * arrays["spin"][:, owners])
        if "force" in arrays and "force_mag" in arrays:
            forces.append(arrays["force_mag"][:, owners] * moment / length)
        sites.append(np.full(len(owners), len(kinds) + number))
    result = {"coord": np.concatenate(coords, axis=1)}
    if len(forces) == len(coords):
        result["force"] = np.concatenate(forces, axis=1)
    return np.concatenate(sites), result
