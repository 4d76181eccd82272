"""Energy, forces, magnetic forces and virial of atoms with moments, from tables of pair laws.

Bonds are taken once (``first < second``; an atom's own images count half), in the canonical
order of the list, so results depend neither on the batch nor on the age of the list, and
forces on the two ends of a bond are opposite to the last bit.
"""

from typing import NamedTuple

import numpy as np

from .jit import kernel
from .radial import look_up


class Terms(NamedTuple):
    """Which table serves which pair of kinds of atoms (-1: none), and what acts on single spins."""

    kind: np.ndarray  #: (n_atoms,) int64
    inverse_moment: np.ndarray  #: (n_atoms,) 1/μB; 0 without a moment
    exchange: np.ndarray  #: (n_kinds, n_kinds) int64: J
    pair: np.ndarray  #: (n_kinds, n_kinds) int64: φ
    density: np.ndarray  #: (n_kinds, n_kinds) int64: ρ at the first kind, from the second
    embedding: np.ndarray  #: (n_kinds,) int64: F
    root: np.ndarray  #: (n_kinds,) A of F = -A √ρ; 0: see the table
    cutoff: float  #: longest of all tables
    embedded: bool  #: whether there is a density at all
    offset: float  #: 1 for e·e' - 1, 0 for e·e'
    field: np.ndarray  #: (3,) eV/μB
    uniaxial: np.ndarray  #: (n, 4) strength in eV and unit axis
    cubic: np.ndarray  #: (n, 11) K1, K2 in eV and three unit axes


@kernel
def later(pairs, i):
    """Where the pairs of atom i begin whose second atom is not before it."""
    low, high = pairs.starts[i], pairs.starts[i + 1]
    while low < high:
        middle = (low + high) // 2
        if pairs.second[middle] < i:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def embed(terms, tables, kind, density):
    """F(ρ) and its slope."""
    amplitude = terms.root[kind]
    if amplitude != 0.0:
        root = np.sqrt(max(density, 0.0))
        return -amplitude * root, (-0.5 * amplitude / root if root > 0.0 else 0.0)
    if terms.embedding[kind] < 0:
        return 0.0, 0.0
    return look_up(tables, terms.embedding[kind], density)


@kernel
def densities(positions, pairs, tables, terms, begin, n_atoms, density):
    """Add up the densities at the atoms of one sample."""
    reach = terms.cutoff * terms.cutoff
    density[:] = 0.0
    for a in range(n_atoms):
        i = begin + a
        ki = terms.kind[a]
        for p in range(later(pairs, i), pairs.starts[i + 1]):
            j = pairs.second[p]
            x = positions[j, 0] + pairs.offset[p, 0] - positions[i, 0]
            y = positions[j, 1] + pairs.offset[p, 1] - positions[i, 1]
            z = positions[j, 2] + pairs.offset[p, 2] - positions[i, 2]
            square = x * x + y * y + z * z
            if not square < reach:
                continue
            r = np.sqrt(square)
            kj = terms.kind[j - begin]
            here, there = terms.density[ki, kj], terms.density[kj, ki]
            at_i = at_j = 0.0
            if here >= 0 and r < tables.cutoff[here]:
                at_i = look_up(tables, here, r)[0]
            if there == here:
                at_j = at_i
            elif there >= 0 and r < tables.cutoff[there]:
                at_j = look_up(tables, there, r)[0]
            density[a] += at_i
            if j != i:
                density[j - begin] += at_j


