"""Unlucky moments: no descriptors, no memory, no locks, no generation left, no output."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, LsrError, UsageError
from lsr.indexer.encode import resumable_job
from lsr.indexer.integrity.damage import OutOfResourcesError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage import files
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import LAST_GENERATION, read_manifest, write_manifest
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.update import delete_documents
from lsr.kernels.jit import compile as compiling
from lsr.query.engine.engine import Engine
from lsr.query.searcher import Searcher
from lsr.types import Document


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("unlucky") / "index"
    documents = [Document(f"d{i}", f"word{i} common", "", {"year": i}) for i in range(20)]
    index_documents(documents, path, load_encoder("bm25"))
    Searcher(path).search("common", where="year > 1")
    return path


@pytest.fixture
def path(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "index"))


@pytest.fixture
def few_descriptors() -> Iterator[Any]:
    """Leave so many descriptors free as a test asks for."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def leave(n: int) -> None:
        while taken:
            os.close(taken.pop())
        highest = max(int(name) for name in os.listdir("/dev/fd"))  # earlier tests may have left gaps below
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 40, before[1]))
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for _ in range(n):
                os.close(taken.pop())

    yield leave
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def use(path: Path) -> None:
    with StoredIndex.open(path) as index:
        searcher = Searcher(index)
        searcher.search("common", where="year > 1")
        searcher.explain("common", k=1)
    assert verify(path)[1] == []


def test_out_of_descriptors_is_not_called_damaged(path: Path, few_descriptors: Any) -> None:
    messages = set()
    for n in range(12):
        few_descriptors(n)
        try:
            use(path)
        except OutOfResourcesError as error:
            assert "too many files are open" in str(error) and "ulimit -n" in str(error)
            messages.add(str(error))
    assert messages


def test_out_of_descriptors_a_change_is_refused_and_the_remedy_named(path: Path, few_descriptors: Any) -> None:
    failed = 0
    for n in range(12):
        few_descriptors(n)
        try:
            delete_documents([f"d{n}"], path, merge=False)
        except LsrError as error:
            assert not isinstance(error, IndexDamagedError)
            assert "too many files" in str(error).lower() or "Too many open files" in str(error)
            failed += 1
    assert failed


@pytest.mark.parametrize("code", [errno.ENOMEM, errno.ENFILE])
def test_a_lack_of_memory_is_not_called_damaged(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(files, "map_file", fail)
        with pytest.raises(OutOfResourcesError):
            StoredIndex.open(path)
    index = StoredIndex.open(path)
    monkeypatch.setattr(files, "map_file", fail)
    with pytest.raises(OutOfResourcesError):
        index.get("d1")
    assert isinstance(index.segments[0].n_docs, int)


def test_shards_that_can_not_be_read_for_want_of_descriptors_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "index.partial"
    folder.mkdir()
    (folder / resumable_job.JOB_FILE).write_text("{}")
    (folder / "shard-000000.parquet").write_bytes(b"")

    def fail(*args: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(files, "map_bytes", fail)
    with pytest.raises(OutOfResourcesError):
        resumable_job.kept_documents(folder)
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS])
def test_without_locks_an_index_is_read_but_not_written(path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def fail(*args: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", fail)
    use(path)
    with pytest.raises(LsrError, match=r"what was there is unchanged; its file system has no locks \(flock\)"):
        delete_documents(["d1"], path)


def test_the_last_generation_is_the_last(path: Path, tmp_path: Path) -> None:
    from dataclasses import replace

    write_manifest(path, replace(read_manifest(path, 1), generation=LAST_GENERATION - 1))
    delete_documents(["d1"], path, merge=False)
    with StoredIndex.open(path) as index:
        assert index.manifest.generation == LAST_GENERATION and len(index) == 19
    with pytest.raises(LsrError, match="99,999,999 generations, the most there can be"):
        delete_documents(["d2"], path)
    export_index(path, tmp_path / "file.tar")
    assert import_index(tmp_path / "file.tar", tmp_path / "again").generation == 1
    delete_documents(["d2"], tmp_path / "again")
    assert len(StoredIndex.open(tmp_path / "again")) == 18


@pytest.mark.parametrize("k", [0, -1])
def test_no_hits_can_not_be_asked_for_from_inside(path: Path, k: int) -> None:
    engine = Engine(StoredIndex.open(path))
    query = np.array([0], np.int32), np.array([1.0], np.float32)
    for traversal in (None, "plain", "exhaustive", "blockmax", "superblock"):
        with pytest.raises(UsageError, match=f"k is {k}; it must be at least 1"):
            engine.rank(*query, k, traversal=traversal)
    with pytest.raises(UsageError, match="at least 1"):
        engine.rank_many([query], k)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_command_without_output_writes_nothing_into_the_index(path: Path, closed: str) -> None:
    lsr = [sys.executable, "-m", "lsr"]
    for arguments in (["delete", "d1", "--index", str(path)], ["search", "common", "--index", str(path)]):
        done = subprocess.run(
            ["bash", "-c", f'"$@" {closed}', "bash", *lsr, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert verify(path)[1] == [] and len(StoredIndex.open(path)) == 19


def test_kernels_are_not_loaded_from_where_others_can_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    monkeypatch.setenv("LSR_CACHE", str(shared / "cache"))
    found = []
    for mode in (0o777, 0o1777, 0o755):
        compiling.cache_folder.cache_clear()
        shared.chmod(mode)
        folder = compiling.cache_folder()
        assert folder is not None
        found.append(folder.is_relative_to(shared))
    compiling.cache_folder.cache_clear()
    assert found == [False, True, True]
    assert len(caplog.messages) == 1 and "others can write there" in caplog.messages[0]
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755
