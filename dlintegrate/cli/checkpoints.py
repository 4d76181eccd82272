"""Fits that survive an interruption, for every corrector that trains a network."""

import contextlib
import glob
import os

from sklearn.base import clone

#: Parameters that change neither the fit nor its result.
_HOW = ("n_jobs", "device")


def fit_with_checkpoints(estimator, data, path, *, resume, progress):
    """Fit, with a checkpoint at ``path`` that is removed when the fit is complete.

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
    where = _checkpoint_parameters(corrector)
    if where is None:
        estimator.fit(*data, progress=progress)
        return
    trained = clone(corrector)
    if where == "training__":
        trained.set_params(training=_training(corrector))
    trained.set_params(**{f"{where}checkpoint": path, f"{where}resume": resume})
    try:
        estimator.set_params(corrector=trained).fit(*data, progress=progress)
    finally:
        estimator.set_params(corrector=corrector)
    estimator.corrector_.set_params(**corrector.get_params(deep=False))
    for name in (path, *glob.glob(f"{glob.escape(path)}.*")):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def same_parameters(fitted, estimator):
    """Whether a fitted integrator is what fitting ``estimator`` would give."""
    from ..persistence import encode

    plain = [clone(x) for x in (fitted, estimator)]
    for x in plain:
        x.set_params(**{name: None for name in _HOW if name in x.get_params(deep=False)})
    return encode(plain[0], {}) == encode(plain[1], {})


def _checkpoint_parameters(corrector):
    """Prefix of ``checkpoint`` among the parameters; None if there is none, or one is set."""
    parameters = corrector.get_params(deep=False)
    if "training" in parameters:
        return "training__" if getattr(_training(corrector), "checkpoint", "") is None else None
    return "" if parameters.get("checkpoint", "none") is None else None


def _training(corrector):
    """The training that a corrector holds, or the one that it would make itself."""
    from .. import FieldTraining, ForceCorrector, RollOut
    from ..correctors._fitted_module import FittedModule

    if corrector.training is not None:
        return clone(corrector.training)
    if isinstance(corrector, ForceCorrector):
        return RollOut()
    return FieldTraining() if isinstance(corrector, FittedModule) else None
