"""Arrays that a search works in, allocated once a thread and segment size, and used again by every query."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.kernels.exhaustive import WINDOW
from lsr.kernels.layout import BLOCKS


class Scratch(NamedTuple):
    """Scratch of one search at a time. What is zero on entry is zero again on return.

    bounds: uint32, (n_superblocks · BLOCKS), of blocks. peaks: uint32, (n_superblocks), the largest bound
    in each. queue: uint32, (n_superblocks), superblocks in the order of their visit. head: uint32,
    (n_superblocks), zero: the first node of the superblock's runs of rare terms, node 0 being none.
    node_next, node_term, node_start: uint32, the nodes: next one, which rare term, where its run starts.
    window: uint32, (WINDOW), zero: scores.
    """

    bounds: npt.NDArray[np.uint32]
    peaks: npt.NDArray[np.uint32]
    queue: npt.NDArray[np.uint32]
    head: npt.NDArray[np.uint32]
    node_next: npt.NDArray[np.uint32]
    node_term: npt.NDArray[np.uint32]
    node_start: npt.NDArray[np.uint32]
    window: npt.NDArray[np.uint32]


def make_scratch(n_superblocks: int, n_nodes: int) -> Scratch:
    """Allocate scratch for segments of up to n_superblocks, and queries of up to n_nodes rare postings."""
    return Scratch(
        bounds=np.zeros(n_superblocks * BLOCKS, np.uint32),
        peaks=np.zeros(n_superblocks, np.uint32),
        queue=np.zeros(n_superblocks, np.uint32),
        head=np.zeros(n_superblocks, np.uint32),
        node_next=np.zeros(n_nodes + 1, np.uint32),
        node_term=np.zeros(n_nodes + 1, np.uint32),
        node_start=np.zeros(n_nodes + 1, np.uint32),
        window=np.zeros(WINDOW, np.uint32),
    )
