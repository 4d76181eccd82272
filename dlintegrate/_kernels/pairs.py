"""Forces between all pairs of particles of small samples, and splittings driven by them.

Samples lie side by side in SIMD lanes. The row of a particle holds, for LANES
samples, x, y, f_x and f_y one after the other (and its momenta in a second array),
and the innermost loop runs over lanes. Every lane does the same arithmetic, so a
sample does not depend on the others in its block. Two things make the compiler
produce fast code: few base pointers (it must prove that they do not overlap, at run
time, before each short loop), and square boxes.

Arrays of states are packed: one row more than particles, with the side of the box
(see :class:`~dlintegrate.LennardJones2D`). A force law is the tuple of
:func:`force_law`; a schedule has rows ``(is_kick, length)``.
"""

import numpy as np

from .jit import kernel

#: Samples in a block: a few vectors' worth, and 16 particles stay in the first-level cache.
LANES = 64
Y, FX, FY, ROW = LANES, 2 * LANES, 3 * LANES, 4 * LANES
#: x + MAGIC - MAGIC rounds x to an integer, and unlike a call of ``round`` it vectorises.
MAGIC = 6755399441055744.0


def force_law(epsilon, sigma, cutoff, smooth):
    """Constants of ``φ(r) = 4ε[(σ/r)^12 - (σ/r)^6] - c0 - c1 (r² - r_c²)``, zero beyond r_c.

    Parameters
    ----------
    epsilon, sigma : float
    cutoff : float or None
        r_c; None means none.
    smooth : bool
        Choose c1 such that the force vanishes at r_c, too; else c1 = 0.

    Returns
    -------
    tuple of 5 floats
        ``(4εσ^12, 4εσ^6, r_c², c0, c1)``; without a cut-off r_c² is infinite.
    """
    a, b = 4.0 * epsilon * sigma**12, 4.0 * epsilon * sigma**6
    if cutoff is None:
        return float(a), float(b), np.inf, 0.0, 0.0
    i3 = float(cutoff) ** -6
    c1 = -3.0 * (2.0 * a * i3 - b) * i3 / cutoff**2 if smooth else 0.0
    return float(a), float(b), float(cutoff) ** 2, float((a * i3 - b) * i3), float(c1)


@kernel
def nearest(d, side, inverse_side):
    """The shortest periodic image of a difference."""
    return d - side * ((d * inverse_side + MAGIC) - MAGIC)


@kernel
def force_over_distance(r2, law):
    """``-φ'(r)/r`` inside the cut-off, from r²."""
    inverse = 1.0 / r2
    i3 = inverse * inverse * inverse
    return (12.0 * law[0] * i3 - 6.0 * law[1]) * i3 * inverse + 2.0 * law[4]


@kernel
def potential(r2, law):
    """``φ(r)`` inside the cut-off, from r²."""
    inverse = 1.0 / r2
    i3 = inverse * inverse * inverse
    beyond = law[4] * (r2 - law[2]) if law[4] != 0.0 else 0.0
    return (law[0] * i3 - law[1]) * i3 - law[3] - beyond


@kernel
def _pair_full(one, other, box, law):
    """Forces between two particles, without cut-off."""
    for s in range(LANES):
        dx = nearest(one[s] - other[s], box[s], box[LANES + s])
        dy = nearest(one[Y + s] - other[Y + s], box[s], box[LANES + s])
        g = force_over_distance(dx * dx + dy * dy, law)
        dx *= g
        dy *= g
        one[FX + s] += dx
        one[FY + s] += dy
        other[FX + s] -= dx
        other[FY + s] -= dy


@kernel
def _pair_cut(one, other, box, law):
    """Forces between two particles, zero beyond the cut-off."""
    for s in range(LANES):
        dx = nearest(one[s] - other[s], box[s], box[LANES + s])
        dy = nearest(one[Y + s] - other[Y + s], box[s], box[LANES + s])
        r2 = dx * dx + dy * dy
        g = force_over_distance(r2, law) if r2 < law[2] else 0.0
        dx *= g
        dy *= g
        one[FX + s] += dx
        one[FY + s] += dy
        other[FX + s] -= dx
        other[FY + s] -= dy


@kernel
def _forces(work, box, law):
    """Forces of a block, into its columns FX and FY."""
    n = len(work)
    for i in range(n):
        work[i, FX:] = 0.0
    for i in range(n - 1):
        for j in range(i + 1, n):
            if law[2] == np.inf:
                _pair_full(work[i], work[j], box, law)
            else:
                _pair_cut(work[i], work[j], box, law)


@kernel
def _load(array, first, work, momenta, box):
    """Copy samples from ``first`` on into the lanes; lanes without one repeat the last."""
    n = len(work)
    for s in range(LANES):
        sample = array[min(first + s, len(array) - 1)]
        for i in range(n):
            work[i, s], work[i, Y + s] = sample[0, i, 0], sample[0, i, 1]
            momenta[i, s], momenta[i, Y + s] = sample[1, i, 0], sample[1, i, 1]
        box[s] = sample[0, n, 0]
        box[LANES + s] = 1.0 / sample[0, n, 0]


