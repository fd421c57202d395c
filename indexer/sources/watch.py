"""Watching the sources of an index: told of changes by the operating system, it follows them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event

from lsr.errors import LsrError
from lsr.indexer.encode.resume import staging_folder
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.sources.known import refuse_unknown_sources
from lsr.indexer.sources.table import UNKNOWN_SOURCES, read_table
from lsr.indexer.storage.index import StoredIndex

POLL_MS = 2000
"""Time after which sources that are single files are looked at: editors replace files, which ends a watch of one."""


def watched(index: str | Path, stop: Event | None = None) -> Iterator[None]:
    """Yield whenever files of the index's sources may have changed, until `stop` is set.

    Needs the library watchfiles. Raises LsrError for an index that doesn't know its sources, or none of whose sources
    is there.
    """
    refuse_set(index, "folders are followed by")
    with StoredIndex.open(index) as opened:
        table = read_table(opened)
        if table is None:
            raise LsrError(f"{opened.path}: {UNKNOWN_SOURCES}")
    refuse_unknown_sources(table.sources)
    from watchfiles import watch

    roots = [source.root for source in table.sources if Path(source.root).exists()]
    folders = [root for root in roots if Path(root).is_dir()]
    files = [root for root in roots if root not in folders]
    if not roots:
        raise LsrError(
            f"the index at {index} was made of no folder or file that is there, so there is nothing to watch"
        )
    concerns = _filter(index)
    if not folders:  # something has to be watched: a folder that holds nothing else would do as well
        folders = [os.path.realpath(index)]
    states = _states(files)
    for changes in watch(
        *folders, watch_filter=concerns, stop_event=stop, rust_timeout=POLL_MS, yield_on_timeout=True,
        raise_interrupt=True,
    ):  # fmt: skip
        now = _states(files)
        if changes or now != states:
            states = now
            yield


def _filter(index: str | Path) -> Callable[[object, str], bool]:
    """Return what tells whether a change matters: those of the index itself, and of git's own files, do not."""
    own = [os.path.realpath(path) for path in (index, staging_folder(Path(index)))]

    def concerns(_: object, path: str) -> bool:
        real = os.path.realpath(path)
        return "/.git/" not in f"{real}/" and not any(real == one or real.startswith(f"{one}/") for one in own)

    return concerns


def _states(files: Sequence[str]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for file in files:
        try:
            state = Path(file).stat()
            found.append((state.st_ino, state.st_size, state.st_mtime_ns))
        except OSError:
            found.append(())
    return found
