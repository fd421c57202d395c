"""Changes of a served index: documents put and deleted, one change after another, durable when they return.

A change is repeated without effect: a document that the index has already, the same in all parts, is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from lsr.api.documents import all_documents, documents_by_id
from lsr.encoders.base import term_ids_of
from lsr.errors import EncoderError
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import READY_VECTORS, ReadyVectors
from lsr.indexer.update.editor import Changes
from lsr.server.problems import Problem
from lsr.server.records import Record, Vector
from lsr.types import SparseBatch

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.indexer.update.open_editor import Editor

SHOWN = 20
"""Doc_ids that an answer names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Put:
    """The counts of documents that were put. generation: of the index that has them."""

    added: int
    replaced: int
    unchanged: int
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """The count of documents that were deleted, or would be. missing: some of the ids that weren't there."""

    deleted: int
    missing: tuple[str, ...]
    generation: int


def conflict(detail: str) -> Problem:
    """Return the problem of a change that doesn't fit the index."""
    return Problem(HTTPStatus.CONFLICT, "conflict", detail)


class Changer:
    """Changes an index. Called by one thread at a time.

    The loaded encoder of documents is kept for later changes, where it continues the index's terms.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        self._threads = threads
        self._encoder: Encoder | None = None

    def put(self, records: Sequence[Record], *, only_new: bool = False) -> Put:
        """Add documents, each in the place of the one with its id; of several with one id the last counts.

        only_new: refuse a document that the index has already, in another form. Raises Problem (409) for vectors of
        another encoder, and what the editor raises.
        """
        by_id = {record.document.doc_id: record for record in records}
        with StoredIndex.open(self._path) as index:
            self._check(index, records)
            generation = index.manifest.generation
            known = dict(zip(by_id, documents_by_id(index, list(by_id)), strict=True))
            changed = [one for doc_id, one in by_id.items() if known[doc_id] != one.document or one.vector is not None]
            replaced = [one.document.doc_id for one in changed if known[one.document.doc_id] is not None]
            if only_new and replaced:
                raise conflict(f"the index has a document {replaced[0]!r:.80} already: PUT replaces it")
        if changed:
            generation = self._commit(changed).manifest.generation
        return Put(
            added=len(changed) - len(replaced),
            replaced=len(replaced),
            unchanged=len(by_id) - len(changed),
            generation=generation,
        )

    def delete(self, doc_ids: Sequence[str], *, dry_run: bool = False) -> Removed:
        """Delete documents by their ids. dry_run: only count them."""
        from lsr.indexer.update.update import delete_documents

        wanted = list(dict.fromkeys(doc_ids))
        with StoredIndex.open(self._path) as index:
            known = documents_by_id(index, wanted)
            generation = index.manifest.generation
            there = [doc_id for doc_id, found in zip(wanted, known, strict=True) if found is not None]
        missing = set(wanted) - set(there)
        if there and not dry_run:
            generation = delete_documents(there, self._path, threads=self._threads).manifest.generation
        shown = tuple(doc_id for doc_id in wanted if doc_id in missing)[:SHOWN]
        return Removed(deleted=len(there), missing=shown, generation=generation)

    def delete_where(self, where: str, *, dry_run: bool = False) -> Removed:
        """Delete the documents whose fields fit a filter. dry_run: only count them. Raises FilterError."""
        with StoredIndex.open(self._path) as index:
            doc_ids = [document.doc_id for document in all_documents(index, where)]
        return self.delete(doc_ids, dry_run=dry_run)

    def merge(self) -> int:
        """Merge the segments into one; return the generation."""
        from lsr.indexer.update.open_editor import merge_segments

        manifest, _ = merge_segments(self._path, threads=self._threads)
        return manifest.generation

    def _check(self, index: StoredIndex, records: Sequence[Record]) -> None:
        """Raise Problem (409) for records that another encoder made, or that this index can't take."""
        described = index.manifest.encoder
        name = str(described.get("name", described["kind"]))
        is_ready = described["kind"] == READY_VECTORS
        with_vector = sum(record.vector is not None for record in records)
        for record in records:
            if record.encoder is not None and record.encoder != name:
                raise conflict(
                    f"the vector of {record.document.doc_id!r:.80} is by the encoder {record.encoder!r:.80}, the "
                    f"index's are by {name!r}: encode the text by that, or leave the vector out"
                )
        if with_vector and with_vector < len(records):
            raise conflict("some documents have a vector and some have none: send them in two requests")
        if with_vector and described.get("needs_corpus_statistics"):
            raise conflict(f"{name} weighs words by statistics of the corpus: send texts, without vectors")
        if with_vector and index.manifest.dense is not None:
            raise conflict("the index has dense vectors too, which ready vectors come without: send texts")
        if with_vector and index.manifest.passages is not None:
            raise conflict("the index cuts texts into passages: send texts, without vectors")
        if is_ready and not with_vector:
            raise conflict("the index was made from ready vectors: send each document with its vector")

    def _commit(self, records: Sequence[Record]) -> Changes:
        from lsr.indexer.update.open_editor import open_editor
        from lsr.indexer.update.take import merge_due
        from lsr.indexer.update.update import update_documents

        documents = [record.document for record in records]
        vectors = [record.vector for record in records if record.vector is not None]
        if not vectors:
            return update_documents(documents, self._path, encoder=self.document_encoder(), threads=self._threads)
        with open_editor(self._path, encoder=self.document_encoder(), threads=self._threads) as editor:
            editor.update(documents, _rows_of(editor, vectors))
            changes = editor.commit()
        merge_due(self._path, threads=self._threads)
        return changes

    def document_encoder(self) -> Encoder | None:
        """Return the loaded encoder of documents, None where the index had better open its own for each change."""
        from lsr.encoders.registry import check_same, open_document_encoder

        with StoredIndex.open(self._path) as index:
            described = index.manifest.encoder
            if described["kind"] == READY_VECTORS or described.get("needs_corpus_statistics"):
                return None
            terms = list(index.vocabulary)
        held = self._encoder
        if held is not None:
            try:
                check_same(described, held.description)
            except EncoderError:  # the index was made again, with another encoder
                held = None
        if held is None or list(held.terms) != terms:
            held = self._encoder = open_document_encoder(described, terms)
        return held


def _rows_of(editor: Editor, vectors: Sequence[Vector]) -> SparseBatch:
    """Return vectors by term as rows of the index. Raises Problem (409) for a term that the encoder doesn't know."""
    encoder = editor.encoder
    if isinstance(encoder, ReadyVectors):
        rows = [{encoder.term_id(term): weight for term, weight in vector.items()} for vector in vectors]
        return SparseBatch.from_rows(rows, len(encoder.terms))
    lookup = term_ids_of(encoder)
    rows = []
    for vector in vectors:
        row: dict[int, float] = {}
        for term, weight in vector.items():
            term_id = lookup(term)
            if term_id is None:
                raise conflict(f"the index's encoder has no term {term!r:.80}: the vector is by another")
            row[term_id] = weight
        rows.append(row)
    return SparseBatch.from_rows(rows, len(editor.base.vocabulary))