@kernel
def _store(array, first, work, momenta):
    for s in range(min(LANES, len(array) - first)):
        sample = array[first + s]
        for i in range(len(work)):
            sample[0, i, 0], sample[0, i, 1] = work[i, s], work[i, Y + s]
            sample[1, i, 0], sample[1, i, 1] = momenta[i, s], momenta[i, Y + s]


@kernel
def _add(target, source, length):
    """``target += length * source``."""
    for k in range(len(target)):
        target[k] += length * source[k]


@kernel
def advance_small(array, schedule, n_steps, law):
    """Run ``n_steps`` times the kicks and drifts of ``schedule``, in place.

    Parameters
    ----------
    array : ndarray, shape (n_samples, 2, n_particles + 1, 2)
        Packed states.
    schedule : ndarray, shape (n_rows, 2)
    n_steps : int
    law : tuple
        Of :func:`force_law`.
    """
    n = array.shape[2] - 1
    work, momenta, box = np.zeros((n, ROW)), np.empty((n, FX)), np.empty(FX)
    for first in range(0, len(array), LANES):
        _load(array, first, work, momenta, box)
        moved = True  # the force of the last kick of a step serves the first of the next
        for _ in range(n_steps):
            for row in range(len(schedule)):
                length = schedule[row, 1]
                if schedule[row, 0] == 0.0:
                    for i in range(n):
                        _add(work[i, :FX], momenta[i], length)
                    moved = True
                    continue
                if moved:
                    _forces(work, box, law)
                    moved = False
                for i in range(n):
                    _add(momenta[i], work[i, FX:], length)
        _store(array, first, work, momenta)


@kernel
def _forces_on_all(x, y, side, law, fx, fy):
    """Forces within one sample, each pair twice: lanes hold the particles acted on."""
    n = len(x)
    inverse = 1.0 / side
    fx[:] = 0.0
    fy[:] = 0.0
    for i in range(n):
        xi, yi = x[i], y[i]
        for j in range(n):
            dx = nearest(x[j] - xi, side, inverse)
            dy = nearest(y[j] - yi, side, inverse)
            r2 = dx * dx + dy * dy
            # a particle and itself; NaN passes, and shows
            acts = (r2 < law[2]) & (j != i) | (r2 != r2)
            g = force_over_distance(r2, law) if acts else 0.0
            fx[j] += g * dx if acts else 0.0
            fy[j] += g * dy if acts else 0.0


@kernel
def advance_middle(array, schedule, n_steps, law):
    """As :func:`advance_small`, one sample at a time: for more particles than lanes."""
    n = array.shape[2] - 1
    x, y, px, py = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    fx, fy = np.empty(n), np.empty(n)
    for sample in range(len(array)):
        state = array[sample]
        side = state[0, n, 0]
        for i in range(n):
            x[i], y[i], px[i], py[i] = (
                state[0, i, 0],
                state[0, i, 1],
                state[1, i, 0],
                state[1, i, 1],
            )
        moved = True
        for _ in range(n_steps):
            for row in range(len(schedule)):
                length = schedule[row, 1]
                if schedule[row, 0] == 0.0:
                    _add(x, px, length)
                    _add(y, py, length)
                    moved = True
                    continue
                if moved:
                    _forces_on_all(x, y, side, law, fx, fy)
                    moved = False
                _add(px, fx, length)
                _add(py, fy, length)
        for i in range(n):
            state[0, i, 0], state[0, i, 1], state[1, i, 0], state[1, i, 1] = (
                x[i],
                y[i],
                px[i],
                py[i],
            )


@kernel
def forces_small(array, law, out):
    """Forces of each state, into ``out`` of shape (n_samples, n_particles, 2)."""
    n = array.shape[2] - 1
    work, momenta, box = np.zeros((n, ROW)), np.empty((n, FX)), np.empty(FX)
    for first in range(0, len(array), LANES):
        _load(array, first, work, momenta, box)
        _forces(work, box, law)
        for s in range(min(LANES, len(array) - first)):
            for i in range(n):
                out[first + s, i, 0], out[first + s, i, 1] = work[i, FX + s], work[i, FY + s]


@kernel
def measure_small(array, law, out):
    """Potential energy, virial Σ r·f and smallest r² of each state, into ``out`` (n_samples, 3)."""
    n = array.shape[2] - 1
    for sample in range(len(array)):
        q = array[sample, 0]
        side = q[n, 0]
        energy, virial, closest = 0.0, 0.0, np.inf
        for i in range(n - 1):
            for j in range(i + 1, n):
                dx = nearest(q[i, 0] - q[j, 0], side, 1.0 / side)
                dy = nearest(q[i, 1] - q[j, 1], side, 1.0 / side)
                r2 = dx * dx + dy * dy
                closest = min(closest, r2)
                if r2 < law[2]:
                    energy += potential(r2, law)
                    virial += force_over_distance(r2, law) * r2
        out[sample, 0], out[sample, 1], out[sample, 2] = energy, virial, closest
