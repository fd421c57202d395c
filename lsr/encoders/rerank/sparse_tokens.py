"""Sparse token vectors for sparsified late interaction: the largest weights of each token over the vocabulary.

Li, Lin et al., "SLIM: Sparsified Late Interaction for Efficient Multi-Vector Retrieval with Inverted Indexes" (SIGIR
2023, arXiv:2302.06587): Σ_i max_j q_i · d_j over sparse token vectors. Its first stage is the fused form, whose product
(Σ_i q_i) · (max_j d_j) is an upper bound of that where all weights are kept: any SPLADE-like index has it, with queries
pooled by their sum.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lsr.encoders.network.heads.mlm import MLMHead
from lsr.encoders.network.sparse_model import Tower, refuse_no_numbers, scored_states
from lsr.encoders.network.token_batch import TokenBatch
from lsr.encoders.pretrained.load_encoder import load_neural
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.encoder import NeuralEncoder, query_names
from lsr.errors import UsageError
from lsr.types import SparseBatch

KEPT = 16
"""Weights of a token's vector."""
_MAX_TEXTS = 256


class SparseTokens:
    """Texts to a sparse row for each token. Made by `load_sparse_tokens`, or of a loaded encoder.

    kept: number of the largest weights of a token. Raises UsageError for an encoder whose queries need no model, or
    whose head doesn't score all terms at each position.
    """

    def __init__(self, encoder: NeuralEncoder, *, kept: int = KEPT) -> None:
        if kept < 1:
            raise UsageError(f"slim: {kept} weights of a token, but has to be 1 or more")
        query = encoder.query
        if not isinstance(query, LoadedTower):
            raise UsageError(
                f"encoder {encoder.name}: its queries need no model, so their tokens have no vectors to refine by: "
                "take one of family slim or splade"
            )
        for tower in (encoder.document.tower, query.tower):
            if not isinstance(tower.head, MLMHead) or tower.config.expansion != "all":
                raise UsageError(
                    f"encoder {encoder.name}: its head is {tower.config.head!r}, expansion {tower.config.expansion!r}, "
                    "but token vectors are of a head that scores all terms at each position"
                )
        self.name = encoder.name
        self._document = encoder.document.tower
        self._query = query.tower
        self._kept = kept

    def encode_texts(self, texts: Sequence[str], names: Sequence[str]) -> list[SparseBatch]:
        """Return the token rows of documents' texts. names: their names in an error."""
        rows: list[SparseBatch] = _token_rows(self._document, texts, names, self._kept)
        return rows

    def encode_query(self, text: str) -> SparseBatch:
        """Return the token rows of a query."""
        rows: list[SparseBatch] = _token_rows(self._query, [text], query_names([text]), self._kept)
        return rows[0]


def load_sparse_tokens(name_or_path: str | Path, *, kept: int = KEPT, **options: Any) -> SparseTokens:
    """Load a sparse encoder for its token vectors. options: as of `load_neural`."""
    return SparseTokens(load_neural(name_or_path, **options), kept=kept)


def sums_of_maxima(query: SparseBatch, documents: Sequence[SparseBatch]) -> npt.NDArray[np.float64]:
    """Return Σ_i max_j q_i · d_j of each document, (n_documents); 0 for one without tokens."""
    terms = np.unique(query.term_ids)
    scores = np.zeros(len(documents))
    if not len(terms):
        return scores
    of_query = _over(query, terms)
    for number, document in enumerate(documents):
        if len(document):
            scores[number] = (of_query @ _over(document, terms).T).max(axis=1).sum()
    return scores


def _over(rows: SparseBatch, terms: npt.NDArray[np.int32]) -> npt.NDArray[np.float64]:
    """Return rows as a matrix over some terms, (n_tokens, n_terms). terms: ascending."""
    places = np.minimum(np.searchsorted(terms, rows.term_ids), len(terms) - 1)
    known = terms[places] == rows.term_ids
    matrix = np.zeros((len(rows), len(terms)))
    tokens = np.repeat(np.arange(len(rows)), np.diff(rows.indptr))
    matrix[tokens[known], places[known]] = rows.weights[known]
    return matrix


@torch.inference_mode()
def _token_rows(tower: Tower, texts: Sequence[str], names: Sequence[str], kept: int) -> list[SparseBatch]:
    """Return the token rows of each text; none of a text of nothing but white space."""
    vocab_size = tower.head.vocab_size

    def encode(batch: TokenBatch, names: list[str]) -> list[SparseBatch]:
        hidden = tower.backbone(batch.input_ids, batch.attention_mask)
        weights, terms = tower.head.largest_of_tokens(scored_states(hidden, batch), kept)
        lengths = batch.scored.sum(1).tolist()
        for name, own in zip(names, weights.split(lengths), strict=True):
            refuse_no_numbers(own, [name] * len(own))
        ends = np.cumsum([0, *lengths])
        weights_at, terms_at = weights.float().cpu().numpy(), terms.cpu().numpy()
        return [
            _sparse(weights_at[first:last], terms_at[first:last], vocab_size)
            for first, last in itertools.pairwise(ends.tolist())
        ]

    found = [SparseBatch(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), vocab_size)] * len(
        texts
    )
    for group, rows in tower.in_batches(texts, names, encode, max_tokens=tower.max_tokens, max_texts=_MAX_TEXTS):
        for i, row in zip(group, rows, strict=True):
            found[i] = row
    return found


def _sparse(weights: npt.NDArray[np.float32], terms: npt.NDArray[np.int64], vocab_size: int) -> SparseBatch:
    order = np.argsort(terms, axis=1)
    weights, terms = np.take_along_axis(weights, order, 1), np.take_along_axis(terms, order, 1)
    kept = weights > 0
    indptr = np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int64)
    return SparseBatch(indptr, terms[kept].astype(np.int32), weights[kept], vocab_size)
