"""Tokenised texts, alone and padded into batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Encoding
from torch import Tensor


@dataclass(frozen=True, slots=True)
class TextTokens:
    """One text's tokens: ids int64; literal and scored bool; all (n_tokens).

    literal: the text's own tokens, not special ones. scored: positions whose states count; the others are only read.
    """

    ids: npt.NDArray[np.int64]
    literal: npt.NDArray[np.bool_]
    scored: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.ids)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Padded texts: input_ids and attention_mask int64, literal and scored bool, all (n_texts, length).

    literal, scored: as of `TextTokens`, False where a text is padded.
    """

    input_ids: Tensor
    attention_mask: Tensor
    literal: Tensor
    scored: Tensor

    def to(self, device: torch.device) -> TokenBatch:
        """Return the batch on another device."""
        return TokenBatch(
            self.input_ids.to(device), self.attention_mask.to(device), self.literal.to(device), self.scored.to(device)
        )


def text_tokens(encoding: Encoding, *, literal_only: bool) -> TextTokens:
    """Return a text as the tokenizer gives it; with `literal_only` special tokens aren't scored."""
    ids = np.array(encoding.ids, np.int64)
    literal = np.array(encoding.special_tokens_mask) == 0
    return TextTokens(ids, literal, literal if literal_only else np.ones(len(ids), bool))


def echoed(encoding: Encoding) -> TextTokens:
    """Return a text twice, of which the second time is scored: there a causal model has read all of it.

    Springer et al., "Repetition Improves Language Model Embeddings" (2024, arXiv:2402.15449); for sparse vectors
    Doshi et al., "Mistral-SPLADE: LLMs for better Learned Sparse Retrieval" (2024, arXiv:2408.11119).
    """
    ids = np.array(encoding.ids, np.int64)
    literal = np.array(encoding.special_tokens_mask) == 0
    own = np.flatnonzero(literal)
    start, end = (int(own[0]), int(own[-1]) + 1) if len(own) else (len(ids), len(ids))
    echo = slice(start, end)
    before, after = ids[:end], ids[end:]
    scored = np.zeros(len(ids) + end - start, bool)
    scored[end : end + end - start] = literal[echo]
    return TextTokens(
        np.concatenate([before, ids[echo], after]),
        np.concatenate([literal[:end], literal[echo], literal[end:]]),
        scored,
    )


def pad(texts: Sequence[TextTokens], pad_id: int) -> TokenBatch:
    """Put texts of different lengths into one batch, the shorter ones filled up with `pad_id`."""
    longest = max(len(text) for text in texts)
    ids = np.full((len(texts), longest), pad_id, np.int64)
    attention = np.zeros((len(texts), longest), np.int64)
    literal = np.zeros((len(texts), longest), bool)
    scored = np.zeros((len(texts), longest), bool)
    for i, text in enumerate(texts):
        ids[i, : len(text)] = text.ids
        attention[i, : len(text)] = 1
        literal[i, : len(text)] = text.literal
        scored[i, : len(text)] = text.scored
    return TokenBatch(*(torch.from_numpy(array) for array in (ids, attention, literal, scored)))
