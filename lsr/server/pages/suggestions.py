"""Suggestions while a query is typed: titles that begin with it, or whose words do."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice, takewhile
from weakref import WeakKeyDictionary

from lsr.indexer.storage.index import StoredIndex

MOST_DOCUMENTS = 200_000
"""Documents of an index whose titles are suggested; those of a larger one would take too much memory."""
SHOWN, LONGEST_TITLE, LONGEST_TYPED = 8, 200, 100
MOST_WORDS = 12
"""Words of a title by which it is found, the first ones."""

Entry = tuple[str, str]
"""A title from one of its words on, in lower case, and the title."""
_known: WeakKeyDictionary[StoredIndex, list[Entry]] = WeakKeyDictionary()


def suggested_titles(index: StoredIndex, typed: str) -> list[str]:
    """Return up to eight titles with a word from which on they begin as typed; those that begin so, first."""
    wanted = " ".join(typed.casefold().split())
    if not wanted or len(typed) > LONGEST_TYPED or index.manifest.n_docs > MOST_DOCUMENTS:
        return []
    entries = _known.get(index)
    if entries is None:
        entries = _known[index] = sorted(set(_entries(index)))
    first = bisect_left(entries, (wanted, ""))
    near = takewhile(lambda entry: entry[0].startswith(wanted), islice(entries, first, None))
    found = dict.fromkeys(title for _, title in islice(near, 50 * SHOWN))
    return sorted(found, key=lambda title: not title.casefold().startswith(wanted))[:SHOWN]


def _entries(index: StoredIndex) -> Iterator[Entry]:
    for segment in index.segments:
        titles = segment.documents.column("title").to_pylist()
        for title, is_live in zip(titles, segment.live_rows.tolist(), strict=True):
            folded = " ".join(title.split())
            if not is_live or not folded or len(folded) > LONGEST_TITLE:
                continue
            words = folded.casefold().split(" ")
            for place in range(min(len(words), MOST_WORDS)):
                yield " ".join(words[place:]), folded
