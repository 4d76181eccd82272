"""The mathematics of learning a composition: its parameters, its error, its minimiser."""

import numpy as np

from .._kernels.heisenberg import cubic_sides
from .._kernels.sweeps import sweep_kernel
from ..integrators.composition import halvings_needed

_NO_ROWS = np.empty((0, 5))

#: Step of the one-sided differences. The states are of order one and right to 1e-16,
#: so the Jacobian is right to about 1e-8, which Gauss-Newton does not notice.
_DIFFERENCE = 1e-7


class Parametrisation:
    """Consistent palindromic compositions as a linear function of free parameters.

    A sweep is a row ``(a, d1, d2, d3)``: it turns a spin by the angle
    ``|h| dt [a + dt² (d1 |h|² + d2 (S·h)² + d3 (S·h))]``, that is ``d = a c`` in terms
    of the coefficients c of :class:`~dlintegrate.SublatticeComposition`. The rows of
    the first half of a step are free but for the last two lengths, which follow
    from the sums of either sublattice being one; the same for the processor
    (no palindrome, sums zero).

    Parameters
    ----------
    stages : int
        A step has ``2 stages + 1`` sweeps.
    angle_function : bool
        Whether d is free, or zero.
    processor : int
        Number of sweeps of the processor; 0 for none.

    Attributes
    ----------
    n_free : int
        Number of free parameters.
    """

    def __init__(self, stages, angle_function, processor=0):
        n, half = 2 * stages + 1, stages + 1
        mirror = np.eye(half)[np.minimum(np.arange(n), n - 1 - np.arange(n))]
        offset, step = _consistent(mirror, 1.0)
        _, chi = _consistent(np.eye(processor), 0.0)
        sizes = [step.shape[1], chi.shape[1]]
        if angle_function:
            sizes += [3 * half, 3 * processor]
        ends = np.cumsum(sizes)
        self.n_free = int(ends[-1])
        self.n_sweeps, self.n_processor, self.angle_function = n, processor, angle_function
        self._offset = np.zeros((n + processor, 4))
        self._offset[:n, 0] = offset
        self._basis = np.zeros((n + processor, 4, self.n_free))
        self._basis[:n, 0, : ends[0]] = step
        self._basis[n:, 0, ends[0] : ends[1]] = chi
        if angle_function:
            for c in range(3):
                self._basis[:n, 1 + c, ends[1] + c : ends[2] : 3] = mirror
                self._basis[n:, 1 + c, ends[2] + c : ends[3] : 3] = np.eye(processor)

    def sweeps(self, parameters):
        """Rows ``(a, d1, d2, d3)`` of a step and of the processor."""
        rows = self._offset + self._basis @ parameters
        return rows[: self.n_sweeps], rows[self.n_sweeps :]

    def parameters(self, step, chi=None):
        """Free parameters of given rows (the nearest, if they are not consistent).

        A processor shorter than this one's is continued by sweeps of length zero.
        """
        rows = np.zeros_like(self._offset)
        rows[: self.n_sweeps] = step
        if chi is not None:
            rows[self.n_sweeps : self.n_sweeps + len(chi)] = chi
        basis = self._basis.reshape(-1, self.n_free)
        return np.linalg.lstsq(basis, (rows - self._offset).ravel(), rcond=None)[0]

    def schedule(self, dt, n_steps):
        """Kernel rows of ``n_steps`` steps, as ``(sublattices, offset, basis)``.

        ``offset + basis @ parameters`` are the b0 to b3 of every sweep; the processor
        comes first and its inverse last.
        """
        sublattices = np.arange(self.n_sweeps) % 2
        chi = np.arange(self.n_processor) % 2
        units = np.array([dt, dt**3, dt**3, dt**3])
        order = np.concatenate(
            [np.arange(self.n_sweeps, len(self._offset))]
            + [np.arange(self.n_sweeps)] * n_steps
            + [np.arange(self.n_sweeps, len(self._offset))[::-1]]
        )
        sign = np.ones(len(order))
        sign[len(order) - self.n_processor :] = -1.0
        scale = sign[:, None] * units
        return (
            np.concatenate([chi, *[sublattices] * n_steps, chi[::-1]]),
            self._offset[order] * scale,
            self._basis[order] * scale[:, :, None],
        )


def _consistent(pattern, total):
    """Lengths ``offset + basis @ free`` whose sums over even and odd rows are ``total``.

    ``pattern`` (n_sweeps, n_half) spreads the half over the step. The two last of the
    half are solved for, one per sublattice.
    """
    n, half = pattern.shape
    if n == 0:
        return np.zeros(0), np.zeros((0, 0))
    sums = np.stack([pattern[::2].sum(0), pattern[1::2].sum(0)])
    dependent, free = sums[:, half - 2 :], sums[:, : half - 2]
    solve = np.linalg.inv(dependent)
    offset = np.concatenate([np.zeros(half - 2), solve @ np.full(2, total)])
    basis = np.concatenate([np.eye(half - 2), -solve @ free])
    return pattern @ offset, pattern @ basis


