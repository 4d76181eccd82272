"""Solvers of the electrons that couple to classical spins."""

import itertools
import numbers
from abc import ABC, abstractmethod

import numpy as np
from sklearn.base import BaseEstimator


class ElectronSolver(BaseEstimator, ABC):
    """Finds the on-site density matrix and the grand potential of non-interacting electrons."""

    @abstractmethod
    def solve(self, model, spins, sites=None):
        """Density matrices of given sites, and grand potentials.

        Parameters
        ----------
        model : TriangularSDModel
        spins : ndarray, shape (n_samples, *sides, 3)
        sites : ndarray of int, optional
            Flat numbers of the sites that are wanted; all by default.

        Returns
        -------
        blocks : ndarray, shape (n_samples, n_sites, 4)
            ``ρ_↑↑``, ``ρ_↓↓`` and the real and imaginary parts of ``ρ_↑↓``, with
            ``ρ_αβ = <c†_β c_α>``.
        grand_potential : ndarray, shape (n_samples,)
            NaN if only some sites were wanted and the solver needs all.
        """


class ExactDiagonalization(ElectronSolver):
    """All eigenstates of the electrons.

    The work grows with the third power of the number of sites: a second for 24 × 24, a
    minute for 48 × 48.

    Parameters
    ----------
    n_twists : int, default 1
        Twisted boundary conditions along each side: a grid of ``n_twists²`` of them is
        averaged over, which removes most of the effects of finite size. 1 is the
        periodic lattice itself.

    Examples
    --------
    >>> import numpy as np
    >>> from dlintegrate import ExactDiagonalization, TriangularSDModel
    >>> model = TriangularSDModel(shape=(12, 12), solver=ExactDiagonalization())
    >>> up = np.zeros((1, 12, 12, 3))
    >>> up[..., 2] = 1.0
    >>> bool(np.allclose(model.local_field(up)[..., :2], 0.0, atol=1e-10))
    True
    """

    def __init__(self, n_twists=1):
        self.n_twists = n_twists

    def solve(self, model, spins, sites=None):
        """See :meth:`ElectronSolver.solve`."""
        import torch

        n_twists = _count("n_twists", self.n_twists, 1)
        n_sites = spins[0, ..., 0].size
        wanted = np.arange(n_sites) if sites is None else np.asarray(sites)
        blocks = np.zeros((len(spins), len(wanted), 4))
        omega = np.zeros(len(spins))
        phases = 2 * np.pi * np.arange(n_twists) / n_twists
        for sample, state in enumerate(spins):
            for twist in np.stack(np.meshgrid(phases, phases, indexing="ij"), -1).reshape(-1, 2):
                matrix = torch.from_numpy(model.hamiltonian(state, twist))
                values, vectors = (x.numpy() for x in torch.linalg.eigh(matrix))
                part, free = _fill(values, vectors, wanted, model)
                blocks[sample] += part
                omega[sample] += free
        return blocks / n_twists**2, omega / n_twists**2


def _fill(values, vectors, wanted, model):
    """Occupy the eigenstates."""
    x = (values - model.mu) / model.temperature
    filling = 0.5 * (1.0 - np.tanh(0.5 * x))
    up, down = vectors[2 * wanted], vectors[2 * wanted + 1]
    mixed = np.einsum("in,in,n->i", up, down.conj(), filling, optimize=True)
    block = [(np.abs(up) ** 2) @ filling, (np.abs(down) ** 2) @ filling, mixed.real, mixed.imag]
    return np.stack(block, axis=-1), -model.temperature * np.logaddexp(0.0, -x).sum()


