"""How wrong an ensemble is on labelled frames, and how far its deviation tells."""

import numpy as np

from .ensemble import QUANTITIES, magnetic, summarize


def rms_labels(frames):
    """Root mean square of a component of force (eV/Å) and magnetic force (eV/μB).

    Atoms without a spin do not count in the second.

    Parameters
    ----------
    frames : xarray.Dataset

    Returns
    -------
    dict of str to float
    """
    return {q: _rms(_of_atoms(frames[q].values, frames, q)) for q in QUANTITIES}


def rms_lengths(frames):
    """The same of the lengths of the vectors, as deviations are lengths: √3 times as large."""
    return {q: np.sqrt(3.0) * value for q, value in rms_labels(frames).items()}


def measure(ensemble, frames):
    """Errors and calibration of an ensemble on labelled frames that it was not trained on.

    Parameters
    ----------
    ensemble : Ensemble
    frames : xarray.Dataset

    Returns
    -------
    dict of str to float
        ``force_error`` (eV/Å, per component), ``magnetic_force_error`` (eV/μB) and
        ``energy_error`` (eV per atom) of a member, rms over members; ``..._error_of_mean``, of
        the mean of all; ``..._relative_error``, of a member, over the rms label;
        ``best_member``, the one whose larger relative error is smallest; and what
        :func:`calibrate` returns.
    """
    answers = ensemble.answers(frames)
    unit = rms_labels(frames)
    single = [
        _errors_of({name: values[k] for name, values in answers.items()}, frames)
        for k in range(len(ensemble.members))
    ]
    mean = _errors_of({name: values.mean(axis=0) for name, values in answers.items()}, frames)
    result = {}
    for name in (*QUANTITIES, "energy"):
        result[f"{name}_error"] = _rms(np.array([error[name] for error in single]))
        result[f"{name}_error_of_mean"] = mean[name]
        if name in unit:
            result[f"{name}_relative_error"] = _ratio(result[f"{name}_error"], unit[name])
    known = [q for q in QUANTITIES if unit[q] > 0]
    worst = [max([error[q] / unit[q] for q in known], default=0.0) for error in single]
    return {**result, "best_member": int(np.argmin(worst)), **_calibration(answers, frames)}


def calibrate(ensemble, frames):
    """Compare deviations with the true errors of the mean, atom by atom.

    Parameters
    ----------
    ensemble : Ensemble
    frames : xarray.Dataset
        Labelled; must not have been trained on.

    Returns
    -------
    dict of str to float
        For force and magnetic force: ``..._scale``, rms true error over rms deviation (multiply a
        deviation by it to get an expected error); ``..._rank_correlation``, Spearman's, of
        deviation and error; ``..._coverage``, the share of atoms whose error is at most twice
        the scaled deviation (0.993 if errors were Gaussian with that width). NaN where nothing
        deviates.
    """
    return _calibration(ensemble.answers(frames), frames)


def _calibration(answers, frames):
    prediction = summarize(answers, frames)
    result = {}
    for q in QUANTITIES:
        error = np.linalg.norm(prediction[q].values - frames[q].values, axis=-1)
        deviation = prediction[f"{q}_deviation"].values
        error, deviation = (_of_atoms(x, frames, q) for x in (error, deviation))
        scale = _ratio(_rms(error), _rms(deviation))
        known = np.isfinite(scale)
        result[f"{q}_scale"] = scale
        result[f"{q}_rank_correlation"] = rank_correlation(deviation, error)
        covered = (error <= 2 * scale * deviation).mean() if known else np.nan
        result[f"{q}_coverage"] = float(covered)
    return result


def rank_correlation(first, second):
    """Spearman's rank correlation; NaN if one of them is constant.

    Parameters
    ----------
    first, second : ndarray, shape (n,)

    Returns
    -------
    float
    """
    ranks = [_ranks(x) for x in (first, second)]
    if any(len(r) < 2 or r.std() == 0 for r in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _ranks(values):
    """Ranks, ties sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - 0.5 * (counts - 1))[inverse]


def _errors_of(answer, frames):
    """rms errors of one answer: per component, and of the energy per atom."""
    result = {q: _rms(_of_atoms(answer[q] - frames[q].values, frames, q)) for q in QUANTITIES}
    return {
        **result,
        "energy": _rms(answer["energy"] - frames.energy.values) / frames.sizes["atom"],
    }


def _of_atoms(values, frames, quantity):
    """Values of the atoms that count: all, or for magnetic forces those with a spin."""
    return values[magnetic(frames)] if quantity == "magnetic_force" else values.reshape(-1)


def _rms(values):
    return float(np.sqrt(np.mean(np.square(values)))) if np.size(values) else float("nan")


def _ratio(a, b):
    return a / b if b > 0 else float("nan")
