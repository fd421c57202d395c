"""From a model's folder to a tower, with `transformers`: safetensors only, no code but ours and the library's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForMaskedLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lsr.encoders.backbone import Backbone
from lsr.encoders.config import TowerConfig
from lsr.encoders.heads.mlm import MLMHead
from lsr.encoders.tokens import TextTokenizer, copy_of
from lsr.encoders.tower import Tower
from lsr.errors import EncoderError

NO_LIMIT = 1 << 20
"""A tokenizer that takes this many tokens only says that nobody told it of a limit."""


_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


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

    tokenizer: is only read. saved_tokenizer: the same, as `transformers` has it.
    limit: tokens that the model takes, None: any number. placement: where it computes.
    """

    tower: Tower
    tokenizer: Tokenizer
    saved_tokenizer: Any
    limit: int | None
    placement: Placement

    @property
    def max_length(self) -> int | None:
        """Tokens of a text that are read."""
        return _smaller(self.limit, self.tower.config.max_length)

    def sharing(self, config: TowerConfig) -> LoadedTower:
        """Return a tower of the same weights with other settings, for the other side's texts."""
        if config == self.tower.config:
            return self
        return _assemble(self.tower.backbone, self.saved_tokenizer, config, self.limit, self.placement)


def load_tower(folder: Path, config: TowerConfig, placement: Placement) -> LoadedTower:
    """Load the transformer, head and tokenizer in `folder`.

    Raises EncoderError if weights are missing, pickled, or don't fit the tokenizer, or need code of the model's own.
    """
    model_config, saved_tokenizer = _read_configs(folder)
    backbone = Backbone(_load_model(folder, model_config, placement))
    limit = _limit(model_config, saved_tokenizer)
    return _assemble(backbone, saved_tokenizer, config, limit, placement)


def _assemble(
    backbone: Backbone, saved_tokenizer: Any, config: TowerConfig, limit: int | None, placement: Placement
) -> LoadedTower:
    tokenizer = saved_tokenizer.backend_tokenizer
    tower = Tower(
        backbone,
        MLMHead(backbone.projection, backbone.vocab_size, activation=config.activation, pooling=config.pooling),
        TextTokenizer(copy_of(tokenizer), max_length=_smaller(limit, config.max_length)),
        config,
        pad_id=saved_tokenizer.pad_token_id or 0,
        max_tokens=placement.max_tokens,
    )
    return LoadedTower(tower.to(placement.device), tokenizer, saved_tokenizer, limit, placement)


def special_token_ids(tokenizer: Any) -> list[int]:
    """Return the ids that mark the start, end, gaps or filling of texts; an unknown token stays a token."""
    return sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})


def load_tokenizer(folder: Path) -> Any:
    """Load a `transformers` tokenizer. Raises EncoderError if it can't be."""
    if not any(path for pattern in _VOCABULARIES for path in folder.glob(pattern)):
        # The library would make up an empty one.
        raise EncoderError(f"{folder}: no tokenizer.json: the model is not complete")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise EncoderError(f"{folder}: its tokenizer can't be loaded: {_first_line(error)}") from error
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise EncoderError(f"{folder}: its tokenizer has no fast form (tokenizer.json): not supported")
    return tokenizer


def _read_configs(folder: Path) -> tuple[Any, Any]:
    try:
        model_config = AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise EncoderError(
                f"{folder}: the model needs code of its own, which is never run: not supported"
            ) from error
        raise EncoderError(f"{folder}: its config can't be read: {_first_line(error)}") from error
    return model_config, load_tokenizer(folder)


def _load_model(folder: Path, model_config: Any, placement: Placement) -> Any:
    if not any(folder.glob("*.safetensors")):
        pickled = [path.name for pattern in ("*.bin", "*.pt", "*.ckpt") for path in folder.glob(pattern)]
        if pickled:
            raise EncoderError(
                f"{folder}: weights only as {pickled[0]}, which can run code when it is read: "
                "save the model as safetensors"
            )
        raise EncoderError(f"{folder}: no *.safetensors: the model is not complete")
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        model, info = AutoModelForMaskedLM.from_pretrained(
            str(folder),
            config=model_config,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            dtype=placement.dtype,
            output_loading_info=True,
        )
    except Exception as error:
        raise EncoderError(f"{folder}: no masked-LM model can be loaded: {_first_line(error)}") from error
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
    _refuse_incomplete(folder, info)
    model.eval()
    return model


def _refuse_incomplete(folder: Path, info: Any) -> None:
    # The library fills missing weights with random numbers and only warns.
    mismatched = sorted(key if isinstance(key, str) else key[0] for key in info.get("mismatched_keys", ()))
    missing = sorted(info.get("missing_keys", ()))
    if missing or mismatched:
        keys = missing or mismatched
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        what = "missing" if missing else "of another shape"
        raise EncoderError(
            f"{folder}: has no masked-LM head that fits: weight {keys[0]}{more} {what}; "
            "take a checkpoint that was saved with its head"
        )


def _limit(model_config: Any, tokenizer: Any) -> int | None:
    positions = getattr(model_config, "max_position_embeddings", None) or NO_LIMIT
    if model_config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer"):
        positions -= (model_config.pad_token_id or 0) + 1  # their positions are counted from behind the padding id
    limit = min(positions, tokenizer.model_max_length)
    return None if limit >= NO_LIMIT else int(limit)


def _smaller(a: int | None, b: int | None) -> int | None:
    return min((value for value in (a, b) if value is not None), default=None)


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
