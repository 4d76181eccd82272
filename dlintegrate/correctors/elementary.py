"""Ridge regression of the residue on the elementary differentials of the spin flow."""

import numbers
from functools import lru_cache

import numpy as np

from .._kernels import heisenberg as kernels
from .._kernels import trees as tree_kernels
from .._kernels.sweeps import sweep_kernel
from .._kernels.tree_program import compile_program, trees
from ..integrators.composition import halvings_needed
from ..systems import HeisenbergLattice
from .base import ResidueCorrector, one_step

#: Sites whose features are held in memory at a time while fitting.
CHUNK_SITES = 8192
#: Every so many samples one is held out, to know the error on unseen samples.
HOLD_OUT = 5


class ElementaryDifferentialResidue(ResidueCorrector):
    """Residue as a weighted sum of equivariant trees: linear, local, fitted in seconds.

    The error of a sublattice integrator expands in *elementary differentials* of the
    flow dS/dt = S × h: vectors built by the rule ``T = X × h(Y)``, where X and Y are the
    spin S or such vectors themselves, h(Y) = J Σ_j Y_j over the neighbours (plus the
    external field for Y = S), and ``ord T = ord X + ord Y + 1``; the expansion
    is that of B-series (Hairer, Lubich & Wanner, Geometric Numerical Integration,
    2006, chapter III). There are 1, 2, 5, 14, 42, 132 of order 1 to 6. Their
    weights differ between the sublattices, because the base step treats them
    differently, and are regressed at the time step in question, so that they make up
    for what lies beyond the largest order.

    The sum is evaluated *and added* in the middle of the step: the result of the base step is
    taken back by half a step (one sweep of each sublattice), corrected, and taken forward
    again. Around the middle a symmetric step errs in odd orders of dt only, so that
    orders 3 and 5 leave 1 and 0.1 per cent of the residue of Suzuki-Trotter at dt = 0.1.

    Made for compositions of sublattice rotations. Where there are no sublattices the sum
    is evaluated at the mean of the states before and after, and added at the end. The spherical
    midpoint, however, divides by the length of a mean spin, which no tree does: its
    residue is only about halved.

    Parameters
    ----------
    order : int, default 5
        Largest order of a tree.
    alpha : float, default 1e-12
        Ridge penalty, relative: features are scaled to unit mean square before.
    min_order : int, default 3
        Smallest order of a tree; the residue of a second-order step begins at 3.

    Attributes
    ----------
    coef_ : ndarray, shape (n_sublattices, n_trees)
        Weights of ``dt^ord(T) T``, dimensionless (the trees contain J). One row if
        the base step is equivariant under every translation, else one
        for each sublattice (x+y+z) mod 2.
    trees_ : tuple of str
        What the columns of ``coef_`` belong to.
    dt_ : float
        Time step of the base the weights were fitted for.
    history_ : dict of lists
        ``loss``: rms residue per spin that is left on the samples of the fit;
        ``validation_loss``: on samples held out (every fifth), with weights
        fitted to the others; ``base``: rms residue before.

    Notes
    -----
    The normalised sum ``S + R`` hits the reference S* exactly for
    ``R = S*/(S·S*) - S``, which is perpendicular to S: this is what is fitted,
    with both S and S* in the middle of the step.

    Examples
    --------
    >>> from dlintegrate import CorrectedIntegrator, ElementaryDifferentialResidue
    >>> from dlintegrate import HeisenbergLattice, SuzukiTrotter2, sample_canonical
    >>> system = HeisenbergLattice(shape=4)
    >>> samples = sample_canonical(system, 1.44, 8, random_state=0)
    >>> base = SuzukiTrotter2(system, dt=0.1)
    >>> integrator = CorrectedIntegrator(base, ElementaryDifferentialResidue(order=4))
    >>> after = integrator.fit(samples).step(samples)
    """

    def __init__(self, order=5, alpha=1e-12, min_order=3):
        self.order = order
        self.alpha = alpha
        self.min_order = min_order

    @property
    def local(self):
        """True: a tree of order n reaches n neighbours far."""
        return True

    def check(self, base):
        """Parameters and the system; see :meth:`Corrector.check`.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        TypeError
            If the system is no HeisenbergLattice.
        """
        self._checked()
        if not isinstance(base.system, HeisenbergLattice):
            raise TypeError(
                f"system={base.system!r}: ElementaryDifferentialResidue needs a HeisenbergLattice, "
                "whose trees it knows"
            )

    def fit(self, base, X, Y, *, device="cpu", random_state=None, progress=False):
        """Regress the residue of ``base``; see :meth:`Corrector.fit`.

        The arguments ``device`` and ``random_state`` have no effect: the solution is unique.

        Raises
        ------
        ValueError
            If a parameter is out of range, or sides are odd for a base that treats the
            sublattices differently.
        """
        self.check(base)
        order, min_order, alpha = self._checked()
        dt = base.dt
        system = base.system.matching(X)
        n_sublattices = 1 if "translation_equivariant" in base.guarantees else 2
        _check_sides(X.shape[1:-1], n_sublattices)
        orders = trees(order).orders
        scale = dt ** orders[orders >= min_order]
        parts = [_Moments(n_sublattices), _Moments(n_sublattices)]
        for chunk, part in _chunks(X, progress):
            before, reference = X[chunk], Y[chunk]
            after = one_step(base, before)
            if n_sublattices == 2:
                middle, reference = (_half_step(system, v, -dt) for v in (after, reference))
                normal = middle
            else:
                middle, normal = 0.5 * (before + after), after
            label = _tangent_label(normal, reference)
            features = _features(system, middle, normal, order, min_order) * scale
            parts[part].add(features, label)
        both = parts[0] + parts[1]
        coefficients = both.solve(alpha)
        seen = parts[0].solve(alpha) if parts[1].n_sites else coefficients
        self.coef_ = coefficients
        self.trees_ = tuple(np.array(trees(order).names)[orders >= min_order].tolist())
        self.dt_ = float(dt)
        self.history_ = {
            "loss": [both.rms(coefficients)],
            "validation_loss": [(parts[1] if parts[1].n_sites else both).rms(seen)],
            "base": [both.rms(np.zeros_like(coefficients))],
        }
        return self

    def residue(self, system, before, after):
        """What the trees, added in the middle of the step, change at its end."""
        return self.correct(system, before, after) - after

    def correct(self, system, before, after):
        """The state after a step in whose middle the weighted sum of trees was added."""
        weights = self._weights()
        _check_sides(after.shape[1:-1], len(weights))
        if len(weights) == 1:
            mean = 0.5 * (before + after)
            return sum_trees(system, mean, after, self.order, weights, add=True)
        state = _half_step(system, after, -self.dt_)
        sum_trees(system, state, state, self.order, weights, add=True, out=state)
        return _half_step(system, state, self.dt_, out=state)

    def residue_tensor(self, system, before, after):
        """Torch twin of :meth:`residue`: differentiable, on the device of ``after``."""
        import torch

        weights = self._weights()
        _check_sides(after.shape[1:-1], len(weights))
        if len(weights) == 1:
            mean = 0.5 * (before + after)
            total = after + sum_trees_tensor(system, mean, after, self.order, weights)
            return torch.nn.functional.normalize(total, dim=-1) - after
        middle = _half_step_tensor(system, after, -self.dt_)
        middle = middle + sum_trees_tensor(system, middle, middle, self.order, weights)
        middle = torch.nn.functional.normalize(middle, dim=-1)
        return _half_step_tensor(system, middle, self.dt_) - after

    def bind(self, base):
        """Return the corrected step; see :class:`ResidueCorrector`.

        Raises
        ------
        ValueError
            If ``base`` has another time step than the fit.
        """
        if base.dt != self.dt_:
            raise ValueError(
                f"base.dt={base.dt!r}: the weights were fitted for dt={self.dt_!r}; fit again"
            )
        return super().bind(base)

    def guarantees(self, base):
        """Norm, and the equivariances of the base."""
        kept = {"rotation_equivariant", "even_translation_equivariant"}
        if not hasattr(self, "coef_") or len(self.coef_) == 1:
            kept.add("translation_equivariant")
        return frozenset({"norm"} | (kept & base.guarantees))

    def _weights(self):
        """``coef_`` times the powers of dt, with zeros for the trees that are left out."""
        orders = trees(self.order).orders
        weights = np.zeros((len(self.coef_), len(orders)))
        chosen = orders >= self.min_order
        weights[:, chosen] = self.coef_ * self.dt_ ** orders[chosen]
        return weights

    def _checked(self):
        order, min_order, alpha = self.order, self.min_order, self.alpha
        if not isinstance(min_order, numbers.Integral) or min_order < 1:
            raise ValueError(f"min_order={min_order!r}: expected an int, 1 or more")
        if not isinstance(order, numbers.Integral) or order < min_order:
            raise ValueError(f"order={order!r}: expected an int, at least min_order={min_order!r}")
        if not isinstance(alpha, numbers.Real) or not np.isfinite(alpha) or alpha < 0:
            raise ValueError(f"alpha={alpha!r}: expected a finite number, 0 or more")
        return int(order), int(min_order), float(alpha)


