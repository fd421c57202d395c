"""`lsr add`, `lsr update`, `lsr delete`, `lsr merge`: an index that grows and shrinks."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.indexer.storage.index import StoredIndex

Lsr = Callable[..., Any]


@pytest.fixture
def index(bm25_index: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(bm25_index, tmp_path / "index"))


@pytest.fixture
def more(tmp_path: Path, jsonl: Any) -> Path:
    return Path(
        jsonl(
            tmp_path / "more.jsonl",
            [{"_id": "birds", "text": "Birds sleep on one leg."}, {"_id": "fish", "text": "A fish never sleeps."}],
        )
    )


def found(lsr: Lsr, index: Path, query: str) -> list[str]:
    return [hit["doc_id"] for hit in lsr("search", query, "--index", index, "--json").objects]


def test_documents_are_added_and_found(lsr: Lsr, index: Path, more: Path) -> None:
    done = lsr("add", more, "--index", index)
    assert done.code == 0 and done.lines[0].startswith("added 2 documents in ")
    assert done.lines[0].endswith(f": {index} holds 6 documents")
    assert "lsr: read 2 documents from 1 file" in done.err
    assert found(lsr, index, "sleep") == ["cats", "fish", "birds"]


def test_what_is_there_is_not_added_but_updated(lsr: Lsr, index: Path, more: Path, jsonl: Any, tmp_path: Path) -> None:
    changed = jsonl(tmp_path / "changed.jsonl", [{"_id": "cats", "text": "Lions roar."}, {"_id": "ants", "text": "x"}])
    done = lsr("add", changed, "--index", index)
    assert done.code == 1 and done.err.splitlines()[-1] == (
        "lsr: doc_id cats is in the index already; 'lsr update' replaces it, or give the new one another"
    )
    assert found(lsr, index, "cats") == ["cats", "dogs"]
    (done,) = lsr("update", changed, "--index", index, "--json").objects
    assert (done["added"], done["replaced"], done["documents"], done["generation"]) == (1, 1, 5, 2)
    assert found(lsr, index, "cats") == ["dogs"] and found(lsr, index, "lions") == ["cats"]


def test_documents_are_deleted_by_their_ids(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("trees\n\nno such document\n")
    done = lsr("delete", "cats", "--ids-from", tmp_path / "ids.txt", "--index", index)
    assert done.code == 0 and done.out.startswith("deleted 2 documents in ")
    assert done.err == "lsr: 1 doc_id not in the index: no such document\n"
    assert found(lsr, index, "cats") == ["dogs"] and found(lsr, index, "trees") == []
    done = lsr("delete", "cats", "dogs", "--strict", "--index", index)
    assert done.code == 1 and "not in the index: cats; nothing was deleted" in done.err
    assert found(lsr, index, "cats") == ["dogs"]
    done = lsr("delete", "cats", "--index", index)
    assert done.code == 0 and done.out.startswith("changed nothing in ")


def test_merging_leaves_one_segment_and_the_same_results(lsr: Lsr, index: Path, more: Path) -> None:
    assert lsr("add", more, "--index", index, "--no-merge").code == 0
    assert lsr("delete", "dogs", "--index", index, "--no-merge").code == 0
    before = lsr("search", "sleep house", "--index", index, "--json").out
    assert "segments" in lsr("stats", "--index", index).out and len(StoredIndex.open(index).segments) == 2
    assert lsr("merge", "--due", "--index", index).out == "nothing to merge: 2 segments, nothing due\n"
    done = lsr("merge", "--index", index)
    assert done.code == 0 and done.out.startswith("merged 2 segments in ") and ": 1 segment left, " in done.out
    assert lsr("search", "sleep house", "--index", index, "--json").out == before
    assert lsr("merge", "--index", index).out == "nothing to merge: 1 segment, nothing deleted\n"
    (done,) = lsr("merge", "--index", index, "--json").objects
    assert done["merged"] == 0 and done["segments"] == 1 and done["documents"] == 5
    assert lsr("check", "--index", index).code == 0


def test_stats_tell_of_what_was_deleted(lsr: Lsr, index: Path) -> None:
    lsr("delete", "dogs", "--index", index, "--no-merge")
    (found,) = lsr("stats", "--index", index, "--json").objects
    assert (found["documents"], found["deleted"], found["segments"]) == (3, 1, 1)
    assert sum(found["size_bytes_of"].values()) == found["size_bytes"]
    assert "documents      3, and 1 deleted that the next merge removes" in lsr("stats", "--index", index).out


@pytest.mark.parametrize("command", [["add", "x.txt"], ["update", "x.txt"], ["delete", "x"], ["merge"]])
def test_where_no_index_is_none_is_changed(lsr: Lsr, tmp_path: Path, command: list[str]) -> None:
    done = lsr(*command, "--index", tmp_path)
    assert done.code == 3 and os.listdir(tmp_path) == []


def test_what_to_change_must_be_named(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    for command in (["add"], ["update"], ["add", "x", "--vectors", "y.parquet"], ["delete"]):
        assert lsr(*command, "--index", index).code == 2
    assert lsr("add", "--vectors", "y.parquet", "--encoder", "bm25", "--index", index).code == 2
    assert lsr("delete", "--ids-from", tmp_path / "none.txt", "--index", index).code == 1
    assert lsr("add", tmp_path / "missing", "--index", index).code == 1


def test_another_encoder_is_refused(lsr: Lsr, index: Path, more: Path, router: Path) -> None:
    done = lsr("add", more, "--index", index, "--encoder", router)
    assert done.code == 1 and "the index was built with encoder 'bm25'" in done.err


def test_an_index_of_a_model_grows_by_that_model(
    lsr: Lsr, tmp_path: Path, more: Path, router: Path, jsonl: Any, documents: Any
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", corpus, more, "--index", tmp_path / "whole", "--encoder", router).code == 0
    assert lsr("index", corpus, "--index", tmp_path / "grown", "--encoder", router).code == 0
    done = lsr("add", more, "--index", tmp_path / "grown")
    assert done.code == 0 and len(StoredIndex.open(tmp_path / "grown").segments) == 2
    seen = set()
    for token in ("a", "cat", "dog", "sleep", "house", "tree", "on", "day"):
        grown, whole = (set(found(lsr, tmp_path / name, token)) for name in ("grown", "whole"))
        assert grown == whole
        seen |= grown
    assert {"birds", "fish"} <= seen


def test_a_running_writer_is_named(lsr: Lsr, index: Path, more: Path) -> None:
    from lsr.io.writer_lock import writer_lock

    with writer_lock(index):
        for command in (["add", more], ["delete", "cats"], ["merge"]):
            done = lsr(*command, "--index", index)
            assert done.code == 4 and f"is being written to by process {os.getpid()} on " in done.err


def test_an_index_is_exported_and_imported(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    done = lsr("export", tmp_path / "notes.tar", "--index", index)
    assert done.code == 0 and done.out.startswith(f"exported 4 documents to {tmp_path}/notes.tar, ")
    done = lsr("import", tmp_path / "notes.tar", "--index", tmp_path / "again")
    assert done.code == 0 and done.out.startswith(f"imported 4 documents into {tmp_path}/again, ")
    assert found(lsr, tmp_path / "again", "sleep") == found(lsr, index, "sleep") != []
    assert lsr("import", tmp_path / "notes.tar", "--index", tmp_path / "again").code == 1
    (done,) = lsr("import", tmp_path / "notes.tar", "--index", tmp_path / "again", "--overwrite", "--json").objects
    assert done["documents"] == 4 and done["generation"] == 2
    (tmp_path / "notes.tar").write_text("text")
    done = lsr("import", tmp_path / "notes.tar", "--index", tmp_path / "third")
    assert done.code == 3 and not (tmp_path / "third").exists()


def test_vectors_are_exported_and_indexed_again(lsr: Lsr, index: Path, tmp_path: Path) -> None:
    (done,) = lsr("export", "--vectors", tmp_path / "v.parquet", "--index", index, "--json").objects
    assert done["documents"] == 4 and done["size_bytes"] == (tmp_path / "v.parquet").stat().st_size
    assert lsr("export", "--vectors", tmp_path / "v.parquet", "--index", index).code == 1
    assert lsr("index", "--vectors", tmp_path / "v.parquet", "--index", tmp_path / "again").code == 0
    (tmp_path / "queries.txt").write_text("1\tsleep cat\n")
    run = ["search", "--queries", tmp_path / "queries.txt", "--encoded", "--index"]
    assert lsr(*run, tmp_path / "again").objects == lsr(*run, index).objects != []
