"""The features of the processor that Numba compiles for: not always those of the processor that runs.

NUMBA_ENABLE_AVX=0, NUMBA_CPU_NAME and NUMBA_CPU_FEATURES change what Numba asks of LLVM, and LLVM aborts the process
where it is to select an instruction that it was not asked for. So the answer comes from Numba.
"""

from __future__ import annotations

from functools import cache

from numba import config

REQUIRED = {
    "avx2": ("avx",),
    "avxvnni": ("avx", "avx2"),
    "avx512vnni": ("avx", "avx2", "avx512f"),
    "avx512vbmi2": ("avx", "avx2", "avx512f", "avx512bw"),
}
"""The features that each one builds on: without one of them LLVM takes the feature away, too."""


@cache
def target_features() -> dict[str, bool]:
    """Return the features that Numba asks of LLVM or forbids it, by LLVM's names; none without compilation.

    Where NUMBA_CPU_FEATURES is set, features that NUMBA_CPU_NAME implies are missing, so that they are not used.
    """
    if config.DISABLE_JIT:
        return {}
    from numba.core.registry import cpu_target

    _triple, _cpu, features = cpu_target.target_context.codegen().magic_tuple()
    mentioned = [item.strip() for item in features.split(",") if item.strip()]
    return {item[1:]: item[0] == "+" for item in mentioned}  # the last mention decides, as it does for LLVM


def has_feature(name: str) -> bool:
    """Return whether compiled code may use a feature of REQUIRED."""
    features = target_features()
    return features.get(name, False) and all(features.get(other, True) for other in REQUIRED[name])


def is_x86_64() -> bool:
    """Return whether code is compiled for x86-64, which always has SSE2."""
    if config.DISABLE_JIT:
        return False
    from numba.core.registry import cpu_target

    triple, _cpu, _features = cpu_target.target_context.codegen().magic_tuple()
    return str(triple).startswith("x86_64")
