"""`lsr get`, `lsr list`, `--filter`: documents with their fields."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Lsr = Callable[..., Any]

RECORDS = [
    {
        "_id": "a", "title": "First\tone", "text": "A cat sleeps.\nIt purrs.", "year": 1999, "lang": "en",
        "tags": ["x", "y"],
    },
    {"_id": "b", "title": "Second", "text": "A cat runs.", "year": 2021, "lang": "de", "published": "2021-03-04"},
    {"_id": "c", "title": "", "text": "A dog sleeps.", "year": 2022, "open": True},
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, jsonl: Any) -> Path:
    from lsr.cli.main import main

    folder = tmp_path_factory.mktemp("fields")
    jsonl(folder / "corpus.jsonl", RECORDS)
    assert main(["index", str(folder / "corpus.jsonl"), "--index", str(folder / "index")]) == 0
    return folder / "index"


def test_documents_are_shown_as_they_were_indexed(lsr: Lsr, index: Path) -> None:
    done = lsr("get", "b", "a", "--index", index, "--json")
    assert done.code == 0 and done.objects == [
        {"doc_id": "b", "title": "Second", "text": "A cat runs.",
         "fields": {"year": 2021, "lang": "de", "published": "2021-03-04"}},
        {"doc_id": "a", "title": "First\tone", "text": "A cat sleeps.\nIt purrs.",
         "fields": {"year": 1999, "lang": "en", "tags": ["x", "y"]}},
    ]  # fmt: skip
    shown = lsr("get", "a", "--index", index).lines
    assert shown[0] == "a" and 'tags: ["x", "y"]' in shown and shown[-3:] == ["A cat sleeps.", "It purrs.", ""]
    done = lsr("get", "nobody", "a", "--index", index, "--json")
    assert done.code == 1 and len(done.objects) == 1 and done.err == "lsr: no document 'nobody' in the index\n"


def test_documents_are_listed_in_their_order(lsr: Lsr, index: Path, jsonl: Any) -> None:
    assert lsr("list", "--index", index).out == "a\tFirst one\nb\tSecond\nc\t\n"
    assert lsr("list", "--index", index, "--limit", 1).out == "a\tFirst one\n"
    found = lsr("list", "--filter", "year > 2000", "--index", index, "--json").objects
    assert [document["doc_id"] for document in found] == ["b", "c"]
    assert found[1]["fields"] == {"year": 2022, "open": True}
    lsr("delete", "b", "--index", index)
    assert lsr("list", "--index", index).out == "a\tFirst one\nc\t\n"
    record = index.parent / "again.jsonl"
    jsonl(record, [RECORDS[1]])
    assert lsr("add", record, "--index", index, "--no-merge").code == 0
    assert lsr("list", "--index", index).out == "a\tFirst one\nc\t\nb\tSecond\n"


def test_a_search_finds_what_the_filter_allows(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    done = lsr("search", "cat sleeps", "--filter", "year >= 2020", "--index", index, "--json")
    assert [hit["doc_id"] for hit in done.objects] == ["c", "b"]
    done = lsr("search", "cat", "--filter", "'y' in tags and lang == 'en'", "--index", index)
    assert done.code == 0 and "the best 1 of 1 document" in done.err
    done = lsr("search", "dog", "--filter", "year < 2000", "--index", index)
    assert done.code == 0 and done.out == "" and "(searched 1)" in done.err
    (tmp_path / "queries.tsv").write_text("1\tcat\n2\tdog\n")
    options = ["--queries", tmp_path / "queries.tsv", "--filter", "published <= 2021-03-04", "--index", index]
    assert [hit["doc_id"] for hit in lsr("search", *options).objects] == ["b"]
    assert lsr("search", *options, "--run", tmp_path / "run.trec").code == 0
    assert [line.split()[:3] for line in (tmp_path / "run.trec").read_text().splitlines()] == [["1", "Q0", "b"]]


def test_a_filter_that_does_not_fit_is_pointed_at(lsr: Lsr, index: Path) -> None:
    done = lsr("search", "cat", "--filter", "year >= 2020 and lng == 'en'", "--index", index)
    assert done.code == 2 and done.out == ""
    first, text, mark = done.err.splitlines()
    assert first.startswith("lsr: filter, column 18: no document has a field 'lng'; there are doc_id, title, text, ")
    assert text == "  year >= 2020 and lng == 'en'" and mark == " " * 19 + "^"


def test_hits_carry_their_fields(lsr: Lsr, index: Path) -> None:
    search = ["search", "cat sleeps", "--index", index, "--json"]
    assert {hit["doc_id"]: hit["fields"] for hit in lsr(*search).objects} == {
        "a": {"year": 1999, "lang": "en", "tags": ["x", "y"]},
        "c": {"year": 2022, "open": True},
        "b": {"year": 2021, "lang": "de", "published": "2021-03-04"},
    }
    assert [hit["fields"] for hit in lsr(*search, "--fields", "lang", "-k", "1").objects] == [{"lang": "en"}]
    assert all(not hit["fields"] for hit in lsr(*search, "--fields", "").objects)
    done = lsr(*search, "--fields", "yeer")
    assert done.code == 2 and "fields: no document has a field 'yeer'; there are doc_id, title, text, lang" in done.err


def test_matches_are_counted_and_sorted(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    search = ["search", "cat sleeps", "--index", index]
    *hits, last = lsr(*search, "--json", "--total", "--facets", "lang,open", "-k", "1").objects
    assert len(hits) == 1 and last == {
        "results": {
            "query": "cat sleeps", "total": 3,
            "facets": {"lang": [{"value": "de", "count": 1}, {"value": "en", "count": 1}],
                       "open": [{"value": True, "count": 1}]},
        }
    }  # fmt: skip
    newest = lsr(*search, "--json", "--sort=-year").objects
    assert [hit["doc_id"] for hit in newest] == ["c", "b", "a"] and [hit["rank"] for hit in newest] == [1, 2, 3]
    assert [hit["doc_id"] for hit in lsr(*search, "--json", "--sort", "lang").objects] == ["b", "a", "c"]
    page = lsr(*search, "--json", "--sort=-year", "--offset", "1", "-k", "1").objects
    assert [(hit["rank"], hit["doc_id"]) for hit in page] == [(2, "b")]
    scores = [hit["score"] for hit in lsr(*search, "--json").objects]
    assert len(lsr(*search, "--json", "--min-score", scores[1]).objects) == 2
    shown = lsr(*search, "--total", "--facets", "year,lang", "--where", "year > 2000", "--offset", "1")
    assert "2 documents hold a term of the query" in shown.lines and shown.err.startswith(
        "places 2 to 2 of 2 documents"
    )
    year = shown.lines.index("year")
    assert [line.split() for line in shown.lines[year + 1 : year + 3]] == [["2021", "1"], ["2022", "1"]]
    *_, engine, counts = lsr(*search, "--json", "--total", "--explain").objects
    assert "engine" in engine and counts["results"]["total"] == 3
    assert "3 documents hold a term of the query" in lsr(*search, "--total", "--explain").lines
    nothing = lsr("search", "zebra", "--index", index, "--total")
    assert nothing.lines == ["0 documents hold a term of the query"] and "nothing found" in nothing.err
    (tmp_path / "queries.tsv").write_text("1\tcat\n2\tdog\n")
    many = lsr("search", "--queries", tmp_path / "queries.tsv", "--index", index, "--total").objects
    assert [value["results"] for value in many if "results" in value] == [
        {"query_id": "1", "total": 2}, {"query_id": "2", "total": 1},
    ]  # fmt: skip


def test_the_page_shows_fields_and_counts(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    done = lsr("search", "cat", "--index", index, "--html", page, "--total", "--facets", "year")
    assert done.code == 0, done.err
    text = page.read_text()
    assert "2 documents with a term of the query" in text and "year: 1999 (1) · 2021 (1)" in text
    for name, value in (("year", "2021"), ("lang", "de"), ("published", "2021-03-04")):
        assert f'<span class="soft">{name}</span> <bdi>{value}</bdi>' in text


def test_options_that_exclude_each_other(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    (tmp_path / "queries.tsv").write_text("1\tcat\n")
    for args, message in (
        (["cat", "--sort", "year", "--approximate", "alpha=0.5"], "leave out approximate"),
        (["cat", "--sort", "year", "--hybrid"], "leave out hybrid"),
        (["cat", "--sort", "tags"], "holds lists of texts, which have no order"),
        (["cat", "--offset", "-1"], "--offset is -1; it must be a whole number from 0 to 1,000,000"),
        (["cat", "--min-score", "high"], "--min-score is 'high'; it must be a finite number"),
        (["cat", "--dense", "here"], "--dense goes with --hybrid or --rerank"),
        (["--queries", str(tmp_path / "queries.tsv"), "--run", "out.trec", "--total"], "have no place in a run"),
    ):
        done = lsr("search", *args, "--index", index)
        assert done.code == 2 and message in done.err and not done.out, args
