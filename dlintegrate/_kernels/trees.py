"""Weighted sums of elementary differentials of the Heisenberg lattice.

A :class:`~dlintegrate._kernels.tree_program.Program` lists vector operations
(local field, linear combination, cross product); this kernel runs it.

Layout. A vector field on one sublattice is ``(3, H + 2, Y + 2, Z)``: component, then
planes as in :mod:`dlintegrate._kernels.sweeps` (plane k holds, for every (y, z), the one
of the sites x = 2k, 2k + 1 that belongs to the sublattice), with ghost planes and rows that
repeat what is at the other end. Every neighbour is then a fixed shift away, up to
weights of 0 or 1, and a loop runs over any number of planes at once. With one set
of coefficients for all sites (any sides, also odd) there is one plane per x.
What happens on the spot is done for one block of planes before the next, so that
it stays in the cache.
"""

import threading

import numpy as np

from .jit import kernel
from .tree_program import COMBINE, CROSS, FIELD

#: Elements per component of a block of planes.
BLOCK = 512


@kernel
def _neighbour_weights(nx, ny, nz, two):
    """Where the outer x-neighbour is in the next plane; first in a row; last in a row.

    Shape ``(2, 3, planes * (Y + 2) * Z)``: sublattice of the sites, kind, block of planes.
    """
    plane = (ny + 2) * nz
    weights = np.zeros((2, 3, nx * plane))
    for s in range(2):
        for i in range(nx * plane):
            y, z = (i % plane) // nz - 1, i % nz
            if two and (s + y + z) & 1:
                weights[s, 0, i] = 1.0
            if z == 0:
                weights[s, 1, i] = 1.0
            if z == nz - 1:
                weights[s, 2, i] = 1.0
    return weights


@kernel
def _field(memory, out, source, size, plane, nz, weights, s, coupling, bias):
    """One component of J Σ S_j + B on a block of a three-dimensional, two-sublattice lattice."""
    one = np.uint64(1)
    for k in range(size):
        i = source + k
        x = memory[i - plane]
        x += memory[i] + weights[s, 0, k] * (memory[i + plane] - x)
        y = memory[i - nz] + memory[i + nz]
        left, right = memory[i - one], memory[i + one]
        left += weights[s, 1, k] * (memory[i + nz - one] - left)
        right += weights[s, 2, k] * (memory[i - nz + one] - right)
        memory[out + k] = coupling * ((x + y) + (left + right)) + bias


@kernel
def _field_any(memory, out, source, size, plane, nz, weights, s, coupling, bias, two, rows):
    """As :func:`_field`, for any number of axes and sublattices."""
    one = np.uint64(1)
    for k in range(size):
        i = source + k
        total = memory[i - plane]
        if two:
            total += memory[i] + weights[s, 0, k] * (memory[i + plane] - total)
        else:
            total += memory[i + plane]
        if rows:
            total += memory[i - nz] + memory[i + nz]
        if nz > one:
            left, right = memory[i - one], memory[i + one]
            left += weights[s, 1, k] * (memory[i + nz - one] - left)
            right += weights[s, 2, k] * (memory[i - nz + one] - right)
            total += left + right
        memory[out + k] = coupling * total + bias


@kernel
def _combine(memory, out, a, b, c, d, size, w0, w1, w2, w3, n_terms, accumulate):
    """Add up to four vectors, one component; vectors are where they begin in memory."""
    if accumulate:
        for k in range(size):
            memory[out + k] += (w0 * memory[a + k] + w1 * memory[b + k]) + (
                w2 * memory[c + k] + w3 * memory[d + k]
            )
    elif n_terms == 1:
        for k in range(size):
            memory[out + k] = w0 * memory[a + k]
    elif n_terms == 2:
        for k in range(size):
            memory[out + k] = w0 * memory[a + k] + w1 * memory[b + k]
    else:
        for k in range(size):
            memory[out + k] = (w0 * memory[a + k] + w1 * memory[b + k]) + (
                w2 * memory[c + k] + w3 * memory[d + k]
            )


