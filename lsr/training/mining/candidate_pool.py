"""The documents that negatives are mined from: an index, and for each of its positions whose text it is.

Documents of examples stand in the index under an id that is made of their text, since examples may have the same text
under several ids, and variants of a text under one. Here each position of the index gets the hash of its document's
own id and that of its text, by which positives are known; 24 bytes a document.
"""

from __future__ import annotations

import shutil
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
from lsr.indexer.storage.generations import generations
from lsr.io.progress import Progress
from lsr.query.searcher import Searcher
from lsr.training.data.example import Examples
from lsr.training.data.sources.records import text_id
from lsr.types import Document

Hashes = npt.NDArray[np.uint64]
_SLOT_BITS = 16
NOT_OF_EXAMPLES = -1


def hash_of(text: str) -> int:
    """Return 64 bits that tell a text from others, the same in every process."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def body_hash(document: Document) -> int:
    """Return 64 bits that documents of the same text share, whatever their titles, case and white space."""
    return hash_of(" ".join((document.text or document.title).lower().split()))


@dataclass(frozen=True, slots=True)
class KnownDocuments:
    """The documents of examples, each text once: sorted by the hash of their ids in the index, all (n_documents).

    slots: int64, the number of the example, and behind it, in 16 bits, the document's in that.
    """

    keys: Hashes
    slots: npt.NDArray[np.int64]
    id_hashes: Hashes
    body_hashes: Hashes


class _Collector:
    """Streams each text of the examples once, as it goes into the index, and notes what it was."""

    def __init__(self, examples: Examples, more: Iterable[Document]) -> None:
        self._examples = examples
        self._more = more
        self._rows: list[tuple[int, int, int, int]] = []
        self._full: list[npt.NDArray[np.uint64]] = []

    def documents(self) -> Iterator[Document]:
        """Yield the examples' documents, then those others whose texts are not among them, under their own ids."""
        ledger = DocIdLedger()
        for i in range(len(self._examples)):
            for j, document in enumerate(self._examples[i].documents):
                key = text_id(document)
                if ledger.enter(key, 0, 0) is None:
                    self._note(key, i << _SLOT_BITS | j, document)
                    yield Document(key, document.text, document.title)
        for document in self._more:
            if ledger.enter(text_id(document), 0, 0) is None:
                yield Document(document.doc_id, document.text, document.title)

    def _note(self, key: str, slot: int, document: Document) -> None:
        self._rows.append((hash_of(key), slot, hash_of(document.doc_id), body_hash(document)))
        if len(self._rows) >= 1 << 14:
            self._full.append(np.array(self._rows, np.uint64))
            self._rows = []

    def known(self) -> KnownDocuments:
        """Return what was noted."""
        rows = np.concatenate([*self._full, np.array(self._rows, np.uint64).reshape(-1, 4)])
        keys, slots, id_hashes, body_hashes = rows[np.argsort(rows[:, 0])].T
        return KnownDocuments(keys, slots.astype(np.int64), id_hashes, body_hashes)


class Haystack:
    """An index with what is known of its documents, arrays by position: ids and bodies, uint64; slots, int64."""

    def __init__(self, searcher: Searcher, examples: Examples, known: KnownDocuments) -> None:
        self.searcher = searcher
        self._examples = examples
        n_docs = len(searcher.index)
        self.ids, self.bodies = np.empty(n_docs, np.uint64), np.empty(n_docs, np.uint64)
        self._slots = np.full(n_docs, NOT_OF_EXAMPLES, np.int64)
        first = 0
        for segment in searcher.index.segments:
            for doc_ids in segment.documents.all_doc_ids():
                self._enter(first, doc_ids, known)
                first += len(doc_ids)

    def _enter(self, first: int, doc_ids: list[str], known: KnownDocuments) -> None:
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
        """Return the document at a position of the index, under its own id."""
        slot = int(self._slots[position])
        if slot == NOT_OF_EXAMPLES:
            return self.searcher.document(position)
        return self._examples[slot >> _SLOT_BITS].documents[slot & ((1 << _SLOT_BITS) - 1)]


def open_haystack(
    examples: Examples,
    index: Path,
    encoder: Encoder | None,
    *,
    more: Iterable[Document] = (),
    progress: Progress | None = None,
) -> Haystack:
    """Open an index to mine from, or make it of the examples' documents and `more` if there is none.

    encoder: None where the index is there, and opens its own. Raises IndexMissingError, EncoderError, LsrError.
    """
    collector = _Collector(examples, more)
    if generations(index) or encoder is None:
        searcher = Searcher(index, encoder=encoder)
        deque(collector.documents(), maxlen=0)
    else:
        _make_index(collector.documents(), index, encoder, progress)
        searcher = Searcher(index, encoder=encoder)
    return Haystack(searcher, examples, collector.known())


def _make_index(documents: Iterable[Document], index: Path, encoder: Encoder, progress: Progress | None) -> None:
    """Index documents; where a model has to encode them, so that an interrupted run goes on where it was."""
    if encoder.corpus_weighting is not None:
        index_documents(documents, index, encoder, progress=progress)
        return
    vectors = index.with_name(f"{index.name}.vectors")
    encoded = encode_corpus(documents, encoder, vectors, progress=progress)
    index_vectors(encoded.shards, index, encoder=encoder, progress=progress)
    shutil.rmtree(vectors)


class Positives:
    """The positives of every query, over all examples that ask it: 24 bytes an example."""

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
