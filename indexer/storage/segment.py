"""A segment: an immutable folder of arrays and documents, written once, opened by mmap."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import IndexDamagedError
from lsr.indexer.storage.arrays import (
    COUNTS,
    POSTINGS,
    OnMerge,
    Verified,
    check_shapes,
    expected_files,
    map_arrays,
    names_of,
)
from lsr.indexer.storage.checks_on_read import check_files, small_arrays_fault, term_checksum, term_fault
from lsr.indexer.storage.deletions import FILE as LIVE
from lsr.indexer.storage.deletions import unpack
from lsr.indexer.storage.dense_vectors import Halves, open_dense
from lsr.indexer.storage.files import map_array
from lsr.indexer.storage.manifest import REMEDY, SegmentInfo
from lsr.indexer.storage.posting_list import term_postings
from lsr.indexer.storage.segment_files import DOCUMENTS, FIELDS_FILE
from lsr.io.folder import Folder
from lsr.kernels.geometry import SUPERBLOCK
from lsr.types import Document


def hash_ids(doc_ids: Iterable[str]) -> npt.NDArray[np.uint64]:
    """Return a 64-bit hash of each doc_id."""
    digests = b"".join(
        hashlib.blake2b(doc_id.encode("utf-8", "surrogatepass"), digest_size=8).digest() for doc_id in doc_ids
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


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
        info.part.check_sizes(index, expected=expected_files())
        self.files = info.part.open(index)
        self._every = map_arrays(self.files, info.part.files)
        check_shapes(self._every, info, self.folder)
        self.arrays = {spec.name: self._every[spec.name] for spec in POSTINGS}
        self.terms: npt.NDArray[np.uint32] = self._every["terms"]
        self.kth_impact: npt.NDArray[np.uint8] = self._every["kth_impact"]
        self.id_hash, self.id_row = self._every["id_hash"], self._every["id_row"]
        self.term_crc: npt.NDArray[np.uint32] = self._every["term_crc"]
        self.counts = self._every.get(COUNTS.name)
        self._verified: set[str] = set()
        self._index = index
        self.trusted = np.zeros(len(self.terms), bool)
        self._live_df: dict[int, int] = {}
        self.live = self._map_live(index)
        self.dense: Halves | None = None if info.dense is None else open_dense(index, info.dense, info.n_docs)

    def _map_live(self, index: Folder) -> npt.NDArray[np.uint64] | None:
        deletions = self.info.deletions
        if deletions is None:
            return None
        deletions.check_sizes(index, expected=[LIVE])
        live = map_array(deletions.open(index) / LIVE, np.uint64, 1)
        if len(live) != -(-self.n_docs // SUPERBLOCK):
            raise IndexDamagedError(f"{deletions.folder(index.path)}: not of {self.n_docs} documents; {REMEDY}")
        return live

    def verify_arrays(self, when: Verified) -> None:
        """Compare the arrays that are verified at a time with their checksums, once. Raises IndexDamagedError."""
        for name in names_of(verified=when):
            if name in self._every:
                self._verify(name)

    def _verify(self, name: str) -> None:
        if name not in self._verified:
            check_files(self._index, self.info.part, [f"{name}.npy"])
            self._verified.add(name)

    def array(self, name: str) -> npt.NDArray[Any] | None:
        """Return an array of the table, verified as a whole; None where the segment lacks it.

        Raises IndexDamagedError if it isn't what was written.
        """
        if name in self._every:
            self._verify(name)
        return self._every.get(name)

    @property
    def arrays_by_row(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays that a merge copies row by row, verified. Raises IndexDamagedError."""
        found = {name: self.array(name) for name in names_of(on_merge=OnMerge.ROWS)}
        return {name: array for name, array in found.items() if array is not None}

    @property
    def document_checksums(self) -> dict[str, npt.NDArray[Any]]:
        """The checksums of the documents, by the names of their arrays."""
        return {name: self._every[name] for name in names_of(verified=Verified.DOCUMENTS)}

    @cached_property
    def documents(self) -> Any:
        """The document store (`lsr.indexer.storage.documents.DocumentStore`)."""
        from lsr.indexer.storage.documents import DocumentStore

        checksums = self.document_checksums
        self.verify_arrays(Verified.DOCUMENTS)
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
        self.verify_arrays(Verified.SEARCH)
        if self.info.deletions is not None:
            check_files(self._index, self.info.deletions, [LIVE])
        fault = small_arrays_fault(self.arrays, self.terms)
        if fault is not None:
            raise IndexDamagedError(f"{self.folder}: {fault}; {REMEDY}")
        return True

    @cached_property
    def _ids_are_sound(self) -> bool:
        """True, once the table of doc_ids was read and verified. Raises IndexDamagedError."""
        self.verify_arrays(Verified.IDS)
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
        self.verify_arrays(Verified.USE)
        self._ids_are_sound  # noqa: B018

    @cached_property
    def allowed(self) -> npt.NDArray[np.uint64]:
        """The documents that traversals may find, as they take it: empty where none is deleted."""
        # A copy, since kernels are compiled for each kind of array, and filters are not mapped.
        return np.empty(0, np.uint64) if self.live is None else np.array(self.live)

    @cached_property
    def live_rows(self) -> npt.NDArray[np.bool_]:
        """The rows that are not deleted: bool, (n_docs)."""
        live = np.ones(self.n_docs, bool)
        if self.live is not None:
            self.trust()
            live[self.arrays["insertion"]] = unpack(self.live, self.n_docs)
        return live

    def local_terms(self, term_ids: npt.NDArray[np.int32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return, for the term ids that occur in this segment, their local ids and their positions in term_ids."""
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
