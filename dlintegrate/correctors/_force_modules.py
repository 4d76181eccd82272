"""The torch modules of the paper's three effective forces, plain and equivariant."""

import itertools
import math

import torch
from torch import nn

from .._kernels.pair_messages_torch import gather, list_pairs
from .._kernels.pairs_torch import force_over_distance, nearest

#: Corners of the grid around a particle (Park 2022, Fig. 5.7).
N_GRID = 6
#: Distance, in σ, as which those below it count where a grid point meets a particle.
_NEAREST = 0.1
#: The same for the gradient, in the equivariant force. Corners there lie on the line
#: between two particles; the component across it is zero but for rounding, which the
#: strength of the gradient multiplies. At this distance it is 40 times the clipping.
_FLOOR = 0.7
#: Half-range, in σ, of the equivariant pair force.
_RANGE = 2.0
#: Times of free flight, in units of dt, after which the distance of a pair is a feature.
_FLIGHTS = (-1.0, -0.5, 0.5, 1.0)
#: Directed pairs times particles in one evaluation of fields; bounds the memory.
_FIELDS_PER_PASS = 100_000


def units_of(law):
    """``(ε, σ)`` of a force law."""
    a, b = law[0], law[1]
    return b * b / (4.0 * a), (a / b) ** (1.0 / 6.0)


def perceptron(n_in, width, depth, n_out):
    """Hidden layers with SiLU, and a last layer that starts at zero: at no force."""
    sizes = [n_in, *[width] * depth]
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), nn.SiLU()]
    last = nn.Linear(sizes[-1], n_out)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*layers, last)


def evaluate(net, features):
    """Output of a network in the dtype of the features, computed in that of its weights."""
    return net(features.to(net[0].weight.dtype)).to(features.dtype)


class TwoForces(nn.Module):
    """The step of Park 2022, Eqs 5.1-5.3.

    Parameters
    ----------
    before, after : nn.Module
        ``force(q, p, side)``, with the parameters θ1 and θ2.
    dt : float
    """

    def __init__(self, before, after, dt):
        super().__init__()
        self.before, self.after, self.dt = before, after, dt

    def step(self, q, p, side):
        """Positions and momenta after one step."""
        p = p + 0.5 * self.dt * self.before(q, p, side)
        q = q + self.dt * p
        return q, p + 0.5 * self.dt * self.after(q, p, side)


class PairNet(nn.Module):
    """Eq. 5.5: a network of Δq, Δp and dt/2, summed over all other particles."""

    def __init__(self, law, dt, width, depth):
        super().__init__()
        epsilon, self.sigma = units_of(law)
        self.speed, self.half = math.sqrt(epsilon), 0.5 * dt
        self.unit = self.speed / self.half
        self.net = perceptron(5, width, depth, 2)

    def forward(self, q, p, side):
        """Forces, like ``q``."""
        first, second, d, v = list_pairs(q, p, side)
        d, v = torch.cat([d, -d]) / self.sigma, torch.cat([v, -v]) / self.speed
        half = torch.full_like(d[:, :1], self.half * self.speed / self.sigma)
        force = self.unit * evaluate(self.net, torch.cat([d, v, half], dim=1))
        total = torch.zeros_like(q).flatten(0, 1)
        return total.index_add(0, torch.cat([first, second]), force).view_as(q)


class EquivariantPairNet(nn.Module):
    """Antisymmetric pair forces along Δq and Δp, with coefficients of their invariants."""

    def __init__(self, law, dt, width, depth):
        super().__init__()
        epsilon, self.sigma = units_of(law)
        self.speed, self.dt = math.sqrt(epsilon), dt
        self.unit = self.speed / (0.5 * dt)
        self.net = perceptron(6 + len(_FLIGHTS), width, depth, 2)

    def forward(self, q, p, side):
        """Forces, like ``q``."""
        first, second, d, v = list_pairs(q, p, side)
        d, v = d / self.sigma, v / self.speed
        r = d.square().sum(-1, keepdim=True).sqrt()
        axis = d / r
        weights = evaluate(self.net, self._invariants(d, v, r, axis))
        fade = self.unit / (1.0 + (r / _RANGE) ** 6)  # a network alone would not end far away
        force = fade * (weights[:, :1] * axis + weights[:, 1:] * v)
        return antisymmetric_sum(force, first, second, q)

    def _invariants(self, d, v, r, axis):
        along = (v * axis).sum(-1, keepdim=True)
        speed2 = v.square().sum(-1, keepdim=True)
        flight = self.dt * self.speed / self.sigma
        later = [
            1.0 / ((d + t * flight * v).square().sum(-1, keepdim=True) + 0.25) for t in _FLIGHTS
        ]
        bounded = [1.0 / r, r**-3, r / (1.0 + r), along, speed2 / (1.0 + speed2).sqrt()]
        across = (speed2 - along**2).clamp(min=0.0)
        return torch.cat([*bounded, across / (1.0 + across).sqrt(), *later], dim=1)


