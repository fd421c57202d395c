"""How rare a term is in an index, and that queries' weights say so."""

from __future__ import annotations

import gc
import math
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.update import delete_documents
from lsr.query.idf_weighting import Exponents, IdfWeightedEncoder, exponents_of, idf_weighted, normalised_idf
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch


@given(n_docs=st.integers(1, 10**7), share=st.floats(0, 1))
def test_rarity_is_the_idf_brought_to_one(n_docs, share):
    df = round(share * n_docs)
    (found,) = normalised_idf(np.array([df]), n_docs)
    idf = math.log(1 + (n_docs - df + 0.5) / (df + 0.5))
    assert found == pytest.approx(min(1, idf / math.log(1 + n_docs)))
    assert 0 < found <= 1
    assert (
        normalised_idf(np.array([df, df + 1]), n_docs + 1)[1] <= normalised_idf(np.array([df, df + 1]), n_docs + 1)[0]
    )


def test_deleted_documents_do_not_count(tmp_path):
    from lsr.encoders.lexical.bm25 import BM25Encoder

    texts = [f"common {'odd' if i % 2 else 'even'} word{i}" for i in range(300)]
    index_documents([Document(str(i), text) for i, text in enumerate(texts)], tmp_path / "index", BM25Encoder())
    delete_documents([str(i) for i in range(100, 300)], tmp_path / "index", merge=False)
    index = StoredIndex.open(tmp_path / "index")
    names = ("common", "odd", "even", "word7", "word250")
    term_ids = np.array([index.vocabulary.lookup(name) for name in names], np.int32)
    for _ in range(2):  # counted, then remembered
        assert index.document_frequencies(term_ids).tolist() == [100, 50, 50, 1, 0]
    assert index.document_frequencies(np.array([10**6], np.int32)).tolist() == [0]


class Fixed:
    """Stands for an index of 100 documents, term t being in t of them, and for the encoder of its queries."""

    def __len__(self) -> int:
        return 100

    def document_frequencies(self, term_ids):
        return term_ids.astype(np.int64)

    def encode_queries(self, texts):
        return SparseBatch.from_rows([{int(t): 2.0 for t in text.split()} for text in texts], 200)


@pytest.mark.parametrize("texts", [["1 50 90"], ["1 50", "", "50 90"]])
def test_weights_are_multiplied_by_a_power_of_rarity(texts):
    found = IdfWeightedEncoder(Fixed(), Exponents(0.5, 1.0, 60), Fixed()).encode_queries(texts)
    plain = Fixed().encode_queries(texts)
    r = normalised_idf(plain.term_ids.astype(np.int64), 100)
    expected = 2 * np.where(plain.term_ids < 60, r**0.5, r)
    assert found.indptr.tolist() == plain.indptr.tolist() and found.term_ids.tolist() == plain.term_ids.tolist()
    assert found.weights == pytest.approx(expected, rel=1e-6) and found.weights.dtype == np.float32


def test_an_encoder_that_does_not_ask_for_it_is_left_alone():
    encoder = Fixed()
    assert exponents_of({"settings": {}}) is None and idf_weighted(encoder, Fixed(), {"settings": {}}) is encoder
    assert exponents_of({"settings": {"rarity": 0.5}}) == Exponents(0.5, 1.0, None)
    assert exponents_of({"settings": {"words": {"n_model_terms": 7}}}) == Exponents(0.0, 1.0, 7)


def test_an_index_that_nobody_uses_is_let_go_at_once(tmp_path):
    """It holds its generation, which writers may not remove meanwhile: no circle of references may keep it."""
    index_documents([Document("1", "a cat")], tmp_path / "index", load_encoder("default", device="cpu"))
    gc.disable()
    try:
        index = StoredIndex.open(tmp_path / "index")
        searcher = Searcher(index)
        assert searcher.encode(["cat"]).nnz and len(searcher.search("cat", total=True)) == 1
        gone = weakref.ref(index)
        del index, searcher
        assert gone() is None
    finally:
        gc.enable()
