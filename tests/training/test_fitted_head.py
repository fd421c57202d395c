"""A masked-LM head fitted to a transformer that has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from lsr.encoders.pretrained.load_encoder import start_encoder
from lsr.errors import EncoderError, UsageError
from lsr.training.model.fit_mlm_head import fit_head
from lsr.types import Document

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{i}" for i in range(300))]


@pytest.fixture(scope="module")
def headless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("headless")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.1,
    )  # fmt: skip
    BertModel(config).save_pretrained(folder)
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    return folder


def documents(n: int, seed: int) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [Document(str(i), " ".join(f"w{j}" for j in rng.integers(300, size=20))) for i in range(n)]


def test_a_documents_own_terms_stand_on_top_from_the_start(headless: Path, tmp_path: Path) -> None:
    fit_head(headless, documents(200, 0), tmp_path / "model")
    encoder = start_encoder("inference-free", tmp_path / "model")
    unseen = documents(20, 1)
    shares = []
    for document, (term_ids, weights) in zip(unseen, encoder.encode_documents(unseen), strict=True):
        own = set(document.text.split())
        best = [encoder.terms[t] for t in term_ids[np.argsort(-weights)][: len(own)]]
        shares.append(len(own & set(best)) / len(own))
        assert not {"[CLS]", "[SEP]", "[PAD]"} & {encoder.terms[t] for t in term_ids}
    assert np.mean(shares) > 0.9
    fit_head(headless, documents(200, 0), tmp_path / "again")
    assert np.array_equal(
        start_encoder("inference-free", tmp_path / "again").encode_documents(unseen).weights,
        encoder.encode_documents(unseen).weights,
    )


def test_a_roberta_like_transformer_gets_its_own_kind_of_head(headless: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer, XLMRobertaConfig, XLMRobertaModel

    torch.manual_seed(0)
    config = XLMRobertaConfig(
        vocab_size=len(WORDS), hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=64, initializer_range=0.1, pad_token_id=0, bos_token_id=2, eos_token_id=3,
        type_vocab_size=1,
    )  # fmt: skip
    XLMRobertaModel(config).save_pretrained(tmp_path / "headless")
    AutoTokenizer.from_pretrained(headless).save_pretrained(tmp_path / "headless")
    fit_head(tmp_path / "headless", documents(200, 0), tmp_path / "model")
    encoder = start_encoder("splade", tmp_path / "model")
    unseen = documents(10, 1)
    for document, (term_ids, weights) in zip(unseen, encoder.encode_documents(unseen), strict=True):
        own = set(document.text.split())
        best = {encoder.terms[t] for t in term_ids[np.argsort(-weights)][: len(own)]}
        assert len(own & best) / len(own) > 0.9


def test_what_can_not_be_fitted_is_refused(headless: Path, tmp_path: Path) -> None:
    from transformers import DistilBertConfig, DistilBertModel

    with pytest.raises(UsageError, match="3 documents: fitting a head takes 10 or more"):
        fit_head(headless, documents(3, 0), tmp_path / "model")
    folder = tmp_path / "other"
    DistilBertModel(DistilBertConfig(vocab_size=20, dim=8, n_layers=1, n_heads=1, hidden_dim=8)).save_pretrained(folder)
    with pytest.raises(EncoderError, match="distilbert model"):
        fit_head(folder, documents(20, 0), tmp_path / "model")
