"""The folder of a run: one file per stage, each written in one piece."""

import json
import os
from pathlib import Path

import numpy as np
import xarray as xr
from sklearn.base import BaseEstimator

from .. import __version__
from ..persistence import fingerprint, load, replacing, save
from .frame_sets import digest, read_frames, write_frames

_FORMAT = 1


class Store:
    """Results of stages, on disk or not at all.

    Parameters
    ----------
    folder : str, path-like or None
    identity : dict of str to str
        Digests of all that decides the result.
    classes : list of classes
        Which files of weights may name.

    Raises
    ------
    ValueError
        If the folder belongs to a run with another identity.
    """

    def __init__(self, folder, identity, classes=()):
        self.folder = None if folder is None else Path(os.fspath(folder))
        self.classes = list(classes)
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "identity.json"
        if path.exists():
            _check_same(json.loads(path.read_text())["identity"], identity, self.folder)
        else:
            content = {"format": _FORMAT, "version": __version__, "identity": identity}
            _write_json(content, path)

    def frames(self, name, compute):
        """Frames of a stage: read if they are there, else computed and written.

        Parameters
        ----------
        name : str
        compute : callable
            Without arguments; None means that the stage is not done yet, and nothing is written.
        """
        return self._stage(f"{name}.nc", compute, read_frames, write_frames)

    def record(self, name, compute):
        """A dict of plain values, as :meth:`frames`."""
        return self._stage(f"{name}.json", compute, _read_json, _write_json)

    def potential(self, name, compute):
        """A fitted potential, as :meth:`frames`."""
        return self._stage(f"{name}.safetensors", compute, self._load, save)

    def has_potential(self, name):
        """Whether that potential has been fitted."""
        return self.folder is not None and (self.folder / f"{name}.safetensors").exists()

    def path(self, name):
        """Where a file of that name may be put, None without a folder."""
        if self.folder is None:
            return None
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _stage(self, name, compute, read, write):
        path = self.path(name)
        if path is None:
            return compute()
        if path.exists():
            return read(path)
        value = compute()
        if value is None:
            return None
        write(value, path)
        return read(path)  # so that a run and its resumption go on with the same bits

    def _load(self, path):
        return load(path, classes=self.classes)


def _read_json(path):
    return json.loads(Path(path).read_text())


def _write_json(content, path):
    with replacing(path) as temporary:
        Path(temporary).write_text(json.dumps(content, indent=1) + "\n")


def _check_same(known, ours, folder):
    changed = sorted(k for k in {*known, *ours} if known.get(k) != ours.get(k))
    if changed:
        raise ValueError(
            f"folder={str(folder)!r} belongs to a run with another {', '.join(changed)}; continue "
            "it with the same, or choose another folder"
        )


def identify(value):
    """Text that is equal for equal values: estimators, frames, arrays, plain data, functions."""
    if isinstance(value, xr.Dataset):
        return digest(value)
    if isinstance(value, xr.DataArray | np.ndarray):
        return digest(xr.Dataset({"values": ((), 0)}, coords={"species": value}))
    if isinstance(value, BaseEstimator):
        try:
            return fingerprint(value)
        except TypeError:
            parts = {k: identify(v) for k, v in sorted(value.get_params(deep=False).items())}
            return f"{type(value).__name__}({parts})"
    if callable(value):
        return getattr(value, "__qualname__", type(value).__name__)
    return repr(value)


def classes_in(estimator):
    """The classes of an estimator and of those inside it."""
    found = [type(estimator)]
    for value in estimator.get_params(deep=False).values():
        if isinstance(value, BaseEstimator) and not isinstance(value, type):
            found += classes_in(value)
    return found
