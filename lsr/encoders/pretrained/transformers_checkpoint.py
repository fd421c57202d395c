"""Reading a checkpoint with `transformers`: safetensors only, complete, no code but ours and the library's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from lsr.encoders.pretrained.compact_weights import COMPACT_FILE, load_compact
from lsr.encoders.pretrained.module_keys import refuse_adapter
from lsr.encoders.text.tokenizer import check_token_ids, checked_text, first_line, library_errors
from lsr.encoders.text.tokenizer_checks import check_size
from lsr.errors import EncoderError

NO_LIMIT = 1 << 20
"""Limit of a tokenizer from which on it means that none was given."""

HIDDEN_STATES = "hidden-states"
MODELS = {
    HIDDEN_STATES: AutoModel,
    "masked-LM": AutoModelForMaskedLM,
    "causal-LM": AutoModelForCausalLM,
    "seq2seq-LM": AutoModelForSeq2SeqLM,
    "sequence-classification": AutoModelForSequenceClassification,
}
"""The library's classes of models, by task."""
_VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model")


def read_model(folder: Path, task: str, dtype: torch.dtype) -> Any:
    """Load the transformer for a task, one of MODELS.

    Raises EncoderError if weights are missing or pickled, or if the model needs code that comes with it.
    """
    refuse_adapter(folder)
    config = _read_config(folder)
    _refuse_pickled(folder)
    kind: Any = MODELS[task]
    head_name = "" if task == HIDDEN_STATES else task
    place: str | None = str(folder)
    weights = None
    if (folder / COMPACT_FILE).is_file():
        kind, place, weights = _architecture(folder, config), None, load_compact(folder / COMPACT_FILE)
    try:
        with quietly():
            model, info = kind.from_pretrained(
                place,
                config=config,
                state_dict=weights,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=dtype,
                output_loading_info=True,
            )
    except Exception as error:
        raise EncoderError(
            f"{folder}: no {head_name} model can be loaded: {first_line(error)}{_other_family(config, task)}"
        ) from error
    _refuse_incomplete(folder, head_name, info)
    model.eval()
    return model


def is_encoder_decoder(folder: Path) -> bool:
    """Say whether a checkpoint is of an encoder and a decoder. Raises EncoderError if its config can't be read."""
    return bool(getattr(_read_config(folder), "is_encoder_decoder", False))


def read_tokenizer_of(folder: Path) -> Any:
    """Load a `transformers` tokenizer. Raises EncoderError if it can't be."""
    if not any(path for pattern in _VOCABULARIES for path in folder.glob(pattern)):
        # The library would make up an empty one.
        raise EncoderError(f"{folder}: no tokenizer.json: the model is not complete")
    for path in folder.glob("*.json"):
        if path.name != "model.safetensors.index.json":
            check_size(path)
    path = folder / "tokenizer.json"
    if path.is_file():
        checked_text(path)
    with library_errors(f"{folder}: its tokenizer can't be loaded"):
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise EncoderError(f"{folder}: its tokenizer has no fast form (tokenizer.json): not supported")
    return tokenizer


def check_ids_of(tokenizer: Any, model: Any, folder: Path) -> None:
    """Raise EncoderError where a tokenizer gives ids that a model has no embedding for."""
    check_token_ids(tokenizer.backend_tokenizer, len(model.get_input_embeddings().weight), folder)


def special_token_ids(tokenizer: Any) -> list[int]:
    """Return the ids that mark the start, end, gaps or filling of texts; an unknown token stays a token."""
    return sorted(set(tokenizer.all_special_ids) - {tokenizer.unk_token_id})


def token_limit(model: Any, tokenizer: Any) -> int | None:
    """Return how many tokens a text may have for this model, None where nothing limits it."""
    config = model.config
    positions = getattr(config, "max_position_embeddings", None) or NO_LIMIT
    if config.model_type in ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet"):
        positions -= (config.pad_token_id or 0) + 1  # their positions are counted from behind the padding id
    limit = min(positions, tokenizer.model_max_length)
    return None if limit >= NO_LIMIT else int(limit)


def _architecture(folder: Path, config: Any) -> Any:
    """Return the library's class of a model, which a compact file can't be read without."""
    names = config.architectures or [""]
    kind = getattr(transformers, names[0], None)
    if not (isinstance(kind, type) and issubclass(kind, PreTrainedModel)):
        raise EncoderError(f"{folder}: its config names architecture {names[0]!r}, which transformers doesn't have")
    return kind


def _read_config(folder: Path) -> Any:
    try:
        return AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise EncoderError(
                f"{folder}: the model needs code that comes with it, which is never run: no support"
            ) from error
        raise EncoderError(f"{folder}: its config can't be read: {first_line(error)}") from error


def _other_family(config: Any, task: str) -> str:
    """Return what to do with a decoder that is read as a masked-LM checkpoint, as part of a message."""
    if task != "masked-LM" or type(config) in MODEL_FOR_MASKED_LM_MAPPING:
        return ""
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        return ""
    return (
        "; it is a decoder, which a family with a causal head reads: --family echo-splade, or encoder.family = "
        '"echo-splade" to train it'
    )


def _refuse_pickled(folder: Path) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickled = [path.name for pattern in ("*.bin", "*.pt", "*.ckpt") for path in folder.glob(pattern)]
    if pickled:
        raise EncoderError(
            f"{folder}: weights only as {pickled[0]}, which can run code when it is read: run lsr encoder convert "
            f"{folder} OUT, which reads weights alone and writes safetensors"
        )
    raise EncoderError(f"{folder}: no *.safetensors: the model is not complete")


def _refuse_incomplete(folder: Path, head_name: str, info: Any) -> None:
    # The library fills missing weights with random numbers and only warns. A pooler is never asked here.
    missing = sorted(key for key in info.get("missing_keys", ()) if not key.startswith("pooler."))
    mismatched = sorted(key if isinstance(key, str) else key[0] for key in info.get("mismatched_keys", ()))
    keys = missing or mismatched
    if keys:
        more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
        what = f"has no {head_name} head that fits" if head_name else "is not complete"
        raise EncoderError(
            f"{folder}: {what}: weight {keys[0]}{more} {'missing' if missing else 'of another shape'}; "
            "take a checkpoint that was saved with all its weights"
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Keep `transformers` from reporting and from drawing bars."""
    verbosity = transformers_logging.get_verbosity()
    bar = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()
