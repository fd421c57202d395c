"""Models as people bring them: converted once, or loaded as they are, with the vectors of their makers' code."""

from __future__ import annotations

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch

from lsr.cli.main import main
from lsr.encoders.conversion.convert import convert_encoder
from lsr.encoders.registry import load_dense_encoder, load_encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "walkers learned sparse retrieval", ""]


def rows(batch):
    found = np.zeros((len(batch), batch.vocab_size), np.float32)
    for row, (terms, weights) in zip(found, batch, strict=True):
        row[terms] = weights
    return found


def encoded(encoder, texts=TEXTS):
    return rows(encoder.encode_documents([Document(str(i), text) for i, text in enumerate(texts)]))


@pytest.fixture
def pickled_folder(plain_folder, copied, tiny):
    folder = copied(plain_folder)
    (folder / "model.safetensors").unlink()
    torch.save(tiny.model().state_dict(), folder / "pytorch_model.bin")
    torch.save({"anything": {1, 2}}, folder / "training_args.bin")
    return folder


def test_pickled_weights_are_converted_once(pickled_folder, plain_folder, tmp_path, capfd):
    with pytest.raises(EncoderError, match="run lsr encoder convert"):
        load_encoder(pickled_folder)
    assert main(["encoder", "convert", str(pickled_folder), str(tmp_path / "out")]) == 0
    out = capfd.readouterr().out
    assert "read the weights of" in out and "lsr index CORPUS --encoder" in out
    assert not list((tmp_path / "out").rglob("*.bin"))
    np.testing.assert_array_equal(encoded(load_encoder(tmp_path / "out")), encoded(load_encoder(plain_folder)))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_tied_weights_are_written_once(pickled_folder, tmp_path):
    from safetensors import safe_open

    convert_encoder(pickled_folder, tmp_path / "out")
    with safe_open(tmp_path / "out" / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert "bert.embeddings.word_embeddings.weight" in names and "cls.predictions.decoder.weight" not in names


class Payload:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (self.path,))


@pytest.mark.parametrize("protocol", [0, 2])
def test_code_in_pickled_weights_is_not_run(pickled_folder, tmp_path, protocol):
    with (pickled_folder / "pytorch_model.bin").open("wb") as file:
        pickle.dump({"weight": Payload(str(tmp_path / "ran"))}, file, protocol=protocol)
    with pytest.raises(EncoderError, match="no file of weights alone"):
        convert_encoder(pickled_folder, tmp_path / "out")
    assert not (tmp_path / "ran").exists() and not (tmp_path / "out").exists()


def test_several_pickled_files_are_one_model(pickled_folder, plain_folder, tiny, tmp_path):
    weights = tiny.model().state_dict()
    names = sorted(weights)
    (pickled_folder / "pytorch_model.bin").unlink()
    for i, part in enumerate((names[::2], names[1::2])):
        torch.save({name: weights[name] for name in part}, pickled_folder / f"pytorch_model-0000{i + 1}-of-00002.bin")
    convert_encoder(pickled_folder, tmp_path / "out")
    np.testing.assert_array_equal(encoded(load_encoder(tmp_path / "out")), encoded(load_encoder(plain_folder)))


def test_modules_with_pickled_weights(router_folder, copied, tmp_path):
    from safetensors.torch import load_file

    folder = copied(router_folder)
    table = folder / "query_0_SparseStaticEmbedding"
    torch.save(load_file(table / "model.safetensors"), table / "pytorch_model.bin")
    (table / "model.safetensors").unlink()
    with pytest.raises(LsrError, match="lsr encoder convert"):
        load_encoder(folder)
    convert_encoder(folder, tmp_path / "out")
    ours, theirs = load_encoder(tmp_path / "out"), load_encoder(router_folder)
    np.testing.assert_array_equal(rows(ours.encode_queries(TEXTS)), rows(theirs.encode_queries(TEXTS)))


