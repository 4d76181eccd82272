"""The network of :class:`DeepSpinPotential`: smooth two-body embedding with pseudo-atoms."""

from itertools import pairwise

import torch
from torch import nn


class DeepSpinEnergy(nn.Module):
    """Energies of frames from embedded neighbours, some of which are the tips of spins.

    Parameters
    ----------
    n_species : int
    cutoff, smooth : float
        Neighbours fade between the two, in Å.
    embedding, fitting : sequence of int
        Widths of the layers.
    n_axis : int
        Columns of the second factor of the descriptor.
    """

    def __init__(self, n_species, cutoff, smooth, embedding, n_axis, fitting):
        super().__init__()
        self.n_species, self.cutoff, self.smooth, self.n_axis = n_species, cutoff, smooth, n_axis
        self.width = embedding[-1]
        self.embeddings = nn.ModuleList(_layers(1, embedding) for _ in range(2 * n_species))
        self.fittings = nn.ModuleList(
            nn.Sequential(_layers(self.width * n_axis, fitting), nn.Linear(fitting[-1], 1))
            for _ in range(n_species)
        )
        self.register_buffer("reach", torch.zeros(n_species))
        self.register_buffer("shift", torch.zeros(n_species))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("mean", torch.zeros(2 * n_species))
        self.register_buffer("spread", torch.ones(2 * n_species))
        self.register_buffer("center", torch.zeros(n_species, self.width * n_axis))
        self.register_buffer("range", torch.ones(n_species, self.width * n_axis))

    def energies(self, position, spin, kind, neighbour, offset):
        """Energy of each frame; see :meth:`InvariantEnergy.energies`."""
        n_frames, n_atoms = kind.shape
        real, atom_kind = kind >= 0, kind.clamp(min=0).reshape(-1)
        d, types = self.surroundings(position, spin, kind, neighbour, offset)
        x = (self.descriptor(d, types) - self.center[atom_kind]) / self.range[atom_kind]
        energy = torch.zeros_like(x[:, 0])
        for number, fitting in enumerate(self.fittings):
            chosen = (atom_kind == number).nonzero()[:, 0]
            energy = energy.index_add(0, chosen, self.scale * fitting(x[chosen])[:, 0])
        energy = (energy + self.shift[atom_kind]).reshape(n_frames, n_atoms)
        return torch.where(real, energy, 0.0).sum(1)

    def surroundings(self, position, spin, kind, neighbour, offset):
        """Vectors to neighbours, to the tips of their spins and of the own one; their types.

        Returns
        -------
        d : Tensor, shape (n_frames * n_atoms, 2 * n_most + 1, 3)
        types : Tensor of int
            Species of an atom, ``n_species`` more for the tip of its spin, -1 for none.
        """
        n_frames, n_atoms = kind.shape
        frame = torch.arange(n_frames, device=kind.device)[:, None, None] * n_atoms
        j = (frame + neighbour.clamp(min=0)).reshape(n_frames * n_atoms, -1)
        present = ((neighbour >= 0) & (kind >= 0)[..., None]).reshape(j.shape)
        atom_kind = kind.reshape(-1)
        x = position.reshape(-1, 3)
        reach = self.reach[atom_kind.clamp(min=0)] * (atom_kind >= 0)
        tip = reach[:, None] * spin.reshape(-1, 3)
        to_atoms = x[j] + offset.reshape(*j.shape, 3) - x[:, None]
        d = torch.cat([to_atoms, to_atoms + tip[j], tip[:, None]], 1)
        atoms = torch.where(present, atom_kind[j], -1)
        tips = torch.where(present & (reach[j] > 0), atom_kind[j] + self.n_species, -1)
        own = torch.where(reach > 0, atom_kind + self.n_species, -1)
        return d, torch.cat([atoms, tips, own[:, None]], 1)

    def descriptor(self, d, types):
        """``Gᵀ R Rᵀ G'`` of each atom, flat: Eqs 4-6 of the smooth edition of Deep Potential."""
        n_atoms = len(d)
        atom, place = (types >= 0).nonzero(as_tuple=True)
        d, types = d[atom, place], types[atom, place]
        r = d.square().sum(-1).clamp(min=1e-12).sqrt()
        near = (r < self.cutoff).nonzero()[:, 0]
        atom, d, r, types = atom[near], d[near], r[near], types[near]
        v = ((r - self.smooth) / (self.cutoff - self.smooth)).clamp(0.0, 1.0)
        s = (1.0 - v**3 * (10.0 - v * (15.0 - 6.0 * v))) / r
        embedded = torch.zeros(len(s), self.width, dtype=s.dtype, device=s.device)
        for number, net in enumerate(self.embeddings):
            chosen = (types == number).nonzero()[:, 0]
            scaled = (s[chosen] - self.mean[number]) / self.spread[number]
            embedded = embedded.index_add(0, chosen, net(scaled[:, None]))
        vectors = s[:, None] * torch.cat([torch.ones_like(s)[:, None], d / r[:, None]], 1)
        products = embedded[:, :, None] * vectors[:, None]
        empty = torch.zeros(n_atoms, *products.shape[1:], dtype=s.dtype, device=s.device)
        summed = empty.index_add(0, atom, products)
        return (summed @ summed[:, : self.n_axis].transpose(1, 2)).flatten(1)

    def prepare(self, batch):
        """Set the statistics that inputs are scaled by, from frames."""
        with torch.no_grad():
            names = ("position", "spin", "kind", "neighbour", "offset")
            d, types = self.surroundings(*(batch[name] for name in names))
            r = d.square().sum(-1).clamp(min=1e-12).sqrt()
            v = ((r - self.smooth) / (self.cutoff - self.smooth)).clamp(0.0, 1.0)
            s = (1.0 - v**3 * (10.0 - v * (15.0 - 6.0 * v))) / r
            for number in range(2 * self.n_species):
                values = s[(types == number) & (r < self.cutoff)]
                if len(values) > 1:
                    self.mean[number], self.spread[number] = values.mean(), values.std() + 1e-3
            x, kind = self.descriptor(d, types), batch["kind"].reshape(-1)
            for number in range(self.n_species):
                own = x[kind == number]
                self.center[number] = own.mean(0)
                self.range[number] = own.std() + 1e-6  # one for all: small ones stay small


def _layers(n_in, widths):
    """Layers with tanh; where a layer is as wide or twice as wide, its input is added."""
    return _Residual([n_in, *widths])


class _Residual(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, x):
        """Apply the layers."""
        for layer in self.layers:
            y = torch.tanh(layer(x))
            if y.shape[-1] == x.shape[-1]:
                y = y + x
            elif y.shape[-1] == 2 * x.shape[-1]:
                y = y + torch.cat([x, x], -1)
            x = y
        return x
