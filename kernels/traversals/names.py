"""Names of the exact traversals that kernels run, importable without numba."""

from __future__ import annotations

TRAVERSALS = ("exhaustive", "blockmax", "superblock")
EXHAUSTIVE, BLOCKMAX, SUPERBLOCK_MAX = range(len(TRAVERSALS))
"""Their numbers, as compiled code has them."""