@kernel
def _cross(memory, x, dx, a, da, b, db, size, weight, accumulate):
    """Weighted cross product; vectors are where they begin and where the next component is."""
    y, z = x + dx, x + dx + dx
    if accumulate:
        for k in range(size):
            u, f = weight * memory[a + k], memory[b + k]
            v, g = weight * memory[a + da + k], memory[b + db + k]
            w, h = weight * memory[a + da + da + k], memory[b + db + db + k]
            memory[x + k] += v * h - w * g
            memory[y + k] += w * f - u * h
            memory[z + k] += u * g - v * f
    else:
        for k in range(size):
            u, f = weight * memory[a + k], memory[b + k]
            v, g = weight * memory[a + da + k], memory[b + db + k]
            w, h = weight * memory[a + da + da + k], memory[b + db + db + k]
            memory[x + k] = v * h - w * g
            memory[y + k] = w * f - u * h
            memory[z + k] = u * g - v * f


@kernel
def _refresh_ghosts(memory, vector, first, last, n_planes, plane, nz):
    """Ghost rows of planes first to last - 1, and ghost planes where the block has an end."""
    one = np.uint64(1)
    for p in range(first + one, last + one):
        start = vector + p * plane
        end = start + plane - nz
        for k in range(nz):
            memory[start + k] = memory[end - nz + k]
            memory[end + k] = memory[start + nz + k]
    far = vector + (n_planes + one) * plane
    if first == 0:
        for k in range(plane):
            memory[far + k] = memory[vector + plane + k]
    if last == n_planes:
        for k in range(plane):
            memory[vector + k] = memory[far - plane + k]


@kernel
def _run(memory, row, weight, s, first, last, sizes, neighbours, coupling, bias):
    """Execute one row of a program on a block of planes.

    Offsets are unsigned: a signed index might count from the end, and the test for
    that keeps the compiler from making SIMD code.
    """
    n_sublattices, n_slots, n_planes, ny, nz, block = sizes
    unsigned = np.uint64
    plane = (ny + 2) * nz
    whole = (n_planes + 2) * plane
    here = (first + 1) * plane
    size = unsigned((last - first) * plane)

    def locate(slot):
        """Where a vector begins, and how far its next component is."""
        if slot < n_slots:
            return unsigned((s * n_slots + slot) * 3 * whole + here), unsigned(whole)
        scratch = n_sublattices * n_slots * 3 * whole
        return unsigned(scratch + (slot - n_slots) * 3 * block), unsigned(block)

    kind, target = row[0], row[1]
    out, step = locate(target)
    a, step_a = locate(row[3])
    b, step_b = locate(row[4])
    if kind == CROSS:
        _cross(memory, out, step, a, step_a, b, step_b, size, weight[0], row[7])
    elif kind == COMBINE:
        c, step_c = locate(row[5])
        d, step_d = locate(row[6])
        for _ in range(3):
            _combine(
                memory, out, a, b, c, d, size,
                weight[0], weight[1], weight[2], weight[3], row[2], row[7],
            )  # fmt: skip
            out, a, b, c, d = out + step, a + step_a, b + step_b, c + step_c, d + step_d
    elif kind == FIELD:
        other = n_sublattices - 1 - s
        a = unsigned((other * n_slots + row[3]) * 3 * whole + here)
        p, m = unsigned(plane), unsigned(nz)
        for c in range(3):
            added = bias[c] if row[3] == 0 else 0.0
            if n_sublattices == 2 and ny > 1:
                _field(memory, out, a, size, p, m, neighbours, s, coupling, added)
            else:
                _field_any(
                    memory, out, a, size, p, m, neighbours, s, coupling, added,
                    n_sublattices == 2, ny > 1,
                )  # fmt: skip
            out, a = out + step, a + unsigned(whole)
    if row[8]:
        vector = unsigned((s * n_slots + target) * 3 * whole)
        for _ in range(3):
            _refresh_ghosts(
                memory, vector, unsigned(first), unsigned(last), unsigned(n_planes),
                unsigned(plane), unsigned(nz),
            )  # fmt: skip
            vector += unsigned(whole)


