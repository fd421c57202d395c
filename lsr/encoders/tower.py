"""One side of an encoder: a tokenizer, a transformer, a head; texts in, sparse rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Encoding
from torch import Tensor, nn

from lsr.encoders.batching import Halving, in_order, plan
from lsr.encoders.config import Pruning, TowerConfig
from lsr.encoders.heads.base import Head, TokenStates
from lsr.encoders.pruning import prune
from lsr.encoders.tokens import TextTokenizer
from lsr.errors import EncoderError
from lsr.types import SparseBatch

MAX_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Tokens of a batch, padding among them, by device."""

MAX_WEIGHTS = 1 << 25
"""Dense weights that exist at a time (128 MiB): texts of a batch × terms."""

MAX_LOGITS = 1 << 28
"""Logits that exist at a time (1 GiB) where a model can't be cut before its projection."""


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """Padded texts: input_ids and attention_mask int64, scored and literal bool, all (n_texts, length).

    scored: the positions whose states count; the others are only read. literal: those of them that are the
    text's own tokens, not special ones.
    """

    input_ids: Tensor
    attention_mask: Tensor
    scored: Tensor
    literal: Tensor


class Tower(nn.Module):
    """Texts → dense weights (`forward`, which can be trained) or sparse rows (`encode`).

    backbone: token ids and mask → hidden states. pad_id: stands behind shorter texts, never read.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: Head,
        tokenizer: TextTokenizer,
        config: TowerConfig,
        *,
        pad_id: int,
        max_tokens: int | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.config = config
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._max_tokens = max_tokens

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the weights of each text, float32, (n_texts, vocab_size). Every text has a scored position."""
        hidden = self.backbone(batch.input_ids, batch.attention_mask)
        states = TokenStates(hidden[batch.scored], batch.input_ids[batch.scored], batch.scored.sum(1))
        weights: Tensor = self.head(states)
        if self.config.expansion == "input":
            weights = weights * self._input_mask(batch)
        return weights

    def _input_mask(self, batch: TokenBatch) -> Tensor:
        mask = torch.zeros(len(batch.input_ids), self.head.vocab_size, device=batch.input_ids.device)
        rows, columns = torch.nonzero(batch.literal, as_tuple=True)
        mask[rows, batch.input_ids[rows, columns]] = 1
        return mask

    def tokenise(self, texts: Sequence[str]) -> list[Encoding]:
        """Return the tokens of each text, its prompt before it."""
        return self._tokenizer.encode([self.config.prompt + text for text in texts])

    def pad(self, encodings: Sequence[Encoding]) -> TokenBatch:
        """Put texts of different lengths into one batch on the tower's device."""
        longest = max(len(encoding) for encoding in encodings)
        ids = np.full((len(encodings), longest), self._pad_id, np.int64)
        attention = np.zeros((len(encodings), longest), np.int64)
        literal = np.zeros((len(encodings), longest), bool)
        for i, encoding in enumerate(encodings):
            length = len(encoding)
            ids[i, :length] = encoding.ids
            attention[i, :length] = 1
            literal[i, :length] = np.array(encoding.special_tokens_mask) == 0
        scored = literal if self.head.literal_only else attention == 1
        return TokenBatch(*(torch.from_numpy(array).to(self.device) for array in (ids, attention, scored, literal)))

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], names: Sequence[str]) -> SparseBatch:
        """Return one sparse row a text; a text of nothing but white space gives an empty row.

        names: what an error calls each text.
        Raises EncoderError if the model gives a weight that isn't a number.
        """
        self.eval()
        encodings = self.tokenise(texts)
        filled = [i for i, text in enumerate(texts) if text.strip() and not all(encodings[i].special_tokens_mask)]
        groups = plan([len(encodings[i]) for i in filled], max_tokens=self.max_tokens, max_texts=self._max_texts)

        def encode_group(group: list[int]) -> SparseBatch:
            weights = self(self.pad([encodings[i] for i in group]))
            return _sparse(weights, self.config.pruning, [names[i] for i in group])

        halving = Halving(encode_group, self._release)
        parts = list(halving.run([filled[i] for i in group] for group in groups))
        return in_order(parts, len(texts), self.head.vocab_size)

    @property
    def max_tokens(self) -> int:
        """Tokens of a batch, padding among them."""
        budget = self._max_tokens or MAX_TOKENS["cuda" if self.device.type == "cuda" else "cpu"]
        if getattr(self.head, "projection", self) is None:
            budget = min(budget, MAX_LOGITS // self.head.vocab_size)
        return max(1, budget)

    @property
    def _max_texts(self) -> int:
        return max(1, MAX_WEIGHTS // self.head.vocab_size)

    def _release(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _sparse(weights: Tensor, pruning: Pruning, names: Sequence[str]) -> SparseBatch:
    finite = torch.isfinite(weights).all(dim=1)
    if not bool(finite.all()):
        name = names[int(torch.argmin(finite.int()))]
        raise EncoderError(f"{name}: the model gives weights that are not numbers (NaN or infinite); it is broken")
    rows, terms = torch.nonzero(weights > 0, as_tuple=True)
    values = weights[rows, terms]
    indptr = np.zeros(len(weights) + 1, np.int64)
    np.cumsum(np.bincount(rows.cpu().numpy(), minlength=len(weights)), out=indptr[1:])
    batch = SparseBatch(
        indptr,
        terms.cpu().numpy().astype(np.int32),
        values.cpu().numpy().astype(np.float32),
        int(weights.shape[1]),
    )
    return batch if pruning == Pruning() else prune(batch, pruning)
