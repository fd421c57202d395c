"""A test collection of long documents: passages joined, queries taken out of them, the same in each run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsr.cli.long_documents import main
from lsr.errors import LsrError
from lsr.eval.data.long_documents import LongDocuments, joined, take_query, write_collection
from lsr.types import Document

SENTENCE = "In sentence {} of note {} the tide reached the old stone pier at noon."


@pytest.fixture
def passages(tmp_path: Path) -> Path:
    """Write twelve documents of six passages, and one that is short."""
    path = tmp_path / "passages.jsonl"
    rows = [
        {
            "_id": f"note-{n}#{p}",
            "title": f"Note {n}",
            "text": " ".join(SENTENCE.format(3 * p + s, n) for s in range(3)),
        }
        for n in range(12)
        for p in range(6)
    ]
    rows.append({"_id": "short#0", "title": "Short", "text": "Too short to be chosen."})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_passages_of_one_document_are_joined_in_their_order() -> None:
    parts = [Document("a#0", "One.", "A"), Document("a#1", "Two.", "A"), Document("b-7", "Three.", "B")]
    assert list(joined(parts)) == [Document("a", "One.\nTwo.", "A"), Document("b", "Three.", "B")]


def test_a_query_is_no_longer_in_its_document() -> None:
    text = "\n".join(" ".join(SENTENCE.format(3 * p + s, 1) for s in range(3)) for p in range(4))
    taken = take_query(Document("a", text, "A"), 0)
    assert taken is not None
    query, rest = taken
    assert query in text and query not in rest.text and len(rest.text) == len(text) - len(query) - 1
    assert take_query(Document("b", "| a | table of numbers, and no sentence at all in it |"), 0) is None


def test_a_collection_is_whole_and_the_same_in_each_run(
    passages: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--documents", "9", "--queries", "5", "--min-words", "200"]
    for name in ("one", "two"):
        assert main([str(passages), "--out", str(tmp_path / name), *options]) == 0
    assert "9 documents and 5 queries in " in capsys.readouterr().out
    files = ("corpus.jsonl", "queries.jsonl", "qrels/test.tsv")
    assert [(tmp_path / "one" / f).read_bytes() for f in files] == [(tmp_path / "two" / f).read_bytes() for f in files]
    texts = {row["_id"]: row["text"] for row in map(json.loads, (tmp_path / "one" / files[0]).read_text().splitlines())}
    queries = {
        row["_id"]: row["text"] for row in map(json.loads, (tmp_path / "one" / files[1]).read_text().splitlines())
    }
    judged = [line.split("\t") for line in (tmp_path / "one" / files[2]).read_text().splitlines()[1:]]
    assert len(texts) == 9 and len(judged) == len(queries) == 5 and "short" not in texts
    assert all(doc_id in texts and queries[name] not in texts[doc_id] for name, doc_id, _ in judged)


def test_no_long_document_and_a_folder_that_is_there_are_refused(passages: Path, tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="no document of 10000 words or more in "):
        write_collection([passages], tmp_path / "out", LongDocuments(min_words=10_000))
    (tmp_path / "out" / "qrels").mkdir(parents=True)
    with pytest.raises(LsrError, match="is there already: name another folder"):
        write_collection([passages], tmp_path / "out", LongDocuments(min_words=10))
