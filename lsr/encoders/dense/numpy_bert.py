"""BERT's forward pass for one short text in numpy, which saves a query the seconds of loading torch.

Devlin et al., "BERT" (NAACL 2019, arXiv:1810.04805), as `transformers` computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.pretrained.mapped_weights import Floats, Tensors

# Abramowitz and Stegun, "Handbook of Mathematical Functions" (1964), 7.1.26: erf within 1.5e-7.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911
_EMBEDDINGS = "embeddings."
_LAYER = "encoder.layer."


class BareBert:
    """The trunk of a BERT and, above some of its layers, perhaps a separate branch. Safe from many threads.

    layers: each a function from a name within a layer to its weight.
    """

    def __init__(
        self, trunk: Tensors, prefix: str, config: Mapping[str, Any], branch: Tensors | None = None, shared: int = 0
    ) -> None:
        self._trunk = trunk
        self._prefix = prefix
        self._heads = int(config["num_attention_heads"])
        self._epsilon = float(config["layer_norm_eps"])
        n_layers = int(config["num_hidden_layers"])
        of_trunk = n_layers if branch is None else shared
        places = [(trunk, f"{prefix}{_LAYER}{i}.") for i in range(of_trunk)]
        if branch is not None:
            places += [(branch, f"dense.branch.layers.{i}.") for i in range(n_layers - shared)]
        self._layers = [_reader(*place) for place in places]

    def hidden_states(self, ids: Sequence[int]) -> Floats:
        """Return the last hidden states of one text, float32, (n_tokens, hidden_size)."""
        embeddings = self._prefix + _EMBEDDINGS
        get, rows = self._trunk.get, self._trunk.rows
        hidden = rows(f"{embeddings}word_embeddings.weight", np.array(ids, np.int64))
        hidden = hidden + rows(f"{embeddings}position_embeddings.weight", np.arange(len(ids)))
        hidden += rows(f"{embeddings}token_type_embeddings.weight", np.zeros(1, np.int64))
        norm = f"{embeddings}LayerNorm."
        hidden = self._normed(hidden, get(f"{norm}weight"), get(f"{norm}bias"))
        for layer in self._layers:
            hidden = self._layer(hidden, layer)
        return hidden

    def _layer(self, hidden: Floats, weight: Callable[[str], Floats]) -> Floats:
        queries, keys, values = (
            self._by_head(_linear(hidden, weight, f"attention.self.{name}")) for name in ("query", "key", "value")
        )
        scores = queries @ keys.transpose(0, 2, 1) / np.float32(np.sqrt(queries.shape[2]))
        scores = np.exp(scores - scores.max(2, keepdims=True))
        scores /= scores.sum(2, keepdims=True)
        mixed = (scores @ values).transpose(1, 0, 2).reshape(hidden.shape)
        attended = _linear(mixed, weight, "attention.output.dense") + hidden
        norm = "attention.output.LayerNorm."
        attended = self._normed(attended, weight(f"{norm}weight"), weight(f"{norm}bias"))
        inner = gelu(_linear(attended, weight, "intermediate.dense"))
        out = _linear(inner, weight, "output.dense") + attended
        return self._normed(out, weight("output.LayerNorm.weight"), weight("output.LayerNorm.bias"))

    def _by_head(self, values: Floats) -> Floats:
        """Return (n_heads, n_tokens, size) of (n_tokens, hidden_size)."""
        return values.reshape(len(values), self._heads, -1).transpose(1, 0, 2)

    def _normed(self, values: Floats, weight: Floats, bias: Floats) -> Floats:
        centred = values - values.mean(1, keepdims=True)
        variance = np.square(centred).mean(1, keepdims=True)
        normed: Floats = centred / np.sqrt(variance + np.float32(self._epsilon)) * weight + bias
        return normed


def gelu(values: npt.NDArray[np.float32]) -> Floats:
    """Return x Φ(x), within 2e-6 for values of a size that models have."""
    size = np.abs(values) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(_ERF_P) * size)
    polynomial = np.zeros_like(t)
    for coefficient in reversed(_ERF):
        polynomial = (polynomial + np.float32(coefficient)) * t
    erf = np.copysign(1 - polynomial * np.exp(-size * size), values)
    product: Floats = np.float32(0.5) * values * (1 + erf)
    return product


def _linear(values: Floats, weight: Callable[[str], Floats], name: str) -> Floats:
    product: Floats = values @ weight(f"{name}.weight").T + weight(f"{name}.bias")
    return product


def _reader(tensors: Tensors, prefix: str) -> Callable[[str], Floats]:
    """Return a function that reads a layer's weights; expanded ones are kept, mapped ones cost nothing."""
    kept: dict[str, Floats] = {}

    def read(name: str) -> Floats:
        if name not in kept:
            kept[name] = tensors.get(prefix + name)
        return kept[name]

    return read
