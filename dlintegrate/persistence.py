"""Files of fitted objects that execute nothing when they are read.

One safetensors file: arrays as tensors, everything else as JSON in its header.
joblib works too (and is pickle: load such files only from people you trust).
"""

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from importlib import import_module

import numpy as np
from sklearn.base import BaseEstimator

from . import __version__

_FORMAT = 1
#: Where classes that a file may name are looked up; nothing else is ever imported.
_REGISTRIES = (
    ".systems",
    ".integrators",
    ".integrators.residue",
    ".correctors",
    ".integrators.force_step",
    ".integrators.field_step",
    ".potentials",
)


def encode(value, arrays):
    """Turn a parameter or a fitted attribute into JSON, moving arrays into ``arrays``.

    Parameters
    ----------
    value : None, bool, int, float, str, list, tuple, dict, ndarray or estimator
    arrays : dict of str to ndarray
        Filled.

    Raises
    ------
    TypeError
        For anything else.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.hasobject:
            raise TypeError("arrays of Python objects cannot be saved")
        for key, known in arrays.items():
            if known is value or _same_bits(known, value):
                return {"array": key}  # a corrector and its step hold the same weights
        key = f"a{len(arrays)}"
        arrays[key] = value
        return {"array": key}
    if isinstance(value, list | tuple | frozenset | set):
        kind = "list" if isinstance(value, list) else "tuple"
        items = sorted(value) if isinstance(value, frozenset | set) else value
        return {kind: [encode(v, arrays) for v in items]}
    if isinstance(value, dict):
        return {"dict": [[encode(k, arrays), encode(v, arrays)] for k, v in value.items()]}
    if isinstance(value, BaseEstimator):
        fitted = {k: v for k, v in _state(value).items() if k not in value.get_params(deep=False)}
        return {
            "class": type(value).__name__,
            "params": {k: encode(v, arrays) for k, v in value.get_params(deep=False).items()},
            "fitted": {k: encode(v, arrays) for k, v in fitted.items()},
        }
    raise TypeError(f"{type(value).__name__} cannot be saved without pickle; use joblib.dump")


def _same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _state(estimator):
    state = estimator.__getstate__()
    return {k: v for k, v in (state or {}).items() if k != "_dlintegrate_version"}


def decode(tree, arrays, classes):
    """Inverse of :func:`encode`; ``classes`` maps the names that may be built."""
    if not isinstance(tree, dict):
        return tree
    if "array" in tree:
        return arrays[tree["array"]]
    if "list" in tree:
        return [decode(v, arrays, classes) for v in tree["list"]]
    if "tuple" in tree:
        return tuple(decode(v, arrays, classes) for v in tree["tuple"])
    if "dict" in tree:
        return {decode(k, arrays, classes): decode(v, arrays, classes) for k, v in tree["dict"]}
    if tree["class"] not in classes:
        raise ValueError(
            f"the file holds a {tree['class']}, which is not part of dlintegrate; "
            f"pass it: load(path, classes=[{tree['class']}])"
        )
    built = classes[tree["class"]](
        **{k: decode(v, arrays, classes) for k, v in tree["params"].items()}
    )
    for name, value in tree["fitted"].items():
        setattr(built, name, decode(value, arrays, classes))
    return built


def known_classes():
    """The classes that a file may name: those of the library, by name.

    Returns
    -------
    dict of str to type
        Fixed by a list of modules; what a file says imports nothing.
    """
    known = {}
    for module in _REGISTRIES:
        for cls in vars(import_module(module, __package__)).values():
            if isinstance(cls, type) and issubclass(cls, BaseEstimator):
                known.setdefault(cls.__name__, cls)
    return known


def fingerprint(estimator):
    """Digest of all parameters and fitted arrays: equal if and only if the steps are.

    ``domain_`` does not count: what an integrator is good for does not change its steps.

    Raises
    ------
    TypeError
        If a parameter cannot be encoded.
    """
    arrays = {}
    tree = _steps_only(encode(estimator, arrays))
    digest = hashlib.sha256(json.dumps(tree, sort_keys=True).encode())
    for key in sorted(arrays):
        array = np.ascontiguousarray(arrays[key])
        digest.update(f"{key}{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()


def _steps_only(tree):
    if isinstance(tree, dict):
        return {k: _steps_only(v) for k, v in tree.items() if k != "domain_"}
    return [_steps_only(v) for v in tree] if isinstance(tree, list) else tree


@contextlib.contextmanager
def replacing(path):
    """Yield a temporary path that becomes ``path`` only if the block succeeds."""
    path = os.fspath(path)
    folder = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".dlintegrate-", suffix=".part")
    os.close(handle)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def save(estimator, path, description=""):
    """Write a system, integrator, corrector or potential, fitted or not, to one file.

    Parameters
    ----------
    estimator : estimator
        Weights are stored as arrays, so the file does not depend on a device.
    path : str or path-like
        By convention ``*.safetensors``. Replaced in one piece, never half written.
    description : str
        Kept in the file for :func:`description_of`: what it was made from, for instance.

    Raises
    ------
    TypeError
        If a parameter is neither plain data nor an estimator.
    OSError
        If the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    arrays = {}
    header = {"format": _FORMAT, "version": __version__, "object": encode(estimator, arrays)}
    header |= {"description": description} if description else {}
    tensors = {k: np.asarray(v, order="C") for k, v in arrays.items()}
    metadata = {"dlintegrate": json.dumps(header)}
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
        except SafetensorError as error:  # what the library makes of a full disk
            raise OSError(f"cannot write {os.fspath(path)} ({error}); free some space") from error


