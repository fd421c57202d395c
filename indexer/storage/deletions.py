"""The documents of a segment that are not deleted: a bitmap beside it, written by each generation that deletes.

The segment itself never changes. The bitmap is the one that traversals take (`lsr.query.filters.filter`), so that a
deleted document costs a search nothing but its bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.files import FileInfo, save_array
from lsr.io.folder import Folder

FILE = "live.npy"
WORD = 64
"""Documents in a word of a bitmap: a superblock."""


def pack(bits: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Return bits as a bitmap: bit d & 63 of word d >> 6 is bits[d]. bits: bool (n); bitmap: uint64 (⌈n / 64⌉)."""
    padded = np.zeros(-(-len(bits) // WORD) * WORD, bool)
    padded[: len(bits)] = bits
    return np.packbits(padded, bitorder="little").view("<u8").astype(np.uint64)


def unpack(bitmap: npt.NDArray[np.uint64], n: int) -> npt.NDArray[np.bool_]:
    """Return the first n bits of a bitmap: bool, (n)."""
    octets = np.ascontiguousarray(bitmap, "<u8").view(np.uint8)
    return np.unpackbits(octets, count=n, bitorder="little").astype(bool)


def save_live(folder: Folder, live: npt.NDArray[np.bool_], insertion: npt.NDArray[Any]) -> dict[str, FileInfo]:
    """Write the bitmap of documents that are left. live: bool, by row; insertion: doc_ord → row."""
    return {FILE: save_array(folder / FILE, pack(live[insertion]))}
