"""Writing an export: the data, what an engine needs beside it, and the query side; whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError, UsageError
from lsr.handoff.engine import NAMES, Facts, Point, find_engine
from lsr.handoff.opened import DESCRIPTION, FORMAT
from lsr.handoff.query_side import FOLDER, FREQUENCIES, write_query_side
from lsr.handoff.rows import rows_of
from lsr.indexer.storage.index import StoredIndex
from lsr.io.atomic import atomic_folder
from lsr.io.folder import Folder
from lsr.io.progress import NoProgress, Progress

DATA = "data"
PART_DOCS = 100_000
SHOWN = 3
"""Doc_ids that a message about limits names."""
_PART = re.compile(r"part-\d{5,12}\.[a-z]{1,8}|index\.ciff", re.ASCII)
_NOTHING = Facts(0, 0, 1.0, "", 1)


@dataclass(frozen=True, slots=True)
class Exported:
    """The counts of an export. left_out: documents that the engine can't hold, by the reason."""

    n_docs: int
    left_out: dict[str, int]
    size_bytes: int


def export_to(
    engine_name: str,
    index_path: str | Path,
    target: Path,
    *,
    part_docs: int = PART_DOCS,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Exported:
    """Write the documents, vectors and query side of an index for an engine.

    part_docs: documents in a part of the data. Raises UsageError for an unknown engine, LsrError for documents that
    break a limit of it, naming the limit and counting them, or where the folder can't be written.
    """
    engine = find_engine(engine_name)
    if part_docs < 1:
        raise UsageError(f"part_docs is {part_docs}; it must be at least 1")
    listener = progress or NoProgress()
    _refuse_existing(target, overwrite=overwrite)
    faults: dict[str, list[str]] = {}
    left_out: Counter[str] = Counter()
    with StoredIndex.open(index_path) as index, atomic_folder(target) as folder:
        facts = Facts(len(index), len(index.vocabulary), index.manifest.scale, target.name, part_docs)
        terms = list(index.vocabulary)
        (folder / DATA).mkdir()
        writer = engine.writer(folder / DATA, facts)
        listener.start("writing", len(index), "document")
        try:
            for position, row in enumerate(rows_of(index)):
                document = row.document
                names = tuple([terms[i] for i in row.term_ids.tolist()])
                point = Point(
                    position, document.doc_id, document.title, document.text, document.fields, row.term_ids,
                    row.impacts, names,
                )  # fmt: skip
                reason = engine.leaves_out(point)
                if reason is not None:
                    left_out[reason] += 1
                elif (fault := engine.fault(point)) is not None:
                    faults.setdefault(fault, []).append(document.doc_id)
                elif not faults:
                    writer.write(point)
                listener.advance(1)
        finally:
            writer.close()
        _refuse_faults(engine.title, faults)
        for name, content in engine.files(facts).items():
            (folder / name).write_text(content, encoding="utf-8")
        write_query_side(index, folder)
        description = {"format": FORMAT, "engine": engine_name, "scale": facts.scale, "n_docs": facts.n_docs}
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=1) + "\n", encoding="utf-8")
        n_written = len(index) - left_out.total()
        if overwrite:
            _remove_earlier(target)
    size_bytes = sum(path.stat().st_size for path in target.rglob("*") if path.is_file())
    return Exported(n_written, dict(left_out), size_bytes)


def _refuse_existing(target: Path, *, overwrite: bool) -> None:
    """Raise LsrError for what is there, unless it is an earlier export, of nothing else, and `overwrite`."""
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise LsrError(f"{target} is there already; --overwrite replaces it")
    try:
        folder = Folder.open(target.parent).folder(target.name)
        names = folder.names()
        data = sorted(folder.folder(DATA).names()) if DATA in names else []
    except OSError as error:
        raise LsrError(f"{target} is no export ({error.strerror}): choose another place") from error
    ours = {DATA, DESCRIPTION, FOLDER, FREQUENCIES}.union(*(find_engine(name).files(_NOTHING) for name in NAMES))
    foreign = sorted(set(names) - ours) or [f"{DATA}/{name}" for name in data if not _PART.fullmatch(name)]
    if DESCRIPTION not in names or foreign:
        why = f"it holds {foreign[0]!r:.80}" if foreign else f"it has no {DESCRIPTION}"
        raise LsrError(f"{target} is no export ({why}), so it is not replaced: remove it, or choose another place")


def _remove_earlier(target: Path) -> None:
    """Remove the export that is replaced. Raises LsrError for anything else, and where something of it stays."""
    _refuse_existing(target, overwrite=True)
    Folder.open(target.parent).remove_tree(target.name)
    if os.path.lexists(target):
        raise LsrError(f"{target} can't be removed whole: remove it, or choose another place")


def _refuse_faults(title: str, faults: dict[str, list[str]]) -> None:
    for fault, doc_ids in faults.items():
        named = ", ".join(doc_ids[:SHOWN]) + (", …" if len(doc_ids) > SHOWN else "")
        n = f"{len(doc_ids):,} document{'' if len(doc_ids) == 1 else 's'}"
        raise LsrError(f"{title} can't take {n} ({named}): {fault}; delete them, or choose another engine")