def lora(folder, base, tiny, *, prefix="base_model.model.bert.", fan=False, **settings):
    """Write an adapter of rank 2 to the queries' and values' layers, and return the merged model by hand."""
    from safetensors.torch import save_file

    folder.mkdir()
    torch.manual_seed(5)
    model, adapter = tiny.model(), {}
    config = {"peft_type": "LORA", "r": 2, "lora_alpha": 6, "base_model_name_or_path": str(base), **settings}
    scale = 6 / 2**0.5 if settings.get("use_rslora") else 3.0
    for layer in range(2):
        for name in ("query", "value"):
            module = f"encoder.layer.{layer}.attention.self.{name}"
            a, b = torch.randn(2, 32) * 0.3, torch.randn(32, 2) * 0.3
            adapter[f"{prefix}{module}.lora_A.weight"], adapter[f"{prefix}{module}.lora_B.weight"] = a, b
            factor = 10 / 2 if name in settings.get("alpha_pattern", {}) else scale
            model.get_submodule(f"bert.{module}").weight.data += factor * b @ a
    head = "cls.predictions.transform.dense.weight"
    adapter[f"base_model.model.{head}"] = torch.randn(32, 32) * 0.3
    model.get_parameter(head).data.copy_(adapter[f"base_model.model.{head}"])
    bias = torch.randn(len(tiny.words))
    adapter["base_model.model.cls.predictions.decoder.bias"] = bias
    model.cls.predictions.bias.data.copy_(bias)
    save_file(adapter, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return model


@pytest.mark.parametrize("settings", [{}, {"use_rslora": True}, {"alpha_pattern": {"value": 10}}])
def test_an_adapter_is_added_to_its_model(plain_folder, tmp_path, tiny, settings):
    wanted = lora(tmp_path / "adapter", plain_folder, tiny, **settings)
    wanted.save_pretrained(tmp_path / "merged")
    tiny.tokenizer().save_pretrained(tmp_path / "merged")
    with pytest.raises(EncoderError, match=r"is an adapter .* run lsr encoder convert"):
        load_encoder(tmp_path / "adapter")
    done = convert_encoder(tmp_path / "adapter", tmp_path / "out")
    assert done.done == (f"added the adapter to the weights of {plain_folder}",)
    np.testing.assert_allclose(
        encoded(load_encoder(tmp_path / "out")), encoded(load_encoder(tmp_path / "merged")), atol=1e-5
    )


def test_an_adapter_of_a_model_without_its_head_fits_the_whole_one(plain_folder, tmp_path, tiny):
    lora(tmp_path / "adapter", "nowhere/at-all", tiny, prefix="base_model.model.")
    convert_encoder(tmp_path / "adapter", tmp_path / "out", base=plain_folder)
    assert np.abs(encoded(load_encoder(tmp_path / "out")) - encoded(load_encoder(plain_folder))).max() > 0.01


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "an adapter of type IA3, but only LORA"),
        ({"use_dora": True}, "use_dora is True"),
        ({"base_model_name_or_path": None}, "names no model: name it by --base"),
        ({"base_model_name_or_path": "./nowhere/at/all"}, "--base names its model"),
    ],
)
def test_an_adapter_that_cannot_be_added(plain_folder, tmp_path, tiny, changes, message):
    lora(tmp_path / "adapter", plain_folder, tiny, **changes)
    with pytest.raises(EncoderError, match=message):
        convert_encoder(tmp_path / "adapter", tmp_path / "out")


def test_an_adapter_of_another_model_is_refused(tmp_path, tiny):
    base = tiny.save_plain(tmp_path / "wide", hidden_size=64)
    lora(tmp_path / "adapter", base, tiny)
    with pytest.raises(EncoderError, match=r"has shape .* name the model that it was trained on by --base"):
        convert_encoder(tmp_path / "adapter", tmp_path / "out")


def test_two_folders_are_joined(plain_folder, tiny, tmp_path):
    queries = tiny.save_plain(tmp_path / "queries", seed=3)
    done = convert_encoder(plain_folder, tmp_path / "out", query=queries)
    encoder = load_encoder(tmp_path / "out")
    assert done.kind == "sparse" and encoder.description["settings"]["query_side"] == "own"
    np.testing.assert_array_equal(encoded(encoder), encoded(load_encoder(plain_folder)))
    np.testing.assert_array_equal(
        rows(encoder.encode_queries(TEXTS)), rows(load_encoder(queries).encode_queries(TEXTS))
    )
    with pytest.raises(UsageError, match="in family 'splade' queries have none"):
        convert_encoder(plain_folder, tmp_path / "other", query=queries, family="splade")


