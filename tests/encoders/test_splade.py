"""Masked-LM encoders: the same vectors as a plain reading of the paper, and as Sentence-Transformers gives them."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.pretrained.load_encoder import load_neural
from lsr.encoders.registry import load_encoder
from lsr.types import Document, SparseBatch

TEXTS = [
    "the cat sat on the mat",
    "Dogs running.",
    "a b c d e f ? zebra treehouse " * 30,
    "walkers learned sparse retrieval",
    "cat",
    "café 机 the index",
    "query query query",
]


def documents(texts):
    return [Document(str(i), text) for i, text in enumerate(texts)]


def dense(batch: SparseBatch) -> np.ndarray:
    batch.check()
    rows = np.zeros((len(batch), batch.vocab_size), np.float32)
    for i, (terms, weights) in enumerate(batch):
        rows[i, terms] = weights
    return rows


def oracle(folder, texts, *, pooling="max", double_log=False, max_length=64):
    """Encode one text at a time, without padding: activate every logit, then pool over tokens."""
    from transformers import AutoModelForMaskedLM, AutoTokenizer

    model, tokenizer = AutoModelForMaskedLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    rows = []
    for text in texts:
        if not text.strip():
            rows.append(np.zeros(model.config.vocab_size, np.float32))
            continue
        inputs = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        with torch.no_grad():
            weights = torch.log1p(torch.relu(model(**inputs).logits[0]))
        if double_log:
            weights = torch.log1p(weights)
        rows.append((weights.amax(0) if pooling == "max" else weights.sum(0)).numpy())
    return np.stack(rows)


@cache
def alone_rows(folder):
    return oracle(folder, TEXTS)


def test_documents_are_as_the_formula_says(plain_folder):
    rows = dense(load_encoder(plain_folder).encode_documents(documents(TEXTS)))
    assert np.abs(rows - oracle(plain_folder, TEXTS)).max() <= 1e-5
    assert 0.1 < (rows > 0).mean() < 0.95  # neither everything nor nothing


@pytest.mark.parametrize("activation", ["relu", "log1p_relu"])
@pytest.mark.parametrize("pooling", ["max", "sum"])
def test_every_pooling_and_activation_of_sentence_transformers(symmetric_folder, copied, pooling, activation):
    folder = copied(symmetric_folder)
    path = folder / "1_SpladePooling" / "config.json"
    path.write_text(json.dumps({"pooling_strategy": pooling, "activation_function": activation}))
    rows = dense(load_encoder(folder).encode_documents(documents(TEXTS)))
    expected = oracle(folder, TEXTS, pooling=pooling, double_log=activation == "log1p_relu")
    assert np.abs(rows - expected).max() <= 1e-4 if pooling == "sum" else 1e-5


@pytest.mark.parametrize("layout", ["plain_folder", "symmetric_folder", "router_folder"])
def test_sentence_transformers_gives_the_same_vectors(layout, request):
    from sentence_transformers import SparseEncoder

    folder = request.getfixturevalue(layout)
    ours, theirs = load_encoder(folder), SparseEncoder(str(folder), device="cpu")
    expected = theirs.encode_document(TEXTS).to_dense().numpy()
    assert np.abs(dense(ours.encode_documents(documents(TEXTS))) - expected).max() <= 1e-4
    expected = theirs.encode_query(TEXTS).to_dense().numpy()
    assert np.abs(dense(ours.encode_queries(TEXTS)) - expected).max() <= 1e-4


def test_prompts_of_sentence_transformers_are_put_before_each_side(symmetric_folder, copied):
    from sentence_transformers import SparseEncoder

    folder = copied(symmetric_folder)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"prompts": {"query": "query ", "document": "index . "}}))
    ours, theirs = load_encoder(folder), SparseEncoder(str(folder), device="cpu")
    queries, passages = dense(ours.encode_queries(TEXTS)), dense(ours.encode_documents(documents(TEXTS)))
    assert np.abs(queries - theirs.encode_query(TEXTS).to_dense().numpy()).max() <= 1e-4
    assert np.abs(passages - theirs.encode_document(TEXTS).to_dense().numpy()).max() <= 1e-4
    assert np.abs(queries - passages).max() > 0.1


@given(st.lists(st.sampled_from([*TEXTS, "", "  \n"]), max_size=12), st.integers(1, 300))
@settings(max_examples=25, deadline=None)
def test_batching_changes_nothing(plain_folder, texts, max_tokens):
    alone = dict(zip(TEXTS, alone_rows(plain_folder), strict=True))
    rows = dense(load_encoder(plain_folder, max_tokens=max_tokens).encode_documents(documents(texts)))
    assert len(rows) == len(texts)
    for row, text in zip(rows, texts, strict=True):
        assert np.abs(row - alone.get(text, 0)).max() <= 1e-5


def test_a_vocabulary_in_chunks_gives_the_same(plain_folder, monkeypatch):
    from lsr.encoders.network.heads import pooling

    encoder = load_encoder(plain_folder)
    whole = dense(encoder.encode_documents(documents(TEXTS)))
    monkeypatch.setattr(pooling, "CHUNK_ELEMENTS", {"cpu": 1})
    monkeypatch.setattr(pooling, "MIN_CHUNK", 7)
    assert np.abs(dense(encoder.encode_documents(documents(TEXTS))) - whole).max() <= 1e-6


def test_encoding_twice_gives_the_very_same_bytes(plain_folder):
    batches = [load_encoder(plain_folder).encode_documents(documents(TEXTS)) for _ in range(2)]
    assert batches[0].weights.tobytes() == batches[1].weights.tobytes()
    assert batches[0].term_ids.tobytes() == batches[1].term_ids.tobytes()


def test_title_and_text_are_encoded_together(plain_folder):
    encoder = load_encoder(plain_folder)
    together = encoder.encode_documents([Document("1", "sat on the mat", title="the cat")])
    assert np.array_equal(dense(together), dense(encoder.encode_queries(["the cat sat on the mat"])))


@pytest.mark.parametrize("text", ["", " \t\n ", "\u00a0"])
def test_blank_texts_give_empty_rows(plain_folder, router_folder, text):
    for folder in (plain_folder, router_folder):
        encoder = load_encoder(folder)
        assert encoder.encode_documents([Document("1", text)]).indptr.tolist() == [0, 0]
        assert encoder.encode_queries([text]).indptr.tolist() == [0, 0]


@pytest.mark.parametrize("text", ["cat\x00dog", "cat \ud800 dog", "\udfff", "\x00"])
def test_nul_and_lone_surrogates_are_survived(plain_folder, router_folder, text):
    for folder in (plain_folder, router_folder):
        encoder = load_encoder(folder)
        encoder.encode_documents([Document("1", text)]).check()
        encoder.encode_queries([text]).check()


def test_a_line_of_megabytes_is_cut_to_what_the_model_reads(plain_folder):
    encoder = load_encoder(plain_folder)
    long = encoder.encode_documents([Document("1", "the cat sat on a mat . " * 450_000)])
    short = encoder.encode_documents([Document("1", "the cat sat on a mat . " * 20)])
    assert np.array_equal(dense(long), dense(short))


def test_max_length_and_pruning_are_options_of_documents_alone(plain_folder):
    encoder = load_encoder(plain_folder, max_length=6, top_k=3, threshold=0.01)
    rows = dense(encoder.encode_documents(documents(TEXTS)))
    expected = oracle(plain_folder, TEXTS, max_length=6)
    for row, full in zip(rows, expected, strict=True):
        kept = np.argsort(-full, kind="stable")[:3]
        assert set(np.flatnonzero(row)) == {i for i in kept if full[i] > 0.01}
    assert np.abs(dense(encoder.encode_queries(TEXTS)) - oracle(plain_folder, TEXTS)).max() <= 1e-5


def test_terms_are_the_tokens_by_id(plain_folder, tiny, tmp_path):
    assert list(load_encoder(plain_folder).terms) == tiny.words
    padded = load_encoder(tiny.save_plain(tmp_path, vocab_size=40))
    assert list(padded.terms)[: len(tiny.words)] == tiny.words
    assert len(set(padded.terms)) == 40


def test_the_description_is_json_and_tells_models_apart(plain_folder, router_folder, tiny, tmp_path):
    plain, router = (json.loads(json.dumps(load_encoder(f).description)) for f in (plain_folder, router_folder))
    other = load_encoder(tiny.save_plain(tmp_path, seed=3)).description
    assert (plain["kind"], plain["query_side"]) == ("splade", "model")
    assert (router["kind"], router["query_side"]) == ("inference-free", "table")
    assert plain["revision"] != other["revision"] and plain["tokenizer_hash"] == other["tokenizer_hash"]
    assert plain["settings"]["document"]["max_length"] == 64
    assert router["settings"]["document"]["activation"] == "log1p(log1p(relu))"


def test_memory_that_runs_out_halves_the_batches(plain_folder, monkeypatch):
    encoder = load_neural(plain_folder)
    tower = encoder.document.tower
    expected = dense(encoder.encode_documents(documents(TEXTS)))
    sizes = []

    def starving(batch, forward=tower.forward):
        sizes.append(len(batch.input_ids))
        if len(batch.input_ids) > 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes.")
        return forward(batch)

    monkeypatch.setattr(tower, "forward", starving)
    assert np.abs(dense(encoder.encode_documents(documents(TEXTS))) - expected).max() <= 1e-5
    assert max(sizes) > 2 and sum(size for size in sizes if size <= 2) == len(TEXTS)
