"""The spherical midpoint rule for spins: numba kernel and torch twin."""

import numpy as np

from .heisenberg import local_field, local_field_torch
from .jit import kernel


@kernel
def _midpoint(spins, end, middle):
    """Write the normalised midpoints of ``spins`` and ``end``."""
    for i in range(len(spins)):
        x, y, z = spins[i, 0] + end[i, 0], spins[i, 1] + end[i, 1], spins[i, 2] + end[i, 2]
        scale = 1.0 / np.sqrt(x * x + y * y + z * z)
        middle[i, 0], middle[i, 1], middle[i, 2] = x * scale, y * scale, z * scale


@kernel
def spherical_midpoint(spins, dt, n_steps, coupling, bias, max_iterations):
    """Solve S' - S = dt m × h(m), m = (S + S') / |S + S'|, by fixed-point iteration.

    In place on ``(n, X, Y, Z, 3)``. The iteration ends when the change has come
    down to rounding and stops falling; a sample that does not get there is NaN.
    """
    n = len(spins)
    lattice = spins[:1].shape
    size = spins[0].size // 3
    middle, field = np.empty(lattice), np.empty(lattice)
    end = np.empty((size, 3))
    m, h = middle.reshape(size, 3), field.reshape(size, 3)
    for i in range(n):
        start = spins[i].reshape(size, 3)
        for _ in range(n_steps):
            end[:] = start
            change, converged = np.inf, False
            for _ in range(max_iterations):
                _midpoint(start, end, m)
                local_field(middle, coupling, bias, field)
                previous, change = change, 0.0
                for k in range(size):
                    x = start[k, 0] + dt * (m[k, 1] * h[k, 2] - m[k, 2] * h[k, 1])
                    y = start[k, 1] + dt * (m[k, 2] * h[k, 0] - m[k, 0] * h[k, 2])
                    z = start[k, 2] + dt * (m[k, 0] * h[k, 1] - m[k, 1] * h[k, 0])
                    d = max(abs(x - end[k, 0]), abs(y - end[k, 1]), abs(z - end[k, 2]))
                    change = d if not d <= change else change  # NaN must not pass as small
                    end[k, 0], end[k, 1], end[k, 2] = x, y, z
                if change == 0.0 or (change < 1e-14 and change >= 0.5 * previous):
                    converged = True
                    break
            if not converged:
                start[:] = np.nan
                break
            start[:] = end


def spherical_midpoint_torch(spins, dt, n_steps, coupling, bias, max_iterations):
    """The same step, all samples until the last has converged; differentiable, any device."""
    import torch

    rounding = 45 * torch.finfo(spins.dtype).eps  # 1e-14 in double precision
    each = (len(spins), *[1] * (spins.ndim - 1))
    for _ in range(n_steps):
        end, change = spins, spins.new_full((len(spins),), torch.inf)
        for _ in range(max_iterations):
            middle = torch.nn.functional.normalize(spins + end, dim=-1)
            new = spins + dt * torch.linalg.cross(
                middle, local_field_torch(middle, coupling, bias), dim=-1
            )
            previous, change = change, (new - end).detach().abs().flatten(1).amax(dim=1)
            end = new
            converged = (change == 0) | ((change < rounding) & (change >= 0.5 * previous))
            if bool((converged | ~torch.isfinite(change)).all()):
                break
        spins = torch.where(converged.view(each), end, torch.nan)
    return spins
