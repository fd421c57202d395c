"""The component of Haystack, in a pipeline that is written down and read again; its filters in ours."""

from __future__ import annotations

from typing import Any

import pytest

import lsr
from lsr.errors import UsageError
from lsr.integrations.haystack_filters import where_of

YEAR = {"field": "meta.year", "operator": ">", "value": 2003}
LANG = {"field": "meta.lang", "operator": "==", "value": "it's \\ here"}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (YEAR, [f"d{i}" for i in range(4, 12)]),
        (LANG, ["d3"]),
        ({"field": "id", "operator": "in", "value": ["d1", "d7", "x"]}, ["d1", "d7"]),
        ({"field": "meta.year", "operator": "not in", "value": [2000, 2001]}, [f"d{i}" for i in range(2, 12)]),
        ({"operator": "AND", "conditions": [YEAR, {**YEAR, "operator": "<", "value": 2006}]}, ["d4", "d5"]),
        ({"operator": "OR", "conditions": [LANG, {**YEAR, "value": 2010}]}, ["d3", "d11"]),
        ({"operator": "NOT", "conditions": [YEAR]}, ["d0", "d1", "d2", "d3"]),
        ({**LANG, "operator": "!="}, [f"d{i}" for i in range(12) if i != 3]),
        ({**LANG, "value": None}, [f"d{i}" for i in range(12) if i != 3]),
        ({**LANG, "operator": "!=", "value": None}, ["d3"]),
    ],
)
def test_filters_choose_the_same_documents(index: lsr.Index, filters: Any, expected: list[str]) -> None:
    assert [document.doc_id for document in index.documents(where_of(filters))] == expected


@pytest.mark.parametrize(
    "filters",
    [
        [], {}, {"operator": "AND", "conditions": []}, {"operator": "XOR", "conditions": [YEAR]},
        {"field": "year", "operator": "~", "value": 1}, {"field": "year", "operator": "=="},
        {"field": "year", "operator": "in", "value": []}, {"field": "year", "operator": ">", "value": None},
        {"field": "year", "operator": "==", "value": {"a": 1}},
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused(filters: Any) -> None:
    with pytest.raises(UsageError, match="filters"):
        where_of(filters)


def test_a_pipeline_runs_and_is_read_again(index: lsr.Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")  # which would wait for a network
    haystack = pytest.importorskip("haystack", reason="haystack-ai is not installed")
    from lsr.integrations.haystack import LsrRetriever

    pipeline = haystack.Pipeline()
    pipeline.add_component("retriever", LsrRetriever(index, top_k=3, filters=YEAR))
    hits = index.search("the lake", k=3, where="year > 2003")
    for each in (pipeline, haystack.Pipeline.loads(pipeline.dumps(), allowed_modules=[LsrRetriever.__module__])):
        found = each.run({"retriever": {"query": "the lake"}})["retriever"]["documents"]
        assert [(document.id, document.content, document.score) for document in found] == [
            (hit.doc_id, hit.text, hit.score) for hit in hits
        ]
        assert found[0].meta == {"title": hits[0].title, **hits[0].fields}
    found = pipeline.run({"retriever": {"query": "river", "top_k": 1, "filters": "year == 2002"}})
    assert [document.id for document in found["retriever"]["documents"]] == ["d2"]
