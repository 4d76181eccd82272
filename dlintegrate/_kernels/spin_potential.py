"""Energy and gradients of a potential of positions and spins, atom by atom.

An atom's energy depends on its neighbours alone: their data stay in a small buffer while the
densities are summed, the readout is made, and its gradient is handed back to the neighbours.
"""

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


@kernel
def neighbours_of(i, positions, pairs_second, offset, start, stop, cutoff, near, vectors):
    """Write neighbours of atom i within the cutoff and (unit vector, distance); return how many."""
    count = 0
    for p in range(start, stop):
        j = pairs_second[p]
        square = 0.0
        for c in range(3):
            vectors[count, c] = positions[j, c] + offset[p, c] - positions[i, c]
            square += vectors[count, c] * vectors[count, c]
        if 0.0 < square < cutoff * cutoff:
            r = np.sqrt(square)
            for c in range(3):
                vectors[count, c] /= r
            vectors[count, 3] = r
            near[count] = j
            count += 1
    return count


@kernel
def mixed_radial(r, cutoff, weights, phi, slope, value, derivative):
    """Radial functions of a pair of species: weights (n_basis, n_functions) on the basis."""
    radial_basis(r, cutoff, phi, slope)
    value[:] = 0.0
    derivative[:] = 0.0
    for n in range(len(phi)):
        a, b = phi[n], slope[n]
        for t in range(len(value)):
            value[t] += a * weights[n, t]
            derivative[t] += b * weights[n, t]


