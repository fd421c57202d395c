"""A dense branch above shared layers, and weights stored in few bytes."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lsr.encoders.config import DenseConfig, EncoderConfig, TowerConfig
from lsr.encoders.dense.base import JointEncoder
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.network.dense_branch import layers_of
from lsr.encoders.pretrained import compact_weights as compact
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document

TEXTS = ["the cat sat on the mat", "dog running.", "learned sparse retrieval " * 9, "", "cat"]
DOCUMENTS = [Document(str(i), text) for i, text in enumerate(TEXTS)]


def joint(folder, shared_layers=1, head="mlm"):
    config = EncoderConfig("joint", TowerConfig(head=head), "table", dense=DenseConfig(shared_layers=shared_layers))
    return start_encoder(config, folder)


@pytest.mark.parametrize("head", ["mlm", "mlp"])
@pytest.mark.parametrize("shared_layers", [0, 1])
def test_training_the_sparse_side_leaves_the_dense_vectors_what_they_were(plain_folder, tmp_path, shared_layers, head):
    before = load_dense(plain_folder)
    encoder = joint(plain_folder, shared_layers, head)
    sparse = encoder.encode_documents(DOCUMENTS)
    with torch.no_grad():
        for parameter in layers_of(encoder.document.tower.backbone.model)[1].parameters():
            parameter.add_(torch.randn_like(parameter))
    assert isinstance(encoder, JointEncoder)
    changed, vectors = encoder.encode_documents_jointly(DOCUMENTS)
    assert changed.weights.tolist() != sparse.weights.tolist()
    assert np.allclose(vectors, before.encode_dense_documents(DOCUMENTS), atol=1e-6)
    assert np.allclose(encoder.encode_dense_documents(DOCUMENTS), vectors, atol=1e-6)
    assert np.allclose(encoder.encode_dense_queries(TEXTS), before.encode_dense_queries(TEXTS), atol=1e-6)

    save_encoder(encoder, tmp_path / "model")
    again = load_encoder(tmp_path / "model")
    assert np.allclose(again.encode_dense_documents(DOCUMENTS), vectors, atol=1e-6)
    assert np.allclose(again.encode_documents(DOCUMENTS).weights, changed.weights, atol=1e-6)
    assert again.encode_queries(TEXTS).weights.tolist() == encoder.encode_queries(TEXTS).weights.tolist()
    assert again.encode_dense_queries(TEXTS).shape == (len(TEXTS), 32)


def test_threads_do_not_see_each_others_states(plain_folder):
    encoder = joint(plain_folder)
    alone = [encoder.encode_dense_documents([document]) for document in DOCUMENTS]
    wrong: list[int] = []

    def encode(i):
        found = [encoder.encode_dense_documents([DOCUMENTS[i]]) for _ in range(20)]
        wrong.extend(i for vectors in found if not np.array_equal(vectors, alone[i]))

    threads = [threading.Thread(target=encode, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_settings_that_fit_no_model_are_refused(plain_folder):
    with pytest.raises(EncoderError, match="2 shared layers, but the model has 2"):
        joint(plain_folder, 2)
    with pytest.raises(UsageError, match="shared_layers is -1"):
        DenseConfig(shared_layers=-1)


def test_a_compact_model_gives_nearly_the_same_vectors_in_fewer_bytes(plain_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(compact, "LARGE", 256)
    encoder = joint(plain_folder)
    save_encoder(encoder, tmp_path / "whole")
    save_encoder(encoder, tmp_path / "compact", compact=True)
    sizes = [sum(p.stat().st_size for p in (tmp_path / n).rglob("*.safetensors")) for n in ("whole", "compact")]
    assert sizes[1] < 0.6 * sizes[0]
    again = load_encoder(tmp_path / "compact")
    for (terms, weights), (exact_terms, exact) in zip(
        again.encode_documents(DOCUMENTS), encoder.encode_documents(DOCUMENTS), strict=True
    ):
        rounded = dict(zip(terms.tolist(), weights.tolist(), strict=True))
        assert all(abs(rounded.get(t, 0) - w) < 0.15 for t, w in zip(exact_terms.tolist(), exact.tolist(), strict=True))
    assert np.allclose(again.encode_dense_queries(TEXTS), encoder.encode_dense_queries(TEXTS), atol=0.03)
    assert again.revision != load_encoder(tmp_path / "whole").revision


def test_rounding_is_to_half_a_step_of_each_row(tmp_path, monkeypatch):
    monkeypatch.setattr(compact, "LARGE", 1)
    weights = {"table": torch.randn(7, 5) * torch.logspace(-6, 3, 7)[:, None], "bias": torch.randn(5)}
    weights["table"][3] = 0
    compact.save_compact(weights, tmp_path / "x.safetensors")
    found = compact.load_compact(tmp_path / "x.safetensors")
    step = weights["table"].abs().amax(1, keepdim=True) / 127
    assert ((found["table"] - weights["table"]).abs() <= step / 2 * 1.001).all()
    assert (found["bias"] - weights["bias"]).abs().max() < 1e-2


def test_a_broken_compact_model_is_refused(plain_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(compact, "LARGE", 256)
    save_encoder(joint(plain_folder), tmp_path / "model", compact=True)
    path = tmp_path / "model" / "document" / compact.COMPACT_FILE
    stored = load_file(path)
    save_file({name: value for name, value in stored.items() if "layer.1.output.dense.bias" not in name}, path)
    with pytest.raises(EncoderError, match=r"layer\.1\.output\.dense\.bias missing"):
        load_encoder(tmp_path / "model")
    scale = next(name for name in stored if name.endswith(":scale"))
    save_file(stored | {scale: torch.ones(1)}, path)
    with pytest.raises(EncoderError, match="do not fit each other"):
        load_encoder(tmp_path / "model")
    path.write_bytes(b"\x00" * 20)
    with pytest.raises(EncoderError, match="can't be read"):
        load_encoder(tmp_path / "model")
