"""What a model's files ask for is done, refused, or warned of once."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from lsr.encoders.pretrained.load_encoder import load_neural
from lsr.encoders.pretrained.module_keys import warn_once
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_dense_encoder, load_encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "walkers learned sparse retrieval", "Dogs running ."]
QUERIES = ["cat mat", "sparse index retrieval query"]


@pytest.fixture(autouse=True)
def warned(caplog):
    """Warnings of one test; each is logged once in a process."""
    warn_once.cache_clear()
    caplog.set_level(logging.WARNING, "lsr")
    return caplog


def rewrite(path, **changes):
    values = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(values | changes))


def rows(batch):
    found = np.zeros((len(batch), batch.vocab_size), np.float32)
    for row, (terms, weights) in zip(found, batch, strict=True):
        row[terms] = weights
    return found


def documents(texts=TEXTS):
    return [Document(str(i), text) for i, text in enumerate(texts)]


@pytest.mark.parametrize("settings", [{"max_active_dims": 3}, {"similarity_fn_name": "cosine", "max_active_dims": 4}])
def test_number_and_length_of_weights_are_those_of_sentence_transformers(symmetric_folder, copied, settings):
    from sentence_transformers import SparseEncoder

    folder = copied(symmetric_folder)
    rewrite(folder / "config_sentence_transformers.json", **settings)
    theirs = SparseEncoder(str(folder), device="cpu")
    wanted = theirs.similarity(theirs.encode_query(QUERIES), theirs.encode_document(TEXTS)).numpy()
    encoder = load_encoder(folder)
    found = rows(encoder.encode_documents(documents()))
    assert (found > 0).sum(axis=1).max() == settings["max_active_dims"]
    np.testing.assert_allclose(rows(encoder.encode_queries(QUERIES)) @ found.T, wanted, atol=1e-4)


def test_cosines_are_kept_where_a_model_is_saved_and_recorded(symmetric_folder, copied, tmp_path):
    folder = copied(symmetric_folder)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    encoder = load_neural(folder)
    save_encoder(encoder, tmp_path / "saved")
    again = load_encoder(tmp_path / "saved")
    assert again.description["settings"]["similarity"] == "cosine"
    np.testing.assert_array_equal(
        rows(again.encode_documents(documents())), rows(encoder.encode_documents(documents()))
    )
    plain = load_encoder(symmetric_folder)
    assert "similarity" not in plain.description["settings"]


def test_a_row_of_unit_length_depends_on_its_text_alone(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    encoder = load_encoder(folder)
    found = rows(encoder.encode_documents(documents(["", *TEXTS])))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), [0, 1, 1, 1], rtol=1e-6)


def test_training_a_model_of_cosines_is_refused(symmetric_folder, copied, tmp_path):
    from lsr.training.config.encoder import EncoderSettings
    from lsr.training.config.from_config import create_encoder

    folder = copied(symmetric_folder)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    with pytest.raises(UsageError, match=r"but .+ compares by cosines: set"):
        create_encoder(EncoderSettings(str(folder), family="saved"), tmp_path, seed=0)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config_sentence_transformers.json", {"similarity_fn_name": "euclidean"}, "'dot' or 'cosine'"),
        ("config_sentence_transformers.json", {"max_active_dims": 0}, "max_active_dims is 0"),
        ("config_sentence_transformers.json", {"model_type": "CrossEncoder"}, "model_type is 'CrossEncoder'"),
        ("config_sentence_transformers.json", {"truncate_dim": 8}, "truncate_dim is 8"),
        ("sentence_bert_config.json", {"query_length": 32}, "query_length is 32"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "do_lower_case"),
        ("sentence_bert_config.json", {"modality_config": {"image": {}}}, "it reads image, but not text"),
        ("sentence_bert_config.json", [1], "a JSON object was expected"),
    ],
)
def test_settings_that_cannot_be_done_are_refused(symmetric_folder, copied, file, changes, message):
    folder = copied(symmetric_folder)
    if isinstance(changes, dict):
        rewrite(folder / file, **changes)
    else:
        (folder / file).write_text(json.dumps(changes))
    with pytest.raises(EncoderError, match=message):
        load_encoder(folder)


@pytest.mark.parametrize(
    "file", ["config_sentence_transformers.json", "sentence_bert_config.json", "1_SpladePooling/config.json"]
)
def test_a_key_that_is_not_known_is_warned_of_once(symmetric_folder, copied, file, warned):
    folder = copied(symmetric_folder)
    rewrite(folder / file, colour="red", size=None)
    for _ in range(2):
        load_encoder(folder)
    assert warned.messages == [f"{folder / file}: colour ('red') is not known to this program: it has no effect"]


def test_a_model_without_unusual_settings_warns_of_nothing(symmetric_folder, router_folder, plain_folder, warned):
    for folder in (symmetric_folder, router_folder, plain_folder):
        load_encoder(folder)
    assert warned.messages == []


def test_prompts_that_nothing_takes_are_warned_of(symmetric_folder, copied, warned):
    folder = copied(symmetric_folder)
    rewrite(folder / "config_sentence_transformers.json", prompts={"query": "q ", "passage": "cat "})
    load_encoder(folder)
    assert ["prompt 'passage' has no effect" in line for line in warned.messages] == [True]


def test_settings_of_a_transformer_are_found_by_the_names_of_earlier_versions(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    rewrite(folder / "sentence_bert_config.json", max_seq_length=9)
    (folder / "sentence_bert_config.json").rename(folder / "sentence_distilbert_config.json")
    assert load_encoder(folder).text_length == 9


def test_routes_by_other_things_than_sides_are_refused(router_folder, copied):
    folder = copied(router_folder)
    path = folder / "router_config.json"
    values = json.loads(path.read_text())
    values["parameters"]["route_mappings"] = {"query,text": "document"}
    path.write_text(json.dumps(values))
    with pytest.raises(EncoderError, match="route_mappings is"):
        load_encoder(folder)


def test_active_dimensions_of_a_table_hold_for_documents(router_folder, copied, warned):
    folder = copied(router_folder)
    rewrite(folder / "config_sentence_transformers.json", max_active_dims=2)
    encoder = load_encoder(folder)
    assert np.diff(encoder.encode_documents(documents()).indptr).max() == 2
    assert ["queries of a table keep all their tokens" in line for line in warned.messages] == [True]


def test_a_table_with_fewer_weights_than_tokens_is_refused(router_folder, copied, tiny):
    from safetensors.numpy import save_file

    folder = copied(router_folder)
    path = folder / "query_0_SparseStaticEmbedding" / "model.safetensors"
    save_file({"weight": np.ones(len(tiny.words) - 1, np.float32)}, path)
    with pytest.raises(EncoderError, match=r"holds no vector of 36 query weights: weights of shape \(35,\)"):
        load_encoder(folder)


@pytest.fixture
def opensearch_folder(plain_folder, copied, tiny):
    """Copy a checkpoint with idf.json beside it, as OpenSearch publishes models."""
    folder = copied(plain_folder)
    (folder / "idf.json").write_text(json.dumps({word: 0.5 + i for i, word in enumerate(tiny.words)}))
    return folder


def test_a_checkpoint_with_idf_json_has_queries_by_that_table(opensearch_folder, plain_folder, tiny, warned):
    encoder = load_encoder(opensearch_folder)
    assert encoder.description["query_side"] == "table" and encoder.description["kind"] == "inference-free"
    found = rows(encoder.encode_queries(["the cat"]))[0]
    assert {tiny.words[i]: found[i] for i in np.flatnonzero(found)} == {"the": 5.5, "cat": 6.5}
    np.testing.assert_array_equal(
        rows(encoder.encode_documents(documents())), rows(load_encoder(plain_folder).encode_documents(documents()))
    )
    assert load_encoder(opensearch_folder, family="splade").description["query_side"] == "model"
    double = load_encoder(opensearch_folder, family="inference-free-l0")
    assert double.config.document.activation == "log1p(log1p(relu))" and double.description["query_side"] == "table"
    assert warned.messages == []


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"zebra": 1.0}, "no token of the model has a weight"),
        ({"cat": "much"}, "token 'cat' weighs 'much'"),
        ([1], "no token of"),
    ],
)
def test_a_table_by_token_that_is_none_is_refused(opensearch_folder, table, message):
    (opensearch_folder / "idf.json").write_text(json.dumps(table))
    with pytest.raises(EncoderError, match=message):
        load_encoder(opensearch_folder)


def test_tokens_without_weights_and_weights_without_tokens_are_warned_of(opensearch_folder, warned):
    (opensearch_folder / "idf.json").write_text(json.dumps({"cat": 1.0, "zebra": 2.0}))
    load_encoder(opensearch_folder)
    assert ["1 of 2 tokens are not the tokenizer's" in line for line in warned.messages] == [True, False]
    assert "1 of the model's 36 tokens have a weight" in warned.messages[1]


@pytest.mark.parametrize(
    ("family", "message"),
    [("efficient-splade", "join both by lsr encoder convert"), ("inference-free", "put it beside the checkpoint as")],
)
def test_a_family_that_a_checkpoint_alone_cannot_be_says_what_to_do(plain_folder, family, message):
    with pytest.raises(UsageError, match=message):
        load_encoder(plain_folder, family=family)


def test_a_decoder_without_a_family_names_one(tmp_path, tiny):
    from transformers import GPT2Config, GPT2LMHeadModel

    sizes = {"n_embd": 16, "n_layer": 1, "n_head": 1, "n_positions": 64}
    GPT2LMHeadModel(GPT2Config(vocab_size=len(tiny.words), **sizes)).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match=r"it is a decoder, .* --family echo-splade"):
        load_encoder(tmp_path)
    assert load_encoder(tmp_path, family="echo-splade").description["kind"] == "echo-splade"


def dense_folder(tmp_path, plain_folder, **settings):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling, Transformer

    transformer = Transformer(str(plain_folder))
    layer = Dense(32, 32, **settings)
    SentenceTransformer(modules=[transformer, Pooling(32), layer], device="cpu").save_pretrained(str(tmp_path / "d"))
    return tmp_path / "d"


def test_cosines_of_a_dense_model_are_products_of_unit_vectors(tmp_path, plain_folder):
    folder = dense_folder(tmp_path, plain_folder)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name="cosine")
    vectors = load_dense_encoder(folder).encode_dense_documents(documents())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    rewrite(folder / "config_sentence_transformers.json", similarity_fn_name="manhattan")
    with pytest.raises(LsrError, match="similarity_fn_name is 'manhattan'"):
        load_dense_encoder(folder)


def test_a_dense_layer_with_a_residual_is_refused(tmp_path, plain_folder):
    folder = dense_folder(tmp_path, plain_folder, use_residual=True)
    with pytest.raises(EncoderError, match="use_residual is True"):
        load_dense_encoder(folder)
