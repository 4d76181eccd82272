"""Frames as tensors of equal length: what the training of potentials works on."""

import numpy as np

from .._kernels.neighbours import pairs_within


def neighbour_table(positions, cell, cutoff):
    """Neighbours of each atom of one frame, in a table with one row an atom.

    Parameters
    ----------
    positions : ndarray, shape (n_atoms, 3)
    cell : ndarray, shape (3, 3)
    cutoff : float

    Returns
    -------
    neighbour : ndarray of int, shape (n_atoms, n_most)
        -1 where an atom has fewer.
    offset : ndarray, shape (n_atoms, n_most, 3)
        What to add to the neighbour's position, in Å.
    """
    pairs = pairs_within(positions[None], cell, cutoff)
    counts = np.diff(pairs.starts)
    most = max(1, counts.max())
    place = np.arange(len(pairs.first)) - pairs.starts[pairs.first]
    neighbour = np.full((len(positions), most), -1)
    offset = np.zeros((len(positions), most, 3))
    neighbour[pairs.first, place] = pairs.second
    offset[pairs.first, place] = pairs.offset
    return neighbour, offset


def frame_tensors(parts, species, moments, cutoff, dtype):
    """Tensors of all frames, padded to the largest number of atoms and of neighbours.

    Parameters
    ----------
    parts : list of xarray.Dataset
        What :func:`check_frames` returned.
    species : list of str
        Symbols, in the order of their numbers.
    moments : ndarray, shape (n_species,)
        0 for species without.
    cutoff : float
    dtype : torch.dtype

    Returns
    -------
    dict of str to torch.Tensor
        Axis 0 ``frame``: ``position``, ``spin``, ``kind`` (-1 for padding), ``neighbour`` (-1 for
        none), ``magnetic``, ``offset``, ``cell``, ``n_atoms``; labels that all frames have.
    """
    import torch

    n_atoms = max(part.sizes["atom"] for part in parts)
    tables = [
        neighbour_table(x, c, cutoff)
        for part in parts
        for x, c in zip(part.position.values, part.cell.values, strict=True)
    ]
    most = max(table[0].shape[1] for table in tables)
    arrays = {
        "neighbour": np.stack([_padded(t[0], (n_atoms, most), -1) for t in tables]),
        "offset": np.stack([_padded(t[1], (n_atoms, most, 3), 0) for t in tables]),
        "kind": np.concatenate([_kinds(part, species, n_atoms) for part in parts]),
        "n_atoms": np.repeat([p.sizes["atom"] for p in parts], [p.sizes["frame"] for p in parts]),
    }
    arrays["magnetic"] = (moments > 0)[arrays["kind"]] & (arrays["kind"] >= 0)
    for name in ("position", "spin", "force", "magnetic_force"):
        if all(name in part for part in parts):
            arrays[name] = np.concatenate(
                [_padded(part[name].values, (part.sizes["frame"], n_atoms, 3), 0) for part in parts]
            )
    for name in ("cell", "energy", "virial"):
        if all(name in part for part in parts):
            arrays[name] = np.concatenate([part[name].values for part in parts])
    return {
        name: torch.as_tensor(array, dtype=dtype if array.dtype.kind == "f" else None)
        for name, array in arrays.items()
    }


def _kinds(part, species, n_atoms):
    numbers = _padded(numbers_of(part.species.values, species), (n_atoms,), -1)
    return np.tile(numbers, (part.sizes["frame"], 1))


def numbers_of(symbols, species):
    """Number of each symbol in a list of species.

    Raises
    ------
    ValueError
        For symbols that are not in the list.
    """
    known = {symbol: number for number, symbol in enumerate(species)}
    unknown = sorted({str(symbol) for symbol in symbols} - set(known))
    if unknown:
        raise ValueError(
            f"species {unknown} were not in the frames of the fit (which has {list(species)}); "
            "fit again with frames that hold them"
        )
    return np.array([known[str(symbol)] for symbol in symbols], dtype=np.int64)


def _padded(array, shape, value):
    result = np.full(shape, value, dtype=array.dtype)
    result[tuple(slice(n) for n in array.shape)] = array
    return result
