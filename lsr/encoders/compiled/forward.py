"""The forward pass of some texts: tokens in, scores of terms and dense vectors out.

Every number of a text comes from that text alone: products are integers, and steps in float32 have a fixed order within
a row or a text. So a text's vectors don't depend on the texts beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.products import Ids, Products, Scored, up_to_tiles
from lsr.encoders.compiled.weights import Layer, Linear, Norm, VocabularyHead, Weights, n_outputs
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.pretrained.mapped_weights import Floats
from lsr.kernels.encode.attention import attend
from lsr.kernels.encode.float_linear import float_linear
from lsr.kernels.encode.integer_tiles import TILE_ROWS
from lsr.kernels.encode.pack import FloatLinear, PackedLinear
from lsr.kernels.encode.rows import embed_rows, mean_of_rows, normalise_rows, to_unit_length
from lsr.kernels.encode.vocabulary import take_positive
from lsr.kernels.jit.first_use import warn_before_compiling

_SPANS_AT_ONCE = 64
Watch = Callable[[str, Floats], None]


class Scratch:
    """Buffers of one thread's forward passes, for at most `n_rows` tokens."""

    def __init__(self, weights: Weights, n_rows: int) -> None:
        size, inner = weights.size, weights.inner_size
        rows = up_to_tiles(n_rows) + TILE_ROWS
        self.n_rows = n_rows
        self.states = np.zeros(rows * size, np.float32)
        self.projected = np.zeros(rows * 3 * size, np.float32)
        self.inner = np.zeros(rows * inner, np.float32)
        self.products = Products(rows, inner)


