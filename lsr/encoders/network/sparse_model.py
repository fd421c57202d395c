"""One side of a sparse encoder: a transformer and a head; texts in, sparse rows out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from lsr.encoders.config import Pruning, TowerConfig
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.network.batching import rows_in_order, vectors_in_order
from lsr.encoders.network.heads.base import Head, TokenStates
from lsr.encoders.network.heads.dense import DenseHead
from lsr.encoders.network.text_model import TextTower
from lsr.encoders.network.token_batch import TokenBatch
from lsr.encoders.sparse.pruning import prune
from lsr.encoders.sparse.repeated_tokens import count_repeats
from lsr.encoders.text.tokenizer import TextTokenizer
from lsr.errors import EncoderError
from lsr.types import SparseBatch

MAX_WEIGHTS = 1 << 25
"""Dense weights that exist at a time (128 MiB): texts of a batch × terms."""

MAX_LOGITS = 1 << 28
"""Logits that exist at a time (1 GiB) where a model can't be cut before its projection."""


class TokenWeights(NamedTuple):
    """The largest weights of each token, (n_texts, longest, kept), and their terms, int64; filled up with 0."""

    weights: Tensor
    terms: Tensor


class TrainingOutput(NamedTuple):
    """Output of a tower in training: weights float32 (n_texts, n_terms), logits of the same shape or None.

    dense: float32, (n_texts, dimension), None without a dense head. token_weights, token_terms: as of `TokenWeights`,
    None where they weren't asked for.
    """

    weights: Tensor
    logits: Tensor | None
    dense: Tensor | None
    token_weights: Tensor | None = None
    token_terms: Tensor | None = None

    @property
    def tokens(self) -> TokenWeights:
        """Token vectors, which have to be there."""
        assert self.token_weights is not None and self.token_terms is not None
        return TokenWeights(self.token_weights, self.token_terms)


