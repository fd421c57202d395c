"""Corpus whose documents examples name by ids: a document store and a table of hashed ids, both mapped."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.indexer.storage.documents import DocumentStore, DocumentWriter
from lsr.indexer.storage.files import map_array, save_array
from lsr.types import Document

DOCUMENTS, HASHES, ROWS = "documents.arrow", "hashes.npy", "rows.npy"
_AT_ONCE = 1024


def _hash(doc_id: str) -> int:
    return int.from_bytes(blake2b(doc_id.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def write_corpus(folder: Path, documents: Iterable[Document]) -> None:
    """Write documents and the hashes of their ids into an empty folder."""
    writer = DocumentWriter(folder / DOCUMENTS)
    hashes = _Growing()
    waiting: list[Document] = []
    for document in documents:
        hashes.append(_hash(document.doc_id))
        waiting.append(Document(document.doc_id, document.text, document.title))
        if len(waiting) >= _AT_ONCE:
            writer.append(waiting)
            waiting = []
    writer.append(waiting)
    writer.close()
    values = hashes.array()
    order = np.argsort(values, kind="stable")
    save_array(folder / HASHES, values[order])
    save_array(folder / ROWS, order.astype(np.int64))


class CorpusTable:
    """Lookup of documents by their ids."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / DOCUMENTS
        self._hashes: npt.NDArray[np.uint64] = map_array(folder / HASHES, np.uint64, 1)
        self._rows: npt.NDArray[np.int64] = map_array(folder / ROWS, np.int64, 1)
        self.documents = DocumentStore(self.path, len(self._rows))

    def row(self, doc_id: str) -> int | None:
        """Return the row of a document, None if the corpus lacks it."""
        key = np.uint64(_hash(doc_id))
        at = int(np.searchsorted(self._hashes, key))
        while at < len(self._hashes) and self._hashes[at] == key:
            row = int(self._rows[at])
            if self.documents.doc_ids([row])[0] == doc_id:
                return row
            at += 1
        return None


class _Growing:
    """Growing array of 64-bit numbers."""

    def __init__(self) -> None:
        self._full: list[npt.NDArray[np.uint64]] = []
        self._waiting: list[int] = []

    def append(self, value: int) -> None:
        self._waiting.append(value)
        if len(self._waiting) >= 1 << 16:
            self._full.append(np.array(self._waiting, np.uint64))
            self._waiting = []

    def array(self) -> npt.NDArray[np.uint64]:
        return np.concatenate([*self._full, np.array(self._waiting, np.uint64)])
