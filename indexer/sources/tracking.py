"""Sources while a transaction reads some of them: paths become roots of known or new sources, and files are noted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lsr.errors import UsageError
from lsr.indexer.corpus.doc_ids import DocIdLedger
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import Owner
from lsr.indexer.corpus.remote.url import Place as CorpusPlace
from lsr.indexer.corpus.remote.url import Url
from lsr.indexer.corpus.standard_input import STANDARD_INPUT
from lsr.indexer.corpus.walk import NO_SOURCE, Root, input_root, no_such_path, remote_roots, roots_of
from lsr.indexer.sources.digest import LARGEST_BYTES, digest_of
from lsr.indexer.sources.known import remember_source
from lsr.indexer.sources.source import Source, absolute
from lsr.indexer.sources.table import SETTLED_NS, FileState, SourceTable
from lsr.indexer.storage.files import FileInfo
from lsr.indexer.storage.segment import hash_ids
from lsr.io.folder import Folder

Place = tuple[int, str]
"""The number of a source, and a path in it."""


class Tracking:
    """The sources of an index, what is read of them in a transaction, and the table that follows from it.

    It is the listener of a reading (`lsr.indexer.corpus.reader.Listener`). table: of the index before. roots: where
    the walks of this transaction begin.
    """

    def __init__(self, table: SourceTable) -> None:
        self.table = table
        self.sources: list[Source] = list(table.sources)
        self.roots: list[Root] = []
        self.ledger = DocIdLedger()
        self.reread: set[int] = set()
        """Numbers of sources whose options are others now, so that all of their files are read."""
        self.gone: set[Place] = set()
        """Places that were named and are not there any more."""
        self.dropped: set[int] = set()
        """Numbers of sources that are given up."""
        self._read: list[FileState | None] = []
        self._replaced: set[int] = set()
        self._touched: dict[int, FileState] = {}
        self._rows = {(file.source, file.inside): row for row, file in enumerate(table.files)}

    def begin(self) -> None:
        """Forget what was read: the reading starts again."""
        self.ledger = DocIdLedger()
        self._read = []

    @property
    def apart(self) -> list[str]:
        """Places of all sources: a walk of one doesn't enter another."""
        return [source.root for source in self.sources]

    def row_of(self, source: SourceFile) -> int | None:
        """Return the row of a file in the table, None for one that isn't there."""
        return self._rows.get(self.place_of(source))

    def place_of(self, source: SourceFile) -> Place:
        """Return the source of a file, and its path there."""
        return self.roots[source.root].source, source.inside

    def target(
        self, paths: Sequence[CorpusPlace], options: CorpusOptions | None, *, skip_bad: bool, follow: bool
    ) -> list[str]:
        """Add the roots that paths are, of known sources or new ones; return lines that say which are new.

        options: where they were given; a known source then takes them. follow: paths may have vanished from their
        sources, and sources inside a path are followed too. Raises LsrError for a path that isn't there, UsageError
        for options of a part of a source.
        """
        if not paths:
            raise UsageError("no corpus given: name a folder or file")
        new: list[Path] = []
        for path in paths:
            if isinstance(path, Url):
                continue
            if path == STANDARD_INPUT:
                self.roots.append(input_root(options or CorpusOptions(), skip_bad=skip_bad))
            elif not self._add_known(path, options, skip_bad=skip_bad, follow=follow):
                new.append(path)
        added = self._add_new(new, options, skip_bad=skip_bad) if new else []
        if follow:
            for path in paths:
                if isinstance(path, Path):
                    self._add_inside(os.path.realpath(path))
        self.roots += remote_roots(paths, options or CorpusOptions(), skip_bad=skip_bad)
        self.roots = list({root.real: root for root in reversed(self.roots)}.values())[::-1]
        for root in self.roots:
            if root.source != NO_SOURCE and not root.inside:  # the whole source, and not only a file in it
                remember_source(self.sources[root.source].root)
        return added

    def target_all(self) -> None:
        """Add all sources that are there, with the files in them that were named."""
        for number, source in enumerate(self.sources):
            if Path(source.root).exists():
                self._add_root(number, "")

    def _add_known(self, path: Path, options: CorpusOptions | None, *, skip_bad: bool, follow: bool) -> bool:
        place = self._find(path)
        if place is None:
            return False
        number, inside = place
        source = self.sources[number]
        if options is not None and options != source.options:
            if inside:
                raise UsageError(
                    f"{path} lies in the source {source.given}, which is read with other options: leave them out, or "
                    "give them with the whole source"
                )
            self.sources[number] = replace(source, options=options)
            self.reread.add(number)
        if skip_bad and not self.sources[number].skip_bad:
            self.sources[number] = replace(self.sources[number], skip_bad=True)
        if not os.path.lexists(source.path(inside)):
            known = any(self._lies_in(file, place) for file in self.table.files)
            if not (follow and inside and known):
                raise no_such_path(path)
            self.gone.add(place)
            return True
        self._add_root(number, inside, given=str(path))
        return True

    def _find(self, path: Path) -> Place | None:
        """Return the innermost source that a path is, or lies in, and its path there."""
        found: list[Place] = []
        for where in dict.fromkeys((absolute(path), os.path.realpath(path))):
            for number, source in enumerate(self.sources):
                inside = source.find(where)
                if inside is not None:
                    found.append((number, inside))
        return min(found, key=lambda place: len(place[1]), default=None)

    def _add_root(self, number: int, inside: str, given: str | None = None) -> None:
        root = self.sources[number].root_at(number, inside)
        self.roots.append(root if given is None else replace(root, given=given))
        for file in self.table.files:
            if file.named and self._lies_in(file, (number, inside)) and file.inside != inside:
                one = self.sources[number].root_at(number, file.inside)
                if one.real.is_file():
                    self.roots.append(one)

    def _add_inside(self, real: str) -> None:
        """Add the known sources that lie in a folder."""
        for number, source in enumerate(self.sources):
            if source.root.startswith(real.rstrip("/") + "/") and Path(source.root).exists():
                self._add_root(number, "")

    def _add_new(self, paths: Sequence[Path], options: CorpusOptions | None, *, skip_bad: bool) -> list[str]:
        roots = roots_of(paths, options, skip_bad=skip_bad)
        prefix = self._free_prefix(roots)
        is_first = not self.sources
        said = []
        for root in roots:
            doc_id_path = os.path.normpath(f"{prefix}/{root.doc_id_path}") if prefix else root.doc_id_path
            root = replace(root, doc_id_path=doc_id_path, source=len(self.sources))
            self.roots.append(root)
            self.sources.append(Source.of(root))
            if not is_first:
                begin = f": its ids begin with {doc_id_path}/" if root.real.is_dir() and doc_id_path != "." else ""
                said.append(f"{root.given} is a new source of the index{begin}")
        return said

    def _free_prefix(self, roots: Sequence[Root]) -> str:
        """Return what to put before the ids of new sources, so that they don't meet those of others."""
        if not self.sources:
            return ""
        base = Path(os.path.normpath(f"{roots[0].real}/{os.path.relpath('.', roots[0].doc_id_path)}"))
        taken = {os.path.normpath(source.prefix) for source in self.sources}
        ids = {file.doc_id for file in self.table.files}
        folders = [part for part in base.parts if part != "/"]
        names = ["/".join(folders[-n:]) for n in range(1, len(folders) + 1)]
        for prefix in (
            "",
            *names,
            *(f"{names[0] if names else 'source'}-{n}" for n in range(2, len(self.sources) + 9)),
        ):
            paths = [os.path.normpath(f"{prefix}/{root.doc_id_path}" if prefix else root.doc_id_path) for root in roots]
            is_free = all(
                not _meets(path, taken, ids) if root.real.is_dir() else path not in ids
                for path, root in zip(paths, roots, strict=True)
            )
            if is_free:
                return prefix
        return names[-1]

    @staticmethod
    def _lies_in(file: FileState, place: Place) -> bool:
        number, inside = place
        return file.source == number and (not inside or file.inside == inside or file.inside.startswith(f"{inside}/"))

    def rows_in(self, places: Iterable[Place]) -> list[int]:
        """Return the rows of the files that lie in some places."""
        every = list(places)
        return [row for row, file in enumerate(self.table.files) if any(self._lies_in(file, at) for at in every)]

    def done(self, source: SourceFile, *, complete: bool) -> None:
        """Note that a file was read, as it was before and is still."""
        number = self.roots[source.root].source
        if number == NO_SOURCE:
            self._read.append(None)
            return
        state = self.state_of(source, with_digest=True)
        self._read.append(state if complete else state._replace(digest=b"", settled=0))

    def state_of(self, source: SourceFile, *, with_digest: bool) -> FileState:
        """Return the state of a file. with_digest: of one that was not changed meanwhile."""
        now = time.time_ns()
        number, inside = self.place_of(source)
        digest, settled = b"", now - source.mtime_ns > SETTLED_NS
        if with_digest:
            digest = digest_of(source.path) if source.size_bytes <= LARGEST_BYTES else b""
            try:
                found = source.path.stat()
            except OSError:
                digest, settled = b"", False
            else:
                if (found.st_size, found.st_mtime_ns) != (source.size_bytes, source.mtime_ns):
                    digest, settled = b"", False
        named = source.named and bool(inside)
        return FileState(
            number, inside, source.doc_id, source.size_bytes, source.mtime_ns, digest, int(named), int(settled)
        )

    def owner(self, doc_id: str, source: SourceFile) -> Owner | None:
        """Return the file of an unread part of the sources that a document is in already.

        A later source goes before an earlier one; the files of one source must not share an id.
        """
        if not len(self.table.doc_key):
            return None
        row = self.table.file_of(int(hash_ids([doc_id])[0]))
        if row is None or row in self._replaced:
            return None
        number, inside = self.place_of(source)
        file = self.table.files[row]
        if number == NO_SOURCE or file.source < number or (file.source, file.inside) == (number, inside):
            return None
        return Owner(self.sources[file.source].label(file.inside), goes_first=file.source > number)

    def forget(self, rows: Iterable[int]) -> None:
        """Leave files out of the table: they are gone, or read again."""
        self._replaced.update(rows)

    def touch(self, row: int, state: FileState) -> None:
        """Put another state in the place of a file's: its content is the same."""
        self._touched[row] = state

    @property
    def is_changed(self) -> bool:
        """True where the table will be another than it was."""
        return (
            bool(self._read or self._replaced or self._touched or self.dropped)
            or tuple(self.sources) != self.table.sources
        )

    def table_after(self) -> SourceTable:
        """Return the table of what was kept and what was read."""
        read = [state for state in self._read if state is not None]
        number_of = np.cumsum([0, *(state is not None for state in self._read)])
        again = {(state.source, state.inside) for state in read}
        kept = [
            row
            for row, file in enumerate(self.table.files)
            if row not in self._replaced and (file.source, file.inside) not in again
        ]
        files = [*(self._touched.get(row, self.table.files[row]) for row in kept), *read]
        renumbered = np.full(max(1, len(self.table.files)), -1, np.int64)
        renumbered[kept] = np.arange(len(kept))
        old = renumbered[self.table.doc_file.astype(np.int64)] if len(self.table.doc_file) else np.empty(0, np.int64)
        keys, places = self.ledger.files()
        noted = places < len(self._read)
        keys, places = keys[noted], places[noted].astype(np.int64)
        of_source = np.array([state is not None for state in self._read], bool)[places]
        new = np.where(of_source, len(kept) + number_of[places], -1)
        # Of two files with a document, the one that was read now comes last, and counts.
        every_key, every_file = np.concatenate([self.table.doc_key, keys]), np.concatenate([old, new])
        order = np.argsort(every_key, kind="stable")
        every_key, every_file = every_key[order], every_file[order]
        last = np.append(every_key[1:] != every_key[:-1], True)[: len(every_key)]
        valid = last & (every_file >= 0)
        numbers = [number for number in range(len(self.sources)) if number not in self.dropped]
        files = [file._replace(source=numbers.index(file.source)) for file in files] if self.dropped else files
        sources = tuple(self.sources[number] for number in numbers)
        return SourceTable(
            sources, tuple(files), every_key[valid].astype(np.uint64), every_file[valid].astype(np.uint32)
        )

    def save(self, folder: Folder) -> dict[str, FileInfo]:
        """Write the table of what was kept and what was read."""
        return self.table_after().save(folder)


def _meets(path: str, taken: Iterable[str], ids: Iterable[str]) -> bool:
    """Tell whether ids that begin with a path could be those of other sources."""
    if path == ".":
        return True
    start = f"{path}/"
    return any(
        other == path or other.startswith(start) or (other != "." and path.startswith(f"{other}/")) for other in taken
    ) or any(doc_id == path or doc_id.startswith(start) for doc_id in ids)
