"""From a model's folder to a tower: transformer, head and tokenizer put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from lsr.encoders.backbone import Backbone, HiddenStates
from lsr.encoders.checkpoints import read_model, read_tokenizer_of, token_limit
from lsr.encoders.config import TowerConfig
from lsr.encoders.heads.base import Head
from lsr.encoders.heads.gated import GatedHead
from lsr.encoders.heads.mlm import MLMHead
from lsr.encoders.heads.mlp import MLPHead
from lsr.encoders.layout import HEAD_FILE
from lsr.encoders.tokens import TextTokenizer, copy_of
from lsr.encoders.tower import Tower
from lsr.errors import EncoderError


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how precisely a model computes.

    device: a torch device. dtype: of its weights. max_tokens: of a batch; None: what suits the device.
    """

    device: torch.device
    dtype: torch.dtype
    max_tokens: int | None = None

    @classmethod
    def of(cls, device: str | None = None, dtype: str | None = None, max_tokens: int | None = None) -> Placement:
        """Choose what isn't given: CUDA with bfloat16 where there is such a device, else the CPU with float32.

        Raises EncoderError for a device or type that torch doesn't know.
        """
        try:
            chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        except RuntimeError as error:
            raise EncoderError(f"device {device!r} is not known to torch: try cpu or cuda") from error
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise EncoderError("device 'cuda' is not there: torch finds no CUDA device on this machine")
        if dtype is None:
            dtype = "bfloat16" if chosen.type == "cuda" and torch.cuda.is_bf16_supported() else "float32"
        if dtype not in ("float32", "bfloat16", "float16"):
            raise EncoderError(f"dtype {dtype!r} is not known: take float32, bfloat16 or float16")
        if max_tokens is not None and max_tokens < 1:
            raise EncoderError(f"max_tokens is {max_tokens}, but has to be 1 or more")
        return cls(chosen, getattr(torch, dtype), max_tokens)


@dataclass(frozen=True, slots=True)
class LoadedTower:
    """A tower with what its encoder has to know of it.

    tokenizer: as `transformers` has it. limit: tokens that the model takes, None: any number.
    placement: where it computes.
    """

    tower: Tower
    tokenizer: Any
    limit: int | None
    placement: Placement

    @property
    def backend(self) -> Tokenizer:
        """The tokenizer as the `tokenizers` library has it; only to be read."""
        backend: Tokenizer = self.tokenizer.backend_tokenizer
        return backend

    @property
    def max_length(self) -> int | None:
        """Tokens of a text that are read."""
        return _smaller(self.limit, self.tower.config.max_length)

    def sharing(self, config: TowerConfig) -> LoadedTower:
        """Return a tower of the same weights with other settings, for the other side's texts."""
        if config == self.tower.config:
            return self
        head = _make_head(self.tower.backbone, config)
        _take_weights(head, self.tower.head.own_weights(), "the documents' head")
        return _assemble(self.tower.backbone, head, self.tokenizer, config, self.limit, self.placement)


def load_tower(folder: Path, config: TowerConfig, placement: Placement) -> LoadedTower:
    """Load the transformer, head and tokenizer in `folder`.

    Raises EncoderError if weights are missing, pickled, or don't fit, or need code of the model's own.
    """
    loaded = start_tower(folder, config, placement)
    path = folder / HEAD_FILE
    if loaded.tower.head.own_weights():
        if not path.is_file():
            raise EncoderError(f"{path} is missing: an encoder with head {config.head!r} needs it")
        _take_weights(loaded.tower.head, load_file(path, device=str(placement.device)), str(path))
    return loaded


def start_tower(folder: Path, config: TowerConfig, placement: Placement) -> LoadedTower:
    """Load a transformer and its tokenizer, and begin a head where the transformer brings none: to be trained.

    Raises EncoderError as `load_tower` does.
    """
    model = read_model(folder, config.head, placement.dtype)
    tokenizer = read_tokenizer_of(folder)
    backbone: nn.Module = HiddenStates(model) if config.head == "mlp" else Backbone(model)
    head = _make_head(backbone, config)
    return _assemble(backbone, head, tokenizer, config, token_limit(model, tokenizer), placement)


def _make_head(backbone: nn.Module, config: TowerConfig) -> Head:
    parts = {"activation": config.activation, "pooling": config.pooling}
    if config.head == "mlp":
        model_config = backbone.model.config
        return MLPHead(model_config.hidden_size, model_config.vocab_size, layers=config.mlp_layers, **parts)
    if config.head == "gated":
        if backbone.projection is None:
            raise EncoderError(f"{type(backbone.model).__name__}: a gated head needs a plain vocabulary projection")
        return GatedHead(backbone.projection, **parts)
    return MLMHead(backbone.projection, backbone.vocab_size, **parts)


def _take_weights(head: Head, weights: dict[str, torch.Tensor], source: str) -> None:
    own = head.own_weights()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise EncoderError(f"{source} doesn't fit the model: it holds {', '.join(sorted(weights)) or 'nothing'}")
    head.load_state_dict(weights, strict=False)


def _assemble(
    backbone: nn.Module, head: Head, tokenizer: Any, config: TowerConfig, limit: int | None, placement: Placement
) -> LoadedTower:
    max_length = _smaller(limit, config.max_length)
    tower = Tower(
        backbone,
        head,
        TextTokenizer(copy_of(tokenizer.backend_tokenizer), max_length=max_length, copies=2 if config.echo else 1),
        config,
        pad_id=tokenizer.pad_token_id or 0,
        max_tokens=placement.max_tokens,
    )
    return LoadedTower(tower.to(placement.device, placement.dtype), tokenizer, limit, placement)


def _smaller(a: int | None, b: int | None) -> int | None:
    return min((value for value in (a, b) if value is not None), default=None)
