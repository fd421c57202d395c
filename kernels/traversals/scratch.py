"""Arrays that a search works in, allocated once for each thread and segment size, and reused by every query."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.geometry import PAGE_BLOCKS, SUPERBLOCK_BLOCKS
from lsr.kernels.traversals.exhaustive import WINDOW


class Scratch(NamedTuple):
    """Scratch of one search at a time. `window` and `block_bounds` are zero on entry, and zero again on return.

    block_bounds: uint32, (n_superblocks · SUPERBLOCK_BLOCKS), upper bounds of blocks. upper_bounds: uint32,
    (n_superblocks), the largest of each superblock's blocks. queue: uint32, (n_superblocks), superblocks in the order
    of their visit. list: uint32, (n_superblocks), of superblocks or pages. places: uint32, (rare terms,
    n_superblocks), where each rare term's run in each superblock starts, counted from the start of its posting list;
    undefined where it has none. window: uint32, (WINDOW), scores. sums: uint32, (PAGE_BLOCKS), of
    bounds.
    """

    block_bounds: npt.NDArray[np.uint32]
    upper_bounds: npt.NDArray[np.uint32]
    queue: npt.NDArray[np.uint32]
    list: npt.NDArray[np.uint32]
    places: npt.NDArray[np.uint32]
    window: npt.NDArray[np.uint32]
    sums: npt.NDArray[np.uint32]


def make_scratch(n_superblocks: int, n_rare: int) -> Scratch:
    """Allocate scratch for segments of n_superblocks, and queries of up to n_rare rare terms."""
    return Scratch(
        block_bounds=np.zeros(n_superblocks * SUPERBLOCK_BLOCKS, np.uint32),
        upper_bounds=np.zeros(n_superblocks, np.uint32),
        queue=np.zeros(n_superblocks, np.uint32),
        list=np.zeros(n_superblocks, np.uint32),
        places=np.zeros((n_rare, n_superblocks), np.uint32),
        window=np.zeros(WINDOW, np.uint32),
        sums=np.zeros(PAGE_BLOCKS, np.uint32),
    )
