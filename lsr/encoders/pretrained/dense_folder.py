"""Folder layouts of dense encoders. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.encoders.config import COSINE, DENSE_POOLINGS
from lsr.encoders.pretrained.module_keys import check_keys, refuse_adapter
from lsr.encoders.pretrained.sentence_transformers_config import read_model_settings, read_transformer_settings
from lsr.encoders.pretrained.sparse_folder import AUTOENCODER, module_chain, read_json
from lsr.errors import EncoderError, UsageError

_LAYER_ACTIVATIONS = ("Tanh", "Identity")
_ST_POOLINGS = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}
# The form of Sentence-Transformers before version 5.
_ST_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
}

_POOLING_KEYS = ("embedding_dimension", "word_embedding_dimension", "pooling_mode", "include_prompt", *_ST_FLAGS)
_IN_AND_OUT = {
    "module_input_name": (None, "sentence_embedding"),
    "module_output_name": (None, "sentence_embedding"),
}


@dataclass(frozen=True, slots=True)
class DenseSettings:
    """Settings of a dense vector, beside the weights.

    max_length: number of tokens that are read (default: all that the model takes).
    """

    pooling: str = "mean"
    normalise: bool = True
    query_prompt: str = ""
    document_prompt: str = ""
    max_length: int | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a pooling that isn't known."""
        if self.pooling not in DENSE_POOLINGS:
            raise UsageError(f"pooling is {self.pooling!r}, but has to be one of {', '.join(DENSE_POOLINGS)}")


@dataclass(frozen=True, slots=True)
class DenseLayout:
    """A dense encoder's parts: its transformer's folder, and those of linear layers behind the pooling."""

    transformer: Path
    settings: DenseSettings
    layers: tuple[Path, ...] = ()


def read_dense_layout(folder: Path) -> DenseLayout:
    """Return the parts of the dense encoder in `folder`. Raises EncoderError for an unknown layout."""
    refuse_adapter(folder)
    if not (folder / "modules.json").is_file():
        if (folder / "config.json").is_file():
            return DenseLayout(folder, DenseSettings())
        raise EncoderError(f"{folder} holds no model: there is no modules.json or config.json")
    try:
        return _sentence_transformers(folder)
    except (KeyError, TypeError, AttributeError) as error:
        raise EncoderError(
            f"{folder}: modules.json or a module's config is not as Sentence-Transformers writes it: {error!r}"
        ) from error


def _sentence_transformers(folder: Path) -> DenseLayout:
    chain = module_chain(folder)
    names, folders = list(chain.names), list(chain.folders)
    if names[-1:] == [AUTOENCODER]:  # of a model of sparse codes, whose dense vectors these are
        del names[-1], folders[-1]
    normalise = names[-1:] == ["Normalize"]
    if normalise:
        names.pop()
    if names[:2] != ["Transformer", "Pooling"] or any(name != "Dense" for name in names[2:]):
        raise EncoderError(
            f"{folder}: modules {', '.join(chain.names)}, but a dense encoder is a Transformer, a Pooling, any number "
            "of Dense layers, and perhaps a Normalize"
        )
    layers = tuple(folders[2 : len(names)])
    for layer in layers:
        _check_layer(layer)
    if normalise:
        _check_output(folders[-1])
    transformer = read_transformer_settings(folders[0])
    task = transformer.get("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise EncoderError(f"{folders[0]}: its transformer does {task!r}, but a dense vector is of hidden states")
    model = read_model_settings(folder)
    settings = DenseSettings(
        pooling=_pooling(folders[1], read_json(folders[1] / "config.json")),
        # Vectors of unit length give cosines, where the library divides by the lengths afterwards.
        normalise=normalise or model.similarity == COSINE,
        query_prompt=model.prompts["query"],
        document_prompt=model.prompts["document"],
        max_length=transformer.get("max_seq_length"),
    )
    return DenseLayout(folders[0], settings, layers)


def _check_layer(layer: Path) -> None:
    """Raise EncoderError for a linear layer with parts that this program doesn't have."""
    path = layer / "config.json"
    values = read_json(path)
    known = ("in_features", "out_features", "bias", "activation_function")
    check_keys(path, values, known=known, only={"use_residual": (None, False), **_IN_AND_OUT})
    activation = str(values["activation_function"])
    if activation.rpartition(".")[2] not in _LAYER_ACTIVATIONS or not activation.startswith("torch.nn."):
        raise EncoderError(f"{layer}: activation {activation!r} is not known")


def _check_output(layer: Path) -> None:
    path = layer / "config.json"
    if path.is_file():
        check_keys(path, read_json(path), known=(), only=_IN_AND_OUT)


def _pooling(folder: Path, config: Mapping[str, Any]) -> str:
    check_keys(folder / "config.json", config, known=_POOLING_KEYS)
    modes = config.get("pooling_mode") or [mode for flag, mode in _ST_FLAGS.items() if config.get(flag)]
    modes = [modes] if isinstance(modes, str) else list(modes)
    if len(modes) != 1 or modes[0] not in _ST_POOLINGS or not config.get("include_prompt", True):
        raise EncoderError(f"{folder}: pooling {', '.join(modes)} is not supported: one of {', '.join(_ST_POOLINGS)}")
    return _ST_POOLINGS[modes[0]]
