"""Scores of queries and their own documents by an encoder, and the two evaluations of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from lsr.errors import LsrError
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.measures.measures import evaluate
from lsr.training.data.read_examples import read_examples
from lsr.training.evaluators.base import Evaluation, register_evaluator
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.sparse.encoder import NeuralEncoder

AT_ONCE = 256


@register_evaluator("triplets", "share of negatives that score below their query's positive (accuracy)")
def triplets(files: Sequence[str]) -> Evaluation:
    """Return the evaluation of triplets in files of examples: equal scores count as wrong.

    Raises LsrError for files without negatives, and what reading them raises.
    """
    examples = [(one.query, one.documents) for one in read_examples(files) if len(one.documents) > 1]
    if not examples:
        raise LsrError(f"eval.tasks: no example in {', '.join(map(str, files))} has a negative: triplets need some")

    def accuracy(encoder: NeuralEncoder) -> float:
        scores = scores_of(encoder, examples)
        right = sum(int((own[0] > own[1:]).sum()) for own in scores)
        return right / sum(len(own) - 1 for own in scores)

    return accuracy


@register_evaluator("reranking", "a ranking measure over each query's own documents", takes_measure=True)
def reranking(files: Sequence[str], *, measure: str = "MRR@10") -> Evaluation:
    """Return the evaluation of rankings of each query's positives and negatives in files of examples.

    A query whose positives are in several examples counts once. measure: as `lsr eval` has them.
    Raises LsrError for files without negatives, and what reading them raises.
    """
    positives: dict[str, dict[str, Document]] = {}
    negatives: dict[str, dict[str, Document]] = {}
    for example in read_examples(files):
        positives.setdefault(example.query, {})[example.documents[0].doc_id] = example.documents[0]
        negatives.setdefault(example.query, {}).update({one.doc_id: one for one in example.documents[1:]})
    both = {query: {**negatives[query], **positives[query]} for query in positives if negatives[query]}
    if not both:
        raise LsrError(f"eval.tasks: no example in {', '.join(map(str, files))} has a negative: reranking needs some")
    examples = [(query, tuple(documents.values())) for query, documents in both.items()]
    qrels = {f"q{i}": dict.fromkeys(positives[query], 1) for i, (query, _) in enumerate(examples)}

    def mean(encoder: NeuralEncoder) -> float:
        rankings = []
        for i, ((_, documents), own) in enumerate(zip(examples, scores_of(encoder, examples), strict=True)):
            order = np.argsort(-own, kind="stable")
            rankings.append(Ranking(f"q{i}", [documents[j].doc_id for j in order], own[order]))
        return float(evaluate(run_of(rankings), qrels, measures=(measure,)).mean[measure])

    return mean


def scores_of(
    encoder: NeuralEncoder, examples: Sequence[tuple[str, Sequence[Document]]]
) -> list[np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return each query's scores of its documents, as products of their vectors; exact words don't count."""
    found = []
    for first in range(0, len(examples), AT_ONCE):
        part = examples[first : first + AT_ONCE]
        queries = encoder.encode_queries([query for query, _ in part])
        rows = iter(encoder.encode_documents([document for _, documents in part for document in documents]))
        for (terms, weights), (_, documents) in zip(queries, part, strict=True):
            dense = np.zeros(queries.vocab_size)
            dense[terms] = weights
            found.append(np.array([float(own @ dense[ids]) for ids, own in (next(rows) for _ in documents)]))
    return found
