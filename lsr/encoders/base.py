"""Protocols that every encoder follows towards the indexer and the searcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from lsr.types import Document, SparseBatch

TermLookup = Callable[[str], int | None]
"""The id of a term in an index's vocabulary, or None where it doesn't stand there."""


class QueryEncoder(Protocol):
    """Turns query texts into sparse vectors over the index's vocabulary."""

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; a text without known terms gives an empty row."""
        ...


class CorpusStatistics(Protocol):
    """Statistics that a corpus-dependent weighting may use, once all documents were counted."""

    @property
    def n_docs(self) -> int:
        """Number of documents, empty ones too."""
        ...

    @property
    def df(self) -> npt.NDArray[np.int64]:
        """Number of documents that hold each term, (vocab_size)."""
        ...

    @property
    def mean_length(self) -> float:
        """Mean sum of a document's `CorpusWeighting.lengths`, over all documents."""
        ...


class CorpusWeighting(Protocol):
    """The second step of an encoder whose weights need statistics of the whole corpus (BM25)."""

    def weigh(self, counts: SparseBatch, statistics: CorpusStatistics) -> SparseBatch:
        """Turn rows of term counts into rows of weights."""
        ...

    def lengths(self, term_ids: npt.NDArray[Any], counts: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return what each count adds to the length of its document, float64 (len(counts))."""
        ...


class Encoder(QueryEncoder, Protocol):
    """Turns documents and queries into sparse vectors."""

    @property
    def terms(self) -> Sequence[str]:
        """The vocabulary, term i having id i. It may grow while documents are encoded, never change."""
        ...

    @property
    def corpus_weighting(self) -> CorpusWeighting | None:
        """None for learned encoders: `encode_documents` gives final weights. Else it gives counts."""
        ...

    @property
    def description(self) -> Mapping[str, Any]:
        """JSON values for the manifest: `kind` (registry name), `name`, `revision`, `settings`, …

        Enough to open the query side again, and to refuse another encoder.
        """
        ...

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document; an empty text gives an empty row."""
        ...

    def save_query_side(self, folder: Path) -> None:
        """Write to `folder` (which exists) what `open_query_encoder` needs: without torch where it can be done."""
        ...


@runtime_checkable
class ExtendedEncoder(Protocol):
    """An encoder that adds terms to those of a model, over a vocabulary that grows with the documents.

    A model's vectors are expensive and depend on nothing else, so they may be computed and kept before the rest:
    `encode_documents(d)` equals `extend(model.encode_documents(d), d)`.
    """

    @property
    def model(self) -> Any:
        """The encoder that the terms are added to; its vocabulary is the beginning of this one's."""
        ...

    def extend(self, rows: SparseBatch, documents: Sequence[Document]) -> SparseBatch:
        """Return the model's rows of documents with the added terms."""
        ...

    def term_id(self, term: str) -> int | None:
        """Return the id of a term; one that may be added to the vocabulary is added. None for any other."""
        ...

    def begin_again(self) -> Any:
        """Return the same encoder without the terms that documents have added so far."""
        ...


def model_of(encoder: Any) -> Any:
    """Return the model of an encoder that extends one, the encoder itself otherwise."""
    return encoder.model if isinstance(encoder, ExtendedEncoder) else encoder


def extend_rows(encoder: Encoder, rows: SparseBatch, documents: Sequence[Document]) -> SparseBatch:
    """Return an encoder's rows of documents, by those that `model_of(encoder)` gave."""
    return encoder.extend(rows, documents) if isinstance(encoder, ExtendedEncoder) else rows


def term_ids_of(encoder: Encoder) -> TermLookup:
    """Return the function from a term to its id in an encoder's vocabulary, which may grow by it."""
    if isinstance(encoder, ExtendedEncoder):
        return encoder.term_id
    return {term: i for i, term in enumerate(encoder.terms)}.get


def begin_again(encoder: Any) -> Any:
    """Return an encoder that has seen no documents yet, on the same model."""
    return encoder.begin_again() if isinstance(encoder, ExtendedEncoder) else encoder