def load(path, classes=()):
    """Read what :func:`save` wrote. Nothing in the file is executed.

    Parameters
    ----------
    path : str or path-like
    classes : sequence of classes, optional
        Classes of your own that the file may name.

    Returns
    -------
    estimator

    Raises
    ------
    ValueError
        If the file is damaged, not ours, of another format, or names an unknown class or
        parameter.
    OSError
        If it cannot be read.

    Warns
    -----
    UserWarning
        If another version of dlintegrate wrote it.
    """
    known = {**known_classes(), **{cls.__name__: cls for cls in classes}}
    header, arrays = _read(path)
    warn_version(header["version"])
    try:
        return decode(header["object"], arrays, known)
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{_origin(path, header)}: {__version__} cannot make what it holds "
            f"({type(error).__name__}: {error}); read it with the version that wrote it"
        ) from error


def description_of(path):
    """The ``description`` that :func:`save` was given.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    str
        Empty if there was none.

    Raises
    ------
    ValueError
        If the file is damaged, not ours, or of another format.
    OSError
        If it cannot be read.
    """
    return _read(path)[0].get("description", "")


def _read(path):
    """Header and arrays of a file, or one error that names it."""
    from safetensors import SafetensorError, safe_open

    with open(path, "rb"):
        pass  # a missing file is an OSError that names it
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            header = json.loads(file.metadata()["dlintegrate"])
            arrays = {key: file.get_tensor(key) for key in file.keys()}
        _ = header["object"], header["version"], header["format"]
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{os.fspath(path)} is not a complete dlintegrate file ({error}); write it again"
        ) from None
    if header["format"] != _FORMAT:
        raise ValueError(
            f"{_origin(path, header)} in format {header['format']!r}: {__version__} reads format "
            f"{_FORMAT}; read it with the version that wrote it"
        )
    return header, arrays


def _origin(path, header):
    return f"{os.fspath(path)} was written by dlintegrate {header['version']}"


def warn_version(version):
    """Warn if ``version`` is not the installed one."""
    if version != __version__:
        warnings.warn(
            f"written by dlintegrate {version}, read by {__version__}; "
            "check the one-step error before you rely on it",
            UserWarning,
            stacklevel=3,
        )


class VersionedState:
    """Pickle support: the state carries the version, another version warns."""

    def __getstate__(self):
        return {**super().__getstate__(), "_dlintegrate_version": __version__}

    def __setstate__(self, state):
        state = dict(state)
        warn_version(state.pop("_dlintegrate_version", "unknown"))
        super().__setstate__(state)
