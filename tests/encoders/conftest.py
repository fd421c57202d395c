"""Tiny models, made here with random weights, in every layout that the encoders read."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

_WORDS = """
    [PAD] [UNK] [CLS] [SEP] [MASK] the cat dog sat on mat run ##ning ##s ##ed tree ##house a b c d e ##f ? .
    walk walker learn ##er sparse retrieval index query café ##é 机
"""
WORDS = _WORDS.split()


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names)


def make_config(**changes: Any) -> Any:
    from transformers import BertConfig

    values = {
        "vocab_size": len(WORDS),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 48,
        "max_position_embeddings": 64,
        "initializer_range": 0.5,  # far from 0, so that a wrong term or position shows
    }
    return BertConfig(**{**values, **changes})


def make_model(seed: int = 0, **changes: Any) -> Any:
    from transformers import BertForMaskedLM

    torch.manual_seed(seed)
    model = BertForMaskedLM(make_config(**changes)).eval()
    with torch.no_grad():  # biases start at 0, which would hide their loss
        model.cls.predictions.bias.normal_()
    return model


def save_plain(folder: Path, seed: int = 0, **changes: Any) -> Path:
    make_model(seed, **changes).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models only lose by more threads, most of all beside other processes."""
    torch.set_num_threads(1)


class Tiny:
    """Parts of tiny models; in a fixture, since test modules can't import each other."""

    words = WORDS
    tokenizer = staticmethod(make_tokenizer)
    model = staticmethod(make_model)
    config = staticmethod(make_config)
    save_plain = staticmethod(save_plain)


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Save a masked-LM checkpoint as `transformers` saves it."""
    return save_plain(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="session")
def symmetric_folder(tmp_path_factory: pytest.TempPathFactory, plain_folder: Path) -> Path:
    """Save a SPLADE model as Sentence-Transformers saves it."""
    from sentence_transformers import SparseEncoder

    folder = tmp_path_factory.mktemp("symmetric")
    SparseEncoder(str(plain_folder), device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture(scope="session")
def router_folder(tmp_path_factory: pytest.TempPathFactory, plain_folder: Path) -> Path:
    """Save an inference-free model as Sentence-Transformers saves it."""
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import (
        Router,
        SparseStaticEmbedding,
        SpladePooling,
        Transformer,
    )

    folder = tmp_path_factory.mktemp("router")
    transformer = Transformer(str(plain_folder), transformer_task="fill-mask")
    torch.manual_seed(1)
    weights = torch.rand(len(WORDS)) * 5
    weights[WORDS.index("the")] = 0
    router = Router.for_query_document(
        query_modules=[SparseStaticEmbedding(transformer.tokenizer, weight=weights, frozen=True)],
        document_modules=[transformer, SpladePooling("max", activation_function="log1p_relu")],
    )
    SparseEncoder(modules=[router], device="cpu").save_pretrained(str(folder))
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Copy a model's folder, to be damaged."""

    def copy(folder: Path) -> Path:
        return Path(shutil.copytree(folder, tmp_path / folder.name))

    return copy
