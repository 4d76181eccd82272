"""The torch module of the graph force."""

from itertools import pairwise

import torch
from torch import nn

from .._kernels.pair_messages import MOMENTS
from .._kernels.pair_messages_torch import exchange, external, gather, list_pairs

#: Vectors of a pair: direction, relative momentum, own and external moments.
_VECTORS = 2 + 2 * MOMENTS
_PAIRS = [(a, b) for a in range(_VECTORS) for b in range(a, _VECTORS)]
_DISTANCES = 4


class MessageNet(nn.Module):
    """What a pair adds to the moments of its force, learned.

    The coefficients of a pair's own vectors are functions of their scalar products.
    All the vectors change sign when the two particles are exchanged, so the forces are
    antisymmetric; and they turn with the sample.

    Parameters
    ----------
    width, depth : int
        Of the hidden layers.
    reach : float
        Distance, in σ, at which the message has faded to zero.
    sigma, speed : float
        Units: of length, and of speed, the root of ε.
    """

    def __init__(self, width, depth, reach, sigma=1.0, speed=1.0):
        super().__init__()
        self.reach, self.sigma, self.speed = reach, sigma, speed
        sizes = [len(_PAIRS) + _DISTANCES, *[width] * depth]
        layers = []
        for n_in, n_out in pairwise(sizes):
            layers += [nn.Linear(n_in, n_out), nn.SiLU()]
        last = nn.Linear(sizes[-1], MOMENTS * _VECTORS)
        nn.init.zeros_(last.weight)  # training starts from no message
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(*layers, last)

    def forward(self, d, v, own, mean_field):
        """Change of the own moments, shape (n_pairs, MOMENTS, 2)."""
        r = d.norm(dim=-1, keepdim=True) / self.sigma
        axis = (d / (self.sigma * r))[:, None]
        moving = torch.cat([v[:, None], own, mean_field], dim=1) / self.speed
        vectors = torch.cat([axis, moving], dim=1)
        # strong ones are bounded, weak ones kept
        vectors = vectors / (1.0 + vectors.square().sum(-1, keepdim=True)).sqrt()
        gram = torch.einsum("eac,ebc->eab", vectors, vectors)
        a, b = zip(*_PAIRS, strict=True)
        features = torch.cat([gram[:, a, b], r, 1.0 / r, r**-3, r**-6], dim=1)
        weights = self.layers(features.to(self.layers[0].weight.dtype)).to(d.dtype)
        fade = (1.0 - (r / self.reach).clamp(max=1.0) ** 2) ** 2
        weights = weights.reshape(-1, MOMENTS, _VECTORS) * fade[:, :, None]
        return self.speed * torch.einsum("ema,eac->emc", weights, vectors)


class GraphStep(nn.Module):
    """One step: rounds of messages, and what they sum up to.

    Parameters
    ----------
    law : tuple
        Force law.
    dt : float
    rows : ndarray or None
        Substeps of the mechanical rounds; None for learned messages only.
    n_rounds, n_moments : int
    width, depth, reach
        Of each :class:`MessageNet`; a width of 0 means none.
    """

    def __init__(self, law, dt, rows, n_rounds, n_moments, width, depth, reach):
        super().__init__()
        sigma = (law[0] / law[1]) ** (1 / 6)
        speed = (0.25 * law[1] ** 2 / law[0]) ** 0.5
        self.law, self.dt, self.reach = law, dt, reach * sigma
        self.n_rounds, self.n_moments = n_rounds, n_moments
        self.rows = None if rows is None else rows.tolist()
        n_nets = 0 if width == 0 else (n_rounds if rows is None else 1)
        self.nets = nn.ModuleList(
            MessageNet(width, depth, reach, sigma, speed) for _ in range(n_nets)
        )

    def step(self, q, p, side):
        """Positions and momenta after one step."""
        first, second, d, v = list_pairs(q, p, side)
        n_nodes = q.shape[0] * q.shape[1]
        if self.rows is None:
            own, node = d.new_zeros(len(d), MOMENTS, 2), d.new_zeros(n_nodes, MOMENTS, 2)
        else:
            node, own = exchange(
                d,
                v,
                first,
                second,
                self.rows,
                self.law,
                self.dt,
                self.n_rounds,
                self.n_moments,
                n_nodes,
            )
        node = self.learned(d, v, own, node, first, second)
        return self.moved(q, p, node.reshape(*q.shape[:2], MOMENTS, 2))

    def learned(self, d, v, own, node, first, second):
        """Moments on each particle after the learned rounds."""
        near = torch.nonzero(d.detach().square().sum(-1) < self.reach**2)[:, 0]
        if len(self.nets):
            d, v, own, first, second = (x[near] for x in (d, v, own, first, second))
        for net in self.nets:
            change = net(d, v, own, external(own, node, first, second))
            own = own + change
            node = node + gather(change, first, second, len(node))
        return node

    def moved(self, q, p, node):
        """The drift and the two kicks, from ``∫ f dt`` and ``∫ (dt - t) f dt``."""
        impulse = node[:, :, 0]
        shift = 0.5 * self.dt * (node[:, :, 0] - node[:, :, 1])
        return q + self.dt * p + shift, p + impulse
