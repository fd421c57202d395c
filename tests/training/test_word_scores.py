"""What words add to a batch's scores in training is what they add to a search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.config import EncoderConfig, WordsConfig
from lsr.encoders.families import family_config
from lsr.encoders.lexical.with_exact_words import with_exact_words
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher
from lsr.training.data.example import Example
from lsr.training.model.word_scores import WordScores, word_scores
from lsr.training.teachers.bm25 import count_corpus
from lsr.types import Document

TEXTS = ("the key opens the lock", "a lock without its key", "keys, keys and keys", "Zebrafish swim", "", "turbofan xj")
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]
QUERIES = ["a key for locks", "zebrafish zebrafish", "turbofan xj", "nothing of it", ""]


def test_scores_are_those_of_a_search_by_words_alone(tmp_path: Path, random_model: Path) -> None:
    config = WordsConfig(weight=3.0)
    values = family_config("inference-free").to_json() | {"words": EncoderConfig("x", words=config).to_json()["words"]}
    model = start_encoder(EncoderConfig.from_json(values), random_model, query_weights={})  # no term of the model's
    encoder = with_exact_words(model, config)
    index_documents(DOCUMENTS, tmp_path / "index", encoder)
    searcher = Searcher(tmp_path / "index", encoder=encoder)
    found = WordScores(config, count_corpus(DOCUMENTS))(QUERIES, DOCUMENTS)
    assert found.shape == (5, 6) and found.dtype == np.float32
    for row, query in zip(found, QUERIES, strict=True):
        hits = {hit.doc_id: hit.score for hit in searcher.search(query)}
        assert {DOCUMENTS[i].doc_id for i in np.flatnonzero(row)} == set(hits)
        for doc_id, score in hits.items():
            assert row[int(doc_id)] == pytest.approx(score, rel=0.02)  # an index rounds its impacts


def test_a_word_that_the_corpus_lacks_is_as_rare_as_can_be() -> None:
    scores = WordScores(WordsConfig(weight=3.0), count_corpus(DOCUMENTS[:3]))(["zebrafish"], DOCUMENTS)
    length, weight = 2, 3.0
    assert scores[0, 3] == pytest.approx(weight * 2.2 / (1 + 1.2 * (0.25 + 0.75 * length / 100)))


def test_an_encoder_without_words_has_none_and_others_count_the_examples(monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("LSR_CACHE", str(tmp_path))
    examples: Any = [Example("key", tuple(DOCUMENTS[:2])), Example("swim", (DOCUMENTS[3], DOCUMENTS[4]))]
    assert word_scores(EncoderConfig("mine"), examples) is None
    for _ in range(2):  # counted, then read from the cache
        scores = word_scores(EncoderConfig("mine", words=WordsConfig()), examples)
        assert scores is not None
        assert scores(["key"], DOCUMENTS)[0].nonzero()[0].tolist() == [0, 1, 2]
