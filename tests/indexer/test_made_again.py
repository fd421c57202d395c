"""An index that is removed and made again at the same path is another, whatever its generation."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

import lsr
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexMissingError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.update import add_documents
from lsr.query.filters.filter import DocumentFilter
from lsr.query.searcher import Searcher
from lsr.server.served_index import ServedIndex
from lsr.types import Document


def make(path: Path, text: str) -> Path:
    index_documents([Document(f"{text}{i}", f"{text} common") for i in range(5)], path, load_encoder("bm25"))
    return path


def texts(searcher: Searcher) -> set[str]:
    return {hit.text.split()[0] for hit in searcher.search("common")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make(tmp_path / "index", "old")


def remove_and_make(path: Path) -> None:
    shutil.rmtree(path)
    make(path, "new")


def empty_and_make(path: Path) -> None:
    for entry in path.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    make(path, "new")


def exchange(path: Path) -> None:
    make(path.with_name("other"), "new")
    path.rename(path.with_name("gone"))
    path.with_name("other").rename(path)


@pytest.mark.parametrize("change", [remove_and_make, empty_and_make, exchange])
def test_refresh_opens_the_index_that_was_made_again(path: Path, change: object) -> None:
    searcher = Searcher(path)
    assert searcher.refresh() is searcher and texts(searcher) == {"old"}
    change(path)  # type: ignore[operator]
    assert not searcher.index.is_newest() and not searcher.index.is_there()
    fresh = searcher.refresh()
    assert fresh.index.manifest.generation == searcher.index.manifest.generation == 1
    assert fresh is not searcher and texts(fresh) == {"new"}
    assert fresh.index.is_newest() and fresh.refresh() is fresh


@pytest.mark.parametrize("change", [remove_and_make, empty_and_make, exchange])
def test_a_change_of_a_folder_that_was_left_alone_for_long_is_seen(
    path: Path, change: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.indexer.storage.index.SETTLED_NS", -1_000_000_000)  # as if it were older
    index = Searcher(path).index
    assert index.is_newest()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lsr.indexer.storage.index.generations", lambda path: pytest.fail("looked at it again"))
        assert index.is_newest()
    change(path)  # type: ignore[operator]
    assert not index.is_newest()
    shutil.rmtree(path)
    assert not index.is_newest()


def test_an_index_put_back_from_a_copy_is_read_from_the_copy(path: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(path, tmp_path / "copy")
    searcher = Searcher(path)
    assert searcher.index.segments  # its documents are not opened yet
    shutil.rmtree(path)
    shutil.copytree(copy, path)
    fresh = searcher.refresh()
    assert fresh is not searcher and texts(fresh) == {"old"}


def test_errors_end_when_the_index_is_there_again(path: Path) -> None:
    index = lsr.open(path)
    shutil.rmtree(path)
    for _ in range(2):
        with pytest.raises(IndexMissingError):
            index.refresh()
    make(path, "new")
    assert {hit.text for hit in index.refresh().search("common")} == {"new common"}


def test_a_server_never_serves_documents_of_an_index_that_is_gone(path: Path) -> None:
    served = ServedIndex("one", Searcher(path))
    assert texts(served.searcher) == {"old"}
    shutil.rmtree(path)
    with pytest.raises(IndexMissingError):
        served.searcher  # noqa: B018
    make(path, "new")
    assert texts(served.searcher) == {"new"}


def test_a_server_serves_the_last_generation_that_can_be_opened(path: Path) -> None:
    served = ServedIndex("one", Searcher(path))
    (path / "manifest-00000002.json").write_text("{}")
    assert texts(served.searcher) == {"old"}


def test_a_filter_of_the_old_index_is_refused_by_the_new(path: Path) -> None:
    with StoredIndex.open(path) as old:
        allowed = DocumentFilter.from_doc_ids(old, ["old1"])
    remove_and_make(path)
    with StoredIndex.open(path) as new, pytest.raises(UsageError, match="make it again"):
        allowed.check(new)


def test_a_later_generation_shares_what_has_not_changed(path: Path) -> None:
    searcher = Searcher(path)
    add_documents([Document("more", "more common")], path, merge=False)
    assert not searcher.index.is_newest() and searcher.index.is_there()
    fresh = searcher.refresh()
    assert fresh.index.manifest.generation == 2
    encoder = fresh.index.manifest.encoder
    assert encoder["needs_corpus_statistics"] or fresh.index.segments[0] is searcher.index.segments[0]


def test_opening_beside_one_who_makes_the_index_again_gives_the_old_or_the_new(path: Path) -> None:
    other, stop = make(path.with_name("other"), "new"), threading.Event()
    failed: list[BaseException] = []

    def exchange_all_the_time() -> None:
        spare = path.with_name("spare")
        while not stop.is_set():
            path.rename(spare)
            other.rename(path)
            spare.rename(other)

    thread = threading.Thread(target=exchange_all_the_time)
    thread.start()
    try:
        searcher = None
        for _ in range(60):
            try:
                searcher = Searcher(path) if searcher is None else searcher.refresh()
                assert len(texts(searcher)) == 1
            except IndexMissingError:
                pass  # between two renames there is none
            except BaseException as error:  # noqa: BLE001
                failed.append(error)
    finally:
        stop.set()
        thread.join()
    assert failed == []
