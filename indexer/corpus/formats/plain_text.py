"""Plain text, one document a file; also files of data in folders that hold no text of a record."""

from __future__ import annotations

from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, Reader, SourceFile
from lsr.indexer.corpus.intake import FileSkippedError, Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.report import Reason
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document

LARGEST_DATA_BYTES = 1 << 20
"""Size up to which data without a text are a text themselves: settings and small tables, not dumps of numbers."""


def read_text(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a text file is."""
    yield whole_document(source, intake, Parts("", decoded(read_whole(source, intake.report))))


def or_plain_text(read: Reader) -> Reader:
    """Return a reader of records that takes small files without a text field as plain text.

    A file that was named itself, and one of a corpus whose text columns were named, gives no document then.
    """

    def read_either(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
        start_bytes = intake.report.bytes_done
        try:
            yield from read(source, intake)
        except FileSkippedError as error:
            is_choice = error.reason is Reason.NO_TEXT_FIELD and intake.options.text is None
            if not is_choice or source.size_bytes > LARGEST_DATA_BYTES:
                raise
            intake.report.bytes_done = start_bytes
            data = read_whole(source, intake.report)
            if len(data) > LARGEST_DATA_BYTES:  # it was compressed
                raise
            document = whole_document(source, intake, Parts("", decoded(data)))
            intake.report.take_as_text(f"{source.label}: {error.detail}")
            yield document

    return read_either


FORMATS = (
    FileFormat(
        "text",
        (".txt", ".text", ".log", ".yaml", ".yml", ".diff", ".patch", ".po", ".srt", ".vtt"),
        read_text,
        title="none",
        text="the file",
    ),
)
