"""Verification of what a search reads, when a process first reads it, so that damage is an error.

Small arrays are read whole; of the postings those of a term are, when a query first has it; of the documents those
that are shown. What a checksum can't tell, whether a stranger's index keeps the promises that compiled code relies on,
is checked then too: after it no index, offset or document number leads out of its array.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.files import checksum
from lsr.indexer.storage.manifest import REMEDY, Part
from lsr.io.folder import Folder
from lsr.kernels.geometry import RUN, SUPERBLOCK

Arrays = Mapping[str, npt.NDArray[Any]]


def check_files(index: Folder, part: Part, names: Iterable[str]) -> None:
    """Raise IndexDamagedError unless these files of a part are what was written."""
    for name in names:
        path = part.open(index) / name
        try:
            sound = checksum(path) == part.files[name]
        except OSError as error:
            raise IndexDamagedError(f"{path}: can't be read ({error.strerror or error}); {REMEDY}") from error
        if not sound:
            raise IndexDamagedError(f"{path}: its content is not what was written; {REMEDY}")


def refuse_links(folder: Folder) -> None:
    """Raise IndexDamagedError for anything but plain files in a folder whose files will be opened by their paths."""
    for name in folder.names():
        if not folder.has_file(name):
            raise IndexDamagedError(f"{folder / name}: {folder.kind(name)}, where nothing but files is due; {REMEDY}")


def term_checksum(arrays: Arrays, term: int) -> int:
    """Return the CRC-32 of all that the arrays of a segment hold of a local term's postings and bounds."""
    row = int(arrays["row"][term])
    if row < 0:
        rank = -1 - row
        start, stop = arrays["rare_start"][rank : rank + 2].tolist()
        return zlib.crc32(arrays["rare"][start:stop].data)
    start, stop = arrays["frequent_start"][row : row + 2].tolist()
    found = zlib.crc32(arrays["frequent"][start:stop].data)
    for name in ("runs", "block_max", "superblock_max"):
        found = zlib.crc32(arrays[name][row].data, found)
    return found


def term_checksums(arrays: Arrays) -> npt.NDArray[np.uint32]:
    """Return `term_checksum` of all local terms."""
    n_terms = len(arrays["row"])
    return np.fromiter((term_checksum(arrays, term) for term in range(n_terms)), np.uint32, n_terms)


def small_arrays_fault(arrays: Arrays, terms: npt.NDArray[np.uint32]) -> str | None:
    """Return what in the small arrays of a segment could lead compiled code astray, or None.

    The shapes are known to fit each other.
    """
    rows = arrays["row"]
    frequent = rows >= 0
    n_frequent = len(arrays["frequent_start"]) - 1
    if not np.array_equal(rows[frequent], np.arange(n_frequent)):
        return "rows of frequent terms are not 0, 1, …"
    if not np.array_equal(-1 - rows[~frequent], np.arange(len(rows) - n_frequent)):
        return "ranks of rare terms are wrong"
    for name in ("frequent_start", "rare_start"):
        if arrays[name][0] != 0 or np.any(arrays[name][1:] < arrays[name][:-1]):
            return f"{name} is not ascending from 0"
    if np.any(terms[1:] <= terms[:-1]):
        return "its terms are not ascending"
    if len(arrays["insertion"]) and arrays["insertion"].max() >= len(arrays["insertion"]):
        return "insertion is not a permutation"
    return None


def term_fault(arrays: Arrays, term: int) -> str | None:
    """Return what in a term's postings could lead compiled code astray, or None. The small arrays are sound.

    Impacts and bounds can't, whatever they are.
    """
    row, n_docs = int(arrays["row"][term]), len(arrays["insertion"])
    if row < 0:
        rank = -1 - row
        start, stop = arrays["rare_start"][rank : rank + 2].tolist()
        doc_ords = arrays["rare"][start:stop] >> 8
        if np.any(doc_ords[1:] <= doc_ords[:-1]) or (len(doc_ords) and doc_ords[-1] >= n_docs):
            return "a posting list is not ascending, or a posting is of no document"
        return None
    lower, upper, starts = arrays["runs"][row].reshape(-1, RUN).T
    sizes = (np.bitwise_count(lower) + np.bitwise_count(upper)).astype(np.int64)
    length = int(arrays["frequent_start"][row + 1] - arrays["frequent_start"][row])
    if not np.array_equal(starts, np.cumsum(sizes) - sizes) or sizes.sum() != length:
        return "runs do not ascend from 0 to where their term ends"
    last = int(lower[-1]) | int(upper[-1]) << 32 if len(starts) else 0
    if last >> (n_docs - 1) % SUPERBLOCK + 1:
        return "a run holds a posting of no document"
    return None
