"""Late interaction: a unit vector for each token, of ColBERT's and PyLate's layouts and of any dense model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lsr.encoders.dense.encoder import load_dense
from lsr.encoders.pretrained.colbert_folder import LateSettings, read_late_layout
from lsr.encoders.rerank.late_interaction import late_interaction_of, load_late_interaction
from lsr.errors import EncoderError, UsageError

TEXTS = ["the cat sat on the mat .", "a dog run ##ning", "tree ##house ?"]
WIDTH = 8


def save_bert(folder: Path, tiny: Any) -> Any:
    from transformers import BertModel

    torch.manual_seed(5)
    model = BertModel(tiny.config(), add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return model


def projection() -> torch.Tensor:
    return torch.randn(WIDTH, 32, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def colbert(tmp_path: Path, tiny: Any) -> Path:
    folder = tmp_path / "colbert"
    save_bert(folder, tiny)
    weights = {f"bert.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    save_file({**weights, "linear.weight": projection()}, folder / "model.safetensors", metadata={"format": "pt"})
    values = {"query_token_id": "a", "doc_token_id": "b", "query_maxlen": 12, "doc_maxlen": 16, "similarity": "cosine"}
    (folder / "artifact.metadata").write_text(json.dumps(values))
    return folder


@pytest.fixture
def pylate(tmp_path: Path, tiny: Any) -> Path:
    folder = tmp_path / "pylate"
    save_bert(folder, tiny)
    (folder / "1_Dense").mkdir()
    save_file({"linear.weight": projection()}, folder / "1_Dense" / "model.safetensors")
    layer = {"in_features": 32, "out_features": WIDTH, "bias": False}
    layer |= {"activation_function": "torch.nn.modules.linear.Identity"}
    (folder / "1_Dense" / "config.json").write_text(json.dumps(layer))
    modules = [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Dense", "type": "pylate.models.Dense.Dense"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    values = {"query_prefix": "a", "document_prefix": "b", "query_length": 12, "document_length": 16}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(values))
    return folder


def one_by_one(folder: Path, text: str, tiny: Any, *, query: bool) -> Any:
    """Compute what the paper says, with the library's model and a text at a time."""
    from transformers import BertModel

    model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()
    tokenizer = tiny.tokenizer()
    ids = tokenizer(text, truncation=True, max_length=11 if query else 15)["input_ids"]
    ids.insert(1, tokenizer.convert_tokens_to_ids("a" if query else "b"))
    read = [1] * len(ids)
    if query:
        read += [0] * (12 - len(ids))
        ids += [tokenizer.mask_token_id] * (12 - len(ids))
    with torch.no_grad():
        states = model(input_ids=torch.tensor([ids]), attention_mask=torch.tensor([read])).last_hidden_state[0]
    vectors = torch.nn.functional.normalize(states @ projection().T, dim=1)
    kept = [query or tokenizer.convert_ids_to_tokens(i) not in "?." for i in ids]
    return vectors[torch.tensor(kept)].numpy()


