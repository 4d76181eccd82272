"""A stream of uniform numbers for kernels: xoshiro256+ in parallel lanes.

Drawing one number at a time from a ``numpy.random.Generator`` inside a kernel
takes longer than the Monte Carlo move that uses it. Here LANES independent
xoshiro256+ generators (Blackman and Vigna, ACM Trans. Math. Softw. 47, 36,
2021) advance together, in SIMD registers. Their states come from one
``numpy.random.SeedSequence``, so streams of different chains are independent as
numpy's are.
"""

import numpy as np

from .jit import kernel

LANES = 8


def stream(seed):
    """State of a new stream, shape ``(4, LANES)``.

    Parameters
    ----------
    seed : numpy.random.SeedSequence
    """
    return seed.generate_state(4 * LANES, np.uint64).reshape(4, LANES)


@kernel
def fill_uniform(state, out):
    """Fill ``out``, whose size is a multiple of LANES, with uniforms in [0, 1)."""
    s0, s1, s2, s3 = state[0], state[1], state[2], state[3]
    for i in range(0, out.size, LANES):
        for lane in range(LANES):
            a, b, c, d = s0[lane], s1[lane], s2[lane], s3[lane]
            # only the upper 53 bits are used: the lowest of xoshiro256+ are weak
            out[i + lane] = ((a + d) >> np.uint64(11)) * 2.0**-53
            c ^= a
            d ^= b
            s0[lane] = a ^ d
            s1[lane] = b ^ c
            s2[lane] = c ^ (b << np.uint64(17))
            s3[lane] = (d << np.uint64(45)) | (d >> np.uint64(19))
