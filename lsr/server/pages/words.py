"""Explanations in words: what each word added to a score, for the people who read the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.lexical.exact_words import MARK, is_word_term
from lsr.query.explain.explain import SEARCHED_CHARACTERS, ExplainedHit, word_around
from lsr.query.explain.term_spans import AnalysedWords, TermFinder
from lsr.query.sparse_search import SparseSearch
from lsr.types import TermContribution

_BEGINS_A_WORD = ("Ġ", "▁")
"""Marks by which tokenizers say that a piece begins a word."""


@dataclass(frozen=True, slots=True)
class WordPart:
    """A word and what it added to a score.

    adds: the sum over its terms. part: of what the strongest word added, 0 to 1. in_text, in_query: whether it occurs
    there. terms: the index's terms that it stands for.
    """

    word: str
    adds: float
    part: float
    in_text: bool
    in_query: bool
    terms: tuple[TermContribution, ...]

    @property
    def where(self) -> str:
        """The places of the word, as a sentence says it."""
        if self.in_text:
            return "in your query and here" if self.in_query else "here, related to your query"
        return "in your query, related to this" if self.in_query else "related to both"


def word_parts(found: ExplainedHit, query_words: Mapping[str, str]) -> list[WordPart]:
    """Return what each word added to a hit's score, most first; together they add up to it.

    query_words: the words of the query by their terms; any other term is called by its first word in the hit.
    """
    words = found.words() | query_words
    by_word: dict[str, tuple[str, list[TermContribution]]] = {}
    for term in found.terms:
        word = words.get(term.term) or plain_term(term.term)
        by_word.setdefault(word.casefold(), (word, []))[1].append(term)
    sums = {key: sum(term.points for term in terms) for key, (_, terms) in by_word.items()}
    largest = max(sums.values(), default=1)
    parts = [
        WordPart(
            word,
            sum(term.contribution for term in terms),
            sums[key] / largest,
            any(term.in_text for term in terms),
            any(term.in_query for term in terms),
            tuple(terms),
        )
        for key, (word, terms) in by_word.items()
    ]
    return sorted(parts, key=lambda part: (-part.part, part.word))


def plain_term(term: str) -> str:
    """Return a term as people write it: without the marks of exact words and of pieces, "…ing" for "##ing"."""
    if is_word_term(term):
        return term.removeprefix(MARK)
    if term.startswith("##") and len(term) > len("##"):
        return "…" + term.removeprefix("##")
    return term[1:] if term.startswith(_BEGINS_A_WORD) and len(term) > 1 else term


class QueryText:
    """The text of a query by its words. words: of each of its terms. pieces: terms that are mere pieces of words.

    analyser: says which words count; terms that are stop words are never marked.
    """

    def __init__(self, query: str, finder: TermFinder, analyser: Mapping[str, Any] | None) -> None:
        self._content = AnalysedWords(None if analyser is None else AnalyserSettings.from_json(analyser))
        self.words: dict[str, str] = {}
        whole = set()
        for span in finder.find(query):
            word = word_around(query, span)
            self.words.setdefault(span.term, word)
            if word == query[span.start : span.end]:
                whole.add(span.term)
        self.pieces = frozenset(self.words.keys() - whole)

    def marked_terms(self, points: Mapping[str, int]) -> dict[str, int]:
        """Return the terms that may be marked with their points: those of words that count, and no stop words."""
        return {term: value for term, value in points.items() if self._content.terms(plain_term(term).strip("…"))}


def query_text(searcher: SparseSearch, query: str) -> QueryText:
    """Return the text of a query of an index."""
    settings = searcher.index.manifest.encoder.get("settings", {}).get("analyser")
    return QueryText(query[:SEARCHED_CHARACTERS], searcher.term_finder, settings)
