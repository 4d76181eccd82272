"""Monte Carlo moves of Lennard-Jones particles: local trials, and jumps to anywhere in the box.

Small samples: LANES independent chains lie side by side in SIMD lanes, each with its own
box, temperature, trial width and stream of random numbers. Every lane does the same
arithmetic, so a chain is a function of its own seed alone, whatever its neighbours.

Large samples with a cut-off: one chain at a time, and cells at least as wide as the
cut-off, so that a trial looks at the particles of nine cells.
"""

import numpy as np

from .jit import kernel
from .monte_carlo import logarithm
from .pairs import nearest, potential

#: Chains in a block. The positions of 16 particles of so many stay in the first-level cache.
LANES = 64
#: Sections of the scratch row: trial x and y, old x and y, change of energy, box and its
#: inverse. One row, so that the compiler knows where they overlap (nowhere).
TX, TY, OX, OY, CHANGE, SIDE, INVERSE = (k * LANES for k in range(7))
#: r² is not taken smaller than this times σ²: the product of two of them stays a number.
CLOSE = 1e-4
#: Fraction of local trials to accept.
TARGET = 0.4


@kernel
def draw_lanes(state, out):
    """One uniform number in [0, 1) for each lane, from its own xoshiro256+ generator.

    Parameters
    ----------
    state : ndarray of uint64, shape (4, LANES)
    out : ndarray, shape (LANES,)
    """
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for s in range(LANES):
        a, b, c, d = s0[s], s1[s], s2[s], s3[s]
        out[s] = ((a + d) >> np.uint64(11)) * 2.0**-53
        c ^= a
        d ^= b
        s0[s] = a ^ d
        s1[s] = b ^ c
        s2[s] = c ^ (b << np.uint64(17))
        s3[s] = (d << np.uint64(45)) | (d >> np.uint64(19))


@kernel
def tuned(width, rate, round_, side):
    """Width of local trials after a fraction ``rate`` was accepted; at most the box.

    Corrections shrink with the number of the round, so that the last width is an average
    over many and not what the last few trials happened to ask for.
    """
    gain = 20.0 / max(round_, 10)
    return min(width * np.exp(gain * (rate - TARGET)), side)


@kernel
def _add_change(row, other, law, floor):
    """Add the change of energy with one other particle, without cut-off."""
    for s in range(LANES):
        side, inverse = row[SIDE + s], row[INVERSE + s]
        dx = nearest(row[TX + s] - other[s], side, inverse)
        dy = nearest(row[TY + s] - other[LANES + s], side, inverse)
        new = max(dx * dx + dy * dy, floor)
        dx = nearest(row[OX + s] - other[s], side, inverse)
        dy = nearest(row[OY + s] - other[LANES + s], side, inverse)
        old = max(dx * dx + dy * dy, floor)
        both = 1.0 / (new * old)  # one division for two
        a, b = both * old, both * new
        a, b = a * a * a, b * b * b
        row[CHANGE + s] += (law[0] * a - law[1]) * a - (law[0] * b - law[1]) * b


@kernel
def _add_change_cut(row, other, law, floor):
    """As :func:`_add_change`, with a cut-off."""
    for s in range(LANES):
        side, inverse = row[SIDE + s], row[INVERSE + s]
        dx = nearest(row[TX + s] - other[s], side, inverse)
        dy = nearest(row[TY + s] - other[LANES + s], side, inverse)
        new = max(dx * dx + dy * dy, floor)
        dx = nearest(row[OX + s] - other[s], side, inverse)
        dy = nearest(row[OY + s] - other[LANES + s], side, inverse)
        old = max(dx * dx + dy * dy, floor)
        both = 1.0 / (new * old)
        a, b = both * old, both * new
        a, b = a * a * a, b * b * b
        a = (law[0] * a - law[1]) * a - law[3] - law[4] * (new - law[2])
        b = (law[0] * b - law[1]) * b - law[3] - law[4] * (old - law[2])
        a = a if new < law[2] else 0.0
        b = b if old < law[2] else 0.0
        row[CHANGE + s] += a - b


@kernel
def _propose(row, place, width, uniform):
    """Trial positions, from two uniform numbers each; ``width`` of the box is a jump."""
    for s in range(LANES):
        row[OX + s], row[OY + s] = place[s], place[LANES + s]
        row[CHANGE + s] = 0.0
    for s in range(LANES):
        side, inverse = row[SIDE + s], row[INVERSE + s]
        x = row[OX + s] + width[s] * (uniform[0, s] - 0.5)
        y = row[OY + s] + width[s] * (uniform[1, s] - 0.5)
        row[TX + s] = nearest(x, side, inverse)
        row[TY + s] = nearest(y, side, inverse)


@kernel
def _decide(row, place, bound, temperature, count):
    """Metropolis: accept where the change of energy is below ``-T log u``."""
    for s in range(LANES):
        accept = row[CHANGE + s] < -temperature[s] * bound[s]
        place[s] = row[TX + s] if accept else row[OX + s]
        place[LANES + s] = row[TY + s] if accept else row[OY + s]
        count[s] += 1.0 if accept else 0.0


