"""What the processor that kernels are compiled for can do."""

from __future__ import annotations

import llvmlite.binding as llvm
from numba import config


def has_feature(name: str) -> bool:
    """Say whether compiled code may use a feature of the processor, by LLVM's name of it."""
    if config.DISABLE_JIT:
        return False
    if config.CPU_FEATURES is not None:
        return f"+{name}" in config.CPU_FEATURES.split(",")
    try:
        return bool(llvm.get_host_cpu_features().get(name, False))
    except RuntimeError:  # the processor isn't one that LLVM can tell about
        return False
