"""Archives: each file in one is read as if it lay in a folder of the archive's name.

Nothing is written under a name that an archive gives: a member is unpacked into a temporary file. All bytes that come
out are counted, whatever sizes the archive declares.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

from lsr.indexer.corpus.compression import FREE_BYTES, MAX_EXPANSION
from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.formats.archives.members import (
    MAX_MEMBERS,
    Member,
    MemberBrokenError,
    tar_members,
    zip_members,
)
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake
from lsr.indexer.corpus.opening import opened
from lsr.indexer.corpus.registry import format_named, format_of, is_left_out, looks_like_text, suffix_of
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import FileChoice
from lsr.types import Document

MAX_DEPTH = 3
"""Archives in archives that are read: one in a folder has the depth 1."""

_PIECE = 1 << 20


@dataclass(slots=True)
class Budget:
    """The rest of what an archive, with all archives in it, may still give."""

    n_bytes: int
    n_members: int = MAX_MEMBERS

    def take_member(self) -> None:
        """Count a member. Raises FileBrokenError for one too many."""
        self.n_members -= 1
        if self.n_members < 0:
            raise FileBrokenError(f"the archive has over {MAX_MEMBERS:,} members: split it, or unpack it yourself")

    def take_bytes(self, count: int) -> None:
        """Count unpacked bytes. Raises FileBrokenError for too many."""
        self.n_bytes -= count
        if self.n_bytes < 0:
            raise FileBrokenError(
                f"the archive unpacks to over {MAX_EXPANSION} times its size and {FREE_BYTES >> 30} GiB:"
                " unpack it yourself if it is sound"
            )


class _Unpacking:
    """The reading of an archive with all archives in it."""

    def __init__(self, source: SourceFile, intake: Intake) -> None:
        self._intake = intake
        self._report = intake.report
        self._choice = FileChoice(intake.options)
        self._budget = Budget(source.size_bytes * MAX_EXPANSION + FREE_BYTES)
        self._is_named = source.named
        self.n_files = 0

    def documents(self, source: SourceFile, depth: int = 1) -> Iterator[Document]:
        """Yield the documents of an archive. Raises FileBrokenError and FileSkippedError."""
        with self._opened(source) as members:
            for member in members:
                self._budget.take_member()
                label = f"{source.label}/{member.name}"
                label = label if label.isprintable() else repr(label)[1:-1]
                reason = member.reason or self._reason_to_skip(member.name)
                if reason is not None:
                    self._report.skip(reason, label)
                    continue
                bytes_done = self._report.bytes_done
                yield from self._member(member, label, f"{source.doc_id}/{member.name}", depth)
                self._report.bytes_done = bytes_done

    def _member(self, member: Member, label: str, doc_id: str, depth: int) -> Iterator[Document]:
        report = self._report
        n_documents, n_skipped = report.documents, report.count_skipped()
        with tempfile.NamedTemporaryFile(prefix="lsr-member-") as file:
            if not self._unpack(member, label, file):
                return
            source = self._source(Path(os.path.realpath(file.name)), member.name, label, doc_id)
            if source is None:
                report.skip(Reason.UNKNOWN_KIND, label, suffix=suffix_of(member.name))
                return
            try:
                if source.format.name != ARCHIVE:
                    for _, document in source.format.read(source, self._intake):
                        yield document
                elif depth < MAX_DEPTH:
                    yield from self.documents(source, depth + 1)
                else:
                    report.skip(Reason.TOO_DEEP, label)
            except FileSkippedError as error:
                report.skip(error.reason, f"{label}: {error.detail}" if error.detail else label)
            except FileBrokenError as error:
                if self._budget.n_bytes < 0 or self._budget.n_members < 0:
                    raise  # an archive in this one took what was left
                if source.compression or source.format.holds_records:
                    self._intake.bad_file(source, str(error))
                else:
                    report.skip(Reason.BAD_FILE, f"{label}: {error}")
        if report.documents > n_documents:
            self.n_files += 1
        elif report.count_skipped() == n_skipped:
            report.skip(Reason.NO_RECORD, label)

    def _unpack(self, member: Member, label: str, to: IO[bytes]) -> bool:
        """Write the bytes of a member to a file; or count it as broken and return False."""
        try:
            for piece in member.pieces():
                self._budget.take_bytes(len(piece))
                to.write(piece)
        except MemberBrokenError as error:
            self._report.skip(Reason.BAD_FILE, f"{label}: {error}")
            return False
        to.flush()
        return True

    def _source(self, path: Path, name: str, label: str, doc_id: str) -> SourceFile | None:
        found = self._choice.format_of(name) or (None if is_left_out(name) else format_of(name.rpartition("/")[2]))
        if found is None and not is_left_out(name) and looks_like_text(path):
            found = format_named("text"), ""
        return found and SourceFile(path, label, doc_id, *found, path.stat().st_size, named=False)

    def _reason_to_skip(self, name: str) -> Reason | None:
        parts = name.split("/")
        if any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX":
            return Reason.HIDDEN
        above = ("/".join(parts[:n]) for n in range(1, len(parts)))
        if any(self._choice.leaves_out(folder, is_folder=True) for folder in above):
            return Reason.EXCLUDED
        found = format_of(parts[-1])
        is_archive = found is not None and found[0].name == ARCHIVE
        return Reason.EXCLUDED if self._choice.leaves_out(name, is_folder=is_archive) else None

    @contextmanager
    def _opened(self, source: SourceFile) -> Iterator[Iterator[Member]]:
        with opened(source, self._report) as stream:
            if _is_zip(source):
                with _seekable(stream, source, self._budget) as file:
                    yield zip_members(file)
            else:
                yield tar_members(stream)


def _is_zip(source: SourceFile) -> bool:
    """Tell whether an archive is ZIP rather than tar, by its first bytes where it isn't compressed again."""
    if source.compression:
        return ".zip" in source.doc_id.lower().rpartition("/")[2]
    with opened(source, CorpusReport()) as stream:
        return stream.read(2) == b"PK"


@contextmanager
def _seekable(stream: BinaryIO, source: SourceFile, budget: Budget) -> Iterator[BinaryIO]:
    if not source.compression and stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as file:
        while piece := stream.read(_PIECE):
            budget.take_bytes(len(piece))
            file.write(piece)
        file.seek(0)
        yield cast("BinaryIO", file)


def read_archive(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (number, document) of all documents in an archive.

    A damaged archive that was found in a folder is counted; one that was named is an error.
    """
    unpacking = _Unpacking(source, intake)
    try:
        yield from enumerate(unpacking.documents(source), 1)
    except FileBrokenError as error:
        if source.named:
            raise
        raise FileSkippedError(Reason.BAD_FILE, str(error)) from None
    finally:
        # The caller counts the archive as one file.
        intake.report.files += max(0, unpacking.n_files - 1)


ARCHIVE = "archive"
FORMATS = (
    FileFormat(
        ARCHIVE,
        (".zip", ".tar"),
        read_archive,
        title="as of each file in it",
        text="a document for each file in it, or each record, as if they lay in a folder",
        unit="document",
    ),
)
