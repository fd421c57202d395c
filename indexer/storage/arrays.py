"""The arrays of a segment as a table, which mapping, shape checks, verification and merging follow.

docs/FORMAT.md says what each array means. A new one is an `ArraySpec` here and a function that makes it in
`lsr.indexer.write.document_arrays`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.integrity.damage import REMEDY
from lsr.indexer.storage.files import DOCUMENTS, ROWS, FileInfo, map_array, save_array
from lsr.indexer.storage.manifest import SegmentInfo
from lsr.io.folder import Folder
from lsr.kernels.geometry import MAX_DOCS, RUN, STORED_K, SUPERBLOCK, SUPERBLOCK_BLOCKS

Arrays = Mapping[str, npt.NDArray[Any]]


class Per(Enum):
    """The thing that the length of an axis counts."""

    TERM = "terms"
    FREQUENT = "frequent terms"
    FREQUENT_START = "frequent terms and 1"
    RARE_START = "rare terms and 1"
    FREQUENT_POSTING = "postings of frequent terms"
    RARE_POSTING = "postings of rare terms"
    POSTING = "postings"
    DOCUMENT = "documents"
    BLOCK = "blocks"
    SUPERBLOCK = "superblocks"
    RUN = "words of runs"
    BATCH = "record batches"
    STORED_K = "ranks of kth_impact"


class OnMerge(Enum):
    """The source of an array of a merged segment."""

    INVERT = "made by inverting the joined postings"
    DOCUMENTS = "made while documents are copied"
    IDS = "made of the doc_ids that are left"
    ROWS = "rows of the documents that are left, one segment after another"


class Verified(Enum):
    """The moment at which a process compares an array with its checksum."""

    SEARCH = "before the first search"
    TERM = "by term, when a query first has it"
    IDS = "before the first doc_id is looked up"
    DOCUMENTS = "before the first document is read"
    USE = "when it is first read"


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """An array of a segment, in the file `name`.npy.

    dtypes: those that it may have, the smallest first. per: what each axis counts. optional: segments may lack it.
    """

    name: str
    dtypes: tuple[type[np.generic], ...]
    per: tuple[Per, ...]
    on_merge: OnMerge
    verified: Verified
    optional: bool = False

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.npy"

    def map(self, folder: Folder) -> npt.NDArray[Any]:
        """Map the array. Raises IndexDamagedError for another dtype or number of axes."""
        for dtype in self.dtypes[:-1]:
            with suppress(IndexDamagedError):
                return map_array(folder / self.file, dtype, len(self.per))
        return map_array(folder / self.file, self.dtypes[-1], len(self.per))


def _spec(
    name: str, dtype: Any, per: Any, on_merge: OnMerge, verified: Verified, *, optional: bool = False
) -> ArraySpec:
    dtypes = dtype if isinstance(dtype, tuple) else (dtype,)
    return ArraySpec(name, dtypes, per if isinstance(per, tuple) else (per,), on_merge, verified, optional)


POSTINGS: tuple[ArraySpec, ...] = (
    _spec("row", np.int32, Per.TERM, OnMerge.INVERT, Verified.SEARCH),
    _spec("block_max", np.uint8, (Per.FREQUENT, Per.BLOCK), OnMerge.INVERT, Verified.TERM),
    _spec("superblock_max", np.uint8, (Per.FREQUENT, Per.SUPERBLOCK), OnMerge.INVERT, Verified.TERM),
    _spec("runs", np.uint32, (Per.FREQUENT, Per.RUN), OnMerge.INVERT, Verified.TERM),
    _spec("frequent_start", np.int64, Per.FREQUENT_START, OnMerge.INVERT, Verified.SEARCH),
    _spec("frequent", np.uint8, Per.FREQUENT_POSTING, OnMerge.INVERT, Verified.TERM),
    _spec("rare_start", np.int64, Per.RARE_START, OnMerge.INVERT, Verified.SEARCH),
    _spec("rare", np.uint32, Per.RARE_POSTING, OnMerge.INVERT, Verified.TERM),
    _spec("insertion", np.uint32, Per.DOCUMENT, OnMerge.INVERT, Verified.SEARCH),
)
"""The inverted index: the fields of `lsr.kernels.build.layout.Postings`, in order."""

COUNTS = _spec(
    "counts", (np.uint8, np.uint16, np.uint32), Per.POSTING, OnMerge.INVERT, Verified.USE, optional=True
)  # fmt: skip
"""The counts that impacts were made from, for encoders that need the corpus: by doc_ord, then by term."""

POSITION = _spec("position", np.uint32, Per.DOCUMENT, OnMerge.ROWS, Verified.USE, optional=True)
"""The positions of rows in a set of shards that was partitioned by hashes, ascending."""

ARRAYS: tuple[ArraySpec, ...] = (
    *POSTINGS,
    _spec("terms", np.uint32, Per.TERM, OnMerge.INVERT, Verified.SEARCH),
    _spec("kth_impact", np.uint8, (Per.TERM, Per.STORED_K), OnMerge.INVERT, Verified.SEARCH),
    _spec("id_hash", np.uint64, Per.DOCUMENT, OnMerge.IDS, Verified.IDS),
    _spec("id_row", np.uint32, Per.DOCUMENT, OnMerge.IDS, Verified.IDS),
    _spec("term_crc", np.uint32, Per.TERM, OnMerge.INVERT, Verified.SEARCH),
    _spec("document_crc", np.uint32, Per.DOCUMENT, OnMerge.DOCUMENTS, Verified.DOCUMENTS),
    _spec("id_crc", np.uint32, Per.BATCH, OnMerge.DOCUMENTS, Verified.DOCUMENTS),
    _spec("fields_crc", np.uint32, Per.BATCH, OnMerge.DOCUMENTS, Verified.DOCUMENTS),
    COUNTS,
    POSITION,
)
"""All arrays of a segment."""


def names_of(*, verified: Verified | None = None, on_merge: OnMerge | None = None) -> tuple[str, ...]:
    """Return the names of the arrays that are verified, or merged, in a way."""
    return tuple(
        spec.name
        for spec in ARRAYS
        if verified in (None, spec.verified) and on_merge in (None, spec.on_merge)
    )  # fmt: skip


def expected_files() -> list[str]:
    """Return the files that every segment has."""
    return [*(spec.file for spec in ARRAYS if not spec.optional), DOCUMENTS]


def map_arrays(folder: Folder, present: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Map the arrays of a segment by name. present: names of its files. Raises IndexDamagedError."""
    return {spec.name: spec.map(folder) for spec in ARRAYS if not spec.optional or spec.file in present}


