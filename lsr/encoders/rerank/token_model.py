"""One side of a late-interaction model: texts in, a unit vector for each token out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lsr.encoders.network.dense_branch import Branch
from lsr.encoders.network.sparse_model import refuse_no_numbers
from lsr.encoders.network.text_model import TextTower
from lsr.encoders.network.token_batch import TextTokens, TokenBatch
from lsr.encoders.text.tokenizer import TextTokenizer

MAX_TEXTS = 256
"""Texts of a batch."""

TokenVectors = npt.NDArray[np.float16]
"""float16, (n_tokens, dimension), rows of unit length; a text of nothing but white space has none."""


@dataclass(frozen=True, slots=True)
class Marking:
    """Marking and filling of a text's tokens, as in "ColBERT" (Khattab and Zaharia, SIGIR 2020, arXiv:2004.12832).

    marker: put behind the first token. fill_to: length that masks fill up to, None for documents. mask: their id.
    attends: whether the others read them. skipped: ids whose vectors are left out.
    """

    marker: int
    fill_to: int | None = None
    mask: int = 0
    attends: bool = False
    skipped: frozenset[int] = frozenset()

    def marked(self, text: TextTokens) -> TextTokens:
        """Return a text's tokens with the added ones, each scored unless it is skipped."""
        ids = np.insert(text.ids, 1, self.marker)
        literal = np.insert(text.literal, 1, False)
        filled = max(0, (self.fill_to or 0) - len(ids))
        ids = np.concatenate([ids, np.full(filled, self.mask, np.int64)])
        literal = np.concatenate([literal, np.zeros(filled, bool)])
        return TextTokens(ids, literal, ~np.isin(ids, list(self.skipped)))


class TokenTower(TextTower):
    """Texts → unit vectors of their tokens.

    layers: applied to the hidden states. branch: source of the hidden states, if they aren't the last layer's. marking:
    None leaves texts as they are, and scores the text's own tokens alone.
    """

    def __init__(
        self,
        backbone: nn.Module,
        layers: nn.Module,
        tokenizer: TextTokenizer,
        *,
        branch: Branch | None = None,
        marking: Marking | None = None,
        prompt: str = "",
        pad_id: int,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__(
            backbone, tokenizer, prompt=prompt, literal_only=marking is None, pad_id=pad_id, max_tokens=max_tokens
        )
        self.layers = layers
        self._branch = branch
        self._marking = marking

    def tokens(self, texts: Sequence[str], *, tokenizer: TextTokenizer | None = None) -> list[TextTokens]:
        """Return the tokens of each text, marked and filled up."""
        plain = super().tokens(texts, tokenizer=tokenizer)
        return plain if self._marking is None else [self._marking.marked(text) for text in plain]

    def padded(self, tokens: Sequence[TextTokens]) -> TokenBatch:
        """Return tokenised texts as one batch; masks that don't count for others attend alone."""
        batch = super().padded(tokens)
        if self._marking is None or self._marking.fill_to is None or self._marking.attends:
            return batch
        own = (batch.input_ids != self._marking.mask) | batch.literal
        return replace(batch, attention_mask=batch.attention_mask * own)

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the vectors of all scored tokens, float32, (n_tokens, dimension), text after text."""
        states = self.backbone.both(batch.input_ids, batch.attention_mask, self._branch)[1]
        return nn.functional.normalize(self.layers(states[batch.scored]).float(), dim=1)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], names: Sequence[str]) -> list[TokenVectors]:
        """Return the token vectors of each text. names: each text's name in an error.

        Raises EncoderError if the model gives NaN or infinity.
        """

        def encode(batch: TokenBatch, names: list[str]) -> list[TokenVectors]:
            vectors = self(batch)
            lengths = batch.scored.sum(1)
            refuse_no_numbers(
                vectors, [name for name, n in zip(names, lengths.tolist(), strict=True) for _ in range(n)]
            )
            rows = vectors.half().cpu().numpy()
            ends = [0, *lengths.cumsum(0).tolist()]
            return [rows[first:last].copy() for first, last in pairwise(ends)]

        found: list[TokenVectors] = [np.zeros((0, 0), np.float16)] * len(texts)
        for group, parts in self.in_batches(texts, names, encode, max_tokens=self.max_tokens, max_texts=MAX_TEXTS):
            for i, part in zip(group, parts, strict=True):
                found[i] = part
        return found