class Tower(TextTower):
    """Texts → dense weights (`forward`, which can be trained) or sparse rows (`encode`).

    dense_head: gives a dense vector of the same pass (`forward_jointly`, `encode_jointly`).
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
        dense_head: DenseHead | None = None,
    ) -> None:
        super().__init__(
            backbone,
            tokenizer,
            prompt=config.prompt,
            echo=config.echo,
            literal_only=head.literal_only,
            pad_id=pad_id,
            max_tokens=max_tokens,
        )
        self.head = head
        self.dense_head = dense_head
        self.config = config

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the weights of each text, float32, (n_texts, vocab_size). Every text has a scored position."""
        return self._weights(self.backbone(batch.input_ids, batch.attention_mask), batch)

    def for_training(
        self, batch: TokenBatch, terms: Tensor | None = None, *, with_dense: bool = False, tokens_kept: int = 0
    ) -> TrainingOutput:
        """Return weights of all or of chosen terms, logits, and dense vectors if wanted, each with a gradient.

        tokens_kept: number of the largest weights of each token that are returned, too; 0: none.
        """
        hidden = None
        # A branch stays what it was: nothing is learned from its vectors.
        if self.dense_head is None or self.dense_head.branch is not None or not with_dense:
            states = self.backbone(batch.input_ids, batch.attention_mask)
        else:
            states, hidden = self.backbone.both(batch.input_ids, batch.attention_mask, None)
        scored = scored_states(states, batch)
        weights, logits = self.head.for_training(scored, terms)
        if self.config.expansion == "input":
            mask = _input_mask(batch, self.head)
            weights = weights * (mask if terms is None else mask[:, terms])
        dense = None if hidden is None else self.dense_head(hidden, batch.attention_mask)  # type: ignore[misc]
        if not tokens_kept:
            return TrainingOutput(weights, logits, dense)
        parts = [
            pad_sequence(list(values.split(scored.lengths.tolist())), batch_first=True)
            for values in self.head.largest_of_tokens(scored, tokens_kept)
        ]
        return TrainingOutput(weights, logits, dense, *parts)

    def forward_jointly(self, batch: TokenBatch) -> tuple[Tensor, Tensor]:
        """Return the weights and the dense vectors of each text, from one pass."""
        assert self.dense_head is not None
        states, hidden = self.backbone.both(batch.input_ids, batch.attention_mask, self.dense_head.branch)
        return self._weights(states, batch), self.dense_head(hidden, batch.attention_mask)

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], names: Sequence[str]) -> SparseBatch:
        """Return one sparse row a text; a text of nothing but white space gives an empty row.

        names: each text's name in an error.
        Raises EncoderError if the model gives a weight that isn't a number.
        """

        def encode(batch: TokenBatch, names: list[str]) -> SparseBatch:
            return self._sparse(self(batch), batch, names)

        parts = self.in_batches(texts, names, encode, max_tokens=self.max_tokens, max_texts=self._max_texts)
        return rows_in_order(parts, len(texts), self.head.vocab_size)

    @torch.inference_mode()
    def encode_jointly(self, texts: Sequence[str], names: Sequence[str]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a text, as `encode` and `encode_dense` do."""
        assert self.dense_head is not None

        def encode(batch: TokenBatch, names: list[str]) -> tuple[SparseBatch, DenseVectors]:
            weights, vectors = self.forward_jointly(batch)
            return self._sparse(weights, batch, names), checked_vectors(vectors, names)

        parts = self.in_batches(texts, names, encode, max_tokens=self.max_tokens, max_texts=self._max_texts)
        sparse = rows_in_order([(group, rows) for group, (rows, _) in parts], len(texts), self.head.vocab_size)
        dense = vectors_in_order([(group, rows) for group, (_, rows) in parts], len(texts), self.dense_head.dimension)
        return sparse, dense

    @torch.inference_mode()
    def encode_dense(self, texts: Sequence[str], names: Sequence[str]) -> DenseVectors:
        """Return the dense rows alone, without computing the sparse ones."""
        head = self.dense_head
        assert head is not None

        def encode(batch: TokenBatch, names: list[str]) -> DenseVectors:
            states = self.backbone.both(batch.input_ids, batch.attention_mask, head.branch)[1]
            return checked_vectors(head(states, batch.attention_mask), names)

        parts = self.in_batches(texts, names, encode, max_tokens=self.max_tokens, max_texts=self._max_texts)
        return vectors_in_order(parts, len(texts), head.dimension)

    @property
    def max_tokens(self) -> int:
        """Tokens of a batch, padding among them."""
        return max(1, min(super().max_tokens, self.head.max_tokens(MAX_LOGITS)))

    @property
    def _max_texts(self) -> int:
        return max(1, MAX_WEIGHTS // self.head.vocab_size)

    def _weights(self, hidden: Tensor, batch: TokenBatch) -> Tensor:
        weights: Tensor = self.head(scored_states(hidden, batch))
        return weights * _input_mask(batch, self.head) if self.config.expansion == "input" else weights

    def _sparse(self, weights: Tensor, texts: TokenBatch, names: Sequence[str]) -> SparseBatch:
        refuse_no_numbers(weights, names)
        rows, terms = torch.nonzero(weights > 0, as_tuple=True)
        indptr = np.zeros(len(weights) + 1, np.int64)
        np.cumsum(np.bincount(rows.cpu().numpy(), minlength=len(weights)), out=indptr[1:])
        batch = SparseBatch(
            indptr,
            terms.cpu().numpy().astype(np.int32),
            weights[rows, terms].cpu().numpy().astype(np.float32),
            self.head.vocab_size,
        )
        if self.config.repeats:
            tokens = [ids[own].cpu().numpy() for ids, own in zip(texts.input_ids, texts.literal, strict=True)]
            batch = count_repeats(batch, tokens, self.config.repeats)
        return batch if self.config.pruning == Pruning() else prune(batch, self.config.pruning)


def checked_vectors(vectors: Tensor, names: Sequence[str]) -> DenseVectors:
    """Return vectors as float32 on the host. Raises EncoderError naming the text where they aren't numbers."""
    refuse_no_numbers(vectors, names)
    found: DenseVectors = vectors.float().cpu().numpy()
    return found


def refuse_no_numbers(values: Tensor, names: Sequence[str]) -> None:
    """Raise EncoderError naming the first text whose row holds NaN or infinity."""
    finite = torch.isfinite(values).all(dim=1)
    if not bool(finite.all()):
        name = names[int(torch.argmin(finite.int()))]
        raise EncoderError(f"{name}: the model gives weights that are not numbers (NaN or infinite); it is broken")


def scored_states(hidden: Tensor, batch: TokenBatch) -> TokenStates:
    """Return the states of a batch's scored positions, one text after the other."""
    scored = batch.scored
    return TokenStates(hidden[scored], batch.input_ids[scored], batch.literal[scored], scored.sum(1))


def _input_mask(batch: TokenBatch, head: Head) -> Tensor:
    """Return 1 where a text may have a weight: for its own tokens, and terms that no token is."""
    mask = torch.zeros(len(batch.input_ids), head.vocab_size, device=batch.input_ids.device)
    mask[:, head.n_own :] = 1
    rows, columns = torch.nonzero(batch.literal, as_tuple=True)
    mask[rows, batch.input_ids[rows, columns]] = 1
    return mask
