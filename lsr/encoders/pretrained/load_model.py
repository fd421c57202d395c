"""From a model's folder to a tower: transformer, head and tokenizer put together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from lsr.encoders.config import DenseConfig, TowerConfig
from lsr.encoders.network.backbone import Backbone, HiddenStates, PhraseEmbeddings
from lsr.encoders.network.cpu_features import multiplies_bfloat16
from lsr.encoders.network.dense_branch import Branch
from lsr.encoders.network.devices import choose_device
from lsr.encoders.network.heads.base import Head, head_kind, share_weights
from lsr.encoders.network.heads.dense import DenseHead
from lsr.encoders.network.sparse_model import Tower
from lsr.encoders.pretrained.sparse_folder import HEAD_FILE, PHRASE_VECTORS_FILE, PHRASES_FILE
from lsr.encoders.pretrained.transformers_checkpoint import (
    HIDDEN_STATES,
    check_ids_of,
    read_model,
    read_tokenizer_of,
    token_limit,
)
from lsr.encoders.runtime import Runtime
from lsr.encoders.text.phrases import PhraseMatcher, read_phrases
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, vocabulary
from lsr.errors import EncoderError


@dataclass(frozen=True, slots=True)
class Placement:
    """Device and precision of a model.

    device: torch device. dtype: type of its weights. max_tokens: tokens of a batch (default: by device).
    """

    device: torch.device
    dtype: torch.dtype
    max_tokens: int | None = None

    @classmethod
    def of(
        cls,
        device: str | None = None,
        dtype: str | None = None,
        max_tokens: int | None = None,
        *,
        cpu_bfloat16: bool = False,
    ) -> Placement:
        """Choose the rest: CUDA with bfloat16 where there is such a device, else the CPU with float32.

        device: as of `choose_device`.
        cpu_bfloat16: with bfloat16 on the CPU too, if it multiplies that natively.
        Raises UsageError for an unknown device, EncoderError for one that isn't there, or an unknown type.
        """
        chosen = torch.device(choose_device(device))
        if dtype is None:
            wanted = cpu_bfloat16 or chosen.type == "cuda"
            dtype = "bfloat16" if wanted and multiplies_bfloat16(chosen) else "float32"
        if dtype not in ("float32", "bfloat16", "float16"):
            raise EncoderError(f"dtype {dtype!r} is not known: take float32, bfloat16 or float16")
        if max_tokens is not None and max_tokens < 1:
            raise EncoderError(f"max_tokens is {max_tokens}, but has to be 1 or more")
        return cls(chosen, getattr(torch, dtype), max_tokens)

    @property
    def runtime(self) -> Runtime:
        """The runtime, as an index records it: torch sums in another order for another batch or number of threads."""
        dtype = str(self.dtype).removeprefix("torch.")
        return Runtime(f"torch {torch.__version__}", self.device.type, dtype, same_bits=False)


@dataclass(frozen=True, slots=True)
class LoadedTower:
    """A tower with its tokenizer, limit and placement.

    tokenizer: a tokenizer of `transformers`. limit: tokens that the model takes (None: any number).
    placement: its device and precision.
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
    def phrases(self) -> PhraseEmbeddings | None:
        """The phrases that are terms beside the tokens, None where there are none."""
        phrases: PhraseEmbeddings | None = getattr(self.tower.backbone, "phrases", None)
        return phrases

    @property
    def terms(self) -> list[str]:
        """The terms by id: the tokens, and behind them the phrases."""
        head = self.tower.head
        own = head.own_terms()
        if own is not None:
            return own
        tokens = vocabulary(self.backend, head.n_own)
        return (
            tokens
            if head.n_own == head.vocab_size or self.phrases is None
            else [*tokens, *self.phrases.matcher.phrases.terms]
        )

    @property
    def max_length(self) -> int | None:
        """Tokens of a text that are read."""
        return _smaller(self.limit, self.tower.config.max_length)

    def sharing(self, config: TowerConfig) -> LoadedTower:
        """Return a tower of the same weights with other settings, for the other side's texts.

        The weights are shared, not copied: training one trains both.
        """
        if config == self.tower.config:
            return self
        tower = self.tower
        head = head_kind(config.head).make(tower.backbone, config)
        share_weights(tower.head, head)
        return _assemble(tower.backbone, head, tower.dense_head, self.tokenizer, config, self.limit, self.placement)


