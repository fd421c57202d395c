"""Bit counts of a 64-bit word, by instructions of the processor."""

from __future__ import annotations

from numba import config, types

if config.DISABLE_JIT:

    def count_ones(word):
        """Return how many bits are 1."""
        return int(word).bit_count()

    def trailing_zeros(word):
        """Return the place of the lowest bit that is 1; 64 if none is."""
        return (int(word) & -int(word)).bit_length() - 1 if word else 64

else:
    from numba.core import cgutils
    from numba.extending import intrinsic

    @intrinsic
    def count_ones(typing_context, word):
        """Return how many bits of a uint64 are 1: int64."""
        del typing_context
        return types.int64(types.uint64), lambda context, builder, sig, args: builder.ctpop(args[0])

    @intrinsic
    def trailing_zeros(typing_context, word):
        """Return the place of the lowest bit of a uint64 that is 1, 64 if none is: int64."""
        del typing_context

        def generate(context, builder, sig, args):
            return builder.cttz(args[0], cgutils.false_bit)

        return types.int64(types.uint64), generate
