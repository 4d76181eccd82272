"""Pretrained integrators: one safetensors file each, and a card of how it was made."""

import json
from importlib.resources import as_file, files

from ..persistence import load

_WEIGHTS = files(__package__) / "weights"


def list_pretrained():
    """Names of the integrators that come with the package.

    Returns
    -------
    list of str

    Examples
    --------
    >>> from dlintegrate import list_pretrained
    >>> "park-unet-L4" in list_pretrained()
    True
    """
    names = (entry.name for entry in _WEIGHTS.iterdir())
    suffix = ".safetensors"
    return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix))


def load_pretrained(name):
    """Return a fitted integrator, ready for ``step`` and ``simulate``.

    Parameters
    ----------
    name : str
        One of :func:`list_pretrained`.

    Returns
    -------
    CorrectedIntegrator
        Predicts on the CPU; nothing in the file is executed. States outside of the sizes,
        temperatures and densities of its card are met with a :class:`DomainWarning`.

    Raises
    ------
    ValueError
        If there is none of that name.

    See Also
    --------
    describe_pretrained : For which lattices, steps and temperatures it was trained.
    """
    with as_file(_entry(name, ".safetensors")) as path:
        integrator = load(path)
    integrator.domain_ = describe_pretrained(name).get("domain", {})
    return integrator


def describe_pretrained(name):
    """Return the card of a pretrained integrator.

    Parameters
    ----------
    name : str
        One of :func:`list_pretrained`.

    Returns
    -------
    dict
        System and step, training set, guarantees, errors on unseen samples, and the
        provenance: command, date, hardware, duration, versions, seed. ``domain`` has the ranges
        of sizes, temperatures and densities that it was trained or tested on (``domain_`` of the
        integrator), ``not_for`` says in words where it must not be used, and ``rated`` how errors
        and threshold times were measured there.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return json.loads(_entry(name, ".json").read_text(encoding="utf-8"))


def _entry(name, suffix):
    known = list_pretrained()
    if name not in known:
        raise ValueError(f"name={name!r}: expected one of {known}")
    return _WEIGHTS / f"{name}{suffix}"
