"""Checks that weights fit together, before kernels read them without looking at bounds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.compiled.weights import Linear, Unpacked, Weights
from lsr.errors import EncoderError
from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL
from lsr.kernels.encode.pack import Rounded
from lsr.kernels.encode.screen import MOST_DIRECTIONS

_MOST_INPUTS = 1 << 16


def check_weights(weights: Weights, place: Path) -> None:
    """Raise EncoderError, naming the first array of another shape, type or without numbers.

    weights: not packed yet. place: of an error.
    """
    for name, array, shape, dtype in _expected(weights):
        if array.shape != shape or array.dtype != dtype:
            raise EncoderError(
                f"{place}: {name} is {array.dtype} of shape {array.shape}, but {np.dtype(dtype)} of shape {shape} fits "
                "the rest: its files don't belong together, export the model again"
            )
        if dtype == np.float32 and not np.isfinite(array).all():
            raise EncoderError(f"{place}: {name} has NaN or infinity; the model is broken")
    size, n_layers = weights.size, len(weights.layers)
    reasons = {
        f"hidden size {size}, not a multiple of {PANEL}": size % PANEL != 0 or size == 0,
        f"{weights.n_heads} attention heads": weights.n_heads < 1 or size % (weights.n_heads * COLUMNS) != 0,
        f"inner size {weights.inner_size}, not a multiple of {PANEL}": _inner(weights) % PANEL != 0,
        f"{weights.inner_size} inputs of a layer": weights.inner_size >= _MOST_INPUTS,
        f"{weights.n_shared} of {n_layers} layers shared": not 0 <= weights.n_shared <= n_layers,
        f"first position {weights.first_position}": not 0 <= weights.first_position < len(weights.embeddings.positions),
        f"epsilon {weights.epsilon}": not 0 < weights.epsilon < 1,
        "no layers": n_layers == 0,
    }
    for reason, holds in reasons.items():
        if holds:
            raise EncoderError(f"{place}: {reason}: the model is broken")


def _inner(weights: Weights) -> int:
    return max((len(layer.inner.bias) for layer in weights.layers if isinstance(layer.inner, Unpacked)), default=0)


def _expected(weights: Weights) -> Iterator[tuple[str, np.ndarray[Any, Any], tuple[int, ...], Any]]:
    """Yield the arrays of a model, each with its name, and the shape and type that fit its words."""
    embeddings, size, inner = weights.embeddings, weights.size, _inner(weights)
    n_terms = len(embeddings.words)
    words = np.int8 if embeddings.words.dtype == np.int8 else np.float32
    n_positions = len(embeddings.positions)
    yield "embeddings.words", embeddings.words, (n_terms, size), words
    yield "embeddings.scales", embeddings.scales, (n_terms,), np.float32
    yield "embeddings.positions", embeddings.positions, (n_positions, size), np.float32
    yield "embeddings.kind", embeddings.kind, (size,), np.float32
    yield from _norm("embeddings.norm", embeddings.norm, size)
    n_distances = weights.distances.shape[-1] and 2 * (n_positions - weights.first_position) - 1
    yield "distances", weights.distances, (weights.n_heads, n_distances), np.float32
    for name, layers in (("layers", weights.layers), ("branch", weights.branch)):
        for i, layer in enumerate(layers):
            of_layer = {
                "projection": (3 * size, size),
                "attended": (size, size),
                "inner": (inner, size),
                "outer": (size, inner),
            }
            for part, shape in of_layer.items():
                yield from _linear(f"{name}.{i}.{part}", getattr(layer, part), shape)
            for part in ("attention_norm", "norm"):
                yield from _norm(f"{name}.{i}.{part}", getattr(layer, part), size)
    if weights.head is not None:
        yield from _linear("head.transform", weights.head.transform, (size, size))
        yield from _norm("head.norm", weights.head.norm, size)
        yield from _linear("head.scores", weights.head.scores, (n_terms, size))
        if weights.head.subspace is not None:
            mean, directions = weights.head.subspace
            rank = min(max(len(directions) // COLUMNS, 1) * COLUMNS, size, MOST_DIRECTIONS)
            yield "head.subspace.mean", mean, (size,), np.float32
            yield "head.subspace.directions", directions, (rank, size), np.float32
    n_inputs = size
    for i, dense in enumerate(weights.dense):
        linear = dense.linear
        assert isinstance(linear, Unpacked) and not isinstance(linear.weight, Rounded)
        yield from _linear(f"dense.{i}", linear, (len(linear.bias), n_inputs))
        n_inputs = len(linear.bias)


def _norm(name: str, norm: Any, size: int) -> Iterator[tuple[str, np.ndarray[Any, Any], tuple[int, ...], Any]]:
    for part in norm._fields:
        yield f"{name}.{part}", getattr(norm, part), (size,), np.float32


def _linear(
    name: str, linear: Linear, shape: tuple[int, int]
) -> Iterator[tuple[str, np.ndarray[Any, Any], tuple[int, ...], Any]]:
    assert isinstance(linear, Unpacked)
    weight = linear.weight
    if isinstance(weight, Rounded):
        yield f"{name}.weights", weight.weights, shape, np.int8
        yield f"{name}.scales", weight.scales, shape[:1], np.float32
        yield f"{name}.factors", weight.factors, shape[1:], np.float32
    else:
        yield f"{name}.weight", weight, shape, np.float32
    yield f"{name}.bias", linear.bias, shape[:1], np.float32