@kernel
def evaluate_samples(positions, spins, pairs, tables, terms, energy, force, magnetic, virial):
    """Write energies (n_samples,), forces and magnetic forces, and add to the virial.

    Samples with NaN have NaN everywhere. Atoms of all samples are numbered through:
    ``positions`` ... ``magnetic`` have the shape (n_samples * n_atoms, 3).
    ``virial`` is (n_samples, 3, 3), or (0, 3, 3) if nobody asks.
    """
    n_atoms = len(terms.kind)
    reach = terms.cutoff * terms.cutoff
    wanted = len(virial) > 0
    density = np.zeros(n_atoms if terms.embedded else 0)
    slope = np.zeros(n_atoms if terms.embedded else 0)
    for s in range(len(energy)):
        begin = s * n_atoms
        total = 0.0
        sound = True
        for i in range(begin, begin + n_atoms):
            for c in range(3):
                sound = sound and np.isfinite(positions[i, c] + spins[i, c])
        blank = 0.0 if sound else np.nan
        force[begin : begin + n_atoms] = blank
        magnetic[begin : begin + n_atoms] = blank
        if not sound:
            energy[s] = np.nan
            virial[s : s + 1] = np.nan
            continue
        if terms.embedded:
            densities(positions, pairs, tables, terms, begin, n_atoms, density)
            for a in range(n_atoms):
                value, slope[a] = embed(terms, tables, terms.kind[a], density[a])
                total += value
        for a in range(n_atoms):
            i = begin + a
            ki = terms.kind[a]
            own = terms.inverse_moment[a]
            ex, ey, ez = spins[i, 0] * own, spins[i, 1] * own, spins[i, 2] * own
            fx = fy = fz = hx = hy = hz = 0.0
            for p in range(later(pairs, i), pairs.starts[i + 1]):
                j = pairs.second[p]
                x = positions[j, 0] + pairs.offset[p, 0] - positions[i, 0]
                y = positions[j, 1] + pairs.offset[p, 1] - positions[i, 1]
                z = positions[j, 2] + pairs.offset[p, 2] - positions[i, 2]
                square = x * x + y * y + z * z
                if not square < reach:
                    continue
                r = np.sqrt(square)
                b = j - begin
                kj = terms.kind[b]
                share = 0.5 if j == i else 1.0
                stretch = 0.0
                k = terms.pair[ki, kj]
                if k >= 0 and r < tables.cutoff[k]:
                    value, derivative = look_up(tables, k, r)
                    total += share * value
                    stretch += derivative
                k = terms.exchange[ki, kj]
                if k >= 0 and r < tables.cutoff[k]:
                    value, derivative = look_up(tables, k, r)
                    other = terms.inverse_moment[b]
                    ox, oy, oz = spins[j, 0] * other, spins[j, 1] * other, spins[j, 2] * other
                    turn = ex * ox + ey * oy + ez * oz - terms.offset
                    total -= share * value * turn
                    stretch -= derivative * turn
                    hx += value * ox
                    hy += value * oy
                    hz += value * oz
                    if j != i:
                        magnetic[j, 0] += value * ex
                        magnetic[j, 1] += value * ey
                        magnetic[j, 2] += value * ez
                if terms.embedded:
                    here, there = terms.density[ki, kj], terms.density[kj, ki]
                    gain = 0.0
                    if here >= 0 and r < tables.cutoff[here]:
                        gain = look_up(tables, here, r)[1]
                        stretch += slope[a] * gain
                    if there == here:
                        stretch += slope[b] * gain
                    elif there >= 0 and r < tables.cutoff[there]:
                        stretch += slope[b] * look_up(tables, there, r)[1]
                pull = stretch / r
                if j != i:
                    fx += pull * x
                    fy += pull * y
                    fz += pull * z
                    force[j, 0] -= pull * x
                    force[j, 1] -= pull * y
                    force[j, 2] -= pull * z
                if wanted:
                    pull *= share
                    virial[s, 0, 0] -= pull * x * x
                    virial[s, 1, 1] -= pull * y * y
                    virial[s, 2, 2] -= pull * z * z
                    virial[s, 0, 1] -= pull * x * y
                    virial[s, 0, 2] -= pull * x * z
                    virial[s, 1, 2] -= pull * y * z
            force[i, 0] += fx
            force[i, 1] += fy
            force[i, 2] += fz
            magnetic[i, 0] += hx
            magnetic[i, 1] += hy
            magnetic[i, 2] += hz
        for a in range(n_atoms):
            i = begin + a
            for c in range(3):
                magnetic[i, c] *= terms.inverse_moment[a]
            total += single_spin(spins[i], terms, terms.inverse_moment[a], magnetic[i])
        if wanted:
            virial[s, 1, 0] = virial[s, 0, 1]
            virial[s, 2, 0] = virial[s, 0, 2]
            virial[s, 2, 1] = virial[s, 1, 2]
        energy[s] = total


@kernel
def single_spin(spin, terms, inverse_moment, magnetic):
    """Energy of one spin in the field and by anisotropy; adds to its magnetic force."""
    if inverse_moment == 0.0:
        return 0.0
    field = terms.field
    energy = -(field[0] * spin[0] + field[1] * spin[1] + field[2] * spin[2])
    for c in range(3):
        magnetic[c] += field[c]
    for n in range(len(terms.uniaxial)):
        strength, axis = terms.uniaxial[n, 0], terms.uniaxial[n, 1:]
        along = inverse_moment * (spin[0] * axis[0] + spin[1] * axis[1] + spin[2] * axis[2])
        energy -= strength * along * along
        for c in range(3):
            magnetic[c] += 2.0 * strength * along * axis[c] * inverse_moment
    for n in range(len(terms.cubic)):
        k1, k2, axes = terms.cubic[n, 0], terms.cubic[n, 1], terms.cubic[n, 2:]
        u, v, w = along_axes(spin, inverse_moment, axes)
        u2, v2, w2 = u * u, v * v, w * w
        energy += k1 * (u2 * v2 + v2 * w2 + w2 * u2) + k2 * u2 * v2 * w2
        du = 2.0 * u * (k1 * (v2 + w2) + k2 * v2 * w2)
        dv = 2.0 * v * (k1 * (w2 + u2) + k2 * w2 * u2)
        dw = 2.0 * w * (k1 * (u2 + v2) + k2 * u2 * v2)
        for c in range(3):
            magnetic[c] -= inverse_moment * (du * axes[c] + dv * axes[3 + c] + dw * axes[6 + c])
    return energy


@kernel
def along_axes(spin, inverse_moment, axes):
    """Direction cosines of a spin to three axes."""
    u = v = w = 0.0
    for c in range(3):
        e = spin[c] * inverse_moment
        u += e * axes[c]
        v += e * axes[3 + c]
        w += e * axes[6 + c]
    return u, v, w


@kernel
def bond_couplings(positions, pairs, tables, terms, coupling):
    """Write J / (μ μ') of every listed pair, in eV/μB²; 0 beyond the cutoff."""
    n_atoms = len(terms.kind)
    for i in range(len(pairs.starts) - 1):
        a = i % n_atoms
        for p in range(pairs.starts[i], pairs.starts[i + 1]):
            j = pairs.second[p]
            x = positions[j, 0] + pairs.offset[p, 0] - positions[i, 0]
            y = positions[j, 1] + pairs.offset[p, 1] - positions[i, 1]
            z = positions[j, 2] + pairs.offset[p, 2] - positions[i, 2]
            r = np.sqrt(x * x + y * y + z * z)
            k = terms.exchange[terms.kind[a], terms.kind[j % n_atoms]]
            coupling[p] = 0.0
            if k >= 0 and r < tables.cutoff[k]:
                moments = terms.inverse_moment[a] * terms.inverse_moment[j % n_atoms]
                coupling[p] = look_up(tables, k, r)[0] * moments
