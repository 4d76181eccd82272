"""Solvers of the electrons that couple to classical spins, and the exact one."""

import itertools
from abc import ABC, abstractmethod

import numpy as np
from joblib import Parallel, delayed

from .._checks import check_count
from .._documentation import Estimator

#: Bytes of the matrices that are diagonalised at a time on a GPU.
_PASS_BYTES = 1 << 31


class ElectronSolver(Estimator, ABC):
    """Finds the on-site density matrix and the grand potential of non-interacting electrons.

    Attributes
    ----------
    exact : bool
        Whether its fields have the symmetries of the model to rounding in double precision.
    """

    exact = False

    @abstractmethod
    def solve(self, model, spins, sites=None):
        """Density matrices of given sites, and grand potentials.

        Parameters
        ----------
        model : TriangularSDModel
        spins : ndarray, shape (n_samples, *sides, 3)
            One sample at least.
        sites : ndarray of int, shape (n_sites,), optional
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
        averaged over, which removes most of the effects of finite size (Gros 1996). 1 is the
        periodic lattice itself.
    n_jobs : int, optional
        Threads, as in joblib, over samples and twists; the result does not depend on
        it. A diagonalisation may use threads of its own, and gains little from them:
        one thread per core is faster (``torch.set_num_threads(1)``, or
        ``OMP_NUM_THREADS=1`` in the environment).
    device : {"cpu", "cuda", "auto"}, default "cpu"
        A GPU takes samples in batches of bounded memory.

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

    exact = True

    def __init__(self, n_twists=1, n_jobs=None, device="cpu"):
        self.n_twists = n_twists
        self.n_jobs = n_jobs
        self.device = device

    def solve(self, model, spins, sites=None):
        """See :meth:`ElectronSolver.solve`."""
        from .._device import resolve_device

        n_twists = check_count("n_twists", self.n_twists, 1)
        device = resolve_device(self.device)
        wanted = check_sites(sites, model.n_sites)
        phases = 2 * np.pi * np.arange(n_twists) / n_twists
        grid = list(itertools.product(phases, repeat=2))
        size = 1 if device.type == "cpu" else _batch_size(model.n_sites)
        batches = [spins[first : first + size] for first in range(0, len(spins), size)]
        parts = Parallel(n_jobs=self.n_jobs, prefer="threads")(
            delayed(_diagonalise)(model, batch, twist, wanted, device)
            for batch, twist in itertools.product(batches, grid)
        )
        return _average(parts, len(batches))


def _batch_size(n_sites):
    """Samples whose Hamiltonians, eigenvectors and work space fit into a pass."""
    return max(1, _PASS_BYTES // (4 * 16 * (2 * n_sites) ** 2))


def _average(parts, n_batches):
    """The mean over boundaries of ``(blocks, omega)``, which follow one another in a batch."""
    each = len(parts) // n_batches
    batches = [parts[first : first + each] for first in range(0, len(parts), each)]
    means = [[sum(some) / each for some in zip(*batch, strict=True)] for batch in batches]
    blocks, omega = zip(*means, strict=True)
    return np.concatenate(blocks), np.concatenate(omega)


def _diagonalise(model, spins, twist, wanted, device):
    """Blocks and grand potentials of a few samples, by all their eigenstates."""
    import torch

    values, vectors = torch.linalg.eigh(_hamiltonians(model, spins, twist, device))
    x = (values - model.mu) / model.temperature
    filling = 0.5 * (1.0 - torch.tanh(0.5 * x))
    rows = torch.as_tensor(wanted, device=device)
    up, down = vectors[:, 2 * rows], vectors[:, 2 * rows + 1]
    mixed = (up * down.conj() * filling[:, None]).sum(dim=-1)
    diagonal = [(part.abs() ** 2 @ filling[..., None])[..., 0] for part in (up, down)]
    blocks = torch.stack([*diagonal, mixed.real, mixed.imag], dim=-1)
    omega = -model.temperature * torch.nn.functional.softplus(-x, threshold=50).sum(dim=-1)
    return blocks.cpu().numpy(), omega.cpu().numpy()


def _hamiltonians(model, spins, twist, device):
    """Matrices as of :meth:`TriangularSDModel.hamiltonian`, (n_samples, 2 n_sites, 2 n_sites)."""
    import torch

    bare = torch.as_tensor(model.hamiltonian(np.zeros(spins.shape[1:]), twist), device=device)
    matrices = bare.repeat(len(spins), 1, 1)
    flat = torch.as_tensor(spins.reshape(len(spins), -1, 3), device=device)
    x, y, z = (model.exchange * flat).unbind(-1)
    blocks = matrices.view(len(spins), model.n_sites, 2, model.n_sites, 2).diagonal(0, 1, 3)
    blocks[:, 0, 0] -= z
    blocks[:, 1, 1] += z
    blocks[:, 0, 1] -= torch.complex(x, -y)
    blocks[:, 1, 0] -= torch.complex(x, y)
    return matrices


def check_sites(sites, n_sites):
    """The flat numbers of the sites that are wanted, checked."""
    if sites is None:
        return np.arange(n_sites)
    wanted = np.asarray(sites)
    valid = wanted.ndim == 1 and wanted.size > 0 and wanted.dtype.kind in "iu"
    if not valid or wanted.min() < 0 or wanted.max() >= n_sites:
        raise ValueError(
            f"sites={sites!r}: expected flat numbers of sites, 0 to {n_sites - 1}, one at least"
        )
    return wanted.astype(np.int64)
