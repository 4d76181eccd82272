"""The torch twin of :mod:`.chebyshev`: batched over samples and probes, for GPUs.

A vector has the shape (sites, samples, 4, lanes): the real and imaginary parts of ↑ and
of ↓, and the probes of some sites, all that start with ↑ before all with ↓. Hops are a
sparse matrix that all columns share, on-site terms a stack of real 4 × 4 matrices, so one
recursion is two calls. Nothing is copied to the host in between.
"""

import torch

#: Bytes of the vectors in hand: a GPU wants to be filled, a processor has its caches.
PASS_BYTES = {"cpu": 1 << 23, "cuda": 1 << 28}
_VECTORS = 4  # two of the recursion, and two of products


def onsite_blocks(onsite, neighbours, hopping, sites, coefficients, device):
    """On-site blocks of functions of the rescaled Hamiltonian.

    Parameters
    ----------
    onsite : ndarray, shape (n_samples, n_sites, 4)
        Rescaled on-site energy and exchange, as in :func:`.chebyshev.onsite_blocks`.
    neighbours : ndarray of int, shape (n_sites, n_neighbours)
    hopping : ndarray, shape (n_sites, n_neighbours)
    sites : ndarray of int, shape (n_wanted,)
    coefficients : ndarray, shape (n_functions, n_moments)
        An even number of moments.
    device : torch.device

    Returns
    -------
    ndarray, shape (n_samples, n_functions, n_wanted, 4)
    """
    hops = _hops(neighbours, hopping, device)
    blocks = _real_blocks(torch.as_tensor(onsite, dtype=torch.float32, device=device))
    wanted = torch.as_tensor(sites, device=device)
    series = torch.as_tensor(coefficients, dtype=torch.float64, device=device)
    n_bytes = PASS_BYTES.get(device.type, PASS_BYTES["cuda"])
    n_samples, n_probed = pass_shape(len(onsite), len(neighbours), len(sites), n_bytes)
    rows = []
    for some in blocks.split(n_samples):
        parts = [_moments(hops, some, probed, series) for probed in wanted.split(n_probed)]
        rows.append(torch.cat(parts, dim=2))
    return torch.cat(rows).cpu().numpy()


def pass_shape(n_samples, n_sites, n_wanted, n_bytes):
    """How many samples and probed sites one pass takes."""
    n_columns = max(1, n_bytes // (_VECTORS * n_sites * 4 * 2 * 4))
    n_probed = max(1, min(n_wanted, n_columns))
    return max(1, min(n_samples, n_columns // n_probed)), n_probed


def _hops(neighbours, hopping, device):
    n_sites, n_neighbours = neighbours.shape
    rows = torch.arange(n_sites).repeat_interleave(n_neighbours)
    index = torch.stack([rows, torch.as_tensor(neighbours.ravel())])
    values = torch.as_tensor(hopping.ravel(), dtype=torch.float32)
    matrix = torch.sparse_coo_tensor(index, values, (n_sites, n_sites), check_invariants=True)
    return matrix.coalesce().to(device)


def _real_blocks(onsite):
    """``[[e + z, x - iy], [x + iy, e - z]]`` as real matrices, (n_samples, n_sites, 4, 4)."""
    e, x, y, z = onsite.unbind(-1)
    zero = torch.zeros_like(e)
    rows = [
        [e + z, zero, x, y],
        [zero, e + z, -y, x],
        [x, -y, e - z, zero],
        [y, x, zero, e - z],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _moments(hops, blocks, probed, series):
    """The functions at the probed sites, (n_samples, n_functions, n_probed, 4)."""
    n_samples, n_sites = blocks.shape[:2]
    n_probed, n_moments = len(probed), series.shape[1]
    stack = blocks.transpose(0, 1).reshape(-1, 4, 4)
    now = torch.zeros((n_sites, n_samples, 4, 2 * n_probed), device=blocks.device)
    lanes = torch.arange(n_probed, device=blocks.device)
    now[probed, :, 0, lanes] = 1.0
    now[probed, :, 2, n_probed + lanes] = 1.0
    following = _apply(hops, stack, now, torch.zeros_like(now), 1.0)
    first = _overlap(now, now), _overlap(following, now)
    out = torch.einsum("fo,osqp->sfpq", series[:, :2], torch.stack(first))
    for half in range(1, n_moments // 2):
        now, following = following, _apply(hops, stack, following, now, 2.0)
        for odd, other in enumerate((now, following)):
            moment = 2.0 * _overlap(other, now) - first[odd]
            out += torch.einsum("f,sqp->sfpq", series[:, 2 * half + odd], moment)
    return out


def _apply(hops, stack, x, old, factor):
    """``old = factor * H x - old``, in place."""
    n_sites, n_lanes = x.shape[0], x.shape[-1]
    old.view(-1, 4, n_lanes).baddbmm_(stack, x.view(-1, 4, n_lanes), beta=-1.0, alpha=factor)
    old.view(n_sites, -1).addmm_(hops, x.view(n_sites, -1), alpha=factor)
    return old


def _overlap(a, b):
    """Products of the two lanes of each site, (n_samples, 4, n_probed): as the blocks lie."""
    (a_up, a_down), (b_up, b_down) = a.chunk(2, dim=-1), b.chunk(2, dim=-1)
    turned = torch.stack([b_down[:, :, 1], -b_down[:, :, 0], b_down[:, :, 3], -b_down[:, :, 2]], 2)
    pairs = ((a_up, b_up), (a_down, b_down), (a_up, b_down), (a_up, turned))
    return torch.stack([(x * y).sum(dim=(0, 2)) for x, y in pairs], dim=1).double()
