"""Fits that survive an interruption, for every corrector that trains a network."""

import contextlib
import glob
import os

from sklearn.base import BaseEstimator, clone

#: Parameters that change neither the fit nor its result.
_HOW = ("n_jobs", "device")


def fit_with_checkpoints(estimator, data, path, *, resume, progress):
    """Fit, with a checkpoint at ``path``, which stays until :func:`remove_checkpoints`.

    The fitted estimator has the parameters that it had before: its file does not depend
    on where a checkpoint once was.

    Parameters
    ----------
    estimator : CorrectedIntegrator
    data : tuple
        Arguments of its ``fit``.
    path : str
    resume : bool
        Continue from the checkpoint, if there is one.
    progress : bool
    """
    corrector = estimator.corrector
    held, learner = _learner(corrector)
    where = _checkpoint_parameters(learner)
    if where is None:
        estimator.fit(*data, progress=progress)
        return
    own = learner.get_params(deep=False)
    trained = clone(learner)
    if where == "training__":
        trained.set_params(training=_training(learner))
    trained.set_params(**{f"{where}checkpoint": path, f"{where}resume": resume})
    if held:
        trained = clone(corrector).set_params(**{held: trained})
    try:
        estimator.set_params(corrector=trained).fit(*data, progress=progress)
    finally:
        estimator.set_params(corrector=corrector)
    fitted = estimator.corrector_
    fitted.set_params(**corrector.get_params(deep=False))
    if held:
        getattr(fitted, f"{held}_").set_params(**own)


def kept_checkpoints(path):
    """What fits with this path left, of all stages."""
    return sorted(glob.glob(glob.escape(path)) + glob.glob(f"{glob.escape(path)}.*"))


def remove_checkpoints(path):
    """Remove :func:`kept_checkpoints`; once the result is safe."""
    for name in kept_checkpoints(path):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def same_parameters(fitted, estimator):
    """Whether a fitted integrator has the parameters of ``estimator``, and as fitted a base."""
    from ..persistence import fingerprint

    plain = [clone(x) for x in (fitted, estimator)]
    for x in plain:
        x.set_params(**{name: None for name in _HOW if name in x.get_params(deep=False)})
    same = fingerprint(plain[0]) == fingerprint(plain[1])
    return same and fingerprint(fitted.base) == fingerprint(estimator.base)


def _learner(corrector):
    """Name and value of the part of a corrector that trains a network, or "" and itself."""
    parts = corrector.get_params(deep=False)
    for name in ("network", "potential"):
        if isinstance(parts.get(name), BaseEstimator):
            return name, parts[name]
    return "", corrector


def _checkpoint_parameters(corrector):
    """Prefix of ``checkpoint`` among the parameters; None if there is none, or one is set."""
    parameters = corrector.get_params(deep=False)
    if "training" in parameters:
        return "training__" if getattr(_training(corrector), "checkpoint", "") is None else None
    return "" if parameters.get("checkpoint", "none") is None else None


def _training(corrector):
    """The training that a corrector holds, or the one that it would make itself."""
    own = getattr(corrector, "_training", None)
    training = corrector.training if own is None else own()
    return None if training is None else clone(training)
