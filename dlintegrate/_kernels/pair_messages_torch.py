"""Torch twin of the messages between pairs: differentiable, on any device."""

import torch

from .pair_messages import MOMENTS
from .pairs_torch import force_over_distance, nearest


def list_pairs(q, p, side):
    """All pairs of each sample, particles numbered through all samples.

    Parameters
    ----------
    q, p : torch.Tensor, shape (n_samples, n_particles, 2)
    side : torch.Tensor, shape (n_samples,)

    Returns
    -------
    first, second : torch.Tensor of int, shape (n_pairs,)
    d, v : torch.Tensor, shape (n_pairs, 2)
        Shortest images of the differences, differences of the momenta.
    """
    n_samples, n = q.shape[:2]
    i, k = torch.triu_indices(n, n, 1, device=q.device)
    d = nearest(q[:, i] - q[:, k], side[:, None, None])
    start = n * torch.arange(n_samples, device=q.device)[:, None]
    first, second = (start + i).reshape(-1), (start + k).reshape(-1)
    return first, second, d.reshape(-1, 2), (p[:, i] - p[:, k]).reshape(-1, 2)


def gather(own, first, second, n_nodes):
    """Moments on each particle, from those of the pairs ``(n_pairs, MOMENTS, 2)``."""
    node = own.new_zeros(n_nodes, *own.shape[1:])
    return node.index_add(0, first, own).index_add(0, second, -own)


def external(own, node, first, second):
    """Moments of the relative force that all others exert on a pair."""
    return node[first] - node[second] - 2.0 * own


def exchange(d, v, first, second, rows, law, dt, n_rounds, n_moments, n_nodes):
    """Run the rounds; see :func:`~dlintegrate._kernels.pair_messages.exchange`.

    Returns
    -------
    node : torch.Tensor, shape (n_nodes, MOMENTS, 2)
    own : torch.Tensor, shape (n_pairs, MOMENTS, 2)
    """
    node = d.new_zeros(n_nodes, MOMENTS, 2)
    own = d.new_zeros(len(d), MOMENTS, 2)
    degrees = (2.0 * torch.arange(MOMENTS, device=d.device, dtype=d.dtype) + 1.0) / dt
    degrees[n_moments:] = 0.0
    for turn in range(n_rounds):
        mean_field = None
        if turn > 0:
            mean_field = external(own, node, first, second) * degrees[:, None]
        own = _move(d, v, mean_field, rows, law)
        node = gather(own, first, second, n_nodes)
    return node, own


def _move(r, u, mean_field, rows, law):
    """Own moments of pairs that move in a mean field."""
    own = [0.0] * MOMENTS
    for drift, kick, *legendre in rows[:-1]:
        r = r + drift * u
        r2 = r.square().sum(-1, keepdim=True)
        force = kick * force_over_distance(r2, law) * r
        u = u + 2.0 * force
        if mean_field is not None:
            u = u + kick * sum(
                w * part for w, part in zip(legendre, mean_field.unbind(1), strict=True)
            )
        own = [m + w * force for m, w in zip(own, legendre, strict=True)]
    return torch.stack(own, dim=1)
