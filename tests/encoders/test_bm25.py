"""BM25 as an encoder: counts, weights and queries against a plain reading of the formula."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.lexical import word_counts
from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder, BM25QueryEncoder, BM25Weighting
from lsr.encoders.registry import open_query_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document, SparseBatch

TEXTS = ["The cat sat on the mat.", "cats and dogs, cats and dogs", "", "the of and", "Ein Hund läuft", "mat mat mat"]
words = st.lists(st.sampled_from(["cat", "dog", "mat", "run", "läuft", "the", "机"]), max_size=12).map(" ".join)


@dataclass
class Statistics:
    n_docs: int
    df: np.ndarray
    mean_length: float


def documents(texts):
    return [Document(str(i), text) for i, text in enumerate(texts)]


def statistics_of(counts, n_terms):
    return Statistics(len(counts), np.bincount(counts.term_ids, minlength=n_terms), counts.weights.sum() / len(counts))


def oracle_weights(texts, k1, b):
    """BM25 document weights by the formula, a term at a time."""
    counts = [Counter(Analyser().terms(text)) for text in texts]
    mean_length = sum(sum(c.values()) for c in counts) / len(texts)
    df = Counter(term for c in counts for term in c)
    rows = []
    for c in counts:
        norm = k1 * (1 - b + b * sum(c.values()) / mean_length) if c else 0
        idf = {t: math.log(1 + (len(texts) - df[t] + 0.5) / (df[t] + 0.5)) for t in c}
        rows.append({t: idf[t] * tf / (tf + norm) for t, tf in c.items()})
    return rows


def as_mappings(batch, terms):
    return [{terms[t]: float(w) for t, w in zip(ids, weights, strict=True)} for ids, weights in batch]


@given(st.lists(words, max_size=8), st.integers(1, 4))
def test_counts_are_those_of_a_plain_counter_however_documents_are_batched(texts, size):
    encoder = BM25Encoder()
    docs = documents(texts)
    batches = [encoder.encode_documents(docs[i : i + size]) for i in range(0, len(docs), size)]
    counts = SparseBatch.concatenate(batches)
    counts.check()
    assert as_mappings(counts, encoder.terms) == [dict(Counter(Analyser().terms(text))) for text in texts]


@given(st.lists(words, min_size=1, max_size=8), st.sampled_from([(0.9, 0.4), (1.2, 0.75), (0.0, 0.0), (2.0, 1.0)]))
def test_weights_follow_the_formula(texts, parameters):
    k1, b = parameters
    encoder = BM25Encoder(k1=k1, b=b)
    counts = encoder.encode_documents(documents(texts))
    weights = encoder.corpus_weighting.weigh(counts, statistics_of(counts, len(encoder.terms)))
    weights.check()
    for row, expected in zip(as_mappings(weights, encoder.terms), oracle_weights(texts, k1, b), strict=True):
        assert row == pytest.approx(expected, rel=1e-6)


def test_title_and_text_are_counted_together():
    encoder = BM25Encoder()
    assert as_mappings(encoder.encode_documents([Document("1", "cats", title="Cat")]), encoder.terms) == [{"cat": 2}]


def test_the_vocabulary_grows_and_never_changes():
    encoder = BM25Encoder()
    first = encoder.encode_documents(documents(TEXTS[:2]))
    before = list(encoder.terms)
    second = encoder.encode_documents(documents(TEXTS))
    assert encoder.terms[: len(before)] == before
    assert (first.vocab_size, second.vocab_size) == (len(before), len(encoder.terms))
    for i in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(first.row(i), second.row(i), strict=True))


def test_a_vocabulary_can_be_continued():
    encoder = BM25Encoder(terms=["dog", "cat"])
    encoder.encode_documents(documents(["cat mat"]))
    assert encoder.terms == ["dog", "cat", "mat"]
    with pytest.raises(EncoderError, match="twice"):
        BM25Encoder(terms=["a", "a"])


def test_a_query_term_weighs_once_for_each_time_it_stands_there_and_unknown_words_are_dropped():
    encoder = BM25Encoder()
    encoder.encode_documents(documents(TEXTS))
    queries = encoder.encode_queries(["Dogs dog zebra the", "zebra", "", "\x00 \ud800"])
    queries.check()
    assert as_mappings(queries, encoder.terms) == [{"dog": 2}, {}, {}, {}]
    assert "zebra" not in encoder.terms


def test_the_query_side_opens_from_its_description_and_the_index_vocabulary():
    encoder = BM25Encoder(AnalyserSettings(stemmer="german", stop_words="none"))
    encoder.encode_documents(documents(TEXTS))
    description = json.loads(json.dumps(encoder.description))
    ids = {term: i for i, term in enumerate(encoder.terms)}
    opened = open_query_encoder(description, Path(), ids.get, len(ids))
    ours, theirs = encoder.encode_queries(["the läuft Hunde"]), opened.encode_queries(["the läuft Hunde"])
    assert np.array_equal(ours.term_ids, theirs.term_ids)
    assert ours.nnz == 3 and theirs.vocab_size == len(ids)


@pytest.mark.parametrize("damage", [{"settings": {}}, {"settings": None}, {"revision": "other"}])
def test_a_description_of_another_analyser_is_refused(damage):
    with pytest.raises(EncoderError, match="index the corpus again"):
        open_query_encoder({**BM25Encoder().description, **damage}, Path(), {}.get, 0)


def test_forgetting_cached_words_changes_nothing(monkeypatch):
    expected = BM25Encoder().encode_documents(documents(TEXTS))
    monkeypatch.setattr(word_counts, "MAX_CACHED_WORDS", 2)
    actual = BM25Encoder().encode_documents(documents(TEXTS))
    assert np.array_equal(actual.term_ids, expected.term_ids) and np.array_equal(actual.weights, expected.weights)


def test_no_documents_and_no_queries_give_no_rows():
    encoder = BM25Encoder()
    assert len(encoder.encode_documents([])) == 0
    assert len(encoder.encode_queries([])) == 0


def test_empty_documents_stay_empty_when_weighed():
    encoder = BM25Encoder()
    counts = encoder.encode_documents(documents(["", ""]))
    weights = encoder.corpus_weighting.weigh(counts, statistics_of(counts, 0))
    assert len(weights) == 2 and weights.nnz == 0


@pytest.mark.parametrize("bad", [{"k1": -1}, {"k1": math.nan}, {"b": 1.1}])
def test_parameters_out_of_range_are_refused(bad):
    with pytest.raises(UsageError, match="BM25"):
        BM25Weighting(**bad)


def test_statistics_have_to_cover_the_vocabulary():
    counts = BM25Encoder().encode_documents(documents(["cat dog"]))
    with pytest.raises(EncoderError, match="1 terms don't cover a vocabulary of 2"):
        BM25Weighting().weigh(counts, Statistics(1, np.array([1]), 2.0))


def test_one_query_encoder_serves_without_growing():
    ids = {"cat": 0}
    encoder = BM25QueryEncoder(AnalyserSettings(), ids.get, 1)
    encoder.encode_queries(["cat dog mouse"])
    assert ids == {"cat": 0}
