"""Reading of a checkpoint's weights from safetensors, whatever names its architecture gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.architectures import Settings, settings_of
from lsr.encoders.compiled.weights import DenseLayer, Embeddings, Layer, Norm, Unpacked, VocabularyHead, Weights
from lsr.encoders.pretrained.mapped_weights import Floats, Tensors
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.errors import EncoderError
from lsr.kernels.encode.pack import Rounded

WEIGHTS = ("compact.safetensors", "model.safetensors")
_WORDS = "embeddings.word_embeddings.weight"
_DISTANCE_BUCKETS, _MOST_DISTANT = 32, 128


def weights_file(folder: Path) -> Path | None:
    """Return the file that holds all weights of a transformer, None where there is none."""
    return next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)


def read_weights(
    folder: Path,
    *,
    with_head: bool,
    branch: tuple[Tensors, int] | None = None,
    dense: Sequence[DenseLayer] = (),
) -> Weights:
    """Read the transformer of a folder that `architectures.why_not` finds no fault with, as it is stored.

    with_head: whether its masked-LM head is read. branch: the file of a dense vector's layers, and the number of layers
    below them. dense: layers behind a dense vector's pooling. Raises EncoderError for files that don't fit together.
    """
    path = weights_file(folder)
    if path is None:
        raise EncoderError(f"{folder}: no model.safetensors: save the model as one file of safetensors")
    try:
        reader = _Reader(Tensors(path), settings_of(read_json(folder / "config.json")))
        settings = reader.settings
        prefix = reader.prefix + settings.architecture.layer
        layers = tuple(reader.layer(reader.tensors, prefix.format(i)) for i in range(settings.n_layers))
        above: tuple[Layer, ...] = ()
        if branch is not None:
            places = range(settings.n_layers - branch[1])
            above = tuple(reader.layer(branch[0], f"dense.branch.layers.{i}.") for i in places)
        return Weights(
            reader.embeddings(),
            layers,
            reader.head() if with_head else None,
            above,
            tuple(dense),
            reader.distances(),
            settings.n_layers if branch is None else branch[1],
            settings.n_heads,
            np.float32(settings.epsilon),
            settings.first_position,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EncoderError(f"{folder}: config and weights don't fit together ({error}): the model is broken") from error


class _Reader:
    """Weights of one checkpoint by its architecture's names."""

    def __init__(self, tensors: Tensors, settings: Settings) -> None:
        self.tensors = tensors
        self.settings = settings
        prefix = settings.architecture.prefix
        found = [one for one in (prefix, "") if one + _WORDS in tensors]
        if not found:
            raise EncoderError(f"{tensors.path}: no {prefix}{_WORDS}: its weights have names of another model")
        self.prefix = found[0]
        self._words = _table(tensors, self.prefix + _WORDS)

    def embeddings(self) -> Embeddings:
        size = self.settings.size
        prefix = f"{self.prefix}embeddings."
        words, scales = self._words
        kind = np.zeros(size, np.float32)
        if self.settings.architecture.kinds:
            kind = np.array(self.tensors.get(f"{prefix}token_type_embeddings.weight")[0])
        positions = np.array(self.tensors.get(f"{prefix}position_embeddings.weight"))
        if words.shape[1:] != (size,) or positions.shape[1:] != (size,) or kind.shape != (size,):
            raise EncoderError(
                f"{self.tensors.path}: embeddings of shape {words.shape} and {positions.shape}, but the config says "
                f"hidden size {size}"
            )
        return Embeddings(words, scales, positions, kind, self._norm(self.tensors, f"{prefix}LayerNorm"))

    def layer(self, tensors: Tensors, prefix: str) -> Layer:
        names, size, inner = self.settings.architecture, self.settings.size, self.settings.inner_size
        # A branch has the names of the layers that it was copied of.
        parts = [_linear(tensors, prefix + name, size, size) for name in names.projection]
        return Layer(
            Unpacked(np.concatenate([part.weight for part in parts]), np.concatenate([part.bias for part in parts])),
            _linear(tensors, prefix + names.attended, size, size),
            self._norm(tensors, prefix + names.attention_norm),
            _linear(tensors, prefix + names.inner, inner, size),
            _linear(tensors, prefix + names.outer, size, inner),
            self._norm(tensors, prefix + names.norm),
        )

    def head(self) -> VocabularyHead:
        names, size, tensors = self.settings.architecture, self.settings.size, self.tensors
        words: Any
        words, scales = self._words
        decoder = f"{names.decoder}.weight"
        if decoder in tensors:
            words, scales = _table(tensors, decoder)
        bias = next((name for name in (names.head_bias, f"{names.decoder}.bias") if name in tensors), names.head_bias)
        biases = tensors.get(bias)
        if words.shape != (len(biases), size):
            raise EncoderError(f"{tensors.path}: {len(words)} terms, but {len(biases)} biases: the model is broken")
        weight: Floats | Rounded
        if words.dtype == np.int8:
            weight = Rounded(words.astype(np.int8, copy=False), scales, np.ones(size, np.float32))
        else:
            weight = words.astype(np.float32, copy=False)
        return VocabularyHead(
            _linear(tensors, names.head, size, size), self._norm(tensors, names.head_norm), Unpacked(weight, biases)
        )

    def distances(self) -> Floats:
        """Return what attention adds by distance, as MPNet has it of Raffel et al., "T5" (JMLR 2020, 1910.10683)."""
        settings = self.settings
        name = settings.architecture.distances
        if name is None:
            return np.zeros((settings.n_heads, 0), np.float32)
        table = _checked(self.tensors, self.prefix + name, (_DISTANCE_BUCKETS, settings.n_heads))
        n = len(self.tensors.get(f"{self.prefix}embeddings.position_embeddings.weight")) - settings.first_position
        buckets = np.array([_bucket(distance) for distance in range(1 - n, n)])
        return np.ascontiguousarray(table[buckets].T)

    def _norm(self, tensors: Tensors, name: str) -> Norm:
        return _norm(tensors, name, self.settings.size)