def sum_trees(system, spins, normal, order, weights, add=False, out=None):
    """Evaluate ``Σ_t weights[s, t] t`` at ``spins`` on every sublattice s.

    Parameters
    ----------
    system : HeisenbergLattice
    spins, normal : ndarray, shape (n_samples, *sides, 3)
        Where the trees are evaluated; what the result is made perpendicular to.
    order : int
    weights : ndarray, shape (n_sublattices, n_trees)
        For all trees up to ``order``, the spin itself first; one row or two.
    add : bool, default False
        Return ``normalize(normal + sum)`` instead of the sum.
    out : ndarray, optional
        C-contiguous; may be ``spins`` or ``normal``.

    Returns
    -------
    ndarray, shape of ``spins``
    """
    program = _program(order, len(weights), weights.tobytes())
    sides = kernels.cubic_sides(spins.shape[1:-1])
    out = np.empty(spins.shape) if out is None else out
    cubic, perpendicular, result = (
        np.ascontiguousarray(v).reshape(-1, *sides, 3) for v in (spins, normal, out)
    )
    memory = tree_kernels.workspace(program, sides)
    tree_kernels.sum_trees(
        cubic, perpendicular, *program, system.coupling, system.bias, memory, add, result
    )
    return out


def sum_trees_tensor(system, spins, normal, order, weights):
    """Torch twin of :func:`sum_trees`."""
    import torch

    table = trees(order)
    weights, bias = (
        torch.as_tensor(v, dtype=spins.dtype, device=spins.device) for v in (weights, system.bias)
    )

    def neighbours(vector):
        return kernels.local_field_torch(vector, system.coupling, np.zeros(3))

    values, fields = [spins], [neighbours(spins) + bias]
    for x, y in table.pairs[1 : np.searchsorted(table.orders, order)]:
        values.append(torch.linalg.cross(values[x], fields[y]))
        fields.append(neighbours(values[-1]))
    # own: weights of each site; facing: of the sublattice that its neighbours are on
    parity = torch.as_tensor(_parity(spins.shape[1:-1]), device=spins.device)
    own = weights[parity % len(weights)][..., None]
    facing = weights[(1 - parity) % len(weights)][..., None]
    total = own[..., 0, :] * spins
    for x, value in enumerate(values):
        pairs = [(t, y) for t, (u, y) in enumerate(table.pairs[1:], 1) if u == x]
        inner = sum(facing[..., t, :] * values[y] for t, y in pairs)
        bare = sum(own[..., t, :] * bias for t, y in pairs if y == 0)
        total = total + torch.linalg.cross(value, neighbours(inner) + bare)
    return total - (total * normal).sum(-1, keepdim=True) * normal


