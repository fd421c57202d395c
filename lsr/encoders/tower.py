"""One side of an encoder: a tokenizer, a transformer, a head; texts in, sparse rows out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from lsr.encoders.batching import Halving, in_order, plan
from lsr.encoders.config import Pruning, TowerConfig
from lsr.encoders.heads.base import Head, TokenStates
from lsr.encoders.memory import give_back
from lsr.encoders.pruning import prune
from lsr.encoders.token_batch import TextTokens, TokenBatch, echoed, pad, text_tokens
from lsr.encoders.tokens import TextTokenizer
from lsr.errors import EncoderError
from lsr.types import SparseBatch

MAX_TOKENS = {"cpu": 4096, "cuda": 65536}
"""Tokens of a batch, padding among them, by device."""

MAX_WEIGHTS = 1 << 25
"""Dense weights that exist at a time (128 MiB): texts of a batch × terms."""

MAX_LOGITS = 1 << 28
"""Logits that exist at a time (1 GiB) where a model can't be cut before its projection."""


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
        weights: Tensor = self.head(self.states(batch))
        return weights * _input_mask(batch, self.head.vocab_size) if self.config.expansion == "input" else weights

    def states(self, batch: TokenBatch) -> TokenStates:
        """Return the hidden states that the head scores terms from."""
        hidden = self.backbone(batch.input_ids, batch.attention_mask)
        scored = batch.scored
        return TokenStates(hidden[scored], batch.input_ids[scored], batch.literal[scored], scored.sum(1))

    def batch(self, texts: Sequence[str]) -> TokenBatch:
        """Return texts as one batch on the tower's device; none of them may be blank."""
        return pad(self._tokenise(texts), self._pad_id).to(self.device)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], names: Sequence[str]) -> SparseBatch:
        """Return one sparse row a text; a text of nothing but white space gives an empty row.

        names: what an error calls each text.
        Raises EncoderError if the model gives a weight that isn't a number.
        """
        self.eval()
        tokens = self._tokenise(texts)
        filled = [i for i, text in enumerate(texts) if text.strip() and tokens[i].literal.any()]
        groups = plan([len(tokens[i]) for i in filled], max_tokens=self.max_tokens, max_texts=self._max_texts)

        def encode_group(group: list[int]) -> SparseBatch:
            weights = self(pad([tokens[i] for i in group], self._pad_id).to(self.device))
            batch = _sparse(weights, self.config.pruning, [names[i] for i in group])
            del weights
            if len(groups) > 1 and self.device.type == "cpu":
                give_back()
            return batch

        halving = Halving(encode_group, self._release)
        parts = list(halving.run([filled[i] for i in group] for group in groups))
        return in_order(parts, len(texts), self.head.vocab_size)

    @property
    def text_length(self) -> int | None:
        """Tokens of a text that are read, special ones among them, each counted once; None: all."""
        return self._tokenizer.max_length

    @property
    def max_tokens(self) -> int:
        """Tokens of a batch, padding among them."""
        budget = self._max_tokens or MAX_TOKENS["cuda" if self.device.type == "cuda" else "cpu"]
        return max(1, min(budget, self.head.max_tokens(MAX_LOGITS)))

    @property
    def _max_texts(self) -> int:
        return max(1, MAX_WEIGHTS // self.head.vocab_size)

    def _tokenise(self, texts: Sequence[str]) -> list[TextTokens]:
        encodings = self._tokenizer.encode([self.config.prompt + text for text in texts])
        if self.config.echo:
            return [echoed(encoding) for encoding in encodings]
        return [text_tokens(encoding, literal_only=self.head.literal_only) for encoding in encodings]

    def _release(self) -> None:
        give_back()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _input_mask(batch: TokenBatch, vocab_size: int) -> Tensor:
    mask = torch.zeros(len(batch.input_ids), vocab_size, device=batch.input_ids.device)
    rows, columns = torch.nonzero(batch.literal, as_tuple=True)
    mask[rows, batch.input_ids[rows, columns]] = 1
    return mask


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
