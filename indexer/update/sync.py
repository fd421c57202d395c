"""An index that follows its sources: new and changed files are read, what vanished is removed, the rest is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.errors import LsrError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_files
from lsr.indexer.corpus.remote.url import Url, as_place
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.encode.resume import staging_folder
from lsr.indexer.pipeline import reading_stage, with_progress
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.sources.known import refuse_unknown_sources
from lsr.indexer.sources.plan import Plan, make_plan
from lsr.indexer.sources.table import UNKNOWN_SOURCES, read_table
from lsr.indexer.sources.tracking import Tracking
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.editor import Changes, IndexEditor
from lsr.indexer.update.take import merged, take_documents
from lsr.io.progress import NoProgress, Progress


@dataclass(frozen=True, slots=True)
class Sync:
    """The outcome of a synchronisation, or, of a trial, what it would do.

    changes: None of a trial. new, changed, vanished: paths of files. n_unchanged: files that were not read. missing:
    sources that are not there, whose documents stay. summary: lines that say what was read and skipped.
    """

    changes: Changes | None
    new: tuple[str, ...]
    changed: tuple[str, ...]
    vanished: tuple[str, ...]
    n_unchanged: int
    missing: tuple[str, ...]
    summary: tuple[str, ...]


FOLLOWED = "folders are followed by"


def sync_index(
    index: str | Path,
    *,
    remove_missing: bool = False,
    encoder: Encoder | None = None,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Sync:
    """Bring an index up to date with all of its sources, in one transaction.

    remove_missing: give up sources that are not there, and delete their documents. Raises LsrError for an index that
    doesn't know its sources, has none, or names one that this user hasn't indexed, and what reading files and
    IndexEditor raise.
    """
    refuse_set(index, FOLLOWED)
    with IndexEditor(index, encoder=encoder, threads=threads, progress=progress) as editor:
        tracking = _tracking(editor.base)
        refuse_unknown_sources(tracking.sources)
        tracking.target_all()
        found = _run(editor, tracking, everything=True, remove_missing=remove_missing, progress=progress)
    return _merged(found, index, merge=merge, threads=threads, progress=progress)


def plan_sync(index: str | Path, *, remove_missing: bool = False, progress: Progress | None = None) -> Sync:
    """Return what `sync_index` would do; nothing is changed or locked."""
    refuse_set(index, FOLLOWED)
    with StoredIndex.open(index) as opened:
        tracking = _tracking(opened)
        refuse_unknown_sources(tracking.sources)
        tracking.target_all()
        report = CorpusReport()
        plan = make_plan(
            tracking, report, _exclude(opened.path), everything=True, remove_missing=remove_missing, progress=progress
        )
        return _outcome(None, plan, tuple(report.skipped_summary()))


def update_sources(
    paths: Sequence[str | Path | Url],
    index: str | Path,
    *,
    reading: CorpusOptions | None = None,
    skip_bad: bool = False,
    encoder: Encoder | None = None,
    merge: bool = True,
    threads: int = 2,
    progress: Progress | None = None,
) -> Sync:
    """Bring an index up to date with some folders and files, in one transaction.

    They are sources of the index, parts of them, or new sources. reading: options of reading files, where they are
    given; a source keeps them. Raises what `sync_index` raises, LsrError for a path that isn't there.
    """
    with IndexEditor(index, encoder=encoder, threads=threads, progress=progress) as editor:
        tracking = _tracking(editor.base, may_be_none=True)
        said = tracking.target([as_place(path) for path in paths], reading, skip_bad=skip_bad, follow=True)
        found = _run(editor, tracking, everything=False, remove_missing=False, progress=progress)
    found = replace(found, summary=(*said, *found.summary))
    return _merged(found, index, merge=merge, threads=threads, progress=progress)


def _tracking(index: StoredIndex, *, may_be_none: bool = False) -> Tracking:
    table = read_table(index)
    if table is None:
        raise LsrError(f"{index.path}: {UNKNOWN_SOURCES}")
    if not table.sources and not may_be_none:
        raise LsrError(
            f"the index at {index.path} was made of no folder or file here, so there is nothing to follow: "
            "'lsr add PATH' adds one, and 'lsr update URL' reads a URL again"
        )
    return Tracking(table)


def _exclude(index: Path) -> list[Path]:
    return [index, staging_folder(index)]


def _run(
    editor: IndexEditor, tracking: Tracking, *, everything: bool, remove_missing: bool, progress: Progress | None
) -> Sync:
    report = CorpusReport()
    listener = progress or NoProgress()
    plan = make_plan(
        tracking, report, _exclude(editor.path),
        everything=everything, remove_missing=remove_missing, progress=listener,
    )  # fmt: skip
    tracking.forget(plan.forget)
    rows = np.zeros(max(1, len(tracking.table.files)), bool)
    rows[plan.forget] = True
    table = tracking.table
    keys = table.doc_key[rows[table.doc_file.astype(np.int64)]] if len(table.doc_key) else table.doc_key
    editor.delete(ids_of_keys(editor.base, keys))
    if plan.to_read:
        listener.start(reading_stage(editor.base.manifest), plan.size_bytes, "B")
        documents = read_files(
            lambda _: iter(plan.to_read), tracking.roots, report=report, listener=tracking, may_be_none=True
        )
        take_documents(editor, with_progress(documents, report, listener), replacing=True)
    editor.tracking = tracking
    changes = editor.commit()
    summary = tuple(report.summary() if plan.to_read else report.skipped_summary())
    return _outcome(replace(changes, unknown=()), plan, summary)


def ids_of_keys(index: StoredIndex, keys: npt.NDArray[np.uint64]) -> list[str]:
    """Return the doc_ids of the documents with these hashes that are there. keys: ascending."""
    found: list[str] = []
    for segment in index.segments:
        if not len(keys) or not segment.n_docs:
            continue
        hashes = segment.hashes_by_row
        at = np.minimum(np.searchsorted(keys, hashes), len(keys) - 1)
        rows = np.flatnonzero((keys[at] == hashes) & segment.live_rows)
        found += segment.documents.doc_ids(rows.tolist())
    return found


def _outcome(changes: Changes | None, plan: Plan, summary: tuple[str, ...]) -> Sync:
    return Sync(
        changes, tuple(plan.new), tuple(plan.changed), tuple(plan.vanished), plan.n_unchanged, tuple(plan.missing),
        summary,
    )  # fmt: skip


def _merged(found: Sync, index: str | Path, *, merge: bool, threads: int, progress: Progress | None) -> Sync:
    assert found.changes is not None
    changes = merged(found.changes, index, merge=merge, threads=threads, progress=progress)
    return replace(found, changes=changes)
