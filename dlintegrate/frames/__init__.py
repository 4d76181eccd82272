"""Frames: positions and spins of atoms with the energies and forces that label them."""

from .deepmd import read_deepmd, write_deepmd
from .extxyz import read_extxyz, write_extxyz
from .layout import check_frames, frames_from_arrays, frames_to_states, make_frames

__all__ = [
    "check_frames",
    "frames_from_arrays",
    "frames_to_states",
    "make_frames",
    "read_deepmd",
    "read_extxyz",
    "write_deepmd",
    "write_extxyz",
]
