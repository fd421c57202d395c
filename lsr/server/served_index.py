"""Indexes of a server, by name: each always searched in its newest generation."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from lsr.api.documents import documents_by_id
from lsr.errors import LsrError, UsageError
from lsr.io.cores import available_cores
from lsr.query.searcher import Searcher
from lsr.server.changes import Changer
from lsr.server.scrolling import Scrolls

if TYPE_CHECKING:
    from lsr.indexer.storage.index import StoredIndex
    from lsr.types import Document

log = logging.getLogger(__name__)

RESERVED = frozenset(
    "search documents document delete encode stats health ready metrics openapi.json docs mcp merge suggest assets"
    " static favicon.ico robots.txt".split()
)
"""Names of paths, which no index can have."""
LONGEST_NAME = 64
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_NAME - 1}}}")


class ServedIndex:
    """An index under its name. Safe to use from many threads.

    searcher: its options are those of searches that don't say otherwise. about: description of the contents.
    """

    def __init__(self, name: str, searcher: Searcher, *, about: str = "") -> None:
        if not _NAME.fullmatch(name) or name in RESERVED:
            raise UsageError(
                f"the name {name!r:.80} can't be that of an index: it must be of letters, digits, '.', '_' and '-', "
                f"64 at most, and none of {', '.join(sorted(RESERVED))}"
            )
        self.name = name
        self.about = about
        self.path = searcher.index.path
        self._searcher = searcher
        self._renewing = threading.Lock()
        self.changer = Changer(self.path, available_cores())
        self.scrolls = Scrolls()

    @property
    def searcher(self) -> Searcher:
        """The searcher of the newest generation; an older one where the newest can't be opened.

        Documents of an index that was removed are not served. Raises IndexMissingError until there is one again.
        """
        with self._renewing:
            index = self._searcher.index
            if not index.is_newest():
                try:
                    self._searcher = self._searcher.refresh()
                except LsrError as error:
                    if not index.is_there():
                        raise
                    log.warning(f"the newest generation of {self.name} is not served: {error}")
            return self._searcher

    @property
    def state(self) -> str:
        """The word `ready`, or the reason why the index can't be searched now."""
        try:
            self.index.is_there()
        except LsrError as error:
            log.warning(f"{self.name} is not ready: {error}")
            return "missing or damaged: the log says more"
        return "ready"

    @property
    def index(self) -> StoredIndex:
        """The newest generation of the index."""
        return self.searcher.index

    def document(self, doc_id: str) -> Document | None:
        """Return a document by its id, put together where it was cut into passages; None if there is none."""
        (found,) = documents_by_id(self.index, [doc_id])
        return found


class ServedIndexes(Mapping[str, ServedIndex]):
    """The indexes of a server by their names; the first is the one that a path without a name means."""

    def __init__(self, indexes: Sequence[ServedIndex]) -> None:
        self._by_name = {index.name: index for index in indexes}
        if len(self._by_name) < len(indexes):
            raise UsageError("two indexes have the same name; give each another, as notes=.lsr papers=/data/papers")
        if not indexes:
            raise UsageError("there is no index to serve")

    def __getitem__(self, name: str) -> ServedIndex:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def paths(self) -> tuple[str, ...]:
        """The paths of the indexes in all their forms, which no answer may show."""
        given = [index.path for index in self.values()]
        return tuple(dict.fromkeys(str(form) for path in given for form in (path.resolve(), path.absolute(), path)))

    @property
    def first(self) -> ServedIndex:
        """The index that a path without a name means."""
        return next(iter(self._by_name.values()))
