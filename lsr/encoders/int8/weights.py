"""Weights of a BERT with a masked-LM head, read from safetensors and rounded to bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.encoders.config import EncoderConfig
from lsr.encoders.pretrained.mapped_weights import Floats, Tensors
from lsr.encoders.pretrained.sparse_folder import HEAD_FILE, Layout, read_json
from lsr.errors import EncoderError
from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL
from lsr.kernels.encode.pack import PackedLinear, pack_linear, pack_rounded, round_weights

WEIGHTS = ("compact.safetensors", "model.safetensors")
_PREFIX = "bert."
_WORDS = f"{_PREFIX}embeddings.word_embeddings.weight"


class Norm(NamedTuple):
    """A layer normalisation: weight and bias, float32 (size)."""

    weight: Floats
    bias: Floats


class Layer(NamedTuple):
    """A layer of a transformer. projection: queries, keys and values in one."""

    projection: PackedLinear
    attended: PackedLinear
    attention_norm: Norm
    inner: PackedLinear
    outer: PackedLinear
    norm: Norm


class Embeddings(NamedTuple):
    """Embeddings of tokens: words int8 (vocab_size, size) with a scale a row; the others float32."""

    words: npt.NDArray[np.int8]
    scales: Floats
    positions: Floats
    kind: Floats
    norm: Norm


class VocabularyHead(NamedTuple):
    """The masked-LM head: a transformation of hidden states, and the scores of all terms."""

    transform: PackedLinear
    norm: Norm
    scores: PackedLinear


@dataclass(frozen=True, slots=True)
class BertWeights:
    """All weights of a model. branch: layers of a dense vector above the first `n_shared` layers, which may be none."""

    embeddings: Embeddings
    layers: tuple[Layer, ...]
    head: VocabularyHead
    branch: tuple[Layer, ...]
    n_shared: int
    n_heads: int
    epsilon: np.float32

    @property
    def size(self) -> int:
        """Numbers of a hidden state."""
        return int(self.embeddings.words.shape[1])

    @property
    def vocab_size(self) -> int:
        """Number of terms."""
        return self.head.scores.n_outputs


def why_not(layout: Layout) -> str | None:
    """Return what in a model the integer kernels can't run, None where they can run it."""
    config, document = layout.config, layout.config.document
    if not any((layout.document / name).is_file() for name in WEIGHTS):
        return "its weights aren't in one safetensors file"
    found = read_json(layout.document / "config.json")
    size, n_heads = found.get("hidden_size", 0), found.get("num_attention_heads", 0)
    reasons = {
        f"its architecture is {found.get('model_type')!r}, not 'bert'": found.get("model_type") != "bert",
        f"its activation is {found.get('hidden_act')!r}, not 'gelu'": found.get("hidden_act", "gelu") != "gelu",
        "its positions aren't absolute": found.get("position_embedding_type", "absolute") != "absolute",
        "it is a decoder": bool(found.get("is_decoder")),
        f"its hidden size {size} isn't a multiple of {PANEL}": not size or size % PANEL != 0,
        f"its inner size isn't a multiple of {PANEL}": found.get("intermediate_size", 1) % PANEL != 0,
        f"its {n_heads} attention heads aren't of a multiple of {COLUMNS} numbers": not n_heads
        or size % (n_heads * COLUMNS) != 0,
        f"its head is {document.head!r}, not 'mlm'": document.head != "mlm",
        f"its pooling is {document.pooling!r}, not 'max'": document.pooling != "max",
        f"its expansion is {document.expansion!r}, not 'all'": document.expansion != "all",
        "it reads a text twice": document.echo,
        f"its queries need {config.query_side!r}, not a table": config.query_side not in ("table", "binary"),
        "its dense vector isn't a mean over a separate branch": not _plain_branch(config),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _plain_branch(config: EncoderConfig) -> bool:
    dense = config.dense
    return dense is None or (dense.pooling == "mean" and dense.dimension is None and dense.shared_layers is not None)


def read_weights(layout: Layout) -> BertWeights:
    """Read a model that `why_not` finds no fault with. Raises EncoderError for files that don't fit together."""
    folder = layout.document
    config = read_json(folder / "config.json")
    tensors = Tensors(next(folder / name for name in WEIGHTS if (folder / name).is_file()))
    dense = layout.config.dense
    try:
        n_layers, size = int(config["num_hidden_layers"]), int(config["hidden_size"])
        n_shared = n_layers if dense is None else int(dense.shared_layers or 0)
        layers = tuple(_layer(tensors, f"{_PREFIX}encoder.layer.{i}.", config) for i in range(n_layers))
        branch: tuple[Layer, ...] = ()
        if dense is not None:
            own = Tensors(folder / HEAD_FILE)
            branch = tuple(_layer(own, f"dense.branch.layers.{i}.", config) for i in range(n_layers - n_shared))
        words, scales = _bytes(tensors, _WORDS)
        prefix = f"{_PREFIX}embeddings."
        embeddings = Embeddings(
            words,
            scales,
            np.ascontiguousarray(tensors.get(f"{prefix}position_embeddings.weight")),
            np.ascontiguousarray(tensors.get(f"{prefix}token_type_embeddings.weight")[0]),
            _norm(tensors, f"{prefix}LayerNorm", size),
        )
        head = _head(tensors, words, scales, config)
        epsilon = np.float32(config["layer_norm_eps"])
        return BertWeights(embeddings, layers, head, branch, n_shared, int(config["num_attention_heads"]), epsilon)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise EncoderError(f"{folder}: config and weights don't fit together ({error}): the model is broken") from error


def _bytes(tensors: Tensors, name: str) -> tuple[npt.NDArray[np.int8], Floats]:
    stored = tensors.bytes_of(name)
    if stored is None:
        return round_weights(tensors.get(name))
    table, scales = stored
    if scales.shape != table.shape[:1]:
        raise EncoderError(f"{tensors.path}: {name} and its scale do not fit each other: the model is broken")
    return np.array(table), scales


def _head(tensors: Tensors, words: npt.NDArray[np.int8], scales: Floats, config: Mapping[str, Any]) -> VocabularyHead:
    prefix = "cls.predictions."
    size = int(config["hidden_size"])
    decoder = f"{prefix}decoder.weight"
    if decoder in tensors and not config.get("tie_word_embeddings", True):
        words, scales = _bytes(tensors, decoder)
    bias = tensors.get(f"{prefix}bias" if f"{prefix}bias" in tensors else f"{prefix}decoder.bias")
    if words.shape != (len(bias), size):
        raise EncoderError(f"{tensors.path}: {len(words)} terms, but {len(bias)} biases: the model is broken")
    return VocabularyHead(
        _linear(tensors, f"{prefix}transform.dense", size, size),
        _norm(tensors, f"{prefix}transform.LayerNorm", size),
        pack_rounded(words, scales, bias),
    )


def _layer(tensors: Tensors, prefix: str, config: Mapping[str, Any]) -> Layer:
    size, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    names = [f"{prefix}attention.self.{name}" for name in ("query", "key", "value")]
    parts = [(_checked(tensors, f"{name}.weight", (size, size)), _checked(tensors, f"{name}.bias", (size,)))
             for name in names]  # fmt: skip
    return Layer(
        pack_linear(np.concatenate([weight for weight, _ in parts]), np.concatenate([bias for _, bias in parts])),
        _linear(tensors, f"{prefix}attention.output.dense", size, size),
        _norm(tensors, f"{prefix}attention.output.LayerNorm", size),
        _linear(tensors, f"{prefix}intermediate.dense", inner, size),
        _linear(tensors, f"{prefix}output.dense", size, inner),
        _norm(tensors, f"{prefix}output.LayerNorm", size),
    )


def _linear(tensors: Tensors, name: str, n_outputs: int, size: int) -> PackedLinear:
    weight = _checked(tensors, f"{name}.weight", (n_outputs, size))
    return pack_linear(weight, _checked(tensors, f"{name}.bias", (n_outputs,)))


def _norm(tensors: Tensors, name: str, size: int) -> Norm:
    return Norm(*(np.array(_checked(tensors, f"{name}.{part}", (size,))) for part in ("weight", "bias")))


def _checked(tensors: Tensors, name: str, shape: tuple[int, ...]) -> Floats:
    values = tensors.get(name)
    if values.shape != shape:
        raise EncoderError(f"{tensors.path}: {name} has shape {values.shape}, but the config says {shape}")
    if not np.isfinite(values).all():
        raise EncoderError(f"{tensors.path}: {name} has NaN or infinity; the model is broken")
    return values
