"""Settings that torch reads while it is being imported, and never again.

Every package whose modules import torch calls `prepare_torch` in its `__init__`, which runs before any of its modules.
It comes too late where a program imports torch before.
"""

from __future__ import annotations

import os

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Environment variables by which oneDNN, and torch's own layer above it, ask how many kernels they keep."""

MAX_KERNELS = 64
"""More than a batch needs."""


PASSIVE = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}
"""Environment variables by which OpenMP (GNU's, Intel's, LLVM's) lets threads sleep that have nothing to do."""


def prepare_torch() -> None:
    """Let torch's CPU libraries keep few kernels and wait passively, unless the environment says otherwise.

    They make a kernel for each shape, of up to megabytes in bfloat16, and by themselves keep 1,024 each: batches are of
    ever other shapes, so memory grew over tens of thousands of documents. Threads that spin while they wait take the
    cores of other processes: beside one that was busy, two spinning threads took twice the time of one; on an idle
    machine sleeping ones cost 1 %.
    """
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, str(MAX_KERNELS))
    for name, value in PASSIVE.items():
        os.environ.setdefault(name, value)
