"""Structure of a text: sentences, passages, headings with sections; and a filter of unsuitable queries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_END = re.compile(r"""[.!?]+["'”’)\]]*\s+(?=["'“‘(\[]?[A-Z0-9À-ÖØ-Þ])|\n\s*\n\s*""")
_ABBREVIATIONS = frozenset(
    "al approx apr aug ave ca capt cf co corp dec dept dr ed eds eq etc feb fig figs gen gov inc jan jr jul jun lt ltd "
    "mar messrs mr mrs ms mt no nov oct op pp prof ref rep rev sec sen sep sept sgt sr st vol vs viz".split()
)
_LAST_WORD = re.compile(r"([^\W\d_]+(?:\.[^\W\d_]+)*)\.$")
_MARKED = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$|^(={2,6})[ \t]*(.+?)[ \t]*\2[ \t]*$")
_UNDERLINE = re.compile(r"^ {0,3}(?:=|-|~|\*){3,}[ \t]*$")
_FENCE = re.compile(r"^ {0,3}(?:`{3,}|~{3,})")
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_BOILERPLATE = re.compile(
    r"all rights reserved|copyright|\bcookies?\b|click here|terms of (?:use|service)|privacy policy|table of contents"
    r"|subscribe|sign (?:in|up)\b|log ?in\b|javascript|https?://|www\.|this (?:article|page) (?:is|was|has)"
    r"|for (?:more|further|additional) (?:information|details)|\|"
    r"|jump to navigation|edit this|read more|last (?:updated|modified)|lorem ipsum",
    re.IGNORECASE,
)
_CODE = re.compile(r"```|[{}\\]|</|/>|\(\)|==|::|=>|->|^import |^from \w+ import |;$")
_GENERIC = frozenset(
    "abstract acknowledgements acknowledgments appendix background bibliography career conclusion conclusions contents "
    "description discussion early_life example examples external_links features further_reading gallery history "
    "index introduction life links methods notes objective overview parameters personal_life plot preface purpose "
    "reception references related_topics remarks requirements results return_value return_values see_also sources "
    "summary syntax todo usage works".split()
)
MIN_LETTERS = 0.6
"""The least share of letters among a query's characters, white space aside."""


def words_of(text: str) -> list[str]:
    """Return the words of a text, case unchanged."""
    return _WORD.findall(text)


def sentences(text: str) -> list[tuple[int, int]]:
    """Return start and end of each sentence; paragraphs end sentences, abbreviations and initials don't."""
    spans, start = [], 0
    for match in _END.finditer(text):
        ended = text[start : match.start() + 1]
        if match[0][0] == "." and _is_abbreviation(ended):
            continue
        end = match.start() + len(match[0].rstrip())
        if text[start:end].strip():
            spans.append((start, end))
        start = match.end()
    if text[start:].strip():
        spans.append((start, start + len(text[start:].rstrip())))
    return spans


def _is_abbreviation(ended: str) -> bool:
    """Return whether a sentence's seeming end is an abbreviation: an initial, "e.g.", "Dr."."""
    last = _LAST_WORD.search(ended)
    return last is not None and (len(last[1]) == 1 or "." in last[1] or last[1].lower() in _ABBREVIATIONS)


def passages(text: str, max_words: int) -> list[str]:
    """Split a text into passages of at most `max_words`, between sentences, and before headings once a third is full.

    A text up to a third longer isn't split; parts without sentences, such as tables, are split between words.
    """
    if len(words_of(text)) <= max_words * 4 // 3:
        return [text]
    found: list[str] = []
    start: int | None = None
    end = n_words = 0
    for first, last in _pieces(text, max_words):
        n = len(words_of(text[first:last]))
        is_heading = n <= 12 and _heading_at(text[first:last].split("\n"), 0)[0] != ""
        if n_words and (n_words + n > max_words or (is_heading and n_words >= max_words // 3)):
            found.append(text[start:end])
            start, n_words = None, 0
        if start is None:  # not at the first word: a piece without words, such as an ellipsis, stays with the next
            start = first
        end, n_words = last, n_words + n
    return found if start is None else [*found, text[start:end]]


def _pieces(text: str, max_words: int) -> Iterator[tuple[int, int]]:
    """Yield start and end of each sentence, of those with too many words in parts."""
    for start, end in sentences(text):
        words = list(_WORD.finditer(text, start, end))
        cuts = [start, *(words[i].start() for i in range(max_words, len(words), max_words)), end]
        yield from pairwise(cuts)


@dataclass(frozen=True, slots=True)
class Section:
    """Heading with the text up to the next one."""

    heading: str
    text: str


def sections(text: str) -> list[Section]:
    """Return the sections of a text; headings are marked (`## …`, `== … ==`, underlined) or separate paragraphs."""
    lines = text.split("\n")
    if len(lines) < 3:
        return []
    starts: list[tuple[int, int, str]] = []
    fenced = False
    for i, line in enumerate(lines):
        if _FENCE.match(line):
            fenced = not fenced
        heading, used = ("", 0) if fenced else _heading_at(lines, i)
        if heading:
            starts.append((i, i + used, heading))
    if not starts:
        return []
    ends = [first for first, _, _ in starts[1:]] + [len(lines)]
    return [
        Section(heading, "\n".join(lines[begin:end]).strip())
        for (_, begin, heading), end in zip(starts, ends, strict=True)
    ]


def _heading_at(lines: list[str], i: int) -> tuple[str, int]:
    """Return the heading that begins in line i and its number of lines; "" where none does."""
    line = lines[i]
    marked = _MARKED.match(line)
    if marked:
        return (marked[1] or marked[3]).strip(), 1
    bare = line.strip()
    if not bare or len(bare) > 100 or not bare[0].isalnum() or bare[-1] in ".,;:!?":
        return "", 0
    if i + 1 < len(lines) and _UNDERLINE.match(lines[i + 1]):
        return bare, 2
    alone = (i == 0 or not lines[i - 1].strip()) and i + 2 < len(lines) and not lines[i + 1].strip()
    return (bare, 1) if alone and bare[0].isupper() and len(words_of(bare)) <= 12 else ("", 0)


def is_generic(heading: str) -> bool:
    """Return whether a heading is generic, such as "See also"."""
    return "_".join(words_of(heading.lower())) in _GENERIC


def is_suitable_query(query: str, min_words: int, max_words: int) -> bool:
    """Return whether a text may be a query: min_words … max_words, mostly letters, neither boilerplate nor code."""
    if not min_words <= len(words_of(query)) <= max_words:
        return False
    letters = sum(map(str.isalpha, query))
    return letters >= MIN_LETTERS * sum(map(len, query.split())) and not (
        _BOILERPLATE.search(query) or _CODE.search(query)
    )
