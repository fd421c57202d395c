"""Opening the query side of an index, without torch where it can be done."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from lsr.encoders.config import EncoderConfig
from lsr.encoders.families import family_config
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder, open_query_encoder
from lsr.encoders.sparse.query_table import open_table
from lsr.errors import EncoderError, UsageError
from lsr.types import Document

QUERIES = ["the cat cat sat", "walkers learned sparse", "", "zebra", "café 机 \ud800", "the"]


def by_term(batch, terms):
    batch.check()
    return [{terms[t]: float(w) for t, w in zip(ids, weights, strict=True)} for ids, weights in batch]


def saved(folder, tmp_path):
    """Return the encoder and its description as the manifest holds it, its query side being saved."""
    encoder = load_encoder(folder)
    if encoder.description["kind"] == "bm25":
        encoder.encode_documents([Document("1", " ".join(QUERIES))])
    encoder.save_query_side(tmp_path)
    return encoder, json.loads(json.dumps(encoder.description))


@pytest.fixture(params=["plain_folder", "router_folder", "bm25"])
def any_encoder(request, tmp_path):
    folder = "bm25" if request.param == "bm25" else request.getfixturevalue(request.param)
    return *saved(folder, tmp_path), tmp_path


def test_an_opened_query_side_gives_what_the_encoder_gives(any_encoder):
    encoder, description, folder = any_encoder
    ids = {term: i for i, term in enumerate(encoder.terms)}
    opened = open_query_encoder(description, folder, ids.get, len(ids))
    ours, theirs = encoder.encode_queries(QUERIES), opened.encode_queries(QUERIES)
    assert by_term(ours, encoder.terms) == by_term(theirs, encoder.terms)
    assert theirs.vocab_size == len(ids)


def test_an_index_may_number_its_terms_otherwise_and_lack_some(any_encoder):
    encoder, description, folder = any_encoder
    terms = [term for term in sorted(encoder.terms, reverse=True) if term not in ("cat", "##er")]
    ids = {term: i for i, term in enumerate(terms)}
    opened = open_query_encoder(description, folder, ids.get, len(ids))
    for _ in range(2):  # first looked up, then remembered
        expected = [
            {term: weight for term, weight in row.items() if term in ids}
            for row in by_term(encoder.encode_queries(QUERIES), encoder.terms)
        ]
        assert by_term(opened.encode_queries(QUERIES), terms) == expected


def test_a_table_counts_a_repeated_token_once_and_special_tokens_never(router_folder, tiny):
    from safetensors.numpy import load_file

    weights = load_file(router_folder / "query_0_SparseStaticEmbedding" / "model.safetensors")["weight"]
    encoder = load_encoder(router_folder)
    (row,) = by_term(encoder.encode_queries(["the cat cat sat [CLS] [SEP] [PAD] [MASK]"]), encoder.terms)
    assert row == {word: weights[tiny.words.index(word)] for word in ("cat", "sat")}  # "the" weighs 0


def test_the_written_table_is_plain_files(router_folder, tmp_path):
    load_encoder(router_folder).save_query_side(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["query_weights.npy", "tokenizer.json"]
    assert np.load(tmp_path / "query_weights.npy", allow_pickle=False).dtype == np.float32


def test_searching_with_words_or_a_table_imports_neither_torch_nor_transformers(router_folder, tmp_path):
    table, words = tmp_path / "table", tmp_path / "words"
    for folder, name in ((table, router_folder), (words, "bm25")):
        folder.mkdir()
        (folder / "description.json").write_text(json.dumps(saved(name, folder)[1]))
    program = f"""
import json, sys
from pathlib import Path
from lsr.encoders.registry import open_query_encoder
for folder in (Path({str(table)!r}), Path({str(words)!r})):
    description = json.loads((folder / "description.json").read_text())
    encoder = open_query_encoder(description, folder, {{"cat": 0, "##s": 1}}.get, 2)
    assert encoder.encode_queries(["cats cat"]).nnz > 0
print(sorted({{"torch", "transformers", "huggingface_hub"}} & set(sys.modules)))
"""
    output = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert output.strip() == "[]"


def test_a_changed_model_is_not_taken_for_the_one_that_built_the_index(plain_folder, tiny, copied):
    folder = copied(plain_folder)
    description = dict(load_encoder(folder).description)
    tiny.model(seed=9).save_pretrained(folder)
    with pytest.raises(EncoderError, match=r"built with encoder .* revision 'sha256:"):
        open_query_encoder(description, folder, {}.get, 0)


def test_a_model_that_is_gone_is_named(plain_folder, copied):
    folder = copied(plain_folder)
    description = load_encoder(folder).description
    shutil.rmtree(folder)
    with pytest.raises(EncoderError, match=f"model in {folder}, which isn't there any more"):
        open_query_encoder(description, plain_folder, {}.get, 0)


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(EncoderError, match="kind 'oracle', query side 'entrails'"):
        open_query_encoder({"kind": "oracle", "query_side": "entrails"}, tmp_path, {}.get, 0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "query_weights.npy").unlink(), "query_weights.npy is missing"),
        (lambda folder: (folder / "query_weights.npy").write_bytes(b"PK"), "is not an array of weights"),
        (lambda folder: np.save(folder / "query_weights.npy", np.ones(99)), "need one float32 each"),
        (lambda folder: np.save(folder / "query_weights.npy", np.ones(3, np.float32)), "model knows only 3 terms"),
        (lambda folder: np.save(folder / "query_weights.npy", np.array([{}])), "is not an array of weights"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), "tokenizer.json is refused: it has no model"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer.json is missing"),
    ],
)
def test_a_damaged_table_is_refused(router_folder, tmp_path, damage, message):
    load_encoder(router_folder).save_query_side(tmp_path)
    damage(tmp_path)
    with pytest.raises(EncoderError, match=message):
        open_table(tmp_path, {}.get, 0)


def repeating(plain_folder):
    config = EncoderConfig.from_json({**family_config("inference-free").to_json(), "query_repeats": "log"})
    encoder = start_encoder(config, plain_folder, device="cpu")
    encoder.query.weights[:] = np.linspace(0, 2, len(encoder.query.weights), dtype=np.float32)
    return encoder


def test_a_table_may_count_repeated_tokens_by_their_logarithm(plain_folder, tmp_path):
    save_encoder(repeating(plain_folder), tmp_path / "model")
    encoder = load_neural(tmp_path / "model", device="cpu")
    once, thrice, twice = by_term(encoder.encode_queries(["cat sat", "cat cat sat cat", "sat sat cat"]), encoder.terms)
    assert thrice == pytest.approx({"cat": once["cat"] * (1 + np.log(3)), "sat": once["sat"]})
    assert twice == pytest.approx({"cat": once["cat"], "sat": once["sat"] * (1 + np.log(2))})
    encoder.save_query_side(tmp_path)
    ids = {term: i for i, term in enumerate(encoder.terms)}
    opened = open_query_encoder(json.loads(json.dumps(encoder.description)), tmp_path, ids.get, len(ids))
    assert by_term(opened.encode_queries(QUERIES), encoder.terms) == by_term(
        encoder.encode_queries(QUERIES), encoder.terms
    )


def test_repeated_tokens_are_counted_by_tables_alone():
    with pytest.raises(UsageError, match="query_repeats is for a table, but query_side is 'same'"):
        EncoderConfig("splade", query_repeats="log")
    with pytest.raises(UsageError, match="query_repeats is 'twice'"):
        EncoderConfig("inference-free", query_side="table", query_repeats="twice")
    assert "query_repeats" not in EncoderConfig("splade").to_json()
