"""A maker of hostile folders: links, FIFOs, sockets, devices, second names, at every place that a program may touch."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.generations import PART_KINDS
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document

HUNG_S = 120
"""A guard against hanging for ever; what is asked for is a second, and takes some milliseconds."""


class Outside:
    """Files of somebody else, which nothing may read, write, empty, move or remove."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "keys"
        self.objects = folder / "objects"
        for name in ("ab", "0a-1b", "00000001-01234567-0", "tmp-0123456789ab"):
            (self.objects / name).mkdir(parents=True)
            (self.objects / name / "object").write_text("mine")
        for name in ("writer.lock", "manifest-00000001.json.tmp", "encode.tmp", "shard-000000.tmp"):
            (self.objects / name).write_text("mine")
        self.file.write_text("ssh-ed25519 mine")
        self._before = self._content()

    def _content(self) -> dict[str, tuple[int, bytes]]:
        return {
            path.relative_to(self.folder).as_posix(): (
                stat.S_IFMT(path.lstat().st_mode),
                path.read_bytes() if path.is_file() else b"",
            )
            for path in self.folder.rglob("*")
        }

    def note(self) -> None:
        """Take what is there now as what must stay."""
        self._before = self._content()

    def check(self) -> None:
        """Fail unless all is as it was."""
        assert self._content() == self._before


def _original(place: Path, outside: Outside) -> None:
    """Lead to the very thing that was there: who follows the link finds everything in order."""
    taken = outside.folder / "taken"
    if place.exists():
        shutil.move(place, taken)
    else:
        taken.write_text("taken")
    place.parent.mkdir(exist_ok=True)
    outside.note()
    place.symlink_to(os.path.relpath(taken, place.parent))


def _file(place: Path, outside: Outside) -> None:
    _clear(place).symlink_to(os.path.relpath(outside.file, place.parent))


def _folder(place: Path, outside: Outside) -> None:
    _clear(place).symlink_to(outside.objects, target_is_directory=True)


def _dangling(place: Path, outside: Outside) -> None:
    _clear(place).symlink_to(outside.folder / "new")


def _fifo(place: Path, outside: Outside) -> None:
    os.mkfifo(_clear(place))


def _socket(place: Path, outside: Outside) -> None:
    os.mknod(_clear(place), stat.S_IFSOCK | 0o600)


def _device(place: Path, outside: Outside) -> None:
    os.mknod(_clear(place), stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero, which has no end


def _second_name(place: Path, outside: Outside) -> None:
    os.link(outside.file, _clear(place))


def _clear(place: Path) -> Path:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


TRAPS: dict[str, Callable[[Path, Outside], None]] = {
    "link to the original": _original,
    "link to a file": _file,
    "link to a folder": _folder,
    "dangling link": _dangling,
    "FIFO": _fifo,
    "socket": _socket,
    "device": _device,
    "hard link": _second_name,
}


def lay(trap: str, place: Path, outside: Outside) -> None:
    """Put a trap at a place. Skips the test where only root may."""
    try:
        TRAPS[trap](place, outside)
    except PermissionError:
        pytest.skip("devices can't be made here")


@contextmanager
def guarded() -> Iterator[None]:
    """Fail where something hangs."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"hangs for {HUNG_S} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(HUNG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def refused(work: Callable[[], object]) -> bool:
    """Do something; say whether it ended in an error of this program. Others, and hanging, fail the test."""
    with guarded():
        try:
            work()
        except LsrError as error:
            assert str(error)
            return True
    return False


def make_index(path: Path) -> Path:
    """Make an index of every kind of part, and an older generation that somebody holds no more."""
    documents = [Document(f"d{i}", f"apple number{i} common", "title", {"year": 2000 + i}) for i in range(20)]
    index_documents(documents, path, load_encoder("bm25"))
    add_documents([Document("e", "banana common")], path, merge=False)
    delete_documents(["d3"], path, merge=False)
    return path


def read_all(path: Path) -> None:
    """Use all of an index: search, filter, show. Raises LsrError."""
    searcher = Searcher(path)
    documents = list(searcher.index.documents())
    assert documents and searcher.index.get([documents[0].doc_id]) == [documents[0]]
    hits = searcher.search("common", k=len(documents), where="year >= 2000")
    assert {hit.doc_id for hit in hits} == {d.doc_id for d in documents if "year" in d.fields and "common" in d.text}


def check_all(path: Path) -> None:
    """Check an index. Raises LsrError where something is wrong."""
    problems = verify(path)[1]
    if problems:
        raise LsrError(problems[0])


CHANGES: dict[str, Callable[[Path], object]] = {
    "add": lambda path: add_documents([Document("f", "cherry common")], path, merge=False),
    "update": lambda path: update_documents([Document("d1", "cherry common")], path),
    "delete": lambda path: delete_documents(["d1"], path, merge=False),
    "merge": lambda path: merge_index(path),
    "index": lambda path: index_documents(
        [Document("g", "elder common", "", {"year": 2001})], path, load_encoder("bm25"), overwrite=True
    ),
}


@dataclass(frozen=True)
class Hostile:
    """What the tests of this folder share; in a fixture, since test modules can't import each other."""

    outside: Outside
    traps = tuple(TRAPS)
    changes = CHANGES
    kinds = PART_KINDS
    lay = staticmethod(lay)
    refused = staticmethod(refused)
    guarded = staticmethod(guarded)
    make_index = staticmethod(make_index)
    read_all = staticmethod(read_all)
    check_all = staticmethod(check_all)


@pytest.fixture
def hostile(tmp_path: Path) -> Hostile:
    return Hostile(Outside(tmp_path / "outside"))


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give an index in which nothing is wrong, to be copied."""
    folder = tmp_path_factory.mktemp("sound")
    path = make_index(folder / ".lsr")
    # All kernels are compiled before something is guarded.
    other = Path(shutil.copytree(path, folder / "other"))
    merge_index(other)
    read_all(other)
    check_all(other)
    return path


@pytest.fixture
def index(sound: Path, tmp_path: Path) -> Path:
    """Give a copy of an index."""
    return Path(shutil.copytree(sound, tmp_path / "work" / ".lsr"))


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
