"""Student: both sides of the trained encoder as one torch module, which exports an encoder at any time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lsr.encoders.network.sparse_model import Tower, TrainingOutput
from lsr.encoders.network.token_batch import TokenBatch
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.tokenizer import copy_of
from lsr.training.model.length_groups import length_groups


class Student(nn.Module):
    """Towers of an encoder, and its query table if it has one, as parameters.

    learn_query_table: whether the table's weights are trained; they stay 0 or more (projected gradient descent).
    with_dense: whether a joint encoder's dense vectors are trained too.
    tokens_kept: number of the largest weights of each token that are returned for the loss; 0: none.
    cached_batch: texts that are encoded with a gradient at a time; 0: all. Less memory for twice the forward
    passes: vectors of all texts are computed first, in groups whose inner states are dropped; with the gradient of
    each vector, group after group is computed again for the backward pass. This is gradient caching, Gao et
    al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021, arXiv:2101.06983); torch's
    checkpointing of a whole encoder does it, dropout's random numbers included.
    """

    def __init__(
        self,
        encoder: NeuralEncoder,
        *,
        learn_query_table: bool = False,
        cached_batch: int = 0,
        with_dense: bool = False,
        tokens_kept: int = 0,
    ) -> None:
        super().__init__()
        self._tokens_kept = tokens_kept
        self._encoder = encoder
        self._cached_batch = cached_batch
        self._with_dense = with_dense
        self._frozen: list[nn.Module] = []
        self.document: Tower = encoder.document.tower
        if self.document.dense_head is not None and not with_dense:
            self.document.dense_head.requires_grad_(False)
        query = encoder.query
        self.query: Tower | None = query.tower if isinstance(query, LoadedTower) else None
        self.table: nn.Parameter | None = None
        if isinstance(query, TableQueryEncoder):
            self.table = nn.Parameter(torch.from_numpy(np.array(query.weights)), requires_grad=learn_query_table)

    @property
    def vocab_size(self) -> int:
        """Number of terms."""
        return self.document.head.vocab_size

    @property
    def has_table(self) -> bool:
        """True where queries need no model."""
        return self.table is not None

    def freeze(self, n_layers: int, *, embeddings: bool) -> None:
        """Freeze the lowest layers of each transformer, and its embeddings.

        Raises UsageError where a transformer has fewer layers, or they can't be told.
        """
        from lsr.training.model.transformer_options import frozen_modules

        for tower in {id(tower): tower for tower in (self.document, self.query) if tower is not None}.values():
            self._frozen += frozen_modules(tower.backbone.model, n_layers, embeddings=embeddings or n_layers > 0)
        for module in self._frozen:
            module.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Student:
        """Switch between training and encoding; frozen modules have no dropout in either."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    @contextmanager
    def uncached(self) -> Iterator[None]:
        """Encode all texts at once meanwhile, without gradient caching."""
        size, self._cached_batch = self._cached_batch, 0
        try:
            yield
        finally:
            self._cached_batch = size

    def forward(
        self, queries: Mapping[str, Any], documents: Mapping[str, Any], terms: Tensor | None = None
    ) -> tuple[TrainingOutput, TrainingOutput]:
        """Return the output for the queries and the documents of a batch, for all or for chosen terms.

        queries, documents: as `Collator` makes them. terms: int64, ascending.
        """
        if self.table is not None:
            encoded = TrainingOutput(self._look_up(queries, terms), None, None)
        else:
            assert self.query is not None
            encoded = self._encode(self.query, queries, terms)
        return encoded, self._encode(self.document, documents, terms)

    def _look_up(self, queries: Mapping[str, Any], terms: Tensor | None) -> Tensor:
        assert self.table is not None
        with torch.no_grad():
            self.table.clamp_(min=0)
        rows, ids = queries["rows"], queries["ids"]
        found = self.table[ids] * queries["factors"]
        if terms is None:
            places, n_columns = ids, self.vocab_size
        else:
            places, n_columns = torch.searchsorted(terms, ids), len(terms)
        weights = torch.zeros(int(queries["n_texts"]), n_columns, device=self.table.device)
        return weights.index_put((rows, places), found)

    def _encode(self, tower: Tower, texts: Mapping[str, Any], terms: Tensor | None) -> TrainingOutput:
        batch = TokenBatch(*(texts[name] for name in ("input_ids", "attention_mask", "literal", "scored")))
        lengths: Sequence[int] = texts["lengths"]
        groups = length_groups(lengths, self._cached_batch, on_cpu=batch.input_ids.device.type == "cpu")
        if len(groups) == 1:
            return self._part(tower, batch, terms)
        parts = []
        for group in groups:
            rows = torch.tensor(group, device=batch.input_ids.device)
            longest = max(lengths[i] for i in group)
            fields = (batch.input_ids, batch.attention_mask, batch.literal, batch.scored)
            parts.append(self._part(tower, TokenBatch(*(field[rows, :longest] for field in fields)), terms))
        back = torch.empty(len(lengths), dtype=torch.int64)
        back[torch.tensor([i for group in groups for i in group])] = torch.arange(len(lengths))
        back = back.to(batch.input_ids.device)
        joined = [None if values[0] is None else _joined(values)[back] for values in zip(*parts, strict=True)]
        return TrainingOutput(*joined)

    def _part(self, tower: Tower, batch: TokenBatch, terms: Tensor | None) -> TrainingOutput:
        if self._cached_batch and torch.is_grad_enabled():
            parts = checkpoint(lambda: tuple(tower.for_training(batch, terms, **self._also)), use_reentrant=False)
            return TrainingOutput(*parts)
        return tower.for_training(batch, terms, **self._also)

    @property
    def _also(self) -> dict[str, Any]:
        return {"with_dense": self._with_dense, "tokens_kept": self._tokens_kept}

    def export(self) -> NeuralEncoder:
        """Return the current encoder, on the same weights."""
        source = self._encoder
        query: LoadedTower | TableQueryEncoder = source.query
        if isinstance(query, TableQueryEncoder):
            assert self.table is not None
            weights = self.table.detach().clamp(min=0).cpu().numpy().copy()
            query = TableQueryEncoder(
                copy_of(query.tokenizer),
                weights,
                max_length=query.max_length,
                prompt=query.prompt,
                repeats=query.repeats,
            )
        return type(source)(source.config, source.name, source.revision, source.document, query)


def _joined(groups: Sequence[Tensor]) -> Tensor:
    """Return the rows of all groups; token vectors of shorter texts are filled up to the longest."""
    if groups[0].dim() < 3:
        return torch.cat(list(groups))
    longest = max(group.shape[1] for group in groups)
    return torch.cat([nn.functional.pad(group, (0, 0, 0, longest - group.shape[1])) for group in groups])
