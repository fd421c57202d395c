"""A set is there whole or not at all, opens as its manifest says, and what is wrong with it is named."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, IndexExistsError, IndexMissingError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards import place as set_place
from lsr.indexer.shards.cut import cut_ranges
from lsr.indexer.shards.editor import SetEditor
from lsr.indexer.shards.manifest import Partition, read_set, set_generations
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.open_editor import merge_segments
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.io.folder import Folder
from lsr.query.searcher import Searcher
from lsr.types import Document

DOCUMENTS = [Document(f"d{i}", f"apple {'banana ' * (i % 3)} cherry{i % 5}", fields={"n": i}) for i in range(30)]
PARTITIONS = pytest.mark.parametrize("by", ["range", "hash"])


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def make(path: Path, by: str = "range", n_shards: int = 3, **options: Any) -> Path:
    index_documents(DOCUMENTS, path, load_encoder("bm25"), shards=Partition(n_shards, by), **options)
    return path


def answers(path: Path) -> list[tuple[str, float]]:
    with StoredIndex.open(path) as index:
        found = Searcher(index).search("banana cherry1", k=50)
        assert len(list(index.documents())) == len(index)
    return [(hit.doc_id, hit.score) for hit in found]


@PARTITIONS
def test_a_failure_at_any_write_leaves_no_set(tmp_path: Path, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(set_place, "write_set", fail)
    with pytest.raises(LsrError, match="No space left"):
        make(tmp_path / "set", by)
    assert not (tmp_path / "set").exists()


@PARTITIONS
@pytest.mark.parametrize(("at", "killed"), [("a shard", False), ("a shard", True), ("the set", True)])
def test_a_change_that_fails_or_is_killed_between_shards_was_never_there(
    tmp_path: Path, by: str, at: str, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path / "set", by)
    before = answers(path)
    more = [Document(f"e{i}", "banana banana") for i in range(9)]
    n_done = 0
    commit = IndexEditor.commit_changed

    def spoil(editor: IndexEditor, *given: Any) -> Any:
        nonlocal n_done
        n_done += 1
        if n_done == 3:
            stop()
        return commit(editor, *given)

    def stop(*_: object) -> None:
        if killed:
            os._exit(9)
        raise OSError(28, "No space left on device")

    if at == "a shard":
        monkeypatch.setattr(IndexEditor, "commit_changed", spoil)
    else:
        monkeypatch.setattr(set_place, "write_set", stop)
    if killed:
        pid = os.fork()
        if pid == 0:
            add_documents(more, path)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    else:
        with pytest.raises(LsrError, match="No space left"):
            add_documents(more, path)
    monkeypatch.undo()
    assert answers(path) == before
    assert set_generations(path) == [1]
    added = add_documents(more, path)
    assert (added.n_added, added.manifest.n_docs) == (9, 39)
    assert lsr.open(path).check().sound
    named = {shard.name: shard.generation for shard in read_set(Folder.open(path), set_generations(path)[-1]).shards}
    assert {p.name for p in path.iterdir() if p.is_dir()} == set(named)


@PARTITIONS
def test_a_reader_keeps_its_generation(tmp_path: Path, by: str) -> None:
    path = make(tmp_path / "set", by)
    index = StoredIndex.open(path)
    before = list(index.documents())
    for number in range(2):
        delete_documents([f"d{number}"], path)
        merge_segments(path)
    assert not index.is_newest()
    assert list(index.documents()) == before
    newest = index.refresh()
    assert len(newest) == 28
    assert newest.refresh() is newest
    index.close()
    delete_documents(["d9"], path)
    assert set_generations(path)[0] > 1


def test_a_set_is_replaced_by_another(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    with pytest.raises(IndexExistsError, match="--overwrite replaces it"):
        make(path)
    before = answers(path)
    make(path, "hash", 2, overwrite=True)
    assert answers(path) == before
    assert {p.name for p in path.iterdir() if p.is_dir()} == {"shard-00000002-0000", "shard-00000002-0001"}


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    single = tmp_path / "index"
    index_documents(DOCUMENTS, single, load_encoder("bm25"))
    with pytest.raises(IndexExistsError, match="single index"):
        make(single, overwrite=True)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"other things in it \(a.txt\)"):
        make(tmp_path / "notes", overwrite=True)
    path = make(tmp_path / "set")
    with pytest.raises(UsageError, match="folder with other things"):
        index_documents(DOCUMENTS, path, load_encoder("bm25"), overwrite=True)


def test_a_shard_is_changed_through_its_set_alone(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    shard = path / "shard-00000001-0001"
    assert len(StoredIndex.open(shard)) == 10  # it can be read by itself
    for change in (
        lambda: add_documents([Document("x", "apple")], shard),
        lambda: merge_segments(shard),
        lambda: index_documents(DOCUMENTS, shard, load_encoder("bm25"), overwrite=True),
    ):
        with pytest.raises(UsageError, match="is a shard of the set"):
            change()


def _other_manifest(path: Path) -> None:
    file = path / "shard-00000001-0002" / "manifest-00000001.json"
    file.write_bytes(file.read_bytes().replace(b'"created"', b'"Created"'))


def _later_generation(path: Path) -> None:
    shard = path / "shard-00000001-0002"
    aside = path.parent / "aside"
    shard.rename(aside)
    delete_documents(["d25"], aside)
    aside.rename(shard)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no shard": (lambda path: shutil.rmtree(path / "shard-00000001-0002"), "shard-00000001-0002: a shard .* missing"),
    "moved on": (_later_generation, "shard-00000001-0002: the set has its generation 1, which is no longer there"),
    "other": (_other_manifest, "shard-00000001-0002: its manifest is another"),
    "cut": (lambda path: os.truncate(path / "set-00000001.json", 99), "set-00000001.json: not a readable"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_set_names_the_shard(tmp_path: Path, name: str) -> None:
    path = make(tmp_path / "set")
    damage, message = DAMAGE[name]
    damage(path)
    with pytest.raises(IndexDamagedError, match=message):
        StoredIndex.open(path)


def test_a_link_in_the_place_of_a_shard_is_not_followed(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    shard = path / "shard-00000001-0000"
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(IndexDamagedError, match="a link"):
        StoredIndex.open(path)


@pytest.mark.parametrize(
    "change",
    [
        {"partition": "other"}, {"next_position": -1}, {"shards": []}, {"next_position": 1 << 40},
        {"shards": [{"name": "../a", "generation": 1, "manifest_crc32": 0, "n_docs": 0}]},
    ],
    ids=str,
)  # fmt: skip
def test_a_strangers_manifest_is_believed_in_nothing(tmp_path: Path, change: dict[str, Any]) -> None:
    from lsr.indexer.storage.manifest import checked_bytes

    path = make(tmp_path / "set")
    file = path / "set-00000001.json"
    content = json.loads(file.read_bytes())
    del content["crc32"]
    file.write_bytes(checked_bytes(content | change))
    with pytest.raises(IndexDamagedError, match="a field is missing or malformed"):
        StoredIndex.open(path)


def test_check_names_the_damaged_shard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path / "set", "hash")
    (file,) = (path / "shard-00000001-0001").glob("segments/*/position.npy")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert main(["check", "--index", str(path)]) == 3
    assert re.search(r"shard-00000001-0001.*position.npy: its content is not", capsys.readouterr().err)
    with pytest.raises(IndexDamagedError, match="position"):
        answers(path)


@PARTITIONS
def test_commands_take_a_set(tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus.jsonl"
    lines = [json.dumps({"id": document.doc_id, "text": document.text}) for document in DOCUMENTS]
    corpus.write_text("\n".join(lines))
    path, more = str(tmp_path / "set"), tmp_path / "more.jsonl"
    more.write_text('{"id": "e1", "text": "banana elder"}\n')
    build = ["index", str(corpus), "--encoder", "bm25", "--index", path, "--shards", "3", "--partition", by, "--json"]
    assert main(build) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 30
    assert main(["search", "banana", "--index", path, "--json", "-k", "3"]) == 0
    assert [json.loads(line)["doc_id"] for line in capsys.readouterr().out.splitlines()] == ["d2", "d5", "d8"]
    assert main(["stats", "--index", path, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["shards"], found["partition"], found["documents"]) == (3, by, 30)
    assert main(["add", str(more), "--index", path]) == 0
    assert main(["delete", "d2", "--index", path]) == 0
    assert main(["merge", "--index", path]) == 0
    capsys.readouterr()
    assert main(["list", "--index", path, "--limit", "3"]) == 0
    assert [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()] == ["d0", "d1", "d3"]
    assert main(["get", "e1", "d2", "--index", path, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["doc_id"] == "e1"
    assert main(["check", "--index", path]) == 0


@pytest.mark.parametrize(
    "command",
    [["sync"], ["export", "--index", "{set}", "{set}.tar"], ["index", "--dense", "x", "--index", "{set}"]],
    ids=lambda command: command[0],
)
def test_what_single_indexes_alone_can_do_is_refused(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsr.encoders import registry

    monkeypatch.setattr(registry, "load_dense_encoder", lambda *_, **__: None)
    path = make(tmp_path / "set")
    given = [part.replace("{set}", str(path)) for part in command]
    assert main([*given, *([] if "--index" in given else ["--index", str(path)])]) == 2
    assert "is a set of shards" in capsys.readouterr().err


def test_a_number_of_shards_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for shards, by in ((0, "range"), (5000, "range"), (2, "other"), (True, "range")):
        with pytest.raises(UsageError):
            Partition(shards, by)
    assert main(["index", str(tmp_path), "--partition", "hash"]) == 2
    assert "--shards" in capsys.readouterr().err


def test_ranges_are_even_and_begin_with_documents() -> None:
    import numpy as np

    first = np.array([True, False, False] * 20)
    ranges = cut_ranges(np.arange(60), first, 4)
    assert [r for part in ranges for r in part] == list(range(60))
    assert all(first[part.start] for part in ranges if len(part))
    sizes = [sum(part) + 16 * len(part) for part in ranges]
    assert max(sizes) < 1.4 * min(sizes)
    assert [len(part) for part in cut_ranges(np.zeros(2, np.int64), np.ones(2, bool), 5)].count(1) == 2


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = make(tmp_path / "set")
    with SetEditor(path), pytest.raises(LsrError, match="being written to"):
        delete_documents(["d1"], path)
    assert delete_documents(["d1"], path).n_deleted == 1


def test_the_nearest_index_may_be_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / ".lsr")
    monkeypatch.chdir(tmp_path)
    assert len(lsr.open()) == 30
    with pytest.raises(IndexMissingError):
        StoredIndex.open(tmp_path / ".lsr", generation=7)