@kernel
def lane_pass(work, width, temperature, law, floor, state, row, uniform, count):
    """One trial of every particle of every lane, in turn.

    Parameters
    ----------
    work : ndarray, shape (n_particles, 2 * LANES)
        x of all lanes, then y.
    width : ndarray, shape (LANES,)
        Side of the square in which a trial is uniform, about the old position.
    temperature : ndarray, shape (LANES,)
    law : tuple
        Of :func:`.pairs.force_law`.
    floor : float
        Smallest r².
    state : ndarray of uint64, shape (4, LANES)
    row, uniform : ndarray, shapes (7 * LANES,) and (4, LANES)
        Scratch; the box is in ``row``.
    count : ndarray, shape (LANES,)
        Accepted trials are added.
    """
    n = len(work)
    for i in range(n):
        for k in range(3):
            draw_lanes(state, uniform[k])
        _propose(row, work[i], width, uniform)
        if law[2] == np.inf:
            for j in range(n):
                if j != i:
                    _add_change(row, work[j], law, floor)
        else:
            for j in range(n):
                if j != i:
                    _add_change_cut(row, work[j], law, floor)
        for s in range(LANES):
            uniform[2, s] = 1.0 - uniform[2, s]
        logarithm(uniform[2], uniform[3])
        _decide(row, work[i], uniform[3], temperature, count)


@kernel
def _run_lanes(work, box, temperature, law, floor, state, width, n_sweeps, tune, accepted):
    """Sweeps of one block of chains; arguments as in :func:`run_small`, lane by lane."""
    n = len(work)
    row, uniform, count = np.empty(7 * LANES), np.empty((4, LANES)), np.zeros((2, LANES))
    for s in range(LANES):
        row[SIDE + s], row[INVERSE + s] = box[s], 1.0 / box[s]
    since, round_ = 0, 0
    for _ in range(n_sweeps):
        lane_pass(work, width, temperature, law, floor, state, row, uniform, count[0])
        lane_pass(work, box, temperature, law, floor, state, row, uniform, count[1])
        since += 1
        if since == tune:
            round_ += 1
            for s in range(LANES):
                width[s] = tuned(width[s], count[0, s] / (since * n), round_, box[s])
                count[0, s] = 0.0
            since = 0
    for s in range(LANES):
        accepted[0, s] = count[0, s] / max(1, since * n)
        accepted[1, s] = count[1, s] / max(1, n_sweeps * n)


@kernel
def run_small(places, box, temperature, law, floor, streams, width, n_sweeps, tune, accepted):
    """Run chains in place, a block of LANES at a time: sweeps of local trials and of jumps.

    In every sweep each particle makes one trial in a square of side ``width`` about its
    place, and one anywhere in the box.

    Parameters
    ----------
    places : ndarray, shape (n_chains, n_particles, 2)
        Positions, anywhere; left within half a box of the origin.
    box, temperature, width : ndarray, shape (n_chains,)
    law : tuple
        Of :func:`.pairs.force_law`.
    floor : float
        r² is not taken smaller than this.
    streams : ndarray of uint64, shape (n_chains, 4)
        States of the random generators, advanced.
    n_sweeps : int
    tune : int
        Widths are adapted every so many sweeps; 0 leaves them as they are.
    accepted : ndarray, shape (2, n_chains)
        Output: accepted fractions of local trials (since the last change of widths)
        and of jumps.
    """
    n = places.shape[1]
    work, state, share = (
        np.empty((n, 2 * LANES)),
        np.empty((4, LANES), np.uint64),
        np.empty((2, LANES)),
    )
    sides, warmth, reach = np.empty(LANES), np.empty(LANES), np.empty(LANES)
    for first in range(0, len(places), LANES):
        for s in range(LANES):  # lanes without a chain repeat the last
            c = min(first + s, len(places) - 1)
            sides[s], warmth[s], reach[s] = box[c], temperature[c], width[c]
            for k in range(4):
                state[k, s] = streams[c, k]
            for i in range(n):
                work[i, s] = nearest(places[c, i, 0], box[c], 1.0 / box[c])
                work[i, LANES + s] = nearest(places[c, i, 1], box[c], 1.0 / box[c])
        _run_lanes(work, sides, warmth, law, floor, state, reach, n_sweeps, tune, share)
        for s in range(min(LANES, len(places) - first)):
            c = first + s
            width[c], accepted[0, c], accepted[1, c] = reach[s], share[0, s], share[1, s]
            for k in range(4):
                streams[c, k] = state[k, s]
            for i in range(n):
                places[c, i, 0], places[c, i, 1] = work[i, s], work[i, LANES + s]


# --- one large sample at a time ---------------------------------------------------------------


