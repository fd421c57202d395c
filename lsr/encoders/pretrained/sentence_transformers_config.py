"""Settings of a Sentence-Transformers folder that all its kinds of models share. Nothing here imports torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.pretrained.module_keys import check_keys, warn_once
from lsr.errors import EncoderError

CONFIG = "config_sentence_transformers.json"
_SIDES = ("query", "document")
_TRANSFORMER_NAMES = ("bert", "mlm", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
"""Parts of the names that versions of the library have given a transformer's settings."""
_TRANSFORMER_KEYS = (
    "max_seq_length", "do_lower_case", "transformer_task", "module_output_name", "unpad_inputs", "modality_config",
    "model_args", "model_kwargs", "config_args", "config_kwargs", "tokenizer_args",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings of a whole model. max_active_dims: number of weights of a vector. similarity: `dot`, `cosine` or None.

    prompts: by side, "" where there is none.
    """

    prompts: Mapping[str, str]
    similarity: str | None = None
    max_active_dims: int | None = None


def read_model_settings(folder: Path) -> ModelSettings:
    """Read CONFIG, where it is there. Raises EncoderError for values that this program can't do."""
    path = folder / CONFIG
    values: Mapping[str, Any] = _read(path) if path.is_file() else {}
    check_keys(
        path,
        values,
        known=("__version__", "prompts", "similarity_fn_name", "max_active_dims", "default_prompt_name"),
        only={
            "model_type": (None, "SparseEncoder", "SentenceTransformer"),
            "truncate_dim": (None,),
        },
    )
    prompts = values.get("prompts") or {}
    for name, text in prompts.items():
        # encode_query and encode_document of the library read these two names only.
        if name not in _SIDES and text and text not in [prompts.get(side) for side in _SIDES]:
            warn_once(f"{path}: prompt {name!r} has no effect: queries and documents take those called query, document")
    similarity = values.get("similarity_fn_name")
    if similarity not in (None, "dot", "dot_score", "cosine", "cos_sim"):
        raise EncoderError(
            f"{path}: similarity_fn_name is {similarity!r}, but an index is searched by dot products: 'dot' or 'cosine'"
        )
    most = values.get("max_active_dims")
    if most is not None and (type(most) is not int or most < 1):
        raise EncoderError(f"{path}: max_active_dims is {most!r}, but has to be a whole number of 1 or more")
    return ModelSettings(
        {side: prompts.get(side) or "" for side in _SIDES},
        None if similarity is None else "dot" if similarity.startswith("dot") else "cosine",
        most,
    )


def read_transformer_settings(folder: Path) -> Mapping[str, Any]:
    """Read the settings of a transformer's module, which versions of the library call by several names.

    Raises EncoderError for values that this program can't do.
    """
    paths = [folder / f"sentence_{name}_config.json" for name in _TRANSFORMER_NAMES]
    found = [path for path in paths if path.is_file()]
    if not found:
        return {}
    path = found[-1] if found[-1].name == "sentence_mlm_config.json" else found[0]
    values: Mapping[str, Any] = _read(path)
    check_keys(
        path,
        values,
        known=_TRANSFORMER_KEYS,
        only={"query_length": (None,), "document_length": (None,), "query_expansion": (None,)},
    )
    if values.get("do_lower_case"):
        raise EncoderError(f"{folder}: do_lower_case outside the tokenizer is not supported")
    if values.get("modality_config") and "text" not in values["modality_config"]:
        raise EncoderError(f"{path}: it reads {', '.join(values['modality_config'])}, but not text")
    return values


def _read(path: Path) -> Any:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise EncoderError(f"{path} can't be read: {error}") from error
    if not isinstance(values, dict):
        raise EncoderError(f"{path} holds {type(values).__name__}, but a JSON object was expected")
    return values
