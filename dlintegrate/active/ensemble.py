"""Potentials that differ by their seed alone: their mean predicts, their spread warns."""

import copy
import os

import joblib
import numpy as np
import xarray as xr
from sklearn.base import clone

from .._parallel import in_order

#: What the deviation of an ensemble is asked for.
QUANTITIES = ("force", "magnetic_force")
_DIMS = ("frame", "atom", "component")


class Ensemble:
    """Fitted potentials that are asked together.

    Parameters
    ----------
    members : list of Potential
    """

    def __init__(self, members):
        self.members = list(members)

    def answers(self, frames):
        """What each member says: name to array with the members along axis 0.

        Parameters
        ----------
        frames : xarray.Dataset

        Returns
        -------
        dict of str to ndarray
            ``energy``, ``force`` and ``magnetic_force``.
        """
        species = list(frames.species.values.astype(str))
        arrays = (frames.position.values, frames.cell.values, frames.spin.values)
        known = [member.compute(*arrays, species) for member in self.members]
        return {
            name: np.stack([getattr(answer, name) for answer in known]).astype(np.float64)
            for name in ("energy", *QUANTITIES)
        }

    def predict(self, frames):
        """Mean of the members, and how far they differ.

        Parameters
        ----------
        frames : xarray.Dataset

        Returns
        -------
        xarray.Dataset
            ``energy(frame)`` in eV, ``force`` in eV/Å and ``magnetic_force`` in eV/μB, the
            means; ``energy_deviation(frame)``, ``force_deviation(frame, atom)`` and
            ``magnetic_force_deviation(frame, atom)``: the root mean square distance of the
            members from it, zero where an atom has no spin.
        """
        return summarize(self.answers(frames), frames)

    def judge(self, frames):
        """Frames with the largest deviation over their atoms.

        Parameters
        ----------
        frames : xarray.Dataset

        Returns
        -------
        xarray.Dataset
            With ``force_deviation(frame)`` in eV/Å and ``magnetic_force_deviation(frame)``
            in eV/μB.
        """
        spread = self.predict(frames)
        largest = {f"{q}_deviation": spread[f"{q}_deviation"].max("atom") for q in QUANTITIES}
        return frames.assign(largest)


def summarize(answers, frames):
    """Mean and deviation of the answers of members; see :meth:`Ensemble.predict`."""
    result = {}
    for name, values in answers.items():
        mean = values.mean(axis=0)
        square = ((values - mean) ** 2).mean(axis=0)
        dims = ("frame",) if name == "energy" else _DIMS
        spread = np.sqrt(square if name == "energy" else square.sum(axis=-1))
        if name == "magnetic_force":
            spread = np.where(magnetic(frames), spread, 0.0)
        result[name] = (dims, mean)
        result[f"{name}_deviation"] = (dims[:2], spread)
    return xr.Dataset(result, coords={"species": frames.species})


def magnetic(frames):
    """Which atoms of which frames carry a spin, (frame, atom)."""
    return (frames.spin.values != 0).any(axis=-1)


def train_members(template, former, frames, seeds, retrain, n_jobs):
    """Fit one potential per seed, in parallel; yield (index, potential) as they are ready.

    Parameters
    ----------
    template : Potential
        Not modified.
    former : list of Potential or None
        Fitted ones to go on from.
    frames : dict of int to xarray.Dataset
        What each of them learns from.
    seeds : dict of int to int
        Of the members to fit.
    retrain : dict
        Parameters of the potential to set where a former one exists.
    n_jobs : int or None
    """
    tasks = (
        joblib.delayed(_train)(
            index, template, None if former is None else former[index], frames[index], seed, retrain
        )
        for index, seed in seeds.items()
    )
    yield from in_order(tasks, n_jobs)


def _train(index, template, former, frames, seed, retrain):
    if former is None:
        potential = clone(template)
    else:
        potential = copy.deepcopy(former)
        potential.set_params(warm_start=True, **copy.deepcopy(retrain))
    if "random_state" in potential.get_params(deep=False):
        potential.set_params(random_state=seed)
    shared = {  # a checkpoint that members shared would make them copies
        name: path
        for name, path in potential.get_params().items()
        if name.rpartition("__")[2] == "checkpoint" and path is not None
    }
    potential.set_params(**{name: f"{os.fspath(path)}.{seed}" for name, path in shared.items()})
    return index, potential.fit(frames).set_params(**shared)