@pytest.mark.parametrize("layout", ["colbert", "pylate"])
def test_tokens_are_marked_masked_and_projected_as_the_library_does(
    layout: str, tiny: Any, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(layout)
    plain = request.getfixturevalue("pylate")  # the same transformer, by names that the library knows
    model = load_late_interaction(folder)
    assert model.description["kind"] == "late-interaction" and model.name == str(folder)
    for text, vectors in zip(TEXTS, model.encode_texts(TEXTS, TEXTS), strict=True):
        assert vectors.dtype == np.float16
        assert vectors == pytest.approx(one_by_one(plain, text, tiny, query=False), abs=2e-3)
        assert model.encode_query(text) == pytest.approx(one_by_one(plain, text, tiny, query=True), abs=2e-3)


def test_a_colbert_model_without_its_metadata_has_the_usual_settings(colbert: Path) -> None:
    (colbert / "artifact.metadata").unlink()
    assert read_late_layout(colbert) is None  # a plain BERT, for all that is known
    config = json.loads((colbert / "config.json").read_text())
    (colbert / "config.json").write_text(json.dumps({**config, "architectures": ["HF_ColBERT"]}))
    layout = read_late_layout(colbert)
    assert layout is not None and layout.settings == LateSettings("[unused0]", "[unused1]")
    with pytest.raises(EncoderError, match=r"doesn't have the token '\[unused0\]'"):
        load_late_interaction(colbert)


def test_a_dense_model_has_token_vectors_whose_mean_is_its_own(tmp_path: Path, tiny: Any) -> None:
    folder = tmp_path / "dense"
    save_bert(folder, tiny)
    encoder = load_dense(folder)
    model = late_interaction_of(encoder)
    assert model.description == encoder.description
    blank, *rest = model.encode_texts(["  ", *TEXTS], ["", *TEXTS])
    assert len(blank) == 0
    tokenizer = tiny.tokenizer()
    for text, vectors in zip(TEXTS, rest, strict=True):
        assert len(vectors) == len(tokenizer(text, add_special_tokens=False)["input_ids"])
        assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)
        with torch.no_grad():
            ids = torch.tensor([tokenizer(text)["input_ids"]])
            states = encoder.document.backbone(ids, torch.ones_like(ids))[0, 1:-1]
        assert vectors == pytest.approx(torch.nn.functional.normalize(states, dim=1).numpy(), abs=2e-3)


def test_a_joint_model_gives_the_vectors_of_its_dense_head(plain_folder: Path) -> None:
    from lsr.encoders.config import DenseConfig, EncoderConfig
    from lsr.encoders.pretrained.load_encoder import start_encoder

    config = EncoderConfig("joint", query_side="table", dense=DenseConfig(shared_layers=1))
    encoder = start_encoder(config, plain_folder)
    model = late_interaction_of(encoder)
    (vectors,) = model.encode_texts(TEXTS[:1], TEXTS[:1])
    assert vectors.shape == (7, 32)
    head = encoder.document.tower.dense_head
    batch = encoder.document.tower.padded(encoder.document.tower.tokens(TEXTS[:1]))
    with torch.no_grad():
        states = encoder.document.tower.backbone.both(batch.input_ids, batch.attention_mask, head.branch)[1][0, 1:-1]
    assert vectors == pytest.approx(torch.nn.functional.normalize(states, dim=1).numpy(), abs=2e-3)
    assert model.encode_query(TEXTS[0]) == pytest.approx(vectors, abs=2e-3)


def test_what_is_no_transformer_has_no_token_vectors() -> None:
    class Words:
        description: Mapping[str, str] = {"name": "words"}

    with pytest.raises(UsageError, match="late interaction needs token vectors, but words is no transformer"):
        late_interaction_of(Words())  # type: ignore[arg-type]


def test_broken_models_are_refused(colbert: Path, pylate: Path, tmp_path: Path) -> None:
    weights = load_file(colbert / "model.safetensors")
    save_file({**weights, "linear.weight": torch.ones(4, 5)}, colbert / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"linear.weight is of shape \(4, 5\), but hidden states have 32"):
        load_late_interaction(colbert)
    save_file({**weights, "linear.weight": projection() * torch.nan}, colbert / "model.safetensors", {"format": "pt"})
    with pytest.raises(EncoderError, match="query 'cat': the model gives weights that are not numbers"):
        load_late_interaction(colbert).encode_query("cat")
    without = Path(shutil.copytree(pylate, tmp_path / "without"))
    (without / "1_Dense" / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="the layer's weights are not there, or pickled"):
        load_late_interaction(without)
    values = {"query_prefix": "[Q] ", "document_prefix": "b"}
    (pylate / "config_sentence_transformers.json").write_text(json.dumps(values))
    with pytest.raises(EncoderError, match=r"doesn't have the token '\[Q\] ' that it marks texts by"):
        load_late_interaction(pylate)
    (pylate / "config_sentence_transformers.json").write_text("{}")
    with pytest.raises(EncoderError, match="not as ColBERT or PyLate write"):
        load_late_interaction(pylate)