@kernel
def _pack(spins, memory, n_slots, n_sublattices):
    nx, ny, nz, _ = spins.shape
    unsigned = np.uint64
    plane = (ny + 2) * nz
    n_planes = nx // n_sublattices
    whole = (n_planes + 2) * plane
    for x in range(nx):
        for y in range(ny):
            i = (x // n_sublattices + 1) * plane + (y + 1) * nz
            for z in range(nz):
                s = (x + y + z) % n_sublattices
                target = s * n_slots * 3 * whole + i + z
                memory[target] = spins[x, y, z, 0]
                memory[target + whole] = spins[x, y, z, 1]
                memory[target + 2 * whole] = spins[x, y, z, 2]
    for s in range(n_sublattices):
        for c in range(3):
            _refresh_ghosts(
                memory, unsigned((s * n_slots * 3 + c) * whole), unsigned(0),
                unsigned(n_planes), unsigned(n_planes), unsigned(plane), unsigned(nz),
            )  # fmt: skip


@kernel
def _unpack_tangent(lattices, slots, normal, add, out):
    """Write the part of the result perpendicular to the unit vectors ``normal``, or turn these."""
    nx, ny, nz, _ = normal.shape
    two = lattices.shape[0] - 1
    for x in range(nx):
        for y in range(ny):
            i = ((x >> two) + 1) * (ny + 2) * nz + (y + 1) * nz
            for z in range(nz):
                s = ((x + y + z) & 1) * two
                vector = lattices[s, slots[s]]
                f, g, h = vector[0, i + z], vector[1, i + z], vector[2, i + z]
                a, b, c = normal[x, y, z, 0], normal[x, y, z, 1], normal[x, y, z, 2]
                along = f * a + g * b + h * c
                f, g, h = f - along * a, g - along * b, h - along * c
                if add:
                    f, g, h = a + f, b + g, c + h
                    scale = 1.0 / np.sqrt(f * f + g * g + h * h)
                    f, g, h = scale * f, scale * g, scale * h
                out[x, y, z, 0] = f
                out[x, y, z, 1] = g
                out[x, y, z, 2] = h


def workspace(program, sides):
    """Memory for :func:`sum_trees` on lattices of these three sides; kept for the next call.

    One per thread. Fresh memory for every step would cost as much as the sum itself.
    """
    n_sublattices = len(program.results)
    plane = (sides[1] + 2) * sides[2]
    n_planes = sides[0] // n_sublattices
    vectors = n_sublattices * program.n_slots * (n_planes + 2) + program.n_scratch * n_planes
    if getattr(_kept, "memory", np.empty(0)).size < 3 * plane * vectors:
        _kept.memory = np.empty(3 * plane * vectors)
    return _kept.memory


_kept = threading.local()


@kernel
def sum_trees(
    spins, normal, rows, weights, levels, n_slots, n_scratch, results,
    coupling, bias, memory, add, out,
):  # fmt: skip
    """Run a program on every sample and write the tangent part of its result.

    Parameters
    ----------
    spins : ndarray, shape (n_samples, X, Y, Z, 3)
        Where the trees are evaluated.
    normal : ndarray, shape of ``spins``
        Unit vectors to which the result is made perpendicular.
    rows, weights, levels, n_slots, n_scratch, results
        The fields of a program.
    coupling : float
    bias : ndarray, shape (3,)
    memory : ndarray
        See :func:`workspace`.
    add : bool
        Write ``normalize(normal + result)`` instead.
    out : ndarray, shape of ``spins``
        May be ``spins`` or ``normal`` itself.
    """
    n, nx, ny, nz, _ = spins.shape
    n_sublattices = len(results)
    n_planes = nx // n_sublattices
    plane = (ny + 2) * nz
    n_block = min(n_planes, max(1, BLOCK // plane))
    lasting = n_sublattices * n_slots * 3 * (n_planes + 2) * plane
    lattices = memory[:lasting].reshape(n_sublattices, n_slots, 3, (n_planes + 2) * plane)
    sizes = n_sublattices, n_slots, n_planes, ny, nz, n_block * plane
    neighbours = _neighbour_weights(n_block, ny, nz, n_sublattices == 2)
    for i in range(n):
        _pack(spins[i], memory, n_slots, n_sublattices)
        for j in range(len(levels)):
            sublattice, start, stop = levels[j]
            for first in range(0, n_planes, n_block):
                last = min(n_planes, first + n_block)
                for r in range(start, stop):
                    _run(
                        memory, rows[r], weights[r], sublattice, first, last,
                        sizes, neighbours, coupling, bias,
                    )  # fmt: skip
        _unpack_tangent(lattices, results, normal[i], add, out[i])
