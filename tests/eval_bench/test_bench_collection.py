"""Collections to time engines on: what goes in comes out, and what is made up has the shape that it should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lsr.errors import LsrError, UsageError
from lsr.eval.bench.collection import (
    SparseCollection,
    digest,
    document_frequencies,
    heaviest_terms,
    load_collection,
    make_collection,
    rows,
    save_collection,
    without_unmatched,
)
from lsr.types import SparseBatch


def batch(*weights: dict[int, float], vocab_size: int = 8) -> SparseBatch:
    return SparseBatch.from_rows(weights, vocab_size)


def equal(a: SparseBatch, b: SparseBatch) -> bool:
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("indptr", "term_ids", "weights", "vocab_size"))


DOCUMENTS = batch({0: 3, 5: 255}, {}, {1: 1, 2: 7, 7: 9}, {5: 2})
QUERIES = batch({0: 2, 5: 2, 7: 9}, {1: 4})


def test_a_collection_survives_being_saved(tmp_path: Path) -> None:
    save_collection(tmp_path / "small", SparseCollection("small", DOCUMENTS, QUERIES))
    loaded = load_collection(tmp_path / "small")
    assert loaded.name == "small"
    assert equal(loaded.documents, DOCUMENTS)
    assert equal(loaded.queries, QUERIES)


def test_weights_that_are_not_whole_become_so_and_the_name_says_it(tmp_path: Path) -> None:
    for name, rows_of in (("docs.npz", [{0: 0.001, 1: 1.5, 2: 3.0}]), ("queries.npz", [{1: 2.0}])):
        b = batch(*rows_of)
        np.savez(tmp_path / name, indptr=b.indptr, indices=b.term_ids, data=b.weights, shape=np.array([1, 8]))
    loaded = load_collection(tmp_path)
    assert loaded.documents.weights.tolist() == [1, 128, 255]
    assert loaded.queries.weights.tolist() == [2]
    assert loaded.name.endswith("weights scaled to whole numbers")


def test_what_is_no_collection_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match=r"docs\.npz: not a sparse matrix"):
        load_collection(tmp_path)
    save_collection(tmp_path, SparseCollection("", DOCUMENTS, batch({0: 1}, vocab_size=9)))
    with pytest.raises(LsrError, match="8 terms, the queries 9"):
        load_collection(tmp_path)


def test_the_first_documents_and_queries_can_be_taken() -> None:
    taken = SparseCollection("c", DOCUMENTS, QUERIES).take(docs=3, queries=1, query_terms=2)
    assert equal(taken.documents, batch({0: 3, 5: 255}, {}, {1: 1, 2: 7, 7: 9}))
    assert equal(taken.queries, batch({0: 2, 7: 9}))
    with pytest.raises(UsageError, match="has 4 documents; 5 were asked for"):
        SparseCollection("c", DOCUMENTS, QUERIES).take(docs=5)


def test_the_heaviest_terms_stay_in_order_and_ties_go_to_lower_ids() -> None:
    b = batch({0: 1, 1: 5, 2: 5, 3: 5}, {}, {6: 1}, {2: 9, 4: 8, 6: 7})
    assert equal(heaviest_terms(b, 2), batch({1: 5, 2: 5}, {}, {6: 1}, {2: 9, 4: 8}))
    assert equal(heaviest_terms(b, 10), b)


def test_rows_in_the_middle_are_a_batch_of_their_own() -> None:
    assert equal(rows(DOCUMENTS, 1, 3), batch({}, {1: 1, 2: 7, 7: 9}))
    assert equal(rows(DOCUMENTS, 3, 99), batch({5: 2}))


def test_queries_without_a_matching_document_are_left_out() -> None:
    queries = batch({}, {0: 2}, {4: 9}, {4: 1, 5: 1}, {})
    assert equal(without_unmatched(SparseCollection("c", DOCUMENTS, queries)).queries, batch({0: 2}, {4: 1, 5: 1}))
    assert len(without_unmatched(SparseCollection("c", DOCUMENTS, batch({4: 9}))).queries) == 0


def test_every_weight_and_place_is_in_the_digest() -> None:
    others = [
        batch({0: 3, 5: 254}),
        batch({0: 3, 4: 255}),
        batch({0: 3}, {5: 255}),
        batch({0: 3, 5: 255}, vocab_size=9),
    ]
    assert len({digest(b) for b in (batch({0: 3, 5: 255}), *others)}) == 5
    assert digest(batch({0: 3, 5: 255})) == digest(rows(DOCUMENTS, 0, 1))


def test_a_made_up_collection_is_valid_the_same_each_time_and_of_the_promised_shape() -> None:
    made = make_collection(3000, 200)
    for b in (made.documents, made.queries):
        b.check()
        assert b.weights.min() >= 1
        assert b.weights.max() <= 255
        assert np.array_equal(b.weights, np.rint(b.weights))
    assert (len(made.documents), len(made.queries)) == (3000, 200)
    assert 200 < made.documents.nnz / 3000 < 300
    assert 18 < made.queries.nnz / 200 < 30
    assert np.diff(made.queries.indptr).std() > 5
    assert digest(made.documents) == digest(make_collection(3000, 200).documents)
    assert digest(made.documents) != digest(make_collection(3000, 200, seed=2).documents)


def test_documents_stay_in_their_file_until_rows_of_them_are_wanted(tmp_path: Path) -> None:
    small = make_collection(500, 20)
    save_collection(tmp_path / "stored", small)
    with np.load(tmp_path / "stored" / "docs.npz") as arrays:
        (tmp_path / "packed").mkdir()
        np.savez_compressed(tmp_path / "packed" / "docs.npz", **arrays)
    (tmp_path / "packed" / "queries.npz").write_bytes((tmp_path / "stored" / "queries.npz").read_bytes())
    for name, mapped in (("stored", True), ("packed", False)):
        documents = load_collection(tmp_path / name).documents
        assert isinstance(documents.term_ids, np.memmap) is mapped
        assert digest(documents) == digest(small.documents)
        some = rows(documents, 3, 9)
        assert [a.dtype for a in (some.term_ids, some.weights)] == [np.int32, np.float32]
        assert digest(some) == digest(rows(small.documents, 3, 9))
        assert (
            document_frequencies(documents).tolist() == np.bincount(small.documents.term_ids, minlength=20_000).tolist()
        )
