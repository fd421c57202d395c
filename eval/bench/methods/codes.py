"""Quality of sparse codes over steps and size: `python -m lsr.eval.bench.methods.codes INDEX DATASET`.

INDEX has dense vectors of DATASET's documents, by `lsr index --dense`. Codes are fitted to them and searched by exact
products, beside the dense vectors themselves.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.converted.fit_codes import FittingSettings, fit_codes
from lsr.encoders.converted.sparse_codes import SparseAutoencoder, reconstruction
from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.measures.measures import evaluate
from lsr.indexer.encode.open_encoders import open_dense_encoder_of
from lsr.query.hybrid.dense_scores import rows_at
from lsr.query.searcher import Searcher
from lsr.types import SparseBatch

K = 100
COLUMNS = ("codes", "active", "steps", "kind", "variance kept", "nDCG@10", "Recall@100")
Vectors = npt.NDArray[np.float32]


def measured(documents: Any, queries: Any, doc_ids: Sequence[str], dataset: Dataset) -> tuple[float, float]:
    """Return nDCG@10 and Recall@100 of a search by products. documents, queries: matrices, a row each."""
    scores = queries @ documents.T
    run = {}
    for query_id, row in zip(dataset.queries, scores, strict=True):
        best = np.argsort(-row, kind="stable")[:K]
        run[query_id] = {doc_ids[i]: float(row[i]) for i in best.tolist() if row[i] > 0}
    mean = evaluate(run, dataset.qrels, measures=("nDCG@10", "Recall@100")).mean
    return mean["nDCG@10"], mean["Recall@100"]


def full(batch: SparseBatch) -> Vectors:
    """Return sparse rows as a matrix."""
    rows = np.zeros((len(batch), batch.vocab_size), np.float32)
    rows[np.repeat(np.arange(len(batch)), np.diff(batch.indptr)), batch.term_ids] = batch.weights
    return rows


def curve(
    vectors: Vectors, queries: Vectors, doc_ids: Sequence[str], dataset: Dataset, settings: Sequence[FittingSettings]
) -> Iterator[tuple[str, ...]]:
    """Yield a row for each setting; of nested codes also for their first quarter, and each by matching pursuit."""
    for setting in settings:
        fitted = fit_codes(vectors, setting)
        kinds: dict[str, SparseAutoencoder] = {"top k": fitted, "pursuit": replace(fitted, pursuit=True)}
        if setting.nested:
            kinds = {"nested": fitted, "nested, first quarter": fitted.first(setting.n_codes // 4)}
        for kind, autoencoder in kinds.items():
            kept = reconstruction(autoencoder, vectors[:1000])
            found = measured(full(autoencoder.codes(vectors)), full(autoencoder.codes(queries)), doc_ids, dataset)
            numbers = (autoencoder.n_codes, autoencoder.n_active, setting.steps)
            yield (*map(str, numbers), kind, f"{kept:.3f}", *(f"{value:.4f}" for value in found))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the curve, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description="quality of sparse codes over steps and size")
    parser.add_argument("index", type=Path, help="index with dense vectors")
    parser.add_argument("dataset", type=Path, help="BEIR folder")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 150, 600, 2400])
    parser.add_argument("--codes", type=int, nargs="+", default=[1024, 4096])
    parser.add_argument("--active", type=int, nargs="+", default=[32])
    args = parser.parse_args(argv)
    dataset = load_dataset(args.dataset)
    searcher = Searcher(args.index)
    index = searcher.index
    positions = np.arange(int(index.places.starts[-1]))
    vectors = rows_at(searcher, positions)
    doc_ids = searcher.doc_ids_at(positions)
    queries = open_dense_encoder_of(index).encode_dense_queries(list(dataset.queries.values()))
    write = sys.stdout.write
    write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    found = measured(vectors, queries, doc_ids, dataset)
    write(f"| - | {vectors.shape[1]} | - | dense | 1.000 | {found[0]:.4f} | {found[1]:.4f} |\n")
    settings = [
        FittingSettings(n_codes=codes, n_active=active, steps=steps, nested=nested)
        for codes in args.codes
        for active in args.active
        for steps in args.steps
        for nested in ((False, True) if steps == max(args.steps) else (False,))
    ]
    for row in curve(vectors, queries, doc_ids, dataset, settings):
        write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
