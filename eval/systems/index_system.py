"""A system that is an existing index: searched in its generation, never written to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.systems.encoder_system import encoded
from lsr.eval.systems.indexed_system import IndexedSystem, Prepared
from lsr.indexer.storage.find_index import DEFAULT_NAME
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import hash_ids
from lsr.query.searcher import Searcher

log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 4096
"""Documents whose ids are compared together."""


class IndexSystem(IndexedSystem):
    """An index of the dataset's documents, by its path, opened, or as a searcher."""

    def __init__(
        self, index: Searcher | StoredIndex | str | Path, *, name: str | None = None, threads: int = 1
    ) -> None:
        self._searcher = index if isinstance(index, Searcher) else Searcher(index)
        if self._searcher.options.partial or self._searcher.missing:
            raise UsageError(
                f"{self._searcher.index.path} was opened with partial=True: what a part of a set finds isn't measured "
                "as what the set finds; open it as a whole"
            )
        super().__init__(name or index_name(self._searcher.index.path), threads=threads)

    def _prepare(self, dataset: Dataset) -> Prepared:
        """Compare the documents of index and dataset, and encode the queries."""
        check_documents(self._searcher, dataset)
        return encoded(self._searcher, dataset)


def index_name(path: Path) -> str:
    """Return the name of an index: that of its folder, or of the folder that `.lsr` is in."""
    resolved = path.resolve()
    return resolved.parent.name if resolved.name == DEFAULT_NAME else resolved.name


def check_documents(searcher: Searcher, dataset: Dataset) -> None:
    """Compare an index with a dataset's corpus by doc_id, 8 bytes a document.

    Documents of the index that the corpus lacks are logged as a warning: they count as not relevant. Raises LsrError
    where the index lacks documents of the corpus, unless they have neither title nor text.
    """
    there = np.unique(np.concatenate([np.empty(0, np.uint64), *map(hash_ids, _ids_of(searcher))]))
    n_found, missing = 0, []
    documents = ((document.doc_id, bool(document.full_text.strip())) for document in dataset.documents())
    for chunk in _chunks(documents):
        found = np.isin(hash_ids([doc_id for doc_id, _ in chunk]), there)
        n_found += int(found.sum())
        missing += [doc_id for (doc_id, filled), known in zip(chunk, found, strict=True) if filled and not known]
    path = searcher.index.path
    if missing:
        named = ", ".join(map(repr, missing[:3]))
        raise LsrError(
            f"{path}: the index lacks {len(missing):,} documents of {dataset.name}, such as {named}: index the whole"
            f" corpus, {dataset.corpus_path}, or name an encoder instead of the index"
        )
    if len(there) > n_found:
        log.warning(
            "%s: %s of its %s documents are not in the corpus of %s; they count as not relevant",
            path, f"{len(there) - n_found:,}", f"{len(there):,}", dataset.name,
        )  # fmt: skip


def _ids_of(searcher: Searcher) -> Iterator[list[str]]:
    """Yield the doc_ids of an index, those of whole documents where it holds passages."""
    for segment in searcher.index.segments:
        store = segment.documents
        for rows in _chunks(np.flatnonzero(segment.live_rows).tolist()):
            yield store.doc_ids(rows) if searcher.owners is None else store.document_ids(rows)


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(items)
    while chunk := list(islice(stream, AT_ONCE)):
        yield chunk
