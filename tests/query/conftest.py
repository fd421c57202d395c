"""Small collections of ready vectors, indexed in every way, and the plain oracle that searches must agree with."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.segment_limits import DEFAULT_LIMITS, SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.engine.query_weights import integer_weights
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

Row = Mapping[str, float]


def write_index(
    folder: Path, rows: Sequence[Row], *, segment_docs: int | None = None, reorder: bool = True, threads: int = 2
) -> StoredIndex:
    """Index rows of term → weight as documents d0, d1, …, some `segment_docs` of them a segment."""
    encoder = ReadyVectors()
    ids = [{encoder.term_id(term): weight for term, weight in row.items()} for row in rows]
    step = segment_docs or max(1, len(rows))
    limits = DEFAULT_LIMITS if segment_docs is None else SegmentLimits(n_postings=0)  # every batch begins a segment
    with IndexWriter(folder, encoder, reorder=reorder, threads=threads, limits=limits) as writer:
        for first in range(0, len(rows), step):
            documents = [Document(f"d{i}", f"text {i}") for i in range(first, min(first + step, len(rows)))]
            vectors = SparseBatch.from_rows(ids[first : first + step], len(encoder.terms))
            writer.add(documents, vectors)
        writer.commit()
    return StoredIndex.open(folder)


@dataclass(frozen=True)
class Oracle:
    """Scores every document by a sum over its terms, in Python's own integers."""

    index: StoredIndex
    rows: Sequence[Row]

    def rank(self, query: Row, k: int) -> list[tuple[int, float]]:
        """Return (position, score) of the k best documents: score descending, then in order of addition."""
        scale = self.index.manifest.scale
        query = {term: weight for term, weight in query.items() if self.index.vocabulary.lookup(term) is not None}
        terms = sorted(query, key=lambda term: self.index.vocabulary.lookup(term) or 0)
        weights, factor = integer_weights(np.array([query[term] for term in terms], np.float32))
        found = []
        for position, row in enumerate(self.rows):
            score = sum(
                int(weight) * self.impact(row[term], scale)
                for term, weight in zip(terms, weights, strict=True)
                if term in row
            )
            if score:
                found.append((-score, position))
        return [(position, -score * (scale / factor)) for score, position in sorted(found)[:k]]

    @staticmethod
    def impact(weight: float, scale: float) -> int:
        return int(min(255, max(1, np.rint(np.float32(weight) / np.float32(scale)))))


def encoded(index: StoredIndex, query: Row) -> SparseBatch:
    """Return a query over the index's vocabulary; terms that it doesn't hold are dropped."""
    ids = {index.vocabulary.lookup(term): weight for term, weight in query.items()}
    return SparseBatch.from_rows([{i: w for i, w in ids.items() if i is not None}], len(index.vocabulary))


def ranked(searcher: Searcher, query: Row, k: int, *, traversal: str | None = None) -> list[tuple[int, float]]:
    """Return (position, score) of what a search finds."""
    term_ids, weights = encoded(searcher.index, query).row(0)
    found = searcher.engine.rank(term_ids, weights, k, traversal=traversal)
    return list(zip(found.positions.tolist(), found.scores.tolist(), strict=True))


class Collections:
    """What the tests of this folder share; in a fixture, since test modules can't import each other."""

    write_index = staticmethod(write_index)
    encoded = staticmethod(encoded)
    ranked = staticmethod(ranked)
    Oracle = Oracle


@pytest.fixture(scope="session")
def collections() -> type[Collections]:
    return Collections


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
