"""How frames differ: numbers that no rotation, shift or exchange of equal atoms changes."""

import numpy as np

from .._kernels.neighbours import pairs_within

#: Frames described at once, so that their pairs fit into memory.
_CHUNK = 32


def describe_frames(frames, cutoff=5.0, n_radial=8):
    """Mean and spread, over atoms, of smooth counts of neighbours and of parallel spins.

    For each pair of species, atom i has the numbers Σ_j w_k(r_ij) and Σ_j w_k(r_ij) e_i·e_j with
    ``n_radial`` overlapping bumps w_k. A frame is described by their means and
    standard deviations over atoms, which feel disorder and single odd atoms.

    Parameters
    ----------
    frames : xarray.Dataset
    cutoff : float, default 5.0
        In Å.
    n_radial : int, default 8

    Returns
    -------
    ndarray, shape (n_frames, n_features)
    """
    kinds, kind = np.unique(frames.species.values.astype(str), return_inverse=True)
    parts = []
    for start in range(0, frames.sizes["frame"], _CHUNK):
        part = frames.isel(frame=slice(start, start + _CHUNK))
        local = _local_numbers(part, kind, len(kinds), cutoff, n_radial)
        of_kind = [local[:, kind == k] for k in range(len(kinds))]
        numbers = [f(x, axis=1) for x in of_kind for f in (np.mean, np.std)]
        parts.append(np.concatenate(numbers, axis=1))
    return np.concatenate(parts)


def _local_numbers(frames, kind, n_kinds, cutoff, n_radial):
    """What each atom sees, (n_frames, n_atoms, n_kinds * n_radial * 2)."""
    positions = np.ascontiguousarray(frames.position.values, dtype=np.float64)
    n_frames, n_atoms, _ = positions.shape
    cells = np.ascontiguousarray(frames.cell.values, dtype=np.float64)
    pairs = pairs_within(positions, cells, cutoff)
    flat = positions.reshape(-1, 3)
    first, second = pairs.first, pairs.second
    distance = np.linalg.norm(flat[second] + pairs.offset - flat[first], axis=1)
    unit = _directions(frames.spin.values.reshape(-1, 3))
    aligned = (unit[first] * unit[second]).sum(-1)
    bin_of_pair = first * n_kinds + kind[second % n_atoms]
    columns = []
    for weight in _bumps(distance, cutoff, n_radial):
        for values in (weight, weight * aligned):
            sums = np.bincount(bin_of_pair, values, minlength=n_frames * n_atoms * n_kinds)
            columns.append(sums.reshape(n_frames, n_atoms, n_kinds))
    return np.concatenate(columns, axis=2)


def _bumps(distance, cutoff, n_radial):
    """Gaussians that end smoothly at the cutoff, one after the other."""
    fade = np.where(distance < cutoff, 0.5 * (1 + np.cos(np.pi * distance / cutoff)), 0.0)
    width = cutoff / (n_radial + 1)
    for k in range(1, n_radial + 1):
        yield fade * np.exp(-(((distance - k * width) / width) ** 2))


def _directions(spins):
    length = np.linalg.norm(spins, axis=-1, keepdims=True)
    return spins / np.where(length > 0, length, 1.0)
