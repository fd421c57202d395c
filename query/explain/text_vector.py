"""Sparse vectors of texts as encoders give them, or of documents as an index holds them, term by term."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsr.encoders.base import Encoder
from lsr.errors import UsageError
from lsr.query.explain.explain import SEARCHED_CHARACTERS, spans_of, word_around
from lsr.query.explain.term_spans import TermFinder, TermSpan, term_finder
from lsr.query.sparse_search import SparseSearch
from lsr.types import Document


@dataclass(frozen=True, slots=True)
class VectorTerm:
    """A term and its weight. in_text: it stands in the text; else the encoder expanded to it.

    word: where the term is a stem or a piece, the first word of the text that it stands for; else empty.
    """

    term: str
    weight: float
    in_text: bool
    word: str = ""


@dataclass(frozen=True, slots=True)
class TextVector:
    """A text's sparse vector, the heaviest terms first, and where they stand in it.

    role: what the text was encoded as, `query` or `document`. encoder: its name. keyphrases: the terms that are
    phrases, without their mark, of encoders that have some.
    """

    text: str
    role: str
    encoder: str
    terms: tuple[VectorTerm, ...]
    spans: tuple[TermSpan, ...]
    keyphrases: tuple[str, ...] = ()

    @property
    def n_in_text(self) -> int:
        """Number of terms that occur in the text."""
        return sum(term.in_text for term in self.terms)


def query_vector(search: SparseSearch, text: str) -> TextVector:
    """Return what a text is as a query of an index. Raises what `Searcher.encode` raises."""
    term_ids, weights = search.encode([text]).row(0)
    names = [search.index.vocabulary.term(int(term_id)) for term_id in term_ids]
    return _vector(text, "query", _name(search), zip(names, weights.tolist(), strict=True), search.term_finder)


def document_vector(search: SparseSearch, doc_id: str) -> TextVector:
    """Return the vector that an index holds of a document, dequantised. Raises UsageError if there is none."""
    found = search.stored_vector(doc_id)
    if found is None:
        raise UsageError(
            f"the index has no document {doc_id!r}: 'lsr search --json' shows the ids of those that it has"
        )
    document, term_ids, impacts = found
    weights = impacts.astype(np.float64) * search.index.manifest.scale
    names = [search.index.vocabulary.term(int(term_id)) for term_id in term_ids]
    terms = zip(names, weights.tolist(), strict=True)
    return _vector(document.full_text, "document", _name(search), terms, search.term_finder)


def encoded_vector(encoder: Encoder, text: str, *, role: str) -> TextVector:
    """Return what a text is to an encoder, as a `query` or a `document`. Raises what the encoder raises."""
    # Encoded first: what counts words learns its vocabulary by it.
    documents = encoder.encode_documents([Document("text", text)])
    term_ids, weights = (documents if role == "document" else encoder.encode_queries([text])).row(0)
    names = [encoder.terms[term_id] for term_id in term_ids.tolist()]
    finder = term_finder(encoder.description, encoder)
    terms = zip(names, weights.tolist(), strict=True)
    return _vector(text, role, str(encoder.description["name"]), terms, finder)


def _name(search: SparseSearch) -> str:
    described = search.index.manifest.encoder
    return str(described.get("name", described["kind"]))


def _vector(text: str, role: str, encoder: str, terms: Iterable[tuple[str, float]], finder: TermFinder) -> TextVector:
    ordered = sorted(terms, key=lambda item: (-item[1], item[0]))
    ranks: Any = {name: len(ordered) - place for place, (name, _) in enumerate(ordered)}
    found = finder.find(text[:SEARCHED_CHARACTERS])
    words: dict[str, str] = {}
    for span in found:
        if span.term not in words:
            words[span.term] = word_around(text, span)
    shown = [VectorTerm(name, weight, name in words, _other(words.get(name, ""), name)) for name, weight in ordered]
    phrases: frozenset[str] = getattr(finder, "phrases", frozenset())
    keyphrases = tuple(name[1:] for name, _ in ordered if name in phrases)
    return TextVector(text, role, encoder, tuple(shown), spans_of(found, ranks), keyphrases)


def _other(word: str, term: str) -> str:
    return "" if word.casefold() == term.casefold() else word
