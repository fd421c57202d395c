"""Sets of shards from strangers: whatever stands at a place of one, nothing outside is read, written or removed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.open_editor import merge_segments
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.indexer.write.writer import IndexWriter
from lsr.types import Document

TRAPS = (
    "link to the original", "link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device",
    "hard link",
)  # fmt: skip
SHARD = "shard-00000001-0001"
PLACES = (
    "writer.lock", "set-00000003.json", "set-00000004.json.tmp", "tmp-0123456789ab", SHARD, "shard-00000009-0000",
    f"{SHARD}/writer.lock", f"{SHARD}/segments", f"{SHARD}/vocabulary", f"{SHARD}/manifest-00000002.json",
)  # fmt: skip


def make(path: Path, *, overwrite: bool = False) -> None:
    documents = [Document(f"d{i}", f"apple number{i} common", "title", {"year": 2000 + i}) for i in range(20)]
    index_documents(documents, path, load_encoder("bm25"), shards=Partition(3, "hash"), overwrite=overwrite)


@pytest.fixture(scope="module")
def sound_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "set"
    make(path)
    add_documents([Document("e", "banana common", "", {"year": 2001})], path, merge=False)
    delete_documents(["d3"], path, merge=False)
    return path


@pytest.fixture
def index_set(sound_set: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound_set, tmp_path / "work" / ".lsr"))


@pytest.fixture(scope="module")
def changes(sound_set: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Callable[[Path], object]]:
    return {
        "add": lambda path: add_documents([Document("f", "cherry common", "", {"year": 2001})], path, merge=False),
        "delete": lambda path: delete_documents(["d1"], path, merge=False),
        "merge": merge_segments,
        "index": lambda path: make(path, overwrite=True),
        "check": verify,
    }


CASES = list(product(TRAPS, PLACES, ("add", "delete", "merge", "index", "check")))


@pytest.mark.parametrize(
    ("trap", "place", "change"),
    [pytest.param(*case, marks=[pytest.mark.large] if number % 13 else []) for number, case in enumerate(CASES)],
)
def test_a_use_of_a_set_stays_in_its_folder(
    hostile: Any, index_set: Path, changes: Any, trap: str, place: str, change: str
) -> None:
    hostile.lay(trap, index_set / place, hostile.outside)
    hostile.refused(lambda: changes[change](index_set))
    hostile.outside.check()
    hostile.refused(lambda: hostile.read_all(index_set))
    hostile.outside.check()


def test_a_check_follows_no_link_in_the_place_of_a_shard(hostile: Any, index_set: Path) -> None:
    hostile.lay("link to the original", index_set / SHARD, hostile.outside)
    assert f"{SHARD} is a link, which is not followed" in " ".join(verify(index_set)[1])


@pytest.mark.parametrize("change", ["add", "merge"])
def test_a_shard_that_becomes_a_link_after_it_was_opened_is_not_changed(
    hostile: Any, index_set: Path, changes: Any, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchange a shard once its set has been opened, as somebody may who can write to the set."""
    opened = StoredIndex.open.__func__  # type: ignore[attr-defined]

    def open_and_exchange(cls: Any, path: Any, **options: Any) -> Any:
        found = opened(cls, path, **options)
        if Path(path) == index_set and not (index_set / SHARD).is_symlink():
            hostile.lay("link to the original", index_set / SHARD, hostile.outside)
        return found

    monkeypatch.setattr(StoredIndex, "open", classmethod(open_and_exchange))
    assert hostile.refused(lambda: changes[change](index_set))
    hostile.outside.check()


def test_new_shards_are_made_in_the_scratch_folder_that_was_opened(
    hostile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchange a set's scratch folder before its shards are made in it."""
    made = IndexWriter.__init__

    def exchange_and_make(writer: IndexWriter, path: Path, *args: Any, **options: Any) -> None:
        scratch = path.parent
        if not scratch.is_symlink():
            scratch.rename(tmp_path / "moved")
            scratch.symlink_to(hostile.outside.objects)
        made(writer, path, *args, **options)

    monkeypatch.setattr(IndexWriter, "__init__", exchange_and_make)
    hostile.refused(lambda: make(tmp_path / "set"))
    hostile.outside.check()


def test_a_shard_is_opened_as_no_link_by_itself(index_set: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(index_set / SHARD)
    assert len(StoredIndex.open(tmp_path / "link")) > 0
    with pytest.raises(IndexDamagedError, match="is a link, which is not followed"):
        StoredIndex.open(tmp_path / "link", follow=False)
