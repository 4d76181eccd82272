"""Extended XYZ files, by way of ASE."""

import os

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
        If the file is missing or damaged, or lacks what was asked for.
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
    for image in images:
        groups.setdefault(tuple(image.get_chemical_symbols()), []).append(image)
    frames = [_dataset(name, group, spin, magnetic_force) for group in groups.values()]
    return frames[0] if len(frames) == 1 else frames


def _dataset(name, images, spin, magnetic_force):
    if not all(image.pbc.all() for image in images):
        raise ValueError(f"{name} has frames that are not periodic in all directions")
    labels = {}
    for key in ("energy", "forces", "stress"):
        known = [_result(image, key) for image in images]
        labels[key] = None if any(value is None for value in known) else np.array(known)
    volumes = np.array([image.get_volume() for image in images])
    stress = labels["stress"]
    return frames_from_arrays(
        [image.positions for image in images], [image.cell.array for image in images],
        images[0].get_chemical_symbols(), spins=_vectors(name, images, spin, _SPINS),
        energy=labels["energy"], force=labels["forces"],
        magnetic_force=_vectors(name, images, magnetic_force, _FIELDS),
        virial=None if stress is None else -volumes[:, None, None] * stress,
    )  # fmt: skip


def _result(image, key):
    """A result of the calculator that came with the file; stresses as matrices."""
    results = getattr(image.calc, "results", {})
    if key not in results:
        return None
    if key == "stress" and np.shape(results[key]) == (6,):
        xx, yy, zz, yz, xz, xy = results[key]
        return np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return results[key]


def _vectors(name, images, wanted, usual):
    """An array of vectors of all images under one of its usual names, or None."""
    for key in [wanted] if wanted else usual:
        found = [_array(image, key) for image in images]
        if all(array is not None for array in found):
            return np.stack([_along_z(array) for array in found])
    if wanted:
        raise ValueError(f"{name} has no array {wanted!r}; it has {sorted(images[0].arrays)}")
    return None


def _array(image, key):
    results = getattr(image.calc, "results", {})
    return image.arrays.get(key, results.get(key))


def _along_z(array):
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

    Raises
    ------
    ImportError
        Without ASE.
    """
    ase = _ase()
    images = [image for part in check_frames(frames) for image in _images(part)]
    ase.io.write(os.fspath(path), images, format="extxyz")


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
