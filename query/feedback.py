"""Pseudo-relevance feedback: the query is moved towards its first documents, and searched again.

Rocchio, "Relevance Feedback in Information Retrieval" (in The SMART Retrieval System, 1971), as Anserini does it for
sparse vectors: query and documents at unit length, the documents' terms cut to the heaviest. For dense vectors:
Li et al., "Pseudo Relevance Feedback with Deep Language Models and Dense Retrievers" (ACM TOIS 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.io.option_spec import is_number, is_whole_number
from lsr.query.fusion.fuser import Fused, Fuser
from lsr.query.fusion.ranked_list import Leg
from lsr.query.sparse_search import EVERYTHING, Scope, SparseSearch, SparseVector
from lsr.types import SparseBatch

INTERPOLATIONS = ("before", "after", "both")


@dataclass(frozen=True, slots=True)
class Feedback:
    """Settings of feedback.

    New query = alpha · query + beta · mean of the first documents, all at unit length.

    Attributes:
        n_docs: number of first documents assumed to be relevant.
        n_terms: number of terms of their mean that are kept, the heaviest.
        alpha: weight of the query.
        beta: weight of the documents' mean.

    Raises:
        UsageError: a value is of another type or outside its range.

    Example:
        >>> import lsr
        >>> index = lsr.index(["A cat sleeps.", "A cat purrs.", "Purring helps."], "my-index", encoder="bm25")
        >>> len(index.search("sleep")), len(index.search("sleep", feedback=lsr.Feedback(n_docs=1)))
        (1, 2)
    """

    n_docs: int = 10
    n_terms: int = 10
    alpha: float = 1.0
    beta: float = 0.75

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        for name in ("n_docs", "n_terms"):
            value = getattr(self, name)
            if not is_whole_number(value) or value < 1:
                raise UsageError(f"feedback: {name} is {value!r:.60}; it must be at least 1")
        for name in ("alpha", "beta"):
            value = getattr(self, name)
            if not is_number(value) or value < 0:
                raise UsageError(f"feedback: {name} is {value!r:.60}; it must be 0 or more")
        if self.alpha == self.beta == 0:
            raise UsageError("feedback: alpha and beta are both 0, which leaves nothing of the query")


def rocchio(query: SparseVector, documents: Sequence[SparseVector], feedback: Feedback) -> SparseVector:
    """Return a sparse query moved towards documents. Its length is kept where beta is 0 and alpha 1.

    documents: impacts or weights, whatever their scale. A term of the query is never cut.
    """
    term_ids, weights = query
    length = _length(weights)
    filled = [(ids, values / _length(values)) for ids, values in documents if len(ids)]
    if not filled or length == 0:
        return query
    all_ids = np.concatenate([ids for ids, _ in filled])
    centre_ids, place = np.unique(all_ids, return_inverse=True)
    centre = np.bincount(place, weights=np.concatenate([values for _, values in filled])) / len(documents)
    # The heaviest, equal ones by term id.
    heaviest = np.sort(np.argsort(-centre, kind="stable")[: feedback.n_terms])
    ids, place = np.unique(np.concatenate([term_ids, centre_ids[heaviest]]), return_inverse=True)
    parts = np.concatenate([feedback.alpha * weights.astype(np.float64), feedback.beta * length * centre[heaviest]])
    moved = np.bincount(place, weights=parts).astype(np.float32)
    kept = moved > 0
    return ids[kept].astype(np.int32), moved[kept]


def rocchio_dense(
    query: npt.NDArray[np.float32], documents: npt.NDArray[np.floating], feedback: Feedback
) -> npt.NDArray[np.float32]:
    """Return a dense query moved towards documents, at unit length. query: (dimension). documents: (n, dimension).

    Raises UsageError for documents of another dimension.
    """
    if documents.ndim != 2 or documents.shape[1] != len(query):
        raise UsageError(f"the query has {len(query)} dimensions, the documents' vectors {documents.shape}")
    lengths = np.linalg.norm(documents.astype(np.float64), axis=1, keepdims=True)
    units = documents / np.where(lengths > 0, lengths, 1.0)
    own = query / (_length(query) or 1.0)
    moved = feedback.alpha * own + (feedback.beta * units.mean(axis=0) if len(units) else 0.0)
    return (moved / (_length(moved) or 1.0)).astype(np.float32)


def expand(search: SparseSearch, query: SparseVector, feedback: Feedback, scope: Scope = EVERYTHING) -> SparseVector:
    """Return a query moved towards the first documents that it finds."""
    ranking = search.rank_vector(query, feedback.n_docs, scope)
    # In the ranking's order, so that sums don't depend on which segments hold the documents.
    return rocchio(query, search.impact_rows(ranking.positions), feedback)


def expand_all(search: SparseSearch, queries: SparseBatch, feedback: Feedback) -> SparseBatch:
    """Return queries, each moved towards the first documents that it finds."""
    rows = [expand(search, query, feedback) for query in queries]
    indptr = np.cumsum([0] + [len(ids) for ids, _ in rows]).astype(np.int64)
    term_ids = np.concatenate([np.empty(0, np.int32), *(ids for ids, _ in rows)])
    weights = np.concatenate([np.empty(0, np.float32), *(values for _, values in rows)])
    return SparseBatch(indptr, term_ids, weights, queries.vocab_size)


def interpolate(
    lexical: Leg,
    semantic: Leg,
    again: Callable[[npt.NDArray[np.int64]], Leg],
    fuser: Fuser,
    feedback: Feedback,
    *,
    when: str = "both",
) -> Fused:
    """Return a ranking by feedback in the semantic leg, with the lexical one mixed in before, after, or both.

    Li et al., "To Interpolate or not to Interpolate: PRF, Dense and Sparse Retrievers" (SIGIR 2022). before: the
    documents assumed to be relevant are the first of both legs fused. after: what the moved query finds is fused with
    the lexical leg. again: searches the semantic leg with a query moved towards documents, as `Leg.docs` names them.
    Raises UsageError for another `when`.
    """
    if when not in INTERPOLATIONS:
        raise UsageError(f"feedback: interpolation {when!r} is none of {', '.join(INTERPOLATIONS)}")
    first = semantic.docs if when == "after" else fuser([lexical, semantic], feedback.n_docs).docs
    moved = again(first[: feedback.n_docs])
    if when == "before":
        return Fuser(fuser.name, fuser.method)([moved])
    return fuser([lexical, moved])


def _length(vector: npt.NDArray[np.floating]) -> float:
    return float(np.linalg.norm(vector.astype(np.float64)))
