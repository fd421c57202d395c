"""Exports, imports, caches and links that nobody has named: what a stranger put in their way is left as it is."""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.errors import IndexDamagedError, LsrError, UsageError
from lsr.indexer.storage.find_index import find_index
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.export_vectors import export_vectors
from lsr.io.atomic import atomic_file
from lsr.training.cached_folder import cached_folder
from lsr.training.data.topic_batches import load_topics, save_topics
from lsr.training.run_folder.folder import locked, write_json
from lsr.training.teachers.store import Store

TRAPS = (
    "link to the original", "link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device",
    "hard link",
)  # fmt: skip

WAYS: dict[str, tuple[str, Callable[[Path, Path], object]]] = {
    "export": ("out", lambda index, path: export_index(index, path, overwrite=True)),
    "vectors": ("out.parquet", lambda index, path: export_vectors(index, path, overwrite=True)),
    "topics": ("topics.npy", lambda index, path: save_topics(path, np.arange(4, dtype=np.int32))),
    "json": ("config.json", lambda index, path: write_json(path, {"a": 1})),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("trap", TRAPS)
def test_a_file_is_replaced_and_never_written_through(
    hostile: Any, index: Path, tmp_path: Path, trap: str, way: str
) -> None:
    name, write = WAYS[way]
    folder = tmp_path / "files"
    folder.mkdir()
    # The names that could be foreseen: the target, and what it was called while it was written.
    for temporary in (f".{name}.{os.getpid()}.tmp", f"{name}.part", f"{Path(name).stem}.part.npy", f"{name}.tmp"):
        hostile.lay("link to a file", folder / temporary, hostile.outside)
    hostile.lay(trap, folder / name, hostile.outside)
    with hostile.guarded():
        write(index, folder / name)
    hostile.outside.check()
    assert stat.S_ISREG(os.lstat(folder / name).st_mode) and (folder / name).stat().st_size > 4
    assert len(list(folder.iterdir())) == 5


def test_a_file_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("before")
    with pytest.raises(ValueError, match="half"), atomic_file(tmp_path / "a") as file:
        file.write(b"half")
        raise ValueError("half")
    assert os.listdir(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "before"


@pytest.mark.parametrize("trap", [*TRAPS[1:4], "hard link"])
def test_an_export_needs_to_be_told_to_replace(hostile: Any, index: Path, tmp_path: Path, trap: str) -> None:
    hostile.lay(trap, tmp_path / "out", hostile.outside)
    with pytest.raises(LsrError, match="is there already; --overwrite replaces it"):
        export_index(index, tmp_path / "out")


@pytest.mark.parametrize("trap", ["link to the original", "link to a folder", "dangling link", "FIFO"])
@pytest.mark.parametrize("place", ["segments", "writer.lock"])
def test_an_import_stays_in_its_folder(hostile: Any, index: Path, tmp_path: Path, trap: str, place: str) -> None:
    export_index(index, tmp_path / "out")
    (tmp_path / "new").mkdir()
    hostile.lay(trap, tmp_path / "new" / place, hostile.outside)
    assert hostile.refused(lambda: import_index(tmp_path / "out", tmp_path / "new"))
    assert hostile.refused(lambda: import_index(tmp_path / "out", tmp_path / "new", overwrite=True))
    hostile.outside.check()
    assert os.listdir(tmp_path / "new") == [place]


def test_an_archive_with_a_link_is_refused(hostile: Any, index: Path, tmp_path: Path) -> None:
    export_index(index, tmp_path / "out")
    with (
        tarfile.open(tmp_path / "out") as old,
        tarfile.open(tmp_path / "changed", "w", format=tarfile.PAX_FORMAT) as new,
    ):
        for member in old:
            if member.name.endswith("rare.npy"):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, str(hostile.outside.file), 0
            new.addfile(member, old.extractfile(member) if member.isreg() else None)
    with pytest.raises(IndexDamagedError, match="is not a plain file"):
        import_index(tmp_path / "changed", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_index_that_nobody_named_is_no_link(hostile: Any, index: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    (clone / "src").mkdir(parents=True)
    (clone / ".lsr").symlink_to(index)
    with pytest.raises(
        UsageError, match=r"\.lsr is a link: if the index that it leads to is meant, name it by --index"
    ):
        find_index(clone / "src")
    assert find_index(index.parent) == index.resolve()


def test_a_new_index_that_nobody_placed_is_no_link(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from lsr.cli.main import main

    (tmp_path / "clone").mkdir()
    (tmp_path / "clone" / "a.txt").write_text("text")
    (tmp_path / "clone" / ".lsr").symlink_to(index)
    monkeypatch.chdir(tmp_path / "clone")
    assert main(["index", "a.txt", "--encoder", "bm25", "--overwrite"]) == 2
    assert ".lsr is a link" in capsys.readouterr().err
    assert main(["index", "a.txt", "--encoder", "bm25", "--overwrite", "--index", ".lsr"]) == 0


@pytest.mark.parametrize("trap", TRAPS[1:])
def test_a_folder_of_prepared_data_is_no_link(hostile: Any, tmp_path: Path, trap: str) -> None:
    hostile.lay(trap, tmp_path / "cache" / "subject-state", hostile.outside)

    def make(folder: Path) -> None:
        (folder / "a").touch()

    assert hostile.refused(lambda: cached_folder(tmp_path / "cache", "subject", "state", make))
    hostile.outside.check()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("trap", TRAPS[:7])
def test_a_teachers_cache_is_a_file(hostile: Any, tmp_path: Path, trap: str, suffix: str) -> None:
    hostile.lay(trap, tmp_path / "cache" / f"teacher.sqlite{suffix}", hostile.outside)
    assert hostile.refused(lambda: Store(tmp_path / "cache" / "teacher.sqlite"))
    hostile.outside.check()


@pytest.mark.parametrize("trap", TRAPS[1:])
def test_the_lock_of_a_training_is_a_file(hostile: Any, tmp_path: Path, trap: str) -> None:
    from lsr.training.run_folder.folder import LOCK_FILE

    hostile.lay(trap, tmp_path / "run" / LOCK_FILE, hostile.outside)

    def claim() -> None:
        with locked(tmp_path / "run"):
            pass

    assert hostile.refused(claim)
    hostile.outside.check()


def test_an_index_in_the_cache_of_evaluations_is_no_link(hostile: Any, index: Path, tmp_path: Path) -> None:
    from lsr.eval.systems.encoder_system import cached_index

    (tmp_path / "kept").symlink_to(index)
    with pytest.raises(LsrError, match="kept is a link, which is not followed: remove it"):
        cached_index(tmp_path / "kept")


def test_topics_are_read_again(tmp_path: Path) -> None:
    save_topics(tmp_path / "topics.npy", np.arange(4, dtype=np.int32))
    found = load_topics(tmp_path / "topics.npy")
    assert found is not None and found.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("trap", [*TRAPS[:4], "FIFO", "socket", "device"])
def test_a_cache_of_kernels_is_a_folder_of_its_own(hostile: Any, tmp_path: Path, trap: str) -> None:
    from lsr.kernels.jit.compile import _is_private

    if trap == "link to the original":
        (tmp_path / "kernels").mkdir()
    hostile.lay(trap, tmp_path / "kernels", hostile.outside)
    assert not _is_private(tmp_path / "kernels")
    hostile.outside.check()


@pytest.mark.parametrize("trap", TRAPS[:7])
def test_a_cache_of_dense_vectors_is_read_through_no_link(
    hostile: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trap: str
) -> None:
    from lsr.query.hybrid import ann_cache as ann_store

    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))
    folder = ann_store._private_folder()
    assert folder is not None and stat.S_IMODE((tmp_path / "cache" / "ann").stat().st_mode) == 0o700
    hostile.lay(trap, tmp_path / "cache" / "ann" / "x.ann", hostile.outside)
    with hostile.guarded():
        assert ann_store._read(folder / "x.ann", b"header") is None
    hostile.lay("link to a folder", tmp_path / "cache" / "ann", hostile.outside)
    assert ann_store._private_folder() is None
    hostile.outside.check()