@kernel
def evaluate(
    positions, spins, species, rest, n_atoms, pairs_second, offset, starts, cutoff, radial, wall,
    stiffness, linear, hidden, bias, output, n_forms, lmax, spin_orbit, energy, force, field,
    virial,
):  # fmt: skip
    """Energies (n_samples,), forces, -∂E/∂σ and virials, all overwritten.

    Parameters
    ----------
    positions, spins : ndarray, shape (n_samples * n_atoms, 3)
        Spins in units of their species' moment; float64.
    species : ndarray of int, shape (n_atoms,)
    rest : ndarray, shape (n_species,)
        Square of a spin at rest: 1, or 0 for species without moment.
    pairs_second, offset, starts
        Of :class:`~dlintegrate._kernels.neighbours.Pairs`.
    radial : ndarray, shape (n_species, n_species, n_basis, n_forms + n_channels)
        Radial functions: coefficients of the pair forms, then the channels. Its precision is
        that of the work.
    wall : ndarray, shape (n_species, n_species)
        Distances below which pairs are pushed apart, as ``stiffness * (wall - r)³``.
    linear : ndarray, shape (n_species, n_invariants)
    hidden : ndarray, shape (n_species, width, n_invariants)
    bias, output : ndarray, shape (n_species, width)
    """
    precision = radial.dtype
    n_basis, n_functions = radial.shape[2], radial.shape[3]
    n_k, n_m = n_functions - n_forms, (lmax + 1) * (lmax + 1)
    width = hidden.shape[1]
    most = 1
    for i in range(len(starts) - 1):
        most = max(most, starts[i + 1] - starts[i])
    near = np.empty(most, np.int64)
    vectors = np.empty((most + 1, 4))
    value = np.empty((most, n_functions), precision)
    slope = np.empty((most, n_functions), precision)
    charged = np.empty((most, 4 * n_m), precision)
    phi, d_phi = np.empty(n_basis, precision), np.empty(n_basis, precision)
    y = np.empty(n_m)
    forms = np.empty(n_forms)
    density = np.empty((n_k, 4, n_m), precision)
    d_density = np.empty((n_k, 4, n_m), precision)
    flat, d_flat = density.reshape(n_k, 4 * n_m), d_density.reshape(n_k, 4 * n_m)
    along, d_along = np.empty((n_k, n_m)), np.empty((n_k, n_m))
    x, d_x = np.empty(linear.shape[1], precision), np.empty(linear.shape[1], precision)
    d_value, d_slope = np.empty(4 * n_m, precision), np.empty(4 * n_m, precision)
    d_y, d_sigma = np.empty(n_m), np.empty(3)
    energy[:] = 0.0
    force[:] = 0.0
    field[:] = 0.0
    virial[:] = 0.0
    for i in range(len(starts) - 1):
        sample = i // n_atoms
        kind = species[i - sample * n_atoms]
        own = spins[i]
        si = own[0] * own[0] + own[1] * own[1] + own[2] * own[2] - rest[kind]
        total = 0.0
        count = neighbours_of(
            i, positions, pairs_second, offset, starts[i], starts[i + 1], cutoff, near, vectors
        )
        density[:] = 0.0
        for p in range(count):
            j, r = near[p], vectors[p, 3]
            other, g, dg = spins[j], value[p], slope[p]
            kind_j = species[j - sample * n_atoms]
            mixed_radial(r, cutoff, radial[kind, kind_j], phi, d_phi, g, dg)
            nx, ny, nz = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            sj = other[0] * other[0] + other[1] * other[1] + other[2] * other[2] - rest[kind_j]
            t = own[0] * other[0] + own[1] * other[1] + own[2] * other[2]
            ci = own[0] * nx + own[1] * ny + own[2] * nz
            cj = other[0] * nx + other[1] * ny + other[2] * nz
            pair_forms(t, si, sj, ci, cj, forms)
            e, de = 0.0, 0.0
            for f in range(n_forms):
                e += g[f] * forms[f]
                de += dg[f] * forms[f]
            gap = wall[kind, kind_j] - r
            if gap > 0.0:
                e += stiffness * gap * gap * gap
                de -= 3.0 * stiffness * gap * gap
            total += e
            dt, di, dj, dci, dcj = pair_forms_slope(t, si, sj, ci, cj, g[:n_forms])
            for c in range(3):
                n = vectors[p, c]
                pull = de * n + (dci * (own[c] - ci * n) + dcj * (other[c] - cj * n)) / r
                force[i, c] += pull
                force[j, c] -= pull
                field[i, c] -= dt * other[c] + 2.0 * di * own[c] + dci * n
                field[j, c] -= dt * own[c] + 2.0 * dj * other[c] + dcj * n
                for b in range(3):
                    virial[sample, c, b] -= pull * vectors[p, b] * r
            harmonics(nx, ny, nz, lmax, y)
            row = charged[p]
            for m in range(n_m):
                row[m] = y[m]
                for a in range(3):
                    row[(1 + a) * n_m + m] = other[a] * y[m]
            for k in range(n_k):
                w, target = g[n_forms + k], flat[k]
                for c in range(4 * n_m):
                    target[c] += w * row[c]
        project(density, own, along)
        invariants(density, own, rest[kind], lmax, spin_orbit, along, x)
        for d in range(len(x)):
            total += linear[kind, d] * x[d]
            d_x[d] = linear[kind, d]
        for h in range(width):
            z = float(bias[kind, h])
            weights = hidden[kind, h]
            for d in range(len(x)):
                z += weights[d] * x[d]
            tanh = np.tanh(z)
            total += output[kind, h] * tanh
            phi[0] = output[kind, h] * (1.0 - tanh * tanh)
            back = phi[0]
            for d in range(len(x)):
                d_x[d] += back * weights[d]
        energy[sample] += total
        invariants_slope(
            density, own, rest[kind], lmax, spin_orbit, along, d_x, d_density, d_sigma, d_along
        )
        for c in range(3):
            field[i, c] -= d_sigma[c]
        for p in range(count):
            j, r = near[p], vectors[p, 3]
            other, g, dg, row = spins[j], value[p], slope[p], charged[p]
            d_value[:] = 0.0
            d_slope[:] = 0.0
            for k in range(n_k):
                w, dw, source = g[n_forms + k], dg[n_forms + k], d_flat[k]
                for c in range(4 * n_m):
                    d_value[c] += w * source[c]
                    d_slope[c] += dw * source[c]
            de = 0.0
            for c in range(4 * n_m):
                de += d_slope[c] * row[c]
            for m in range(n_m):
                d_y[m] = d_value[m]
                for a in range(3):
                    d_y[m] += other[a] * d_value[(1 + a) * n_m + m]
            nx, ny, nz = vectors[p, 0], vectors[p, 1], vectors[p, 2]
            harmonics(nx, ny, nz, lmax, y)
            gx, gy, gz = harmonics_slope(nx, ny, nz, lmax, d_y)
            radially = gx * nx + gy * ny + gz * nz
            pull = (
                de * nx + (gx - radially * nx) / r,
                de * ny + (gy - radially * ny) / r,
                de * nz + (gz - radially * nz) / r,
            )
            for c in range(3):
                force[i, c] += pull[c]
                force[j, c] -= pull[c]
                turn = 0.0
                for m in range(n_m):
                    turn += d_value[(1 + c) * n_m + m] * y[m]
                field[j, c] -= turn
                for b in range(3):
                    virial[sample, c, b] -= pull[c] * vectors[p, b] * r
