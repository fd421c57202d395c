"""`lsr search --explain` and `lsr explain`: on a terminal, as JSON, for words, tables and models."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.output.explained import bar_of, number
from lsr.query.searcher import Searcher

Lsr = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, bm25_index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with an index."""
    shutil.copytree(bm25_index, tmp_path / ".lsr")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_table_a_hit_and_what_the_engine_did(lsr: Lsr) -> None:
    done = lsr("search", "sleeping cats, zebra", "--explain")
    assert done.code == 0 and done.err == ""
    first = Searcher(".lsr").explain("sleeping cats, zebra").hits[0]
    head = done.lines[:3]
    assert head == lsr("search", "sleeping cats, zebra").lines[:3]
    assert done.lines[3] == "" and done.lines[4].split() == ["term", "query", "impact", "adds", "stands", "in"]
    for line, term in zip(done.lines[5:7], first.terms, strict=True):
        cells = line.split()
        assert cells[:4] == [term.term, "1", str(term.impact), f"{term.contribution:.3f}"]
        assert cells[5:8] == ["query", "and", "text:" if term.term in first.words() else "text"]
    assert "sleep" in first.words() and first.words()["sleep"] == "sleeps"
    facts = {line.split()[0]: line.split(maxsplit=1)[1] for line in done.lines[-6:]}
    assert facts["query"] == "cat 1, sleep 1" and facts["unknown"] == "zebra"
    assert facts["searched"] == "4 documents in 1 segment"
    assert ": 2 terms, 3 postings" in facts["engine"] and facts["time"].startswith("encode ")
    assert facts["score"].startswith("the sum of query weight × impact × 0.0")


def test_json_has_the_terms_of_each_hit_and_last_the_engine(lsr: Lsr) -> None:
    done = lsr("search", "sleeping cats, zebra", "--explain", "--json")
    *hits, last = done.objects
    plain = lsr("search", "sleeping cats, zebra", "--json").objects
    assert [{name: hit[name] for name in plain[0]} for hit in hits] == plain
    assert list(hits[0]) == [
        "rank", "doc_id", "score", "title", "text", "fields", "path", "line", "terms", "title_spans", "text_spans",
    ]  # fmt: skip
    assert list(hits[0]["terms"][0]) == [
        "term", "query_weight", "impact", "points", "contribution", "in_text", "in_query",
    ]  # fmt: skip
    for hit in hits:
        assert sum(term["points"] for term in hit["terms"]) * last["unit"] == hit["score"]
        for start, end, term in hit["text_spans"]:
            assert hit["text"][start:end].lower().startswith(term)
    assert list(last) == ["engine", "query", "query_terms", "unknown_terms", "encoder", "unit", "scale"]
    assert last["engine"]["n_postings"] == 3 and last["unknown_terms"] == ["zebra"]
    assert last["query_terms"] == [
        {"term": "cat", "weight": 1.0, "in_query": True}, {"term": "sleep", "weight": 1.0, "in_query": True},
    ]  # fmt: skip


def test_nothing_found_is_explained_by_what_the_index_lacks(lsr: Lsr) -> None:
    done = lsr("search", "zebra", "--explain")
    assert done.code == 0 and "lsr: nothing found" in done.err
    assert done.lines[:2] == ["     query    no term that the index has", "     unknown  zebra"]
    (last,) = lsr("search", "zebra", "--explain", "--json").objects
    assert last["unknown_terms"] == ["zebra"] and last["query_terms"] == []


def test_a_file_of_queries_is_explained_as_json(lsr: Lsr) -> None:
    Path("q.tsv").write_text("q1\tcats that sleep\nq2\tzebra\nq3\ta house\n")
    Path("tokens.tsv").write_text("q1\tcat sleep\nq3\thous\n")
    texts, tokens = (lsr("search", "--queries", name, "--explain", *more).objects
                     for name, more in (("q.tsv", ()), ("tokens.tsv", ("--encoded",))))  # fmt: skip
    assert [(hit["query_id"], hit["doc_id"]) for hit in texts] == [
        ("q1", "cats"), ("q1", "dogs"), ("q3", "trees"), ("q3", "dogs"),
    ]  # fmt: skip
    assert texts == tokens and all(term["in_query"] for hit in texts for term in hit["terms"])