class Forward:
    """A model's forward pass. Safe from many threads, each with its own Scratch.

    pooling, normalise: of dense vectors. least: logit up to which terms that a text doesn't hold may be left out.
    watch: called with a linear layer's name and the rows that it reads, float32 (n_tokens, size); None: nobody watches.
    """

    def __init__(
        self,
        weights: Weights,
        *,
        pooling: str = "mean",
        normalise: bool = True,
        least: float = 0.0,
        watch: Watch | None = None,
    ) -> None:
        self.weights = weights
        self._pooling = pooling
        self._normalise_vectors = normalise
        self._least = least
        self._watch = watch

    def both(
        self, texts: Sequence[Ids], scratch: Scratch, *, sparse: bool, dense: bool
    ) -> tuple[list[Scored], DenseVectors]:
        """Return the terms of each text, and its dense vector; none of what isn't asked for.

        texts: token ids, none empty, all together at most the scratch's rows.
        """
        weights = self.weights
        self._warn_before_compiling(sparse=sparse)
        indptr = _indptr(texts)
        n_numbers = int(indptr[-1]) * weights.size
        self._embed(texts, scratch)
        self._through("layers", weights.layers, 0, weights.n_shared, indptr, scratch)
        apart = weights.n_shared < len(weights.layers)
        shared = scratch.states[:n_numbers].copy() if sparse and dense and apart else None
        scores: list[Scored] = []
        if sparse:
            self._through("layers", weights.layers, weights.n_shared, len(weights.layers), indptr, scratch)
            scores = self._scores(texts, indptr, scratch, self._least)
        vectors = np.zeros((len(texts), weights.dimension), np.float32)
        if dense:
            if shared is not None:
                scratch.states[:n_numbers] = shared
            self._through("branch", weights.branch, 0, len(weights.branch), indptr, scratch)
            for vector, first, end in zip(vectors, indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
                vector[:] = self._vector(scratch.states, first, end)
        return scores, vectors

    def tokens(self, texts: Sequence[Ids], scratch: Scratch) -> list[Floats]:
        """Return each text's token vectors of unit length, float32 (n_tokens, dimension): what dense vectors pool."""
        weights, indptr = self.weights, _indptr(texts)
        self._warn_before_compiling(sparse=False)
        self._embed(texts, scratch)
        self._through("layers", weights.layers, 0, weights.n_shared, indptr, scratch)
        self._through("branch", weights.branch, 0, len(weights.branch), indptr, scratch)
        rows = scratch.states[: int(indptr[-1]) * weights.size].reshape(-1, weights.size)
        vectors = np.array([self._behind_pooling(row.copy(), normalise=True) for row in rows])
        return np.split(vectors, indptr[1:-1])

    def spans(self, texts: Sequence[Ids], spans: Sequence[Sequence[tuple[int, int]]], scratch: Scratch) -> list[Scored]:
        """Return the terms of spans of tokens, one after the other, each read within its text.

        spans: of each text, (first, end). texts: as of `both`.
        """
        weights, indptr, size = self.weights, _indptr(texts), self.weights.size
        self._warn_before_compiling(sparse=True)
        self._embed(texts, scratch)
        self._through("layers", weights.layers, 0, len(weights.layers), indptr, scratch)
        starts = indptr[:-1].tolist()
        tokens = [np.arange(a, b) + at for at, own in zip(starts, spans, strict=True) for a, b in own]
        states = scratch.states[: int(indptr[-1]) * size].reshape(-1, size).copy()
        found: list[Scored] = []
        for first in range(0, len(tokens), _SPANS_AT_ONCE):
            some = tokens[first : first + _SPANS_AT_ONCE]
            rows = states[np.concatenate(some)]
            scratch.states[: rows.size] = rows.reshape(-1)
            found += self._scores([[]] * len(some), _indptr(some), scratch, 0.0)
        return found

    def _warn_before_compiling(self, *, sparse: bool) -> None:
        """Warn before kernels are compiled, by looking for an early, a middle and a late one of a pass."""
        head, first = self.weights.head, self.weights.layers[0]
        by_bytes = isinstance(first.attended, PackedLinear)
        needed = ["attend", "linear_onto" if by_bytes else "float_linear_onto"]
        if sparse and head is not None:
            last = "scores_of" if by_bytes else "float_scores_of"
            needed.append(last if head.screen is not None else "take_positive")
        warn_before_compiling(*needed, what="the encoder's kernels")

    def _embed(self, texts: Sequence[Ids], scratch: Scratch) -> None:
        weights, embeddings = self.weights, self.weights.embeddings
        ids = np.concatenate([np.array(ids, np.int64) for ids in texts])
        positions = np.concatenate([_positions(ids, weights.first_position) for ids in texts])
        embed_rows(
            ids,
            positions,
            embeddings.words,
            embeddings.scales,
            embeddings.positions,
            embeddings.kind,
            *embeddings.norm,
            weights.epsilon,
            scratch.states,
        )

    def _through(
        self, name: str, layers: Sequence[Layer], first: int, end: int, indptr: npt.NDArray[np.int64], scratch: Scratch
    ) -> None:
        for i in range(first, end):
            self._layer(f"{name}.{i}", layers[i], indptr, scratch)

    def _layer(self, name: str, layer: Layer, indptr: npt.NDArray[np.int64], scratch: Scratch) -> None:
        weights, states, products = self.weights, scratch.states, scratch.products
        size, n = weights.size, int(indptr[-1])
        self._show(f"{name}.projection", states, n, size)
        products.set(layer.projection, states, n, scratch.projected)
        for first, end in zip(indptr[:-1].tolist(), indptr[1:].tolist(), strict=True):
            attend(
                scratch.projected, first, end - first, weights.n_heads, size, weights.distances, scratch.inner
            )  # fmt: skip
        self._show(f"{name}.attended", scratch.inner, n, size)
        products.add(layer.attended, scratch.inner, n, states)
        self._normalise(layer.attention_norm, states, n)
        self._show(f"{name}.inner", states, n, size)
        products.set_gelu(layer.inner, states, n, scratch.inner)
        self._show(f"{name}.outer", scratch.inner, n, n_outputs(layer.inner))
        products.add(layer.outer, scratch.inner, n, states, after_gelu=True)
        self._normalise(layer.norm, states, n)

    def _normalise(self, norm: Norm, states: Floats, n: int) -> None:
        normalise_rows(states, n, self.weights.size, *norm, self.weights.epsilon)

    def _show(self, name: str, rows: Floats, n: int, size: int) -> None:
        if self._watch is not None:
            self._watch(name, rows[: n * size].reshape(n, size))

    def _scores(
        self, texts: Sequence[Ids], indptr: npt.NDArray[np.int64], scratch: Scratch, least: float
    ) -> list[Scored]:
        head, size, n = self.weights.head, self.weights.size, int(indptr[-1])
        assert isinstance(head, VocabularyHead), "the model has no vocabulary head"
        self._show("head.transform", scratch.states, n, size)
        scratch.products.set_gelu(head.transform, scratch.states, n, scratch.inner)
        self._normalise(head.norm, scratch.inner, n)
        self._show("head.scores", scratch.inner, n, size)
        if head.screen is not None:
            return scratch.products.above(head.scores, head.screen, scratch.inner, indptr, least, texts)
        scores = scratch.products.largest(head.scores, scratch.inner, indptr)
        finite = np.isfinite(scratch.inner[: n * size]).reshape(n, size).all(1)
        scores[~np.logical_and.reduceat(finite, indptr[:-1])] = np.float32(np.inf)
        return [_positive(row, n_outputs(head.scores)) for row in scores]

    def _vector(self, states: Floats, first: int, end: int) -> Floats:
        size = self.weights.size
        rows = states[first * size : end * size].reshape(-1, size)
        pooled = np.empty(size, np.float32)
        if self._pooling == "mean":
            mean_of_rows(states, first, end - first, size, pooled)
        else:
            pooled[:] = rows.max(0) if self._pooling == "max" else rows[0 if self._pooling == "cls" else -1]
        return self._behind_pooling(pooled, normalise=self._normalise_vectors)

    def _behind_pooling(self, vector: Floats, *, normalise: bool) -> Floats:
        for layer in self.weights.dense:
            vector = _outputs_of_row(layer.linear, vector)
            if layer.tanh:
                np.tanh(vector, out=vector)
        if normalise:
            to_unit_length(vector)
        return vector[: self.weights.dimension]


def _positions(ids: Ids, first: int) -> npt.NDArray[np.int64]:
    """Return the row of each token's position; a padding token in a text has the one before the first."""
    if not first:
        return np.arange(len(ids))
    counted = np.array(ids, np.int64) != first - 1
    positions: npt.NDArray[np.int64] = np.cumsum(counted) * counted + first - 1
    return positions


def _indptr(texts: Sequence[Ids]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum([len(ids) for ids in texts]))).astype(np.int64)


def _outputs_of_row(linear: Linear, vector: Floats) -> Floats:
    """Return a layer's outputs of one row, with zeros behind them up to a whole panel."""
    assert isinstance(linear, FloatLinear)
    rows = np.zeros((TILE_ROWS, linear.size), np.float32)
    rows[0] = vector[: linear.size]
    width = len(linear.biases)
    out = np.zeros(TILE_ROWS * width, np.float32)
    float_linear(rows.reshape(-1), TILE_ROWS, linear._replace(n_outputs=width), out)
    return out[:width]


def _positive(row: Floats, n_terms: int) -> Scored:
    term_ids, logits = np.empty(n_terms, np.int32), np.empty(n_terms, np.float32)
    n = take_positive(row, n_terms, term_ids, logits)
    return Scored(term_ids[:n].copy(), logits[:n].copy())
