"""Architectures that the kernels run: where each keeps its settings and weights.

They are one transformer under five sets of names (Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805; "RoBERTa",
arXiv:1907.11692; "XLM-R", arXiv:1911.02116; "DistilBERT", arXiv:1910.01108; "MPNet", arXiv:2004.09297): layers
normalised behind attention and behind two linear layers with gelu between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsr.kernels.encode.float_tiles import COLUMNS
from lsr.kernels.encode.integer_tiles import PANEL


@dataclass(frozen=True, slots=True)
class Architecture:
    """Names within a checkpoint. layer: of layer i, with `{}`; the names of its parts follow it.

    prefix: of all but the head, left out by checkpoints without one. head, head_norm, decoder, head_bias: of the
    masked-LM head. settings: names in config.json that differ from BERT's. offset: whether positions are counted from
    behind the padding id. padding_id: that id where it is no setting. kinds: whether token types have embeddings.
    distances: table of attention by distance.
    """

    prefix: str
    head: str
    head_norm: str
    decoder: str
    head_bias: str
    layer: str = "encoder.layer.{}."
    projection: tuple[str, str, str] = ("attention.self.query", "attention.self.key", "attention.self.value")
    attended: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    inner: str = "intermediate.dense"
    outer: str = "output.dense"
    norm: str = "output.LayerNorm"
    settings: Mapping[str, str] = field(default_factory=dict)
    offset: bool = False
    padding_id: int | None = None
    kinds: bool = True
    distances: str | None = None


_BERT = Architecture(
    prefix="bert.",
    head="cls.predictions.transform.dense",
    head_norm="cls.predictions.transform.LayerNorm",
    decoder="cls.predictions.decoder",
    head_bias="cls.predictions.bias",
)
_ROBERTA = Architecture(
    prefix="roberta.",
    head="lm_head.dense",
    head_norm="lm_head.layer_norm",
    decoder="lm_head.decoder",
    head_bias="lm_head.bias",
    offset=True,
)
_DISTILBERT = Architecture(
    prefix="distilbert.",
    head="vocab_transform",
    head_norm="vocab_layer_norm",
    decoder="vocab_projector",
    head_bias="vocab_projector.bias",
    layer="transformer.layer.{}.",
    projection=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    attended="attention.out_lin",
    attention_norm="sa_layer_norm",
    inner="ffn.lin1",
    outer="ffn.lin2",
    norm="output_layer_norm",
    settings={
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_hidden_layers": "n_layers",
        "num_attention_heads": "n_heads",
        "hidden_act": "activation",
    },
    kinds=False,
)
_MPNET = Architecture(
    prefix="mpnet.",
    head="lm_head.dense",
    head_norm="lm_head.layer_norm",
    decoder="lm_head.decoder",
    head_bias="lm_head.bias",
    projection=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
    attended="attention.attn.o",
    attention_norm="attention.LayerNorm",
    offset=True,
    padding_id=1,
    kinds=False,
    distances="encoder.relative_attention_bias.weight",
)

ARCHITECTURES: Mapping[str, Architecture] = {
    "bert": _BERT,
    "distilbert": _DISTILBERT,
    "mpnet": _MPNET,
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
}
"""The architectures by `model_type` of config.json. A checkpoint of another name may have the names of one of these."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Numbers of a model's config.json under one set of names."""

    architecture: Architecture
    size: int
    inner_size: int
    n_layers: int
    n_heads: int
    epsilon: float
    first_position: int


def settings_of(config: Mapping[str, Any]) -> Settings:
    """Return the settings of a model that `why_not` finds no fault with."""
    architecture = ARCHITECTURES[config["model_type"]]
    padding = architecture.padding_id
    if padding is None:
        padding = int(config.get("pad_token_id") or 0)
    return Settings(
        architecture,
        int(_value(config, "hidden_size")),
        int(_value(config, "intermediate_size")),
        int(_value(config, "num_hidden_layers")),
        int(_value(config, "num_attention_heads")),
        float(config.get("layer_norm_eps", 1e-12)),
        padding + 1 if architecture.offset else 0,
    )


def why_not(config: Mapping[str, Any]) -> str | None:
    """Return the part of a transformer that the kernels can't run, None where they can run it all.

    config: values of its config.json.
    """
    kind = config.get("model_type")
    if kind not in ARCHITECTURES:
        return f"its architecture is {kind!r}, not one of {', '.join(ARCHITECTURES)}"
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    values = {name: _value(config, name) for name in names}
    for name, value in values.items():
        if type(value) is not int or value < 1:
            return f"its {_name(config, name)} is {value!r}, not a number of 1 or more"
    size, inner, _, n_heads = values.values()
    activation = _value(config, "hidden_act") or "gelu"
    reasons = {
        f"its activation is {activation!r}, not 'gelu'": activation != "gelu",
        "its positions aren't absolute": config.get("position_embedding_type", "absolute") != "absolute",
        "it is a decoder": bool(config.get("is_decoder")),
        f"its hidden size {size} isn't a multiple of {PANEL}": size % PANEL != 0,
        f"its inner size {inner} isn't a multiple of {PANEL}": inner % PANEL != 0,
        f"its {n_heads} attention heads aren't of a multiple of {COLUMNS} numbers": size % (n_heads * COLUMNS) != 0,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def _name(config: Mapping[str, Any], name: str) -> str:
    return ARCHITECTURES[config["model_type"]].settings.get(name, name)


def _value(config: Mapping[str, Any], name: str) -> Any:
    return config.get(_name(config, name))
