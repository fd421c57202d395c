"""Idf weighting of queries: rare terms of the searched collection weigh more.

A model's table of term weights knows how rare a term is where it was trained; in a collection about aircraft "wing"
says little. So a weight is multiplied by r^p, r being the term's idf in this collection, divided by that of a term
which hardly any document holds:

    r = ln(1 + (N − df + ½) / (df + ½)) / ln(1 + N),    N documents, df of them with the term,

the idf of Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), brought to 0 … 1 so
that neither small nor large collections weigh words against a model's terms otherwise. p is 1 for
exact words, whose query weights say nothing yet, and the encoder's `rarity` for a model's terms.

Documents deleted since the last merge don't count: an index that grew and shrank answers as a new one would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import QueryEncoder
from lsr.types import SparseBatch


class Collection(Protocol):
    """A collection of documents that knows its size and document frequencies."""

    def __len__(self) -> int:
        """Return the number of documents."""
        ...

    def document_frequencies(self, term_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
        """Return how many documents hold each term."""
        ...


class Exponents(NamedTuple):
    """The exponents of a model's terms and of words. first_word: the least term id of a word, None without words."""

    model: float
    words: float
    first_word: int | None


def exponents_of(description: Mapping[str, Any]) -> Exponents | None:
    """Return the exponents of an encoder, by its description; None where its queries are not weighted by idf."""
    settings = description.get("settings", {})
    words, rarity = settings.get("words"), settings.get("rarity", 0.0)
    if words is None and not rarity:
        return None
    return Exponents(rarity, 1.0, None if words is None else words["n_model_terms"])


class IdfWeightedEncoder:
    """A query encoder whose weights are multiplied by powers of each term's idf in a collection, cached by term."""

    def __init__(self, model: QueryEncoder, exponents: Exponents, documents: Collection) -> None:
        self.model = model
        self._exponents = exponents
        self._documents = documents
        self._factors: dict[int, float] = {}

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text, over the index's vocabulary. Raises IndexDamagedError."""
        queries = self.model.encode_queries(texts)
        term_ids = queries.term_ids.tolist()
        if new := set(term_ids).difference(self._factors):  # a view of the keys would be walked through
            self._look_up(np.array(sorted(new), np.int32))
        factors = np.array([self._factors[term_id] for term_id in term_ids], np.float32)
        return SparseBatch(queries.indptr, queries.term_ids, queries.weights * factors, queries.vocab_size)

    def _look_up(self, term_ids: npt.NDArray[np.int32]) -> None:
        powers = np.full(len(term_ids), self._exponents.model)
        if self._exponents.first_word is not None:
            powers[term_ids >= self._exponents.first_word] = self._exponents.words
        factors = normalised_idf(self._documents.document_frequencies(term_ids), len(self._documents)) ** powers
        self._factors.update(zip(term_ids.tolist(), factors.tolist(), strict=True))


def idf_weighted(model: QueryEncoder, documents: Collection, description: Mapping[str, Any]) -> QueryEncoder:
    """Return a query encoder with the idf weighting that its description asks for; itself, if it asks for none."""
    exponents = exponents_of(description)
    return model if exponents is None else IdfWeightedEncoder(model, exponents, documents)


def normalised_idf(df: npt.NDArray[np.int64], n_docs: int) -> npt.NDArray[np.float64]:
    """Return r of terms, above 0 and at most 1, by the number of documents that hold each of them."""
    idf = np.log1p((n_docs - df + 0.5) / (df + 0.5))
    return np.asarray(np.minimum(idf / np.log1p(max(n_docs, 1)), 1.0))