class OneStepError:
    """Weighted difference between a composition and the reference, as a function of its parameters.

    Parameters
    ----------
    parametrisation : Parametrisation
    system : HeisenbergLattice
    dt : float
    before, after : ndarray, shape (n_samples, *sides, 3)
        States, and the reference ``n_steps`` steps later.
    weights : ndarray, shape (n_samples,)
        Factor of each sample's error.
    n_steps : int, default 1
    first : {0, 1}, default 0
        Sublattice of the first sweep.
    """

    def __init__(self, parametrisation, system, dt, before, after, weights, n_steps=1, first=0):
        self.parametrisation, self.system = parametrisation, system
        sides = cubic_sides(before.shape[1:-1])
        self.before = before.reshape(len(before), *sides, 3)
        self.after = after.reshape(self.before.shape)
        self.weights = np.asarray(weights).reshape(-1, 1, 1, 1, 1) * np.sqrt(3.0 / before.size)
        sublattices, self.offset, self.basis = parametrisation.schedule(dt, n_steps)
        self.sublattices = (sublattices + first) % 2

    def rows(self, parameters):
        """The rows of the kernel."""
        return np.column_stack([self.sublattices, self.offset + self.basis @ parameters])

    def __call__(self, parameters):
        """Residuals; the root of their sum of squares is the weighted rms error per spin."""
        rows = self.rows(parameters)
        state = self.before.copy()
        system = self.system
        # no fewer than two, so that one compiled kernel serves the whole fit
        halvings = max(2, halvings_needed(system.max_field, rows))
        if not np.isfinite(rows).all() or halvings > 8:
            return np.full(state.size, 1e6)
        run = sweep_kernel(halvings, self.parametrisation.angle_function)
        run(state, _NO_ROWS, rows, _NO_ROWS, 1, system.coupling, system.bias)
        return ((state - self.after) * self.weights).ravel()

    def jacobian(self, parameters, residuals):
        """Derivatives of the residuals by one-sided differences, shape (n, n_free)."""
        columns = np.empty((self.parametrisation.n_free, residuals.size))
        for index, column in enumerate(columns):
            moved = parameters.copy()
            moved[index] += _DIFFERENCE
            column[:] = (self(moved) - residuals) / _DIFFERENCE
        return columns.T


def levenberg_marquardt(error, parameters, max_iter, *, damping=1e-2, tol=1e-4, callback=None):
    """Minimise the rms of ``error``: damped Gauss-Newton.

    The problem has few parameters and thousands of residuals that nearly vanish,
    the case for which the method is made (Marquardt 1963, Journal of the Society for
    Industrial and Applied Mathematics 11, 431).

    Parameters
    ----------
    error : callable with ``jacobian``
        Such as :class:`OneStepError`.
    parameters : ndarray
        Start.
    max_iter : int
    damping : float
        Of the first iteration.
    tol : float
        Stop after three iterations that improve the error by less than this part.
    callback : callable, optional
        Called with the rms error of every iteration.

    Returns
    -------
    (ndarray, list of float)
        Parameters, and the rms error at the start and after every iteration; it never grows.
    """
    residuals = error(parameters)
    history = [float(np.linalg.norm(residuals))]
    idle = 0
    for _ in range(max_iter if parameters.size else 0):
        jacobian = error.jacobian(parameters, residuals)
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ residuals
        scale = np.diag(normal) + 1e-9 * np.trace(normal) / len(normal)
        for _ in range(10):
            trial = parameters - np.linalg.solve(normal + damping * np.diag(scale), gradient)
            moved = error(trial)
            rms = float(np.linalg.norm(moved))
            if rms < history[-1]:
                break
            damping *= 4.0
        else:
            break
        idle = idle + 1 if rms > history[-1] * (1.0 - tol) else 0
        parameters, residuals = trial, moved
        damping = max(damping / 5.0, 1e-12)
        history.append(rms)
        if callback is not None:
            callback(rms)
        if idle == 3 or rms == 0.0:
            break
    return parameters, history


def lbfgs(error, parameters, max_iter, *, device="cpu", callback=None):
    """Minimise the logarithm of the rms of ``error`` by L-BFGS through the torch twin.

    Needs many more iterations than :func:`levenberg_marquardt`, and runs on any device.

    Parameters
    ----------
    error : OneStepError
    parameters : ndarray
        Start.
    max_iter : int
    device : str
        Torch device.
    callback : callable, optional
        Called with the rms error of every evaluation.

    Returns
    -------
    (ndarray, list of float)
        As :func:`levenberg_marquardt`; the best parameters met.
    """
    import torch

    from .._kernels.sweeps_torch import advance_schedule

    def tensor(array):
        return torch.as_tensor(array, dtype=torch.float64, device=device)

    before, after, weights, offset, basis = map(
        tensor, (error.before, error.after, error.weights, error.offset, error.basis)
    )
    sublattices = error.sublattices.tolist()
    system = error.system
    free = tensor(parameters).clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [free], max_iter=max_iter, history_size=50, line_search_fn="strong_wolfe",
        tolerance_grad=1e-12, tolerance_change=1e-14,
    )  # fmt: skip
    history, best = [], [np.inf, np.array(parameters)]

    def closure():
        optimiser.zero_grad()
        rows = offset + basis @ free
        state = advance_schedule(before, sublattices, rows, system.coupling, system.bias)
        rms = ((state - after) * weights).square().sum().sqrt()
        loss = rms.log()
        loss.backward()
        history.append(min(rms.item(), best[0]))
        if rms.item() < best[0]:
            best[:] = rms.item(), free.detach().cpu().numpy().copy()
        if callback is not None:
            callback(rms.item())
        return loss

    optimiser.step(closure)
    return best[1], history
