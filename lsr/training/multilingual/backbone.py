"""A small XLM-R-like transformer whose embeddings are the same across languages, made of parallel texts in minutes.

Levy, Søgaard and Goldberg, "A Strong Baseline for Learning Cross-Lingual Word Embeddings from Sentence Alignments"
(EACL 2017, arXiv:1608.05426): tokens of all languages are described by the numbers of the sentences that they are in,
and these vectors are shortened. Here by a truncated singular value decomposition of their weighted counts, by random
projections (Halko et al., 2011, arXiv:0909.4061). A real multilingual model is better, and trained the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lsr.errors import UsageError

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
MASK = "<mask>"
MAX_TOKENS = 128


@dataclass(frozen=True, slots=True)
class BackboneSettings:
    """Settings of a transformer. n_terms: at most, as many as the texts have pieces. size: of its states.

    passes: over the counts, for the decomposition.
    """

    n_terms: int = 250_002
    size: int = 64
    layers: int = 1
    passes: int = 3
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values that don't fit."""
        for name, least in (("n_terms", 100), ("size", 2), ("layers", 1), ("passes", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"backbone: {name} is {getattr(self, name)}, but has to be {least} or more")


def make_backbone(sentences: Sequence[Sequence[str]], folder: Path, settings: BackboneSettings | None = None) -> None:
    """Write a transformer without a head to `folder`. sentences: each in all its languages.

    Raises UsageError for too few texts.
    """
    from transformers import XLMRobertaConfig, XLMRobertaModel

    settings = settings or BackboneSettings()
    tokenizer = make_tokenizer([text for texts in sentences for text in texts], settings.n_terms)
    if len(tokenizer) <= settings.size or len(sentences) <= settings.size:
        raise UsageError(
            f"backbone: {len(tokenizer)} terms in {len(sentences)} sentences, but states of {settings.size} numbers "
            "take more than that of both: lower the size, or give more texts"
        )
    tokenizer.save_pretrained(folder)
    read = tokenizer.backend_tokenizer.encode
    ids = [[read(text, add_special_tokens=False).ids for text in texts] for texts in sentences]
    vectors = sentence_embeddings(ids, len(tokenizer), settings)
    torch.manual_seed(settings.seed)
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), hidden_size=settings.size, num_hidden_layers=settings.layers,
        num_attention_heads=max(1, settings.size // 32), intermediate_size=2 * settings.size, pad_token_id=1,
        bos_token_id=0, eos_token_id=2, max_position_embeddings=MAX_TOKENS + 2, initializer_range=0.02,
        type_vocab_size=1,
    )  # fmt: skip
    model = XLMRobertaModel(config, add_pooling_layer=False)
    with torch.no_grad():
        # Unit length times √size: a token's numbers are of the size that the layer norm behind them gives.
        table = torch.from_numpy(vectors) * settings.size**0.5
        table[1] = 0
        model.embeddings.word_embeddings.weight.copy_(table)
    model.save_pretrained(folder)


def make_tokenizer(texts: Sequence[str], n_terms: int) -> Any:
    """Return a tokenizer like XLM-R's: pieces of a unigram model, `▁` for a space, four special ids first."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=n_terms - 1, special_tokens=list(SPECIAL), show_progress=False, unk_token=SPECIAL[3]
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([MASK])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    names = dict(zip(("bos", "pad", "eos", "unk", "cls", "sep", "mask"), (*SPECIAL, "<s>", "</s>", MASK), strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_TOKENS,
        **{f"{name}_token": token for name, token in names.items()},
    )


def sentence_embeddings(
    sentences: Sequence[Sequence[Sequence[int]]], n_terms: int, settings: BackboneSettings
) -> npt.NDArray[np.float32]:
    """Return a vector of unit length for each term, (n_terms, size), by the sentences that it is in.

    sentences: token ids of each in all its languages. Terms of no sentence have a random vector.
    """
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(settings.seed)
    tokens = [np.unique([i for ids in texts for i in ids]).astype(np.int64) for texts in sentences]
    columns = np.repeat(np.arange(len(tokens)), [len(ids) for ids in tokens])
    rows = np.concatenate([*tokens, np.empty(0, np.int64)])
    df = np.bincount(rows, minlength=n_terms)
    weights = np.log(1 + len(tokens) / df[rows]).astype(np.float32)
    counts = csr_matrix((weights, (rows, columns)), shape=(n_terms, len(tokens)))
    found = counts @ rng.standard_normal((len(tokens), settings.size)).astype(np.float32)
    for _ in range(settings.passes):
        found = counts @ (counts.T @ np.linalg.qr(found)[0])
    basis = np.linalg.qr(found)[0]
    left, values, _ = np.linalg.svd(np.asarray(counts.T @ basis).T, full_matrices=False)
    vectors: npt.NDArray[np.float32] = (basis @ (left * np.sqrt(values))).astype(np.float32)
    vectors += 1e-4 * rng.standard_normal(vectors.shape).astype(np.float32) * (df == 0)[:, None]
    unit: npt.NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    return unit
