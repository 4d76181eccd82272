"""Monte Carlo moves of the Heisenberg lattice: heat bath, over-relaxation, Metropolis.

A lattice whose sides are all even splits into two sublattices without bonds
inside; then a whole plane of one of them is drawn at once, in the packed layout
of :mod:`.sweeps`, in loops that the compiler turns into SIMD code. Such loops
hold no calls, so logarithm, exponential, sine and cosine are series here,
accurate to a few units of rounding. Any other lattice is visited site by site.

All numbers come from the stream of :mod:`.random` that a function is given, so
a chain is a function of its seed alone.
"""

import numpy as np

from .jit import kernel
from .random import LANES, fill_uniform
from .sweeps import masks, pack, plane_field, refresh_ghosts, unpack

#: |h|/T is not taken smaller than this: no direction is preferred by more than that.
MIN_KAPPA = 1e-8
#: With a field the direction of the whole lattice is drawn anew after so many sweeps.
ROTATE_EVERY = 10

LN2 = float(np.log(2.0))
PI = float(np.pi)
#: Adding it to a double rounds to an integer, which is left in the last bits.
SHIFTER = 1.5 * 2.0**52
ONE = int(np.array(1.0).view(np.int64))
ROOT_HALF = int(np.array(np.sqrt(0.5)).view(np.int64))
MANTISSA = (1 << 52) - 1


@kernel
def exp_negative(x, out):
    """``out = exp(-x)`` for x >= 0, which is overwritten; never below 2^-100."""
    bits = out.view(np.int64)
    for i in range(x.size):
        y = max(x[i] * (-1.0 / LN2), -100.0)
        shifted = y + SHIFTER
        r = (y - (shifted - SHIFTER)) * LN2
        e = 1.0 / 3628800.0 + r * (1.0 / 39916800.0 + r * (1.0 / 479001600.0))
        e = 1.0 / 5040.0 + r * (1.0 / 40320.0 + r * (1.0 / 362880.0 + r * e))
        e = 1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * e))
        x[i] = 1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * e)))
        out[i] = shifted
    for i in range(x.size):
        bits[i] = (bits[i] << 52) + ONE
    for i in range(x.size):
        out[i] *= x[i]


@kernel
def logarithm(x, out):
    """``out = log(x)`` for normal x > 0, which is overwritten."""
    bits = x.view(np.int64)
    for i in range(x.size):  # x = 2^n m with m between √½ and √2
        shifted = bits[i] - ROOT_HALF
        n = shifted >> 52
        out[i] = n
        bits[i] = (shifted & MANTISSA) + ROOT_HALF
    for i in range(x.size):  # log m = 2 artanh s
        s = (x[i] - 1.0) / (x[i] + 1.0)
        z = s * s
        p = 1.0 / 17.0 + z * (1.0 / 19.0 + z * (1.0 / 21.0))
        p = 1.0 / 11.0 + z * (1.0 / 13.0 + z * (1.0 / 15.0 + z * p))
        p = 1.0 / 5.0 + z * (1.0 / 7.0 + z * (1.0 / 9.0 + z * p))
        out[i] = out[i] * LN2 + 2.0 * s * (1.0 + z * (1.0 / 3.0 + z * p))


@kernel
def circle(turn, cosine, sine):
    """Cosine and sine of 2π·turn for turn in [0, 1), rotated by half a turn."""
    for i in range(turn.size):
        a = PI * (turn[i] - 0.5)
        u = a * a
        # sin a / a and cos a for |a| <= π/2, by factors u / (k (k + 1))
        s = 1.0 - u * (1.0 / 342.0) * (1.0 - u * (1.0 / 420.0) * (1.0 - u * (1.0 / 506.0)))
        s = 1.0 - u * (1.0 / 156.0) * (1.0 - u * (1.0 / 210.0) * (1.0 - u * (1.0 / 272.0) * s))
        s = 1.0 - u * (1.0 / 42.0) * (1.0 - u * (1.0 / 72.0) * (1.0 - u * (1.0 / 110.0) * s))
        s = a * (1.0 - u * (1.0 / 6.0) * (1.0 - u * (1.0 / 20.0) * s))
        c = 1.0 - u * (1.0 / 306.0) * (1.0 - u * (1.0 / 380.0) * (1.0 - u * (1.0 / 462.0)))
        c = 1.0 - u * (1.0 / 132.0) * (1.0 - u * (1.0 / 182.0) * (1.0 - u * (1.0 / 240.0) * c))
        c = 1.0 - u * (1.0 / 30.0) * (1.0 - u * (1.0 / 56.0) * (1.0 - u * (1.0 / 90.0) * c))
        c = 1.0 - u * (1.0 / 2.0) * (1.0 - u * (1.0 / 12.0) * c)
        cosine[i] = 1.0 - 2.0 * s * s
        sine[i] = 2.0 * s * c


