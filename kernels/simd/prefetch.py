"""A hint to the processor that an array's element will be read soon; it changes no result.

Into the second-level cache: the first level can wait for few lines at a time, and what is prefetched there keeps those
places occupied. By the second level, pages whose maxima were prefetched are bounded in 60 % of the time.
"""

from __future__ import annotations

from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

SECOND_LEVEL = 2
"""LLVM's degree of locality that becomes `prefetcht1`; 3 is `prefetcht0`, of the first level."""

if config.DISABLE_JIT:

    def prefetch(array, index):
        """Do nothing: there is no processor's cache to prefetch into without compilation."""

else:
    from llvmlite import ir

    @intrinsic
    def prefetch(typing_context, array, index):
        """Prefetch array[index] (one-dimensional, any dtype; index within bounds or one past)."""
        if not isinstance(array, types.Array) or array.ndim != 1 or not isinstance(index, types.Integer):
            return None
        del typing_context
        signature = types.void(array, index)

        def generate(context, builder, sig, args):
            array_type = sig.args[0]
            view = context.make_array(array_type)(context, builder, args[0])
            position = context.cast(builder, args[1], sig.args[1], types.intp)
            pointer = cgutils.get_item_pointer(context, builder, array_type, view, [position], wraparound=False)
            byte = ir.IntType(8).as_pointer()
            number = ir.IntType(32)
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [byte, number, number, number]), "llvm.prefetch.p0"
            )
            arguments = [builder.bitcast(pointer, byte), number(0), number(SECOND_LEVEL), number(1)]
            builder.call(function, arguments)
            return context.get_dummy_value()

        return signature, generate