def _half_step(system, states, dt, out=None):
    """Half a step by one sweep of each sublattice; back again with -dt, exactly."""
    rows = _half_step_rows(dt)
    run = sweep_kernel(halvings_needed(system.max_field, rows), False)
    result = np.array(states, dtype=np.float64, order="C") if out is None else out
    cubic = result.reshape(len(result), *kernels.cubic_sides(result.shape[1:-1]), 3)
    run(cubic, rows, rows[:0], rows[:0], 0, system.coupling, system.bias)
    return result


def _half_step_tensor(system, states, dt):
    """Torch twin of :func:`_half_step`."""
    import torch

    from .._kernels.sweeps_torch import advance_schedule

    rows = _half_step_rows(dt)
    coefficients = torch.as_tensor(rows[:, 1:], dtype=states.dtype, device=states.device)
    return advance_schedule(
        states, rows[:, 0].astype(int).tolist(), coefficients, system.coupling, system.bias
    )


def _half_step_rows(dt):
    """Second half of ``e^{A dt/2} e^{B dt} e^{A dt/2}``, or its inverse if dt is negative."""
    sublattices = (1, 0) if dt > 0 else (0, 1)
    return np.array([[s, 0.5 * dt, 0.0, 0.0, 0.0] for s in sublattices])


class _Moments:
    """What a least-squares fit needs of its rows: the R of their QR decomposition.

    Rows come in chunks and are forgotten; unlike normal equations this does not square
    the condition number. One per sublattice.
    """

    def __init__(self, n_sublattices, triangles=None, n_sites=0):
        self.triangles = triangles or [None] * n_sublattices
        self.n_sites = n_sites

    def add(self, features, label):
        """Add features ``(n, *sides, 3, n_trees)`` and labels ``(n, *sides, 3)``."""
        rows = np.concatenate([features, label[..., None]], axis=-1)
        parity = _parity(label.shape[1:-1]) % len(self.triangles)
        for s, old in enumerate(self.triangles):
            new = rows[:, parity == s].reshape(-1, rows.shape[-1])
            self.triangles[s] = _triangle(old, new)
        self.n_sites += label.size // 3

    def __add__(self, other):
        triangles = [_triangle(a, b) for a, b in zip(self.triangles, other.triangles, strict=True)]
        return _Moments(len(triangles), triangles, self.n_sites + other.n_sites)

    def solve(self, alpha):
        """Ridge coefficients, shape (n_sublattices, n_trees)."""
        return np.array([_ridge(triangle, alpha) for triangle in self.triangles])

    def rms(self, coefficients):
        """Root of the mean square, per spin, of what ``coefficients`` leave."""
        left = [
            triangle @ np.append(-w, 1.0)
            for triangle, w in zip(self.triangles, coefficients, strict=True)
        ]
        return float(np.sqrt(sum(np.dot(v, v) for v in left) / self.n_sites))


