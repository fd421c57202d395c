"""Passages have names of their own: a document whose id looks like one is a document."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lsr.api.documents import all_documents, count_documents, documents_by_id
from lsr.encoders.registry import load_encoder
from lsr.encoders.text import splitter as splitting
from lsr.encoders.text.passage_names import early_passage_id
from lsr.encoders.text.splitter import choose_splitter
from lsr.errors import BadDocumentError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update import passages as passages_module
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.query.filters.filter import DocumentFilter
from lsr.query.searcher import Searcher
from lsr.types import Document


def long(doc_id: str, word: str, n_words: int = 60, title: str = "") -> Document:
    return Document(doc_id, " ".join(f"{word}{number}" for number in range(n_words)), title)


DOCUMENTS = [long("a", "w"), long("a#1", "x"), Document("a#2", "short"), Document("b#1", "alone")]


def make(path: Path, documents: list[Document]) -> Path:
    encoder = load_encoder("bm25")
    reader = DocumentReader(choose_splitter(encoder, max_length=20, overlap=5))
    index_documents(documents, path, encoder, reader=reader)
    return path


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    return make(tmp_path / "cut", DOCUMENTS)


@pytest.fixture
def early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An index as early versions made it, whose passages are called a#1, a#2, …"""
    with monkeypatch.context() as patched:
        patched.setattr(splitting, "passage_id", early_passage_id)
        return make(tmp_path / "early", [long("a", "w"), Document("b#1", "alone")])


def documents(path: Path) -> dict[str, Document]:
    with StoredIndex.open(path) as index:
        found = {document.doc_id: document for document in all_documents(index)}
        assert count_documents(index) == len(found)
        assert documents_by_id(index, list(found)) == list(found.values())
        return found


def test_a_document_that_is_called_like_a_passage_is_read_and_found(cut: Path) -> None:
    assert documents(cut) == {document.doc_id: document for document in DOCUMENTS}
    searcher = Searcher(cut)
    assert [hit.doc_id for hit in searcher.search("x50")] == ["a#1"]
    assert [hit.doc_id for hit in searcher.search("w50")] == ["a"]


def test_filters_see_documents_and_no_passages(cut: Path) -> None:
    searcher = Searcher(cut)
    assert [hit.doc_id for hit in searcher.search("w50", where="doc_id == 'a'")] == ["a"]
    assert searcher.search("w50 x50", where="doc_id == 'a#1'")[0].doc_id == "a#1"
    for doc_id in ("a", "a#1"):
        allowed = DocumentFilter.from_doc_ids(searcher.index, [doc_id])
        assert [hit.doc_id for hit in searcher.search("w50 x50", where=allowed)] == [doc_id]
    with StoredIndex.open(cut) as index:
        assert [d.doc_id for d in all_documents(index, "doc_id == 'a#1'")] == ["a#1"]
        assert list(all_documents(index, "doc_id == 'a'")) == [DOCUMENTS[0]]


@pytest.mark.parametrize("doc_id", ["a", "a#1", "a#2", "b#1"])
def test_deleting_and_replacing_concern_one_document(cut: Path, doc_id: str) -> None:
    changed = replace(next(d for d in DOCUMENTS if d.doc_id == doc_id), text="new text")
    changes = update_documents([changed], cut, merge=False)
    assert (changes.n_added, changes.n_replaced, changes.n_deleted) == (0, 1, 0)
    expected = {document.doc_id: document for document in DOCUMENTS} | {doc_id: changed}
    assert documents(cut) == expected
    changes = delete_documents([doc_id], cut, merge=False)
    assert (changes.n_deleted, changes.unknown) == (1, ())
    del expected[doc_id]
    assert documents(cut) == expected


def test_a_name_of_a_passage_is_no_doc_id(cut: Path) -> None:
    name = "\x1f1\x1fa"
    assert delete_documents([name], cut).unknown == (name,)
    with StoredIndex.open(cut) as index:
        assert documents_by_id(index, [name, "b"]) == [None, None]
    with pytest.raises(BadDocumentError, match=r"U\+001F, which names passages"):
        add_documents([Document(name, "text")], cut)


def test_counts_are_of_documents(cut: Path) -> None:
    changes = add_documents([long("c", "c", 100), Document("d", "short")], cut, merge=False)
    assert (changes.n_added, changes.n_replaced, changes.n_deleted) == (2, 0, 0)
    changes = delete_documents(["a", "a#1", "c", "nobody"], cut, merge=False)
    assert (changes.n_deleted, changes.unknown) == (3, ("nobody",))


def test_an_early_index_is_read_changed_and_never_confused(early: Path) -> None:
    assert documents(early) == {"a": long("a", "w"), "b#1": Document("b#1", "alone")}
    assert delete_documents(["a#1"], early).unknown == ("a#1",)
    for change in (add_documents, update_documents):
        with pytest.raises(BadDocumentError, match="a#1"):
            change([Document("a#1", "text")], early)
    changes = update_documents([long("a", "new", 40), long("b", "b")], early, merge=False)
    assert (changes.n_added, changes.n_replaced) == (1, 1)
    assert documents(early) == {
        "a": long("a", "new", 40), "b": long("b", "b"), "b#1": Document("b#1", "alone"),
    }  # fmt: skip
    assert delete_documents(["a", "b"], early, merge=False).n_deleted == 2
    assert documents(early) == {"b#1": Document("b#1", "alone")}


def test_the_title_of_a_passage_is_its_documents(tmp_path: Path) -> None:
    title = " ".join(f"heading{number}" for number in range(30))
    document = long("a", "w", 60, title)
    path = make(tmp_path / "cut", [document])
    assert documents(path) == {"a": document}
    (hit,) = Searcher(path).search("w50")
    assert (hit.title, hit.fields) == (title, {})
    assert Searcher(path).search("w50", where="title contains 'heading29'")[0].doc_id == "a"
    assert passages_module.passages_of(StoredIndex.open(path), "a")[0].title != title
