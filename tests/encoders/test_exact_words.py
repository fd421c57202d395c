"""Exact words beside a model's terms: their weights, that they are found, and that none is lost."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.base import begin_again, model_of
from lsr.encoders.config import EncoderConfig, WordsConfig
from lsr.encoders.families import family_config
from lsr.encoders.lexical.analyser import Analyser
from lsr.encoders.lexical.exact_words import MARK, document_weights, is_word_term, side_by_side
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_dense_encoder, load_encoder, open_dense_encoder, weigh_beside_dense
from lsr.errors import EncoderError, UsageError
from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.pipeline import index_corpus, index_documents, index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.export_vectors import export_vectors
from lsr.indexer.update.set_in_manifest import set_tuning
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.query.explain.text_vector import document_vector, encoded_vector
from lsr.query.hybrid.search import with_dense
from lsr.query.hybrid.settings import Hybrid
from lsr.query.query_encoders import QueryEncoders
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

ROWS = st.lists(st.dictionaries(st.integers(0, 5), st.floats(0.25, 4, width=32), max_size=4), max_size=4)
WORDS = WordsConfig(weight=4.0)
CORPUS = [
    Document("cat", "the cat sat on the mat"),
    Document("engine", "The XJ4512b turbofan; turbofans run hot.", "An engine"),
    Document("long", "cat " * 100 + "zebrafish"),
    Document("dogs", "a dog, two dogs: the dog's"),
    Document("empty", ""),
]


@pytest.fixture(scope="module", params=["inference-free", "splade"])
def model(request, tmp_path_factory, plain_folder) -> Path:
    """Save a tiny model that has words: queries by a table, or by the model itself."""
    config = replace(family_config(request.param), words=WORDS, rarity=0.5)
    folder = tmp_path_factory.mktemp(request.param) / "model"
    save_encoder(start_encoder(config, plain_folder), folder)
    return folder


def vectors(encoder, batch: SparseBatch) -> list[dict[str, float]]:
    batch.check()
    return [{encoder.terms[t]: float(w) for t, w in zip(*row, strict=True)} for row in batch]


def words_of(row: dict[str, float]) -> dict[str, float]:
    return {term: weight for term, weight in row.items() if is_word_term(term)}


def test_words_stand_beside_what_the_model_gives(model):
    encoder = load_encoder(model)
    alone = model_of(encoder)
    assert model_of(alone) is alone
    rows = vectors(encoder, encoder.encode_documents(CORPUS))
    expected = vectors(alone, alone.encode_documents(CORPUS))
    for document, row, model_row in zip(CORPUS, rows, expected, strict=True):
        assert {term: weight for term, weight in row.items() if not is_word_term(term)} == model_row
        counts, length = Counter(Analyser().terms(document.full_text)), len(Analyser().terms(document.full_text))
        weights = {
            MARK + stem: 2.2 * n / (n + 1.2 * (0.25 + 0.75 * length / 100)) for stem, n in counts.items()
        }  # fmt: skip
        assert words_of(row) == pytest.approx(weights, rel=1e-6)
    assert set(words_of(rows[1])) == {"=xj4512b", "=turbofan", "=run", "=hot", "=engin"}
    assert list(encoder.terms[: len(alone.terms)]) == list(alone.terms)


def test_a_query_has_the_words_that_documents_brought(model):
    encoder = load_encoder(model)
    assert words_of(vectors(encoder, encoder.encode_queries(["turbofans"]))[0]) == {}
    encoder.encode_documents(CORPUS)
    (row,) = vectors(encoder, encoder.encode_queries(["Turbofan turbofans and the unheard-of cat"]))
    assert words_of(row) == pytest.approx({"=turbofan": 4 * (1 + math.log(2)), "=cat": 4.0})
    again = begin_again(encoder)
    assert words_of(vectors(again, again.encode_queries(["cat"]))[0]) == {} and model_of(again) is model_of(encoder)


@given(left=ROWS, right=ROWS)
def test_joined_rows_are_those_of_both(left, right):
    n = min(len(left), len(right))
    left, right = left[:n], [{term + 6: weight for term, weight in row.items()} for row in right[:n]]
    both = side_by_side(SparseBatch.from_rows(left, 6), SparseBatch.from_rows(right, 12))
    both.check()
    expected = SparseBatch.from_rows([a | b for a, b in zip(left, right, strict=True)], 12)
    for name in ("indptr", "term_ids", "weights"):
        assert getattr(both, name).tolist() == getattr(expected, name).tolist()
    assert both.vocab_size == 12


@given(rows=st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=4), k1=st.sampled_from((0.0, 1.2)))
def test_document_weights_are_those_of_the_formula(rows, k1):
    config = WordsConfig(k1=k1, b=0.5, usual_length=7)
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    found = document_weights(indptr, np.array([n for row in rows for n in row], np.int64), config)
    expected = [(k1 + 1) * n / (n + k1 * (0.5 + 0.5 * sum(row) / 7)) for row in rows for n in row]
    assert found.dtype == np.float32 and np.allclose(found, expected, rtol=1e-6)


def test_what_a_model_cannot_read_is_found(model, tmp_path):
    """Find a word that is no term of the model, and one beyond the tokens that it reads."""
    index_documents(CORPUS, tmp_path / "index", load_encoder(model))
    searcher = Searcher(tmp_path / "index")
    assert searcher.search("xj4512b")[0].doc_id == "engine"
    assert searcher.search("Zebrafish")[0].doc_id == "long"
    assert "=zebrafish" in {term.term for term in document_vector(searcher, "long").terms}


def test_a_hit_says_that_its_words_stand_in_the_text(model, tmp_path):
    index_documents(CORPUS, tmp_path / "index", load_encoder(model))
    explained = Searcher(tmp_path / "index").explain("turbofans of a quagga", k=1)
    terms = {term.term: term for term in explained.hits[0].terms}
    assert terms["=turbofan"].in_text and terms["=turbofan"].in_query
    assert explained.hits[0].words()["=turbofan"] == "turbofan"
    assert "quagga" in explained.unknown and not any(map(is_word_term, explained.unknown))
    vector = encoded_vector(load_encoder(model), "turbofans", role="document")
    assert [term.word for term in vector.terms if term.term == "=turbofan"] == ["turbofans"]


def test_an_interrupted_encoding_resumes_and_gives_the_same(model, tmp_path, logged):
    """Keep what the model gave; words are counted when the index is written."""
    lines = [json.dumps({"_id": f"d{i}", "text": f"a cat and word{i % 7} and thing{i}"}) for i in range(60)]
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("\n".join(lines), encoding="utf-8")
    index_corpus([corpus], tmp_path / "whole", load_encoder(model), reorder=False)

    class Stopped(Exception):
        pass

    encoder = load_encoder(model)
    encoder.extend = lambda rows, documents: (_ for _ in ()).throw(Stopped)
    with pytest.raises(Stopped):
        index_corpus([corpus], tmp_path / "index", encoder, reorder=False)
    logged.clear()
    index_corpus([corpus], tmp_path / "index", load_encoder(model), reorder=False)
    assert "60 documents" in logged.messages[0]
    for name in ("whole", "index"):
        export_vectors(tmp_path / name, tmp_path / f"{name}.parquet")
    assert same_files(tmp_path / "whole.parquet", tmp_path / "index.parquet")


def same_files(a: Path, b: Path) -> bool:
    import pyarrow.parquet as pq

    return pq.read_table(a).equals(pq.read_table(b))


def test_an_index_that_grew_and_shrank_answers_as_a_new_one(model, tmp_path):
    path, fresh = tmp_path / "index", tmp_path / "fresh"
    index_documents([CORPUS[0], Document("gone", "cat turbofan mat quagga")], path, load_encoder(model))
    add_documents(CORPUS[1:], path, merge=False)
    delete_documents(["gone"], path, merge=False)
    index_documents(CORPUS, fresh, load_encoder(model))
    grown, made = Searcher(path), Searcher(fresh)
    assert len(grown.index.segments) == 2
    for query in ("cat", "turbofans run", "the dog's mat", "zebrafish quagga", ""):
        weights = [
            {searcher.index.vocabulary.term(int(t)): w for t, w in zip(*searcher.encode([query]).row(0), strict=True)}
            for searcher in (grown, made)
        ]
        # Of words that only the deleted document had, nothing can be found.
        assert {term: w for term, w in weights[0].items() if term != "=quagga"} == pytest.approx(weights[1], rel=1e-6)
        scores = [{hit.doc_id: hit.score for hit in searcher.search(query)} for searcher in (grown, made)]
        assert scores[0] == pytest.approx(scores[1], rel=0.05)  # impacts of another scale are rounded otherwise


def test_exported_vectors_bring_their_words_again(model, tmp_path):
    index_documents(CORPUS, tmp_path / "index", load_encoder(model))
    export_vectors(tmp_path / "index", tmp_path / "vectors.parquet")
    _, notes = index_vectors([tmp_path / "vectors.parquet"], tmp_path / "again", encoder=load_encoder(model))
    assert notes == []
    for query in ("xj4512b", "cat"):
        found = [
            [(hit.doc_id, hit.score) for hit in Searcher(tmp_path / name).search(query)] for name in ("index", "again")
        ]
        assert found[0] == found[1] and found[0]


def test_a_loaded_encoder_serves_an_index_as_its_own_does(model, tmp_path):
    encoder = load_encoder(model)
    index_documents(CORPUS, tmp_path / "index", encoder)
    given, own = Searcher(tmp_path / "index", encoder=load_encoder(model)), Searcher(tmp_path / "index")
    for query in ("turbofans run", "the cat"):
        a, b = given.encode([query]), own.encode([query])
        assert a.term_ids.tolist() == b.term_ids.tolist() and a.weights.tolist() == b.weights.tolist()


def test_words_weigh_otherwise_beside_a_dense_vector(model, tmp_path):
    encoder = load_neural(model, device="cpu")
    encoder.config = replace(encoder.config, words=replace(WORDS, beside_dense=10.0))
    save_encoder(encoder, tmp_path / "model")
    index_documents(CORPUS, tmp_path / "index", load_encoder(tmp_path / "model", device="cpu"))
    searcher = Searcher(tmp_path / "index")
    terms, texts = searcher.index.vocabulary, ["the cat sat", "zebrafish and turbofans", ""]
    alone = searcher.encode(texts)
    beside = with_dense(searcher, alone, np.ones((3, 4), np.float32)).sparse
    assert beside.indptr.tolist() == alone.indptr.tolist() and beside.term_ids.tolist() == alone.term_ids.tolist()
    times = {is_word_term(terms.term(t)): set() for t in alone.term_ids.tolist()}
    for term_id, before, after in zip(alone.term_ids.tolist(), alone.weights, beside.weights, strict=True):
        times[is_word_term(terms.term(term_id))].add(round(float(after / before), 5))
    assert times == {True: {2.5}, False: {1.0}}
    unchanged = weigh_beside_dense(alone, load_encoder(model, device="cpu").description)
    assert unchanged is alone and weigh_beside_dense(alone, {"kind": "bm25"}, 9.0) is alone
    for asked in (with_dense(searcher, alone, np.ones((3, 4), np.float32), hybrid=Hybrid(word_weight=20.0)).sparse,
                  weigh_beside_dense(alone, searcher.index.manifest.encoder, 20.0)):  # fmt: skip
        words = np.array([is_word_term(terms.term(t)) for t in asked.term_ids.tolist()])
        np.testing.assert_allclose(asked.weights, alone.weights * np.where(words, 5.0, 1.0), rtol=1e-6)
    set_tuning(tmp_path / "index", HybridTuning(sparse=0.5, dense=0.5, words=20.0, share=0.4, candidates=100))
    tuned = with_dense(Searcher(tmp_path / "index"), alone, np.ones((3, 4), np.float32)).sparse
    np.testing.assert_array_equal(tuned.weights, asked.weights)


def test_another_analyser_is_refused(model, tmp_path, monkeypatch):
    index_documents(CORPUS, tmp_path / "index", load_encoder(model))
    monkeypatch.setattr("lsr.encoders.lexical.analyser.ANALYSER_REVISION", 99)
    with pytest.raises(EncoderError, match="made with another word analyser: index the corpus again"):
        QueryEncoders(StoredIndex.open(tmp_path / "index")).sparse  # noqa: B018


def test_a_config_keeps_them_and_refuses_nonsense(model):
    config = load_neural(model).config
    assert config.words == WORDS and config.rarity == 0.5
    assert EncoderConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    assert not {"words", "rarity"} & set(EncoderConfig("mine").to_json())
    assert "beside_dense" not in config.to_json()["words"]
    for wrong in (
        {"weight": 0.0},
        {"weight": float("nan")},
        {"b": 1.5},
        {"k1": -1},
        {"usual_length": 0},
        {"beside_dense": -1},
    ):
        with pytest.raises(UsageError, match=f"words' {next(iter(wrong))} is"):
            WordsConfig(**wrong)
    with pytest.raises(UsageError, match="no stemmer 'klingon'"):
        WordsConfig(stemmer="klingon")
    with pytest.raises(UsageError, match="rarity is -1, but has to be 0 or more"):
        EncoderConfig("mine", rarity=-1)
    with pytest.raises(EncoderError, match="mood unknown: made by a newer program"):
        EncoderConfig.from_json({"family": "mine", "words": {"mood": 1}})


def test_a_densified_model_is_opened_again_without_its_words(model):
    encoder = load_dense_encoder(f"densified:8:{model}")
    again = open_dense_encoder(json.loads(json.dumps({**encoder.description, "dimension": 8})))
    assert np.array_equal(again.encode_dense_documents(CORPUS), encoder.encode_dense_documents(CORPUS))
