"""The linear part of a potential by ridge regression on energies, forces and magnetic forces."""

import numpy as np

from .._kernels.neighbours import pairs_within
from .._kernels.spin_descriptors import count_invariants
from .._kernels.spin_design import design
from ._tensors import numbers_of

ALPHAS = 10.0 ** np.arange(-9, 1.1, 0.5)
#: Radial functions of higher degree are believed to matter less: T_n counts 1 / (1 + (n/n0)²).
_SMOOTH = 4.0
_FOLDS = 5
#: Without enough frames to choose it.
_ALPHA = 1e-6
#: Features smaller than this share of their kin are not scaled up: what frames hardly vary, such
#: as the length of the spins, must not get a coefficient that makes much of a small change.
_FAINT = 1e-3


class LinearFit:
    """Least squares for the coefficients of pair forms, invariants and the shift of each species.

    Every feature is scaled to the same weight, so one number says how much less than the data
    ask for the coefficients may be. It is chosen by cross-validation over blocks of frames.

    Parameters
    ----------
    channels : ndarray, shape (n_species, n_species, n_basis, n_channels)
    n_forms, lmax : int
    spin_orbit : bool
    cutoff : float
    species : list of str
    inverse_moments : ndarray, shape (n_species,)
    """

    def __init__(self, channels, n_forms, lmax, spin_orbit, cutoff, species, inverse_moments):
        self.channels, self.n_forms, self.lmax = channels, n_forms, lmax
        self.spin_orbit, self.cutoff, self.species = spin_orbit, cutoff, species
        self.inverse_moments = inverse_moments
        self.rest = (inverse_moments > 0).astype(float)
        n_species, _, n_basis, n_channels = channels.shape
        self.n_invariants = count_invariants(n_channels, lmax, spin_orbit)
        self.n_pair = n_species**2 * n_forms * n_basis
        self.n_features = self.n_pair + n_species * self.n_invariants

    def fit(self, parts, weights, alpha=None):
        """Solve for the coefficients.

        Parameters
        ----------
        parts : list of xarray.Dataset
            With energies from which the mean of each species is taken already.
        weights : dict of str to float
            What the mean square error of each label counts: "energy" (per atom), "force",
            "magnetic_force", "virial" (per atom).
        alpha : float, optional
            Strength of the ridge; chosen where not given.

        Returns
        -------
        self
            With ``forms`` (n_species², n_basis, n_forms), ``linear``, ``mean`` and ``spread``
            (n_species, n_invariants), ``shift`` (n_species,), ``alpha``.
        """
        products = self._products(parts, weights)
        gram, moments, _ = (sum(x) for x in zip(*products, strict=True))
        scale = self._prior() * self._sizes(np.sqrt(np.diag(gram)))
        self.alpha = _chosen(products, scale) if alpha is None else float(alpha)
        self._unpack(_Ridge(gram, moments, scale).solve(self.alpha))
        return self

    def _sizes(self, norms):
        """Norms of the columns of the design matrix, faint ones raised towards their kin."""
        n_species, _, n_basis, _ = self.channels.shape
        pair, rest, shift = np.split(norms, [self.n_pair, self.n_features])
        pair = pair.reshape(n_species**2, self.n_forms, n_basis)
        rest = rest.reshape(n_species, self.n_invariants)
        pair = np.maximum(pair, _FAINT * pair.max(axis=1, keepdims=True))
        rest = np.maximum(rest, _FAINT * rest.max(axis=1, keepdims=True))
        return np.concatenate([pair.ravel(), rest.ravel(), shift])

    def _prior(self):
        """How strongly each feature is held back, relative to the others."""
        n_species, _, n_basis, _ = self.channels.shape
        smooth = 1.0 + (np.arange(n_basis) / _SMOOTH) ** 2
        pair = np.tile(smooth, n_species**2 * self.n_forms)
        rest = np.ones(n_species * self.n_invariants)
        return np.concatenate([pair, rest, np.full(n_species, 1e-3)])

    def _products(self, parts, weights):
        """(XᵀX, Xᵀy, yᵀy) of each fold, and statistics of the invariants."""
        counts = _label_counts(parts)
        n_frames = sum(part.sizes["frame"] for part in parts)
        n_folds = min(_FOLDS, n_frames)
        n_all = self.n_features + len(self.species)
        folds = [[np.zeros((n_all, n_all)), np.zeros(n_all), 0.0] for _ in range(n_folds)]
        sums = np.zeros((3, len(self.species), self.n_invariants))
        number = 0
        for part in parts:
            kinds = numbers_of(part.species.values, self.species)
            arrays = {name: part[name].values for name in part.data_vars}
            for f in range(part.sizes["frame"]):
                frame = {name: array[f] for name, array in arrays.items()}
                rows, labels, per_atom = self._rows(frame, kinds, weights, counts)
                fold = folds[number * n_folds // n_frames]
                fold[0] += rows.T @ rows
                fold[1] += rows.T @ labels
                fold[2] += labels @ labels
                number += 1
                for s in range(len(self.species)):
                    x = per_atom[kinds == s]
                    sums[:, s] += np.stack([0 * x.sum(0) + len(x), x.sum(0), (x * x).sum(0)])
        self.mean = sums[1] / np.maximum(sums[0], 1)
        variance = sums[2] / np.maximum(sums[0], 1) - self.mean**2
        spread = np.sqrt(np.maximum(variance, 0.0))
        # an invariant may be constant in all frames, as |S| is, and have a gradient all the same
        size = np.abs(self.mean)
        spread = np.where(spread > 1e-6 * size, spread, size)
        self.spread = np.where(spread > 1e-12, spread, 1.0)
        return folds

    def _rows(self, frame, kinds, weights, counts):
        """Weighted rows of the design matrix of one frame, its labels, invariants of its atoms."""
        strained = "virial" in frame and weights["virial"] > 0
        energy, by_position, by_spin, by_strain, per_atom = self.features(frame, kinds, strained)
        n = len(kinds)
        zeros = np.zeros((max(9, n * 3), len(self.species)))
        rows, labels = [], []

        def add(name, block, values, scale=1.0):
            if name in frame and weights[name] > 0:
                factor = scale * np.sqrt(weights[name] / counts[name])
                rows.append(factor * block)
                labels.append(factor * np.atleast_1d(values).ravel())

        shift = np.bincount(kinds, minlength=len(self.species))
        add("energy", np.concatenate([energy, shift])[None], frame.get("energy"), 1 / n)
        add("force", _row_block(-by_position, zeros), frame.get("force"))
        magnetic = self.inverse_moments[kinds] > 0
        if magnetic.any() and "magnetic_force" in frame:
            block = -by_spin[:, magnetic] * self.inverse_moments[kinds[magnetic], None]
            add("magnetic_force", _row_block(block, zeros), frame["magnetic_force"][magnetic])
        if strained:
            add("virial", _row_block(-by_strain, zeros), frame["virial"], 1 / n)
        return np.concatenate(rows), np.concatenate(labels), per_atom

    def features(self, frame, kinds, strained=False):
        """Features of one frame and their gradients; see the kernel ``design``."""
        n = len(kinds)
        pairs = pairs_within(frame["position"][None], frame["cell"], self.cutoff)
        sigma = frame["spin"] * self.inverse_moments[kinds, None]
        energy = np.empty(self.n_features)
        by_position, by_spin = np.empty((2, self.n_features, n, 3))
        by_strain = np.empty((self.n_features if strained else 0, 3, 3))
        per_atom = np.empty((n, self.n_invariants))
        design(
            frame["position"], sigma, kinds, self.rest, pairs.second, pairs.offset, pairs.starts,
            self.cutoff, self.channels, self.n_forms, self.lmax, self.spin_orbit, per_atom,
            energy, by_position, by_spin, by_strain,
        )  # fmt: skip
        return energy, by_position, by_spin, by_strain, per_atom

    def _unpack(self, solution):
        n_species, _, n_basis, _ = self.channels.shape
        pair, rest, shift = np.split(solution, [self.n_pair, self.n_features])
        shape = (n_species**2, self.n_forms, n_basis)
        self.forms = pair.reshape(shape).transpose(0, 2, 1)
        raw = rest.reshape(n_species, self.n_invariants)
        self.linear = raw * self.spread
        self.shift = shift + (raw * self.mean).sum(1)


def _row_block(gradient, zeros):
    """A gradient (n_features, n, 3) as rows, with empty columns for the shifts."""
    flat = gradient.reshape(len(gradient), -1).T
    return np.concatenate([flat, zeros[: len(flat)]], axis=1)


def _label_counts(parts):
    """Numbers of labels of each kind: what makes sums into means."""
    counts = dict.fromkeys(("energy", "force", "magnetic_force", "virial"), 0)
    for part in parts:
        n_frames, n_atoms = part.sizes["frame"], part.sizes["atom"]
        counts["energy"] += n_frames
        counts["force"] += 3 * n_frames * n_atoms
        magnetic = (part.spin.values != 0).any(axis=(0, 2)).sum()
        counts["magnetic_force"] += 3 * n_frames * max(1, int(magnetic))
        counts["virial"] += 9 * n_frames
    return counts


class _Ridge:
    """Ridge regression for many strengths, from products of the design matrix."""

    def __init__(self, gram, moments, scale):
        norms = np.sqrt(np.diag(gram))
        self.used = norms > 1e-10 * norms.max(initial=1e-300)
        self.scale = scale[self.used]
        scaled = gram[np.ix_(self.used, self.used)] / self.scale[:, None] / self.scale
        self.values, self.vectors = np.linalg.eigh(scaled)
        self.projected = self.vectors.T @ (moments[self.used] / self.scale)

    def solve(self, alpha):
        solution = np.zeros(len(self.used))
        values = np.maximum(self.values, 0.0)
        solution[self.used] = self.vectors @ (self.projected / (values + alpha)) / self.scale
        return solution


def _chosen(folds, scale):
    """The strength with the least error over folds left out."""
    if len(folds) < 2:
        return _ALPHA
    total = [sum(x) for x in zip(*folds, strict=True)]
    errors = np.zeros(len(ALPHAS))
    for gram, moments, square in folds:
        ridge = _Ridge(total[0] - gram, total[1] - moments, scale)
        for number, alpha in enumerate(ALPHAS):
            c = ridge.solve(alpha)
            errors[number] += c @ gram @ c - 2 * c @ moments + square
    return float(ALPHAS[errors.argmin()])
