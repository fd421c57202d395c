"""Arrays by their address, so that one call takes any number of segments of many arrays each.

Numba inspects and unpacks every argument of a call, a fifth of a microsecond an array; nine arrays a segment would cost
more than searching a small segment. So addresses and lengths are stored once, and turned into arrays where they are
used. The caller keeps the arrays alive.
"""

from __future__ import annotations

import numpy as np
from numba import carray, config, types

from lsr.kernels.jit.compile import kernel

if config.DISABLE_JIT:
    import ctypes

    def pointer(address):
        """Return an address (int64) as a pointer."""
        return ctypes.c_void_p(int(address))

else:
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def pointer(typing_context, address):
        """Return an address (int64) as a pointer."""
        del typing_context, address

        def generate(context, builder, signature, args):
            del context, signature
            return builder.inttoptr(args[0], cgutils.voidptr_t)

        return types.voidptr(types.int64), generate


@kernel
def uint8_at(address, shape):
    """Return the uint8 array of a shape at an address."""
    return carray(pointer(address), shape, np.uint8)


@kernel
def int32_at(address, shape):
    """Return the int32 array of a shape at an address."""
    return carray(pointer(address), shape, np.int32)


@kernel
def uint32_at(address, shape):
    """Return the uint32 array of a shape at an address."""
    return carray(pointer(address), shape, np.uint32)


@kernel
def int64_at(address, shape):
    """Return the int64 array of a shape at an address."""
    return carray(pointer(address), shape, np.int64)


@kernel
def uint64_at(address, shape):
    """Return the uint64 array of a shape at an address."""
    return carray(pointer(address), shape, np.uint64)
