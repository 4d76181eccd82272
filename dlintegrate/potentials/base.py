"""The interface of potentials of positions and spins."""

from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from ..frames.layout import check_frames, frames_from_arrays
from ..persistence import VersionedState
from ..systems.atoms import Evaluation
from ._tensors import numbers_of

#: Atoms whose energies are predicted at once: their neighbours are in memory.
_ATOMS_PER_PASS = 4096
_KINDS = ("energy", "force", "magnetic_force")
#: Spins shorter than this share of the longest are taken for noise on a species without moment.
_NO_MOMENT = 1e-2


class Potential(VersionedState, BaseEstimator, ABC):
    """An energy of positions and spins that is learned from frames.

    ``E(R, S)`` with forces ``-∂E/∂R`` (eV/Å) and magnetic forces ``-∂E/∂S`` (eV/μB, S in μB), which
    are gradients of one energy. Subclasses have the parameters ``energy_weight``, ``force_weight``,
    ``magnetic_weight``, ``virial_weight`` and ``random_state``.

    Attributes
    ----------
    species_ : list of str
        Symbols that the frames of the fit hold, sorted.
    moments_ : ndarray, shape (n_species,)
        Their mean moments in μB; 0 for species without: a spin there has no effect.
    scales_ : dict of str to float
        Spread of the labels of the fit: energy per atom (eV), force (eV/Å), magnetic force of
        the magnetic atoms (eV/μB), virial per atom (eV). What errors are compared with.
    history_ : dict of lists
    """

    @property
    def symmetries(self):
        """What the energy is invariant under, to rounding.

        Out of "translation", "rotation" (joint, of positions and spins), "inversion",
        "permutation" (of equal atoms), "time_reversal" (S → -S), "spin_rotation" (spins alone).

        Returns
        -------
        frozenset of str
        """
        return frozenset({"translation", "rotation", "permutation"})

    @abstractmethod
    def _fit(self, parts, validation):
        """Learn from checked frames; ``species_``, ``moments_`` and ``scales_`` are known."""

    @abstractmethod
    def _evaluate(self, positions, cell, spins, kinds, virial, moving):
        """Energy and gradients of checked arrays, as :meth:`compute`.

        With ``moving``, the next call is likely to have nearly the same positions.
        """

    def fit(self, frames, validation=None):
        """Learn from labelled frames.

        Parameters
        ----------
        frames : xarray.Dataset or list of xarray.Dataset
            At least ``energy`` or ``force``. Of a list, labels count that all Datasets have.
        validation : xarray.Dataset or list, optional
            Frames by which the best weights are chosen, where training is in steps.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For frames without labels or with NaN, or parameters out of range.
        """
        parts = check_frames(frames)
        self._check_parameters()
        if not any(all(name in part for part in parts) for name in ("energy", "force")):
            raise ValueError("frames have neither energy nor force; label them first")
        parts = _common_labels(parts)
        self.species_ = sorted({str(s) for part in parts for s in part.species.values})
        self.moments_ = _moments(parts, self.species_)
        self.scales_ = _scales(parts, self.species_)
        self._fit(parts, None if validation is None else check_frames(validation, "validation"))
        return self

    def compute(self, positions, cell, spins, species, *, virial=False):
        """Energy and gradients for dynamics.

        Parameters
        ----------
        positions : ndarray, shape (n_samples, n_atoms, 3)
            In Å.
        cell : ndarray, shape (3, 3) or (n_samples, 3, 3)
            Rows are the cell vectors, in Å.
        spins : ndarray, shape (n_samples, n_atoms, 3)
            In μB.
        species : sequence of str, length n_atoms
        virial : bool, default False
            Also the virial.

        Returns
        -------
        Evaluation

        Raises
        ------
        NotFittedError
        ValueError
            For a species that the fit has not seen, or wrong shapes.
        """
        self._check_fitted()
        positions = np.ascontiguousarray(positions, dtype=np.float64)
        spins = np.ascontiguousarray(spins, dtype=np.float64)
        if positions.ndim != 3 or positions.shape != (len(positions), len(species), 3):
            raise ValueError(
                f"positions have shape {positions.shape}; expected (n_samples, n_atoms, 3) with "
                f"the {len(species)} atoms of species"
            )
        if spins.shape != positions.shape:
            raise ValueError(
                f"spins have shape {spins.shape}; expected that of positions, {positions.shape}"
            )
        cell = np.ascontiguousarray(cell, dtype=np.float64)
        if cell.shape not in ((3, 3), (len(positions), 3, 3)):
            raise ValueError(f"cell has shape {cell.shape}; expected (3, 3), rows are vectors")
        kinds = numbers_of(species, self.species_)
        return self._evaluate(positions, cell, spins, kinds, virial, moving=True)

    def predict(self, frames):
        """Energies, forces and magnetic forces of frames.

        Parameters
        ----------
        frames : xarray.Dataset or list of xarray.Dataset

        Returns
        -------
        xarray.Dataset or list of xarray.Dataset
            The frames with the labels of this potential, virials too.
        """
        self._check_fitted()
        labelled = [self._predicted(part) for part in check_frames(frames)]
        return labelled if isinstance(frames, list | tuple) else labelled[0]

    def _predicted(self, part):
        arrays = [np.ascontiguousarray(part[v].values) for v in ("position", "cell", "spin")]
        kinds = numbers_of(part.species.values, self.species_)
        step = max(1, _ATOMS_PER_PASS // len(kinds))
        passes = [
            self._evaluate(*(a[start : start + step] for a in arrays), kinds, True, moving=False)
            for start in range(0, part.sizes["frame"], step)
        ]
        known = Evaluation(*(np.concatenate(x) for x in zip(*passes, strict=True)))
        position, cell, spin = arrays
        return frames_from_arrays(
            position, cell, part.species.values, spins=spin, **known._asdict()
        )

    def errors(self, frames):
        """Root mean square errors against the labels of frames.

        Parameters
        ----------
        frames : xarray.Dataset or list of xarray.Dataset

        Returns
        -------
        dict of str to float
            ``energy`` (eV per atom), ``force`` (eV/Å, a component), ``magnetic_force`` (eV/μB, a
            component, of magnetic atoms), its parts ``magnetic_force_perpendicular`` and
            ``magnetic_force_longitudinal`` to the spin, whose squares add up to its square, and
            ``virial`` (eV per atom, a component). Only labels that the frames have.
        """
        collected = {}
        for part in check_frames(frames):
            known = self._predicted(part)
            magnetic = self._magnetic(part)
            for name in part.data_vars:
                if name in (*_KINDS, "virial"):
                    off = known[name].values - part[name].values
                    _collect(collected, name, off, part, magnetic)
        return {name: _rms(parts) for name, parts in collected.items()}

    def score(self, frames, y=None):
        """Negative weighted mean of the squared errors, each over the spread of its label.

        0 is perfect; -1 is what predicting the mean of the frames of the fit gives.

        Parameters
        ----------
        frames : xarray.Dataset or list of xarray.Dataset
            Labels that those of the fit had not are not looked at.
        y : None
            Not used.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If the frames have none of the labels of the fit.
        """
        errors, weights = self.errors(frames), self._weights()
        learned = [name for name in weights if name in self.scales_ and weights[name] > 0]
        used = [name for name in learned if name in errors]
        if not used:
            raise ValueError(
                f"frames have the labels {[n for n in weights if n in errors]}, and the potential "
                f"was fitted to {learned}; give frames with one of these"
            )
        relative = {name: (errors[name] / self.scales_[name]) ** 2 for name in used}
        total = sum(weights[name] for name in used)
        return -float(sum(weights[name] * relative[name] for name in used) / total)

    def _weights(self):
        """What each relative squared error counts in score and loss."""
        return {
            "energy": self.energy_weight, "force": self.force_weight,
            "magnetic_force": self.magnetic_weight, "virial": self.virial_weight,
        }  # fmt: skip

    def _magnetic(self, part):
        """Which atoms carry a moment, shape (n_atoms,)."""
        return self.moments_[numbers_of(part.species.values, self.species_)] > 0

    def _training(self):
        """Of potentials with that parameter."""
        from .training import PotentialTraining

        return PotentialTraining() if self.training is None else self.training

    def _check_parameters(self):
        """Raise ValueError for parameters that are out of range."""
        for name in ("energy_weight", "force_weight", "magnetic_weight", "virial_weight"):
            value = getattr(self, name)
            if isinstance(value, bool) or not np.isscalar(value) or not 0 <= value < np.inf:
                raise ValueError(f"{name}={value!r}: expected a number of at least 0")
        if self.precision not in ("single", "double"):
            raise ValueError(f"precision={self.precision!r}: expected 'single' or 'double'")
        if not 0 < self.cutoff < np.inf:
            raise ValueError(f"cutoff={self.cutoff!r}: expected a positive distance in Å")

    def _check_fitted(self):
        if not hasattr(self, "weights_"):
            raise NotFittedError(f"this {type(self).__name__} is not fitted; call fit first")

    def __getstate__(self):
        return {k: v for k, v in super().__getstate__().items() if k != "_cache"}

    def __sklearn_is_fitted__(self):
        return hasattr(self, "weights_")


def lost(known, positions, spins):
    """Mark samples as NaN whose states are: they have no neighbours, and no energy either."""
    finite = np.isfinite(positions).all((1, 2)) & np.isfinite(spins).all((1, 2))
    if not finite.all():
        for array in known:
            if array is not None:
                array[~finite] = np.nan
    return Evaluation(*known)


def _common_labels(parts):
    common = set.intersection(*(set(part.data_vars) for part in parts))
    return [part[[name for name in part.data_vars if name in common]] for part in parts]


def _moments(parts, species):
    """Root mean square moment of each species; 0 for those without one."""
    square, count = np.zeros((2, len(species)))
    for part in parts:
        for number, symbol in enumerate(species):
            own = part.spin.values[:, part.species.values == symbol]
            square[number] += (own**2).sum()
            count[number] += own.size / 3
    moments = np.sqrt(square / count)
    return np.where(moments > _NO_MOMENT * moments.max(initial=0.0), moments, 0.0)


def composition_shift(parts, species):
    """Energy of each species by least squares, and the rest of the energies, per atom."""
    counts = [[(p.species.values == s).sum() for s in species] for p in parts]
    counts = np.repeat(counts, [p.sizes["frame"] for p in parts], axis=0).astype(float)
    energy = np.concatenate([p.energy.values for p in parts])
    n_atoms = counts.sum(1)
    shift = np.linalg.lstsq(counts / n_atoms[:, None], energy / n_atoms, rcond=1e-8)[0]
    return shift, (energy - counts @ shift) / n_atoms


def without_shift(part, species, shift):
    """Frames whose energies are without the share of each species."""
    if "energy" not in part:
        return part
    total = sum(
        s * (part.species.values == symbol).sum() for s, symbol in zip(shift, species, strict=True)
    )
    return part.assign(energy=part.energy - total)


def _scales(parts, species):
    """Spread of each label; 1 where it has none, so that one frame can be learned too."""
    scales = {}
    if "energy" in parts[0]:
        scales["energy"] = composition_shift(parts, species)[1].std()
    moments = _moments(parts, species)
    for name in ("force", "magnetic_force"):
        if name in parts[0]:
            chosen = [
                p[name].values[:, _has_moment(p, species, moments)] if name != "force"
                else p[name].values for p in parts
            ]  # fmt: skip
            scales[name] = np.sqrt(np.mean(np.concatenate([c.ravel() for c in chosen]) ** 2))
    if "virial" in parts[0]:
        per_atom = [(p.virial.values / p.sizes["atom"]).reshape(-1, 9) for p in parts]
        scales["virial"] = np.concatenate(per_atom).std(axis=0).max()
    small = {"energy": 1e-3, "virial": 1e-3}
    return {k: float(v) if v > 1e-12 else small.get(k, 1.0) for k, v in scales.items()}


def _has_moment(part, species, moments):
    return np.isin(part.species.values, [s for s, m in zip(species, moments, strict=True) if m > 0])


def _collect(collected, name, off, part, magnetic):
    """Append squared errors of one label of one Dataset."""
    if name in ("energy", "virial"):
        off = off / part.sizes["atom"]
    if name == "magnetic_force":
        off, spin = off[:, magnetic], part.spin.values[:, magnetic]
        length = np.linalg.norm(spin, axis=-1, keepdims=True)
        unit = spin / np.where(length > 0, length, 1.0)
        along = (off * unit).sum(-1, keepdims=True) * unit
        collected.setdefault(f"{name}_perpendicular", []).append((off - along) ** 2)
        collected.setdefault(f"{name}_longitudinal", []).append(along**2)
    collected.setdefault(name, []).append(off**2)


def _rms(parts):
    flat = np.concatenate([part.ravel() for part in parts])
    return float(np.sqrt(flat.mean())) if flat.size else 0.0
