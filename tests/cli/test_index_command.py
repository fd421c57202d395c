"""`lsr index`: reads what it is given, says what it did, and refuses what it can't do with a line that helps."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.writer import IndexWriter

Lsr = Callable[..., Any]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def texts(folder: Path, **files: str | bytes) -> Path:
    """Make a folder of files; a name's underscore stands for its dot."""
    folder.mkdir()
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def test_a_folder_of_texts_becomes_the_index_here(tmp_path: Path, lsr: Lsr) -> None:
    texts(
        tmp_path / "notes", a_txt="one cat", b_md="# Title\n\nA dog", c_html="<title>T</title><p>tree</p>", d_xyz=b"\0"
    )
    done = lsr("index", "notes")
    assert done.code == 0
    assert done.out.startswith("indexed 3 documents in ") and " into .lsr, " in done.out
    assert "lsr: encoding with bm25, as LSR_ENCODER has it" in done.err
    assert "lsr: read 3 documents from 3 files" in done.err
    assert "lsr: skipped 1: of a kind that isn't read: 1 .xyz (first: notes/d.xyz)" in done.err
    hits = lsr("search", "dogs", "--json").objects
    assert [(hit["doc_id"], hit["title"]) for hit in hits] == [("b.md", "Title")]


def test_the_index_inside_the_corpus_is_not_indexed(tmp_path: Path, lsr: Lsr) -> None:
    texts(tmp_path / "notes", a_txt="one cat")
    for index in (".lsr", "my-index", "deep/index"):
        for _ in range(2):
            done = lsr("index", ".", "--index", index, "--overwrite")
            assert done.code == 0 and done.out.startswith("indexed 1 document in ")
    assert lsr("index", "notes", "--index", "notes/index").code == 0


def test_several_files_of_several_kinds(tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any) -> None:
    jsonl(tmp_path / "a.jsonl", documents[:2])
    (tmp_path / "b.tsv").write_text("id\ttext\ntrees\tTrees grow\n")
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(json.dumps(documents[3]).encode()))
    assert lsr("index", "a.jsonl", "b.tsv", "c.jsonl.gz").code == 0
    assert [hit["doc_id"] for hit in lsr("search", "tree", "--json").objects] == ["trees"]


