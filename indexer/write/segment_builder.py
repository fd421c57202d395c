"""A segment while its documents are being collected."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.storage.dense_vectors import DensePending
from lsr.indexer.storage.documents import DocumentStore, DocumentWriter
from lsr.indexer.storage.files import DOCUMENTS, FileInfo
from lsr.indexer.storage.segment import hash_ids
from lsr.indexer.write.prune import MassPruner
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.spill import Rows, Spool
from lsr.io.folder import Folder
from lsr.io.fork_safe import cached_property
from lsr.types import Document, SparseBatch


class Pending:
    """Documents and vectors of a future segment, in a separate folder.

    dense: the writer of dense vectors; None: there are none. limits: the size at which it is full.
    """

    def __init__(
        self, folder: Folder, *, dense: DensePending | None = None, limits: SegmentLimits = DEFAULT_LIMITS
    ) -> None:
        self.folder = folder
        self._limits = limits
        self._documents = DocumentWriter(folder / DOCUMENTS)
        self._spool = Spool(folder)
        self._id_hashes: list[npt.NDArray[np.uint64]] = []
        self._positions: list[npt.NDArray[np.uint32]] = []
        self.dense = dense
        self.dead: list[int] = []
        """Rows that were replaced or deleted again before the commit."""

    @property
    def n_docs(self) -> int:
        """Documents so far."""
        return self._documents.n_docs

    @property
    def n_postings(self) -> int:
        """Postings so far."""
        return self._spool.n_postings

    @property
    def room(self) -> int:
        """The number of documents that may still come."""
        is_full = self.n_docs > 0 and self.n_postings >= self._limits.n_postings
        return 0 if is_full else self._limits.n_docs - self.n_docs

    def append(
        self,
        documents: Sequence[Document],
        vectors: SparseBatch,
        dense: npt.NDArray[np.floating] | None = None,
        positions: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Add documents with one row of vectors each, and one of dense ones where those are due.

        positions: theirs in the set that the index is a shard of, where they are stored.
        """
        if positions is not None:
            self._positions.append(positions.astype(np.uint32))
        if self.dense is not None and dense is not None:
            self.dense.append(dense, documents)
        self._documents.append(documents)
        self._spool.append(vectors)
        self._id_hashes.append(hash_ids(document.doc_id for document in documents))

    def finish(self) -> None:
        """Write and sync the documents; no more may come."""
        self.documents_info: FileInfo = self._documents.close()

    @property
    def n_dead(self) -> int:
        """The number of rows that are dead."""
        return len(self.dead)

    @property
    def live(self) -> npt.NDArray[np.bool_]:
        """The rows that are not dead: bool, (n_docs)."""
        live = np.ones(self.n_docs, bool)
        live[self.dead] = False
        return live

    @cached_property
    def rows(self) -> Rows:
        """The vectors."""
        rows = self._spool.rows()
        return rows._replace(live=self.live) if self.dead else rows

    @property
    def counts(self) -> npt.NDArray[np.float32] | None:
        """The weights of `rows` before they were replaced; None if they weren't."""
        return self._spool.counts()

    def replace_weights(self, pieces: Iterable[npt.NDArray[np.float32]]) -> None:
        """Put other weights in the place of those of `rows`, one piece after another; see `counts`."""
        self._spool.replace_weights(pieces)
        self.__dict__.pop("rows", None)

    @cached_property
    def id_hashes(self) -> npt.NDArray[np.uint64]:
        """The hash of each doc_id."""
        return np.concatenate(self._id_hashes)

    @property
    def positions(self) -> npt.NDArray[np.uint32] | None:
        """The positions of rows in a set; None where they are not stored."""
        return np.concatenate(self._positions) if self._positions else None

    @property
    def document_checksums(self) -> dict[str, npt.NDArray[Any]]:
        """The checksums of the documents, by the names of the arrays that hold them."""
        return self._documents.checksums.arrays

    @cached_property
    def documents(self) -> DocumentStore:
        """The documents of a finished segment."""
        return DocumentStore(self.folder / DOCUMENTS, self.n_docs)

    def doc_ids(self, rows: Sequence[int]) -> list[str]:
        """Return the ids of rows of a finished segment."""
        return self.documents.doc_ids(rows)

    def delete_spool(self) -> None:
        """Remove the vectors once they are built in."""
        del self.rows
        self._spool.delete()

    def close(self) -> None:
        """Close the files of a segment that is given up."""
        with suppress(OSError, ValueError):
            self._documents.abandon()
        with suppress(OSError, ValueError):
            self._spool.close()
        if self.dense is not None:
            self.dense.abandon()


