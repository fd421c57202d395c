"""Searching an index through the public interface."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lsr
from lsr.errors import UsageError
from lsr.query.options import SearchOptions


def ids_of(results: Any) -> list[str]:
    return [hit.doc_id for hit in results]


def test_one_query_gives_results_and_several_give_a_list(index: lsr.Index) -> None:
    one = index.search("sleeping cats")
    assert isinstance(one, lsr.Results)
    assert ids_of(one) == ["cats", "dogs"]
    assert (one.query, one.exact, one.total) == ("sleeping cats", True, None)
    for several in (["cats", "house"], ("cats", "house"), np.array(["cats", "house"]), iter(["cats", "house"])):
        found = index.search(several)
        assert isinstance(found, list)
        assert [ids_of(results) for results in found] == [["cats", "dogs"], ["dogs", "trees"]]
    assert index.search([]) == []


def test_queries_come_as_a_series(index: lsr.Index) -> None:
    pd = pytest.importorskip("pandas")
    pl = pytest.importorskip("polars")
    for series in (pd.Series(["cats", "house"]), pl.Series(["cats", "house"])):
        assert [len(results) for results in index.search(series)] == [2, 2]
    with pytest.raises(UsageError, match=r"query\[1\] is (None|nan)"):
        index.search(pd.Series(["cats", None]))


def test_options_are_given_by_name_or_as_a_value(index: lsr.Index) -> None:
    assert ids_of(index.search("cats house", k=1)) == ids_of(index.search("cats house"))[:1]
    assert ids_of(index.search("cats house", where="year > 2020")) == ids_of(
        index.search("cats house", SearchOptions(where="year > 2020"))
    )
    assert ids_of(index.search("cats house", SearchOptions(k=1), k=2)) == ids_of(index.search("cats house", k=2))
    counted = index.search("cats house", total=True, facets=["lang"], k=1)
    assert (counted.total, counted.facets["lang"][0].value, counted.facets["lang"][0].count) == (3, "en", 2)


def test_a_hit_carries_the_document_and_its_fields(index: lsr.Index, records: list[dict[str, Any]]) -> None:
    hit = index.search("sleeping cats")[0]
    assert (hit.rank, hit.doc_id, hit.title, hit.text) == (1, "cats", "On cats", records[0]["text"])
    assert hit.fields == {"year": 2019, "lang": "en"}
    assert index.search("sleeping cats", fields=["year"])[0].fields == {"year": 2019}


def test_an_explained_hit_has_its_terms(index: lsr.Index) -> None:
    (hit,) = index.explain("sleeping cats", k=1)
    assert hit.terms is not None
    assert {term.term for term in hit.terms} == {"sleep", "cat"}
    assert sum(term.contribution for term in hit.terms) == pytest.approx(hit.score)
    assert [results[0].terms is not None for results in index.explain(["cats", "house"])] == [True, True]


def test_a_search_sees_what_this_object_changed(index: lsr.Index) -> None:
    assert ids_of(index.search("birds")) == []
    index.add({"id": "birds", "text": "A bird sings."})
    assert ids_of(index.search("birds")) == ["birds"]
    index.update({"id": "birds", "text": "It sings."})
    assert ids_of(index.search("birds")) == []
    index.delete("birds")
    assert ids_of(index.search("sings")) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 3}, "no search option 'limit'.*did you mean k"),
        ({"kk": 3}, "no search option 'kk'"),
        ({"k": "3"}, "k is '3'; it must be a whole number"),
        ({"k": 0}, "k is 0; it must be at least 1"),
        ({"k": True}, "k is True"),
        ({"where": 5}, "where is 5; it must be a text"),
        ({"where": "nofield == 1"}, "nofield"),
        ({"hybrid": "rerank"}, "no dense vectors"),
        ({"hybrid": "both"}, "hybrid is 'both'; it must be 'rerank' or 'union', or a Hybrid"),
        ({"hybrid": 5}, "hybrid is 5"),
        ({"feedback": "ten"}, "feedback is 'ten'"),
        ({"approximate": 0.5}, "approximate is 0.5"),
        ({"fields": 5}, "fields is 5; it must be a name or a list of names"),
        ({"threads": -1}, "threads is -1"),
    ],
)
def test_wrong_options_say_what_is_accepted(index: lsr.Index, options: dict[str, Any], message: str) -> None:
    for call in (index.search, index.explain):
        with pytest.raises(UsageError, match=message):
            call("cats", **options)


@pytest.mark.parametrize("options", [{"k": 3}, 10, "k=3", lsr.Feedback()])
def test_options_of_another_kind_are_refused(index: lsr.Index, options: Any) -> None:
    with pytest.raises(UsageError, match=r"the options are .*they must be SearchOptions"):
        index.search("cats", options)


def test_representations_say_what_was_found(index: lsr.Index) -> None:
    results = index.search("sleeping cats")
    assert repr(results).startswith("<Results: 2 hits for 'sleeping cats', best 'cats'")
    assert repr(results[0]).startswith("Hit(rank=1, doc_id='cats', score=")


def test_a_notebook_shows_results_as_a_table_with_escaped_texts(here: object) -> None:
    with lsr.index([{"id": "<b>", "title": "a & b", "text": "cats " * 100}], "my-index", encoder="bm25") as index:
        shown = index.search("cats <script>")._repr_html_()
    assert shown.startswith("<table>")
    assert "<td>&lt;b&gt;</td>" in shown
    assert "a &amp; b" in shown
    assert "<script>" not in shown
    assert len(shown) < 700