@kernel
def draw(state):
    """One uniform number in [0, 1) from the generator of a chain, ``state`` of shape (4,)."""
    a, b, c, d = state[0], state[1], state[2], state[3]
    c ^= a
    d ^= b
    state[0], state[1] = a ^ d, b ^ c
    state[2] = c ^ (b << np.uint64(17))
    state[3] = (d << np.uint64(45)) | (d >> np.uint64(19))
    return ((a + d) >> np.uint64(11)) * 2.0**-53


@kernel
def _cell(x, y, side, m):
    """Cell of a place within half a box of the origin."""
    column = min(int((x / side + 0.5) * m), m - 1)
    line = min(int((y / side + 0.5) * m), m - 1)
    return line * m + column


@kernel
def _energy_at(i, x, y, place, head, after, around, cell, side, law, floor):
    """Energy of particle i at (x, y) with all others in the cells around."""
    energy, inverse = 0.0, 1.0 / side
    for k in range(around.shape[1]):
        j = head[around[cell, k]]
        while j >= 0:
            if j != i:
                dx = nearest(x - place[j, 0], side, inverse)
                dy = nearest(y - place[j, 1], side, inverse)
                r2 = max(dx * dx + dy * dy, floor)
                # a selection, not a branch, which would be mispredicted half of the time
                pair = potential(r2, law)
                energy += pair if r2 < law[2] else 0.0
            j = after[j]
    return energy


@kernel
def _neighbourhood(m):
    """The nine cells around each of m × m; the one cell if there are fewer than 3 × 3."""
    if m < 3:
        return np.zeros((1, 1), np.int64)
    around = np.empty((m * m, 9), np.int64)
    for cell in range(m * m):
        line, column = cell // m, cell % m
        for k in range(9):
            around[cell, k] = (line + k // 3 - 1) % m * m + (column + k % 3 - 1) % m
    return around


@kernel
def _move_cell(i, old, new, head, after):
    """Take particle i out of the list of one cell and put it into another's."""
    if head[old] == i:
        head[old] = after[i]
    else:
        j = head[old]
        while after[j] != i:
            j = after[j]
        after[j] = after[i]
    after[i], head[new] = head[new], i


@kernel
def _run_one(place, side, temperature, law, floor, state, width, n_sweeps, tune, accepted):
    """Sweeps of one chain; returns its width."""
    n = len(place)
    m = int(side / np.sqrt(law[2]))  # no cut-off: zero
    m = min(m, int(np.sqrt(n))) if m >= 3 else 1
    if m < 3:
        m = 1
    around = _neighbourhood(m)
    head, after, cells = np.full(m * m, -1), np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        for c in range(2):
            place[i, c] = nearest(place[i, c], side, 1.0 / side)
        cells[i] = _cell(place[i, 0], place[i, 1], side, m)
        after[i], head[cells[i]] = head[cells[i]], i
    count, since, round_ = np.zeros(2), 0, 0
    for _ in range(n_sweeps):
        for jump in range(2):
            reach = side if jump == 1 else width
            for i in range(n):
                x = nearest(place[i, 0] + reach * (draw(state) - 0.5), side, 1.0 / side)
                y = nearest(place[i, 1] + reach * (draw(state) - 0.5), side, 1.0 / side)
                cell = _cell(x, y, side, m)
                change = _energy_at(
                    i, x, y, place, head, after, around, cell, side, law, floor
                ) - _energy_at(
                    i, place[i, 0], place[i, 1], place, head, after, around, cells[i], side, law,
                    floor,
                )  # fmt: skip
                if change < -temperature * np.log(1.0 - draw(state)):
                    place[i, 0], place[i, 1] = x, y
                    count[jump] += 1.0
                    if cell != cells[i]:
                        _move_cell(i, cells[i], cell, head, after)
                        cells[i] = cell
        since += 1
        if since == tune:
            round_ += 1
            width = tuned(width, count[0] / (since * n), round_, side)
            count[0], since = 0.0, 0
    accepted[0] = count[0] / max(1, since * n)
    accepted[1] = count[1] / max(1, n_sweeps * n)
    return width


@kernel
def run_large(places, box, temperature, law, floor, streams, width, n_sweeps, tune, accepted):
    """As :func:`run_small`, one chain after the other, with cells if there is a cut-off."""
    share = np.empty(2)
    for c in range(len(places)):
        width[c] = _run_one(
            places[c], box[c], temperature[c], law, floor, streams[c], width[c], n_sweeps, tune,
            share,
        )  # fmt: skip
        accepted[:, c] = share


@kernel
def longest_waves(places, box, out):
    """Structure factor at the longest waves of the box, mean over both axes, into ``out``."""
    for c in range(len(places)):
        out[c] = 0.0
        for axis in range(2):
            real, imaginary = 0.0, 0.0
            for i in range(places.shape[1]):
                angle = 2.0 * np.pi * places[c, i, axis] / box[c]
                real += np.cos(angle)
                imaginary += np.sin(angle)
            out[c] += 0.5 * (real * real + imaginary * imaginary) / places.shape[1]