def _tangent_label(after, reference):
    """R perpendicular to ``after`` with normalize(after + R) = reference."""
    along = np.einsum("...c,...c->...", after, reference)[..., None]
    # a quarter turn off or more no R reaches the reference: let such spins not dominate
    return reference / np.maximum(along, 0.1) - after * (along / np.maximum(along, 0.1))


def _triangle(old, new):
    stacked = new if old is None else new if new is None else np.concatenate([old, new])
    return old if new is None else np.linalg.qr(stacked, mode="r")


def _ridge(triangle, alpha):
    """Minimise |y - F w|² + alpha |scale w|² from the triangle of ``[F, y]``."""
    features, label = triangle[:, :-1], triangle[:, -1]
    scale = np.linalg.norm(features, axis=0)
    scale[scale == 0] = 1.0
    penalty = np.sqrt(alpha) * np.eye(len(scale))
    rows = np.concatenate([features / scale, penalty])
    target = np.concatenate([label, np.zeros(len(scale))])
    return np.linalg.lstsq(rows, target, rcond=None)[0] / scale


def _features(system, spins, normal, order, min_order):
    """All trees at ``spins``, perpendicular to ``normal``: ``(n, *sides, 3, n_trees)``."""
    table = trees(order)
    cubic = spins.reshape(len(spins), *kernels.cubic_sides(spins.shape[1:-1]), 3)
    values, fields = [cubic], []
    for x, y in (*table.pairs[1:], (None, None)):
        bias = system.bias if len(values) == 1 else np.zeros(3)
        fields.append(np.empty_like(cubic))
        kernels.local_field(values[-1], system.coupling, bias, fields[-1])
        if x is not None:
            values.append(np.cross(values[x], fields[y]))
    chosen = [v for v, n in zip(values, table.orders, strict=True) if n >= min_order]
    features = np.stack(chosen, axis=-1).reshape(*spins.shape, len(chosen))
    features -= normal[..., None] * np.einsum("...ct,...c->...t", features, normal)[..., None, :]
    return features


def _chunks(X, progress):
    """Slices of samples, and whether they are held out (1) or not (0)."""
    size = max(1, CHUNK_SITES // int(np.prod(X.shape[1:-1])))
    index = np.arange(len(X))
    held = index % HOLD_OUT == HOLD_OUT - 1
    chunks = []
    for part, members in enumerate((index[~held], index[held])):
        chunks += [(members[i : i + size], part) for i in range(0, len(members), size)]
    if progress:
        from tqdm.auto import tqdm

        chunks = tqdm(chunks, desc="trees", unit="chunk")
    return chunks


def _parity(sides):
    return np.indices(sides).sum(axis=0) % 2


def _check_sides(sides, n_sublattices):
    if n_sublattices == 2 and any(side % 2 for side in sides):
        raise ValueError(
            f"lattice sides {tuple(sides)}: weights per sublattice need even sides; "
            "use an even side, or a base that treats all sites alike, such as ImplicitMidpoint"
        )


@lru_cache(maxsize=64)
def _program(order, n_sublattices, weights):
    """Plan of a weighted sum, kept for the next step."""
    return compile_program(order, np.frombuffer(weights).reshape(n_sublattices, -1))
