"""Lucene's searches as systems, measured by the same rules as ours."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.systems.lucene import BM25_SETTINGS, Lucene, find_lucene, lucene_bm25, lucene_impact
from lsr.eval.systems.system import SystemRun

BM25, IMPACT = "lucene-bm25", "lucene-impact"


class LuceneBM25:
    """Lucene's BM25, its default analyser. Raises MissingExtraError where Java or the jar is missing."""

    name = BM25

    def __init__(self) -> None:
        self._lucene = find_lucene()

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Index and search the dataset with Lucene."""
        run = lucene_bm25(self._lucene, dataset, k=k)
        return SystemRun(run, _described(BM25, self._lucene) | {"settings": dict(BM25_SETTINGS)})


class LuceneImpact:
    """Lucene's exact search of ready integer vectors: the files that our own engine is given.

    Raises UsageError where either is missing, MissingExtraError where Java or the jar is.
    """

    name = IMPACT

    def __init__(self, vectors: Path | None, queries: Path | None) -> None:
        if vectors is None or queries is None:
            raise UsageError("lucene-impact searches ready vectors: give --vectors and --queries")
        self._lucene = find_lucene()
        self._vectors, self._queries = vectors, queries

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Index and search the vectors with Lucene."""
        judged = ((q, vector) for q, vector in read_integer_vectors(self._queries) if q in dataset.queries)
        run = lucene_impact(self._lucene, read_integer_vectors(self._vectors), judged, k=k)
        return SystemRun(run, _described(IMPACT, self._lucene))


def _described(name: str, lucene: Lucene) -> dict[str, Any]:
    return {"kind": name, "name": f"Anserini {lucene.version}"}


def read_integer_vectors(path: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield (id, {term: weight}) out of Parquet (`id`, `terms`, `weights`) or of lines `id TAB token token …`.

    Raises LsrError for a weight that isn't whole: Lucene would cut it off.
    """
    if path.suffix == ".parquet":
        from lsr.indexer.transfer.read_vectors import read_vectors
        from lsr.indexer.transfer.ready_vectors import ReadyVectors

        names = ReadyVectors()
        for documents, batch, _ in read_vectors(path, names.term_id):
            for document, (term_ids, weights) in zip(documents, batch, strict=True):
                if (weights % 1).any():
                    raise LsrError(f"{path}: {document.doc_id!r} has weights that aren't whole; Lucene takes integers")
                yield document.doc_id, {names.terms[t]: int(w) for t, w in zip(term_ids, weights, strict=True)}
        return
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        for line in lines:
            query_id, _, tokens = line.rstrip("\n").partition("\t")
            yield query_id, dict(Counter(tokens.split()))
