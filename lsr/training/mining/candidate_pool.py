"""Candidate pool: an index to mine negatives from, and the original document at each of its positions.

In the index, documents of examples have an id made of their text, since examples may have the same text under several
ids, and variants of a text under one. Here each position of the index gets the hashes of its document's original id
and of its text, by which positives are recognised; 24 bytes a document.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.indexer.corpus.doc_ids import DocIdLedger
from lsr.indexer.encode.encode_corpus import encode_corpus
from lsr.indexer.pipeline import index_documents, index_vectors
from lsr.indexer.shards.manifest import is_set
from lsr.indexer.storage.generations import generations
from lsr.io.folder import Folder, refuse_link
from lsr.io.progress import Progress
from lsr.query.searcher import Searcher
from lsr.training.data.example import Examples
from lsr.training.data.sources.records import text_id
from lsr.types import Document

Hashes = npt.NDArray[np.uint64]
_SLOT_BITS = 16
NOT_OF_EXAMPLES = -1


def hash_of(text: str) -> int:
    """Return a 64-bit hash of a text, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def body_hash(document: Document) -> int:
    """Return a 64-bit hash of a document's text, titles, case and white space aside."""
    return hash_of(" ".join((document.text or document.title).lower().split()))


@dataclass(frozen=True, slots=True)
class KnownDocuments:
    """Documents of examples, each text once: sorted by the hash of their ids in the index, all (n_documents).

    slots: int64, the number of the example, then, in the lowest 16 bits, that of the document in it.
    """

    keys: Hashes
    slots: npt.NDArray[np.int64]
    id_hashes: Hashes
    body_hashes: Hashes


class _Collector:
    """Stream of the pool's documents, which records the hashes of those of the examples."""

    def __init__(self, examples: Examples, more: Iterable[Document]) -> None:
        self._examples = examples
        self._more = more
        self._rows: list[tuple[int, int, int, int]] = []
        self._full: list[npt.NDArray[np.uint64]] = []

    def documents(self) -> Iterator[Document]:
        """Yield the examples' documents, then the others whose texts are not among them, under their original ids."""
        ledger = DocIdLedger()
        for i in range(len(self._examples)):
            for j, document in enumerate(self._examples[i].documents):
                key = text_id(document)
                if ledger.enter(key, 0, 0) is None:
                    self._record(key, i << _SLOT_BITS | j, document)
                    yield Document(key, document.text, document.title)
        for document in self._more:
            if ledger.enter(text_id(document), 0, 0) is None:
                yield Document(document.doc_id, document.text, document.title)

    def _record(self, key: str, slot: int, document: Document) -> None:
        self._rows.append((hash_of(key), slot, hash_of(document.doc_id), body_hash(document)))
        if len(self._rows) >= 1 << 14:
            self._full.append(np.array(self._rows, np.uint64))
            self._rows = []

    def known(self) -> KnownDocuments:
        """Return the recorded documents."""
        rows = np.concatenate([*self._full, np.array(self._rows, np.uint64).reshape(-1, 4)])
        keys, slots, id_hashes, body_hashes = rows[np.argsort(rows[:, 0])].T
        return KnownDocuments(keys, slots.astype(np.int64), id_hashes, body_hashes)


class CandidatePool:
    """Index of candidates, with arrays by position: hashes of ids and bodies, uint64; slots, int64."""

    def __init__(self, searcher: Searcher, examples: Examples, known: KnownDocuments) -> None:
        self.searcher = searcher
        self._examples = examples
        n_docs = len(searcher.index)
        self.ids, self.bodies = np.empty(n_docs, np.uint64), np.empty(n_docs, np.uint64)
        self._slots = np.full(n_docs, NOT_OF_EXAMPLES, np.int64)
        first = 0
        for segment in searcher.index.segments:
            for doc_ids in segment.documents.all_doc_ids():
                self._fill(first, doc_ids, known)
                first += len(doc_ids)

    def _fill(self, first: int, doc_ids: list[str], known: KnownDocuments) -> None:
        hashes = np.array([hash_of(doc_id) for doc_id in doc_ids], np.uint64)
        at = np.minimum(np.searchsorted(known.keys, hashes), max(len(known.keys) - 1, 0))
        found = known.keys[at] == hashes if len(known.keys) else np.zeros(len(hashes), bool)
        span = slice(first, first + len(doc_ids))
        self.ids[span] = np.where(found, known.id_hashes[at], hashes) if len(known.keys) else hashes
        for array, values in ((self._slots, known.slots), (self.bodies, known.body_hashes)):
            array[span][found] = values[at[found]]
        for i in np.flatnonzero(~found):
            self.bodies[first + i] = body_hash(self.searcher.document(first + int(i)))

    def document(self, position: int) -> Document:
        """Return the document at a position of the index, under its original id."""
        slot = int(self._slots[position])
        if slot == NOT_OF_EXAMPLES:
            return self.searcher.document(position)
        return self._examples[slot >> _SLOT_BITS].documents[slot & ((1 << _SLOT_BITS) - 1)]


def open_candidate_pool(
    examples: Examples,
    index: Path,
    encoder: Encoder | None,
    *,
    more: Iterable[Document] = (),
    progress: Progress | None = None,
) -> CandidatePool:
    """Open the index to mine from, or make it of the examples' documents and `more` if there is none.

    encoder: None for an existing index, which opens its encoder itself. Raises IndexMissingError, EncoderError and
    LsrError.
    """
    collector = _Collector(examples, more)
    if generations(index) or is_set(index) or encoder is None:
        searcher = Searcher(index, encoder=encoder)
        deque(collector.documents(), maxlen=0)
    else:
        _make_index(collector.documents(), index, encoder, progress)
        searcher = Searcher(index, encoder=encoder)
    return CandidatePool(searcher, examples, collector.known())


def _make_index(documents: Iterable[Document], index: Path, encoder: Encoder, progress: Progress | None) -> None:
    """Index documents; where a model encodes them, an interrupted run resumes."""
    refuse_link(index)
    if encoder.corpus_weighting is not None:
        index_documents(documents, index, encoder, progress=progress)
        return
    vectors = index.with_name(f"{index.name}.vectors")
    vectors.parent.mkdir(parents=True, exist_ok=True)
    above = Folder.open(vectors.parent)
    place = above.make_folder(vectors.name, exist_ok=True)
    encoded = encode_corpus(documents, encoder, place, progress=progress)
    index_vectors(encoded.shards, index, encoder=encoder, progress=progress)
    above.remove_tree(vectors.name)


class Positives:
    """Positives of each query, over all examples with this query: 24 bytes an example."""

    def __init__(self, examples: Examples) -> None:
        rows = np.empty((len(examples), 3), np.uint64)
        for i in range(len(examples)):
            example = examples[i]
            positive = example.documents[0]
            rows[i] = hash_of(example.query), hash_of(positive.doc_id), body_hash(positive)
        self._rows = rows[np.argsort(rows[:, 0], kind="stable")]

    def of(self, query: str) -> tuple[Hashes, Hashes]:
        """Return the hashes of the ids and of the bodies of a query's positives."""
        key = np.uint64(hash_of(query))
        keys = self._rows[:, 0]
        first, last = np.searchsorted(keys, key), np.searchsorted(keys, key, side="right")
        return self._rows[first:last, 1], self._rows[first:last, 2]
