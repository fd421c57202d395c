"""Dense encoders: a transformer and a pooling, from a plain checkpoint or a Sentence-Transformers folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.dense.model_encoder import ModelDenseEncoder
from lsr.encoders.network.backbone import HiddenStates
from lsr.encoders.network.batching import vectors_in_order
from lsr.encoders.network.heads.dense import DenseHead
from lsr.encoders.network.sparse_model import checked_vectors
from lsr.encoders.network.text_model import TextTower
from lsr.encoders.network.token_batch import TokenBatch
from lsr.encoders.pretrained.dense_folder import read_dense_layout
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.known_models import remember
from lsr.encoders.pretrained.load_model import Placement
from lsr.encoders.pretrained.transformers_checkpoint import (
    HIDDEN_STATES,
    check_ids_of,
    read_model,
    read_tokenizer_of,
    token_limit,
)
from lsr.encoders.runtime import Runtime
from lsr.encoders.sparse.encoder import query_names, texts_of
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, tokenizer_hash
from lsr.errors import EncoderError
from lsr.types import Document

MAX_TEXTS = 1024
"""Texts of a batch."""


class DenseTower(TextTower):
    """Texts → dense vectors (`forward`, which can be trained) or rows of an array (`encode`)."""

    def __init__(
        self,
        backbone: nn.Module,
        head: DenseHead,
        tokenizer: TextTokenizer,
        *,
        prompt: str,
        pad_id: int,
        max_tokens: int | None,
    ) -> None:
        super().__init__(backbone, tokenizer, prompt=prompt, pad_id=pad_id, max_tokens=max_tokens)
        self.head = head

    def forward(self, batch: TokenBatch) -> Tensor:
        """Return the vectors of each text, float32, (n_texts, dimension)."""
        vectors: Tensor = self.head(self.backbone(batch.input_ids, batch.attention_mask), batch.attention_mask)
        return vectors

    @torch.inference_mode()
    def encode(self, texts: Sequence[str], names: Sequence[str]) -> DenseVectors:
        """Return one row a text; a text of nothing but white space gives zeros.

        names: each text's name in an error.
        Raises EncoderError if the model gives NaN or infinity.
        """

        def encode(batch: TokenBatch, names: list[str]) -> DenseVectors:
            return checked_vectors(self(batch), names)

        parts = self.in_batches(texts, names, encode, max_tokens=self.max_tokens, max_texts=MAX_TEXTS)
        return vectors_in_order(parts, len(texts), self.head.dimension)


@dataclass(frozen=True, slots=True)
class TransformerDenseEncoder(ModelDenseEncoder):
    """A dense encoder in torch. Made by `load_dense`."""

    document: DenseTower
    query: DenseTower
    runtime: Runtime

    @property
    def dimension(self) -> int:
        """Numbers of a vector."""
        return self.document.head.dimension

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self.document.tokenizer

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document, title and text together."""
        vectors: DenseVectors = self.document.encode(*texts_of(documents))
        return vectors

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        vectors: DenseVectors = self.query.encode(texts, query_names(texts))
        return vectors


def load_dense(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    pooling: str | None = None,
    normalise: bool | None = None,
    query_prompt: str | None = None,
    document_prompt: str | None = None,
    max_length: int | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> TransformerDenseEncoder:
    """Load a dense encoder from a folder or from the Hugging Face hub.

    pooling (`mean`, `cls`, `last`, `max`), normalise, query_prompt, document_prompt, max_length: default, what a
    Sentence-Transformers folder says; for a plain checkpoint the mean at unit length, and no prompts.
    revision, device, dtype, max_tokens: as for sparse encoders.
    Raises EncoderError if it can't be loaded as it was saved.
    """
    source = locate(name_or_path, revision=revision)
    layout = read_dense_layout(source.folder)
    given: dict[str, Any] = {
        "pooling": pooling,
        "normalise": normalise,
        "query_prompt": query_prompt,
        "document_prompt": document_prompt,
        "max_length": max_length,
    }
    settings = replace(layout.settings, **{name: value for name, value in given.items() if value is not None})
    placement = Placement.of(device, dtype, max_tokens)
    model = read_model(layout.transformer, HIDDEN_STATES, placement.dtype)
    tokenizer = read_tokenizer_of(layout.transformer)
    check_ids_of(tokenizer, model, layout.transformer)
    limits = [limit for limit in (token_limit(model, tokenizer), settings.max_length) if limit is not None]
    settings = replace(settings, max_length=min(limits, default=None))
    layers = _layers(layout.layers)
    head = DenseHead(model.config.hidden_size, pooling=settings.pooling, normalise=settings.normalise, layers=layers)
    backbone = HiddenStates(model)
    document, query = (
        DenseTower(
            backbone,
            head,
            TextTokenizer(copy_of(tokenizer.backend_tokenizer), max_length=settings.max_length),
            prompt=prompt,
            pad_id=tokenizer.pad_token_id or 0,
            max_tokens=placement.max_tokens,
        ).to(placement.device, placement.dtype)
        for prompt in (settings.document_prompt, settings.query_prompt)
    )
    weights = [path for folder in (layout.transformer, *layout.layers) for path in sorted(folder.glob("*.safetensors"))]
    revision = source.commit or hash_of_weights(weights)
    remember(source.name, revision)
    return TransformerDenseEncoder(
        source.name,
        revision,
        tokenizer_hash(tokenizer.backend_tokenizer),
        settings,
        document,
        query,
        placement.runtime,
    )


def _layers(folders: Sequence[Path]) -> list[nn.Module]:
    from safetensors.torch import load_file

    from lsr.encoders.pretrained.sparse_folder import read_json

    layers: list[nn.Module] = []
    for folder in folders:
        config = read_json(folder / "config.json")
        path = folder / "model.safetensors"
        if not path.is_file():
            raise EncoderError(f"{path} is missing: the layer's weights are not there, or pickled")
        linear = nn.Linear(config["in_features"], config["out_features"], bias=config.get("bias", True))
        weights = {name.removeprefix("linear."): value for name, value in load_file(path).items()}
        try:
            linear.load_state_dict(weights)
        except RuntimeError as error:
            raise EncoderError(f"{path} doesn't fit its config: {', '.join(sorted(weights))}") from error
        layers += [linear, *([nn.Tanh()] if config["activation_function"].endswith("Tanh") else [])]
    return layers
