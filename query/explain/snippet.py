"""Snippets: the stretch of a text with most of a query's words, and their places."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.io.text_cache import TextCache
from lsr.query.explain.term_spans import AnalysedWords

SEARCHED_CHARACTERS = 20_000
CACHED_CHARACTERS = 12_000_000
"""Characters of the texts whose folded form is cached."""
_SENTENCE_END = re.compile(r"[.!?…]['\")\]”’]* |[。！？]")

Span = tuple[int, int]


_folded: TextCache[str] = TextCache(CACHED_CHARACTERS)


class Matcher(Protocol):
    """Says which words of a text are to be shown as found."""

    def matches(self, text: str) -> list[tuple[int, int, str]]:
        """Return (start, end, form) of each, in order; alike words have one form."""
        ...


@cache
def _analysed_words(settings: AnalyserSettings | None) -> AnalysedWords:
    """Return what finds words, one for all queries: it caches the terms of what it has seen."""
    return AnalysedWords(settings)


class QueryWords:
    """The words of a query in the form that the index compares: stems, without stop words.

    encoder: of the manifest; where it doesn't say how words are made, English ones are.
    """

    def __init__(self, query: str, encoder: Mapping[str, Any]) -> None:
        settings = encoder.get("settings", {}).get("analyser")
        self._words = _analysed_words(None if settings is None else AnalyserSettings.from_json(settings))
        self._wanted = frozenset(self._words.terms(query))

    def matches(self, text: str) -> list[tuple[int, int, str]]:
        """Return (start, end, form) of every word of `text` that the query holds too, no two of one place."""
        found: list[tuple[int, int, str]] = []
        last = (-1, -1)
        for span in self._words.find_some(text, self._wanted):
            if span[:2] != last:
                found.append(span)
                last = span[:2]
        return found


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of a text, white space folded, and the spans in it of words that match.

    starts, ends: whether the piece begins and ends where the text does.
    """

    text: str
    spans: tuple[Span, ...]
    starts: bool
    ends: bool


def fold(text: str) -> str:
    """Return the beginning of a text, as far as it is searched, with white space folded."""
    found = _folded.get(text)
    if found is None:
        found = " ".join(text[:SEARCHED_CHARACTERS].split())
        _folded.put(text, found)
    return found


def find_snippet(text: str, words: Matcher, width: int = 200) -> Snippet:
    """Return up to `width` characters of `text` with the most different words of the query, the earliest such.

    It begins with a sentence where one begins shortly before. Only the first SEARCHED_CHARACTERS are looked at.
    """
    folded = fold(text)
    matches = words.matches(folded)
    begin = _beginning(folded, _densest(matches, width), width)
    end = len(folded)
    if end - begin > width:
        cut = folded.rfind(" ", begin, begin + width + 1)
        end = cut if cut > begin else begin + width
    spans = tuple((start - begin, stop - begin) for start, stop, _ in matches if begin <= start and stop <= end)
    ends = end == len(folded) and len(text) <= SEARCHED_CHARACTERS
    return Snippet(folded[begin:end], spans, begin == 0, ends)


def _densest(matches: list[tuple[int, int, str]], width: int) -> int:
    """Return where the stretch of `width` characters begins that holds the most different words."""
    best, best_count = 0, 0
    counts: dict[str, int] = {}
    last = 0
    for start, _, form in matches:
        while last < len(matches) and matches[last][1] <= start + width:
            counts[matches[last][2]] = counts.get(matches[last][2], 0) + 1
            last += 1
        if len(counts) > best_count:
            best, best_count = start, len(counts)
        if form in counts:
            counts[form] -= 1
            if counts[form] == 0:
                del counts[form]
    return best


def _beginning(folded: str, wanted: int, width: int) -> int:
    """Return where to begin so that `wanted` is seen early, but not cut off from what it belongs to."""
    if wanted <= width // 3:
        return 0
    ends = [match.end() for match in _SENTENCE_END.finditer(folded, wanted - width // 3, wanted)]
    if ends:
        return ends[-1]
    return folded.rfind(" ", 0, wanted - width // 5) + 1
