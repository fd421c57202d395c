"""Plain text, one document a file."""

from __future__ import annotations

from collections.abc import Iterator

from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.opening import decoded, read_whole
from lsr.indexer.corpus.whole_files import Parts, whole_document
from lsr.types import Document


def read_text(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield the document that a text file is."""
    yield whole_document(source, intake, Parts("", decoded(read_whole(source, intake.report))))


FORMATS = (
    FileFormat(
        "text",
        (".txt", ".text", ".log", ".yaml", ".yml", ".diff", ".patch", ".po", ".srt", ".vtt"),
        read_text,
        title="none",
        text="the file",
    ),
)