def antisymmetric_sum(force, first, second, like):
    """Forces of pairs added to the first particle and taken from the second.

    In the dtype of the states, so that the total is zero to its rounding.
    """
    return gather(force, first, second, like.shape[0] * like.shape[1]).view_as(like)


class Fields(nn.Module):
    """Gradient of the potential and momentum field on a hexagon (Eqs 5.7-5.10).

    Parameters
    ----------
    law : tuple
    radius : float
        Of the hexagon.
    clip : float
        ω; each component of the gradient is clipped to it.
    floor : float
        Distance below which the strength of the gradient no longer grows.
    """

    def __init__(self, law, radius, clip, floor):
        super().__init__()
        self.law, self.clip, self.floor2 = law, clip, floor**2
        self.nearest2 = (_NEAREST * units_of(law)[1]) ** 2
        angles = torch.arange(N_GRID, dtype=torch.float64) * (2.0 * math.pi / N_GRID)
        grid = radius * torch.stack([angles.cos(), angles.sin()], dim=-1)
        self.register_buffer("grid", grid, persistent=False)

    def forward(self, d, v, side, own, axis):
        """Fields on the grids of some particles, each in its own frame.

        Parameters
        ----------
        d, v : torch.Tensor, shape (m, n, 2)
            Positions and momenta of all particles relative to those in question: for
            particle i, shortest images of ``q_i - q_k`` and ``p_k - p_i``.
        side : torch.Tensor, shape (m,)
        own : torch.Tensor of int, shape (m,)
            Which of the n it is itself.
        axis : torch.Tensor, shape (m, 2)
            Unit vector: the first axis of its frame.

        Returns
        -------
        gradient, velocity : torch.Tensor, shape (m, N_GRID, 2)
            ``∇Φ``, clipped, and ``v_l - p_i``.
        """
        size = max(1, _FIELDS_PER_PASS // d.shape[1])
        parts = zip(*(x.split(size) for x in (d, v, side, own, axis)), strict=True)
        gradient, velocity = zip(*(self._part(*part) for part in parts), strict=True)
        return torch.cat(gradient), torch.cat(velocity)

    def _part(self, d, v, side, own, axis):
        # components apart, each a matrix of grid points and sources: (m, N_GRID, n)
        (ax, ay), (gx, gy) = axis[:, None].unbind(-1), self.grid.to(d.dtype).unbind(-1)
        side = side[:, None, None]
        dx = nearest(d[:, None, :, 0] + (ax * gx - ay * gy)[:, :, None], side)
        dy = nearest(d[:, None, :, 1] + (ay * gx + ax * gy)[:, :, None], side)
        r2 = dx * dx + dy * dy
        weight = r2.clamp(min=self.nearest2).rsqrt()
        velocity = (weight @ v) / weight.sum(-1, keepdim=True)
        strength = force_over_distance(r2.clamp(min=self.floor2), self.law)
        strength = strength.scatter(2, own[:, None, None].expand(-1, N_GRID, 1), 0.0)
        gradient = torch.stack([(strength * dx).sum(-1), (strength * dy).sum(-1)], dim=-1)
        turn = torch.stack([axis, torch.stack([-axis[:, 1], axis[:, 0]], dim=-1)], dim=-1)
        return (-gradient @ turn).clamp(-self.clip, self.clip), velocity @ turn


class ManyBodyNet(nn.Module):
    """Eq. 5.11: a network of the fields around a particle and dt/2."""

    def __init__(self, law, dt, width, depth, radius, clip):
        super().__init__()
        self.epsilon, self.sigma = units_of(law)
        self.speed, self.half = math.sqrt(self.epsilon), 0.5 * dt
        self.unit = self.speed / self.half
        self.fields = Fields(
            law, radius * self.sigma, clip * self.epsilon / self.sigma, _NEAREST * self.sigma
        )
        self.net = perceptron(4 * N_GRID + 1, width, depth, 2)

    def forward(self, q, p, side):
        """Forces, like ``q``."""
        n_samples, n = q.shape[:2]
        dtype = self.net[0].weight.dtype
        d, v = all_differences(q, p, side, dtype)
        node = torch.arange(n_samples * n, device=q.device)
        axis = torch.zeros_like(d[:, 0])
        axis[:, 0] = 1.0
        fields = self.fields(d, v, side.to(dtype)[node // n], node % n, axis)
        features = scaled(fields, self.epsilon / self.sigma, self.speed).flatten(1)
        half = torch.full_like(features[:, :1], self.half * self.speed / self.sigma)
        return (self.unit * self.net(torch.cat([features, half], dim=1)).to(q.dtype)).view_as(q)


def all_differences(q, p, side, dtype):
    """Of each particle to all n in its sample: ``q_i - q_k`` and ``p_k - p_i``, (m, n, 2)."""
    d = q[:, :, None] - q[:, None]
    side = side[:, None, None, None]
    d = nearest(d, side)
    v = p[:, None] - p[:, :, None]
    return d.flatten(0, 1).to(dtype), v.flatten(0, 1).to(dtype)


def scaled(fields, force, speed):
    """What a network sees of the fields, shape (m, N_GRID, 4): gradients span decades."""
    gradient, velocity = fields
    return torch.cat([0.5 * torch.asinh(gradient / force), velocity / speed], dim=-1)


class EquivariantManyBodyNet(nn.Module):
    """Antisymmetric forces of neighbouring pairs, from the fields around both.

    The hexagons are turned so that one corner points along the line that joins the two;
    what the network says is made symmetric under the reflection about it and under the
    exchange of the two particles.

    Parameters
    ----------
    reach : float
        Distance, in σ, at which the force of a pair has faded to zero.
    """

    def __init__(self, law, dt, width, depth, radius, clip, reach):
        super().__init__()
        self.epsilon, self.sigma = units_of(law)
        self.speed, self.reach = math.sqrt(self.epsilon), reach * self.sigma
        self.unit = self.speed / (0.5 * dt)
        self.fields = Fields(
            law, radius * self.sigma, clip * self.epsilon / self.sigma, _FLOOR * self.sigma
        )
        self.net = perceptron(8 * N_GRID + 5, width, depth, 2)
        mirror = [(N_GRID - corner) % N_GRID for corner in range(N_GRID)]
        self.register_buffer("mirror", torch.tensor(mirror), persistent=False)

    def forward(self, q, p, side):
        """Forces, like ``q``."""
        first, second, d, v = list_pairs(q, p, side)
        near = torch.nonzero(d.detach().square().sum(-1) < self.reach**2)[:, 0]
        first, second, d, v = (x[near] for x in (first, second, d, v))
        if len(near) == 0:
            return torch.zeros_like(q)
        r = d.square().sum(-1, keepdim=True).sqrt()
        axis = d / r
        across = torch.stack([-axis[:, 1], axis[:, 0]], dim=-1)
        weights = self._symmetric(*self._features(q, p, side, first, second, axis), r, v, axis)
        fade = self.unit * (1.0 - (r / self.reach) ** 2) ** 2
        force = fade * (weights[:, :1] * axis + weights[:, 1:] * across)
        return antisymmetric_sum(force, first, second, q)

    def _features(self, q, p, side, first, second, axis):
        """Of the first and of the second particle, each in the frame that looks away from
        the other; shape (n_pairs, N_GRID, 4)."""
        n = q.shape[1]
        dtype = self.net[0].weight.dtype
        d, v = all_differences(q, p, side, dtype)
        node, axis = torch.cat([first, second]), torch.cat([axis, -axis]).to(dtype)
        fields = self.fields(d[node], v[node], side.to(dtype)[node // n], node % n, axis)
        return scaled(fields, self.epsilon / self.sigma, self.speed).chunk(2)

    def _symmetric(self, own, other, r, v, axis):
        """Mean over reflection and exchange; the component across changes sign in the former."""
        r, v = r / self.sigma, v / self.speed
        along = (v * axis).sum(-1, keepdim=True)
        across = v[:, 1:] * axis[:, :1] - v[:, :1] * axis[:, 1:]
        pair = torch.cat([1.0 / r, r**-3, r / (1.0 + r), along], dim=1).to(own.dtype)
        across = across.to(own.dtype)
        sign = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=own.dtype, device=own.device)
        mirrored = [(x[:, self.mirror] * sign).flatten(1) for x in (own, other)]
        own, other = own.flatten(1), other.flatten(1)
        views = [
            torch.cat([own, other, pair, across], dim=1),
            torch.cat([other, own, pair, across], dim=1),
            torch.cat([*mirrored, pair, -across], dim=1),
            torch.cat([*mirrored[::-1], pair, -across], dim=1),
        ]
        a, b, c, d = self.net(torch.cat(views)).to(r.dtype).chunk(4)
        return 0.25 * ((a + b) + (c + d) * sign[:2].to(r.dtype))


class Mixture(nn.Module):
    """Eq. 5.13: ``Γ mb + (1 - Γ) pw`` with Γ the sigmoid of a learned number."""

    def __init__(self, pairwise, many_body):
        super().__init__()
        self.pairwise, self.many_body = pairwise, many_body
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, q, p, side):
        """Forces, like ``q``."""
        gamma = torch.sigmoid(self.weight).to(q.dtype)
        return gamma * self.many_body(q, p, side) + (1.0 - gamma) * self.pairwise(q, p, side)
