"""Dense vectors that imitate a sparse teacher, alone or beside those of a dense model.

Chen et al., "Salient Phrase Aware Dense Retrieval: Can a Dense Retriever Imitate a Sparse One?" (SPAR, Findings of
EMNLP 2022, arXiv:2110.06918): a dense model Λ is trained to rank as BM25 does, and its vectors come behind those of
another, so that a score is the sum of both. There Λ is a separate transformer; here it is a linear layer for each side
over the vectors of the dense model, which costs no further pass. `lsr.training.imitation.make` fits it; nothing here
imports torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder, DenseVectors
from lsr.encoders.pretrained.hub import hash_of_weights
from lsr.encoders.pretrained.known_models import refuse_unknown, remember
from lsr.encoders.pretrained.mapped_weights import Floats, Tensors
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.encoders.registry import EncoderKind, open_dense_encoder, register
from lsr.encoders.runtime import RUNTIME, Runtime
from lsr.errors import EncoderError
from lsr.io.cache import expanded
from lsr.types import Document

KIND = "spar"
CONFIG, WEIGHTS = "spar.json", "spar.safetensors"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Imitation:
    """A linear layer for each side, whose outputs have unit length. query, document: float32, (size, dimension)."""

    query: Floats
    document: Floats

    def __post_init__(self) -> None:
        """Raise EncoderError unless both sides fit each other and are made of numbers."""
        if self.query.ndim != 2 or self.query.shape != self.document.shape:
            raise EncoderError(f"spar: layers of shapes {self.query.shape} and {self.document.shape} don't fit")
        if not (np.isfinite(self.query).all() and np.isfinite(self.document).all()):
            raise EncoderError("spar: the layers hold NaN or infinity; fit them again")


def imitated(vectors: DenseVectors, layer: Floats) -> DenseVectors:
    """Return the outputs of a layer at unit length; rows of zeros stay so."""
    rows: DenseVectors = vectors @ layer.T
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: DenseVectors = (rows / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    return unit


class ImitatingEncoder:
    """A dense encoder's vectors with those that imitate a teacher behind them, or the latter alone.

    weight: factor of the imitation's scores beside the dense model's; None: the imitation alone.
    """

    def __init__(self, folder: Path, dense: DenseEncoder, imitation: Imitation, weight: float | None) -> None:
        if imitation.query.shape[1] != dense.dimension:
            raise EncoderError(
                f"{folder}: its layers were fitted to vectors of {imitation.query.shape[1]} numbers, but "
                f"{dense.description.get('name')} gives {dense.dimension}"
            )
        self._folder = folder
        self._dense = dense
        self._imitation = imitation
        self._weight = weight
        self._revision = hash_of_weights([folder / WEIGHTS])

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return len(self._imitation.query) + (0 if self._weight is None else self._dense.dimension)

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder, as JSON values."""
        dense = self._dense.description
        return {
            "kind": KIND,
            "name": f"{KIND}:{self._folder}",
            "revision": self._revision,
            "tokenizer_hash": dense.get("tokenizer_hash"),
            "query_side": "model",
            "settings": {"normalise": False, "weight": self._weight, "dense": dict(dense)},
        }

    @property
    def runtime(self) -> Runtime | None:
        """The dense model's runtime, None where it has only one."""
        runtime: Runtime | None = getattr(self._dense, RUNTIME, None)
        return runtime

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that the dense model reads; None: all."""
        length: int | None = getattr(self._dense, "text_length", None)
        return length

    def splitter(self, **options: Any) -> Any:
        """Return what cuts documents into passages, as the dense model does it."""
        dense: Any = self._dense
        return dense.splitter(**options)

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document."""
        return self._joined(self._dense.encode_dense_documents(documents), self._imitation.document)

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        return self._joined(self._dense.encode_dense_queries(texts), self._imitation.query)

    def _joined(self, vectors: DenseVectors, layer: Floats) -> DenseVectors:
        behind = imitated(vectors, layer)
        if self._weight is None:
            return behind
        # Both sides have the root of the weight, so that a product has all of it.
        return np.concatenate([vectors, np.float32(self._weight**0.5) * behind], axis=1)


def save_imitation(
    folder: Path, imitation: Imitation, dense: Mapping[str, Any], *, weight: float | None, **facts: Any
) -> None:
    """Write an imitation to `folder`. dense: description of the dense encoder. facts: JSON values about the fitting."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    sides = {name: np.ascontiguousarray(getattr(imitation, name)) for name in ("query", "document")}
    save_file(sides, folder / WEIGHTS)
    config = {"format": FORMAT, "weight": weight, "dense": dict(dense), "fitted": facts}
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _load_dense(name: str | Path, *, sparse: Encoder | None = None, **options: Any) -> ImitatingEncoder:
    """Load an imitation and its dense encoder. sparse: of the index, which doesn't matter here."""
    del sparse
    folder = expanded(name).resolve()
    if not (folder / CONFIG).is_file():
        raise EncoderError(f"{folder} holds no imitation: there is no {CONFIG}; lsr.training.imitation.make fits one")
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise EncoderError(
            f"{folder / CONFIG} has format {config.get('format')}, but this program reads {FORMAT}: use a newer one"
        )
    tensors = Tensors(folder / WEIGHTS)
    try:
        weight = None if config["weight"] is None else float(config["weight"])
        imitation, description = Imitation(tensors.get("query"), tensors.get("document")), dict(config["dense"])
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{folder / CONFIG} is not as this program writes it: {error!r}") from error
    if weight is not None and not 0 < weight < float("inf"):
        raise EncoderError(f"{folder / CONFIG}: the weight is {weight}, but has to be above 0")
    encoder = ImitatingEncoder(folder, open_dense_encoder(description, **options), imitation, weight)
    remember(encoder.description["name"], encoder.description["revision"])
    return encoder


def _open_dense(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any
) -> ImitatingEncoder:
    if moved_to is not None:
        return _load_dense(moved_to, **options)
    name = str(description["name"])
    refuse_unknown(name, str(description["revision"]), "imitation", "--dense")
    return _load_dense(name.removeprefix(f"{KIND}:"), **options)


register(EncoderKind(KIND, usage=f"{KIND}:FOLDER", load_dense=_load_dense, open_dense=_open_dense))