class Collector:
    """Takes documents with their vectors, and cuts them into pending segments.

    folder: gives a new folder for each. dense: the description of the encoder of dense vectors, if they come too.
    limits: the size at which a segment is full. pruner: leaves light terms of documents out, if that is wanted.
    """

    def __init__(
        self,
        folder: Callable[[str], Folder],
        *,
        dense: Mapping[str, Any] | None = None,
        limits: SegmentLimits = DEFAULT_LIMITS,
        pruner: MassPruner | None = None,
    ) -> None:
        self._folder = folder
        self._pruner = pruner
        self._limits = limits
        self._dense = dense
        self._pending: list[Pending] = []
        self.n_docs = 0

    def add(
        self,
        documents: Sequence[Document],
        vectors: SparseBatch,
        dense: npt.NDArray[np.floating] | None = None,
        positions: npt.NDArray[np.int64] | None = None,
    ) -> None:
        """Add documents with one row of vectors each; dense: a row each where the index has dense vectors.

        positions: as for `Pending.append`. Raises LsrError if the counts or the dimension differ, EncoderError naming a
        document whose dense vector isn't made of numbers.
        """
        if len(documents) != len(vectors):
            raise LsrError(f"{len(documents)} documents, but {len(vectors)} vectors")
        if (dense is None) != (self._dense is None):
            due = "lack dense vectors, which" if dense is None else "have dense vectors, which none of"
            raise LsrError(f"{len(documents)} documents {due} the index's others have: all have them, or none")
        vectors = vectors if self._pruner is None else self._pruner.prune(vectors)
        first = 0
        while first < len(documents):
            if not self._pending or self._pending[-1].room == 0:
                self._pending.append(self._begun(f"segment-{len(self._pending)}"))
            last = min(len(documents), first + self._pending[-1].room)
            some = None if dense is None else dense[first:last]
            placed = None if positions is None else positions[first:last]
            self._pending[-1].append(documents[first:last], vectors.rows(first, last), some, placed)
            first = last
        self.n_docs += len(documents)

    def _begun(self, name: str) -> Pending:
        folder = self._folder(name)
        if self._dense is None:
            return Pending(folder, limits=self._limits)
        dense = DensePending(self._folder(f"{name}-dense"), int(self._dense["dimension"]))
        return Pending(folder, dense=dense, limits=self._limits)

    def finish(self) -> list[Pending]:
        """Write and sync the documents; no more may come. Return what was collected."""
        for pending in self._pending:
            pending.finish()
        return self._pending

    def close(self) -> None:
        """Close the files of what is given up."""
        for pending in self._pending:
            pending.close()
        self._pending = []


def refuse_duplicates(segments: Sequence[Pending]) -> None:
    """Raise BadDocumentError naming a doc_id that was added twice to these finished segments."""
    if not segments:
        return
    hashes = np.concatenate([segment.id_hashes for segment in segments])
    order = np.argsort(hashes, kind="stable")
    ascending = hashes[order]
    starts = np.concatenate([[0], np.cumsum([segment.n_docs for segment in segments])])

    def doc_id(position: int) -> str:
        number = int(np.searchsorted(starts, position, side="right")) - 1
        return segments[number].doc_ids([position - int(starts[number])])[0]

    for shared in np.unique(ascending[1:][ascending[1:] == ascending[:-1]]):
        # Different ids may share a hash, so the ids themselves decide.
        first_seen: dict[str, int] = {}
        span = slice(*np.searchsorted(ascending, [shared, shared + np.uint64(1)]))
        for position in order[span].tolist():
            name = doc_id(position)
            if name in first_seen:
                raise BadDocumentError(
                    f"doc_id {name} is there twice: it is that of document {first_seen[name] + 1:,} and of document "
                    f"{position + 1:,}; give each its own"
                )
            first_seen[name] = position
