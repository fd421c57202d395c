"""Feedback moves a query towards its first documents, as a plain twin over dictionaries says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.query.feedback import Feedback, SparseVector, expand_all, interpolate, rocchio, rocchio_dense
from lsr.query.fusion.ranked_list import Leg
from lsr.query.fusion.registry import make_fuser
from lsr.query.searcher import Searcher

Row = dict[int, float]


def vector(row: Mapping[int, float]) -> SparseVector:
    return np.array(sorted(row), np.int32), np.array([row[term] for term in sorted(row)], np.float32)


def as_row(found: SparseVector) -> Row:
    assert found[0].dtype == np.int32 and found[1].dtype == np.float32 and np.all(np.diff(found[0]) > 0)
    return dict(zip(found[0].tolist(), found[1].tolist(), strict=True))


def plain_rocchio(query: Row, documents: list[Row], feedback: Feedback) -> Row:
    def length(row: Row) -> float:
        return math.sqrt(sum(weight * weight for weight in row.values()))

    if not query or not any(documents):
        return query
    centre: Row = {}
    for row in filter(None, documents):
        for term, weight in row.items():
            centre[term] = centre.get(term, 0.0) + weight / length(row) / len(documents)
    kept = sorted(centre, key=lambda term: (-centre[term], term))[: feedback.n_terms]
    moved = {term: feedback.alpha * weight for term, weight in query.items()}
    for term in kept:
        moved[term] = moved.get(term, 0.0) + feedback.beta * length(query) * centre[term]
    return {term: weight for term, weight in moved.items() if weight > 0}


ROW = st.dictionaries(st.integers(0, 12), st.floats(0.125, 8.0, width=32), max_size=6)


@settings(deadline=None)
@given(
    query=ROW, documents=st.lists(ROW, max_size=4), n_terms=st.sampled_from([1, 3, 50]),
    beta=st.sampled_from([0.0, 0.75]),
)  # fmt: skip
def test_rocchio_agrees_with_its_plain_twin(query: Row, documents: list[Row], n_terms: int, beta: float) -> None:
    feedback = Feedback(n_terms=n_terms, beta=beta)
    everything = plain_rocchio({99: 1.0}, documents, Feedback(n_terms=100))
    weights = sorted((weight for term, weight in everything.items() if term != 99), reverse=True)
    # Where two weights are nearly the same, either may be the last that is kept.
    assume(len(weights) <= n_terms or weights[n_terms - 1] - weights[n_terms] > 1e-6)
    found = as_row(rocchio(vector(query), [vector(row) for row in documents], feedback))
    assert found == pytest.approx(plain_rocchio(query, documents, feedback), rel=1e-5)


def test_rocchio_by_hand() -> None:
    query = {1: 3.0, 2: 4.0}
    documents = [{1: 10.0}, {3: 3.0, 4: 4.0}, {}]
    moved = as_row(rocchio(vector(query), [vector(row) for row in documents], Feedback(n_terms=2, beta=0.75)))
    assert moved == pytest.approx({1: 3.0 + 0.75 * 5 / 3, 2: 4.0, 4: 0.75 * 5 * 0.8 / 3})


def test_without_documents_or_beta_the_query_stays() -> None:
    query = vector({1: 3.0, 7: 0.5})
    assert as_row(rocchio(query, [], Feedback())) == {1: 3.0, 7: 0.5}
    assert as_row(rocchio(query, [vector({}), vector({})], Feedback())) == {1: 3.0, 7: 0.5}
    assert as_row(rocchio(query, [vector({2: 1.0})], Feedback(beta=0.0))) == {1: 3.0, 7: 0.5}
    assert as_row(rocchio(vector({}), [vector({2: 1.0})], Feedback())) == {}


def test_dense_feedback_is_the_mean_of_unit_vectors() -> None:
    query, documents = np.array([2.0, 0.0], np.float32), np.array([[0.0, 5.0], [0.0, 0.0]], np.float16)
    moved = rocchio_dense(query, documents, Feedback(alpha=1.0, beta=0.5))
    expected = np.array([1.0, 0.25]) / math.hypot(1.0, 0.25)
    assert moved.dtype == np.float32 and moved == pytest.approx(expected)
    assert rocchio_dense(query, documents[:0], Feedback()) == pytest.approx([1.0, 0.0])
    with pytest.raises(UsageError, match="the query has 2 dimensions"):
        rocchio_dense(query, np.ones((3, 4), np.float32), Feedback())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_docs": 0}, "n_docs is 0; it must be at least 1"),
        ({"n_terms": -1}, "n_terms is -1"),
        ({"alpha": -1.0}, "alpha is -1.0; it must be 0 or more"),
        ({"beta": math.nan}, "beta is nan"),
        ({"alpha": 0.0, "beta": 0.0}, "leaves nothing of the query"),
    ],
)
def test_values_outside_their_range(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Feedback(**values)


ROWS: list[dict[str, float]] = [
    {"cat": 4.0, "purr": 4.0}, {"cat": 3.0, "purr": 3.0}, {"purr": 5.0}, {"dog": 5.0}, {},
]  # fmt: skip


@pytest.mark.parametrize("segment_docs", [None, 1])
def test_a_search_with_feedback_finds_what_its_first_documents_speak_of(
    segment_docs: int | None, tmp_path: Path, collections: Any
) -> None:
    index = collections.write_index(tmp_path / "index", ROWS, segment_docs=segment_docs)
    searcher = Searcher(index)
    query = collections.encoded(index, {"cat": 1.0})
    feedback = Feedback(n_docs=2, n_terms=2)
    (plain,), (fed,) = searcher.rank(query), searcher.rank(query, feedback=feedback)
    assert plain.positions.tolist() == [0, 1] and fed.positions.tolist() == [0, 1, 2]
    (expanded,) = expand_all(searcher, query, feedback)
    cat, purr = (index.vocabulary.lookup(term) for term in ("cat", "purr"))
    part = 0.75 * math.sqrt(0.5)
    assert as_row(expanded) == pytest.approx({cat: 1 + part, purr: part})
    assert [hit.doc_id for hit in searcher.search_vectors(query, feedback=feedback)[0]] == ["d0", "d1", "d2"]
    assert len(expand_all(searcher, query, feedback)) == 1 == len(expand_all(searcher, query, Feedback(beta=0.0)))


LEXICAL = Leg.of([1, 2, 3], [3.0, 2.0, 1.0], minimum=0.0)
SEMANTIC = Leg.of([4, 2, 5], [0.9, 0.8, 0.1], minimum=-1.0)


@pytest.mark.parametrize(
    ("when", "taken", "docs"),
    [("before", [2, 1], [7, 2]), ("after", [4, 2], [1, 7, 2, 3]), ("both", [2, 1], [1, 7, 2, 3])],
)
def test_legs_are_mixed_before_after_or_both(when: str, taken: list[int], docs: list[int]) -> None:
    asked: list[list[int]] = []

    def again(first: Any) -> Leg:
        asked.append(first.tolist())
        return Leg.of([7, 2], [0.9, 0.85], minimum=-1.0)

    fuser = make_fuser("min-max", weights=(1.0, 0.9))
    fused = interpolate(LEXICAL, SEMANTIC, again, fuser, Feedback(n_docs=2), when=when)
    assert asked == [taken] and fused.docs.tolist() == docs


def test_an_interpolation_that_is_none() -> None:
    with pytest.raises(UsageError, match="interpolation 'never' is none of before, after, both"):
        interpolate(LEXICAL, SEMANTIC, lambda docs: SEMANTIC, make_fuser(), Feedback(), when="never")
