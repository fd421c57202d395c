"""Input of every reader: the report to count in, and the treatment of bad records."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.file_format import EXTRA, SourceFile
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.report import CorpusReport, Reason

REMEDY = "mend it, or skip what is bad with --skip-bad"


class FileSkippedError(Exception):
    """A file turned out to hold nothing that can be read; it is skipped and counted."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class MissingLibraryError(FileSkippedError):
    """A format needs a library that is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(
            Reason.NO_LIBRARY, f"needs {library}, which is not installed: pip install 'lsr-search[{EXTRA}]'"
        )


class FileBrokenError(Exception):
    """A file can't be read to its end; the message says at which line, if that is known, and why."""


class RecordError(Exception):
    """A record can't become a document; the message says why."""


@dataclass(frozen=True, slots=True)
class Intake:
    """The report of a reading and its answer to bad input: stop, or count and continue."""

    report: CorpusReport
    skip_bad: bool
    options: CorpusOptions = field(default_factory=CorpusOptions)

    def bad_record(self, source: SourceFile, position: int, message: str, *, count: int = 1) -> None:
        """Raise BadDocumentError naming file and line; or count it, with all that it takes along, and return."""
        self._bad(Reason.BAD_RECORD, f"{source.label}, {source.format.unit} {position:,}: {message}", count)

    def bad_file(self, source: SourceFile, message: str) -> None:
        """Raise BadDocumentError naming the file; or count it and return."""
        self._bad(Reason.BAD_FILE, f"{source.label}: {message}")

    def _bad(self, reason: Reason, message: str, count: int = 1) -> None:
        if not self.skip_bad:
            raise BadDocumentError(f"{message}; {REMEDY}")
        self.report.skip(reason, message, count)

    def without_text(self, source: SourceFile, message: str) -> NoReturn:
        """Refuse a whole file of data that shows no text: an error where it was named, else skipped.

        A folder may hold settings and tables that were never meant as documents.
        """
        if source.named:
            raise FileBrokenError(message)
        raise FileSkippedError(Reason.NO_TEXT_FIELD, message)
