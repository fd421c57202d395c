"""A sparse leg and what a reranker makes of its candidates: the reranker alone, and fused with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from lsr.errors import UsageError
from lsr.eval.data.datasets import CorpusSummary, Dataset
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.eval.harness import Options, evaluate_rankings
from lsr.eval.reports.provenance import Provenance
from lsr.eval.reports.results import Result
from lsr.eval.systems.systems import System
from lsr.query.fusion.fuser import Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.dense_scores import ranked_leg
from lsr.query.hybrid.rerank.registry import make_reranker
from lsr.query.hybrid.search import LEAST_SPARSE
from lsr.query.hybrid.settings import FEWEST, MOST
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher

ALONE = "alone"


class RerankedSystem:
    """A system whose candidates a model reads. Each is scored once, whatever the number of fusions.

    reranker: `late-interaction:MODEL` or `cross-encoder:MODEL`. methods: names of fusers. candidates: default, as many
    as are measured. options: `device`, `dtype` of the model. Raises UsageError for an unknown reranker.
    """

    def __init__(
        self, sparse: System, reranker: str, methods: Sequence[str], *, candidates: int | None = None, **options: Any
    ) -> None:
        self._sparse = sparse
        self._name = reranker
        made = make_reranker(reranker, **options)
        if made is None:
            raise UsageError("--rerank dense: what dense vectors make of candidates is measured by --hybrid")
        self._reranker = made
        self._methods = methods
        self._candidates = candidates

    def names(self) -> list[str]:
        """Return what the rows are called: the reranker alone, then a fusion a method."""
        kind, _, model = self._name.partition(":")
        both = f"{self._sparse.name}+{kind} {model.rstrip('/').rpartition('/')[2]}"
        return [f"{both}: {name}" for name in (ALONE, *self._methods)]

    def evaluate(
        self, sparse: Result, dataset: Dataset, summary: CorpusSummary, options: Options, provenance: Provenance
    ) -> Iterator[tuple[Result, Run]]:
        """Yield the result and the run of the reranker alone, and of each fusion. sparse: what the sparse leg gave."""
        prepared = self._sparse.prepare(dataset)
        searcher = Searcher(prepared.index)
        texts = list(dataset.queries.values())
        queries = Queries(prepared.queries, texts=texts)
        k = options.k + options.drop_identical_ids
        candidates = self._candidates or min(max(k, FEWEST), MOST)
        fusers: list[Fuser] = [make_fuser(weights=(0.0, 1.0)), *map(make_fuser, self._methods)]
        rankings: list[list[Ranking]] = [[] for _ in fusers]
        for number, query_id in enumerate(dataset.queries):
            legs = self._legs(searcher, queries, number, candidates)
            for fuser, found in zip(fusers, rankings, strict=True):
                fused = fuser(legs, k)
                found.append(Ranking(query_id, searcher.doc_ids_at(fused.docs), fused.scores))
        about: Mapping[str, Any] = {"kind": "reranked", "reranker": self._name, "candidates": candidates}
        for name, method, found in zip(self.names(), (ALONE, *self._methods), rankings, strict=True):
            run = run_of(found)
            told = {**about, "method": method, "legs": [sparse.encoder, self._name]}
            yield evaluate_rankings(name, run, told, dataset, summary, options, provenance), run

    def _legs(self, searcher: Searcher, queries: Queries, number: int, candidates: int) -> tuple[Leg, Leg]:
        query = queries.row(number)
        sparse = searcher.rank_vector((query.term_ids, query.weights), candidates)
        minimum = self._reranker.minimum(searcher)
        scores = np.empty(0) if not len(sparse.positions) else self._reranker.scores(searcher, query, sparse.positions)
        return Leg(sparse.positions, sparse.scores, LEAST_SPARSE), ranked_leg(sparse.positions, scores, minimum)
