"""Names of the exact traversals that kernels run, importable without numba."""

from __future__ import annotations

TRAVERSALS = ("exhaustive", "blockmax", "superblock")
EXHAUSTIVE, BLOCKMAX, SUPERBLOCK_MAX = range(len(TRAVERSALS))
"""Their numbers, as compiled code has them."""

FIRST, FIRST_POWER = 12.0, 0.7
"""About FIRST · k ** FIRST_POWER superblocks are scored for k results before an exact search knows what to skip."""
