"""Settings that torch reads while it is being imported, and never again.

Every package whose modules import torch calls `limit_kernels` in its `__init__`, which runs before any of its modules.
It comes too late where a program imports torch before.
"""

from __future__ import annotations

import os

KERNEL_CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
"""Environment variables by which oneDNN, and torch's own layer above it, ask how many kernels they keep."""

MAX_KERNELS = 64
"""More than a batch needs."""


def limit_kernels() -> None:
    """Let torch's CPU libraries keep few kernels, unless the environment says how many.

    They make one for each shape, of up to megabytes in bfloat16, and by themselves keep 1,024 each: batches are of ever
    other shapes, so memory grew over tens of thousands of documents.
    """
    for name in KERNEL_CACHES:
        os.environ.setdefault(name, str(MAX_KERNELS))
