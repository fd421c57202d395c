"""Comparison of sources with the files that an index was made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import NO_SOURCE, walk_roots
from lsr.indexer.sources.digest import digest_of
from lsr.indexer.sources.table import FileState
from lsr.indexer.sources.tracking import Tracking
from lsr.io.progress import NoProgress, Progress


@dataclass(slots=True)
class Plan:
    """Files that a synchronisation reads and removes.

    to_read: new and changed files, in the order of the walk. new, changed, vanished: labels of files. touched: files
    whose content is the same at another time. forget: rows of the files whose documents are deleted, or replaced.
    missing: labels of sources that are not there.
    """

    to_read: list[SourceFile] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    n_unchanged: int = 0
    forget: list[int] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        """Bytes of the files to be read."""
        return sum(source.size_bytes for source in self.to_read)


def make_plan(
    tracking: Tracking,
    report: CorpusReport,
    exclude: Sequence[Path],
    *,
    everything: bool,
    remove_missing: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Walk the roots and compare their files with the table. Files that were named themselves are read in any case.

    everything: the roots are all sources; named files are then compared like the others. remove_missing: sources that
    are not there are given up, with their files. Content is read only of files whose time has changed, not their size.
    """
    plan = Plan()
    met: set[int] = set()
    listener = progress or NoProgress()
    listener.start("comparing", len(tracking.table.files) if everything else None, "file")
    for source in walk_roots(tracking.roots, report, exclude=exclude, apart=tracking.apart):
        listener.advance(1)
        row = tracking.row_of(source)
        number = tracking.roots[source.root].source
        if row is not None:
            met.add(row)
        if row is None:
            plan.new.append(source.label)
        elif (source.named and not everything) or number in tracking.reread:
            plan.changed.append(source.label)
        elif _is_same(tracking, source, row):
            plan.n_unchanged += 1
            continue
        else:
            plan.changed.append(source.label)
        plan.to_read.append(source)
        if row is not None:
            plan.forget.append(row)
    _add_missing(tracking, plan, everything=everything, remove_missing=remove_missing)
    for row in _vanished(tracking, met):
        file = tracking.table.files[row]
        plan.vanished.append(tracking.sources[file.source].label(file.inside))
        plan.forget.append(row)
    return plan


def _is_same(tracking: Tracking, source: SourceFile, row: int) -> bool:
    """Tell whether a file has the content that was read; note its time where that is another."""
    known = tracking.table.files[row]
    if source.size_bytes != known.size_bytes:
        return False
    if source.mtime_ns == known.mtime_ns and known.settled:
        return True
    if not known.digest or digest_of(source.path) != known.digest:
        return False
    state = tracking.state_of(source, with_digest=False)._replace(digest=known.digest, named=known.named)
    if state != known:
        tracking.touch(row, state)
    return True


def _add_missing(tracking: Tracking, plan: Plan, *, everything: bool, remove_missing: bool) -> None:
    if not everything:
        return
    for number, source in enumerate(tracking.sources):
        if os.path.lexists(source.root):
            continue
        if not remove_missing:
            plan.missing.append(source.given)
        else:
            tracking.dropped.add(number)
            rows = tracking.rows_in([(number, "")])
            plan.vanished += [source.label(tracking.table.files[row].inside) for row in rows]
            plan.forget += rows


def _vanished(tracking: Tracking, met: Iterable[int]) -> Iterator[int]:
    """Yield the rows of files that a walk of the roots should have met, and that are there no more."""
    places = [(root.source, root.inside) for root in tracking.roots if root.source != NO_SOURCE]
    places += sorted(tracking.gone)
    known = set(met)
    readable: dict[str, bool] = {}
    for row in tracking.rows_in(places):
        if row not in known and not _is_hidden(tracking, tracking.table.files[row], readable):
            yield row


def _is_hidden(tracking: Tracking, file: FileState, readable: dict[str, bool]) -> bool:
    """Tell whether a file may be there, unseen: in a folder that can't be read now."""
    root = tracking.sources[file.source].root
    for parent in Path(tracking.sources[file.source].path(file.inside)).parents:
        folder = str(parent)
        if len(folder) < len(root):
            break
        if folder not in readable:
            try:
                os.lstat(folder)
                readable[folder] = os.access(folder, os.R_OK | os.X_OK) or not parent.is_dir()
            except (FileNotFoundError, NotADirectoryError):
                readable[folder] = True  # it is gone, with all that was in it
            except OSError:
                readable[folder] = False
        if not readable[folder]:
            return True
    return False
