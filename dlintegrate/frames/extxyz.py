"""Extended XYZ files, by way of ASE."""

import bz2
import gzip
import lzma
import os
from pathlib import Path

import numpy as np

from .layout import check_frames, frames_from_arrays

_SPINS = ("spin", "spins", "initial_magmoms", "magmoms")
_FIELDS = ("magnetic_force", "magnetic_forces", "force_mag", "mag_forces")


def _ase():
    try:
        import ase.io
    except ImportError:
        raise ImportError('extended XYZ needs ASE: pip install "dlintegrate[ase]"') from None
    return ase


def read_extxyz(path, spin=None, magnetic_force=None):
    """Read frames from an extended XYZ file, or any other file of frames that ASE reads.

    Energies, forces and stresses are those of ASE's calculator results.

    Parameters
    ----------
    path : str or path-like
    spin, magnetic_force : str, optional
        Names of the arrays that hold them; by default "spin" or ASE's magnetic moments, and
        "magnetic_force" or "force_mag". Moments with one component are taken along z.

    Returns
    -------
    xarray.Dataset or list of xarray.Dataset
        One for each composition, in the order in which they first appear.

    Raises
    ------
    ImportError
        Without ASE.
    FileNotFoundError, ValueError
        If the file is missing or damaged, or lacks what was asked for; if some images of a
        composition have a label or moments, and others do not.
    """
    ase = _ase()
    name = os.fspath(path)
    if not os.path.exists(name):
        raise FileNotFoundError(f"path={name!r} does not exist")
    try:
        images = ase.io.read(name, index=":")
    except Exception as error:  # every format fails in its own way
        raise ValueError(f"{name} cannot be read ({type(error).__name__}: {error})") from None
    groups = {}
    for number, image in enumerate(images):
        groups.setdefault(tuple(image.get_chemical_symbols()), {})[number] = image
    frames = [_dataset(name, group, spin, magnetic_force) for group in groups.values()]
    return frames[0] if len(frames) == 1 else frames


def _dataset(name, group, spin, magnetic_force):
    """Frames of one composition, from its images by their numbers in the file."""
    images = list(group.values())
    if not all(image.pbc.all() for image in images):
        raise ValueError(f"{name} has frames that are not periodic in all directions")
    labels = {key: _of_all(name, group, key, _result) for key in ("energy", "forces", "stress")}
    volumes = np.array([image.get_volume() for image in images])
    stress = labels["stress"]
    return frames_from_arrays(
        [image.positions for image in images], [image.cell.array for image in images],
        images[0].get_chemical_symbols(), spins=_vectors(name, group, spin, _SPINS),
        energy=labels["energy"], force=labels["forces"],
        magnetic_force=_vectors(name, group, magnetic_force, _FIELDS),
        virial=None if stress is None else -volumes[:, None, None] * stress,
    )  # fmt: skip


def _of_all(name, group, key, get):
    """What ``get(image, key)`` finds in all images of a group, or None if it is in none."""
    found = {number: get(image, key) for number, image in group.items()}
    missing = [number for number, value in found.items() if value is None]
    if len(missing) == len(found):
        return None
    if missing:
        raise ValueError(
            f"{name}: {len(missing)} of {len(found)} images have no {key!r}, which the others "
            f"have; the first is image {missing[0]}. Remove these images, or {key!r} from all"
        )
    return np.array(list(found.values()))


def _result(image, key):
    """A result of the calculator that came with the file; stresses as matrices."""
    results = getattr(image.calc, "results", {})
    if key not in results:
        return None
    if key == "stress" and np.shape(results[key]) == (6,):
        xx, yy, zz, yz, xz, xy = results[key]
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return results[key]


def _vectors(name, group, wanted, usual):
    """An array of vectors of all images under one of its usual names, or None."""
    keys = [wanted] if wanted else usual
    images = group.values()
    whole = [key for key in keys if all(_array(image, key) is not None for image in images)]
    for key in whole or keys:
        found = _of_all(name, group, key, _array)
        if found is not None:
            return found
    if wanted:
        arrays = next(iter(images)).arrays
        raise ValueError(f"{name} has no array {wanted!r}; it has {sorted(arrays)}")
    return None


def _array(image, key):
    """Vectors of the atoms, along z where there is but one component."""
    array = image.arrays.get(key, getattr(image.calc, "results", {}).get(key))
    if array is None:
        return None
    array = np.asarray(array, dtype=np.float64)
    return array if array.ndim == 2 else np.stack([0 * array, 0 * array, array], axis=-1)


def write_extxyz(frames, path):
    """Write frames to an extended XYZ file.

    Energy, forces and stress go where ASE's calculators put them; spins and magnetic forces
    into arrays "spin" and "magnetic_force".

    Parameters
    ----------
    frames : xarray.Dataset or sequence of xarray.Dataset
    path : str or path-like
        Replaced in one piece, never half written.

    Raises
    ------
    ImportError
        Without ASE.
    """
    from ..persistence import replacing

    ase = _ase()
    images = [image for part in check_frames(frames) for image in _images(part)]
    opened = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}  # as ASE reads them
    with replacing(path) as temporary:
        with opened.get(Path(path).suffix, open)(temporary, "wt") as file:
            ase.io.write(file, images, format="extxyz")


def _images(part):
    from ase import Atoms
    from ase.calculators.singlepoint import SinglePointCalculator

    for number in range(part.sizes["frame"]):
        frame = {name: part[name].values[number] for name in part.data_vars}
        image = Atoms(
            list(part.species.values), positions=frame["position"], cell=frame["cell"], pbc=True
        )
        for name in ("spin", "magnetic_force"):
            if name in frame:
                image.set_array(name, frame[name])
        results = {}
        if "energy" in frame:
            results["energy"] = float(frame["energy"])
        if "force" in frame:
            results["forces"] = frame["force"]
        if "virial" in frame:
            virial = -0.5 * (frame["virial"] + frame["virial"].T) / image.get_volume()
            results["stress"] = virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        image.calc = SinglePointCalculator(image, **results)
        yield image
