"""An explanation adds up to the score, exactly, and says truly what stands in the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.indexer.pipeline import index_documents
from lsr.query.explain.explain import ExplainedHit, explain_hits, spans_of
from lsr.query.explain.term_spans import TermSpan
from lsr.query.searcher import Searcher
from lsr.query.stages import Found
from lsr.types import Document

TERMS = [f"t{i}" for i in range(10)]
ROWS = st.lists(
    st.dictionaries(st.sampled_from(TERMS), st.floats(2**-7, 9.0, width=32), max_size=8), min_size=1, max_size=70
)
QUERIES = st.dictionaries(st.sampled_from(TERMS), st.floats(2**-10, 50.0, width=32), min_size=1, max_size=8)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    count = iter(range(10_000))
    return lambda: tmp_path / str(next(count))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, query=QUERIES, segment_docs=st.sampled_from([None, 8]))
def test_the_contributions_sum_to_the_score_exactly(
    rows: Any, query: Any, segment_docs: int | None, fresh: Callable[[], Path], collections: Any
) -> None:
    searcher = Searcher(collections.write_index(fresh(), rows, segment_docs=segment_docs))
    vectors = collections.encoded(searcher.index, query)
    (ranking,) = searcher.rank(vectors, k=100)
    hits = searcher.hits(ranking)
    explained = explain_hits(searcher, "", Found(ranking, vectors.row(0)), hits)
    assert [found.hit.doc_id for found in explained.hits] == [hit.doc_id for hit in hits]
    for position, hit, found in zip(ranking.positions, hits, explained.hits, strict=True):
        assert sum(term.points for term in found.terms) * explained.unit == hit.score == found.hit.score
        row = rows[position]
        brought = {term.term for term in found.terms}
        assert brought <= set(query) & set(row)
        # A weight too small beside the others may come to nothing as an integer.
        assert all(query[term] < 1e-4 * max(query.values()) for term in set(query) & set(row) - brought)
        assert all(term.impact == collections.Oracle.impact(row[term.term], explained.scale) for term in found.terms)
        assert all(term.contribution == term.points * explained.unit for term in found.terms)
        assert [term.points for term in found.terms] == sorted((term.points for term in found.terms), reverse=True)


DOCUMENTS = [
    Document("d1", "A cat sat there; cats sit.", "Sitting"),
    Document("d2", "A dog chased the cat."),
    Document("d3", ""),
]


@pytest.fixture(scope="module")
def bm25(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bm25") / "index"
    index_documents(DOCUMENTS, folder, load_encoder("bm25"))
    return folder


def marked(found: ExplainedHit) -> list[tuple[str, str]]:
    return [(found.hit.text[span.start : span.end], span.term) for span in found.text_spans]


def test_hits_are_those_of_a_search_with_their_terms_and_places(bm25: Path) -> None:
    searcher = Searcher(bm25)
    explained = searcher.explain("The sitting cat, the zebra", k=5)
    plain = searcher.search("The sitting cat, the zebra", k=5)
    assert [(found.hit.doc_id, found.hit.score) for found in explained.hits] == [(h.doc_id, h.score) for h in plain]
    first = explained.hits[0]
    assert marked(first) == [("cat", "cat"), ("cats", "cat"), ("sit", "sit")]
    assert [(span.start, span.end) for span in first.title_spans] == [(0, 7)]
    assert {term.term for term in first.terms} == {"cat", "sit"}
    assert all(term.in_text and term.in_query for term in first.terms)
    assert [(term.term, term.weight, term.in_query) for term in explained.terms] == [("cat", 1, True), ("sit", 1, True)]
    assert explained.unknown == ("zebra",) and explained.encoder == "bm25"


def test_the_engine_says_what_it_did(bm25: Path) -> None:
    facts = Searcher(bm25).explain("cat dog").engine
    assert (facts.n_docs, facts.n_segments, facts.n_terms, facts.n_postings, facts.n_superblocks) == (3, 1, 2, 3, 1)
    assert len(facts.traversals) == 1
    assert min(facts.encode_us, facts.search_us, facts.documents_us) > 0
    assert facts.feedback_us == 0
    once = Searcher(bm25, once=True).explain("cat dog")
    assert once.engine.traversals == ("plain",) or facts.traversals != ("plain",)
    assert [found.hit for found in once.hits] == [found.hit for found in Searcher(bm25).explain("cat dog").hits]


def test_nothing_found_is_explained_too(bm25: Path) -> None:
    explained = Searcher(bm25).explain("zebra")
    assert explained.hits == () == explained.terms and explained.unknown == ("zebra",)
    with pytest.raises(UsageError, match="k is 0"):
        Searcher(bm25).explain("cat", k=0)


def test_a_term_that_stands_nowhere_was_expanded_to(tmp_path: Path, collections: Any) -> None:
    # The texts of these documents are "text 0" and "text 1".
    index = collections.write_index(tmp_path / "index", [{"text": 3.0, "words": 2.0}, {"text": 1.0}])
    searcher = Searcher(index)
    vectors = collections.encoded(index, {"text": 1.0, "words": 1.0})
    (ranking,) = searcher.rank(vectors)
    explained = explain_hits(searcher, "text", Found(ranking, vectors.row(0)), searcher.hits(ranking))
    terms = {term.term: (term.in_text, term.in_query) for term in explained.hits[0].terms}
    assert terms == {"text": (True, True), "words": (False, False)}
    assert marked(explained.hits[0]) == [("text", "text")]


def test_of_overlapping_places_the_term_with_most_points_is_kept() -> None:
    spans = [TermSpan(0, 4, "a"), TermSpan(0, 4, "b"), TermSpan(2, 6, "c"), TermSpan(6, 7, "a"), TermSpan(8, 9, "x")]
    assert spans_of(spans, {"a": 1, "b": 2, "c": 1}) == (TermSpan(0, 4, "b"), TermSpan(6, 7, "a"))