def load_tower(
    folder: Path, config: TowerConfig, placement: Placement, dense: DenseConfig | None = None
) -> LoadedTower:
    """Load the transformer, its heads and its tokenizer in `folder`.

    Raises EncoderError if weights are missing, pickled, or don't fit, or need code that comes with the model.
    """
    loaded = start_tower(folder, config, placement, dense)
    own = own_weights(loaded.tower)
    if not own:
        return loaded
    path = folder / HEAD_FILE
    if not path.is_file():
        raise EncoderError(f"{path} is missing: an encoder with head {config.head!r} needs it")
    weights = load_file(path, device=str(placement.device))
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in weights.items()}:
        raise EncoderError(f"{path} doesn't fit the model: it holds {', '.join(sorted(weights)) or 'nothing'}")
    with torch.no_grad():
        for name, value in own.items():
            value.copy_(weights[name])
    return loaded


def start_tower(
    folder: Path, config: TowerConfig, placement: Placement, dense: DenseConfig | None = None
) -> LoadedTower:
    """Load a transformer and its tokenizer, and begin a head where the transformer brings none: to be trained.

    Raises EncoderError as `load_tower` does.
    """
    kind = head_kind(config.head)
    model = read_model(folder, kind.task, placement.dtype)
    tokenizer = read_tokenizer_of(folder)
    check_ids_of(tokenizer, model, folder)
    phrases = _read_phrases(folder, tokenizer)
    is_hidden = kind.task == HIDDEN_STATES
    layers = None if config.wide is None else config.wide.layers
    backbone: nn.Module = (
        HiddenStates(model, phrases=phrases, layers=layers) if is_hidden else Backbone(model, phrases=phrases)
    )
    head = kind.make(backbone, config)
    dense_head = None if dense is None else _make_dense_head(model, dense)
    return _assemble(backbone, head, dense_head, tokenizer, config, token_limit(model, tokenizer), placement)


def _read_phrases(folder: Path, tokenizer: Any) -> PhraseEmbeddings | None:
    """Read the phrases beside a model, None where it has none. Raises EncoderError if they are broken."""
    path, vectors = folder / PHRASES_FILE, folder / PHRASE_VECTORS_FILE
    if not path.is_file():
        return None
    phrases = read_phrases(path)
    backend = tokenizer.backend_tokenizer
    n_tokens = backend.get_vocab_size(with_added_tokens=True)
    if max(max(ids) for ids in phrases.tokens) >= n_tokens:
        raise EncoderError(f"{path}: a phrase has a token id of {n_tokens} or more, which the tokenizer lacks")
    try:
        embeddings = load_file(vectors)["embeddings"].float()
    except (OSError, KeyError, SafetensorError) as error:
        raise EncoderError(f"{vectors}: no embeddings of the phrases beside it ({error})") from error
    if embeddings.dim() != 2 or len(embeddings) != len(phrases.names) or not bool(embeddings.isfinite().all()):
        raise EncoderError(
            f"{vectors} holds {tuple(embeddings.shape)} numbers, but {len(phrases.names):,} phrases need a row each of "
            "finite ones"
        )
    return PhraseEmbeddings(PhraseMatcher(phrases, backend), embeddings)


def own_weights(tower: Tower) -> dict[str, torch.Tensor]:
    """Return the weights that a tower has beside its transformer's, as HEAD_FILE holds them."""
    dense = {} if tower.dense_head is None else tower.dense_head.state_dict()
    return {**tower.head.own_weights(), **{f"dense.{name}": value for name, value in dense.items()}}


def _make_dense_head(model: Any, config: DenseConfig) -> DenseHead:
    size = model.config.hidden_size
    branch = None if config.shared_layers is None else Branch(model, config.shared_layers)
    layers = [] if config.dimension is None else [nn.Linear(size, config.dimension)]
    return DenseHead(size, pooling=config.pooling, normalise=config.normalise, layers=layers, branch=branch)


def _assemble(
    backbone: nn.Module,
    head: Head,
    dense_head: DenseHead | None,
    tokenizer: Any,
    config: TowerConfig,
    limit: int | None,
    placement: Placement,
) -> LoadedTower:
    max_length = _smaller(limit, config.max_length)
    tower = Tower(
        backbone,
        head,
        TextTokenizer(copy_of(tokenizer.backend_tokenizer), max_length=max_length, copies=2 if config.echo else 1),
        config,
        pad_id=tokenizer.pad_token_id or 0,
        max_tokens=placement.max_tokens,
        dense_head=dense_head,
    )
    return LoadedTower(tower.to(placement.device, placement.dtype), tokenizer, limit, placement)


def _smaller(a: int | None, b: int | None) -> int | None:
    return min((value for value in (a, b) if value is not None), default=None)
