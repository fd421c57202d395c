"""Dense vectors of queries without torch, for models that numpy runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.dense.base import DENSE, DenseVectors
from lsr.encoders.dense.numpy_bert import BareBert
from lsr.encoders.pretrained.dense_folder import DenseSettings, read_dense_layout
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.known_models import recorded_place
from lsr.encoders.pretrained.mapped_weights import Floats, Tensors
from lsr.encoders.pretrained.sparse_folder import HEAD_FILE, read_json, read_layout
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, read_tokenizer, tokenizer_hash
from lsr.errors import EncoderError

_WEIGHTS = ("compact.safetensors", "model.safetensors")
_POOLINGS = ("mean", "cls")
_NO_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class BareQueryEncoder:
    """A BERT with a pooling, for queries. linear: weight and bias of a layer behind the pooling."""

    model: BareBert
    tokenizer: TextTokenizer
    dimension: int
    prompt: str
    pooling: str
    normalise: bool
    linear: tuple[Floats, Floats] | None = None

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text, zeros for one of nothing but white space. Raises EncoderError for no numbers."""
        rows = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(rows, texts, strict=True):
            (encoding,) = self.tokenizer.encode([self.prompt + text])
            if text.strip() and not all(encoding.special_tokens_mask):
                row[:] = self._vector(encoding.ids)
        if not np.isfinite(rows).all():
            raise EncoderError("the dense model gives a query NaN or infinity; it is broken")
        return rows

    def _vector(self, ids: Sequence[int]) -> Floats:
        hidden = self.model.hidden_states(ids)
        vector: Floats = hidden.mean(0) if self.pooling == "mean" else hidden[0]
        if self.linear is not None:
            vector = self.linear[0] @ vector + self.linear[1]
        return vector / max(float(np.linalg.norm(vector)), 1e-12) if self.normalise else vector


def open_bare(description: Mapping[str, Any], *, moved_to: str | Path | None = None) -> BareQueryEncoder | None:
    """Open the query side of an index's dense encoder; None if numpy doesn't run it.

    description, moved_to: arguments of `lsr.encoders.registry.open_dense_encoder`, which is for all other models, and
    says what is wrong with one that is another, or broken.
    """
    try:
        place, revision = recorded_place(description, moved_to, "--dense")
        source = locate(place, revision=revision)
        opened = _dense(source.folder, description) if description["kind"] == DENSE else _joint(source.folder)
    except (EncoderError, KeyError, TypeError, ValueError):
        return None
    if opened is None:
        return None
    encoder, found = opened
    recorded = description["revision"]
    same = tokenizer_hash(copy_of(encoder.tokenizer.backend)) == description["tokenizer_hash"] and recorded in (
        source.commit,
        found if source.commit is None else None,
    )
    return encoder if same and encoder.dimension == description["dimension"] else None


def _dense(folder: Path, description: Mapping[str, Any]) -> tuple[BareQueryEncoder, str] | None:
    layout = read_dense_layout(folder)
    names = ("pooling", "normalise", "query_prompt", "document_prompt", "max_length")
    settings = DenseSettings(**{name: description["settings"][name] for name in names})
    config = read_json(layout.transformer / "config.json")
    if layout.layers or not _fits(config, settings.pooling):
        return None
    trunk, prefix = _trunk(layout.transformer)
    tokenizer = TextTokenizer(read_tokenizer(layout.transformer / "tokenizer.json"), max_length=settings.max_length)
    encoder = BareQueryEncoder(
        BareBert(trunk, prefix, config),
        tokenizer,
        int(config["hidden_size"]),
        settings.query_prompt,
        settings.pooling,
        settings.normalise,
    )
    return encoder, hash_of_weights(sorted(layout.transformer.glob("*.safetensors")))


def _joint(folder: Path) -> tuple[BareQueryEncoder, str] | None:
    layout = read_layout(folder)
    dense, document = layout.config.dense, layout.config.document
    if dense is None or dense.shared_layers is None or document.echo:
        return None
    config = read_json(layout.document / "config.json")
    if not _fits(config, dense.pooling):
        return None
    trunk, prefix = _trunk(layout.document)
    head = Tensors(layout.document / HEAD_FILE)
    linear = None
    if dense.dimension is not None:
        linear = head.get("dense.layers.0.weight"), head.get("dense.layers.0.bias")
    # A table's queries get their dense vector of the documents' model, prompts and lengths and all.
    side = layout.config.query_tower if layout.config.query_side == "same" else document
    same = layout.config.query_side == "same"
    prompt = side.prompt if same else document.prompt + layout.config.query_tower.prompt
    encoder = BareQueryEncoder(
        BareBert(trunk, prefix, config, head, dense.shared_layers),
        TextTokenizer(
            read_tokenizer(layout.document / "tokenizer.json"),
            max_length=_limit(layout.document, config, side.max_length),
        ),
        dense.dimension or int(config["hidden_size"]),
        prompt,
        dense.pooling,
        dense.normalise,
        linear,
    )
    return encoder, layout.revision()


def _fits(config: Mapping[str, Any], pooling: str) -> bool:
    """Return whether a model is a BERT as numpy computes it."""
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act", "gelu") == "gelu"
        and config.get("position_embedding_type", "absolute") == "absolute"
        and not config.get("is_decoder")
        and pooling in _POOLINGS
    )


def _trunk(folder: Path) -> tuple[Tensors, str]:
    path = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), folder / _WEIGHTS[-1])
    tensors = Tensors(path)
    name = "embeddings.word_embeddings.weight"
    prefix = next((prefix for prefix in ("", "bert.") if prefix + name in tensors), None)
    if prefix is None:
        raise EncoderError(f"{path}: no word embeddings")
    return tensors, prefix


def _limit(folder: Path, config: Mapping[str, Any], max_length: int | None) -> int | None:
    path = folder / "tokenizer_config.json"
    of_tokenizer = (read_json(path) if path.is_file() else {}).get("model_max_length") or _NO_LIMIT
    known = [config.get("max_position_embeddings") or _NO_LIMIT, of_tokenizer, max_length or _NO_LIMIT]
    limit = int(min(known))
    return None if limit >= _NO_LIMIT else limit
