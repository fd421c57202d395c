"""Files and folders appear complete, or what was there before stays."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from lsr.errors import LsrError
from lsr.io.atomic import PRIVATE, atomic_file, atomic_folder, sync_tree
from lsr.io.text_files import numbered_lines, written_whole


class StopError(Exception):
    """Raised in the middle of a write."""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_replaces_the_one_before_at_the_end_of_the_block(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    with atomic_file(path) as file:
        file.write(b"one")
    with atomic_file(path) as file:
        file.write(b"two")
        file.flush()
        assert path.read_bytes() == b"one"
    assert path.read_bytes() == b"two" and names(path.parent) == ["file"]


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "file.txt.gz"
    with written_whole(path) as text:
        text.write("before")
    with pytest.raises(StopError), written_whole(path) as text:
        text.write("after")
        raise StopError
    assert gzip.decompress(path.read_bytes()) == b"before" and names(tmp_path) == ["file.txt.gz"]


def test_data_reaches_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, rename = os.fsync, os.rename

    def noted_fsync(descriptor: int) -> None:
        steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def noted_rename(*names: str, **folders: int) -> None:
        steps.append("renamed")
        rename(*names, **folders)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "rename", noted_rename)
    with atomic_file(tmp_path / "file") as file:
        file.write(b"x")
    assert steps[0].startswith(f"{tmp_path}/.file.") and steps[1:] == ["renamed", str(tmp_path)]


def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        with atomic_file(tmp_path / "shown"), atomic_file(tmp_path / "kept", permissions=PRIVATE):
            pass
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("shown", "kept")] == [0o640, 0o600]


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_file(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"mine" and not (tmp_path / "link").is_symlink()


def test_the_longest_file_name_can_be_written(tmp_path: Path) -> None:
    with atomic_file(tmp_path / ("n" * 255)) as file:
        file.write(b"x")
    assert len(names(tmp_path)) == 1


def test_a_folder_appears_with_all_its_files_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(StopError), atomic_folder(tmp_path / "folder") as folder:
        (folder / "half").write_text("x")
        raise StopError
    assert names(tmp_path) == []
    with atomic_folder(tmp_path / "folder") as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "file").write_text("x")
        assert not (tmp_path / "folder").exists()
    assert (tmp_path / "folder" / "inner" / "file").read_text() == "x" and names(tmp_path) == ["folder"]


def test_of_two_writers_of_a_folder_the_first_wins(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "folder") as slow:
        (slow / "file").write_text("slow")
        with atomic_folder(tmp_path / "folder") as fast:
            (fast / "file").write_text("fast")
    assert (tmp_path / "folder" / "file").read_text() == "fast" and names(tmp_path) == ["folder"]


def test_links_are_not_followed_when_a_folder_is_synced(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "absent")
    sync_tree(tmp_path)
    assert (tmp_path / "dangling").is_symlink()


@pytest.mark.parametrize("name", ["text", "text.gz"])
def test_text_reads_back_line_by_line(tmp_path: Path, name: str) -> None:
    with written_whole(tmp_path / name) as text:
        text.write("één\n\n\nlast")
    assert list(numbered_lines(tmp_path / name)) == [(1, "één"), (4, "last")]


def test_compressed_text_does_not_depend_on_the_time(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        with written_whole(tmp_path / name) as text:
            text.write("same")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert (tmp_path / "a.gz").read_bytes()[4:8] == b"\0\0\0\0"


def test_a_place_that_can_not_be_written_is_an_error_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(LsrError, match=r"file/inner: can't be written: "), written_whole(tmp_path / "file" / "inner"):
        pass


def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="No space left"), written_whole(tmp_path / "file") as text:
        text.write("x")
        raise OSError(28, "No space left on device")