def test_json_says_what_was_done(tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    (done,) = lsr("index", "corpus.jsonl", "--index", "made", "--json").objects
    index = StoredIndex.open("made")
    seconds = done.pop("seconds")
    assert done == {
        "index": "made", "documents": 4, "postings": index.manifest.n_postings,
        "size_bytes": index.manifest.size_bytes, "generation": 1,
    }  # fmt: skip
    assert seconds > 0


def test_ready_vectors(tmp_path: Path, lsr: Lsr) -> None:
    table = {"id": ["a", "b"], "terms": [["x", "y"], ["y"]], "weights": [[3, 1], [2]], "title": ["A", "B"]}
    pq.write_table(pa.table(table), "vectors.parquet")
    assert lsr("index", "--vectors", "vectors.parquet").code == 0
    Path("queries.tsv").write_text("q1\ty\nq2\tx x y\n")
    found = lsr("search", "--queries", "queries.tsv").objects
    assert [(hit["query_id"], hit["doc_id"], hit["score"]) for hit in found] == [
        ("q1", "b", 2.0), ("q1", "a", 1.0), ("q2", "a", 7.0), ("q2", "b", 2.0),
    ]  # fmt: skip


@pytest.mark.parametrize("reorder", [True, False])
def test_a_model_encodes_the_documents(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, masked_lm: Path, reorder: bool
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    options = [] if reorder else ["--no-reorder"]
    assert lsr("index", "corpus.jsonl", "--encoder", masked_lm, *options).code == 0
    from lsr.encoders.registry import load_encoder
    from lsr.types import Document

    encoder = load_encoder(masked_lm)
    vectors = encoder.encode_documents([Document(d["_id"], d["text"], d["title"]) for d in documents])
    (query,) = encoder.encode_queries(["cats"])
    hits = lsr("search", "cats", "--json").objects
    weights = dict(zip(query[0].tolist(), query[1].tolist(), strict=True))
    exact = {
        document["_id"]: sum(weights.get(int(t), 0) * float(w) for t, w in zip(*row, strict=True))
        for document, row in zip(documents, vectors, strict=True)
    }
    assert {hit["doc_id"]: hit["score"] for hit in hits} == pytest.approx(
        {doc_id: score for doc_id, score in exact.items() if score}, rel=0.05
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name what to index: either CORPUS folders and files, or --vectors FILE.parquet"),
        (("notes", "--vectors", "v.parquet"), "name what to index: either"),
    ],
)
def test_either_texts_or_vectors(lsr: Lsr, args: tuple[str, ...], message: str) -> None:
    done = lsr("index", *args)
    assert done.code == 2 and message in done.err


def error_of(done: Any) -> str:
    """Return the one line that says what went wrong."""
    lines = [
        line
        for line in done.err.splitlines()
        if not line.startswith(("lsr: encoding with", "lsr: read ", "lsr: skipped"))
    ]
    assert len(lines) == 1 and done.out == "", done
    assert lines[0].startswith("lsr: ")
    return lines[0].removeprefix("lsr: ")


@pytest.mark.parametrize(
    ("files", "args", "message"),
    [
        ({}, ["nowhere"], "no such file or folder: nowhere"),
        ({}, ["notes"], "no document to index in notes: looked for archive, asciidoc, csv"),
        ({"a_bin": b"\0\1"}, ["notes"], "no document to index in notes"),
        ({"a_txt": b"caf\xe9"}, ["notes"], "skipped 1: not UTF-8"),
        ({"a_jsonl": '{"_id": 1, "text": "x"}\n{"_id": 2, "te\n'}, ["notes"], "notes/a.jsonl, line 2: not JSON"),
        ({"a_jsonl": '{"_id": 1, "text": "x"}\n' * 2}, ["notes"], "doc_id stands twice: 1 in notes/a.jsonl, line 1"),
        ({"a_txt": "x"}, ["notes", "--encoder", "no-such-model"], "no encoder 'no-such-model': known are bm25"),
        ({"a_txt": "x"}, ["notes", "--encoder", "./no-such-model"], "no model folder"),
        ({"a_txt": "x"}, ["--vectors", "notes/a.txt"], "notes/a.txt: not a readable Parquet file"),
    ],
)
def test_what_cannot_be_indexed_is_named(
    tmp_path: Path, lsr: Lsr, files: dict[str, Any], args: list[str], message: str
) -> None:
    texts(tmp_path / "notes", **files)
    done = lsr("index", *args)
    assert done.code == 1 and message in error_of(done)
    assert os.listdir(tmp_path) == ["notes"]


def test_bad_records_may_be_skipped(tmp_path: Path, lsr: Lsr) -> None:
    good, other = '{"_id": 1, "text": "cat"}\n', '{"_id": 2, "text": "dog"}\n'
    texts(tmp_path / "notes", a_jsonl=good + "{broken\n" + good + other, b_txt=b"caf\xe9")
    done = lsr("index", "notes", "--skip-bad")
    assert done.code == 0 and done.out.startswith("indexed 2 documents")
    for line in ("skipped 1: broken record", "skipped 1: doc_id that stood before", "skipped 1: not UTF-8"):
        assert f"lsr: {line}" in done.err


def test_an_index_that_exists_is_kept_unless_it_is_to_be_overwritten(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    jsonl(tmp_path / "other.jsonl", documents[:1])
    assert lsr("index", "corpus.jsonl").code == 0
    done = lsr("index", "other.jsonl")
    assert done.code == 1
    assert error_of(done) == (
        "there is an index at .lsr already; --overwrite replaces it, 'lsr add' adds to it, --index DIR makes another"
    )
    assert len(StoredIndex.open(".lsr")) == 4
    assert lsr("index", "nowhere", "--overwrite").code == 1
    assert len(StoredIndex.open(".lsr")) == 4
    assert lsr("index", "other.jsonl", "--overwrite").code == 0
    assert len(StoredIndex.open(".lsr")) == 1


def test_a_folder_with_other_things_is_no_place_for_an_index(tmp_path: Path, lsr: Lsr) -> None:
    texts(tmp_path / "notes", a_txt="x")
    done = lsr("index", "notes", "--index", "notes", "--overwrite")
    assert done.code == 2
    assert error_of(done) == "notes is a folder with other things in it (a.txt); choose another --index"
    assert os.listdir("notes") == ["a.txt"]


def test_another_writer_is_named(tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    with IndexWriter(tmp_path / ".lsr", ReadyVectors()):
        done = lsr("index", "corpus.jsonl")
    assert done.code == 4
    assert f".lsr is being written to by process {os.getpid()} on " in error_of(done)


def test_memory_that_does_not_suffice(
    tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsr.indexer.write import invert as build

    def fail(*args: Any, **options: Any) -> Any:
        raise MemoryError

    jsonl(tmp_path / "corpus.jsonl", documents)
    monkeypatch.setattr(build, "segment_arrays", fail)
    done = lsr("index", "corpus.jsonl")
    assert done.code == 1 and error_of(done).startswith("not enough memory; what was there before is unchanged")
    assert os.listdir(tmp_path) == ["corpus.jsonl"]


def test_a_place_that_cannot_be_written_to(tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    done = lsr("index", "corpus.jsonl", "--index", "corpus.jsonl/inside")
    assert done.code == 1 and "can't write the index at corpus.jsonl/inside: Not a directory" in error_of(done)
    done = lsr("index", "corpus.jsonl", "--index", "/proc/lsr-index")
    assert done.code == 1 and error_of(done).startswith("can't write the index at /proc/lsr-index: ")


def test_control_characters_in_names_do_not_reach_the_terminal(tmp_path: Path, lsr: Lsr) -> None:
    texts(tmp_path / "notes", a_txt="x")
    shutil.copy("notes/a.txt", "notes/\x1b[31m.xyz")
    done = lsr("index", "notes", "no\x1bwhere")
    assert done.code == 1 and "\x1b" not in done.err
    done = lsr("index", "notes")
    assert done.code == 0 and "\x1b" not in done.err


@pytest.mark.parametrize(
    "args", [["index", "notes", "--threads", "0"], ["index", "notes", "--unknown"], ["unknown"], []]
)
def test_wrong_arguments_are_a_matter_of_usage(lsr: Lsr, args: list[str]) -> None:
    done = lsr(*args)
    assert done.code == 2 and done.err.startswith("usage: lsr")