def test_bge_m3_is_a_joint_encoder(tiny, tmp_path):
    from transformers import BertModel

    folder = tmp_path / "bge-m3"
    model = BertModel(tiny.config(), add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    linear = torch.nn.Linear(32, 1)
    torch.save(linear.state_dict(), folder / "sparse_linear.pt")
    torch.save(torch.nn.Linear(32, 32).state_dict(), folder / "colbert_linear.pt")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    (folder / "modules.json").write_text(
        json.dumps([{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in kinds.items()])
    )
    with pytest.raises(LsrError, match=r"sparse_linear\.pt: run lsr encoder convert"):
        load_encoder(folder)
    convert_encoder(folder, tmp_path / "out")
    encoder = load_encoder(tmp_path / "out")
    text = "the cat sat on the mat"
    inputs = tiny.tokenizer()(text, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**inputs).last_hidden_state[0]
        weights = torch.relu(linear(hidden)).squeeze(1)
    wanted = np.zeros(len(tiny.words), np.float32)
    for token, weight in zip(inputs["input_ids"][0].tolist()[1:-1], weights.tolist()[1:-1], strict=True):
        wanted[token] = max(wanted[token], weight)
    np.testing.assert_allclose(encoded(encoder, [text])[0], wanted, atol=1e-5)
    dense = encoder.encode_dense_documents([Document("1", text)])[0]
    np.testing.assert_allclose(dense, (hidden[0] / hidden[0].norm()).numpy(), atol=1e-5)


def test_a_family_is_recorded(plain_folder, tmp_path):
    convert_encoder(plain_folder, tmp_path / "out", family="splade-doc")
    encoder = load_encoder(tmp_path / "out")
    assert encoder.description["query_side"] == "table"
    with pytest.raises(UsageError, match="it loads as it is"):
        convert_encoder(plain_folder, tmp_path / "again")
    with pytest.raises(UsageError, match="is not an empty folder"):
        convert_encoder(plain_folder, tmp_path / "out", family="splade-doc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["convert", "model", "out", "--dtype", "int8"], "--dtype is not of lsr encoder convert"),
        (["export", "model", "out", "--base", "other"], "--base is not of lsr encoder export"),
        (["convert", "./nowhere/at/all", "out"], "no model folder"),
    ],
)
def test_mistakes_are_named(options, message, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    assert main(["encoder", *options]) in (1, 2)
    assert message in capfd.readouterr().err


@pytest.fixture(scope="module")
def csr_folder(tmp_path_factory, plain_folder):
    """Save a model of sparse codes as Sentence-Transformers saves it."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from sentence_transformers.sparse_encoder.modules import SparseAutoEncoder

    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("csr")
    codes = SparseAutoEncoder(32, hidden_dim=96, k=6, normalize=True)
    codes.pre_bias.data.normal_(std=0.1)
    codes.latent_bias.data.normal_(std=0.1)
    SparseEncoder(modules=[Transformer(str(plain_folder)), Pooling(32), codes], device="cpu").save_pretrained(
        str(folder)
    )
    return folder


def test_sparse_codes_of_sentence_transformers_load(csr_folder, tmp_path, capfd):
    from sentence_transformers import SparseEncoder

    wanted = SparseEncoder(str(csr_folder), device="cpu").encode_document(TEXTS[:2]).to_dense().numpy()
    encoder = load_encoder(csr_folder)
    np.testing.assert_allclose(encoded(encoder)[:2], wanted, atol=1e-4)
    assert encoder.description["kind"] == "codes" and not encoded(encoder)[2].any()
    assert load_dense_encoder(csr_folder).dimension == 32
    (tmp_path / "notes").mkdir()
    for i, text in enumerate(TEXTS[:2]):
        (tmp_path / "notes" / f"{i}.txt").write_text(text)
    index = str(tmp_path / "index")
    assert main(["index", str(tmp_path / "notes"), "--encoder", str(csr_folder), "--index", index]) == 0
    (tmp_path / "more.txt").write_text("dog tree")
    assert main(["add", str(tmp_path / "more.txt"), "--index", index]) == 0
    capfd.readouterr()
    assert main(["search", TEXTS[0], "--index", index, "--json"]) == 0
    assert "0.txt" in capfd.readouterr().out.splitlines()[0]
    with pytest.raises(UsageError, match="words is of exact words, which it has none of"):
        load_encoder(csr_folder, words=3)


def test_sparse_codes_are_saved_as_sentence_transformers_reads_them(plain_folder, tmp_path, capfd):
    from sentence_transformers import SentenceTransformer, SparseEncoder
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    dense = tmp_path / "dense"
    SentenceTransformer(modules=[Transformer(str(plain_folder)), Pooling(32), Normalize()], device="cpu").save(
        str(dense)
    )
    (tmp_path / "notes").mkdir()
    for i in range(12):
        (tmp_path / "notes" / f"{i}.txt").write_text(" ".join(TEXTS[0].split()[: 1 + i % 3]) + " " + TEXTS[1])
    given = ["codes", str(tmp_path / "notes"), "--dense", str(dense), "--codes", "64", "--active", "5", "--steps", "20"]
    theirs = ["--sentence-transformers", str(tmp_path / "theirs")]
    assert main([*given, "--out", str(tmp_path / "ours"), *theirs]) == 0
    ours = encoded(load_encoder(f"codes:{tmp_path / 'ours'}"))[:2]
    model = SparseEncoder(str(tmp_path / "theirs"), device="cpu")
    assert ours.any() and str(model.similarity_fn_name) == "dot"
    np.testing.assert_allclose(model.encode_document(TEXTS[:2]).to_dense().numpy(), ours, atol=1e-4)
    np.testing.assert_allclose(encoded(load_encoder(tmp_path / "theirs"))[:2], ours, atol=1e-4)
    capfd.readouterr()
    assert main([*given, "--out", str(tmp_path / "again"), *theirs]) == 1
    assert "is not an empty folder" in capfd.readouterr().err
    assert main([*given, "--out", str(tmp_path / "again"), *theirs, "--pursuit"]) == 2
    assert "--pursuit is nothing that Sentence-Transformers has" in capfd.readouterr().err


def test_sparse_codes_by_cosines_are_refused(csr_folder, tmp_path):
    folder = tmp_path / "cosine"
    shutil.copytree(csr_folder, folder)
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"similarity_fn_name": "cosine"}))
    with pytest.raises(EncoderError, match="similarity_fn_name is 'cosine'"):
        load_encoder(folder)


def test_a_table_of_tokens_alone_loads(plain_folder, tiny, tmp_path, capfd):
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding

    weights = torch.rand(len(tiny.words)) * 5 + 0.1
    folder = tmp_path / "table"
    SparseEncoder(modules=[SparseStaticEmbedding(tiny.tokenizer(), weight=weights)], device="cpu").save_pretrained(
        str(folder)
    )
    wanted = SparseEncoder(str(folder), device="cpu").encode_document(TEXTS[:2]).to_dense().numpy()
    encoder = load_encoder(folder)
    np.testing.assert_allclose(encoded(encoder)[:2], wanted, rtol=1e-6)
    np.testing.assert_allclose(rows(encoder.encode_queries(TEXTS[:2])), wanted, rtol=1e-6)
    (tmp_path / "note.txt").write_text(TEXTS[0])
    index = str(tmp_path / "index")
    assert main(["index", str(tmp_path / "note.txt"), "--encoder", str(folder), "--index", index]) == 0
    (tmp_path / "more.txt").write_text("dog tree")
    assert main(["add", str(tmp_path / "more.txt"), "--index", index]) == 0
    capfd.readouterr()
    assert main(["search", "cat", "--index", index, "--json", "--explain"]) == 0
    assert "note.txt" in capfd.readouterr().out


@pytest.mark.parametrize(
    "settings",
    [
        {"target_modules": ["query", "dense", "word_embeddings"], "use_rslora": True},
        {
            "target_modules": ["key"], "modules_to_save": ["transform"], "bias": "all", "alpha_pattern": {"key": 7},
            "rank_pattern": {"layer.1.attention.self.key": 3},
        },
    ],
)  # fmt: skip
def test_an_adapter_is_added_as_peft_adds_it(plain_folder, tmp_path, tiny, settings):
    peft = pytest.importorskip("peft")
    from transformers import AutoModelForMaskedLM

    model = peft.get_peft_model(
        AutoModelForMaskedLM.from_pretrained(plain_folder), peft.LoraConfig(r=4, lora_alpha=16, **settings)
    )
    torch.manual_seed(3)
    for value in model.parameters():
        if value.requires_grad:
            value.data.add_(torch.randn_like(value) * 0.2)
    model.save_pretrained(str(tmp_path / "adapter"))
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    tiny.tokenizer().save_pretrained(tmp_path / "merged")
    convert_encoder(tmp_path / "adapter", tmp_path / "out", base=plain_folder)
    ours, theirs = (encoded(load_encoder(tmp_path / name)) for name in ("out", "merged"))
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert np.abs(ours - encoded(load_encoder(plain_folder))).max() > 0.01