@kernel
def reflect(sx, sy, sz, hx, hy, hz):
    """Over-relaxation of a plane: S' = 2 (S·h) h/|h|² - S, same energy; S where h = 0."""
    for i in range(sx.size):
        a, b, c = sx[i], sy[i], sz[i]
        f, g, h = hx[i], hy[i], hz[i]
        h2 = f * f + g * g + h * h
        t = 2.0 * (a * f + b * g + c * h) / max(h2, 1e-300)
        sign = -1.0 if h2 > 0.0 else 1.0
        sx[i] = t * f + sign * a
        sy[i] = t * g + sign * b
        sz[i] = t * h + sign * c


@kernel
def draw_plane(sx, sy, sz, field, temperature, uniform, work):
    """Draw a plane of spins from exp(S·h/T), given their fields.

    The component along h has the density exp(κ c) on [-1, 1], κ = |h|/T, and is
    drawn by inversion, c = 1 + log(1 - u (1 - e^{-2κ}))/κ; the azimuth is uniform.

    Parameters
    ----------
    field : ndarray, shape (3, n)
        Overwritten.
    uniform : ndarray, at least (2 n,)
    work : ndarray, shape (5, n)
    """
    n = sx.size
    hx, hy, hz = field[0], field[1], field[2]
    kappa, a, b, sine, cosine = work[0], work[1], work[2], work[3], work[4]
    for i in range(n):
        h2 = hx[i] * hx[i] + hy[i] * hy[i] + hz[i] * hz[i]
        h = np.sqrt(h2)
        kappa[i] = max(h / temperature, MIN_KAPPA)
        a[i] = 2.0 * kappa[i]
        inverse = 1.0 / max(h, 1e-150)
        hx[i] *= inverse
        hy[i] *= inverse
        hz[i] = hz[i] * inverse if h > 0.0 else 1.0
    exp_negative(a, b)
    for i in range(n):
        a[i] = 1.0 - uniform[i] * (1.0 - b[i])
    logarithm(a, b)
    circle(uniform[n : 2 * n], cosine, sine)
    for i in range(n):
        below = min(-b[i] / kappa[i], 2.0)  # 1 - c
        a[i] = 1.0 - below
        across = np.sqrt(below * (2.0 - below))
        cosine[i] *= across
        sine[i] *= across
    turn_to_field(sx, sy, sz, hx, hy, hz, cosine, sine, a)


@kernel
def turn_to_field(sx, sy, sz, nx, ny, nz, p, q, along):
    """S = p e1 + q e2 + along n, where e1, e2, n are orthonormal (no branch, no pole)."""
    for i in range(sx.size):
        x, y, z = nx[i], ny[i], nz[i]
        sign = 1.0 if z >= 0.0 else -1.0
        t = -1.0 / (sign + z)
        xy = x * y * t
        sx[i] = p[i] * (1.0 + sign * x * x * t) + q[i] * xy + along[i] * x
        sy[i] = p[i] * (sign * xy) + q[i] * (sign + y * y * t) + along[i] * y
        sz[i] = p[i] * (-sign * x) - q[i] * y + along[i] * z


@kernel
def checkerboard(packed, mask, ny, nz, temperature, coupling, bias, stream, uniform, field, work):
    """One sweep over both sublattices: heat bath, or over-relaxation if temperature is 0."""
    end = (ny + 1) * nz
    for sublattice in range(2):
        own, other = packed[sublattice], packed[1 - sublattice]
        odd, even = mask[1 - sublattice], mask[sublattice]
        for k in range(own.shape[1]):
            plane_field(other, k, odd, even, mask, ny, nz, coupling, bias, field)
            sx, sy, sz = own[0, k, nz:end], own[1, k, nz:end], own[2, k, nz:end]
            if temperature > 0.0:
                fill_uniform(stream, uniform)
                draw_plane(sx, sy, sz, field, temperature, uniform, work)
            else:
                reflect(sx, sy, sz, field[0], field[1], field[2])
            for c in range(3):
                refresh_ghosts(own[c, k], nz)


