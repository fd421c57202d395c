"""Feedback in both legs of a hybrid search, side by side: dense alone, and the sparse leg mixed in at three places.

Li et al., "To Interpolate or not to Interpolate: PRF, Dense and Sparse Retrievers" (SIGIR 2022).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.query.feedback import INTERPOLATIONS, Feedback, expand, interpolate, rocchio_dense
from lsr.query.fusion.fuser import Fused, Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.hybrid.dense_scores import rows_at
from lsr.query.hybrid.dense_search import dense_leg
from lsr.query.hybrid.search import LEAST_SPARSE
from lsr.query.queries import Queries
from lsr.query.searcher import Searcher

DENSE, BOTH_LEGS = "dense+feedback", "feedback in both legs"
NAMES = (DENSE, *(f"feedback, sparse {when}" for when in INTERPOLATIONS), BOTH_LEGS)
"""What is measured: feedback in the dense leg alone; the same, the sparse leg mixed in before, after, or both; and the
fusion of two legs that each had feedback of its own."""


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