def save_arrays(folder: Folder, arrays: Arrays) -> dict[str, FileInfo]:
    """Write the named arrays of a segment."""
    return {f"{name}.npy": save_array(folder / f"{name}.npy", array) for name, array in arrays.items()}


def check_shapes(arrays: Arrays, info: SegmentInfo, where: object) -> None:
    """Raise IndexDamagedError unless all arrays have the lengths that the manifest and each other imply."""
    lengths = _lengths(arrays, info, where)
    for spec in ARRAYS:
        if spec.name in arrays:
            expected = tuple(lengths[per] for per in spec.per)
            if arrays[spec.name].shape != expected:
                raise _unfit(where, f"{spec.name} has the shape {arrays[spec.name].shape}, not {expected}")


def _lengths(arrays: Arrays, info: SegmentInfo, where: object) -> dict[Per, int]:
    """Return the length of each kind of axis."""
    starts = {name: arrays[name] for name in ("frequent_start", "rare_start")}
    n_superblocks = -(-info.n_docs // SUPERBLOCK)
    if info.n_docs > MAX_DOCS:
        raise _unfit(where, f"{info.n_docs} documents, more than {MAX_DOCS}")
    if not all(map(len, starts.values())):
        raise _unfit(where, "frequent_start or rare_start is empty")
    n_frequent, n_rare = (len(start) - 1 for start in starts.values())
    n_of_frequent, n_of_rare = (int(start[-1]) for start in starts.values())
    if n_of_frequent + n_of_rare != info.n_postings:
        raise _unfit(where, f"{n_of_frequent} and {n_of_rare} postings, not {info.n_postings}")
    return {
        Per.TERM: n_frequent + n_rare,
        Per.FREQUENT: n_frequent,
        Per.FREQUENT_START: n_frequent + 1,
        Per.RARE_START: n_rare + 1,
        Per.FREQUENT_POSTING: n_of_frequent,
        Per.RARE_POSTING: n_of_rare,
        Per.POSTING: info.n_postings,
        Per.DOCUMENT: info.n_docs,
        Per.BLOCK: n_superblocks * SUPERBLOCK_BLOCKS,
        Per.SUPERBLOCK: n_superblocks,
        Per.RUN: n_superblocks * RUN,
        Per.BATCH: -(-info.n_docs // ROWS),
        Per.STORED_K: len(STORED_K),
    }


def _unfit(where: object, what: str) -> IndexDamagedError:
    return IndexDamagedError(f"{where}: its arrays do not fit each other ({what}); {REMEDY}")


def merged_rows(segments: Iterable[tuple[Arrays, npt.NDArray[np.bool_]]]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays by row of a merged segment: those of documents that are left, one segment after another.

    segments: arrays, and which rows are left. An optional array that a segment lacks is left out.
    """
    some = list(segments)
    return {
        name: np.concatenate([arrays[name][live] for arrays, live in some])
        for name in names_of(on_merge=OnMerge.ROWS)
        if all(name in arrays for arrays, _ in some)
    }
