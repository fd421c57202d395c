"""Dense vectors and passages follow their documents when those are added, replaced, deleted and merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.main import main
from lsr.encoders import registry
from lsr.encoders.registry import load_encoder
from lsr.encoders.text.splitter import choose_splitter
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents, index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.export_vectors import export_vectors, left_out
from lsr.indexer.update.add_dense import add_dense
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.passages import owner_of, passages_of, whole
from lsr.indexer.update.update import add_documents, add_vectors, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document


class Lengths:
    """A dense encoder without a model: the length of a text, and of its first word."""

    dimension = 2
    description: Mapping[str, Any] = {"kind": "dense", "name": "lengths", "revision": "1", "settings": {}}

    def encode_dense_documents(self, documents: Sequence[Document]) -> Any:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Sequence[str]) -> Any:
        return np.array([[len(text), len(text.split()[0]) if text.split() else 0] for text in texts], np.float32)


@pytest.fixture(autouse=True)
def _lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "open_dense_encoder", lambda description, moved_to=None: Lengths())


def documents(*numbers: int, revision: str = "") -> list[Document]:
    return [Document(f"d{i}", f"w{revision}{i} " + "x" * (i % 50)) for i in numbers]


def rows(path: Path) -> dict[str, list[float]]:
    """Return the dense vector of each document that is there."""
    with StoredIndex.open(path) as index:
        assert index.dense is not None and verify(path)[1] == []
        found: dict[str, list[float]] = {}
        for segment in index.segments:
            assert segment.dense is not None
            for row in np.flatnonzero(segment.live_rows):
                found[segment.document(int(row)).doc_id] = segment.dense[row].tolist()
        return found


def expected(some: Sequence[Document]) -> dict[str, list[float]]:
    return dict(zip([d.doc_id for d in some], Lengths().encode_dense_documents(some).tolist(), strict=True))


def test_dense_vectors_follow_their_documents(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_documents(documents(*range(100)), path, load_encoder("bm25"), dense=Lengths())
    add_documents(documents(*range(100, 130)), path, merge=False)
    update_documents(documents(5, 110, 200, revision="new"), path, merge=False)
    delete_documents(["d7", "d8", "d120"], path, merge=False)
    gone = {5, 110, 7, 8, 120}
    left = documents(*(i for i in range(130) if i not in gone)) + documents(5, 110, 200, revision="new")
    assert rows(path) == expected(left) and len(StoredIndex.open(path).segments) == 3
    export_index(path, tmp_path / "index.tar")
    import_index(tmp_path / "index.tar", tmp_path / "again")
    assert rows(tmp_path / "again") == expected(left)
    merge_index(path)
    assert rows(path) == expected(left) and len(StoredIndex.open(path).segments) == 1
    with IndexEditor(path) as editor, pytest.raises(LsrError, match="1 documents lack dense vectors"):
        editor.add(documents(300), editor.encoder.encode_documents(documents(300)))


def test_dense_vectors_are_added_to_an_index_with_deletions(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_documents(documents(*range(50)), path, load_encoder("bm25"))
    delete_documents(["d7", "d8"], path, merge=False)
    add_documents(documents(60), path, merge=False)
    add_dense(path, Lengths())
    left = documents(*(i for i in range(50) if i not in (7, 8)), 60)
    assert rows(path) == expected(left)
    merge_index(path)
    assert rows(path) == expected(left)


def test_ready_vectors_do_not_fit_an_index_with_dense_ones(tmp_path: Path, vectors_file: Any) -> None:
    file = vectors_file({"id": ["a"], "terms": [["x"]], "weights": [[1]]})
    index_vectors([file], tmp_path / "index")
    add_dense(tmp_path / "index", Lengths())
    with pytest.raises(UsageError, match="the index has dense vectors too"):
        add_vectors([file], tmp_path / "index")


def long(name: str, n_words: int, word: str = "w") -> Document:
    return Document(name, " ".join(f"{word}{i}" for i in range(n_words)), "Title", {"kind": word})


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """An index of passages of 20 words."""
    encoder = load_encoder("bm25")
    splitter = choose_splitter(encoder, max_length=20, overlap=5)
    some = [long("short", 10), long("long", 90), long("longer", 150)]
    index_documents(some, tmp_path / "cut", encoder, reader=DocumentReader(splitter))
    return tmp_path / "cut"


def names(path: Path) -> list[str]:
    with StoredIndex.open(path) as index:
        return [document.doc_id for document in index.documents()]


def test_documents_are_put_together_from_their_passages(cut: Path) -> None:
    with StoredIndex.open(cut) as index:
        for document in (long("short", 10), long("long", 90), long("longer", 150)):
            passages = passages_of(index, document.doc_id)
            assert len(passages) > (3 if document.doc_id != "short" else 0)
            assert {owner_of(passage) for passage in passages} == {document.doc_id}
            assert whole(passages) == document
        assert passages_of(index, "nobody") == []


def test_all_passages_are_deleted_with_their_document(cut: Path) -> None:
    n_passages = len(names(cut))
    changes = delete_documents(["long", "nobody"], cut, merge=False)
    assert changes.unknown == ("nobody",) and not any(name.endswith("long") for name in names(cut))
    assert changes.n_deleted == 1 and len(names(cut)) < n_passages - 4
    assert Searcher(cut).search("w80")[0].doc_id == "longer"
    assert verify(cut)[1] == []


def test_added_documents_are_cut_like_the_others(cut: Path) -> None:
    add_documents([long("new", 100, "n")], cut, merge=False)
    searcher = Searcher(cut)
    (hit,) = searcher.search("n77")
    assert hit.doc_id == "new" and hit.passage is not None and len(hit.text.split()) < 20
    assert whole(passages_of(searcher.index, "new")) == long("new", 100, "n")
    with pytest.raises(BadDocumentError, match="doc_id new is in the index already"):
        add_documents([long("new", 5)], cut)


@pytest.mark.parametrize("n_words", [5, 40, 90, 400])
def test_a_replaced_document_leaves_none_of_its_passages(cut: Path, n_words: int) -> None:
    update_documents([long("long", n_words, "new"), long("other", 50)], cut, merge=False)
    for _ in range(2):
        with StoredIndex.open(cut) as index:
            assert whole(passages_of(index, "long")) == long("long", n_words, "new")
            of_long = [d for d in index.documents() if owner_of(d) == "long"]
            assert {d.fields["kind"] for d in of_long} == {"new"} and verify(cut)[1] == []
        merge_index(cut)


def test_what_was_cut_may_be_replaced_again_in_one_transaction(cut: Path) -> None:
    with IndexEditor(cut) as editor:
        splitter = choose_splitter(editor.encoder, max_length=20, overlap=5)
        for n_words in (300, 30, 60):
            passages = [p for d in [long("long", n_words, f"v{n_words}_")] for p in splitter.split(d)]
            for first in range(0, len(passages), 3):  # in batches, as a stream of documents comes
                some = passages[first : first + 3]
                editor.update(some, editor.encoder.encode_documents(some))
            between = [long(f"between{n_words}", 3)]
            editor.update(between, editor.encoder.encode_documents(between))
        editor.commit()
    with StoredIndex.open(cut) as index:
        assert whole(passages_of(index, "long")) == long("long", 60, "v60_")
        assert all(d.fields["kind"] == "v60_" for d in index.documents() if owner_of(d) == "long")


def test_passages_leave_and_come_back_as_vectors(cut: Path, tmp_path: Path) -> None:
    export_vectors(cut, tmp_path / "vectors.parquet")
    index_vectors([tmp_path / "vectors.parquet"], tmp_path / "again")
    with StoredIndex.open(cut) as old, StoredIndex.open(tmp_path / "again") as new:
        assert list(old.documents()) == list(new.documents())
        term = np.array([old.vocabulary.lookup("w80")], np.int32)
        again = np.array([new.vocabulary.lookup("w80")], np.int32)
        one = np.ones(1, np.float32)
        assert Searcher(old).hits(Searcher(old).rank_vector((term, one), 5)) == Searcher(new).hits(
            Searcher(new).rank_vector((again, one), 5)
        )
    with pytest.raises(UsageError, match=r"takes vectors, not text|ready vectors of passages"):
        add_documents([long("x", 5)], tmp_path / "again")


def test_what_a_file_of_vectors_leaves_out_is_said(cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_dense(cut, Lengths())
    with StoredIndex.open(cut) as index:
        assert ["passages" in left_out(index)[0], "dense vectors" in left_out(index)[1]] == [True, True]
    assert main(["export", "--vectors", str(cut.with_name("vectors.parquet")), "--index", str(cut)]) == 0
    said = capsys.readouterr().err
    assert "dense vectors are not in it" in said and "passages are documents of their own" in said
    assert main(["export", str(cut.with_name("cut.tar")), "--index", str(cut)]) == 0
    assert capsys.readouterr().err == ""
