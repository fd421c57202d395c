"""Other systems' runs, made on demand and measured by the same rules as ours."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Run
from lsr.eval.systems.lucene import BM25_SETTINGS, find_lucene, lucene_bm25, lucene_impact

BASELINES = ("lucene-bm25", "lucene-impact")


def run_baseline(
    name: str, dataset: Dataset, *, k: int, vectors: Path | None = None, queries: Path | None = None
) -> tuple[Run, Mapping[str, Any]]:
    """Return a baseline's run of a dataset, and what is to be said of it in place of an encoder.

    name: one of `BASELINES`; `lucene-impact` takes the ready vectors and queries that our own engine is given. Raises
    UsageError for another name or missing vectors, MissingExtraError where Java or the jar is missing.
    """
    if name not in BASELINES:
        raise UsageError(f"unknown baseline {name!r}: use one of {', '.join(BASELINES)}")
    lucene = find_lucene()
    about: dict[str, Any] = {"kind": name, "name": f"Anserini {lucene.version}"}
    if name == "lucene-bm25":
        return lucene_bm25(lucene, dataset, k=k), about | {"settings": dict(BM25_SETTINGS)}
    if vectors is None or queries is None:
        raise UsageError("lucene-impact searches ready vectors: give --vectors and --queries")
    judged = ((query_id, vector) for query_id, vector in read_integer_vectors(queries) if query_id in dataset.queries)
    return lucene_impact(lucene, read_integer_vectors(vectors), judged, k=k), about


def read_integer_vectors(path: Path) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield (id, {term: weight}) out of Parquet (`id`, `terms`, `weights`) or of lines `id TAB token token …`.

    Raises LsrError for a weight that isn't whole: Lucene would cut it off.
    """
    if path.suffix == ".parquet":
        from lsr.indexer.transfer.read_vectors import ReadyVectors, read_vectors

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
