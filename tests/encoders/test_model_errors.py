"""Models that can't be used: refused in one line, never guessed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.types import Document


def refusal(folder, **options) -> str:
    with pytest.raises(LsrError) as caught:
        load_encoder(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def rewrite(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_an_unknown_name_lists_what_is_known():
    assert "known are bm25" in refusal("splad")
    assert "no model folder ./nowhere/at/all" in refusal("./nowhere/at/all")


def test_a_folder_without_a_model(tmp_path):
    assert "holds no model" in refusal(tmp_path)


def test_a_model_without_a_masked_lm_head(tiny, tmp_path):
    from transformers import BertModel

    BertModel(tiny.config()).save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    assert "no masked-LM head that fits: weight cls.predictions" in refusal(tmp_path)


def test_a_head_that_lost_one_weight(plain_folder, copied):
    from safetensors.torch import load_file, save_file

    folder = copied(plain_folder)
    weights = load_file(folder / "model.safetensors")
    del weights["cls.predictions.transform.dense.weight"]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    assert "cls.predictions.transform.dense.weight missing" in refusal(folder)


def test_pickled_weights(tiny, plain_folder, copied):
    folder = copied(plain_folder)
    (folder / "model.safetensors").unlink()
    assert "no *.safetensors" in refusal(folder)
    torch.save(tiny.model().state_dict(), folder / "pytorch_model.bin")
    assert "run lsr encoder convert" in refusal(folder)


def test_pickled_query_weights(router_folder, copied):
    folder = copied(router_folder)
    (folder / "query_0_SparseStaticEmbedding" / "model.safetensors").rename(
        folder / "query_0_SparseStaticEmbedding" / "pytorch_model.bin"
    )
    assert "query weights are not there, or pickled" in refusal(folder)


def test_code_that_comes_with_a_model(plain_folder, symmetric_folder, copied):
    folder = copied(plain_folder)
    rewrite(
        folder / "config.json",
        model_type="mine",
        auto_map={"AutoConfig": "mine.MineConfig", "AutoModelForMaskedLM": "mine.Mine"},
    )
    (folder / "mine.py").write_text("raise SystemExit('this code was run')")
    assert "code that comes with it" in refusal(folder)
    folder = copied(symmetric_folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "mine.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "mine.Pooling is code that comes with the model" in refusal(folder)


def test_modules_outside_the_folder(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "lies outside the model" in refusal(folder)


def test_a_dense_sentence_transformers_model(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["type"] = "sentence_transformers.sentence_transformer.modules.pooling.Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert "a sparse encoder is a Transformer and a SpladePooling" in refusal(folder)


def test_a_transformer_that_does_something_else(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    rewrite(folder / "sentence_bert_config.json", transformer_task="feature-extraction")
    assert "not 'fill-mask'" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"activation_function": "tanh"}, "activation 'tanh'"), ({"pooling_strategy": "mean"}, "pooling is 'mean'")],
)
def test_pooling_that_is_not_known(symmetric_folder, copied, changes, message):
    folder = copied(symmetric_folder)
    rewrite(folder / "1_SpladePooling" / "config.json", **changes)
    assert message in refusal(folder)


def test_broken_files(symmetric_folder, copied):
    folder = copied(symmetric_folder)
    (folder / "modules.json").write_text("{")
    assert "modules.json can't be read" in refusal(folder)
    (folder / "modules.json").write_text('[{"name": "0"}]')
    assert "modules.json" in refusal(folder)


def test_damaged_weights(plain_folder, copied):
    folder = copied(plain_folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    assert str(folder) in refusal(folder)


def test_a_tokenizer_with_more_tokens_than_the_model(tiny, tmp_path):
    tiny.save_plain(tmp_path, vocab_size=20)
    assert f"token ids up to {len(tiny.words) - 1}, but the model knows only 20 terms" in refusal(tmp_path)


def test_a_missing_tokenizer(plain_folder, copied):
    folder = copied(plain_folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer_config.json").unlink()
    assert "tokenizer" in refusal(folder)


def test_query_weights_that_do_not_fit(router_folder, copied):
    from safetensors.numpy import save_file

    folder = copied(router_folder)
    path = folder / "query_0_SparseStaticEmbedding" / "model.safetensors"
    for stored in (np.ones(1000, np.float32), np.ones(10, np.float32), np.ones((2, 2), np.float32)):
        save_file({"weight": stored}, path)
        assert "holds no vector of" in refusal(folder)
    save_file({"weight": np.full(36, np.nan, np.float32)}, path)
    assert "query weight nan" in refusal(folder)
    save_file({"weight": np.full(36, -1, np.float32)}, path)
    assert "query weight -1.0" in refusal(folder)


def test_queries_tokenised_otherwise_than_documents(router_folder, copied):
    folder = copied(router_folder)
    path = folder / "query_0_SparseStaticEmbedding" / "tokenizer.json"
    path.write_text(path.read_text().replace('"cat"', '"cow"'))
    assert "tokenizers of queries and of documents differ" in refusal(folder)


def test_a_model_of_numbers_that_are_none_names_the_document(tiny, tmp_path):
    model = tiny.model()
    with torch.no_grad():
        model.bert.embeddings.word_embeddings.weight[tiny.words.index("dog")] = torch.nan
    model.save_pretrained(tmp_path)
    tiny.tokenizer().save_pretrained(tmp_path)
    encoder = load_encoder(tmp_path)
    with pytest.raises(EncoderError, match="document 'd7': the model gives weights that are not numbers"):
        encoder.encode_documents([Document("d7", "the cat")])
    with pytest.raises(EncoderError, match="query 'dog'"):
        encoder.encode_queries(["dog"])


def test_a_text_that_memory_does_not_suffice_for(plain_folder, monkeypatch):
    encoder = load_encoder(plain_folder)

    def starving(batch):
        raise MemoryError

    monkeypatch.setattr(encoder.document.tower, "forward", starving)
    with pytest.raises(EncoderError, match="memory doesn't suffice"):
        encoder.encode_documents([Document("1", "cat")])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 0}, "max_length is 0"),
        ({"max_length": 2}, "leaves no room beside 2 special tokens"),
        ({"top_k": 0}, "top_k is 0"),
        ({"threshold": -1.0}, "threshold is -1.0"),
        ({"device": "abacus"}, "device 'abacus'"),
        ({"dtype": "int3"}, "dtype 'int3'"),
        ({"max_tokens": 0}, "max_tokens is 0"),
    ],
)
def test_options_out_of_range(plain_folder, options, message):
    assert message in refusal(plain_folder, **options)


def test_options_that_an_encoder_does_not_take(plain_folder):
    for name in ("bm25", plain_folder):
        with pytest.raises(UsageError, match="colour"):
            load_encoder(name, colour="red")
