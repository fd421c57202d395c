"""Masked-LM head, fitted by ridge regression, for a transformer that was published without one.

At a token's position, that token and similar ones should score high. So the map from last hidden states to the tokens'
input embeddings (centred, of unit length) is solved for; training starts from there. It is written into the head of
BERT or RoBERTa, a linear layer, GELU and a layer norm: the linear layer is shifted up so far that GELU leaves it
unchanged, and the norm removes the shift.

Hoerl and Kennard, "Ridge Regression" (Technometrics 12, 1970). Documents' own terms as the first thing to learn:
Formal et al., SPLADE (SIGIR 2021, arXiv:2107.05720), section 3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lsr.encoders.pretrained.transformers_checkpoint import (
    HIDDEN_STATES,
    quietly,
    read_model,
    read_tokenizer_of,
)
from lsr.errors import EncoderError, UsageError
from lsr.types import Document

SHIFT, SPREAD = 6.0, 1.2
"""Shift of the linear layer, and the standard deviation of the regression's outputs.

GELU(x + 6) differs from x + 6 by less than 1e-5 for x above -2.
"""
MARGIN = 5.0
"""Distance of the logit of a position's token from the mean of all, in the units of logits."""
ACTIVE_TERMS = 200
"""Terms of a document at the start, on average: decides the bias."""
RIDGE = 0.01
SPECIAL_BIAS = -50.0
MAX_POOLED = 1 << 25
"""Logits that are compared for the bias, texts × terms: fewer texts of a large vocabulary."""

_PLACES = {
    "bert": ("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias"),
    "roberta": ("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
}
"""The linear layer, the norm and the bias of a head; XLM-R and CamemBERT have RoBERTa's."""
_KINDS = {"bert": "bert", "roberta": "roberta", "xlm-roberta": "roberta", "camembert": "roberta"}


@dataclass(frozen=True, slots=True)
class _Head:
    """The parts of a model's head. bias: a value for each term."""

    dense: nn.Linear
    norm: nn.LayerNorm
    bias: Tensor

    def transform(self, hidden: Tensor) -> Tensor:
        """Return hidden states as the embeddings are compared with them."""
        states: Tensor = self.norm(nn.functional.gelu(self.dense(hidden)))
        return states


def _head_of(model: Any) -> _Head:
    dense, norm, bias = _PLACES[_KINDS[model.config.model_type]]
    place, _, leaf = bias.rpartition(".")
    return _Head(model.get_submodule(dense), model.get_submodule(norm), getattr(model.get_submodule(place), leaf))


def fit_head_to_files(source: Path, folder: Path, *, files: Sequence[str], n_documents: int = 400) -> None:
    """Write the transformer in `source` to `folder` with a head fitted to the first documents of files.

    Raises UsageError if they hold too few, and as `read_corpus` and `fit_head` do.
    """
    from itertools import islice

    from lsr.indexer.corpus.reader import read_corpus

    fit_head(source, list(islice(read_corpus([Path(file) for file in files]), n_documents)), folder)


def fit_head(
    source: Path, documents: Sequence[Document], folder: Path, *, max_length: int = 128, ridge: float = RIDGE
) -> None:
    """Write the transformer in `source` to `folder`, with a masked-LM head fitted to `documents`.

    A few hundred documents suffice. ridge: the penalty, in units of a state's mean variance.
    Raises EncoderError where the model is not of BERT's or RoBERTa's kind, UsageError for fewer than 10 documents.
    """
    from transformers import AutoConfig, AutoModelForMaskedLM

    config = AutoConfig.from_pretrained(str(source), local_files_only=True, trust_remote_code=False)
    if config.model_type not in _KINDS:
        raise EncoderError(
            f"{source} is a {config.model_type} model: a head can be fitted to models of kind {', '.join(_KINDS)} only"
        )
    if len(documents) < 10:
        raise UsageError(f"{len(documents)} documents: fitting a head takes 10 or more")
    tokenizer = read_tokenizer_of(source)
    with quietly():
        model = AutoModelForMaskedLM.from_config(config)
        model.base_model.load_state_dict(read_model(source, HIDDEN_STATES, torch.float32).state_dict(), strict=False)
        model.tie_weights()
    model.eval()
    _fit(model, tokenizer, [document.full_text for document in documents], max_length, ridge)
    with quietly():
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def _fit(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int, ridge: float) -> None:
    special = torch.tensor(sorted(set(tokenizer.all_special_ids)))
    states, ids, lengths = [], [], []
    for hidden, tokens in _states(model, tokenizer, texts, max_length):
        kept = ~torch.isin(tokens, special)
        states.append(hidden[kept])
        ids.append(tokens[kept])
        lengths.append(int(kept.sum()))
    x, tokens = torch.cat(states), torch.cat(ids)
    embeddings = model.get_output_embeddings().weight
    mean = embeddings.mean(0)
    targets = nn.functional.normalize(embeddings - mean, dim=1)[tokens]
    centre = x.mean(0)
    x -= centre
    size = x.shape[1]
    penalty = ridge * len(x) * x.var(0).mean() * torch.eye(size)
    weight = torch.linalg.solve(x.T @ x + penalty, x.T @ targets)
    # Outputs without a part along the mean embedding, which would lift all terms alike, nor along (1, …, 1), which
    # the layer norm takes away.
    base = torch.linalg.qr(torch.stack([mean, torch.ones(size)], 1))[0]
    weight -= (weight @ base) @ base.T
    weight *= SPREAD / (x @ weight).std()
    head = _head_of(model)
    head.dense.weight.copy_(weight.T)
    head.dense.bias.copy_(SHIFT - centre @ weight)
    head.norm.bias.zero_()
    head.norm.weight.fill_(1)
    head.bias.zero_()
    compared = max(1, MAX_POOLED // len(embeddings))
    pooled, own, rest = _logits(
        head, torch.split(x + centre, lengths)[:compared], torch.split(tokens, lengths)[:compared], embeddings
    )
    factor = MARGIN / (own - rest)
    threshold = torch.topk(pooled * factor, min(ACTIVE_TERMS, pooled.shape[1] - 1), dim=1).values[:, -1].mean()
    head.norm.weight.fill_(float(factor))
    head.bias.fill_(-float(threshold))
    head.bias[special] = SPECIAL_BIAS


def _states(model: Any, tokenizer: Any, texts: Sequence[str], max_length: int) -> Iterator[tuple[Tensor, Tensor]]:
    for text in texts:
        inputs = tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        states = model.base_model(inputs["input_ids"], attention_mask=inputs["attention_mask"])
        yield states.last_hidden_state[0], inputs["input_ids"][0]


def _logits(
    head: _Head, states: Sequence[Tensor], tokens: Sequence[Tensor], embeddings: Tensor
) -> tuple[Tensor, float, float]:
    """Return the largest logit of each text and term, and the means over a token's own and over all terms."""
    pooled, own, rest = [], [], []
    for hidden, ids in zip(states, tokens, strict=True):
        if len(ids) == 0:
            continue
        logits = head.transform(hidden) @ embeddings.T
        pooled.append(logits.amax(0))
        own.append(logits.gather(1, ids[:, None]).mean())
        rest.append(logits.mean())
    return torch.stack(pooled), float(torch.stack(own).mean()), float(torch.stack(rest).mean())
