"""The energy of :class:`EquivariantSpinPotential` in torch: the twin of its kernel."""

import torch
from torch import nn

from .._kernels.spin_descriptors import ALL_FORMS, FADE, ISOTROPIC_FORMS, count_invariants


class InvariantEnergy(nn.Module):
    """Energies of frames from invariants of positions and spins.

    Parameters
    ----------
    n_species, n_basis, n_channels, lmax, width : int
    cutoff : float
    spin_orbit : bool
    stiffness : float
        Of the walls, in eV/Å³.
    """

    def __init__(self, n_species, n_basis, n_channels, lmax, width, cutoff, spin_orbit, stiffness):
        super().__init__()
        self.stiffness = stiffness
        self.n_species, self.n_basis, self.lmax = n_species, n_basis, lmax
        self.cutoff, self.spin_orbit = cutoff, spin_orbit
        self.n_forms = ALL_FORMS if spin_orbit else ISOTROPIC_FORMS
        n = count_invariants(n_channels, lmax, spin_orbit)
        pairs = n_species * n_species
        self.forms = nn.Parameter(torch.zeros(pairs, n_basis, self.n_forms))
        self.channels = nn.Parameter(torch.zeros(pairs, n_basis, n_channels))
        self.linear = nn.Parameter(torch.zeros(n_species, n))
        self.hidden = nn.Parameter(torch.randn(n_species, width, n) / n**0.5)
        self.bias = nn.Parameter(torch.zeros(n_species, width))
        self.output = nn.Parameter(torch.zeros(n_species, width))
        for name, value in (("mean", 0.0), ("spread", 1.0)):
            self.register_buffer(name, torch.full((n_species, n), value))
        self.register_buffer("shift", torch.zeros(n_species))
        self.register_buffer("inverse_moment", torch.ones(n_species))
        self.register_buffer("wall", torch.zeros(n_species, n_species))

    def energies(self, position, spin, kind, neighbour, offset):
        """Energy of each frame.

        Parameters
        ----------
        position, spin : Tensor, shape (n_frames, n_atoms, 3)
        kind : Tensor of int, shape (n_frames, n_atoms)
            Numbers of the species, -1 for padding.
        neighbour : Tensor of int, shape (n_frames, n_atoms, n_most)
        offset : Tensor, shape (n_frames, n_atoms, n_most, 3)

        Returns
        -------
        Tensor, shape (n_frames,)
        """
        n_frames, n_atoms = kind.shape
        real = kind >= 0
        atom_kind = kind.clamp(min=0).reshape(-1)
        present = (neighbour >= 0) & real[..., None]
        frame = torch.arange(n_frames, device=kind.device)[:, None, None] * n_atoms
        j = (frame + neighbour.clamp(min=0)).reshape(n_frames * n_atoms, -1)
        present, offset = present.reshape(j.shape), offset.reshape(*j.shape, 3)
        x = position.reshape(-1, 3)
        sigma = spin.reshape(-1, 3) * self.inverse_moment[atom_kind][:, None]
        d = x[j] + offset - x[:, None]
        far = torch.tensor([self.cutoff, 0.0, 0.0], dtype=d.dtype, device=d.device)
        d = torch.where(present[..., None], d, far)
        r = d.square().sum(-1).sqrt()
        n = d / r[..., None]
        phi = self.radial(r)
        pair_kind = atom_kind[:, None] * self.n_species + atom_kind[j]
        other = torch.where(present[..., None], sigma[j], 0.0)
        # a spin's square less its value at rest; see the kernel pair_forms
        s = sigma.square().sum(-1) - (self.inverse_moment[atom_kind] > 0).to(sigma)
        sj = torch.where(present, s[j], 0.0)
        energy = self.pair_energy(phi, r, n, sigma, other, s, sj, pair_kind)
        density = self.density(phi, n, other, pair_kind)
        energy = energy + self.readout(self.invariants(density, sigma, s), atom_kind)
        energy = (energy + self.shift[atom_kind]).reshape(n_frames, n_atoms)
        return torch.where(real, energy, 0.0).sum(1)

    def radial(self, r):
        """Basis functions, shape (..., n_basis); zero from the cutoff on."""
        x = 1.0 - 2.0 * r / self.cutoff
        v = ((r / self.cutoff - FADE) / (1.0 - FADE)).clamp(0.0, 1.0)
        fade = 1.0 - v**3 * (10.0 - v * (15.0 - 6.0 * v))
        terms = [torch.ones_like(x), x]
        while len(terms) < self.n_basis:
            terms.append(2.0 * x * terms[-1] - terms[-2])
        return torch.stack(terms[: self.n_basis], -1) * fade[..., None]

    def mixed(self, phi, weights, pair_kind):
        """Basis functions mixed by the weights of each pair of species."""
        if len(weights) == 1:
            return phi @ weights[0]
        total = 0.0
        for number, part in enumerate(weights):
            total = total + torch.where((pair_kind == number)[..., None], phi @ part, 0.0)
        return total

    def pair_energy(self, phi, r, n, sigma, other, s, sj, pair_kind):
        """Energy of each atom from functions of two spins, and the walls."""
        g = self.mixed(phi, self.forms, pair_kind)
        si, t = s[:, None].expand(r.shape), (sigma[:, None] * other).sum(-1)
        forms = [torch.ones_like(t), si, si * si, si * sj, t, t * si, t * si * sj, t * t,
                 t * t * si, t * t * t, t * si * si]  # fmt: skip
        if self.spin_orbit:
            ci, cj = (sigma[:, None] * n).sum(-1), (other * n).sum(-1)
            forms += [ci * cj, ci * ci, t * ci * cj, ci * cj * si]
        gap = (self.wall.reshape(-1)[pair_kind] - r).clamp(min=0.0)
        return ((g * torch.stack(forms, -1)).sum(-1) + self.stiffness * gap**3).sum(-1)

    def density(self, phi, n, other, pair_kind):
        """Densities (n_atoms, n_channels, 4, n_harmonics) about each atom."""
        channels = self.mixed(phi, self.channels, pair_kind)
        charge = torch.cat([torch.ones_like(other[..., :1]), other], -1)
        charged = charge[..., :, None] * harmonics(n, self.lmax)[..., None, :]
        summed = channels.transpose(-1, -2) @ charged.flatten(-2)
        return summed.unflatten(-1, charged.shape[-2:])

    def invariants(self, density, sigma, s):
        """Invariants, in the order of the kernel."""
        n_k = density.shape[1]
        k, q = torch.triu_indices(n_k, n_k, device=density.device)
        a, b = density[:, :, 0], density[:, :, 1:]
        along = torch.einsum("ikam,ia->ikm", b, sigma)
        s = s[:, None]
        a0, p = a[..., 0], along[..., 0]
        out = [a0, p, s, s * s, s * s * s, s * a0, s * p, p[:, k] * p[:, q]]
        for l in range(self.lmax + 1):
            part = slice(l * l, (l + 1) ** 2)
            aa = torch.einsum("ikm,iqm->ikq", a[..., part], a[..., part])
            bb = torch.einsum("ikam,iqam->ikq", b[..., part], b[..., part])
            ab = torch.einsum("ikm,iqm->ikq", a[..., part], along[..., part])
            out += [aa[:, k, q], bb[:, k, q], ab.flatten(1)]
        if self.spin_orbit:
            a1, t = a[..., 1:4], b[..., 1:4]
            c = torch.einsum("ikm,im->ik", a1, sigma)
            trace = torch.einsum("ikaa->ik", t)
            tt = torch.einsum("ikab,iqba->ikq", t, t)
            st = torch.einsum("ika,iqab,ib->ikq", a1, t, sigma)
            joint = [c[:, k] * c[:, q], trace[:, k] * trace[:, q], tt[:, k, q]]
            out.append(torch.stack(joint, -1).flatten(1))
            out.append(torch.stack([c[:, :, None] * trace[:, None], st], -1).flatten(1))
        return torch.cat(out, -1)

    def readout(self, x, atom_kind):
        """Energy of each atom: linear, and a network of one hidden layer."""
        total = 0.0
        for number in range(self.n_species):
            z = (x - self.mean[number]) / self.spread[number]
            h = torch.tanh(z @ self.hidden[number].T + self.bias[number])
            e = z @ self.linear[number] + h @ self.output[number]
            total = total + torch.where(atom_kind == number, e, 0.0)
        return total


def harmonics(n, lmax):
    """Real harmonics of unit vectors; see the kernel of that name."""
    x, y, z = n.unbind(-1)
    out = [torch.ones_like(x)]
    if lmax > 0:
        out += [x, y, z]
    if lmax > 1:
        a = 3.0**0.5
        out += [a * x * y, a * y * z, a * z * x, 0.5 * a * (x * x - y * y),
                0.5 * (2 * z * z - x * x - y * y)]  # fmt: skip
    if lmax > 2:
        a, b, c = (5 / 8) ** 0.5, 15**0.5, (3 / 8) ** 0.5
        rest = 4 * z * z - x * x - y * y
        out += [a * y * (3 * x * x - y * y), b * x * y * z, c * y * rest,
                0.5 * z * (2 * z * z - 3 * x * x - 3 * y * y), c * x * rest,
                0.5 * b * z * (x * x - y * y), a * x * (x * x - 3 * y * y)]  # fmt: skip
    return torch.stack(out, -1)
