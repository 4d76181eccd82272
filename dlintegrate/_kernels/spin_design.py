"""What a linear spin potential is a sum of, with gradients: the design matrix of its fit."""

import numpy as np

from .jit import kernel
from .spin_descriptors import (
    harmonics,
    harmonics_slope,
    invariants,
    invariants_slope,
    pair_forms,
    pair_forms_slope,
    project,
    radial_basis,
)
from .spin_potential import mixed_radial, neighbours_of


@kernel
def design(
    positions, spins, species, rest, pairs_second, offset, starts, cutoff, channels, n_forms, lmax,
    spin_orbit, per_atom, energy, by_position, by_spin, by_strain,
):  # fmt: skip
    """Features of one frame and their gradients; all outputs are overwritten.

    The features are, for each pair of species, form and basis function, the sum over pairs;
    then, for each species, the sum over its atoms of each invariant.

    Parameters
    ----------
    positions, spins : ndarray, shape (n_atoms, 3)
    species : ndarray of int, shape (n_atoms,)
    rest : ndarray, shape (n_species,)
        Square of a spin at rest: 1, or 0 for species without moment.
    channels : ndarray, shape (n_species, n_species, n_basis, n_channels)
    per_atom : ndarray, shape (n_atoms, n_invariants)
        Written: the invariants of each atom.
    energy : ndarray, shape (n_features,)
    by_position, by_spin : ndarray, shape (n_features, n_atoms, 3)
        Derivatives of the features.
    by_strain : ndarray, shape (n_features, 3, 3)
        Derivatives with respect to ``ε`` in ``d → (1 + ε) d``; of length 0 where not wanted.
    """
    n_species, n_basis, n_k = channels.shape[0], channels.shape[2], channels.shape[3]
    n_m, n_x = (lmax + 1) * (lmax + 1), per_atom.shape[1]
    n_pair = n_forms * n_basis
    base = n_species * n_species * n_pair
    most = 1
    for i in range(len(starts) - 1):
        most = max(most, starts[i + 1] - starts[i])
    near = np.empty(most, np.int64)
    vectors = np.empty((most + 1, 4))
    phi, d_phi = np.empty(n_basis), np.empty(n_basis)
    g, dg = np.empty((most, n_k)), np.empty((most, n_k))
    y, unit, forms = np.empty((most, n_m)), np.zeros(n_m), np.empty(n_forms)
    density, d_density = np.empty((n_k, 4, n_m)), np.empty((n_k, 4, n_m))
    along, d_along = np.empty((n_k, n_m)), np.empty((n_k, n_m))
    one, d_sigma = np.zeros(n_x), np.empty(3)
    gradients = np.empty((n_x, n_k * 4 * n_m))
    moved = np.zeros((n_k * 4 * n_m, 3 * most))
    turned = np.zeros((n_k * 4 * n_m, 3 * most))
    one_form = np.zeros(n_forms)
    energy[:] = 0.0
    by_position[:] = 0.0
    by_spin[:] = 0.0
    by_strain[:] = 0.0
    strained = len(by_strain) > 0
    for i in range(len(starts) - 1):
        kind, own = species[i], spins[i]
        si = own[0] * own[0] + own[1] * own[1] + own[2] * own[2] - rest[kind]
        count = neighbours_of(
            i, positions, pairs_second, offset, starts[i], starts[i + 1], cutoff, near, vectors
        )
        density[:] = 0.0
        for p in range(count):
            j, r = near[p], vectors[p, 3]
            other, kind_j = spins[j], species[j]
            nx, ny, nz = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            sj = other[0] * other[0] + other[1] * other[1] + other[2] * other[2] - rest[kind_j]
            t = own[0] * other[0] + own[1] * other[1] + own[2] * other[2]
            ci = own[0] * nx + own[1] * ny + own[2] * nz
            cj = other[0] * nx + other[1] * ny + other[2] * nz
            radial_basis(r, cutoff, phi, d_phi)
            pair_forms(t, si, sj, ci, cj, forms)
            for f in range(n_forms):
                one_form[:] = 0.0
                one_form[f] = 1.0
                dt, di, dj, dci, dcj = pair_forms_slope(t, si, sj, ci, cj, one_form)
                at = (kind * n_species + kind_j) * n_pair + f * n_basis
                for n in range(n_basis):
                    energy[at + n] += phi[n] * forms[f]
                    for c in range(3):
                        u = vectors[p, c]
                        across = dci * (own[c] - ci * u) + dcj * (other[c] - cj * u)
                        push = d_phi[n] * forms[f] * u + phi[n] * across / r
                        by_position[at + n, i, c] -= push
                        by_position[at + n, j, c] += push
                        if strained:
                            for b in range(3):
                                by_strain[at + n, c, b] += push * vectors[p, b] * r
                        mine = dt * other[c] + 2.0 * di * own[c] + dci * u
                        theirs = dt * own[c] + 2.0 * dj * other[c] + dcj * u
                        by_spin[at + n, i, c] += phi[n] * mine
                        by_spin[at + n, j, c] += phi[n] * theirs
            mixed_radial(r, cutoff, channels[kind, kind_j], phi, d_phi, g[p], dg[p])
            harmonics(nx, ny, nz, lmax, y[p])
            for k in range(n_k):
                for m in range(n_m):
                    density[k, 0, m] += g[p, k] * y[p, m]
                    for a in range(3):
                        density[k, 1 + a, m] += g[p, k] * y[p, m] * other[a]
        project(density, own, along)
        invariants(density, own, rest[kind], lmax, spin_orbit, along, per_atom[i])
        at = base + kind * n_x
        for d in range(n_x):
            energy[at + d] += per_atom[i, d]
            one[d] = 1.0
            invariants_slope(
                density, own, rest[kind], lmax, spin_orbit, along, one, d_density, d_sigma, d_along
            )
            one[d] = 0.0
            gradients[d] = d_density.reshape(-1)
            for c in range(3):
                by_spin[at + d, i, c] += d_sigma[c]
        for p in range(count):
            other, r = spins[near[p]], vectors[p, 3]
            n = vectors[p]
            for m in range(n_m):
                unit[m] = 1.0
                slope = harmonics_slope(n[0], n[1], n[2], lmax, unit)
                unit[m] = 0.0
                radially = slope[0] * n[0] + slope[1] * n[1] + slope[2] * n[2]
                for c in range(3):
                    across = (slope[c] - radially * n[c]) / r
                    for k in range(n_k):
                        push = dg[p, k] * n[c] * y[p, m] + g[p, k] * across
                        row = k * 4 * n_m + m
                        moved[row, 3 * p + c] = push
                        for a in range(3):
                            moved[row + (1 + a) * n_m, 3 * p + c] = push * other[a]
                        turned[row + (1 + c) * n_m, 3 * p + c] = g[p, k] * y[p, m]
        pushes = np.dot(gradients, np.ascontiguousarray(moved[:, : 3 * count]))
        turns = np.dot(gradients, np.ascontiguousarray(turned[:, : 3 * count]))
        for d in range(n_x):
            for p in range(count):
                j = near[p]
                for c in range(3):
                    by_position[at + d, i, c] -= pushes[d, 3 * p + c]
                    by_position[at + d, j, c] += pushes[d, 3 * p + c]
                    if strained:
                        for b in range(3):
                            d_b = vectors[p, b] * vectors[p, 3]
                            by_strain[at + d, c, b] += pushes[d, 3 * p + c] * d_b
                    by_spin[at + d, j, c] += turns[d, 3 * p + c]
