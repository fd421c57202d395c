"""The constants of index format 1 that kernels, writers and readers share. Importable without numba.

Documents are numbered by doc_ord. A *block* of BLOCK documents is the unit of upper bounds, a *superblock* the unit of
scoring and of filters, a *page* the unit of scoring in order. docs/FORMAT.md has the arrays that they shape.
"""

from __future__ import annotations

BLOCK_BITS, SUPERBLOCK_BITS, PAGE_BITS = 2, 6, 8
BLOCK, SUPERBLOCK, PAGE = 1 << BLOCK_BITS, 1 << SUPERBLOCK_BITS, 1 << PAGE_BITS
SUPERBLOCK_BLOCKS = SUPERBLOCK // BLOCK
PAGE_BLOCKS, PAGE_SUPERBLOCKS = PAGE // BLOCK, PAGE // SUPERBLOCK
"""Blocks in a superblock; blocks and superblocks in a page."""

RUN = 3
"""Words that describe the run of a frequent term in a superblock (`lsr.kernels.simd.packed_runs`)."""
FREQUENT = 64
"""A term is frequent if at least one in FREQUENT documents holds it, else rare."""
MAX_DOCS = 1 << 24
"""Documents in a segment: a doc_ord and an impact share the 32 bits of a rare posting."""
LARGEST_IMPACT = 255
STORED_K = (1, 3, 10, 30, 100, 300, 1000)
"""Of each term the k-th largest impacts are stored for these k."""
