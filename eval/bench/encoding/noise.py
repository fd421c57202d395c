"""The share of a difference in quality that is chance: dense vectors with random errors of known size, measured.

Run as `python -m lsr.eval.bench.encoding.noise INDEX COLLECTION`. Vectors of documents and queries get random errors;
the rest is exact. Measured are the dense vectors alone, and the first 100 of the sparse ones by both scores' sum, each
brought to between 0 and 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError

Floats = npt.NDArray[np.float32]
LOSSES = (8e-4, 4e-4, 2e-4, 1e-4, 5e-5, 2e-5)
_MEASURE, _BOUND = "nDCG@10", 0.002


@dataclass(frozen=True, slots=True)
class Vectors:
    """A collection's dense vectors, and the first documents of each query by the sparse ones with their scores."""

    documents: Floats
    queries: Floats
    doc_ids: Sequence[str]
    query_ids: Sequence[str]
    candidates: Sequence[tuple[npt.NDArray[np.int64], Floats]]


def with_errors(vectors: Floats, loss: float, random: np.random.Generator) -> Floats:
    """Return unit vectors whose cosine with the given ones is 1 - loss in the mean, by random errors."""
    errors = random.standard_normal(vectors.shape).astype(np.float32) * np.float32((2 * loss / vectors.shape[1]) ** 0.5)
    changed = vectors + errors
    found: Floats = changed / np.maximum(np.linalg.norm(changed, axis=1, keepdims=True), 1e-12).astype(np.float32)
    return found


def metrics(
    vectors: Vectors, qrels: Mapping[str, Mapping[str, int]], documents: Floats, queries: Floats
) -> npt.NDArray[np.float64]:
    """Return nDCG@10 of the dense vectors alone and of both scores, float64 (2)."""
    from lsr.eval.measures.measures import evaluate

    dense: dict[str, dict[str, float]] = {}
    fused: dict[str, dict[str, float]] = {}
    for query_id, row, (places, sparse) in zip(
        vectors.query_ids, queries @ documents.T, vectors.candidates, strict=True
    ):
        first = np.argsort(-row, kind="stable")[:10]
        dense[query_id] = {vectors.doc_ids[i]: float(row[i]) for i in first.tolist()}
        both = _between_0_and_1(sparse) + _between_0_and_1(row[places])
        fused[query_id] = {vectors.doc_ids[i]: float(of) for i, of in zip(places.tolist(), both, strict=True)}
    return np.array([evaluate(run, qrels, measures=(_MEASURE,)).mean[_MEASURE] for run in (dense, fused)])


def _between_0_and_1(scores: Floats) -> Floats:
    if not len(scores):
        return scores
    found: Floats = (scores - scores.min()) / max(float(scores.max() - scores.min()), 1e-9)
    return found


def read_vectors(index: Path, queries: Mapping[str, str]) -> Vectors:
    """Return what `metrics` needs of an index with dense vectors."""
    import lsr
    from lsr.indexer.storage.index import StoredIndex
    from lsr.query.searcher import Searcher

    stored = StoredIndex.open(index)
    if stored.dense is None:
        raise LsrError(f"{index} has no dense vectors: index the collection with --dense joint")
    doc_ids = [document.doc_id for document in stored.documents()]
    place_of = {doc_id: i for i, doc_id in enumerate(doc_ids)}
    found = lsr.open(index).search(list(queries.values()), k=100)
    candidates = [
        (np.array([place_of[hit.doc_id] for hit in of], np.int64), np.array([hit.score for hit in of], np.float32))
        for of in found
    ]
    documents = np.concatenate([np.asarray(matrix, np.float32) for matrix in stored.dense.matrices])
    of_queries = Searcher(stored).encoders.dense.encode_dense_queries(list(queries.values()))
    return Vectors(documents, of_queries, doc_ids, list(queries), candidates)


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of the changes by the size of the errors: mean, standard deviation, and share within .002."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.noise", description=__doc__)
    parser.add_argument("index", type=Path, help="index of the collection with dense vectors, such as --dense joint")
    parser.add_argument("collection", type=Path, help="folder of the collection, in BEIR's layout")
    parser.add_argument("--rounds", type=int, default=30, help="random draws of each size (default 30)")
    args = parser.parse_args(argv)
    from lsr.eval.data.datasets import load_dataset

    dataset, random = load_dataset(args.collection), np.random.default_rng(0)
    vectors = read_vectors(args.index, dataset.queries)
    exact = metrics(vectors, dataset.qrels, vectors.documents, vectors.queries)
    sys.stdout.write(f"| 1 - cosine | dense ({exact[0]:.4f}) | within {_BOUND} | fused ({exact[1]:.4f}) | within |\n")
    sys.stdout.write(f"|{' --- |' * 5}\n")
    for loss in LOSSES:
        draws = [
            metrics(
                vectors,
                dataset.qrels,
                with_errors(vectors.documents, loss, random),
                with_errors(vectors.queries, loss, random),
            )
            - exact
            for _ in range(args.rounds)
        ]
        changes = np.array(draws)
        cells = [f"{of.mean():+.4f} ± {of.std():.4f} | {np.mean(np.abs(of) <= _BOUND):.0%}" for of in changes.T]
        sys.stdout.write(f"| {loss:.5f} | {' | '.join(cells)} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