@kernel
def _checkerboard_cycles(spins, temperature, n_sweeps, n_over, coupling, bias, stream):
    nx, ny, nz, _ = spins.shape
    packed = np.empty((2, 3, nx // 2, (ny + 2) * nz))
    field = np.empty((3, ny * nz))
    work = np.empty((5, ny * nz))
    uniform = np.empty((2 * ny * nz + LANES - 1) // LANES * LANES)
    mask = masks(ny, nz)
    pack(spins, packed)
    for k in range(n_sweeps * (n_over + 1)):
        bath = temperature if k % (n_over + 1) == n_over else 0.0
        checkerboard(
            packed, mask, ny, nz, bath, coupling, bias, stream, uniform, field, work
        )  # fmt: skip
    unpack(packed, spins)


@kernel
def _row_field(s, x, y, coupling, bias, field):
    """Local field of the sites (x, y, :) without their neighbours along z."""
    nx, ny, nz, _ = s.shape
    xm, xp = (x - 1 if x > 0 else nx - 1), (x + 1 if x + 1 < nx else 0)
    ym, yp = (y - 1 if y > 0 else ny - 1), (y + 1 if y + 1 < ny else 0)
    for z in range(nz):
        for c in range(3):
            h = 0.0
            if nx > 1:
                h += s[xm, y, z, c] + s[xp, y, z, c]
            if ny > 1:
                h += s[x, ym, z, c] + s[x, yp, z, c]
            field[z, c] = coupling * h + bias[c]


@kernel
def _site_field(s, x, y, z, coupling, row):
    nz = s.shape[2]
    f, g, h = row[z, 0], row[z, 1], row[z, 2]
    if nz > 1:
        zm, zp = (z - 1 if z > 0 else nz - 1), (z + 1 if z + 1 < nz else 0)
        f += coupling * (s[x, y, zm, 0] + s[x, y, zp, 0])
        g += coupling * (s[x, y, zm, 1] + s[x, y, zp, 1])
        h += coupling * (s[x, y, zm, 2] + s[x, y, zp, 2])
    return f, g, h


@kernel
def _draw_about(f, g, h, along, turn):
    """Unit vector with component ``along`` on the direction of (f, g, h)."""
    norm = np.sqrt(f * f + g * g + h * h)
    x, y, z = (f / norm, g / norm, h / norm) if norm > 0.0 else (0.0, 0.0, 1.0)
    across = np.sqrt(max(1.0 - along * along, 0.0))
    p, q = across * np.cos(2.0 * PI * turn), across * np.sin(2.0 * PI * turn)
    sign = 1.0 if z >= 0.0 else -1.0
    t = -1.0 / (sign + z)
    return (
        p * (1.0 + sign * x * x * t) + q * x * y * t + along * x,
        p * sign * x * y * t + q * (sign + y * y * t) + along * y,
        -p * sign * x - q * y + along * z,
    )


@kernel
def _draw_along(kappa, u):
    """Cosine c with density exp(κ c) on [-1, 1]."""
    kappa = max(kappa, MIN_KAPPA)
    return max(1.0 + np.log(1.0 - u * (1.0 - np.exp(-2.0 * kappa))) / kappa, -1.0)


@kernel
def _typewriter(s, move, temperature, width, coupling, bias, stream, uniform, row):
    """One sweep site by site; move 0 over-relaxation, 1 heat bath, 2 Metropolis.

    Returns
    -------
    int
        Number of spins that moved.
    """
    nx, ny, nz, _ = s.shape
    n_moved = 0
    for x in range(nx):
        for y in range(ny):
            _row_field(s, x, y, coupling, bias, row)
            if move > 0:
                fill_uniform(stream, uniform)
            for z in range(nz):
                f, g, h = _site_field(s, x, y, z, coupling, row)
                spin = s[x, y, z]
                a, b, c = spin[0], spin[1], spin[2]
                if move == 0:
                    h2 = f * f + g * g + h * h
                    if h2 == 0.0:
                        continue
                    t = 2.0 * (a * f + b * g + c * h) / h2
                    spin[0], spin[1], spin[2] = t * f - a, t * g - b, t * h - c
                elif move == 1:
                    along = _draw_along(
                        np.sqrt(f * f + g * g + h * h) / temperature, uniform[3 * z]
                    )
                    spin[0], spin[1], spin[2] = _draw_about(f, g, h, along, uniform[3 * z + 1])
                else:
                    p, q, r = _draw_about(a, b, c, 1.0 - width * uniform[3 * z], uniform[3 * z + 1])
                    gain = (p - a) * f + (q - b) * g + (r - c) * h
                    if gain < 0.0 and uniform[3 * z + 2] >= np.exp(gain / temperature):
                        continue
                    norm = np.sqrt(p * p + q * q + r * r)
                    spin[0], spin[1], spin[2] = p / norm, q / norm, r / norm
                n_moved += 1
    return n_moved


@kernel
def _typewriter_cycles(spins, temperature, n_sweeps, n_over, coupling, bias, stream):
    nz = spins.shape[2]
    uniform = np.empty((3 * nz + LANES - 1) // LANES * LANES)
    row = np.empty((nz, 3))
    for k in range(n_sweeps * (n_over + 1)):
        move = 1 if k % (n_over + 1) == n_over else 0
        _typewriter(spins, move, temperature, 0.0, coupling, bias, stream, uniform, row)


def heat_bath(spins, temperature, n_sweeps, n_over, coupling, bias, stream):
    """Run sweeps of heat bath, each after ``n_over`` of over-relaxation, in place.

    With a field the whole lattice is turned now and then, see :func:`rotate_all`.
    Not compiled as one, since most users need only one of the two branches.

    Parameters
    ----------
    spins : ndarray, shape (X, Y, Z, 3)
    stream : ndarray, shape (4, LANES)
        State of the random numbers, advanced.
    """
    even = all(side == 1 or side % 2 == 0 for side in spins.shape[:3])
    cycles = _checkerboard_cycles if even else _typewriter_cycles
    block = ROTATE_EVERY if bias.any() else n_sweeps
    for done in range(0, n_sweeps, block):
        n = min(block, n_sweeps - done)
        cycles(spins, temperature, n, n_over, coupling, bias, stream)
        if bias.any():
            rotate_all(spins, temperature, bias, stream)


@kernel
def metropolis(spins, temperature, n_sweeps, width, coupling, bias, stream):
    """Run Metropolis sweeps, site by site, in place.

    A trial direction is uniform on the cap 1 - S·S' < ``width`` about the old
    one, which is as likely from either side.

    Returns
    -------
    float
        Fraction of trials that were accepted.
    """
    nz = spins.shape[2]
    uniform = np.empty((3 * nz + LANES - 1) // LANES * LANES)
    row = np.empty((nz, 3))
    n_moved = 0
    for _ in range(n_sweeps):
        n_moved += _typewriter(spins, 2, temperature, width, coupling, bias, stream, uniform, row)
    return n_moved / max(1, n_sweeps * spins.size // 3)


@kernel
def _random_frame(f, g, h, along, stream):
    """Orthonormal right-handed rows; the last has component ``along`` on (f, g, h)."""
    u = np.empty(LANES)
    fill_uniform(stream, u)
    z = _draw_about(f, g, h, along, u[0])
    x = _draw_about(z[0], z[1], z[2], 0.0, u[1])
    y = (
        z[1] * x[2] - z[2] * x[1],
        z[2] * x[0] - z[0] * x[2],
        z[0] * x[1] - z[1] * x[0],
    )
    return x, y, z


@kernel
def _norm(m):
    return np.sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2])


@kernel
def rotate_all(spins, temperature, bias, stream):
    """Turn the whole lattice: a heat bath of its orientation, in place.

    Exchange does not feel it, so among all rotations the magnetisation M has its
    direction drawn from exp(M·B/T) and the angle about it is uniform; without a
    field the rotation is uniform. Local moves alone would need a number of
    sweeps that grows with the number of spins.
    """
    flat = spins.reshape(-1, 3)
    m = np.zeros(3)
    for i in range(len(flat)):
        for c in range(3):
            m[c] += flat[i, c]
    u = np.empty(LANES)
    fill_uniform(stream, u)
    kappa = _norm(m) * _norm(bias) / temperature
    before = _random_frame(m[0], m[1], m[2], 1.0, stream)
    after = _random_frame(bias[0], bias[1], bias[2], _draw_along(kappa, u[0]), stream)
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = after
    x, y, z = before
    for i in range(len(flat)):
        s0, s1, s2 = flat[i, 0], flat[i, 1], flat[i, 2]
        p = x[0] * s0 + x[1] * s1 + x[2] * s2
        q = y[0] * s0 + y[1] * s1 + y[2] * s2
        r = z[0] * s0 + z[1] * s1 + z[2] * s2
        s0, s1, s2 = ax * p + bx * q + cx * r, ay * p + by * q + cy * r, az * p + bz * q + cz * r
        norm = np.sqrt(s0 * s0 + s1 * s1 + s2 * s2)
        flat[i, 0], flat[i, 1], flat[i, 2] = s0 / norm, s1 / norm, s2 / norm


@kernel
def draw_random(spins, stream):
    """Fill with independent uniform directions."""
    flat = spins.reshape(-1, 3)
    u = np.empty(LANES)
    for i in range(len(flat)):
        if i % 4 == 0:
            fill_uniform(stream, u)
        j = 2 * (i % 4)
        flat[i, 0], flat[i, 1], flat[i, 2] = _draw_about(0.0, 0.0, 1.0, 2.0 * u[j] - 1.0, u[j + 1])


@kernel
def order(spins, sign):
    """Fill with the ground state of exchange: all up, or alternating if ``sign`` < 0."""
    nx, ny, nz, _ = spins.shape
    spins[:] = 0.0
    for x in range(nx):
        for y in range(ny):
            for z in range(nz):
                spins[x, y, z, 2] = sign if (x + y + z) & 1 else 1.0
