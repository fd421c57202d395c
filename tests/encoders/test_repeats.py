"""A token that a text has several times weighs more, the less so the longer the text is."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.config import EncoderConfig, TowerConfig
from lsr.encoders.pretrained.load_encoder import load_neural
from lsr.encoders.sparse.repeated_tokens import USUAL_LENGTH, count_repeats
from lsr.errors import UsageError
from lsr.models import bundled_folder
from lsr.types import Document, SparseBatch

WEIGHTS = st.dictionaries(st.integers(0, 9), st.floats(0.25, 4, width=32), max_size=8)
TOKENS = st.lists(st.integers(0, 9), max_size=2 * USUAL_LENGTH)


@given(texts=st.lists(st.tuples(WEIGHTS, TOKENS), max_size=4), factor=st.sampled_from((0.1, 0.25, 1.0)))
def test_weights_are_those_of_the_formula(texts, factor):
    """Count the row's own terms alone: a token without a weight gets none."""
    rows = SparseBatch.from_rows([weights for weights, _ in texts], 10)
    found = count_repeats(rows, [np.array(tokens, np.int64) for _, tokens in texts], factor)
    assert found.indptr.tolist() == rows.indptr.tolist() and found.term_ids.tolist() == rows.term_ids.tolist()
    expected = []
    for weights, tokens in texts:
        counts, share = Counter(tokens), min(1, USUAL_LENGTH / max(len(tokens), 1))
        expected += [weights[term] * (1 + factor * math.log(max(counts[term], 1)) * share) for term in sorted(weights)]
    assert np.allclose(found.weights, expected, rtol=1e-6)
    assert found.weights.dtype == np.float32


def test_a_config_says_it_only_where_it_counts():
    counting = EncoderConfig("mine", TowerConfig(repeats=0.5))
    assert counting.to_json()["document"]["repeats"] == 0.5
    assert EncoderConfig.from_json(counting.to_json()) == counting
    assert "repeats" not in EncoderConfig("mine", query=TowerConfig()).to_json()["query"]
    with pytest.raises(UsageError, match="repeats is -1, but has to be 0 or more"):
        TowerConfig(repeats=-1)


def test_an_encoder_counts_them():
    """Compare the bundled model's weights of a word that occurs three times with those without counting."""
    text = "The queen bee leaves the hive; a bee without a queen is lost, and no bee works."
    encoder = load_neural(str(bundled_folder("default")), device="cpu", dtype="float32")
    rows = {}
    for repeats in (0.0, 0.5):
        object.__setattr__(encoder.document.tower.config, "repeats", repeats)
        terms, weights = encoder.encode_documents([Document("bees", text)]).row(0)
        rows[repeats] = {encoder.terms[t]: float(w) for t, w in zip(terms, weights, strict=True)}
    for word, n in (("bee", 3), ("queen", 2), ("hive", 1)):
        assert rows[0.5][word] == pytest.approx(rows[0.0][word] * (1 + 0.5 * math.log(n)), rel=1e-4)
