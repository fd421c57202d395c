"""A segment: an immutable folder of arrays and documents, written once, opened by mmap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.checks_on_read import check_files, small_arrays_fault, term_checksum, term_fault
from lsr.indexer.storage.deletions import FILE as LIVE
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.dense_vectors import Halves, open_dense
from lsr.indexer.storage.files import FileInfo, map_array, save_array
from lsr.indexer.storage.manifest import REMEDY, SegmentInfo
from lsr.indexer.storage.posting_list import term_postings
from lsr.indexer.storage.segment_files import DOCUMENTS, FIELDS_FILE, ROWS
from lsr.io.folder import Folder
from lsr.kernels.geometry import MAX_DOCS, RUN, STORED_K, SUPERBLOCK, SUPERBLOCK_BLOCKS
from lsr.types import Document

COUNTS_FILE = "counts.npy"

POSTINGS: Mapping[str, tuple[Any, int]] = {
    "row": (np.int32, 1),
    "block_max": (np.uint8, 2),
    "superblock_max": (np.uint8, 2),
    "runs": (np.uint32, 2),
    "frequent_start": (np.int64, 1),
    "frequent": (np.uint8, 1),
    "rare_start": (np.int64, 1),
    "rare": (np.uint32, 1),
    "insertion": (np.uint32, 1),
}
"""Fields of lsr.kernels.build.layout.Postings, in order: dtype and number of axes."""

OTHERS: Mapping[str, tuple[Any, int]] = {
    "terms": (np.uint32, 1),
    "kth_impact": (np.uint8, 2),
    "id_hash": (np.uint64, 1),
    "id_row": (np.uint32, 1),
    "term_crc": (np.uint32, 1),
    "document_crc": (np.uint32, 1),
    "id_crc": (np.uint32, 1),
    "fields_crc": (np.uint32, 1),
}

COUNTS = (np.uint8, np.uint16, np.uint32)
"""What `counts` may be: the counts that impacts were made from, of encoders that need the corpus, row after row in
the order of doc_ords, and by term in each."""

SMALL = ("row", "terms", "frequent_start", "rare_start", "insertion", "kth_impact", "term_crc")
"""The arrays that are verified as a whole before anything is searched."""


def hash_ids(doc_ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each doc_id."""
    digests = b"".join(
        hashlib.blake2b(doc_id.encode("utf-8", "surrogatepass"), digest_size=8).digest() for doc_id in doc_ids
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def save_arrays(folder: Folder, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, FileInfo]:
    """Write the named arrays of a segment."""
    return {f"{name}.npy": save_array(folder / f"{name}.npy", array) for name, array in arrays.items()}


class Segment:
    """A segment opened for reading.

    Opening maps the arrays and checks headers, sizes and shapes against each other; it reads no array.
    folder: its path; files: the open folder. live: the bitmap of documents that are not deleted, by doc_ord; None where
    none is. dense: the dense vectors, a row a document in the order of insertion, where the index has them.
    """

    def __init__(self, index: Folder, info: SegmentInfo) -> None:
        self.info = info
        self.n_docs = info.n_docs
        self.folder = info.part.folder(index.path)
        wanted = POSTINGS | OTHERS  # type: ignore[operator]
        info.part.check_sizes(index, expected=[*(f"{name}.npy" for name in wanted), DOCUMENTS])
        self.files = info.part.open(index)
        arrays = {name: map_array(self.files / f"{name}.npy", dtype, ndim) for name, (dtype, ndim) in wanted.items()}
        self.arrays = {name: arrays[name] for name in POSTINGS}
        self.terms: npt.NDArray[np.uint32] = arrays["terms"]
        self.kth_impact: npt.NDArray[np.uint8] = arrays["kth_impact"]
        self.id_hash, self.id_row = arrays["id_hash"], arrays["id_row"]
        self.term_crc: npt.NDArray[np.uint32] = arrays["term_crc"]
        self.document_checksums = {name: arrays[name] for name in ("document_crc", "id_crc", "fields_crc")}
        self._index = index
        self.trusted = np.zeros(len(self.terms), bool)
        self._live_df: dict[int, int] = {}
        self.counts = self._map_counts() if COUNTS_FILE in info.part.files else None
        self.live = self._map_live(index)
        self.dense: Halves | None = None if info.dense is None else open_dense(index, info.dense, info.n_docs)
        self._check_shapes()

    def _map_counts(self) -> npt.NDArray[Any]:
        for dtype in COUNTS[:-1]:
            with suppress(IndexDamagedError):
                return map_array(self.files / COUNTS_FILE, dtype, 1)
        return map_array(self.files / COUNTS_FILE, COUNTS[-1], 1)

    def _map_live(self, index: Folder) -> npt.NDArray[np.uint64] | None:
        deletions = self.info.deletions
        if deletions is None:
            return None
        deletions.check_sizes(index, expected=[LIVE])
        live = map_array(deletions.open(index) / LIVE, np.uint64, 1)
        if len(live) != -(-self.n_docs // SUPERBLOCK):
            raise IndexDamagedError(f"{deletions.folder(index.path)}: not of {self.n_docs} documents; {REMEDY}")
        return live

    def _check_shapes(self) -> None:
        a, n_terms = self.arrays, len(self.terms)
        n_superblocks = -(-self.n_docs // SUPERBLOCK)
        n_frequent, n_rare = len(a["frequent_start"]) - 1, len(a["rare_start"]) - 1
        fits = (
            self.n_docs <= MAX_DOCS
            and n_frequent >= 0
            and n_rare >= 0
            and len(a["row"]) == n_terms == n_frequent + n_rare
            and a["block_max"].shape == (n_frequent, n_superblocks * SUPERBLOCK_BLOCKS)
            and a["superblock_max"].shape == (n_frequent, n_superblocks)
            and a["runs"].shape == (n_frequent, n_superblocks * RUN)
            and a["frequent_start"][-1] == len(a["frequent"])
            and a["rare_start"][-1] == len(a["rare"])
            and len(a["frequent"]) + len(a["rare"]) == self.info.n_postings
            and len(a["insertion"]) == len(self.id_hash) == len(self.id_row) == self.n_docs
            and len(self.term_crc) == n_terms
            and len(self.document_checksums["document_crc"]) == self.n_docs
            and len(self.document_checksums["id_crc"]) == -(-self.n_docs // ROWS)
            and len(self.document_checksums["fields_crc"]) == -(-self.n_docs // ROWS)
            and self.kth_impact.shape == (n_terms, len(STORED_K))
            and (self.counts is None or len(self.counts) == self.info.n_postings)
        )
        if not fits:
            raise IndexDamagedError(f"{self.folder}: its arrays do not fit each other; {REMEDY}")

    @cached_property
    def documents(self) -> Any:
        """The document store (`lsr.indexer.storage.documents.DocumentStore`)."""
        from lsr.indexer.storage.documents import DocumentStore

        checksums = self.document_checksums
        check_files(self._index, self.info.part, [f"{name}.npy" for name in checksums])
        info = self.info.part.files[DOCUMENTS]
        return DocumentStore(self.files / DOCUMENTS, self.n_docs, checksums=checksums, info=info)

    @cached_property
    def fields(self) -> Any:
        """The columns of the documents' fields (`FieldColumns`); None where there are none."""
        if FIELDS_FILE not in self.info.part.files:
            return None
        check_files(self._index, self.info.part, [FIELDS_FILE])
        from lsr.indexer.storage.fields import FieldColumns

        return FieldColumns(self.files / FIELDS_FILE, self.documents)

    @cached_property
    def postings(self) -> Any:
        """The inverted index as the kernels take it (`lsr.kernels.build.layout.Postings`)."""
        from lsr.kernels.build.layout import Postings

        return Postings(**self.arrays)

    @cached_property
    def _small_arrays_are_sound(self) -> bool:
        """True, once the small arrays were read and verified. Raises IndexDamagedError."""
        check_files(self._index, self.info.part, [f"{name}.npy" for name in SMALL])
        if self.info.deletions is not None:
            check_files(self._index, self.info.deletions, [LIVE])
        fault = small_arrays_fault(self.arrays, self.terms)
        if fault is not None:
            raise IndexDamagedError(f"{self.folder}: {fault}; {REMEDY}")
        return True

    @cached_property
    def _ids_are_sound(self) -> bool:
        """True, once the table of doc_ids was read and verified. Raises IndexDamagedError."""
        check_files(self._index, self.info.part, ["id_hash.npy", "id_row.npy"])
        return self._small_arrays_are_sound

    def trust(self, local: npt.NDArray[np.int64] | None = None) -> None:
        """Verify what a traversal of these local terms will read, unless that was done before.

        local: default none, so that only what all traversals read is verified. Raises IndexDamagedError.
        """
        self._small_arrays_are_sound  # noqa: B018
        if local is None or self.trusted[local].all():
            return
        for term in local[~self.trusted[local]].tolist():
            fault = term_fault(self.arrays, term)
            if fault is not None or term_checksum(self.arrays, term) != self.term_crc[term]:
                what = fault or "the postings of a term are not what was written"
                raise IndexDamagedError(f"{self.folder}: {what}; 'lsr check' says more; {REMEDY}")
            self.trusted[term] = True

    def trust_all(self) -> None:
        """Verify all arrays, before all of them are read. Raises IndexDamagedError."""
        self.trust(np.arange(len(self.terms)))
        if self.counts is not None:
            check_files(self._index, self.info.part, [COUNTS_FILE])
        self._ids_are_sound  # noqa: B018

    @cached_property
    def allowed(self) -> npt.NDArray[np.uint64]:
        """The documents that traversals may find, as they take it: empty where none is deleted."""
        # A copy, since kernels are compiled for each kind of array anew, and filters are no mapped ones.
        return np.empty(0, np.uint64) if self.live is None else np.array(self.live)

    @cached_property
    def live_rows(self) -> npt.NDArray[np.bool_]:
        """Which rows are not deleted: bool, (n_docs)."""
        live = np.ones(self.n_docs, bool)
        if self.live is not None:
            self.trust()
            live[self.arrays["insertion"]] = unpack(self.live, self.n_docs)
        return live

    def local_terms(self, term_ids: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return, for the term ids that stand in this segment, their local ids and their positions in term_ids."""
        if len(self.terms) == 0 or len(term_ids) == 0:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        local = np.searchsorted(self.terms, term_ids)
        local[local == len(self.terms)] = 0
        present = np.flatnonzero(self.terms[local] == term_ids)
        return local[present].astype(np.int64), present

    def df(self, local: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the number of postings of each local term."""
        rows = self.arrays["row"][local].astype(np.int64)
        out = np.empty(len(local), np.int64)
        frequent = rows >= 0
        for name, which, numbers in (("frequent_start", frequent, rows), ("rare_start", ~frequent, -1 - rows)):
            start = self.arrays[name]
            out[which] = start[numbers[which] + 1] - start[numbers[which]]
        return out

    def live_df(self, local: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return of how many documents that are not deleted each local term is. Raises IndexDamagedError."""
        if self.live is None:
            self.trust()
            return self.df(local)
        for term in local.tolist():
            if term not in self._live_df:
                self._live_df[term] = self._count_live(term)
        return np.array([self._live_df[term] for term in local.tolist()], np.int64)

    def _count_live(self, term: int) -> int:
        self.trust(np.array([term]))
        docs, _ = term_postings(self.arrays, term)
        assert self.live is not None
        return int((self.live[docs >> 6] >> (docs & 63).astype(np.uint64) & np.uint64(1)).sum())

    def find(self, doc_ids: Sequence[str]) -> list[int | None]:
        """Return the row of each doc_id, or None for one that isn't there, or deleted."""
        return [None if row < 0 else row for row in self.rows_of(doc_ids, hash_ids(doc_ids)).tolist()]

    def rows_of(self, doc_ids: Sequence[str], hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Return the row of each doc_id, −1 for one that isn't there, or deleted. hashes: of `hash_ids`."""
        self._ids_are_sound  # noqa: B018
        found = np.full(len(doc_ids), -1, np.int64)
        at = np.searchsorted(self.id_hash, hashes)
        waiting = np.arange(len(doc_ids))
        while len(waiting):
            waiting = waiting[at[waiting] < self.n_docs]
            waiting = waiting[self.id_hash[at[waiting]] == hashes[waiting]]
            # Few share a hash, so this comes to an end after one round, or two.
            rows = self.id_row[at[waiting]].astype(np.int64)
            names = self.documents.doc_ids(rows.tolist())
            right = np.array([name == doc_ids[i] for name, i in zip(names, waiting, strict=True)], bool)
            right &= self.live_rows[rows]
            found[waiting[right]] = rows[right]
            waiting = waiting[~right]
            at[waiting] += 1
        return found

    def document(self, row: int) -> Document:
        """Return the document that was added as number `row` of this segment."""
        found: Document = self.documents[row]
        return found