def _bucket(distance: int) -> int:
    """Return the row of a table of distances: half for tokens behind; near ones each, distant ones by logarithm."""
    half = _DISTANCE_BUCKETS // 2
    near = half // 2
    size, behind = abs(distance), half if distance > 0 else 0
    if size < near:
        return behind + size
    share = math.log(size / near) / math.log(_MOST_DISTANT / near)
    return behind + min(near + int(share * (half - near) + 1e-6), half - 1)


def _table(tensors: Tensors, name: str) -> tuple[npt.NDArray[np.int8] | Floats, Floats]:
    """Return a table of a row a term: bytes and scales where it is stored so, else float32 and ones."""
    stored = tensors.bytes_of(name)
    if stored is None:
        floats = tensors.get(name)
        if not np.isfinite(floats).all():
            raise EncoderError(f"{tensors.path}: {name} has NaN or infinity; the model is broken")
        return np.array(floats), np.ones(len(floats), np.float32)
    table, scales = stored
    if scales.shape != table.shape[:1]:
        raise EncoderError(f"{tensors.path}: {name} and its scale do not fit each other: the model is broken")
    # Copies: a view would keep the whole file in memory, beside the weights that are packed of it.
    return np.array(table), np.array(scales)


def _linear(tensors: Tensors, name: str, n_outputs: int, size: int) -> Unpacked:
    weight = _checked(tensors, f"{name}.weight", (n_outputs, size))
    return Unpacked(weight, _checked(tensors, f"{name}.bias", (n_outputs,)))


def _norm(tensors: Tensors, name: str, size: int) -> Norm:
    return Norm(*(np.array(_checked(tensors, f"{name}.{part}", (size,))) for part in ("weight", "bias")))


def _checked(tensors: Tensors, name: str, shape: tuple[int, ...]) -> Floats:
    values = tensors.get(name)
    if values.shape != shape:
        raise EncoderError(f"{tensors.path}: {name} has shape {values.shape}, but the config says {shape}")
    if not np.isfinite(values).all():
        raise EncoderError(f"{tensors.path}: {name} has NaN or infinity; the model is broken")
    return values


def read_dense_layer(get: Callable[[str], Floats], weight: str, bias: str | None, *, tanh: bool) -> DenseLayer:
    """Return a layer behind a dense vector's pooling. get: a tensor by its name; weight, bias: names."""
    matrix = get(weight)
    return DenseLayer(Unpacked(matrix, np.zeros(len(matrix), np.float32) if bias is None else get(bias)), tanh)