def test_a_table_of_tokens_is_explained_by_its_pieces(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, router: Path
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", "corpus.jsonl", "--index", "free", "--encoder", router).code == 0
    *hits, last = lsr("search", "cats chase the dog", "--index", "free", "--explain", "--json").objects
    assert {term["term"] for term in last["query_terms"]} == {"cat", "##s", "chase", "dog"}
    assert all(term["in_query"] for term in last["query_terms"])
    for hit in hits:
        words = {hit["text"][start:end].lower() for start, end, _ in hit["text_spans"]}
        assert words <= {"cat", "s", "chase", "dog"}
        assert sum(term["points"] for term in hit["terms"]) * last["unit"] == hit["score"]
        standing = {term["term"] for term in hit["terms"] if term["in_text"]}
        assert {span[2] for span in (*hit["text_spans"], *hit["title_spans"])} == standing
    assert any(not term["in_text"] for hit in hits for term in hit["terms"])  # random weights expand to all


def test_a_model_of_queries_is_explained_with_its_expansions(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, masked_lm: Path
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", "corpus.jsonl", "--index", "made", "--encoder", masked_lm).code == 0
    *hits, last = lsr("search", "dog", "--index", "made", "--explain", "--json").objects
    literal = {term["term"] for term in last["query_terms"] if term["in_query"]}
    assert hits and literal <= {"dog"} and len(last["query_terms"]) > 1
    assert "expanded to)" in lsr("search", "dog", "--index", "made", "--explain").out


def test_feedback_adds_terms_of_the_first_documents(lsr: Lsr) -> None:
    assert [hit["doc_id"] for hit in lsr("search", "purr", "--json").objects] == ["cats"]
    done = lsr("search", "purr", "--feedback", "1", "--json")
    assert [hit["doc_id"] for hit in done.objects] == ["cats", "dogs"]
    *hits, last = lsr("search", "purr", "--feedback", "1", "--explain", "--json").objects
    assert [{name: hit[name] for name in done.objects[0]} for hit in hits] == done.objects
    assert {term["term"]: term["in_query"] for term in last["query_terms"]}.items() >= {
        "purr": True,
        "cat": False,
    }.items()
    assert last["engine"]["feedback_us"] > 0 and "feedback " in lsr("search", "purr", "--feedback", "--explain").out
    Path("q.tsv").write_text("q\tpurr\n")
    for more in ([], ["--explain"]):
        batch = lsr("search", "--queries", "q.tsv", "--feedback", "1", *more).objects
        assert [hit["score"] for hit in batch] == [hit["score"] for hit in hits]
    assert lsr("search", "purr", "--feedback", "0").code == 2


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--queries", "q.tsv", "--run", "r.trec", "--explain"], "--explain has no place in a run"),
        (["--queries", "q.tsv", "--html", "x.html"], "--html shows one QUERY"),
        (["", "--explain"], "the query is empty"),
    ],
)
def test_arguments_of_search_that_do_not_fit(lsr: Lsr, args: list[str], message: str) -> None:
    done = lsr("search", *args)
    assert (done.code, done.out) == (2, "") and message in done.err


def test_the_vector_of_a_text_as_a_query_of_the_index(lsr: Lsr) -> None:
    done = lsr("explain", "--text", "Cats, cats and a house; zebra")
    assert done.lines[0] == "2 terms of a query by bm25: 2 in the text, 0 expanded to"
    assert [line.split()[:2] for line in done.lines[1:]] == [["cat", "2"], ["hous", "1"]]
    assert done.lines[1].endswith("text: Cats") and done.lines[2].endswith("text: house")
    assert done.lines[1].count("█") == 2 * done.lines[2].count("█")
    assert lsr("explain", "--text", "Cats", "--json").objects == [
        {"term": "cat", "weight": 1.0, "in_text": True, "word": "Cats"}
    ]


def test_the_vector_that_the_index_holds_of_a_document(lsr: Lsr) -> None:
    terms = {term["term"]: term for term in lsr("explain", "--doc", "cats", "--json").objects}
    assert {"cat", "sleep", "purr"} <= set(terms) and all(term["in_text"] for term in terms.values())
    hit = Searcher(".lsr").explain("purr").hits[0]
    assert math.isclose(terms["purr"]["weight"], hit.hit.score)
    assert lsr("explain", "--doc", "cats", "-n", "1").lines[-1].endswith(" more (-n shows more)")
    assert lsr("explain", "--doc", "empty").lines == ["0 terms of a document by bm25: 0 in the text, 0 expanded to"]


def test_the_vector_of_a_text_to_a_model(lsr: Lsr, masked_lm: Path) -> None:
    objects = lsr("explain", "--text", "the cats", "--encoder", masked_lm, "--json").objects
    weights = [term["weight"] for term in objects]
    assert weights == sorted(weights, reverse=True) and len(objects) > 3
    assert {term["term"] for term in objects if term["in_text"]} <= {"the", "cat", "##s"}
    assert " of a query by " in lsr("explain", "--text", "cats", "--encoder", masked_lm, "--query").lines[0]
    counts = lsr("explain", "--text", "cats cats", "--encoder", "bm25")
    assert counts.lines[1].split()[:2] == ["cat", "2"] and "these are their counts" in counts.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--text", " "], 2, "the text is empty"),
        (["--text", "x", "--encoder", "bm25", "--index", ".lsr"], 2, "leave out --index and --doc"),
        (["--doc", "cats", "--encoder", "bm25"], 2, "leave out --index and --doc"),
        (["--text", "x", "--query"], 2, "--query goes with --encoder"),
        (["--doc", "nobody"], 2, "the index has no document 'nobody'"),
        (["--text", "x", "--index", "nowhere"], 3, "no index at nowhere"),
        (["--text", "x", "--encoder", "nothing"], 1, "no encoder 'nothing'"),
        ([], 2, "one of the arguments --text --doc is required"),
    ],
)
def test_arguments_of_explain_that_do_not_fit(lsr: Lsr, args: list[str], code: int, message: str) -> None:
    done = lsr("explain", *args)
    assert (done.code, done.out) == (code, "") and message in done.err


def test_bars_grow_by_eighths_and_numbers_have_the_digits_that_are_of_use() -> None:
    assert [bar_of(part, 4) for part in (1.0, 0.5, 0.28125, 0.0001, 0.0)] == ["████", "██", "█▏", "▏", ""]
    assert [number(value) for value in (0.12345, 9.5, 88.0, 123.45, 4134.0, 85203.25)] == [
        "0.123", "9.500", "88", "123.5", "4,134", "85,203",
    ]  # fmt: skip
