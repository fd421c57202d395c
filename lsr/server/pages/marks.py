"""Marks in texts: whole words, stronger where they count more, and the stretch of a text that says most.

Everything here takes time in proportion to the text and its terms.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from lsr.query.explain.explain import LONGEST_WORD
from lsr.query.explain.term_spans import TermSpan
from lsr.server.pages.rendering import possible

if TYPE_CHECKING:
    from markupsafe import Markup

STRENGTHS = 4
"""Shades of a mark: m1, the faintest, to m4."""
FAINTEST = 0.04
"""The part of the strongest term's points below which a term isn't marked: the `a` and `of` of a query."""
_SENTENCE_END = re.compile(r"[.!?…。]\s*(?=\S)")
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Letters of scripts that put no space between words, where a run of letters is no word."""


class Mark(NamedTuple):
    """text[start:end] is a word that counted. strength: from 1, the faintest, to STRENGTHS."""

    start: int
    end: int
    strength: int


def whole_words(
    text: str, spans: Iterable[TermSpan], points: Mapping[str, int], *, pieces: frozenset[str] = frozenset()
) -> list[Mark]:
    """Return the words of a text that hold terms of a query, in order, without overlaps.

    spans: of terms in the text, in order. points: of the terms that count. pieces: terms that are mere pieces of the
    query's words. A word is marked if terms cover half of it; a whole word isn't marked for a piece.
    """
    largest = max(points.values(), default=0)
    least = max(1.0, FAINTEST * largest)
    found: list[Mark] = []
    word, covered, best = (0, 0), 0, 0
    for span in spans:
        value = points.get(span.term, 0)
        if value < least or _is_punctuation(text[span.start : span.end]):
            continue
        if span.start >= word[1]:
            found += _mark(word, covered, best / largest)
            word, covered, best = _word_at(text, span, word[1]), 0, 0
        if span.term in pieces and (span.start, span.end) == word:
            continue
        covered += span.end - span.start
        best = max(best, value)
    found += _mark(word, covered, best / largest if best else 0)
    return found


def _mark(word: tuple[int, int], covered: int, part: float) -> list[Mark]:
    """Return the mark of a word, or none where its terms cover less than half of it. part: of the most points."""
    is_covered = covered and 2 * covered >= word[1] - word[0]
    return [Mark(*word, max(1, round(STRENGTHS * part)))] if is_covered else []


def _word_at(text: str, span: TermSpan, least: int) -> tuple[int, int]:
    """Return the start and end of the word that a span is of. least: the end of the word before."""
    start, end = span.start, span.end
    if not _UNSPACED.search(text, start, end):
        while start > max(least, span.start - LONGEST_WORD) and _joins(text[start - 1]):
            start -= 1
        while end < min(len(text), span.end + LONGEST_WORD) and _joins(text[end]):
            end += 1
    return start, end


def _joins(character: str) -> bool:
    is_letter = character.isalnum() or unicodedata.category(character) == "Mn"
    return is_letter and not _UNSPACED.match(character)


def _is_punctuation(text: str) -> bool:
    return all(unicodedata.category(character)[0] in "PZC" for character in text)


def marked(text: str, marks: Iterable[Mark], *, begin: int = 0, end: int = -1) -> Markup:
    """Return text[begin:end] as HTML, the marks in it as <mark> of a class that says how strong.

    marks: in order, without overlaps. end: default, that of the text.
    """
    from markupsafe import Markup, escape

    text, end = possible(text), len(text) if end < 0 else end
    pieces, last = list[str](), begin
    for mark in marks:
        if mark.start >= begin and mark.end <= end:
            pieces.append(escape(text[last : mark.start]))
            pieces.append(f'<mark class="m{mark.strength:d}">{escape(text[mark.start : mark.end])}</mark>')
            last = mark.end
    pieces.append(escape(text[last:end]))
    return Markup("".join(pieces))  # noqa: S704  every piece is escaped above


def stretch(text: str, spans: Sequence[TermSpan], points: Mapping[str, int], width: int) -> tuple[int, int]:
    """Return the stretch of up to `width` characters of a text whose different terms weigh most, the earliest such.

    It begins and ends between words, with a sentence where one begins shortly before.
    """
    if len(text) <= width:
        return 0, len(text)
    begin = _heaviest(spans, points, width * 3 // 4)
    if begin > width // 4:
        ends = [match.end() for match in _SENTENCE_END.finditer(text, begin - width // 4, begin)]
        begin = ends[-1] if ends else _word_start(text, begin - width // 8)
    else:
        begin = 0
    end = min(len(text), begin + width)
    if end < len(text):
        cut = max(text.rfind(" ", begin + width // 2, end), text.rfind("\n", begin + width // 2, end))
        end = cut if cut > 0 else end
    return begin, end


def _heaviest(spans: Sequence[TermSpan], points: Mapping[str, int], width: int) -> int:
    """Return where the window of `width` characters begins whose different terms weigh most."""
    return max(_windows(spans, points, width), key=lambda window: (window[0], -window[1]), default=(0, 0))[1]


def _windows(spans: Sequence[TermSpan], points: Mapping[str, int], width: int) -> Iterator[tuple[int, int]]:
    """Yield the weight and start of the window that begins with each span; a span enters and leaves it once."""
    inside: Counter[str] = Counter()
    weight = last = 0
    for first in spans:
        while last < len(spans) and spans[last].end <= first.start + width:
            term = spans[last].term
            weight += 0 if inside[term] else points.get(term, 0)
            inside[term] += 1
            last += 1
        if weight:
            yield weight, first.start
        if inside[first.term]:
            inside[first.term] -= 1
            weight -= 0 if inside[first.term] else points.get(first.term, 0)


def _word_start(text: str, at: int) -> int:
    """Return where the first word begins at or after an offset."""
    found = re.compile(r"\s\S").search(text, max(0, at - 1), at + 61)
    return found.start() + 1 if found else at