class KernelPolynomial(ElectronSolver):
    """Chebyshev series of the Fermi function, with one probe for each site and spin.

    Deterministic: the only errors are the truncation of the series, which falls
    exponentially once the number of moments exceeds about 1.4 times band width over
    temperature, and single precision. The work grows with the square of the number of
    sites, and labels of some sites cost in proportion (see ``sites``).

    Parameters
    ----------
    n_moments : int, optional
        Even. By default as many as :meth:`suggest_moments` gives for ``tol``.
    kernel : {"none", "jackson"}, default "none"
        The Jackson kernel damps the oscillations of a truncated series at a step; at
        the temperatures used here there is no step, and it only smears.
    tol : float, default 1e-5
        Error of the Fermi function that the default number of moments allows.
    n_twists : {1, 2}, default 1
        Periodic, or the average over periodic and antiperiodic boundaries of both sides
        (see :class:`ExactDiagonalization`).
    """

    def __init__(self, n_moments=None, kernel="none", tol=1e-5, n_twists=1):
        self.n_moments = n_moments
        self.kernel = kernel
        self.tol = tol
        self.n_twists = n_twists

    def moments_for(self, model):
        """The even number of moments in use."""
        if self.n_moments is None:
            return self.suggest_moments(model, self.tol)
        n = _count("n_moments", self.n_moments, 4)
        if n % 2:
            raise ValueError(f"n_moments={n}: expected an even number")
        return n

    @staticmethod
    def suggest_moments(model, tol):
        """Fewest moments whose truncated Fermi function is within ``tol`` everywhere.

        Parameters
        ----------
        model : TriangularSDModel
        tol : float
            Between 1e-10 and 1.

        Returns
        -------
        int
        """
        if not isinstance(tol, numbers.Real) or not 1e-10 <= tol < 1:
            raise ValueError(f"tol={tol!r}: expected a number between 1e-10 and 1")
        most = 16
        while True:
            tail = np.abs(_series(model, most)[0])
            error = tail[::-1].cumsum()[::-1]
            if error[most // 2] < tol:
                break
            most *= 2
        n = int(np.argmax(error < tol))
        return max(4, n + n % 2)

    def coefficients(self, model):
        """Chebyshev series of the Fermi function and of ``-T ln(1 + e^{-(ε-μ)/T})``."""
        if self.kernel not in ("none", "jackson"):
            raise ValueError(f"kernel={self.kernel!r}: expected 'none' or 'jackson'")
        n = self.moments_for(model)
        series = _series(model, n)
        if self.kernel == "jackson":
            m, last = np.arange(n), np.pi / (n + 1)
            series = series * (
                ((n - m + 1) * np.cos(m * last) + np.sin(m * last) / np.tan(last)) / (n + 1)
            )
        return series

    def solve(self, model, spins, sites=None):
        """See :meth:`ElectronSolver.solve`."""
        from .._kernels.chebyshev import onsite_blocks

        centre, half_width = model.spectrum
        n_sites = spins[0, ..., 0].size
        wanted = np.arange(n_sites) if sites is None else np.asarray(sites, dtype=np.int64)
        neighbours, hopping = model.neighbours()
        series = self.coefficients(model)
        boundaries = self._boundaries(model)
        blocks = np.zeros((len(spins), len(wanted), 4))
        omega = np.zeros(len(spins)) if sites is None else np.full(len(spins), np.nan)
        for sample, state in enumerate(spins):
            onsite = np.empty((n_sites, 4), np.float32)
            onsite[:, 0] = -centre / half_width
            onsite[:, 1:] = -model.exchange / half_width * state.reshape(-1, 3)
            out = np.empty((2, len(wanted), 4))
            for sign in boundaries:
                elements = np.float32(-sign * hopping / half_width)
                onsite_blocks(onsite, neighbours, elements, wanted, series, out)
                blocks[sample] += out[0] / len(boundaries)
                omega[sample] += out[1, :, :2].sum() / len(boundaries)
        return blocks, omega

    def _boundaries(self, model):
        """Signs of the hops of each site, for periodic and antiperiodic boundaries."""
        n_twists = _count("n_twists", self.n_twists, 1)
        if n_twists > 2:
            raise ValueError(
                f"n_twists={n_twists}: KernelPolynomial has real hops, so 1 or 2; for more, use "
                "ExactDiagonalization"
            )
        wraps = model.wraps()
        kinds = itertools.product(range(n_twists), repeat=2)
        return [np.where((wraps @ kind) % 2, -1.0, 1.0) for kind in kinds]


def _series(model, n_moments):
    """Chebyshev coefficients of the two functions, shape (2, n_moments)."""
    centre, half_width = model.spectrum
    n_points = 4 * n_moments
    angle = np.pi * (np.arange(n_points) + 0.5) / n_points
    x = (half_width * np.cos(angle) + centre - model.mu) / model.temperature
    values = np.stack([0.5 * (1 - np.tanh(0.5 * x)), -model.temperature * np.logaddexp(0.0, -x)])
    cosines = np.cos(np.outer(angle, np.arange(n_moments)))
    series = 2.0 / n_points * values @ cosines
    series[:, 0] *= 0.5
    return series


def _count(name, value, least):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}={value!r}: expected an int of at least {least}")
    return int(value)
