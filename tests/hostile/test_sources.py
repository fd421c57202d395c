"""Sources that an index from elsewhere names: nothing of them is looked at until the user has named them himself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, LsrError
from lsr.indexer.pipeline import index_corpus
from lsr.indexer.sources.known import is_known_source
from lsr.indexer.sources.staleness import CHANGED, Staleness
from lsr.indexer.sources.table import FileState, SourceTable, read_table
from lsr.indexer.sources.watch import watched
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.sync import plan_sync, sync_index, update_sources


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index of a folder of two notes, made by a user whose cache is then another."""
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache of the maker"))
    (tmp_path / "notes").mkdir()
    for name in ("a", "b"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"note {name}")
    index_corpus([tmp_path / "notes"], tmp_path / "index", load_encoder("bm25"))
    assert is_known_source(str(tmp_path / "notes"))
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache of the user"))
    return tmp_path / "index"


def test_sources_of_another_user_are_not_followed(index: Path, tmp_path: Path) -> None:
    (tmp_path / "notes" / "secret.txt").write_text("a secret")
    for follow in (sync_index, plan_sync, lambda path: next(watched(path))):
        with pytest.raises(LsrError, match=r"haven't indexed on this machine.*'lsr update PATH'"):
            follow(index)
    with StoredIndex.open(index) as kept:
        assert len(kept) == 2
    update_sources([tmp_path / "notes"], index)
    assert is_known_source(str(tmp_path / "notes"))
    assert plan_sync(index).n_unchanged == 3
    with StoredIndex.open(index) as followed:
        assert len(followed) == 3


def test_a_file_in_a_source_names_that_file_alone(index: Path, tmp_path: Path) -> None:
    (tmp_path / "notes" / "a.txt").write_text("another note a")
    (tmp_path / "notes" / "secret.txt").write_text("a secret")
    update_sources([tmp_path / "notes" / "a.txt"], index)
    with StoredIndex.open(index) as updated:
        assert len(updated) == 2
    assert not is_known_source(str(tmp_path / "notes"))


def test_no_file_is_looked_at_for_the_hits_of_an_index_from_elsewhere(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes" / "a.txt").write_text("much more than before")
    with StoredIndex.open(index) as opened:
        assert Staleness(opened).of(["a.txt"]) == [None]
        monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache of the maker"))
        assert Staleness(opened).of(["a.txt"]) == [CHANGED]


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache of the maker"))
    (tmp_path / "notes" / "a.txt").write_text("")
    update_sources([tmp_path / "notes"], index)
    (tmp_path / "notes" / "b.txt").unlink()
    os.mkfifo(tmp_path / "notes" / "b.txt")
    with StoredIndex.open(index) as opened:
        assert Staleness(opened).of(["b.txt"]) == [CHANGED]


@pytest.mark.parametrize("inside", ["../secret.txt", "/etc/passwd", "a/../../secret.txt", "a\0b"])
def test_a_file_outside_of_its_source_is_damage(
    index: Path, tmp_path: Path, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StoredIndex.open(index) as opened:
        table = read_table(opened)
    assert table is not None
    forged = SourceTable(table.sources, (*table.files, FileState(0, inside, "x", 1, 1, b"", 1, 1)))
    save = SourceTable.save
    monkeypatch.setattr(SourceTable, "save", lambda _, folder: save(forged, folder))
    index_corpus([tmp_path / "notes"], tmp_path / "forged", load_encoder("bm25"))
    monkeypatch.undo()
    with (
        StoredIndex.open(tmp_path / "forged") as opened,
        pytest.raises(IndexDamagedError, match="outside of its source"),
    ):
        read_table(opened)
