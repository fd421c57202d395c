"""Explanations in words: what each word added to a score, for the people who read the page."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lsr.encoders.lexical.exact_words import MARK, is_word_term
from lsr.query.explain.explain import ExplainedHit, word_around
from lsr.query.explain.term_spans import TermSpan
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


def word_parts(found: ExplainedHit) -> list[WordPart]:
    """Return what each word added to a hit's score, most first; together they add up to it."""
    words = found.words()
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


def pieces_of_words(query: str, spans: Iterable[TermSpan]) -> frozenset[str]:
    """Return the terms that occur in a query as pieces of its words alone, never as a whole word."""
    pieces, whole = set(), set()
    for span in spans:
        is_whole = word_around(query, span) == query[span.start : span.end]
        (whole if is_whole else pieces).add(span.term)
    return frozenset(pieces - whole)
