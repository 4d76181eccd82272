"""Graph forces: pairs that learn from each other what the others do."""

import numbers

import numpy as np

from .._checks import check_count
from .._kernels import pair_messages
from ..integrators.verlet import PEFRL
from .force import ForceCorrector

#: Pairs beyond the cut-off may come within it: by free flight, and this much more, in σ.
_MARGIN = 0.3
_PAIRS_PER_PASS = 500_000


class GraphForce(ForceCorrector):
    """Message passing between pairs: the forces of many bodies over a large step.

    The step is that of Park 2022, Eqs 5.1-5.3, with both effective forces taken from
    the state at its beginning: ``f1`` from the exact double integral of the force over
    the step and ``f2`` from the rest of the impulse, estimated in rounds. In each round,
    every pair (i, k) passes a message: how the force between the two varies during the
    step (its first three Legendre moments). In the next round the pair takes the
    messages of all others into account, as the mean field in which it moves. So two
    rounds already contain three bodies, and each further round one more.

    A message is *mechanical*, the exact force integrated over the relative motion of
    the two in the mean field, or *learned*, a network of invariants of the pair's
    vectors. After the mechanical rounds one learned round corrects what is left.
    Forces are antisymmetric, so the total momentum is kept to rounding, and turn with the
    sample. The work is proportional to the number of pairs, for any number of particles.

    With ``width=0`` nothing is learned and ``fit`` costs nothing. That is the null model to
    beat: a fourth round lowers the error about as much as the network after three, for less.

    Parameters
    ----------
    n_rounds : int, default 3
        With 1 there is no mean field: a superposition of pairs, the null model.
    pair_substeps : int, default 4
        Substeps (of four force evaluations each) of a mechanical message; 0 makes
        all messages learned.
    n_moments : {1, 2, 3}, default 3
        Moments of the mean field that a pair takes into account: how its variation in
        time is resolved.
    width, depth : int, default 32 and 2
        Hidden layers of the learned messages; a width of 0 leaves them out.
    reach : float, default 2.5
        Distance, in σ, at which learned messages have faded to zero.
    training : RollOut, optional
    precision : {"double", "single"}, default "double"
        Of the networks when they predict; the rest is always in double precision.

    Attributes
    ----------
    weights_ : dict of str to ndarray
    history_ : dict of lists
    """

    def __init__(
        self, n_rounds=3, pair_substeps=4, n_moments=3, width=32, depth=2, reach=2.5, training=None,
        precision="double",
    ):  # fmt: skip
        self.n_rounds = n_rounds
        self.pair_substeps = pair_substeps
        self.n_moments = n_moments
        self.width = width
        self.depth = depth
        self.reach = reach
        self.training = training
        self.precision = precision

    def guarantees(self, base):
        """Total momentum, and the symmetries of the forces."""
        kept = {"momentum", "galilean_equivariant", "permutation_equivariant"}
        if self.precision == "double" or self.width == 0:
            kept |= {"rotation_equivariant", "translation_equivariant"}
        else:  # differences of positions round differently once they are shifted
            kept -= {"galilean_equivariant", "permutation_equivariant"}
        return frozenset(kept)

    def _check_parameters(self):
        super()._check_parameters()
        for name, least in (
            ("n_rounds", 1), ("pair_substeps", 0), ("n_moments", 1), ("width", 0), ("depth", 1)
        ):  # fmt: skip
            check_count(name, getattr(self, name), least)
        if self.n_moments > pair_messages.MOMENTS:
            raise ValueError(f"n_moments={self.n_moments!r}: expected 1, 2 or 3")
        if self.pair_substeps == 0 and self.width == 0:
            raise ValueError("pair_substeps=0 and width=0: no messages are left; set one of them")
        if not isinstance(self.reach, numbers.Real) or not 0 < self.reach < np.inf:
            raise ValueError(f"reach={self.reach!r}: expected a positive number")

    def _build(self, law, dt):
        from ._graph_module import GraphStep

        return GraphStep(
            law, dt, self._rows(dt), self.n_rounds, self.n_moments, self.width, self.depth,
            self.reach,
        )  # fmt: skip

    def _rows(self, dt):
        if self.pair_substeps == 0:
            return None
        return pair_messages.substeps(dt, self.pair_substeps, PEFRL.coefficients)

    def _train(self, module, X, Y, law, device, rng, progress):
        if self.width == 0:  # nothing to learn: mechanics alone
            return {"loss": []}
        return super()._train(module, X, Y, law, device, rng, progress)

    def step(self, system, array, dt):
        """One corrected step: on the CPU with the messages in numba; see ForceCorrector."""
        device = self._prediction_device()
        if self.pair_substeps == 0 or device.type != "cpu":
            return super().step(system, array, dt)
        module = self._module(system, dt, device)
        n = max(1, _PAIRS_PER_PASS // array.shape[2] ** 2)
        parts = [
            self._step(module, system, array[start : start + n], dt)
            for start in range(0, len(array), n)
        ]
        return np.concatenate(parts)

    def _step(self, module, system, array, dt):
        n_samples, _, n_rows, _ = array.shape
        first, second, d, v = self._pairs(system, array, dt)
        node = np.empty((n_samples * (n_rows - 1), 2 * pair_messages.MOMENTS))
        own = np.empty((len(first), 2 * pair_messages.MOMENTS))
        pair_messages.exchange(
            d, v, first, second, self._rows(dt), system.law, dt, self.n_rounds, self.n_moments,
            node, own,
        )  # fmt: skip
        if len(module.nets):
            node = self._learned(module, d, v, own, node, first, second)
        node = node.reshape(n_samples, n_rows - 1, pair_messages.MOMENTS, 2)
        out = array.copy()
        out[:, 0, :-1] += dt * array[:, 1, :-1] + 0.5 * dt * (node[:, :, 0] - node[:, :, 1])
        out[:, 1, :-1] += node[:, :, 0]
        return out

    def _pairs(self, system, array, dt):
        """All interacting pairs of a packed array, and those that soon may."""
        array = np.ascontiguousarray(array)
        reach = np.inf
        if system.cutoff is not None:
            speed = np.sqrt(np.nanmax((array[:, 1] ** 2).sum(axis=-1), initial=0.0))
            reach = system.cutoff + 2.0 * abs(dt) * speed + _MARGIN * system.sigma
        roomy = (array[:, 0, -1, 0] >= (3 + 1e-9) * reach).all() and np.isfinite(array).all()
        if system.uses_list(array).all() and roomy:
            return pair_messages.list_large(array, reach)
        n_samples, _, n_rows, _ = array.shape
        capacity = n_samples * (n_rows - 1) * (n_rows - 2) // 2
        first, second = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
        d, v = np.empty((capacity, 2)), np.empty((capacity, 2))
        count = pair_messages.list_small(array, reach**2, first, second, d, v)
        return first[:count], second[:count], d[:count], v[:count]

    def _learned(self, module, d, v, own, node, first, second):
        import torch

        shape = (-1, pair_messages.MOMENTS, 2)
        with torch.no_grad():
            tensors = [torch.from_numpy(x) for x in (d, v, own, node, first, second)]
            tensors[2], tensors[3] = tensors[2].reshape(shape), tensors[3].reshape(shape)
            return module.learned(*tensors).numpy()
