"""Writers: where they may write, one at a time, all or nothing, and what they leave behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexExistsError, IndexLockedError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.writer import IndexWriter
from lsr.io.writer_lock import writer_lock
from lsr.query.searcher import Searcher
from lsr.types import Document

PARTS = {"segments", "vocabulary", "encoder", "sources"}


def parts(path: Path) -> set[str]:
    """Return the folders of all parts that stand in an index."""
    return {f"{kind}/{name}" for kind in PARTS for name in os.listdir(path / kind)}


def test_an_index_has_a_manifest_its_parts_and_nothing_else(tmp_path: Path, small: Any) -> None:
    index = small.write(tmp_path / "index")
    assert set(os.listdir(index.path)) == PARTS | {"manifest-00000001.json", "writer.lock"}
    assert parts(index.path) == {f"{part.kind}/{part.id}" for part in index.manifest.parts}
    on_disk = {path.relative_to(index.path).as_posix() for path in index.path.rglob("*/*/*")}
    assert on_disk == {f"{part.kind}/{part.id}/{name}" for part in index.manifest.parts for name in part.files}


def test_an_index_is_not_replaced_unless_that_is_wanted(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index").path
    before = small.content(path)
    with pytest.raises(IndexExistsError, match=r"there is an index at .* already; --overwrite replaces it"):
        small.write(path, 3)
    assert small.content(path) == before
    replaced = small.write(path, 3, overwrite=True)
    assert replaced.manifest.generation == 2 and len(replaced) == 3
    assert parts(path) == {f"{part.kind}/{part.id}" for part in replaced.manifest.parts}


@pytest.mark.parametrize("names", [["notes.txt"], ["segments"], ["writer.lock", "thesis.tex"], [".git"]])
def test_a_folder_with_other_things_is_left_alone(tmp_path: Path, small: Any, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="is a folder with other things in it"):
            small.write(tmp_path, overwrite=overwrite)
    assert small.names(tmp_path) == set(names)


def test_a_file_is_no_place_for_an_index(tmp_path: Path, small: Any) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file, not a folder"):
        small.write(tmp_path / "file")
    with pytest.raises(LsrError, match=r"can't write the index at .*Not a directory"):
        small.write(tmp_path / "file" / "inside")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_index_may_be_made_in_a_new_folder_of_a_new_folder(tmp_path: Path, small: Any) -> None:
    assert len(small.write(tmp_path / "new" / "newer" / "index")) == 150


def test_a_writer_that_does_not_commit_leaves_no_trace(tmp_path: Path, small: Any) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "new" / "newer" / "index", tmp_path / "empty"):
        with IndexWriter(path, ReadyVectors()) as writer:
            writer.add([Document("a", "x")], _one_row())
        assert small.names(tmp_path) == {"empty"}


def _one_row() -> Any:
    from lsr.types import SparseBatch

    return SparseBatch.from_rows([{}], 0)


def test_an_exception_on_the_way_leaves_the_old_index(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index").path
    before, names = small.content(path), small.names(path)

    def documents() -> Iterator[Document]:
        yield from (Document(str(i), "some words") for i in range(5000))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_documents(documents(), path, load_encoder("bm25"), overwrite=True)
    assert small.content(path) == before and small.names(path) == names


def test_a_doc_id_that_comes_twice_is_named(tmp_path: Path) -> None:
    documents = [Document(str(i), "x") for i in range(3000)] + [Document("1234", "y")]
    with pytest.raises(
        LsrError, match="doc_id 1234 is there twice: it is that of document 1,235 and of document 3,001"
    ):
        index_documents(documents, tmp_path / "index", load_encoder("bm25"))
    assert not (tmp_path / "index").exists()


def test_doc_ids_that_only_share_a_hash_are_no_duplicates(
    tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    from lsr.indexer.write import segment_builder as pending

    monkeypatch.setattr(pending, "hash_ids", lambda doc_ids: np.array([len(d) for d in doc_ids], np.uint64))
    documents = [Document(doc_id, "x") for doc_id in ("a", "b", "cc", "dd", "c")]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"))
    with pytest.raises(LsrError, match="doc_id dd is there twice"):
        index_documents([*documents, Document("dd", "x")], tmp_path / "other", load_encoder("bm25"))


def test_a_second_writer_is_told_who_is_at_it(tmp_path: Path, small: Any) -> None:
    path = tmp_path / "index"
    with IndexWriter(path, ReadyVectors()) as first:
        with pytest.raises(IndexLockedError, match=rf"is being written to by process {os.getpid()} on .* since 20"):
            IndexWriter(path, ReadyVectors())
        first.add([Document("a", "x")], _one_row())
        first.commit()
        with pytest.raises(IndexLockedError):
            IndexWriter(path, ReadyVectors(), overwrite=True)
    assert len(small.write(path, 2, overwrite=True)) == 2


def test_a_lock_whose_file_was_removed_meanwhile_is_no_lock(tmp_path: Path) -> None:
    """A writer that waits for the lock of an index that its holder takes away must not be content with that file."""
    with writer_lock(tmp_path):
        (tmp_path / "writer.lock").unlink()
        with writer_lock(tmp_path):
            assert (tmp_path / "writer.lock").exists()


def test_an_open_index_outlives_its_replacement(tmp_path: Path, small: Any) -> None:
    path = tmp_path / "index"
    old = small.write(path, 40)
    searcher, old_parts = Searcher(old), parts(path)
    small.write(path, 5, shift=100, overwrite=True).close()
    assert {"manifest-00000001.json", "manifest-00000002.json"} <= set(os.listdir(path))
    assert old_parts <= parts(path)
    assert searcher.document(39).text == "text 39"  # documents are opened at the first look
    assert [len(index) for index in (StoredIndex.open(path, generation=1), StoredIndex.open(path))] == [40, 5]
    old.close()
    del searcher
    newest = small.write(path, 6, overwrite=True)
    assert parts(path) == {f"{part.kind}/{part.id}" for part in newest.manifest.parts}
    assert not (path / "manifest-00000001.json").exists()


def test_readers_never_see_anything_but_a_whole_generation(tmp_path: Path, small: Any) -> None:
    path, stop = tmp_path / "index", tmp_path / "stop"
    small.write(path, 10).close()
    readers = []
    for _ in range(2):
        readers.append(os.fork())
        if readers[-1] == 0:
            seen = set()
            try:
                while not stop.exists():
                    with StoredIndex.open(path) as index:
                        n = len(index)
                        seen.add(n)
                        assert index.segments[0].document(n - 1).doc_id == f"doc_{n - 1}"
                        assert index.vocabulary.lookup("apple") is not None
                os._exit(0 if len(seen) > 2 else 2)
            finally:
                os._exit(1)
    for n in range(11, 61):
        small.write(path, n, overwrite=True).close()
    stop.touch()
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in readers] == [0, 0]
    small.write(path, 5, overwrite=True).close()
    assert len(parts(path)) == len(PARTS)  # nobody holds the older ones any more


@pytest.mark.parametrize("existing", [True, False])
def test_a_disk_that_is_full_at_any_step_costs_nothing(tmp_path: Path, small: Any, existing: bool) -> None:
    path = tmp_path / "index"
    if existing:
        small.write(path, 30).close()
    before = small.content(path) if existing else None
    names = small.names(tmp_path)
    for step in range(1, 1000):
        with small.failing(step, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))) as calls:
            try:
                small.write(path, 5, overwrite=True).close()
            except LsrError as error:
                assert "No space left on device; what was there is unchanged; free some space" in str(error)
                assert small.names(tmp_path) == names, calls[-1]
                assert not existing or small.content(path) == before
                continue
        if len(calls) < step:  # the step that was to fail was never reached
            break
        small.write(path, 30, overwrite=True).close()  # it failed where that is no matter
        names = small.names(tmp_path)
        before = small.content(path)
    assert 40 < step < 999
    assert [document.doc_id for document, _ in small.content(path)] == [f"doc_{i}" for i in range(5)]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.EACCES, "change its permissions"), (errno.EROFS, "choose another place with --index"),
     (errno.EIO, "choose another place with --index")],
)  # fmt: skip
def test_the_remedy_fits_the_error(tmp_path: Path, small: Any, code: int, remedy: str) -> None:
    with small.failing(1, lambda: OSError(code, os.strerror(code))), pytest.raises(LsrError, match=remedy):
        small.write(tmp_path / "index")


def test_what_a_killed_writer_left_is_taken_away_by_the_next(tmp_path: Path, small: Any) -> None:
    """At whatever step it is killed, what stands there afterwards is the old index or the new one."""
    path = tmp_path / "index"
    outcomes = set()
    for step in range(1, 1000):
        small.write(path, 30, overwrite=True).close()
        assert not any(name.startswith("tmp-") or name.endswith(".tmp") for name in os.listdir(path))
        with StoredIndex.open(path) as index:
            assert parts(path) == {f"{part.kind}/{part.id}" for part in index.manifest.parts}
        killed = small.killed_at(step, lambda: small.write(path, 5, overwrite=True))
        outcomes.add((killed, len(small.content(path))))
        if not killed:
            break
    assert outcomes == {(True, 30), (True, 5), (False, 5)}


def test_a_first_writer_that_was_killed_does_not_make_the_folder_foreign(tmp_path: Path, small: Any) -> None:
    for step in range(4, 1000, 3):
        path = tmp_path / str(step)
        if not small.killed_at(step, lambda path=path: small.write(path, 5)):
            break
        assert len(small.write(path, 7, overwrite=(path / "manifest-00000001.json").exists())) == 7
    assert 40 < step < 999
