"""Sources that a user has indexed, so that an index may lead to their files, and to no others.

An index may come from anybody: by a download, a clone, a share. Following its sources means to read the folders that
it names, and a look at a hit's file is a look at that path. So a recorded source is followed only if this user has
named it on this machine before. An empty file in the user's cache, named by a digest of its path, says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from lsr.errors import LsrError
from lsr.indexer.sources.source import Source
from lsr.io.own_notes import is_noted, note

_SUBJECT = "known-sources"


def remember_source(root: str) -> None:
    """Record that this user has named a source. A cache that can't be written to records nothing."""
    note(_SUBJECT, root)


def is_known_source(root: str) -> bool:
    """Return whether this user has named a source. root: see `Source`."""
    return is_noted(_SUBJECT, root)


def refuse_unknown_sources(sources: Iterable[Source]) -> None:
    """Raise LsrError, naming the remedy, for a source that this user hasn't named; nothing of it is looked at."""
    for source in sources:
        if not is_known_source(source.root):
            raise LsrError(
                f"the index says that it was made of {source.root!r:.300}, which you haven't indexed on this machine, "
                "and an index from elsewhere may name anything: if you trust it, name the source yourself once, by "
                "'lsr update PATH'"
            )
