"""Late interaction: a vector for each token, of models that were trained for it, and of any dense encoder.

Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late Interaction over BERT"
(SIGIR 2020, arXiv:2004.12832): a query's token looks for the nearest token of the text, and the cosines are summed up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lsr.encoders.base import model_of
from lsr.encoders.dense.base import DenseEncoder
from lsr.encoders.dense.encoder import TransformerDenseEncoder, load_dense
from lsr.encoders.network.backbone import HiddenStates
from lsr.encoders.network.heads.dense import DenseHead
from lsr.encoders.network.text_model import TextTower
from lsr.encoders.pretrained.colbert_folder import PROJECTION, LateLayout, LateSettings, read_late_layout
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.load_model import LoadedTower, Placement
from lsr.encoders.pretrained.mapped_weights import Tensors
from lsr.encoders.pretrained.transformers_checkpoint import (
    HIDDEN_STATES,
    check_ids_of,
    read_model,
    read_tokenizer_of,
    token_limit,
)
from lsr.encoders.rerank.token_model import Marking, TokenTower, TokenVectors
from lsr.encoders.sparse.encoder import query_names
from lsr.encoders.sparse.joint import JointNeuralEncoder
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, tokenizer_hash
from lsr.errors import EncoderError, UsageError


class LateInteraction:
    """Texts to token vectors. Made by `load_late_interaction` and `late_interaction_of`.

    description: JSON values that decide the vectors.
    """

    def __init__(self, description: Mapping[str, Any], document: TokenTower, query: TokenTower) -> None:
        self.description = description
        self._document = document
        self._query = query

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.description["name"])

    def encode_texts(self, texts: Sequence[str], names: Sequence[str]) -> list[TokenVectors]:
        """Return the token vectors of documents' texts. names: their names in an error."""
        vectors: list[TokenVectors] = self._document.encode(texts, names)
        return vectors

    def encode_query(self, text: str) -> TokenVectors:
        """Return the token vectors of a query."""
        vectors: TokenVectors = self._query.encode([text], query_names([text]))[0]
        return vectors


def load_late_interaction(
    name_or_path: str | Path,
    *,
    revision: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> LateInteraction:
    """Load a ColBERT or PyLate model, or a dense one for its token vectors, by folder or hub name.

    revision, device, dtype, max_tokens: as for sparse encoders. Raises EncoderError if it can't be loaded as it was
    saved.
    """
    source = locate(name_or_path, revision=revision)
    layout = read_late_layout(source.folder)
    if layout is None:
        options: dict[str, Any] = {"revision": revision, "device": device, "dtype": dtype, "max_tokens": max_tokens}
        return late_interaction_of(load_dense(name_or_path, **options))
    placement = Placement.of(device, dtype, max_tokens)
    model = read_model(layout.transformer, HIDDEN_STATES, placement.dtype)
    tokenizer = read_tokenizer_of(layout.transformer)
    check_ids_of(tokenizer, model, layout.transformer)
    limit = token_limit(model, tokenizer)
    layers = _projection(layout, model.config.hidden_size)
    backbone, settings = HiddenStates(model), layout.settings
    query, document = (
        TokenTower(
            backbone,
            layers,
            TextTokenizer(copy_of(tokenizer.backend_tokenizer), max_length=_room(length, limit)),
            marking=marking,
            pad_id=tokenizer.pad_token_id or 0,
            max_tokens=placement.max_tokens,
        ).to(placement.device, placement.dtype)
        for length, marking in zip(
            (settings.query_length, settings.document_length), _markings(tokenizer, settings, source.name), strict=True
        )
    )
    weights = sorted({*layout.transformer.glob("*.safetensors"), layout.projection})
    description = {
        "kind": "late-interaction",
        "name": source.name,
        "revision": source.commit or hash_of_weights(weights),
        "tokenizer_hash": tokenizer_hash(tokenizer.backend_tokenizer),
    }
    return LateInteraction(description, document, query)


def late_interaction_of(encoder: DenseEncoder) -> LateInteraction:
    """Return the token vectors behind a dense encoder's own: what it pools, at unit length, without special tokens.

    Raises UsageError for an encoder without a transformer.
    """
    encoder = model_of(encoder)
    if isinstance(encoder, TransformerDenseEncoder):
        head = encoder.document.head
        towers = [_tower_of(tower, head) for tower in (encoder.document, encoder.query)]
    elif isinstance(encoder, JointNeuralEncoder) and encoder.document.tower.dense_head is not None:
        head = encoder.document.tower.dense_head
        document = encoder.document.tower
        if isinstance(encoder.query, LoadedTower):
            towers = [_tower_of(tower, head) for tower in (document, encoder.query.tower)]
        else:
            towers = [_tower_of(document, head), _tower_of(document, head, prompt=encoder.query.prompt)]
    else:
        raise UsageError(
            f"late interaction needs token vectors, but {encoder.description.get('name')} is no transformer that has "
            "any: name a model, as late-interaction:all-MiniLM-L6-v2"
        )
    return LateInteraction(encoder.description, *towers)


def _tower_of(tower: TextTower, head: DenseHead, *, prompt: str = "") -> TokenTower:
    token_tower: TokenTower = TokenTower(
        tower.backbone,
        head.layers,
        TextTokenizer(copy_of(tower.tokenizer), max_length=tower.text_length),
        branch=head.branch,
        prompt=tower.prompt + prompt,
        pad_id=tower.pad_id,
        max_tokens=tower.max_tokens,
    ).to(tower.device)
    return token_tower


def _room(length: int, limit: int | None) -> int:
    """Return how many tokens a text may have so that its marker has room."""
    return (length if limit is None else min(length, limit)) - 1


def _markings(tokenizer: Any, settings: LateSettings, name: str) -> tuple[Marking, Marking]:
    backend = tokenizer.backend_tokenizer
    ids: dict[str, int | None] = {
        marker: backend.token_to_id(marker) for marker in (settings.query_marker, settings.document_marker)
    }
    for marker, number in ids.items():
        if number is None:
            raise EncoderError(f"{name}: its tokenizer doesn't have the token {marker!r} that it marks texts by")
    if tokenizer.mask_token_id is None:
        raise EncoderError(f"{name}: its tokenizer has no mask, which queries are filled up with")
    skipped = (backend.token_to_id(word) for word in settings.skipped)
    return (
        Marking(
            ids[settings.query_marker] or 0,
            settings.query_length if settings.fills else None,
            tokenizer.mask_token_id,
            settings.attends,
        ),
        Marking(ids[settings.document_marker] or 0, skipped=frozenset(i for i in skipped if i is not None)),
    )


def _projection(layout: LateLayout, hidden_size: int) -> nn.Module:
    if not layout.projection.is_file():
        raise EncoderError(f"{layout.projection} is missing: the layer's weights are not there, or pickled")
    weight = torch.tensor(Tensors(layout.projection).get(PROJECTION))
    if weight.ndim != 2 or weight.shape[1] != hidden_size:
        raise EncoderError(
            f"{layout.projection}: {PROJECTION} is of shape {tuple(weight.shape)}, but hidden states have "
            f"{hidden_size} numbers"
        )
    layer = nn.Linear(hidden_size, len(weight), bias=False)
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer
