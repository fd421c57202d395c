"""What was committed is never called unchanged, whatever fails afterwards."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import COMMITTED, LsrError
from lsr.indexer.encode import resume
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update import merge
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.indexer.write import transaction
from lsr.io.folder import Folder
from lsr.types import Document


def document(number: int) -> Document:
    return Document(f"d{number}", f"word{number % 5} common")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Make an index in which a small segment more makes a merge due."""
    index_documents([document(i) for i in range(4)], tmp_path / "index", load_encoder("bm25"))
    for i in range(4, 6):
        add_documents([document(i)], tmp_path / "index", merge=False)
    return tmp_path / "index"


def no_space() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


FAILURES = [no_space, MemoryError, lambda: LsrError("the disk is gone")]


@pytest.fixture(params=FAILURES, ids=["no space", "no memory", "an error"])
def failing_merge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise request.param()

    monkeypatch.setattr(merge, "merge_runs", fail)
    monkeypatch.setattr(merge, "tiered", lambda segments, limits: [range(len(segments))])


CHANGES = {
    "add": lambda path: add_documents([document(9)], path),
    "update": lambda path: update_documents([document(1)], path),
    "delete": lambda path: delete_documents(["d1"], path),
}


@pytest.mark.usefixtures("failing_merge")
@pytest.mark.parametrize("name", CHANGES)
def test_a_failed_merge_is_a_warning(path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "lsr"):
        changes = CHANGES[name](path)
    assert changes.unmerged
    (message,) = caplog.messages
    assert message.startswith("the change is committed") and changes.unmerged in message
    assert "unchanged" not in message
    with StoredIndex.open(path) as index:
        assert index.manifest.generation == changes.manifest.generation
        assert len(index) == {"add": 7, "update": 6, "delete": 5}[name]


@pytest.mark.usefixtures("failing_merge")
def test_the_interface_returns_why_a_merge_failed(path: Path) -> None:
    index = lsr.open(path)
    assert index.add([{"doc_id": "new", "text": "common"}]).unmerged
    assert index.update([{"doc_id": "new", "text": "common again"}]).unmerged
    assert index.delete("new").unmerged
    assert index.delete("d1", merge=False).unmerged is None


@pytest.mark.usefixtures("failing_merge")
def test_a_command_says_what_was_committed_first(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["delete", "d1", "--index", str(path)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("deleted 1 document")
    assert err.count("\n") == 1 and "the change is committed" in err and "unchanged" not in err


def test_an_interrupted_merge_does_not_hide_the_change(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(merge, "tiered", interrupt)
    assert main(["delete", "d1", "--index", str(path)]) == 130
    out, err = capsys.readouterr()
    assert out.startswith("deleted 1 document") and err.endswith(f"lsr: interrupted; {COMMITTED}\n")


def test_an_interruption_right_after_a_commit_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = transaction.write_manifest

    def interrupted(*args: Any) -> None:
        original(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(transaction, "write_manifest", interrupted)
    assert main(["delete", "d1", "--index", str(path)]) == 130
    assert capsys.readouterr().err.endswith(f"lsr: interrupted; {COMMITTED}\n")
    with StoredIndex.open(path) as index:
        assert len(index) == 5


def test_the_second_of_two_merges_that_fails_says_that_the_first_is_kept(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [[range(1, 3)]]

    def chosen(segments: object, limits: object) -> list[range]:
        if not runs:
            raise no_space()
        return runs.pop()

    monkeypatch.setattr(merge, "all_of", chosen)
    with pytest.raises(LsrError, match=COMMITTED) as found:
        merge.merge_index(path)
    assert "unchanged" not in str(found.value)


def test_a_commit_that_can_neither_be_synced_nor_taken_back_is_not_called_unchanged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = IndexEditor(path)
    editor.delete(["d1"])
    sync, remove = Folder.sync, Folder.remove_file

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    def no_sync(folder: Folder) -> None:
        if any(name.endswith(f"{editor.base.manifest.generation + 1:08d}.json") for name in folder.names()):
            fail()
        sync(folder)

    def no_removal(folder: Folder, name: str, **options: Any) -> None:
        if name.startswith("manifest") and name.endswith("json"):
            fail()
        remove(folder, name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "sync", no_sync)
        patch.setattr(Folder, "remove_file", no_removal)
        with pytest.raises(LsrError, match="the change is made, but can't be synced") as found, editor:
            editor.commit()
    assert "unchanged" not in str(found.value)
    with StoredIndex.open(path) as index:
        assert len(index) == 5


def test_shards_that_can_not_be_removed_after_the_commit_are_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(folder: Path) -> None:
        raise no_space()

    monkeypatch.setattr(resume, "forget_job", fail)
    with (
        caplog.at_level(logging.WARNING, "lsr"),
        resume.Staging(tmp_path / "index", resume.Legs(load_encoder("bm25")), settings={}),
    ):
        pass
    assert "can't be removed (No space left on device)" in caplog.text
