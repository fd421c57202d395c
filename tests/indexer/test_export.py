"""An index leaves as one file, as Parquet or as a copied folder, and comes back with the same results."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, IndexExistsError, IndexLockedError, IndexMissingError, LsrError
from lsr.indexer.pipeline import index_documents, index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.export_vectors import export_vectors
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.io.writer_lock import writer_lock
from lsr.query.searcher import Searcher
from lsr.types import Document

WORDS = [f"word{i}" for i in range(50)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two segments, deletions, fields, weights that are not whole."""
    rng = np.random.default_rng(4)
    some = [
        Document(f"d{i}", " ".join(rng.choice(WORDS, 12)), f"title {i}", {"year": 2000 + i % 7} if i % 3 else {})
        for i in range(150)
    ]
    path = tmp_path_factory.mktemp("export") / "index"
    index_documents(some[:120], path, load_encoder("bm25"))
    add_documents(some[120:], path, merge=False)
    delete_documents(["d5", "d130"], path, merge=False)
    return path


def answers(path: Path) -> list[Any]:
    """Return what queries of words find, by ready vectors as well, so that any index can be asked."""
    with StoredIndex.open(path) as index:
        searcher = Searcher(index)
        found = []
        for seed in range(20):
            names = sorted(set(np.random.default_rng(seed).choice(WORDS, 4)))
            ids = sorted(i for name in names if (i := index.vocabulary.lookup(name)) is not None)
            ranking = searcher.engine.rank(np.array(ids, np.int32), np.ones(len(ids), np.float32), 12)
            found.append([(hit.doc_id, hit.score, hit.title, hit.text) for hit in searcher.hits(ranking)])
        return found


def test_a_file_holds_the_index_and_gives_it_back(path: Path, tmp_path: Path) -> None:
    file = tmp_path / "index.tar"
    manifest = export_index(path, file)
    assert os.listdir(tmp_path) == ["index.tar"] and manifest.n_docs == 148
    imported = import_index(file, tmp_path / "again")
    assert imported.generation == 1 and imported.encoder == manifest.encoder
    assert verify(tmp_path / "again")[1] == []
    assert answers(tmp_path / "again") == answers(path)
    with StoredIndex.open(path) as old, StoredIndex.open(tmp_path / "again") as new:
        assert list(old.documents()) == list(new.documents())
    assert add_documents([Document("new", "word1")], tmp_path / "again").n_added == 1
    export_index(path, tmp_path / "same.tar")
    assert (tmp_path / "same.tar").read_bytes() == file.read_bytes()


def test_files_and_indexes_are_replaced_only_where_that_is_wanted(path: Path, tmp_path: Path, small: Any) -> None:
    file = tmp_path / "index.tar"
    file.write_text("mine")
    for export in (export_index, export_vectors):
        with pytest.raises(LsrError, match=r"index\.tar is there already; --overwrite replaces it"):
            export(path, file)
    assert file.read_text() == "mine"
    export_index(path, file, overwrite=True)
    other = small.write(tmp_path / "other", 5).path
    with pytest.raises(IndexExistsError):
        import_index(file, other)
    assert import_index(file, other, overwrite=True).generation == 2
    assert answers(other) == answers(path) and small.leftovers(other) == set()
    with writer_lock(other), pytest.raises(IndexLockedError):
        import_index(file, other, overwrite=True)


def test_an_export_that_fails_leaves_nothing(path: Path, tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError):
        export_index(tmp_path / "nowhere", tmp_path / "file.tar")
    with pytest.raises(LsrError, match=r"can't write .*No such file"):
        export_index(path, tmp_path / "missing" / "file.tar")
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    file = max(copy.rglob("frequent.npy"))
    data = bytearray(file.read_bytes())
    data[200] ^= 1
    file.write_bytes(data)
    with pytest.raises(IndexDamagedError, match=r"frequent\.npy: its content is not what was written"):
        export_index(copy, tmp_path / "file.tar")
    assert os.listdir(tmp_path) == ["copy"]


def rewritten(file: Path, change: Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]) -> Path:
    """Write the archive anew, each member changed."""
    target = file.with_name("changed.tar")
    with tarfile.open(file) as old, tarfile.open(target, "w") as new:
        for member in old:
            content = old.extractfile(member)
            assert content is not None
            for found, data in change(member, content.read()):
                new.addfile(found, io.BytesIO(data))
    return target


