"""Weighted sums of elementary differentials of the Heisenberg lattice.

A :class:`~dlintegrate._kernels.tree_program.Program` lists vector operations
(local field, linear combination, cross product); this kernel runs it. Vectors live in
*slots* of a workspace ``(sublattice, plane, slot, component * site)``. With two
sublattices a plane is that of :mod:`dlintegrate._kernels.sweeps`: for every (y, z)
the one of the sites x = 2k, 2k + 1 that belongs to the sublattice. With one set of
coefficients for all sites (any sides, also odd) there is one plane per x. Either way
a ghost row before and after repeats the row at the other end, so that each
loop runs over a contiguous plane, and everything on the spot is done for one
plane before the next: it stays in the cache.
"""

import numpy as np

from .jit import kernel
from .sweeps import masks
from .tree_program import COMBINE, CROSS, FIELD


@kernel
def _field(before, here, after, odd, even, mask, ny, nz, coupling, bias, out):
    """One component of J Σ S_j + B; ``here`` is empty where x-neighbours lie outside."""
    size = ny * nz
    packed = odd.size > 0
    for i in range(size):
        j = i + nz
        if packed:
            out[j] = (here[j] + odd[i] * after[j]) + even[i] * before[j]
        else:
            out[j] = after[j] + before[j]
    if ny > 1:
        for i in range(size):
            out[i + nz] += here[i] + here[i + 2 * nz]
    if nz > 1:
        for i in range(size):
            j = i + nz
            out[j] += (mask[2, i] * here[j - 1] + mask[3, i] * here[j + nz - 1]) + (
                mask[4, i] * here[j + 1] + mask[5, i] * here[j - nz + 1]
            )
    for i in range(size):
        out[i + nz] = coupling * out[i + nz] + bias


@kernel
def _combine(out, a, b, c, d, w, n_terms, accumulate):
    w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
    if accumulate:
        if n_terms == 1:
            for i in range(out.size):
                out[i] += w0 * a[i]
        elif n_terms == 2:
            for i in range(out.size):
                out[i] += w0 * a[i] + w1 * b[i]
        elif n_terms == 3:
            for i in range(out.size):
                out[i] += w0 * a[i] + w1 * b[i] + w2 * c[i]
        else:
            for i in range(out.size):
                out[i] += (w0 * a[i] + w1 * b[i]) + (w2 * c[i] + w3 * d[i])
    elif n_terms == 1:
        for i in range(out.size):
            out[i] = w0 * a[i]
    elif n_terms == 2:
        for i in range(out.size):
            out[i] = w0 * a[i] + w1 * b[i]
    elif n_terms == 3:
        for i in range(out.size):
            out[i] = w0 * a[i] + w1 * b[i] + w2 * c[i]
    else:
        for i in range(out.size):
            out[i] = (w0 * a[i] + w1 * b[i]) + (w2 * c[i] + w3 * d[i])


@kernel
def _cross(x, y, z, ax, ay, az, bx, by, bz, weight, accumulate):
    if accumulate:
        for i in range(x.size):
            a, b, c = weight * ax[i], weight * ay[i], weight * az[i]
            f, g, h = bx[i], by[i], bz[i]
            x[i] += b * h - c * g
            y[i] += c * f - a * h
            z[i] += a * g - b * f
    else:
        for i in range(x.size):
            a, b, c = weight * ax[i], weight * ay[i], weight * az[i]
            f, g, h = bx[i], by[i], bz[i]
            x[i] = b * h - c * g
            y[i] = c * f - a * h
            z[i] = a * g - b * f


@kernel
def _refresh_ghosts(vector, ny, nz):
    plane = (ny + 2) * nz
    for c in range(3):
        start = c * plane
        last = start + plane - nz
        for z in range(nz):
            vector[start + z] = vector[last - nz + z]
            vector[last + z] = vector[start + nz + z]


@kernel
def _pack(spins, work):
    nx, ny, nz, _ = spins.shape
    plane = (ny + 2) * nz
    two = work.shape[0] - 1  # 1 with two sublattices
    for x in range(nx):
        k = x >> two
        for y in range(ny):
            for z in range(nz):
                target = work[((x + y + z) & 1) * two, k, 0]
                i = (y + 1) * nz + z
                target[i] = spins[x, y, z, 0]
                target[i + plane] = spins[x, y, z, 1]
                target[i + 2 * plane] = spins[x, y, z, 2]
    for s in range(work.shape[0]):
        for k in range(work.shape[1]):
            _refresh_ghosts(work[s, k, 0], ny, nz)


