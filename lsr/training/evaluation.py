"""Evaluation during a training, as `lsr index`, `lsr search` and `lsr eval` do it."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.eval.data.datasets import Dataset, dataset_folders, load_dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.measures.measures import evaluate
from lsr.training.config.steps import EvalSettings
from lsr.training.evaluators.base import open_evaluator
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.sparse.encoder import NeuralEncoder


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """Result of an evaluation. values: the measure by dataset; mean: over datasets."""

    values: dict[str, float]
    mean: float
    document_terms: float


class Evaluator:
    """Evaluator of encoders on BEIR datasets, through an index in a temporary folder, and on tasks.

    Raises LsrError where a dataset is missing or broken: before a training's first step.
    """

    def __init__(self, settings: EvalSettings, *, seed: int, k: int = 100) -> None:
        self._settings = settings
        self._k = k
        self._datasets: list[tuple[Dataset, frozenset[str] | None]] = []
        self._tasks = [
            (task.label, open_evaluator(task.kind, task.files, measure=task.measure, options=task.options))
            for task in settings.tasks
        ]
        for path in settings.datasets:
            for name, folder in dataset_folders(Path(path)):
                dataset = load_dataset(folder, split=settings.split, name=name)
                self._datasets.append((dataset, _sampled(dataset, settings.max_documents, seed)))

    def __call__(self, encoder: NeuralEncoder) -> EvaluationResult:
        """Index and search all datasets with an encoder, and evaluate it on all tasks."""
        values: dict[str, float] = {}
        n_terms = n_docs = 0
        for dataset, kept in self._datasets:
            with tempfile.TemporaryDirectory(prefix="lsr-evaluation-") as folder:
                value, postings, documents = self._measure(encoder, dataset, kept, Path(folder) / "index")
            values[dataset.name] = value
            n_terms += postings
            n_docs += documents
        for name, evaluate_task in self._tasks:
            values[name] = evaluate_task(encoder)
        return EvaluationResult(values, sum(values.values()) / len(values), n_terms / max(1, n_docs))

    def _measure(
        self, encoder: NeuralEncoder, dataset: Dataset, kept: frozenset[str] | None, path: Path
    ) -> tuple[float, int, int]:
        from lsr.encoders.lexical.with_exact_words import with_exact_words
        from lsr.encoders.sparse.vocabulary_map import RemappedQueryEncoder
        from lsr.indexer.pipeline import index_documents
        from lsr.indexer.storage.index import StoredIndex
        from lsr.query.idf_weighting import idf_weighted
        from lsr.query.searcher import Searcher

        whole = with_exact_words(encoder, encoder.config.words)
        index_documents(_chosen(dataset.documents(), kept), path, whole, threads=1)
        index = StoredIndex.open(path)
        # The index would load the queries' model by its name, but this one is still being trained.
        queries = RemappedQueryEncoder(whole, whole.terms, index.vocabulary.lookup, len(index.vocabulary))
        batch = idf_weighted(queries, index, whole.description).encode_queries(list(dataset.queries.values()))
        searcher = Searcher(index)
        rankings: Sequence[Any] = [
            Ranking(query_id, searcher.doc_ids(found), found.scores)
            for query_id, found in zip(dataset.queries, searcher.rank(batch, k=self._k, threads=1), strict=True)
        ]
        measure = self._settings.measure
        found = evaluate(run_of(rankings), dataset.qrels, measures=(measure,))
        return found.mean[measure], index.manifest.n_postings, len(index)


def _sampled(dataset: Dataset, max_documents: int | None, seed: int) -> frozenset[str] | None:
    """Return the judged documents and a random sample of others, `max_documents` in all; None for all."""
    if max_documents is None:
        return None
    judged = {doc_id for found in dataset.qrels.values() for doc_id in found}
    others = [document.doc_id for document in dataset.documents() if document.doc_id not in judged]
    n_others = max(0, max_documents - len(judged))
    if n_others >= len(others):
        return None
    return frozenset(judged | set(random.Random(seed).sample(others, n_others)))


def _chosen(documents: Iterator[Document], kept: frozenset[str] | None) -> Iterator[Document]:
    return (document for document in documents if kept is None or document.doc_id in kept)
