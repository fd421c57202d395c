"""Totals, facets and sorting over all matches agree with a plain count over every document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document, SparseBatch

TERMS = [f"t{i}" for i in range(6)]
YEARS = [None, 1999, 2001, 2001, 2020]
DAYS = [None, "2020-01-31", "2020-01-31T10:00:00", "1999-12-31"]
TAGS = [None, [], ["red"], ["red", "green"], ["green", "green"]]


def fields_of(i: int) -> dict[str, Any]:
    rng = np.random.default_rng(i)
    found = {
        "year": YEARS[rng.integers(len(YEARS))],
        "score": [None, 0.5, -1.5, float("nan")][rng.integers(4)],
        "lang": [None, "en", "de", "é"][rng.integers(4)],
        "free": [None, True, False][rng.integers(3)],
        "day": DAYS[rng.integers(len(DAYS))],
        "tags": TAGS[rng.integers(len(TAGS))],
    }
    return {name: value for name, value in found.items() if value is not None}


def row_of(i: int) -> dict[str, float]:
    rng = np.random.default_rng(1000 + i)
    return {term: float(rng.integers(1, 5)) for term in TERMS if rng.random() < 0.4}


DOCUMENTS = [Document(f"d{i}", f"text {i}", f"title {i % 7}", fields_of(i)) for i in range(140)]
GONE = {f"d{i}" for i in range(0, 140, 9)}


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    """140 documents in four segments, every ninth deleted."""
    path = tmp_path_factory.mktemp("matches") / "index"
    encoder = ReadyVectors()
    rows = [{encoder.term_id(term): weight for term, weight in row_of(i).items()} for i in range(len(DOCUMENTS))]
    with IndexWriter(path, encoder, limits=SegmentLimits(n_docs=40)) as writer:
        writer.add(DOCUMENTS, SparseBatch.from_rows(rows, len(encoder.terms)))
        writer.commit()
    delete_documents(sorted(GONE), path, merge=False)
    return Searcher(path)


Row = dict[str, float]
QUERIES = st.dictionaries(st.sampled_from([*TERMS, "unknown"]), st.sampled_from([1.0, 2.0, 3.0]), max_size=4)
FILTERS: list[tuple[str | None, Callable[[dict[str, Any]], bool]]] = [
    (None, lambda fields: True),
    ("year >= 2001", lambda fields: fields.get("year", 0) >= 2001),
    ("lang == 'en' or tags contains 'green'", lambda f: f.get("lang") == "en" or "green" in f.get("tags", [])),
    ("year == 1", lambda fields: False),
]


def scores_of(query: Row, allows: Callable[[dict[str, Any]], bool]) -> dict[int, float]:
    """Return the score of each matching document by its number, in order of addition."""
    found = {}
    for i, document in enumerate(DOCUMENTS):
        score = sum(weight * row_of(i).get(term, 0.0) for term, weight in query.items())
        if score and document.doc_id not in GONE and allows(dict(document.fields)):
            found[i] = score
    return found


def search(searcher: Searcher, collections: Any, query: Row, **options: Any) -> Any:
    (results,) = searcher.search_vectors(collections.encoded(searcher.index, query), **options)
    return results


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES, choice=st.sampled_from(FILTERS))
def test_totals_and_facets_are_those_of_all_matches(
    searcher: Searcher, collections: Any, query: Row, choice: Any
) -> None:
    where, allows = choice
    names = ("year", "lang", "free", "tags", "day", "title", "score")
    found = search(searcher, collections, query, where=where, total=True, facets=names, k=3)
    matching = [DOCUMENTS[i] for i in scores_of(query, allows)]
    assert found.total == len(matching) and len(found) == min(3, len(matching))
    for name in names:
        counts: Counter[Any] = Counter()
        for document in matching:
            value = document.title if name == "title" else document.fields.get(name)
            if value is not None and value == value:
                counts.update(set(value) if isinstance(value, list) else [value])
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        assert [(facet.value, facet.count) for facet in found.facets[name]] == expected, name


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=QUERIES,
    choice=st.sampled_from(FILTERS),
    name=st.sampled_from(["year", "lang", "free", "day", "score", "doc_id"]),
    descending=st.booleans(),
    offset=st.integers(0, 9),
    min_score=st.sampled_from([None, 4.0]),
)
def test_sorting_is_over_all_matches(
    searcher: Searcher, collections: Any, query: Row, choice: Any, name: str, descending: bool, offset: int,
    min_score: float | None,
) -> None:  # fmt: skip
    where, allows = choice
    sort = f"-{name}" if descending else name
    found = search(searcher, collections, query, where=where, sort=sort, k=12, offset=offset, min_score=min_score)
    scores = {i: score for i, score in scores_of(query, allows).items() if min_score is None or score >= min_score}

    def value_of(i: int) -> Any:
        return DOCUMENTS[i].doc_id if name == "doc_id" else DOCUMENTS[i].fields.get(name)

    known = sorted({value for i in scores if (value := value_of(i)) is not None and value == value})
    # A date without a time is its first moment, which here sorts as the text does.
    places = {value: place for place, value in enumerate(known)}

    def key(i: int) -> tuple[float, float, int]:
        place = places.get(value_of(i))
        return float("inf") if place is None else -place if descending else place, -scores[i], i

    expected = sorted(scores, key=key)[offset : offset + 12]
    assert [hit.doc_id for hit in found] == [DOCUMENTS[i].doc_id for i in expected]
    assert [hit.score for hit in found] == [scores[i] for i in expected]
    assert [hit.rank for hit in found] == list(range(offset + 1, offset + 1 + len(expected)))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=QUERIES, offset=st.integers(0, 150), k=st.integers(1, 30), min_score=st.sampled_from([None, 3.0, 100.0]))
def test_a_page_is_a_part_of_the_ranking(
    searcher: Searcher, collections: Any, query: Row, offset: int, k: int, min_score: float | None
) -> None:
    whole = [hit for hit in search(searcher, collections, query, k=200) if min_score is None or hit.score >= min_score]
    page = search(searcher, collections, query, k=k, offset=offset, min_score=min_score)
    assert list(page) == whole[offset : offset + k]


def test_many_queries_at_once_are_counted_and_sorted_too(searcher: Searcher, collections: Any) -> None:
    queries = [{term: 1.0} for term in TERMS] * 8
    batch = SparseBatch.concatenate([collections.encoded(searcher.index, query) for query in queries])
    options = SearchOptions(k=5, offset=2, total=True, facets=("lang",), sort="-year", threads=3)
    together = searcher.search_vectors(batch, options)
    assert together == [search(searcher, collections, query, k=5, offset=2, total=True, facets="lang", sort="-year")
                        for query in queries]  # fmt: skip
    plain = searcher.search_vectors(batch, k=5, offset=2, min_score=3.0)
    assert plain == [search(searcher, collections, query, k=5, offset=2, min_score=3.0) for query in queries]


def test_hits_carry_the_fields_that_are_asked_for(searcher: Searcher, collections: Any) -> None:
    every = search(searcher, collections, {"t0": 1.0}, k=5)
    assert all(hit.fields == fields_of(int(hit.doc_id[1:])) or "score" in hit.fields for hit in every)
    some = search(searcher, collections, {"t0": 1.0}, k=50, fields=["lang", "year"])
    assert all(set(hit.fields) <= {"lang", "year"} for hit in some) and any(len(hit.fields) == 2 for hit in some)
    assert all(not hit.fields for hit in search(searcher, collections, {"t0": 1.0}, fields=()))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields": ["yeer"]}, "fields: no document has a field 'yeer'; there are doc_id, title, text, day"),
        ({"facets": "yeer"}, "facets: no document has a field 'yeer'"),
        ({"sort": "-yeer"}, "sort: no document has a field 'yeer'"),
        ({"sort": "tags"}, "sort: the field 'tags' holds lists of texts, which have no order"),
    ],
)
def test_unknown_fields_are_named(searcher: Searcher, collections: Any, options: Any, message: str) -> None:
    for query in ({"t0": 1.0}, {"unknown": 1.0}):
        with pytest.raises(UsageError) as raised:
            search(searcher, collections, query, **options)
        assert message in str(raised.value)


def test_results_say_what_they_are(searcher: Searcher, collections: Any) -> None:
    found = search(searcher, collections, {"t0": 1.0}, k=2, total=True)
    assert repr(found).startswith("<Results: 2 hits of ") and found.took_us > 0 and found.exact
    assert found[0] == next(iter(found)) and found[:1] == (found[0],) and list(found) == list(found.hits)
    assert repr(found[0]).startswith("Hit(rank=1, doc_id='d") and found.skipped is None
    assert found.total is not None and search(searcher, collections, {"t0": 1.0}).total is None
    near = search(searcher, collections, {"t0": 1.0}, approximate="superblocks=1")
    assert not near.exact and near.skipped is not None and near.skipped["superblocks"] == 1
    nothing = search(searcher, collections, {}, total=True, facets="year", sort="year")
    assert len(nothing) == 0 and nothing.total == 0 and nothing.facets == {"year": ()}


class Halves:
    """Makes two passages of each document."""

    settings: Mapping[str, Any] = {"max_length": 9, "overlap": 0}

    def split(self, document: Document, count: object = None) -> Sequence[Document]:
        middle = len(document.text) // 2
        spans = [(0, middle), (middle, len(document.text))]
        return [
            Document(f"{document.doc_id}#{i}", document.text[start:end], document.title,
                     {**document.fields, PASSAGE_OF: document.doc_id, PASSAGE_START: start, PASSAGE_END: end})
            for i, (start, end) in enumerate(spans)
        ]  # fmt: skip


def test_of_passages_documents_are_counted(tmp_path: Path) -> None:
    documents = [
        Document("a", "river river lake", fields={"year": 1}),
        Document("b", "river lake river", fields={"year": 2}),
        Document("c", "lake wood", fields={"year": 2}),
        Document("d", "wood wood wood", fields={"year": 2}),
    ]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"), reader=DocumentReader(Halves()))  # type: ignore[arg-type]
    searcher = Searcher(tmp_path / "index")
    found = searcher.search("river lake", total=True, facets="year", k=10)
    assert found.total == 3 == len(found) and [(v.value, v.count) for v in found.facets["year"]] == [(2, 2), (1, 1)]
    assert {hit.doc_id: dict(hit.fields) for hit in found} == {d.doc_id: d.fields for d in documents[:3]}
    ordered = searcher.search("river lake", sort="-year", k=10)
    best = {hit.doc_id: (hit.score, hit.text, hit.passage) for hit in found}
    assert {hit.doc_id: (hit.score, hit.text, hit.passage) for hit in ordered} == best
    assert [hit.doc_id for hit in ordered][2] == "a" and [hit.fields["year"] for hit in ordered] == [2, 2, 1]
    assert [hit.rank for hit in searcher.search("river lake", offset=1, k=1)] == [2]
