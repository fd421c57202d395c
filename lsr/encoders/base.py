"""What every encoder offers to the indexer and the searcher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

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
    """What a corpus-dependent weighting may know, once all documents were counted."""

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
        """Mean sum of a document's counts, over all documents."""
        ...


class CorpusWeighting(Protocol):
    """The second step of an encoder whose weights need statistics of the whole corpus (BM25)."""

    def weigh(self, counts: SparseBatch, statistics: CorpusStatistics) -> SparseBatch:
        """Turn rows of term counts into rows of weights."""
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
