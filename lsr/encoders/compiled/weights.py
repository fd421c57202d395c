"""Weights of a BERT-like transformer with its heads, as one tree for all architectures, int8 and float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.pretrained.mapped_weights import Floats
from lsr.kernels.encode.pack import FloatLinear, PackedLinear, Rounded
from lsr.kernels.encode.screen import Screen


class Unpacked(NamedTuple):
    """A linear layer before it is packed: weight float32 (n_outputs, size) or rounded to bytes; bias (n_outputs)."""

    weight: Floats | Rounded
    bias: Floats


Linear = Unpacked | PackedLinear | FloatLinear


class Norm(NamedTuple):
    """A layer normalisation: weight and bias, float32 (size)."""

    weight: Floats
    bias: Floats


class Layer(NamedTuple):
    """A layer of a transformer. projection: queries, keys and values in one."""

    projection: Linear
    attended: Linear
    attention_norm: Norm
    inner: Linear
    outer: Linear
    norm: Norm


class Embeddings(NamedTuple):
    """Embeddings of tokens: words int8 (vocab_size, size) with a scale a row, or float32 with ones; others float32."""

    words: npt.NDArray[np.int8] | Floats
    scales: Floats
    positions: Floats
    kind: Floats
    norm: Norm


class Subspace(NamedTuple):
    """Subspace that hidden states lie close to: a mean (size) and directions (rank, size), float32."""

    mean: Floats
    directions: Floats


class VocabularyHead(NamedTuple):
    """The masked-LM head: a transformation of hidden states, and the scores of all terms.

    subspace: of the rows that are scored, None where it wasn't looked for. screen: made of it when weights are packed.
    """

    transform: Linear
    norm: Norm
    scores: Linear
    subspace: Subspace | None = None
    screen: Screen | None = None


class DenseLayer(NamedTuple):
    """A linear layer behind the pooling of a dense vector, in float32 always, and whether tanh follows it."""

    linear: Linear
    tanh: bool


@dataclass(frozen=True, slots=True)
class Weights:
    """All weights of a model.

    head: None for a dense encoder. branch: layers of a dense vector above the first `n_shared` layers, which may be
    none. dense: layers behind its pooling. first_position: row of `positions` of a text's first token.
    distances: float32 (n_heads, 2 · n_positions - 1), added to attention; (n_heads, 0) where distance doesn't matter.
    """

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    head: VocabularyHead | None
    branch: tuple[Layer, ...]
    dense: tuple[DenseLayer, ...]
    distances: Floats
    n_shared: int
    n_heads: int
    epsilon: np.float32
    first_position: int = 0

    @property
    def size(self) -> int:
        """Numbers of a hidden state."""
        return int(self.embeddings.words.shape[1])

    @property
    def vocab_size(self) -> int:
        """Number of terms."""
        return int(self.embeddings.words.shape[0]) if self.head is None else n_outputs(self.head.scores)

    @property
    def inner_size(self) -> int:
        """Numbers between the two linear layers of a layer, the most that a buffer has to hold."""
        return max([self.size, *(n_outputs(layer.inner) for layer in (*self.layers, *self.branch))])

    @property
    def max_length(self) -> int:
        """Tokens that have a position."""
        return len(self.embeddings.positions) - self.first_position

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return n_outputs(self.dense[-1].linear) if self.dense else self.size


def n_outputs(linear: Linear) -> int:
    """Return the number of outputs of a linear layer."""
    return len(linear.bias) if isinstance(linear, Unpacked) else linear.n_outputs


def mapped(weights: Weights, change: Callable[[str, Linear], Linear]) -> Weights:
    """Return weights whose linear layers, but those behind a dense vector's pooling, are what `change` makes of them.

    change: (name, layer) → layer; names are such as `layers.0.projection`, `branch.2.outer`, `head.scores`.
    """

    def changed(prefix: str, layer: Layer) -> Layer:
        return layer._replace(
            projection=change(f"{prefix}.projection", layer.projection),
            attended=change(f"{prefix}.attended", layer.attended),
            inner=change(f"{prefix}.inner", layer.inner),
            outer=change(f"{prefix}.outer", layer.outer),
        )

    head = weights.head
    if head is not None:
        transform, scores = (change(f"head.{name}", getattr(head, name)) for name in ("transform", "scores"))
        head = head._replace(transform=transform, scores=scores)
    return replace(
        weights,
        layers=tuple(changed(f"layers.{i}", layer) for i, layer in enumerate(weights.layers)),
        branch=tuple(changed(f"branch.{i}", layer) for i, layer in enumerate(weights.branch)),
        head=head,
    )
