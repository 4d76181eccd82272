"""Where labels come from: a system, a function, a folder that someone else fills."""

import hashlib
import shutil
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator

from ..frames.layout import LAYOUT, labels_of
from ..states import name_samples
from ..systems.atoms import AtomicSystem
from .frame_sets import LABELS, frame_keys, geometry, join, labelled_part, read_frames, write_frames

#: Positions in an answer may differ from those asked for by this much, in Å (text files round).
_SAME_POSITION = 1e-4
#: Labels are saved when this many seconds of work would be lost.
_SAVE_SECONDS = 5.0


def as_labeller(labeller, *, virial=False):
    """A function of frames, from whatever gives labels.

    Parameters
    ----------
    labeller : AtomicSystem or callable
    virial : bool, default False
        Whether a system should give virials, if it has them.

    Returns
    -------
    callable
        ``labeller(frames, partial)``, frames to labelled frames or None; ``partial`` is where
        unfinished work may be kept.

    Raises
    ------
    TypeError
        For anything else.
    """
    if isinstance(labeller, AtomicSystem):
        return lambda frames, partial: label_with(labeller, frames, partial, virial=virial)
    if callable(labeller):
        return lambda frames, partial: labeller(frames)
    raise TypeError(
        f"labeller={labeller!r}: expected an AtomicSystem, or a function that takes frames and "
        "returns them with labels"
    )


def label_with(system, frames, partial=None, *, virial=False):
    """Label frames with the energies and forces of a system, one after the other.

    Parameters
    ----------
    system : AtomicSystem
        With the cell and the atoms of the frames.
    frames : xarray.Dataset
    partial : path-like, optional
        File of what is labelled so far; an interrupted call goes on there.
    virial : bool, default False
        Whether virials are wanted, if the system has them.

    Returns
    -------
    xarray.Dataset
        Without the frames that the system failed on.

    Warns
    -----
    RuntimeWarning
        That names them.
    """
    _check_system(system, frames)
    done = read_frames(partial) if partial is not None and partial.exists() else None
    parts = [] if done is None else [done]
    n_done = 0 if done is None else int(done.attrs["n_asked"])
    failed = np.zeros(frames.sizes["frame"], dtype=bool)
    saved = time.monotonic()
    for k in range(n_done, frames.sizes["frame"]):
        try:
            parts.append(_label_one(system, frames.isel(frame=[k]), virial))
        except Exception as error:
            failed[k] = True
            last_error = error
        if partial is not None and parts and time.monotonic() - saved > _SAVE_SECONDS:
            write_frames(join(parts).assign_attrs(n_asked=k + 1), partial)
            saved = time.monotonic()
    if failed.any():
        warnings.warn(
            f"no labels for {name_samples(failed)} of the chosen frames: {last_error}",
            RuntimeWarning,
            stacklevel=2,
        )
    if not parts:
        return geometry(frames).isel(frame=[])
    result = join(parts)
    result.attrs.pop("n_asked", None)
    return result


def _check_system(system, frames):
    if list(system.species) != list(frames.species.values.astype(str)):
        raise ValueError("labeller: its species are not those of the frames")
    if not np.allclose(frames.cell.values, system.cell, atol=_SAME_POSITION):
        raise ValueError(
            "labeller: its cell is not that of the frames; label frames of several cells by a "
            "function"
        )


def _label_one(system, frame, virial):
    known = labels_of(system, frame.position.values, frame.spin.values, virial=virial)
    for name, values in known.items():
        if not np.isfinite(values).all():
            raise FloatingPointError(f"{name} is not finite")
    return geometry(frame).assign({name: (LAYOUT[name][0], v) for name, v in known.items()})


class FolderLabeller(BaseEstimator):
    """Write frames into a folder, and wait until someone has put labels beside them.

    For codes that run elsewhere. Each question has a folder of its own, named after its content,
    with the frames to label; the answer is expected beside them. Until it is there, the learner
    stops as "pending" (after ``timeout``), and calling ``fit`` again continues.

    Parameters
    ----------
    folder : str or path-like
    format : {"npy", "extxyz"}, default "npy"
        Of questions and answers: the layout of deepmd (``question/`` and ``answer/``), or
        extended XYZ (``question.xyz`` and ``answer.xyz``; needs ASE).
    timeout : float, default 0.0
        Seconds to wait for an answer.
    poll_every : float, default 10.0
        Seconds between two looks.

    Notes
    -----
    Put an answer there in one piece: write it under another name and rename it. It may lack
    frames that could not be labelled.
    """

    def __init__(self, folder, format="npy", timeout=0.0, poll_every=10.0):
        self.folder = folder
        self.format = format
        self.timeout = timeout
        self.poll_every = poll_every

    def __call__(self, frames):
        """Return labelled frames, or None while there is no answer.

        Parameters
        ----------
        frames : xarray.Dataset

        Raises
        ------
        ValueError
            If an answer holds other frames than the question.
        """
        read, write, suffix = self._files()
        keys = frame_keys(frames)
        name = hashlib.blake2b("".join(keys).encode(), digest_size=6).hexdigest()
        place = Path(self.folder) / name
        place.mkdir(parents=True, exist_ok=True)
        if not (place / f"question{suffix}").exists():
            _write_in_one_piece(write, geometry(frames), place / f"question{suffix}")
        answer = place / f"answer{suffix}"
        until = time.monotonic() + self.timeout
        while not answer.exists():
            left = until - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(self.poll_every, left))
        return _matched(read(answer), frames, answer)

    def _files(self):
        """How to read and write the format, and what its files are called."""
        from .. import frames

        formats = {
            "npy": (frames.read_deepmd, frames.write_deepmd, ""),
            "extxyz": (frames.read_extxyz, frames.write_extxyz, ".xyz"),
        }
        if self.format not in formats:
            raise ValueError(f"format={self.format!r}: expected one of {sorted(formats)}")
        return formats[self.format]


def _write_in_one_piece(write, frames, path):
    """Write a file or folder under another name first."""
    unfinished = path.with_name(f".{path.name}.part")
    if unfinished.is_dir():
        shutil.rmtree(unfinished)
    write(frames, unfinished)
    unfinished.rename(path)


def _matched(answer, question, path):
    """The frames of an answer in the order of the question.

    Positions and spins are those of the answer: where moments relax, labels belong to them.
    """
    if not hasattr(answer, "sizes") or list(answer.species.values) != list(question.species.values):
        raise ValueError(f"{path} has other atoms, or another order of them, than the question")
    missing = [name for name in LABELS[:3] if name not in answer]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}")
    order = []
    for asked in range(question.sizes["frame"]):
        apart = _distances(answer, question.isel(frame=asked))
        found = [int(k) for k in np.argsort(apart) if k not in order][:1]
        if found and apart[found[0]] < _SAME_POSITION:
            order += found
    if len(order) < answer.sizes["frame"]:
        raise ValueError(
            f"{path} has {answer.sizes['frame'] - len(order)} frames that are not in the question; "
            "keep positions and the order of atoms as they are"
        )
    return labelled_part(answer).isel(frame=order)


def _distances(frames, frame):
    """Largest distance, in Å, of an atom of each of the frames from where one frame has it."""
    shift = frames.position.values - frame.position.values
    cell = frame.cell.values
    shift -= np.round(shift @ np.linalg.inv(cell)) @ cell
    return np.abs(shift).max(axis=(1, 2))
