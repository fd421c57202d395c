"""The forward pass of some texts: tokens in, scores of terms and dense vectors out.

Every number of a text comes from that text alone: products are integers, and steps in float32 have a fixed order within
a row or a text. So a text's vectors don't depend on the texts beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.int8.weights import BertWeights, Layer, Norm
from lsr.encoders.pretrained.mapped_weights import Floats
from lsr.kernels.encode.attention import attend
from lsr.kernels.encode.integer_tiles import PANEL, TILE_ROWS
from lsr.kernels.encode.linear import linear, linear_and_gelu, linear_onto
from lsr.kernels.encode.rows import embed_rows, mean_of_rows, normalise_rows, round_rows
from lsr.kernels.encode.vocabulary import largest_scores, take_positive

Ids = Sequence[int]


class Scores(NamedTuple):
    """Terms of a text that score above 0, ascending: term_ids int32, logits float32."""

    term_ids: npt.NDArray[np.int32]
    logits: Floats


class Scratch:
    """Buffers of one thread's forward passes, for at most `n_rows` tokens."""

    def __init__(self, weights: BertWeights, n_rows: int) -> None:
        size = weights.size
        inner = max([size, *(layer.inner.n_outputs for layer in weights.layers)])
        rows = up_to_tiles(n_rows) + TILE_ROWS
        self.n_rows = n_rows
        self.states = np.zeros(rows * size, np.float32)
        self.projected = np.zeros(rows * 3 * size, np.float32)
        self.inner = np.zeros(rows * inner, np.float32)
        self.bytes = np.zeros(rows * size, np.uint8)
        self.inner_bytes = np.zeros(rows * inner, np.uint8)
        self.scales = np.zeros(rows, np.float32)


class Forward:
    """A model's forward pass. Safe from many threads, each with its own Scratch."""

    def __init__(self, weights: BertWeights) -> None:
        self.weights = weights

    def sparse(self, texts: Sequence[Ids], scratch: Scratch) -> list[Scores]:
        """Return the terms of each text."""
        return self.both(texts, scratch, sparse=True, dense=False)[0]

    def both(
        self, texts: Sequence[Ids], scratch: Scratch, *, sparse: bool, dense: bool, normalise: bool = True
    ) -> tuple[list[Scores], DenseVectors]:
        """Return the terms of each text, and its dense vector; none of what isn't asked for.

        texts: token ids, none empty, all together at most the scratch's rows. normalise: dense vectors to unit length.
        """
        weights = self.weights
        indptr = np.concatenate(([0], np.cumsum([len(ids) for ids in texts]))).astype(np.int64)
        self._embed(texts, scratch)
        for layer in weights.layers[: weights.n_shared]:
            self._layer(layer, indptr, scratch)
        n_numbers = int(indptr[-1]) * weights.size
        n_rows = int(indptr[-1])
        shared = None
        if sparse and dense:
            shared = (
                scratch.states[:n_numbers].copy(),
                scratch.bytes[:n_numbers].copy(),
                scratch.scales[:n_rows].copy(),
            )
        scores: list[Scores] = []
        if sparse:
            for layer in weights.layers[weights.n_shared :]:
                self._layer(layer, indptr, scratch)
            scores = self._scores(indptr, scratch)
        vectors = np.zeros((len(texts), weights.size), np.float32)
        if dense:
            if shared is not None:
                scratch.states[:n_numbers], scratch.bytes[:n_numbers], scratch.scales[:n_rows] = shared
            for layer in weights.branch:
                self._layer(layer, indptr, scratch)
            for text, vector in enumerate(vectors):
                first, end = int(indptr[text]), int(indptr[text + 1])
                mean_of_rows(scratch.states, first, end - first, weights.size, normalise, vector)
        return scores, vectors

    def _embed(self, texts: Sequence[Ids], scratch: Scratch) -> None:
        embeddings = self.weights.embeddings
        ids = np.concatenate([np.array(ids, np.int64) for ids in texts])
        positions = np.concatenate([np.arange(len(ids)) for ids in texts])
        embed_rows(
            ids,
            positions,
            embeddings.words,
            embeddings.scales,
            embeddings.positions,
            embeddings.kind,
            *embeddings.norm,
            self.weights.epsilon,
            scratch.states,
        )
        round_rows(scratch.states, len(ids), self.weights.size, scratch.bytes, scratch.scales)

    def _layer(self, layer: Layer, indptr: npt.NDArray[np.int64], scratch: Scratch) -> None:
        size, states, scales = self.weights.size, scratch.states, scratch.scales
        n_tokens = int(indptr[-1])
        n_rows = up_to_tiles(n_tokens)
        linear(scratch.bytes, scales, n_rows, layer.projection, scratch.projected)
        for first, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            attend(scratch.projected, first, end - first, self.weights.n_heads, size, scratch.inner)
        round_rows(scratch.inner, n_tokens, size, scratch.bytes, scales)
        linear_onto(scratch.bytes, scales, n_rows, layer.attended, states)
        self._normalise(layer.attention_norm, n_tokens, scratch)
        linear_and_gelu(scratch.bytes, scales, n_rows, layer.inner, scratch.inner)
        round_rows(scratch.inner, n_tokens, layer.inner.n_outputs, scratch.inner_bytes, scales)
        linear_onto(scratch.inner_bytes, scales, n_rows, layer.outer, states)
        self._normalise(layer.norm, n_tokens, scratch)

    def _normalise(self, norm: Norm, n_tokens: int, scratch: Scratch) -> None:
        normalise_rows(
            scratch.states, n_tokens, self.weights.size, *norm, self.weights.epsilon, scratch.bytes, scratch.scales
        )

    def _scores(self, indptr: npt.NDArray[np.int64], scratch: Scratch) -> list[Scores]:
        head, size = self.weights.head, self.weights.size
        n_tokens = int(indptr[-1])
        linear_and_gelu(scratch.bytes, scratch.scales, up_to_tiles(n_tokens), head.transform, scratch.inner)
        normalise_rows(scratch.inner, n_tokens, size, *head.norm, self.weights.epsilon, scratch.bytes, scratch.scales)
        # A tile mustn't reach into the next text, so each text is filled up by its last row: no maximum changes.
        lengths = np.diff(indptr)
        filled = -(-lengths // TILE_ROWS) * TILE_ROWS
        starts = np.concatenate(([0], np.cumsum(filled)))
        source = np.arange(starts[-1]) - np.repeat(starts[:-1], filled)
        source = np.minimum(source, np.repeat(lengths - 1, filled)) + np.repeat(indptr[:-1], filled)
        rows = scratch.bytes[: n_tokens * size].reshape(n_tokens, size)[source].reshape(-1)
        width = len(head.scores.scales)
        scores = np.empty((len(lengths), width), np.float32)
        largest_scores(rows, scratch.scales[source], starts.astype(np.int64), head.scores, width // PANEL, scores)
        broken = np.logical_or.reduceat(~np.isfinite(scratch.scales[:n_tokens]), indptr[:-1])
        scores[broken] = np.float32(np.inf)
        return [_positive(row, head.scores.n_outputs) for row in scores]


def _positive(row: Floats, n_terms: int) -> Scores:
    term_ids, logits = np.empty(n_terms, np.int32), np.empty(n_terms, np.float32)
    n = take_positive(row, n_terms, term_ids, logits)
    return Scores(term_ids[:n].copy(), logits[:n].copy())


def up_to_tiles(n_rows: int) -> int:
    """Return the number of rows of whole tiles."""
    return -(-n_rows // TILE_ROWS) * TILE_ROWS
