"""Places of hits in their files: the line of the best stretch, a notebook's cell, a PDF's page.

Formats strip markup and join what belongs together, so the stretch is looked for in the file by its words: where the
longest run of them is, there it came from. Nothing of it is stored, so it is right for a file that is what it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lsr.encoders.lexical.analyser import Analyser, AnalyserSettings
from lsr.errors import LsrError
from lsr.indexer.corpus.opening import decoded
from lsr.query.explain.snippet import SEARCHED_CHARACTERS, Matcher, find_snippet

MOST_BYTES = 1 << 20
"""Size of a file up to which it is read again for the place of a hit."""
MOST_CHARACTERS = 200_000
"""Characters of a text among which the best stretch is looked for."""
SOUGHT_WORDS = 16
PAGE_END = "\f"
"""Ends each page but the last in the text of a PDF."""
PAGED = (".pdf",)
NOTEBOOKS = (".ipynb",)


class Place(NamedTuple):
    """A place in a file, counted from 1: one of the three, or none where it isn't known."""

    line: int | None = None
    page: int | None = None
    cell: int | None = None


NOWHERE = Place()


def locate(path: str, text: str, words: Matcher, *, before: str = "") -> Place:
    """Return the place in a file of the stretch of a text that says most about a query.

    text: of the hit, whole or a passage. before: the document's text before a passage.
    """
    suffix = Path(path).suffix.lower()
    sought = _best_stretch(text, words)
    if suffix in PAGED:
        pages = (before + text).split(PAGE_END)
        # Of a passage, only the pages that it is on.
        earlier = before.count(PAGE_END)
        return Place(page=earlier + (_found(sought, pages[earlier:]) or 1)) if len(pages) > 1 else Place(page=1)
    content = _content(path)
    if content is None:
        return NOWHERE
    if suffix in NOTEBOOKS:
        from lsr.indexer.corpus.formats.notebook import cell_texts

        return Place(cell=_found(sought, cell_texts(content)))
    return Place(line=_found(sought, content.split("\n")))


def _best_stretch(text: str, words: Matcher) -> list[str]:
    """Return the first words of the stretch with the most different words of the query."""
    best, most = find_snippet(text[:SEARCHED_CHARACTERS], words), -1
    for start in range(0, min(len(text), MOST_CHARACTERS), SEARCHED_CHARACTERS):
        part = text[start : start + SEARCHED_CHARACTERS]
        n_different = len({form for *_, form in words.matches(part)})
        if n_different > most:
            best, most = find_snippet(part, words), n_different
    first = best.spans[0][0] if best.spans else 0
    return _words(best.text[first:])[:SOUGHT_WORDS]


def _content(path: str) -> str | None:
    """Return the text of a small file; None for any other."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        return decoded(data) if len(data) <= MOST_BYTES and b"\0" not in data[:1024] else None
    except (OSError, LsrError):
        return None


def _found(sought: Sequence[str], pieces: Sequence[str]) -> int | None:
    """Return the number (from 1) of the first piece where the longest run of words begins, or None."""
    found = list(_numbered(pieces))
    words = [word for word, _ in found]
    best, best_at = 0, None
    for start, number in enumerate(number for _, number in found):
        length = 0
        while length < len(sought) and words[start + length : start + length + 1] == [sought[length]]:
            length += 1
        if length > best:
            best, best_at = length, number
    return best_at


def _numbered(pieces: Sequence[str]) -> Iterator[tuple[str, int]]:
    for number, piece in enumerate(pieces, 1):
        for word in _words(piece):
            yield word, number


@cache
def _analyser() -> Analyser:
    return Analyser(AnalyserSettings("none", "none"))


def _words(text: str) -> list[str]:
    return _analyser().plain_words(text)
