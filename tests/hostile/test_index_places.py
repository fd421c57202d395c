"""Index folders from strangers: whatever stands at a place of it, nothing outside is read, written or removed."""

from __future__ import annotations

import os
import shutil
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import IndexDamagedError, LsrError
from lsr.indexer.storage.generations import generations
from lsr.indexer.update.update import delete_documents
from lsr.io.writer_lock import writer_lock

TRAPS = (
    "link to the original", "link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device",
    "hard link",
)  # fmt: skip
TOP = (
    "writer.lock", "manifest-00000003.json", "manifest-00000004.json.tmp", "tmp-0123456789ab", "segments", "deletions",
    "vocabulary", "encoder", "dense",
)  # fmt: skip
CHANGES = ("add", "update", "delete", "merge", "index")


@pytest.mark.parametrize(
    ("trap", "change"),
    [pytest.param(*case, marks=[pytest.mark.large] if n % 3 else []) for n, case in enumerate(product(TRAPS, CHANGES))],
)
def test_the_lock_is_a_file_of_the_folder_alone(hostile: Any, index: Path, trap: str, change: str) -> None:
    if trap == "link to the original":
        (index / "writer.lock").write_text("an old holder")
    hostile.lay(trap, index / "writer.lock", hostile.outside)
    before = sorted(os.listdir(index))
    with (
        hostile.guarded(),
        pytest.raises(IndexDamagedError, match=r"writer\.lock: can't be locked \(writer\.lock is a"),
    ):
        hostile.changes[change](index)
    hostile.outside.check()
    assert sorted(os.listdir(index)) == before
    hostile.read_all(index)


CASES = [(trap, place, change) for trap, place, change in product(TRAPS, TOP, CHANGES) if place != "writer.lock"]
"""Each change at each place with each trap; at the small setting one of seven, which are of all kinds."""


@pytest.mark.parametrize(
    ("trap", "place", "change"),
    [pytest.param(*case, marks=[pytest.mark.large] if number % 7 else []) for number, case in enumerate(CASES)],
)
def test_a_change_stays_in_its_folder(hostile: Any, index: Path, trap: str, place: str, change: str) -> None:
    hostile.lay(trap, index / place, hostile.outside)
    hostile.refused(lambda: hostile.changes[change](index))
    hostile.outside.check()
    if not hostile.refused(lambda: hostile.read_all(index)) and change == "index":
        hostile.check_all(index)
    hostile.outside.check()


def places(index: Path) -> list[Path]:
    """Return all that stands in an index, the lock apart: its files, and the folders of its parts."""
    return sorted(path for path in index.rglob("*") if path.name != "writer.lock")


def _readers_at_every_place(hostile: Any, index: Path, traps: tuple[str, ...]) -> None:
    whole = index.with_name("whole")
    shutil.copytree(index, whole)
    for place, trap in product([path.relative_to(index) for path in places(index)], traps):
        # What encoders and hits read is opened when they are: test_named_models, test_sources.
        if (
            trap == "hard link"
            or place.parts[0] in ("encoder", "sources")
            or place.name < "manifest-00000003.json" < "n"
        ):
            continue
        hostile.lay(trap, index / place, hostile.outside)
        assert hostile.refused(lambda: hostile.check_all(index)), (place, trap)
        hostile.refused(lambda: hostile.read_all(index))
        hostile.outside.check()
        shutil.rmtree(index)
        shutil.copytree(whole, index)
        shutil.rmtree(hostile.outside.folder / "taken", ignore_errors=True)
        (hostile.outside.folder / "taken").unlink(missing_ok=True)
        hostile.outside.note()


def test_a_reader_follows_no_link_and_waits_for_no_fifo(hostile: Any, index: Path) -> None:
    _readers_at_every_place(hostile, index, ("link to the original", "FIFO"))


@pytest.mark.large
def test_a_reader_takes_nothing_but_files_of_the_index(hostile: Any, index: Path) -> None:
    _readers_at_every_place(hostile, index, TRAPS)


def test_what_is_only_named_like_a_part_is_left(hostile: Any, index: Path) -> None:
    """Hexadecimal names, as git's objects have them, are no parts, and inside a link not even those are."""
    ours, others = "00000001-01234567-0", ("ab", "0a-1b", "deadbeef", "00000001-01234567", "00000001-01234567-0.old")
    for name in (ours, *others):
        (index / "deletions" / name).mkdir(exist_ok=True)
    delete_documents(["d5"], index, merge=False)
    left = set(os.listdir(index / "deletions"))
    assert ours not in left and left >= set(others)


def test_a_tree_of_many_levels_ends_no_writer(hostile: Any, index: Path) -> None:
    scratch = index / "tmp-0123456789ab"
    inner = scratch
    for _ in range(200):
        inner = inner / "d"
    inner.mkdir(parents=True)
    (scratch / "out").symlink_to(hostile.outside.objects, target_is_directory=True)
    delete_documents(["d5"], index, merge=False)
    hostile.outside.check()
    assert os.listdir(scratch) == ["d"]


def test_a_folder_that_a_caller_names_may_be_a_link(hostile: Any, index: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(index, target_is_directory=True)
    hostile.changes["delete"](link)
    assert generations(index)[-1] == 4 and generations(link)[-1] == 4
    hostile.check_all(link)


def test_a_lock_is_taken_where_there_is_none(tmp_path: Path) -> None:
    with writer_lock(tmp_path), pytest.raises(LsrError, match="is being written to by process"), writer_lock(tmp_path):
        pass
    assert (tmp_path / "writer.lock").read_bytes() == b""
