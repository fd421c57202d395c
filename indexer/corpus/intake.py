"""What every reader is handed: the report to count in, and what to do about a bad record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import SourceFile

REMEDY = "mend it, or pass over what is bad with --skip-bad"


class FileSkippedError(Exception):
    """A file turned out to hold nothing that can be read; it is passed over and counted."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class FileBrokenError(Exception):
    """A file can't be read to its end; the message says at which line, if that is known, and why."""


class RecordError(Exception):
    """A record can't become a document; the message says why."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The report of a reading and its answer to bad input: stop, or count and go on."""

    report: CorpusReport
    skip_bad: bool

    def bad_record(self, source: SourceFile, position: int, message: str) -> None:
        """Raise BadDocumentError naming file and line; or count it and return."""
        self._bad(Reason.BAD_RECORD, f"{source.label}, {source.kind.unit} {position:,}: {message}")

    def bad_file(self, source: SourceFile, message: str) -> None:
        """Raise BadDocumentError naming the file; or count it and return."""
        self._bad(Reason.BAD_FILE, f"{source.label}: {message}")

    def _bad(self, reason: Reason, message: str) -> None:
        if not self.skip_bad:
            raise BadDocumentError(f"{message}; {REMEDY}")
        self.report.skip(reason, message)

    def without_text(self, source: SourceFile, message: str) -> NoReturn:
        """Refuse a whole file of data that shows no text: an error where it was named, else passed over.

        A folder may hold settings and tables that were never meant as documents.
        """
        if source.named:
            raise FileBrokenError(message)
        raise FileSkippedError(Reason.NO_TEXT_FIELD, message)
