"""The one place where the compiler flags of the numba kernels are chosen."""

import os
from typing import Any

import numba

_FLAGS = {"contract", "nsz"}
_OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "fastmath": _FLAGS,
    "nogil": True,
    "cache": os.environ.get("DLINTEGRATE_NUMBA_CACHE", "") == "1",
}

#: ``error_model="numpy"`` removes the division checks that would stop SIMD;
#: ``contract`` allows fused multiply-adds and nothing that reorders a sum, so
#: results do not depend on the number of threads or samples.
#: The on-disk cache misses edits of imported files, hence off by default.
kernel = numba.njit(**_OPTIONS)

#: Also reorders sums, so that they use SIMD: for gradients of weights, never for a state.
summing_kernel = numba.njit(**_OPTIONS | {"fastmath": _FLAGS | {"reassoc"}})

#: For what is done at one site, called from the innermost loops. Whether LLVM inlines it by
#: itself depends on the processor, and a call costs more than its arithmetic: on Intel's newest
#: an exact field of electrons took 2.5 times as long.
inlined_kernel = numba.njit(**_OPTIONS, forceinline=True)
