"""Files that are one document each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.records import RecordReader
from lsr.types import Document


@dataclass(frozen=True, slots=True)
class Parts:
    """Title, text and fields of a file. first_line: the line of the file in which the text begins."""

    title: str
    text: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    first_line: int = 1


def whole_document(source: SourceFile, intake: Intake, parts: Parts) -> tuple[int, Document]:
    """Return the document that a whole file is, at the position 0."""
    text = parts.text.strip()
    if not parts.fields:
        cleaned_text, cleaned_title = clean(text), clean(parts.title)
        if cleaned_text is not text or cleaned_title is not parts.title:
            intake.report.clean(source.doc_id)
        return 0, Document(source.doc_id, cleaned_text, cleaned_title)
    fields = [(clean(name), value) for name, value in parts.fields.items()]
    return 0, RecordReader(intake.report).assemble(source.doc_id, text, parts.title, fields)
