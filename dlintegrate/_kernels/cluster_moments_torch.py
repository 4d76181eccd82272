"""Torch twin of :mod:`.cluster_moments`: differentiable, on any device, in any precision."""

import torch

from .cluster_moments import cluster


def lattice_moments(spins, scales, n_moments, reach):
    """Spin moments at all sites.

    Parameters
    ----------
    spins : torch.Tensor, shape (n_samples, X, Y, 3)
    scales : tuple of 4 floats
        See :func:`.cluster_moments.cluster_moments`.
    n_moments, reach : int

    Returns
    -------
    torch.Tensor, shape (n_samples, X, Y, 3, n_moments)
        Traces with the Pauli matrices.
    """
    places, _, near, far = cluster(reach, n_moments // 2)
    near, far = (torch.as_tensor(table, device=spins.device) for table in (near, far))
    energy, exchange, t_near, t_far = scales
    around = torch.stack([spins.roll((-a, -b), (1, 2)) for a, b in places.tolist()])
    sx, sy, sz = (exchange * around).unbind(-1)
    off = torch.complex(sx, -sy)
    complex_type = off.dtype
    outside = torch.zeros((1, 2, 2, *spins.shape[:3]), dtype=complex_type, device=spins.device)
    start = torch.zeros((len(places), *outside.shape[1:]), dtype=complex_type, device=spins.device)
    start[0, 0, 0] = start[0, 1, 1] = 1.0

    def apply(x):
        """Rescaled Hamiltonian on (place, spin, start, sample, X, Y)."""
        whole = torch.cat([x, outside])
        hopped = t_near * whole[near].sum(1) + t_far * whole[far].sum(1)
        up, down = x[:, 0], x[:, 1]
        z, o = sz[:, None], off[:, None]
        onsite = torch.stack([z * up + o * down, o.conj() * up - z * down], 1)
        return energy * x + onsite + hopped

    def spin_of(left, right):
        """Traces of the blocks <start| left† right |start'> with the Pauli matrices."""
        block = torch.einsum("psanxy,psbnxy->abnxy", left.conj(), right)
        return torch.stack(
            [(block[0, 1] + block[1, 0]).real, -(block[0, 1] - block[1, 0]).imag,
             (block[0, 0] - block[1, 1]).real]
        )  # fmt: skip

    now, following = start, apply(start)
    first = spin_of(now, now), spin_of(following, now)
    moments = list(first)
    for _ in range(1, n_moments // 2):
        now, following = following, 2 * apply(following) - now
        moments += [2 * spin_of(now, now) - first[0], 2 * spin_of(following, now) - first[1]]
    return torch.stack(moments, -1).permute(1, 2, 3, 0, 4)
