"""Suggestions while a query is typed: titles that begin with it, or whose words do."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice
from weakref import WeakKeyDictionary

from lsr.indexer.storage.index import StoredIndex

MOST_DOCUMENTS = 100_000
"""Documents of an index whose titles are suggested; those of a larger one would take too much memory."""
SHOWN, LONGEST_TITLE, LONGEST_TYPED = 8, 200, 100
MOST_WORDS = 12
"""Words of a title by which it is found, the first ones."""
_OFFSET_BITS = 8
"""Bits of the offset of a word in a title, in lower case, of up to 255 characters."""


class Titles:
    """The titles of an index, ordered by the texts that begin with each of their words. A word takes eight bytes."""

    def __init__(self, index: StoredIndex) -> None:
        self._titles = sorted(set(_titles(index)))
        self._folded = [title.casefold() for title in self._titles]
        places = (
            number << _OFFSET_BITS | offset for number, title in enumerate(self._folded) for offset in _words(title)
        )
        self._places = array("Q", sorted(places, key=self._text_from))

    def beginning(self, wanted: str) -> Iterator[str]:
        """Yield the titles that begin with a text from one of their words on."""
        first = bisect_left(self._places, wanted, key=self._text_from)
        for place in islice(self._places, first, None):
            if not self._text_from(place).startswith(wanted):
                return
            yield self._titles[place >> _OFFSET_BITS]

    def _text_from(self, place: int) -> str:
        return self._folded[place >> _OFFSET_BITS][place & ((1 << _OFFSET_BITS) - 1) :]


_known: WeakKeyDictionary[StoredIndex, Titles] = WeakKeyDictionary()


def suggested_titles(index: StoredIndex, typed: str) -> list[str]:
    """Return up to eight titles with a word from which on they begin as typed; those that begin so, first."""
    wanted = " ".join(typed.casefold().split())
    if not wanted or len(typed) > LONGEST_TYPED or index.manifest.n_docs > MOST_DOCUMENTS:
        return []
    titles = _known.get(index)
    if titles is None:
        titles = _known[index] = Titles(index)
    found = dict.fromkeys(islice(titles.beginning(wanted), 50 * SHOWN))
    return sorted(found, key=lambda title: not title.casefold().startswith(wanted))[:SHOWN]


def _titles(index: StoredIndex) -> Iterator[str]:
    for segment in index.segments:
        titles = segment.documents.column("title").to_pylist()
        for title, is_live in zip(titles, segment.live_rows.tolist(), strict=True):
            folded = " ".join(title.split())
            if is_live and folded and len(folded) <= LONGEST_TITLE and len(folded.casefold()) < 1 << _OFFSET_BITS:
                yield folded


def _words(title: str) -> Iterator[int]:
    """Yield the offsets of a title's words."""
    offset = 0
    for word in title.split(" ", MOST_WORDS)[:MOST_WORDS]:
        yield offset
        offset += len(word) + 1
