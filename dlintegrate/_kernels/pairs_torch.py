"""Torch twin of the pair forces: differentiable, on any device, all pairs at once."""

import math

import torch


def nearest(d, side):
    """Shortest periodic images of differences, in boxes that broadcast against them."""
    return d - side * torch.round(d / side)


def force_over_distance(r2, law):
    """``-φ'(r)/r`` from r², zero beyond the cut-off."""
    a, b, cutoff2, _, c1 = law
    inverse = 1.0 / r2
    i3 = inverse**3
    g = (12.0 * a * i3 - 6.0 * b) * i3 * inverse + 2.0 * c1
    return torch.where(r2 < cutoff2, g, torch.zeros_like(g)) if math.isfinite(cutoff2) else g


def differences(q, side):
    """Shortest periodic images of ``q_i - q_k``.

    Parameters
    ----------
    q : torch.Tensor, shape (n_samples, n_particles, 2)
    side : torch.Tensor, shape (n_samples,)

    Returns
    -------
    torch.Tensor, shape (n_samples, n_particles, n_particles, 2)
    """
    return nearest(q[:, :, None] - q[:, None], side[:, None, None, None])


def forces(q, side, law, share=None):
    """Forces of all particles; see :func:`~dlintegrate._kernels.pairs.force_law`.

    Parameters
    ----------
    q : torch.Tensor, shape (n_samples, n_particles, 2)
    side : torch.Tensor, shape (n_samples,)
    law : tuple
    share : callable, optional
        Factor of each pair's force, from r².

    Returns
    -------
    torch.Tensor, like ``q``
    """
    d = differences(q, side)
    own = torch.eye(q.shape[1], dtype=q.dtype, device=q.device)
    r2 = d.square().sum(-1) + own  # a particle exerts no force on itself: d = 0 there
    g = force_over_distance(r2, law)
    if share is not None:
        g = g * share(r2)
    return (g[..., None] * d).sum(2)


def potential_energy(q, side, law):
    """Potential energy of each sample, shape (n_samples,)."""
    a, b, cutoff2, c0, c1 = law
    i, k = torch.triu_indices(q.shape[1], q.shape[1], 1, device=q.device)
    d = nearest(q[:, i] - q[:, k], side[:, None, None])
    r2 = d.square().sum(-1)
    i3 = r2**-3
    phi = (a * i3 - b) * i3 - c0
    if c1:
        phi = phi - c1 * (r2 - cutoff2)
    if math.isfinite(cutoff2):
        phi = torch.where(r2 < cutoff2, phi, torch.zeros_like(phi))
    return phi.sum(-1)


def advance_schedule(tensor, rows, n_steps, law):
    """Kicks and drifts of packed states; see :func:`~dlintegrate._kernels.pairs.advance_small`.

    Parameters
    ----------
    tensor : torch.Tensor, shape (n_samples, 2, n_particles + 1, 2)
    rows : list of (is_kick, length)
    n_steps : int
    law : tuple

    Returns
    -------
    torch.Tensor, like ``tensor``
    """
    q, p, side = tensor[:, 0, :-1], tensor[:, 1, :-1], tensor[:, 0, -1, 0]
    force = None
    for _ in range(n_steps):
        for is_kick, length in rows:
            if not is_kick:
                q, force = q + length * p, None
                continue
            if force is None:
                force = forces(q, side, law)
            p = p + length * force
    return repack(q, p, tensor)


def advance_respa(tensor, dt, n_inner, n_steps, law, window):
    """Outer and inner steps; see :func:`~dlintegrate._kernels.respa.advance_respa`."""
    q, p, side = tensor[:, 0, :-1], tensor[:, 1, :-1], tensor[:, 0, -1, 0]
    inner2, outer2 = window[0] ** 2, window[1] ** 2

    def inner(r2):
        t = ((r2 - inner2) / (outer2 - inner2)).clamp(0.0, 1.0)
        return 1.0 - t * t * (3.0 - 2.0 * t)

    def outer(r2):
        return 1.0 - inner(r2)

    h = dt / n_inner
    for _ in range(n_steps):
        p = p + 0.5 * dt * forces(q, side, law, outer)
        for _ in range(n_inner):
            p = p + 0.5 * h * forces(q, side, law, inner)
            q = q + h * p
            p = p + 0.5 * h * forces(q, side, law, inner)
        p = p + 0.5 * dt * forces(q, side, law, outer)
    return repack(q, p, tensor)


def repack(q, p, template):
    """Positions and momenta with the box of a packed tensor."""
    particles = torch.stack([q, p], dim=1)
    return torch.cat([particles, template[:, :, -1:].expand(-1, -1, -1, 2)], dim=2)
