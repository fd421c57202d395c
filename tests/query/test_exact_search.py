"""A search returns what the plain oracle returns: the same documents, scores and order, however the index was made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lsr.query.engine.planner import TRAVERSALS
from lsr.query.filters.filter import DocumentFilter
from lsr.query.searcher import Searcher

SLOW = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

TERMS = [f"t{i}" for i in range(12)]
# Few different weights, so that ties are the rule.
ROWS = st.lists(
    st.dictionaries(st.sampled_from(TERMS), st.integers(1, 4).map(float), max_size=5), min_size=1, max_size=90
)
QUERIES = st.dictionaries(st.sampled_from([*TERMS, "unknown"]), st.sampled_from([0.25, 1.0, 2.0, 3.7]), max_size=6)
HOW = st.fixed_dictionaries(
    {"segment_docs": st.sampled_from([None, 7, 40]), "reorder": st.booleans(), "threads": st.sampled_from([1, 2])}
)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    """Give a new folder at each call."""
    count = iter(range(10_000))
    return lambda: tmp_path / str(next(count))


@SLOW
@given(rows=ROWS, queries=st.lists(QUERIES, min_size=1, max_size=4), k=st.sampled_from([1, 3, 10, 1000]), how=HOW)
@example(rows=[{}], queries=[{"t0": 1.0}], k=10, how={"segment_docs": None, "reorder": True, "threads": 1})
@example(rows=[{"t0": 1.0}] * 70, queries=[{"t0": 1.0}], k=3, how={"segment_docs": 7, "reorder": True, "threads": 2})
def test_every_traversal_agrees_with_the_oracle(
    rows: Any, queries: Any, k: int, how: Any, fresh: Callable[[], Path], collections: Any, tally: Callable[..., None]
) -> None:
    index = collections.write_index(fresh(), rows, **how)
    oracle, searcher = collections.Oracle(index, rows), Searcher(index)
    for query in queries:
        expected = oracle.rank(query, k)
        for traversal in (None, *TRAVERSALS):
            assert collections.ranked(searcher, query, k, traversal=traversal) == expected, traversal
            tally("rankings beside an oracle")


@pytest.fixture(scope="module")
def wide() -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    """3,000 documents over 5,000 terms, some in nearly all of them, with real-valued weights; and 40 queries."""
    return wide_collection(5)


def wide_collection(seed: int) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
    rng = np.random.default_rng(seed)
    df = np.maximum(1, 2500 / np.arange(1, 5001) ** 0.9)

    def row(size: int) -> dict[str, float]:
        terms = rng.choice(5000, size, replace=False, p=df / df.sum())
        return {f"w{t}": float(w) for t, w in zip(terms, rng.gamma(2.0, 0.5, size) + 1e-3, strict=True)}

    return [row(int(rng.integers(0, 60))) for _ in range(3000)], [row(int(rng.integers(1, 30))) for _ in range(40)]


@pytest.mark.parametrize("how", [{}, {"reorder": False}, {"segment_docs": 700}, {"segment_docs": 999, "threads": 1}])
def test_larger_collections_agree_with_the_oracle(how: Any, wide: Any, tmp_path: Path, collections: Any) -> None:
    rows, queries = wide
    index = collections.write_index(tmp_path / "index", rows, **how)
    oracle, searcher = collections.Oracle(index, rows), Searcher(index)
    assert len(index.segments) == (-(-3000 // how["segment_docs"]) if "segment_docs" in how else 1)
    for query in queries[:12]:
        for k in (1, 10, 5000):
            expected = oracle.rank(query, k)
            for traversal in (None, *TRAVERSALS):
                assert collections.ranked(searcher, query, k, traversal=traversal) == expected


@pytest.mark.large
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(100, 128))
def test_many_larger_collections_agree_with_the_oracle(
    seed: int, tmp_path: Path, collections: Any, tally: Callable[..., None]
) -> None:
    rows, queries = wide_collection(seed)
    for number, how in enumerate([{}, {"reorder": False}, {"segment_docs": 700}, {"segment_docs": 999}]):
        index = collections.write_index(tmp_path / str(number), rows, **how)
        oracle, searcher = collections.Oracle(index, rows), Searcher(index)
        for query in queries:
            expected = oracle.rank(query, 5000)
            for k in (1, 2, 3, 10, 17, 100, 1000, 5000):
                for traversal in (None, *TRAVERSALS):
                    assert collections.ranked(searcher, query, k, traversal=traversal) == expected[:k]
                    tally("rankings beside an oracle")


def test_segments_reordering_and_threads_change_no_result(wide: Any, tmp_path: Path, collections: Any) -> None:
    rows, queries = wide
    found = []
    for number, how in enumerate([{}, {"reorder": False}, {"segment_docs": 450}, {"threads": 1}]):
        index = collections.write_index(tmp_path / str(number), rows, **how)
        searcher = Searcher(index)
        batch = [collections.encoded(index, query) for query in queries]
        vectors = type(batch[0]).concatenate(batch)
        for threads in (1, 4):
            rankings = list(searcher.rank(vectors, k=20, threads=threads))
            found.append([(searcher.doc_ids(r), r.scores.tolist()) for r in rankings])
    assert len(found[0]) == len(queries)
    assert all(other == found[0] for other in found[1:])


@pytest.mark.parametrize("filtered", [False, True])
def test_queries_in_one_call_are_answered_as_one_by_one(
    filtered: bool, wide: Any, tmp_path: Path, collections: Any
) -> None:
    """With terms not verified yet, more rare ones than there was room for, and none at all among them."""
    rows, queries = wide
    index = collections.write_index(tmp_path / "index", rows, segment_docs=800)
    every_term = {f"w{term}": 1.0 + term % 3 for term in range(1500)}
    batch = [collections.encoded(index, q).row(0) for q in [*queries[:5], every_term, {}, *queries[5:9]]]
    mask = np.random.default_rng(2).random(len(index)) < 0.3
    allowed = DocumentFilter.from_mask(index, mask) if filtered else None
    together = Searcher(index).engine.rank_many(batch, 10, allowed=allowed)
    engine = Searcher(index).engine
    for query, found in zip(batch, together, strict=True):
        alone = engine.rank(*query, 10, allowed=allowed)
        assert found.positions.tolist() == alone.positions.tolist()
        assert found.scores.tolist() == alone.scores.tolist()
        assert (found.traversals, found.n_postings, found.n_scored, found.n_bounded) == (
            alone.traversals,
            alone.n_postings,
            alone.n_scored,
            alone.n_bounded,
        )
    assert [len(found) for found in together].count(0) == 1
    assert engine.rank_many([], 10) == []


def test_documents_of_equal_score_come_in_the_order_in_which_they_were_added(tmp_path: Path, collections: Any) -> None:
    rows = [{"a": 2.0, f"own{i}": 1.0} for i in range(500)]
    for number, segment_docs in enumerate([None, 64]):
        index = collections.write_index(tmp_path / str(number), rows, segment_docs=segment_docs)
        hits = collections.ranked(Searcher(index), {"a": 1.0}, 17)
        assert [position for position, _ in hits] == list(range(17))


def test_a_vocabulary_of_more_than_65536_terms(tmp_path: Path, collections: Any) -> None:
    # One segment with more terms than 16 bits can number, and rows that share a few.
    rows = [{f"t{70 * i + j}": 1.0 + j for j in range(70)} | {"shared": 5.0} for i in range(1000)]
    index = collections.write_index(tmp_path / "index", rows)
    assert len(index.vocabulary) == 70_001
    oracle, searcher = collections.Oracle(index, rows), Searcher(index)
    for query in ({"t69999": 1.0}, {"shared": 1.0, "t65537": 2.0}, {"t0": 1.0, "t65535": 1.0, "t65536": 3.0}):
        for traversal in (None, *TRAVERSALS):
            assert collections.ranked(searcher, query, 10, traversal=traversal) == oracle.rank(query, 10)


def test_many_threads_may_search_at_once(wide: Any, tmp_path: Path, collections: Any) -> None:
    rows, queries = wide
    index = collections.write_index(tmp_path / "index", rows, segment_docs=800)
    searcher = Searcher(index)
    expected = [collections.ranked(searcher, query, 10) for query in queries]
    wrong: list[int] = []

    def search(shift: int) -> None:
        for i in range(len(queries)):
            at = (i + shift) % len(queries)
            if collections.ranked(searcher, queries[at], 10) != expected[at]:
                wrong.append(at)

    threads = [threading.Thread(target=search, args=(shift,)) for shift in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_query_alone_is_served_by_numpy_unless_it_has_too_many_postings(
    wide: Any, tmp_path: Path, collections: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, queries = wide
    index = collections.write_index(tmp_path / "index", rows, segment_docs=800)
    searcher = Searcher(index)
    term_ids, weights = collections.encoded(index, queries[0]).row(0)
    expected = searcher.engine.rank(term_ids, weights, 10)
    assert "plain" not in expected.traversals
    monkeypatch.setattr("lsr.query.engine.engine.compiled_is_loaded", lambda: False)
    for limit, plain in ((expected.n_postings, True), (expected.n_postings - 1, False)):
        monkeypatch.setattr("lsr.query.engine.engine.PLAIN_POSTINGS", limit)
        found = searcher.engine.rank(term_ids, weights, 10, once=True)
        assert (set(found.traversals) == {"plain"}) is plain
        assert found.n_postings == expected.n_postings
        assert found.positions.tolist() == expected.positions.tolist()
        assert found.scores.tolist() == expected.scores.tolist()
