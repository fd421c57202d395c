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
