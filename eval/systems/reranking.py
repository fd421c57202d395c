"""A sparse leg and what a reranker makes of its candidates: the reranker alone, and fused with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, run_of
from lsr.eval.systems.hybrid import sparse_facts, wanted_candidates
from lsr.eval.systems.indexed_system import IndexedSystem, Prepared
from lsr.eval.systems.system import Recent, System, SystemRun
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.dense_scores import ranked_leg
from lsr.query.hybrid.rerank.registry import make_reranker
from lsr.query.hybrid.search import LEAST_SPARSE
from lsr.query.queries import Queries

ALONE = "alone"


class RerankedLegs:
    """The candidates of an index, each scored once by a reranker, whatever the number of fusions.

    reranker: `late-interaction:MODEL` or `cross-encoder:MODEL`. candidates: default, as many as are measured. options:
    `device`, `dtype` of the model. Raises UsageError for an unknown reranker.
    """

    def __init__(self, index: IndexedSystem, reranker: str, *, candidates: int | None = None, **options: Any) -> None:
        self.index = index
        self.reranker = reranker
        made = make_reranker(reranker, **options)
        if made is None:
            raise UsageError("--rerank dense: what dense vectors make of candidates is measured by --hybrid")
        self._made = made
        self._candidates = candidates
        self._legs: Recent[Sequence[tuple[Leg, Leg]]] = Recent()

    def candidates(self, k: int) -> int:
        """Return the number of candidates where k results are wanted."""
        return self._candidates or wanted_candidates(k)

    def of(self, dataset: Dataset, k: int) -> Sequence[tuple[Leg, Leg]]:
        """Return for each query of a dataset the sparse leg, and the same documents as the reranker scores them."""
        return self._legs.get(dataset, lambda: self._scored(dataset, k), key=k)

    def _scored(self, dataset: Dataset, k: int) -> Sequence[tuple[Leg, Leg]]:
        prepared = self.index.prepare(dataset)
        queries = Queries(prepared.queries, texts=list(dataset.queries.values()))
        return [self._both(prepared, queries, number, self.candidates(k)) for number in range(len(queries))]

    def _both(self, prepared: Prepared, queries: Queries, number: int, candidates: int) -> tuple[Leg, Leg]:
        searcher, query = prepared.searcher, queries.row(number)
        sparse = searcher.rank_vector((query.term_ids, query.weights), candidates)
        minimum = self._made.minimum(searcher)
        scores = np.empty(0) if not len(sparse.positions) else self._made.scores(searcher, query, sparse.positions)
        return Leg(sparse.positions, sparse.scores, LEAST_SPARSE), ranked_leg(sparse.positions, scores, minimum)


class RerankedSystem:
    """A fusion of both legs, or the reranker alone. method: the name of a fuser, or "alone"."""

    def __init__(self, legs: RerankedLegs, method: str) -> None:
        self._legs = legs
        self._method = method
        self._fuser: Fuser = make_fuser(weights=(0.0, 1.0)) if method == ALONE else make_fuser(method)

    @property
    def name(self) -> str:
        """The encoder, the reranker and the method."""
        kind, _, model = self._legs.reranker.partition(":")
        return f"{self._legs.index.name}+{kind} {model.rstrip('/').rpartition('/')[2]}: {self._method}"

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Fuse the legs of each query."""
        prepared = self._legs.index.prepare(dataset)
        rankings = []
        for query_id, legs in zip(dataset.queries, self._legs.of(dataset, k), strict=True):
            fused = self._fuser(legs, k)
            rankings.append(Ranking(query_id, prepared.searcher.doc_ids_at(fused.docs), fused.scores))
        about: Mapping[str, Any] = {
            "kind": "reranked",
            "reranker": self._legs.reranker,
            "candidates": self._legs.candidates(k),
            "method": self._method,
            "legs": [sparse_facts(prepared), self._legs.reranker],
        }
        return SystemRun(run_of(rankings), about)


def reranked_systems(legs: RerankedLegs, methods: Sequence[str]) -> list[System]:
    """Return the reranker alone, and a fusion a method."""
    return [RerankedSystem(legs, method) for method in (ALONE, *methods)]
