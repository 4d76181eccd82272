"""Small moves with frames: choose, join, tell apart, keep on disk."""

import hashlib
import os

import numpy as np
import xarray as xr

from ..frames.layout import LABELS, check_frames
from ..persistence import replacing

_FORMAT = "NETCDF3_64BIT_DATA"  # as trajectories have it
_GEOMETRY = ("position", "spin", "cell")


def check_one(frames, name, *, labelled=True):
    """Frames of one composition, checked, with the labels that learning needs.

    Raises
    ------
    TypeError, ValueError
        If they are not.
    """
    labels = LABELS[:3] if labelled else ()
    parts = check_frames(frames, name, labels)
    if len(parts) > 1:
        raise ValueError(f"{name}: {len(parts)} compositions; learn from one at a time")
    return parts[0]


def geometry(frames):
    """Frames with positions, spins, cells and species alone."""
    return _bare(frames[list(_GEOMETRY)])


def labelled_part(frames):
    """Frames with their geometry and whatever labels they have."""
    return _bare(frames[[*_GEOMETRY, *(v for v in LABELS if v in frames)]])


def _bare(frames):
    extra = [c for c in frames.coords if c != "species" and "frame" in frames[c].dims]
    return frames.drop_vars(extra)


def join(parts):
    """Frames of several Datasets of one composition, with the variables that all of them have.

    Raises
    ------
    ValueError
        If the compositions differ.
    """
    first = parts[0]
    for other in parts[1:]:
        if list(other.species.values) != list(first.species.values):
            raise ValueError("frames of one composition, in one order of atoms, were expected")
    shared = [v for v in first.data_vars if all(v in part for part in parts)]
    bare = [part[shared] for part in parts if part.sizes["frame"]]
    if not bare:
        return first[shared]
    return xr.concat(
        bare, dim="frame", data_vars="minimal", coords="minimal", compat="override",
        join="override", combine_attrs="override",
    )  # fmt: skip


def frame_keys(frames):
    """A digest of the geometry of each frame: equal for equal frames only."""
    arrays = [np.ascontiguousarray(frames[v].values, dtype=np.float64) for v in _GEOMETRY]
    return [
        hashlib.blake2b(b"".join(a[k].tobytes() for a in arrays), digest_size=12).hexdigest()
        for k in range(frames.sizes["frame"])
    ]


def digest(frames):
    """One digest of all variables of frames."""
    result = hashlib.blake2b(digest_size=16)
    for name in sorted([*frames.data_vars, "species"]):
        values = frames[name].values
        plain = values.astype(str).tolist() if values.dtype.kind in "OSU" else None
        content = str(plain).encode() if plain is not None else np.ascontiguousarray(values)
        result.update(f"{name}{values.shape}".encode() + bytes(content))
    return result.hexdigest()


def write_frames(frames, path):
    """Write frames to a netCDF file, in one piece or not at all."""
    frames = frames.assign_coords(species=("atom", frames.species.values.astype(str)))
    with replacing(path) as temporary:
        frames.to_netcdf(temporary, format=_FORMAT, engine="netcdf4")


def read_frames(path):
    """Read what :func:`write_frames` wrote, bit for bit."""
    with xr.open_dataset(os.fspath(path), engine="netcdf4", decode_times=False) as file:
        frames = file.load()
    return frames.assign_coords(species=("atom", frames.species.values.astype(str)))
