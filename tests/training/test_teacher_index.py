"""The hybrid search of an index as a teacher: its scores against those worked out document by document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.encoders.registry import EncoderKind, register
from lsr.errors import IndexMissingError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.update.update import delete_documents
from lsr.query.searcher import Searcher
from lsr.training.data.example import Example
from lsr.training.teachers.registry import open_teacher
from lsr.types import Document

WORDS = ["river", "bank", "money", "fish", "loan", "boat"]
TEXTS = ["river bank fish", "river boat fish", "money bank loan", "loan money", "boat river river", "fish boat money"]
QUERIES = ["river fish", "loan bank", "boat"]


class Counted:
    """A dense encoder without a model: how often each of the words stands in a text, at unit length."""

    dimension = len(WORDS)
    description: Mapping[str, Any] = {
        "kind": "counted", "name": "counted", "revision": "1", "settings": {"normalise": True},
    }  # fmt: skip
    asked = 0

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        texts = list(texts)
        Counted.asked += len(texts)
        rows = np.array([[text.split().count(word) + 0.1 for word in WORDS] for text in texts], np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return [Document(f"d{number}", text, "on water") for number, text in enumerate(TEXTS)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, documents: list[Document]) -> Path:
    register(EncoderKind("counted", open_dense=lambda description, **options: Counted()))
    path = tmp_path_factory.mktemp("teacher") / "index"
    index_documents(documents, path, BM25Encoder(), dense=Counted())
    return path


def one_by_one(path: Path, query: str, documents: Sequence[Document]) -> tuple[list[float], list[float]]:
    """The scores of both legs, as a search gives them."""
    found = {hit.doc_id: hit.score for hit in Searcher(path).search([query], k=10)[0]}
    vectors = Counted().encode_dense_queries([query, *(document.full_text for document in documents)])
    return [found.get(d.doc_id, 0.0) for d in documents], [float(vectors[0] @ row) for row in vectors[1:]]


def scaled(scores: Sequence[float]) -> npt.NDArray[np.float64]:
    values = np.array(scores)
    return (values - values.min()) / (values.max() - values.min())


def test_scores_are_those_of_the_two_legs_each_scaled(path: Path, documents: list[Document]) -> None:
    teacher = open_teacher(f"index:{path}", share=0.0, weights=[0.25, 0.75])
    scores = teacher.scores(QUERIES, documents)
    for query, row in zip(QUERIES, scores, strict=True):
        sparse, dense = one_by_one(path, query, documents)
        assert row == pytest.approx(0.25 * scaled(sparse) + 0.75 * scaled(dense), abs=2e-3)


def test_near_documents_count_for_a_document(path: Path, documents: list[Document]) -> None:
    """With all others as neighbours, each leg's scores are mixed by cosine, whichever documents are asked for."""
    teacher = open_teacher(f"index:{path}", share=0.5, nearest=9, weights=[1, 0])
    chosen = [documents[2], documents[0], documents[5]]
    vectors = Counted().encode_dense_documents(documents)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, 0.0)
    shares = cosines / cosines.sum(axis=1, keepdims=True)
    for query, row in zip(QUERIES, teacher.scores(QUERIES, chosen), strict=True):
        sparse = np.array(one_by_one(path, query, documents)[0])
        assert row == pytest.approx(scaled((sparse + shares @ sparse)[[2, 0, 5]].tolist()), abs=2e-3)


def test_only_wanted_documents_decide_the_scale(path: Path, documents: list[Document]) -> None:
    teacher = open_teacher(f"index:{path}", share=0.0)
    wanted = np.zeros((1, len(documents)), bool)
    wanted[0, [1, 3, 4]] = True
    found = teacher.scores(QUERIES[:1], documents, wanted)[0, [1, 3, 4]]
    assert found == pytest.approx(teacher.scores(QUERIES[:1], [documents[i] for i in (1, 3, 4)])[0])


def test_a_document_is_known_by_its_text_whatever_its_title_and_id(path: Path, documents: list[Document]) -> None:
    teacher = open_teacher(f"index:{path}")
    others = [Document("another", document.text) for document in documents]
    assert teacher.scores(QUERIES, others) == pytest.approx(teacher.scores(QUERIES, documents))
    with pytest.raises(LsrError, match=r"lacks document 'x'.*--no-passages"):
        teacher.scores(QUERIES, [Document("x", "an unknown text")])


def test_queries_are_encoded_once_and_documents_never(path: Path, documents: list[Document]) -> None:
    teacher = open_teacher(f"index:{path}")
    before = Counted.asked
    for _ in range(2):
        teacher.scores(["river fish", "boat", "boat"], documents)
    assert Counted.asked == before + 2
    assert teacher.prepare([Example("boat", tuple(documents))]) == 0


def test_an_index_without_dense_vectors_teaches_by_its_terms(tmp_path: Path, documents: list[Document]) -> None:
    index_documents(documents, tmp_path / "index", BM25Encoder())
    delete_documents(["d3"], tmp_path / "index")
    teacher = open_teacher(f"index:{tmp_path / 'index'}")
    kept = [document for document in documents if document.doc_id != "d3"]
    found = {hit.doc_id: hit.score for hit in Searcher(tmp_path / "index").search(["loan bank"], k=10)[0]}
    expected = [found.get(document.doc_id, 0.0) for document in kept]
    assert teacher.scores(["loan bank"], kept)[0] == pytest.approx(expected, rel=1e-3)
    with pytest.raises(LsrError, match="lacks document 'd3'"):
        teacher.scores(["loan bank"], documents)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1.0]}, "weights is .* has to be two"),
        ({"weights": [0.0, 0.0]}, "weights is"),
        ({"share": 1.0}, "share is 1.0"),
        ({"nearest": 0}, "nearest is 0"),
        ({"leg": "sparse"}, "unexpected keyword argument"),
    ],
)
def test_settings_out_of_their_range_are_refused(path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_teacher(f"index:{path}", **options)


def test_a_missing_index_is_named(tmp_path: Path) -> None:
    with pytest.raises(IndexMissingError, match="nothing"):
        open_teacher(f"index:{tmp_path / 'nothing'}")