@kernel
def _unpack_tangent(work, slots, spins, out):
    """Write the part of the result that is perpendicular to the spins."""
    nx, ny, nz, _ = spins.shape
    plane = (ny + 2) * nz
    two = work.shape[0] - 1
    for x in range(nx):
        k = x >> two
        for y in range(ny):
            for z in range(nz):
                s = ((x + y + z) & 1) * two
                vector = work[s, k, slots[s]]
                i = (y + 1) * nz + z
                f, g, h = vector[i], vector[i + plane], vector[i + 2 * plane]
                a, b, c = spins[x, y, z, 0], spins[x, y, z, 1], spins[x, y, z, 2]
                along = f * a + g * b + h * c
                out[x, y, z, 0] = f - along * a
                out[x, y, z, 1] = g - along * b
                out[x, y, z, 2] = h - along * c


@kernel
def _run(work, scratch, row, weight, sublattice, k, mask, ny, nz, coupling, bias):
    """Execute one row of a program on one plane."""
    n_sublattices, n_planes, n_slots, _ = work.shape
    plane = (ny + 2) * nz
    kind, target = row[0], row[1]
    own = work[sublattice, k]
    out = own[target] if target < n_slots else scratch[target - n_slots]
    if kind == FIELD:
        other = work[n_sublattices - 1 - sublattice]
        slot = row[3]
        odd = mask[1 - sublattice] if n_sublattices == 2 else mask[0, :0]
        even = mask[sublattice]
        before, after = other[(k - 1) % n_planes, slot], other[(k + 1) % n_planes, slot]
        here = other[k, slot]
        for c in range(3):
            p, q = c * plane, (c + 1) * plane
            _field(
                before[p:q], here[p:q], after[p:q], odd, even, mask, ny, nz, coupling,
                bias[c] if slot == 0 else 0.0, out[p:q],
            )  # fmt: skip
    elif kind == CROSS:
        i, j = row[3], row[4]
        a = own[i] if i < n_slots else scratch[i - n_slots]
        b = own[j] if j < n_slots else scratch[j - n_slots]
        p, q, m = nz, plane - nz, plane
        _cross(
            out[p:q], out[p + m : q + m], out[p + 2 * m : q + 2 * m],
            a[p:q], a[p + m : q + m], a[p + 2 * m : q + 2 * m],
            b[p:q], b[p + m : q + m], b[p + 2 * m : q + 2 * m], weight[0], row[7],
        )  # fmt: skip
    elif kind == COMBINE:
        i, j, l, m = row[3], row[4], row[5], row[6]
        a = own[i] if i < n_slots else scratch[i - n_slots]
        b = own[j] if j < n_slots else scratch[j - n_slots]
        c = own[l] if l < n_slots else scratch[l - n_slots]
        d = own[m] if m < n_slots else scratch[m - n_slots]
        _combine(out, a, b, c, d, weight, row[2], row[7])
    if row[8]:
        _refresh_ghosts(out, ny, nz)


@kernel
def residue(spins, rows, weights, levels, n_slots, n_scratch, results, coupling, bias, out):
    """Run a program on every sample and write the tangent part of its result.

    Parameters
    ----------
    spins : ndarray, shape (n_samples, X, Y, Z, 3)
        Where the trees are evaluated.
    rows, weights, levels, n_slots, n_scratch, results
        The fields of a program.
    coupling : float
    bias : ndarray, shape (3,)
    out : ndarray, shape of ``spins``
    """
    n, nx, ny, nz, _ = spins.shape
    n_sublattices = len(results)
    size = 3 * (ny + 2) * nz
    work = np.zeros((n_sublattices, nx // n_sublattices, n_slots, size))
    scratch = np.zeros((n_scratch, size))
    mask = masks(ny, nz)
    for i in range(n):
        _pack(spins[i], work)
        for j in range(len(levels)):
            sublattice, start, stop = levels[j]
            for k in range(work.shape[1]):
                for r in range(start, stop):
                    _run(
                        work, scratch, rows[r], weights[r], sublattice, k,
                        mask, ny, nz, coupling, bias,
                    )  # fmt: skip
        _unpack_tangent(work, results, spins[i], out[i])
