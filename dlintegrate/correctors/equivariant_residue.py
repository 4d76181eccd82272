"""A learned residue of steps in an exact field, which turns with the spins."""

import numpy as np

from ..states import perpendicular
from ._fitted_module import FittedModule
from .base import ResidueCorrector, one_step

#: Cosine of the largest angle, 60°, that a residue has to make up for.
_LEAST_COSINE = 0.5


class EquivariantResidue(FittedModule, ResidueCorrector):  # type: ignore[override]
    """Residue of a large step in the *exact* field, from the spins before and after it.

    Where :class:`EquivariantTorque` replaces an expensive field, this keeps it and makes the
    step larger: the base step tells how far the exact field turned each spin, and what it got
    wrong is a smooth function of that and of the spins around. The network is that of
    :class:`EquivariantTorque` with two vectors per site instead of one, the spin after the
    base step and its change; it gives two fields u and v, and the residue is
    ``S × u + v`` without the part along S. It turns with the spins and moves with the lattice
    by construction, and takes any size.

    It seldom pays. The residue depends on how the exact field changes along the step, which is
    as hard to learn as the field itself: on random spins next to nothing is gained, and
    :class:`RungeKutta4` with as many exact fields, or :class:`MultipleTimeStep`, do better
    (``benchmarks/results/residue.json``). Spin waves on a lattice narrower than twice the
    reach of the network are the exception; but what is learned there is that lattice, and it
    fails on a larger one. So fit it to states of the size and kind that it will meet, and
    take ``drop_longitudinal=True`` in the base: without it most of the error is that of a
    rotation about the field along the spin, which costs nothing to avoid.

    Labels are the states one base step later. On itinerant spins make them by
    ``CorrectedIntegrator(..., reference=RungeKutta4(model, dt / 4, damping))``; the
    default, the base at a hundredth of its step, is as accurate and costs far more.

    Parameters
    ----------
    n_vectors, n_scalars : int, default 8
        Channels.
    n_directed : int, default 2
        Channels of each of the orders 1 and 2; 0 for isotropic kernels only.
    depth : int, default 2
        Blocks.
    reach : int, default 2
        Of a block's kernels, in bonds.
    first_reach : int, default 4
        Of the first layer.
    training : FieldTraining, optional
        Its loss is that of the residues here; there is nothing to augment.
    precision : {"single", "double"}, default "single"
        Of predictions. Only double precision is exact enough for guarantees to rounding.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    scale_ : float
        Root mean square of the residue in the training set.
    change_ : float
        Root mean square of what the base step changes there. With initial weights both are theirs.
    history_ : dict of lists

    Examples
    --------
    >>> from dlintegrate import (CorrectedIntegrator, EquivariantResidue, FieldTraining,
    ...     RungeKutta4, SemiImplicitB, TriangularSDModel)
    >>> model = TriangularSDModel(shape=(12, 12))
    >>> base = SemiImplicitB(model, dt=4.0, damping=0.1, drop_longitudinal=True)
    >>> network = EquivariantResidue(depth=1, training=FieldTraining(epochs=2, batch_size=1))
    >>> reference = RungeKutta4(model, dt=2.0, damping=0.1)
    >>> step = CorrectedIntegrator(base, network, reference=reference)
    >>> spins = model.random_states(2, random_state=0)
    >>> step.fit(spins).step(spins).shape
    (2, 12, 12, 3)
    """

    _units = ("scale_", "change_")

    def __init__(
        self, n_vectors=8, n_scalars=8, n_directed=2, depth=2, reach=2, first_reach=4,
        training=None, precision="single",
    ):  # fmt: skip
        self.n_vectors = n_vectors
        self.n_scalars = n_scalars
        self.n_directed = n_directed
        self.depth = depth
        self.reach = reach
        self.first_reach = first_reach
        self.training = training
        self.precision = precision

    def guarantees(self, base):
        """The norm, and in double precision the symmetries of the base step."""
        kept = {"norm"}
        if self.precision == "double":
            kept |= {"rotation_equivariant", "translation_equivariant"} & base.guarantees
        return frozenset(kept)

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Learn residues; see :meth:`Corrector.fit`.

        Raises
        ------
        ValueError
            For parameters out of range, or a base step without any error.
        TypeError
            If the spins are not on a triangular lattice.
        """
        self.check(base)
        after = one_step(base, X)
        residue = _tangent(after, Y)
        scale, change = _rms(residue), _rms(after - X)
        if not scale > 1e-12:
            raise ValueError(
                f"base={base!r} makes no error on these samples: there is no residue to learn"
            )
        scale, change = self._measured(scale, change)
        tensors = {
            "spins": _channels(after),
            "changes": _channels((after - X) / change),
            "torques": _channels(residue / scale),
        }
        self._learn(tensors, set(), device, random_state, progress)
        self.scale_, self.change_ = scale, change
        return self

    def residue(self, system, before, after):
        """Predicted ``reference - after``, perpendicular to ``after`` (see ResidueCorrector)."""
        return self._predict(lambda *pair: self.residue_tensor(system, *pair), before, after)

    def residue_tensor(self, system, before, after):
        """Torch twin of :meth:`residue`: differentiable, on the tensors' device."""
        module, dtype = self._module(after.device)
        pair = (after, (after - before) / self.change_)
        residue = module(*(vectors.movedim(-1, 1).to(dtype) for vectors in pair))
        residue = (self.scale_ * residue).movedim(1, -1).to(after.dtype)
        return perpendicular(residue, after)

    def _check_parameters(self):
        super()._check_parameters()
        self._check_counts(n_vectors=1, n_scalars=1, n_directed=0, depth=0, reach=1, first_reach=1)

    def _build(self):
        from ._field_modules import ResidueNetwork

        return ResidueNetwork(
            self.n_vectors, self.n_scalars, self.n_directed, self.depth, self.reach,
            self.first_reach,
        )  # fmt: skip


def _tangent(after, labels):
    """The vector perpendicular to ``after`` that, added to it, points to ``labels``."""
    along = (labels * after).sum(-1, keepdims=True)
    return (labels - along * after) / np.maximum(along, _LEAST_COSINE)


def _rms(vectors):
    return float(np.sqrt((vectors**2).sum(-1).mean()))


def _channels(array):
    import torch

    return torch.as_tensor(np.moveaxis(array, -1, 1), dtype=torch.float32)
