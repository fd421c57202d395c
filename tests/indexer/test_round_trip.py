"""What goes into an index comes out of it: documents, vectors, vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.documents import ROWS
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.vocabulary import Vocabulary, save_vocabulary
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write import segment_builder as pending
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.types import Document, SparseBatch


def test_documents_come_back_as_they_were_added(tmp_path: Path, small: Any) -> None:
    documents = [
        Document(
            "ä/1",
            "Text with\nlines, 日本 and 👩‍👧",
            "Title",
            {"year": 1999, "tags": ["a", "b"], "ok": True, "no": None},
        ),
        Document("2", ""),
        Document("3", "x" * 100_000, "Long"),
    ]
    index_documents(documents, tmp_path / "index", load_encoder("bm25"))
    assert [document for document, _ in small.content(tmp_path / "index")] == documents


@pytest.mark.parametrize("n", [1, 8, 64, ROWS, ROWS + 1])
@pytest.mark.parametrize("reorder", [True, False])
def test_vectors_come_back_as_they_were_added(tmp_path: Path, small: Any, n: int, reorder: bool) -> None:
    index = small.write(tmp_path / "index", n, reorder=reorder)
    assert index.manifest.scale == 1.0 and len(index) == n
    assert [row for _, row in small.content(tmp_path / "index")] == small.rows(n)


def test_segments_hold_what_one_would(tmp_path: Path, small: Any) -> None:
    whole = small.content(small.write(tmp_path / "whole", 300).path)
    index = small.write(tmp_path / "parts", 300, limits=SegmentLimits(n_docs=128))
    assert [segment.n_docs for segment in index.segments] == [128, 128, 44]
    assert small.content(index.path) == whole


def test_a_batch_larger_than_a_segment_by_postings_begins_the_next_one(tmp_path: Path) -> None:
    encoder = ReadyVectors()
    with IndexWriter(tmp_path / "index", encoder, limits=SegmentLimits(n_postings=10)) as writer:
        for i in range(6):
            batch = SparseBatch.from_rows([{encoder.term_id(f"t{j}"): 1.0 for j in range(4)}], 4)
            writer.add([Document(str(i), "")], batch)
        manifest = writer.commit()
    assert [segment.n_docs for segment in manifest.segments] == [3, 3]


@pytest.mark.parametrize("limits", [{"n_docs": 0}, {"n_docs": (1 << 24) + 1}, {"n_postings": -1}])
def test_limits_that_no_segment_can_have_are_refused(limits: dict[str, int]) -> None:
    (name,) = limits
    with pytest.raises(UsageError, match=f"choose {name}"):
        SegmentLimits(**limits)


def test_documents_are_found_by_their_ids(tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (segment,) = small.write(tmp_path / "index", 150).segments
    assert segment.find(["doc_149", "nobody", "doc_0"]) == [149, None, 0]
    # Two ids that share a hash are told apart by their names.
    from lsr.indexer.storage import segment as module

    monkeypatch.setattr(module, "hash_ids", lambda doc_ids: np.array([len(d) for d in doc_ids], np.uint64))
    monkeypatch.setattr(pending, "hash_ids", module.hash_ids)
    (segment,) = small.write(tmp_path / "other", 150).segments
    assert segment.find(["doc_149", "doc_100", "doc_999", "doc_7"]) == [149, 100, None, 7]


def test_documents_without_any_term_are_kept(tmp_path: Path, small: Any) -> None:
    encoder = ReadyVectors()
    with IndexWriter(tmp_path / "index", encoder) as writer:
        writer.add([Document("a", "x"), Document("b", "y")], SparseBatch.from_rows([{}, {}], 0))
        writer.commit()
    assert small.content(tmp_path / "index") == [(Document("a", "x"), {}), (Document("b", "y"), {})]


def test_real_weights_are_kept_within_half_an_impact_and_never_lost(tmp_path: Path, small: Any) -> None:
    rng = np.random.default_rng(1)
    weights = np.concatenate([rng.gamma(2, 1, 500), [1e-6, 1e-3]]).astype(np.float32)
    encoder = ReadyVectors()
    with IndexWriter(tmp_path / "index", encoder) as writer:
        rows = [{encoder.term_id(f"t{i}"): float(weight)} for i, weight in enumerate(weights)]
        writer.add([Document(str(i), "") for i in range(len(rows))], SparseBatch.from_rows(rows, len(rows)))
        manifest = writer.commit()
    found = np.array([row[f"t{i}"] for i, (_, row) in enumerate(small.content(tmp_path / "index"))])
    assert found.min() == 1 and found.max() == 232  # a tenth is left for larger weights that may come
    assert manifest.n_clipped == 0
    assert np.all(np.abs(found * manifest.scale - weights)[weights > manifest.scale / 2] <= manifest.scale * 0.5001)


def test_a_document_and_its_vector_must_come_together(tmp_path: Path) -> None:
    with IndexWriter(tmp_path / "index", ReadyVectors()) as writer, pytest.raises(LsrError, match="2 documents, but 1"):
        writer.add([Document("a", ""), Document("b", "")], SparseBatch.from_rows([{}], 0))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (Document("lone \ud800", "x"), r"document 'lone \\ud800': its doc_id is not a text"),
        (Document("a", "lone \udfff surrogate"), "document 'a': its text is not a text that UTF-8 can hold"),
        (Document("a", "x", fields={"set": {1}}), "document 'a': its fields can't be stored as JSON"),  # type: ignore[dict-item]
    ],
)
def test_a_document_that_cannot_be_stored_is_named(tmp_path: Path, document: Document, message: str) -> None:
    with pytest.raises(BadDocumentError, match=message):
        index_documents([Document("fine", "y"), document], tmp_path / "index", load_encoder("bm25"))
    assert not (tmp_path / "index").exists()


def test_no_document_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="no document to index"):
        index_documents([], tmp_path / "index", load_encoder("bm25"))
    assert not (tmp_path / "index").exists()


def test_statistics_of_the_corpus_stand_in_the_manifest(tmp_path: Path) -> None:
    documents = [Document("a", "one two three"), Document("b", "one"), Document("c", "")]
    manifest = index_documents(documents, tmp_path / "index", load_encoder("bm25"))
    assert manifest.statistics == {"n_docs": 3, "mean_length": 4 / 3}
    assert manifest.encoder["needs_corpus_statistics"] is True
    assert StoredIndex.open(tmp_path / "index").manifest == manifest


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), unique=True, max_size=60), st.text(max_size=8))
def test_every_term_is_found_by_its_name(
    tmp_path_factory: pytest.TempPathFactory, terms: list[str], other: str
) -> None:
    folder = tmp_path_factory.mktemp("vocabulary")
    save_vocabulary(folder, terms)
    vocabulary = Vocabulary(folder)
    vocabulary.check()
    assert list(vocabulary) == terms
    assert [vocabulary.lookup(term) for term in terms] == list(range(len(terms)))
    assert vocabulary.lookup(other) == (terms.index(other) if other in terms else None)


def test_the_arrays_of_a_segment_are_those_that_kernels_take() -> None:
    from lsr.indexer.storage.arrays import POSTINGS
    from lsr.kernels.build import layout

    assert tuple(spec.name for spec in POSTINGS) == layout.Postings._fields


def test_a_new_index_is_sound(tmp_path: Path, small: Any) -> None:
    manifest, problems = verify(small.write(tmp_path / "index", 2000).path)
    assert problems == [] and manifest.n_docs == 2000
