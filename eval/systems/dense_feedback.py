"""Feedback in the dense leg of a hybrid search, alone and with the sparse leg mixed in.

Li et al., "To Interpolate or not to Interpolate: PRF, Dense and Sparse Retrievers" (SIGIR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.eval.systems.hybrid import DenseIndex, dense_facts, leg_prefix, sparse_facts, wanted_candidates
from lsr.eval.systems.system import Recent, System, SystemRun
from lsr.query.feedback import INTERPOLATIONS, Feedback, expand, interpolate, rocchio_dense
from lsr.query.fusion.fuser import Fused, Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser
from lsr.query.hybrid.dense_scores import rows_at
from lsr.query.hybrid.dense_search import dense_leg
from lsr.query.hybrid.search import LEAST_SPARSE, with_dense
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher

DENSE, BOTH_LEGS = "dense+feedback", "feedback in both legs"
NAMES = (DENSE, *(f"feedback, sparse {when}" for when in INTERPOLATIONS), BOTH_LEGS)
"""Rows that are measured.

They are feedback in the dense leg alone; the same, the sparse leg mixed in before, after, or both; and the fusion of
two legs, each with its own feedback.
"""


class DenseFeedbackSystem:
    """One of NAMES, on an index with dense vectors. All of them share the same searches."""

    def __init__(self, searched: FeedbackSearch, kind: str) -> None:
        self._searched = searched
        self._kind = kind

    @property
    def name(self) -> str:
        """The two models, and where feedback is."""
        return f"{leg_prefix(self._searched.index)}{self._kind}"

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Search all queries of the dataset, each leg with feedback where this row has it."""
        searched = self._searched
        about: dict[str, Any] = {"kind": "hybrid", "feedback": self._kind, "method": searched.fuser.name}
        prepared = searched.index.prepare(dataset)
        about |= asdict(searched.feedback) | {"legs": [sparse_facts(prepared), dense_facts(prepared)]}
        return SystemRun(searched.runs(dataset, k)[self._kind], about)


class FeedbackSearch:
    """The searches behind all rows of NAMES. fuser: mixes the sparse leg in."""

    def __init__(self, index: DenseIndex, feedback: Feedback, fuser: Fuser) -> None:
        self.index = index
        self.feedback = feedback
        self.fuser = fuser
        self._runs: Recent[Mapping[str, Run]] = Recent()

    def runs(self, dataset: Dataset, k: int) -> Mapping[str, Run]:
        """Return the run of each of NAMES, made once for a dataset."""

        def make() -> Mapping[str, Run]:
            prepared = self.index.prepare(dataset)
            assert prepared.dense is not None
            queries = with_dense(prepared.searcher, prepared.queries, prepared.dense)
            return feedback_runs(prepared.searcher, queries, dataset, wanted_candidates(k), self.feedback, self.fuser)

        return self._runs.get(dataset, make, key=k)


def feedback_systems(index: DenseIndex, feedback: Feedback, method: str) -> list[System]:
    """Return a system for each of NAMES. method: the fuser that mixes the sparse leg in."""
    searched = FeedbackSearch(index, feedback, make_fuser(method))
    return [DenseFeedbackSystem(searched, kind) for kind in NAMES]


def feedback_runs(
    searcher: Searcher, queries: Queries, dataset: Dataset, k: int, feedback: Feedback, fuser: Fuser
) -> Mapping[str, Run]:
    """Return the run of each of NAMES. queries: sparse and dense vectors of the dataset's queries, in order."""
    rankings: dict[str, list[Ranking]] = {name: [] for name in NAMES}
    for number, query_id in enumerate(dataset.queries):
        for name, fused in zip(NAMES, _fused(searcher, queries, number, k, feedback, fuser), strict=True):
            rankings[name].append(Ranking(query_id, searcher.doc_ids_at(fused.docs[:k]), fused.scores[:k]))
    return {name: run_of(found) for name, found in rankings.items()}


def _fused(searcher: Searcher, queries: Queries, number: int, k: int, feedback: Feedback, fuser: Fuser) -> list[Fused]:
    query = queries.row(number)
    assert query.dense is not None
    vector = query.dense
    sparse = (query.term_ids, query.weights)

    def lexical(feedback: Feedback | None) -> Leg:
        moved = sparse if feedback is None else expand(searcher, sparse, feedback)
        found = searcher.rank_vector(moved, k)
        return Leg(found.positions, found.scores, LEAST_SPARSE)

    def again(docs: npt.NDArray[np.int64]) -> Leg:
        moved = rocchio_dense(vector, rows_at(searcher, docs), feedback)
        return dense_leg(searcher, query._replace(dense=moved), k)[0]

    first, semantic = lexical(None), dense_leg(searcher, query, k)[0]
    alone = again(semantic.docs[: feedback.n_docs])
    mixed = [interpolate(first, semantic, again, fuser, feedback, when=when) for when in INTERPOLATIONS]
    one = Fuser(fuser.name, fuser.method)
    return [one([alone]), *mixed, fuser([lexical(feedback), alone])]
