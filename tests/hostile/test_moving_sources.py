"""Sources whose files become links, FIFOs or devices between the look at them and their reading."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lsr
from lsr.indexer.corpus import reader
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import walk_roots
from lsr.io.plain_file import open_plain

SECRET = "secret words"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of files, and beside it one with others of the same names, which nobody gave."""
    for name, words in (("given", "given words"), ("outside", SECRET)):
        inner = tmp_path / name / "inner"
        inner.mkdir(parents=True)
        for suffix in ("txt", "md", "json", "noted"):
            (inner / f"file.{suffix}").write_text(f'{{"text": "{words}"}}' if suffix == "json" else words)
        pq.write_table(pa.table({"id": ["a"], "text": [words]}), inner / "table.parquet")
        shutil.make_archive(str(inner / "packed"), "zip", inner, "file.txt")
    return tmp_path / "given"


def to_link(folder: Path) -> None:
    for file in (folder / "inner").iterdir():
        file.unlink()
        file.symlink_to(folder.parent / "outside" / "inner" / file.name)


def to_linked_folder(folder: Path) -> None:
    shutil.rmtree(folder / "inner")
    (folder / "inner").symlink_to(folder.parent / "outside" / "inner")


def to_fifo(folder: Path) -> None:
    for file in (folder / "inner").iterdir():
        file.unlink()
        os.mkfifo(file)


EXCHANGES: dict[str, Callable[[Path], None]] = {
    "links": to_link, "a linked folder": to_linked_folder, "FIFOs": to_fifo,
}  # fmt: skip


@pytest.fixture(params=EXCHANGES)
def exchanged(folder: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Exchange the files after each walk, before they are read."""

    def walked(*arguments: object, **options: object) -> Iterator[SourceFile]:
        found = list(walk_roots(*arguments, **options))  # type: ignore[arg-type]
        assert len(found) == 6 or (folder / "inner").is_symlink()
        EXCHANGES[request.param](folder)
        yield from found

    monkeypatch.setattr(reader, "walk_roots", walked)
    return folder


@pytest.mark.timeout(60)
def test_nothing_outside_is_read_and_nothing_is_waited_for(exchanged: Path) -> None:
    report = CorpusReport()
    with pytest.raises(lsr.LsrError):  # that there was no document
        list(read_corpus([exchanged], skip_bad=True, report=report))
    assert report.documents == 0 and report.skipped[Reason.UNREADABLE].count == 6


@pytest.mark.timeout(60)
def test_a_synchronisation_reads_nothing_outside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.indexer.sources import plan

    index = lsr.index(folder, folder.parent / "index", encoder="bm25")
    for file in (folder / "inner").glob("file.*"):
        file.write_text(file.read_text().replace("given", "other given"))

    def walked(*arguments: object, **options: object) -> Iterator[SourceFile]:
        found = list(walk_roots(*arguments, **options))  # type: ignore[arg-type]
        to_linked_folder(folder)
        yield from found

    monkeypatch.setattr(plan, "walk_roots", walked)
    index.sync()
    assert not any(SECRET in document.text for document in lsr.open(folder.parent / "index"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [".gitignore", ".git", ".git/info/exclude"])
def test_a_file_of_patterns_that_is_a_fifo_is_not_waited_for(folder: Path, name: str) -> None:
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(place)
    assert len(list(read_corpus([folder]))) == 6


def test_a_file_is_opened_through_no_link(folder: Path) -> None:
    file = Path(os.path.realpath(folder / "inner" / "file.txt"))
    os.close(open_plain(file))
    to_linked_folder(folder)
    with pytest.raises(OSError, match=r"Not a directory|symbolic link"):
        open_plain(file)
    with pytest.raises(OSError, match="no regular file"):
        open_plain("/dev/zero")
