"""CSV and TSV: one document a row, the parts told from the names in the first line.

Quotes follow RFC 4180 in both. They are judged strictly: a stray one would swallow the rows that follow.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from functools import partial
from typing import TextIO

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import FileBrokenError, Intake, RecordError
from lsr.indexer.corpus.opening import opened_utf8
from lsr.indexer.corpus.records import NoTextFieldError, RecordReader, layout_of
from lsr.types import Document

_NEVER_CLOSED = "unexpected end of data"
_DELIMITERS = {"csv": ",;\t", "tsv": "\t"}


def read_table(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (number of the line where the row begins, document); empty cells become no field."""
    # The limit is one for the whole process; it only ever grows here.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_DOCUMENT_BYTES))
    records = RecordReader(intake.report)
    with opened_utf8(source, intake.report) as stream:
        lines = _lines(io.TextIOWrapper(stream, "utf-8", newline=""))
        first, header_line = next(((line, n) for n, line in enumerate(lines, 1) if line.strip()), ("", 0))
        if not first:
            return
        try:
            delimiter, header = _header(first, _DELIMITERS[source.format.name])
            layout = layout_of(header)
        except NoTextFieldError as error:
            intake.without_text(source, f"the first line must name the columns; {error}")
        except RecordError as error:
            raise FileBrokenError(f"the first line must name the columns; {error}") from None
        id_at, text_at = header.index(layout.id_key), header.index(layout.text_key)
        title_at = header.index(layout.title_key) if layout.title_key is not None else -1
        parts = {id_at, text_at, title_at}
        fields = [(clean(name), at) for at, name in enumerate(header) if at not in parts]
        for position, row in _rows(lines, delimiter, header_line, source, intake):
            try:
                if len(row) != len(header):
                    raise RecordError(f"{len(row):,} cells where the first line names {len(header):,} columns")
                document = records.assemble(
                    row[id_at],
                    row[text_at],
                    row[title_at] if title_at >= 0 else "",
                    [(name, row[at] or None) for name, at in fields],
                )
            except RecordError as error:
                intake.bad_record(source, position, str(error))
                continue
            yield position, document


def _lines(text: TextIO) -> Iterator[str]:
    for line in iter(partial(text.readline, MAX_DOCUMENT_BYTES + 1), ""):
        if len(line) > MAX_DOCUMENT_BYTES:
            raise FileBrokenError(f"a line is over {MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one document")
        yield line


def _header(line: str, delimiters: str) -> tuple[str, list[str]]:
    """Return the delimiter that makes columns of a first line, and their names; raises RecordError."""
    error: RecordError | None = None
    for delimiter in delimiters:
        try:
            names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, strict=True))]
            layout_of(names, id_required=False)
        except csv.Error as wrong:
            error = error or NoTextFieldError(str(wrong))
        except RecordError as wrong:
            error = error or wrong
        else:
            return delimiter, names
    assert error is not None
    raise error


def _rows(
    lines: Iterator[str], delimiter: str, header_line: int, source: SourceFile, intake: Intake
) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the line where it begins, row) without the blank ones."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        number = header_line + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            taken = header_line + reader.line_num + 1 - number
            if str(error) == _NEVER_CLOSED:
                message = (
                    f"a quote is opened and never closed, which takes in all {taken:,} lines to the end of the file"
                )
                intake.bad_record(
                    source, number, f"{message}; if quotes are plain characters, say --quoting none", count=taken
                )
                continue
            intake.bad_record(source, number, f"not {source.format.name.upper()}: {error}".replace("\t", "\\t"))
            continue
        if row:
            yield number, row


FORMATS = tuple(
    FileFormat(
        name,
        (f".{name}",),
        read_table,
        title="the column `title`",
        text="the column `text`, or another usual name",
        fields="all other columns",
        holds_records=True,
    )
    for name in ("csv", "tsv")
)
