"""Folders reached through descriptors: nothing in them is followed, waited for, or written through another name."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from lsr.io.folder import FOLDER, Folder, UnfitFileError, file_at

TRAPS = ("link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    (tmp_path / "in").mkdir()
    return Folder.open(tmp_path / "in")


def test_files_are_made_read_renamed_linked_and_removed(folder: Folder) -> None:
    with folder.create_file("a") as file:
        file.write(b"text")
    assert folder.size_bytes("a") == 4 and folder.has_file("a") and not folder.has_file("b")
    (folder / "a").link(folder / "b")
    folder.rename("b", "c")
    assert sorted(folder.names()) == ["a", "c"] == sorted(folder.names())
    with (folder / "c").open() as file:
        assert file.read() == b"text"
    folder.remove_file("c")
    folder.remove_file("c", missing_ok=True)
    with pytest.raises(FileNotFoundError):
        folder.remove_file("c")
    with pytest.raises(FileExistsError):
        folder.create_file("a")
    with folder.create_file("a", replace=True):
        pass
    assert folder.size_bytes("a") == 0
    folder.sync()


def test_folders_are_made_moved_and_removed(folder: Folder) -> None:
    inner = folder.make_folder("one")
    assert inner.path == folder.path / "one" and folder.kind("one") == FOLDER
    with pytest.raises(FileExistsError):
        folder.make_folder("one")
    with folder.make_folder("one", exist_ok=True).create_file("x"):
        pass
    inner.move(folder.make_folder("kind"), "id")
    assert folder.names() == ["kind"] and folder.folder("kind").names() == ["id"]
    folder.remove_tree("kind")
    folder.remove_tree("never there")
    assert folder.names() == []


def test_a_folder_keeps_its_place_when_its_path_leads_elsewhere(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "in").rename(tmp_path / "was")
    (tmp_path / "other").mkdir()
    (tmp_path / "in").symlink_to(tmp_path / "other")
    with folder.create_file("a"):
        pass
    assert (tmp_path / "was" / "a").exists() and not (tmp_path / "other" / "a").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/hostname", "a/b"])
def test_a_name_is_no_path(folder: Folder, name: str) -> None:
    for call in (
        folder.open_file, folder.create_file, folder.folder, folder.make_folder, folder.remove_file,
        folder.open_or_create, folder.remove_folder, folder.kind, lambda name: folder.rename("a", name),
    ):  # fmt: skip
        with pytest.raises(OSError, match="is no name of a file") as caught:
            call(name)
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("trap", TRAPS)
def test_what_is_no_file_is_not_opened(hostile: Any, folder: Folder, trap: str) -> None:
    hostile.lay(trap, folder.path / "a", hostile.outside)
    with hostile.guarded():
        for call in (folder.open_file, folder.open_or_create, folder.size_bytes, folder.folder):
            with pytest.raises(UnfitFileError, match=r"a is a (link|FIFO|socket|device)"):
                call("a")
        for make in (folder.create_file, folder.make_folder):
            with pytest.raises(FileExistsError):
                make("a")
        with pytest.raises(UnfitFileError):
            folder.make_folder("a", exist_ok=True)
        with pytest.raises(UnfitFileError):
            (folder / "a").link(folder / "b")
    with folder.create_file("a", replace=True):
        pass
    hostile.outside.check()
    assert stat.S_ISREG(os.lstat(folder.path / "a").st_mode)


@pytest.mark.parametrize("trap", [*TRAPS, "hard link"])
def test_a_removal_removes_a_name_and_nothing_behind_it(hostile: Any, folder: Folder, trap: str) -> None:
    (folder.path / "tree" / "of" / "more").mkdir(parents=True)
    for name in ("a", "tree/b", "tree/of/c"):
        hostile.lay(trap, folder.path / name, hostile.outside)
    folder.remove_tree("tree")
    folder.remove_tree("a")
    assert folder.names() == []
    hostile.outside.check()


def test_a_file_with_a_second_name_is_not_written_to(hostile: Any, folder: Folder) -> None:
    hostile.lay("hard link", folder.path / "a", hostile.outside)
    with pytest.raises(UnfitFileError, match="a is a hard link, one of 2 names of a file"):
        folder.open_or_create("a")
    hostile.outside.check()


def test_a_file_of_another_user_is_not_written_to(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "a").touch()
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(folder.path / "a", 12345, -1)
    with pytest.raises(UnfitFileError, match="a belongs to another user"):
        folder.open_or_create("a")


def test_the_last_part_of_a_path_is_not_followed(hostile: Any, folder: Folder) -> None:
    hostile.lay("link to a file", folder.path / "a", hostile.outside)
    with pytest.raises(UnfitFileError, match="a is a link, which is not followed, where a file is due"):
        file_at(folder.path / "a").open()


def test_a_closed_folder_reaches_nothing(folder: Folder) -> None:
    folder.close()
    folder.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        folder.names()