def extra(name: str, kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type = kind
    member.linkname = "/etc/passwd"
    return member, b""


def renamed(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    member.name = name
    return member


Change = Callable[[tarfile.TarInfo, bytes], list[tuple[tarfile.TarInfo, bytes]]]


def on(part: str, change: Change) -> Change:
    return lambda member, data: change(member, data) if member.name.endswith(part) else [(member, data)]


def retyped(member: tarfile.TarInfo, kind: bytes) -> tarfile.TarInfo:
    member.type, member.linkname, member.size = kind, "/etc/passwd", 0
    return member


def resized(member: tarfile.TarInfo, data: bytes) -> list[tuple[tarfile.TarInfo, bytes]]:
    member.size = len(data)
    return [(member, data)]


TAMPERED: dict[str, tuple[Change, str]] = {
    "a file outside": (on("insertion.npy", lambda m, d: [(m, d), extra("../../evil")]), "which its manifest does not"),
    "an absolute name": (on("insertion.npy", lambda m, d: [(m, d), extra("/tmp/evil")]), "which its manifest does not"),
    "a file twice": (on("insertion.npy", lambda m, d: [(m, d), (m, d)]), "does not name, or twice"),
    "a file missing": (on("terms.npy", lambda m, d: []), r"terms\.npy is missing; get the file again"),
    "a symbolic link": (on("frequent.npy", lambda m, d: [(retyped(m, tarfile.SYMTYPE), b"")]), "is not a plain file"),
    "a hard link": (on("frequent.npy", lambda m, d: [(retyped(m, tarfile.LNKTYPE), b"")]), "is not a plain file"),
    "a device": (on("frequent.npy", lambda m, d: [(retyped(m, tarfile.CHRTYPE), b"")]), "is not a plain file"),
    "a folder": (on("frequent.npy", lambda m, d: [(retyped(m, tarfile.DIRTYPE), b"")]), "is not a plain file"),
    "a longer file": (on("rare.npy", lambda m, d: resized(m, d + b"x")), r"rare\.npy has \d+ bytes instead of"),
    "a changed file": (on("rare.npy", lambda m, d: [(m, b"x" + d[1:])]), r"rare\.npy is not what was written"),
    "no manifest": (on("manifest.json", lambda m, d: []), "does not begin with manifest.json"),
    "a manifest that is a link": (on("manifest.json", lambda m, d: [(retyped(m, tarfile.SYMTYPE), b"")]), "no.* plain"),
    "a changed manifest": (
        on("manifest.json", lambda m, d: resized(m, d.replace(b'"generation": 3', b'"generation": 4'))),
        "checksum does not fit",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_file_that_was_tampered_with_leaves_nothing_behind(path: Path, tmp_path: Path, name: str) -> None:
    change, message = TAMPERED[name]
    export_index(path, tmp_path / "index.tar")
    changed = rewritten(tmp_path / "index.tar", change)
    with pytest.raises(IndexDamagedError, match=message):
        import_index(changed, tmp_path / "new" / "index")
    assert sorted(os.listdir(tmp_path)) == ["changed.tar", "index.tar"]


def test_a_file_that_was_cut_anywhere_is_refused(path: Path, tmp_path: Path) -> None:
    export_index(path, tmp_path / "index.tar")
    whole = (tmp_path / "index.tar").read_bytes()
    for cut in [0, 100, 600, 5000, *np.random.default_rng(1).integers(0, len(whole) - 20_480, 12).tolist()]:
        (tmp_path / "index.tar").write_bytes(whole[:cut])  # but for padding at the end, all of it matters
        with pytest.raises(IndexDamagedError):
            import_index(tmp_path / "index.tar", tmp_path / "new")
    for other in (b"text", b"\x1f\x8b" + os.urandom(2000), os.urandom(20_000)):
        (tmp_path / "index.tar").write_bytes(other)
        with pytest.raises(IndexDamagedError, match=r"not a whole file of 'lsr export'|does not begin with"):
            import_index(tmp_path / "index.tar", tmp_path / "new")
    with pytest.raises(IndexMissingError, match="can't be read"):
        import_index(tmp_path / "none.tar", tmp_path / "new")
    assert os.listdir(tmp_path) == ["index.tar"]


def test_vectors_leave_and_come_back_with_the_same_results(path: Path, tmp_path: Path) -> None:
    assert export_vectors(path, tmp_path / "vectors.parquet") == 148
    manifest, _ = index_vectors([tmp_path / "vectors.parquet"], tmp_path / "again")
    assert manifest.scale == StoredIndex.open(path).manifest.scale and manifest.n_clipped == 0
    assert answers(tmp_path / "again") == answers(path)
    export_vectors(tmp_path / "again", tmp_path / "again.parquet")
    columns = ["id", "terms", "weights", "title", "text"]
    first, second = (pq.read_table(tmp_path / f"{name}.parquet", columns=columns) for name in ("vectors", "again"))
    assert first.column("id") == second.column("id") and first.column("text") == second.column("text")
    rows = [
        [dict(zip(terms, weights, strict=True)) for terms, weights in
         zip(table.column("terms").to_pylist(), table.column("weights").to_pylist(), strict=True)]
        for table in (first, second)
    ]  # fmt: skip
    assert rows[0] == rows[1] and sum(map(len, rows[0])) > 1000
    assert pq.read_table(tmp_path / "vectors.parquet").column("fields").to_pylist()[1] == '{"year": 2001}'


def test_a_copied_folder_is_a_snapshot(path: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    before = answers(path)
    assert verify(copy)[1] == [] and answers(copy) == before
    delete_documents([f"d{i}" for i in range(50, 90)], copy)
    assert answers(path) == before != answers(copy)
    shutil.rmtree(copy / "segments")
    with pytest.raises(IndexDamagedError):
        StoredIndex.open(copy)
    assert answers(path) == before


def test_an_empty_index_leaves_and_comes_back(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 5).path
    delete_documents([f"doc_{i}" for i in range(5)], path)
    export_index(path, tmp_path / "index.tar")
    assert import_index(tmp_path / "index.tar", tmp_path / "again").n_docs == 0
    assert export_vectors(path, tmp_path / "vectors.parquet") == 0
