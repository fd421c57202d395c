"""CSV and TSV: one document a row, with the names of the columns in the first line.

Quotes follow RFC 4180 in both. They are judged strictly: a stray one would swallow the rows that follow.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

from lsr.indexer.corpus.column_types import ColumnTypes, is_written_as_float
from lsr.indexer.corpus.compression import uncompressed_name
from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.plain_text import or_plain_text
from lsr.indexer.corpus.intake import FileBrokenError, Intake, RecordError
from lsr.indexer.corpus.opening import opened_text
from lsr.indexer.corpus.records import Layout, NoTextFieldError, RecordReader, joined_texts
from lsr.indexer.corpus.report import CorpusReport
from lsr.types import Document

_NEVER_CLOSED = "unexpected end of data"
_DELIMITERS = {"csv": ",;\t|", "tsv": "\t"}
_WELL_KNOWN = {"collection.tsv": ("id", "text"), "msmarco-docs.tsv": ("id", "url", "title", "text")}
"""Files of MS MARCO, which have no first line with names, and quotes that are plain characters."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The shape of a table. n_before: lines before the first row, the header among them."""

    delimiter: str
    names: tuple[str, ...]
    layout: Layout
    n_before: int
    quoted: bool

    def at(self, name: str) -> int:
        return self.names.index(name)


def read_table(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (number of the line where the row begins, document); empty cells become no field.

    A first pass finds the types of the columns, where there are others than id, title and text.
    """
    # The limit is one for the whole process; it only ever grows here.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_DOCUMENT_BYTES))
    records = RecordReader(intake.report, intake.options)
    shape = _shape_of(source, intake, records)
    if shape is None:
        return
    layout = shape.layout
    id_at = shape.at(layout.id_key) if layout.id_key else -1
    title_at = shape.at(layout.title_key) if layout.title_key is not None else -1
    text_at = [shape.at(key) for key in (layout.text_key, *layout.more_texts)]
    fields = [(name, shape.at(key)) for key, name in layout.fields]
    types = _types_of(source, shape, id_at, [at for _, at in fields])
    with opened_text(source, intake.report) as text:
        for position, row in _rows(text, shape, partial(_bad_row, source, intake)):
            own_id = f"{source.doc_id}:{position}"
            try:
                if len(row) != len(shape.names):
                    raise RecordError(_ragged(row, shape))
                texts: Any = row[text_at[0]] if len(text_at) == 1 else joined_texts(row[at] for at in text_at)
                document = records.assemble(
                    types.id_of(row[id_at]) if id_at >= 0 else own_id,
                    texts,
                    row[title_at] if title_at >= 0 else "",
                    [(name, types.value_of(at, row[at])) for name, at in fields],
                )
            except RecordError as error:
                intake.bad_record(source, position, str(error))
                continue
            if id_at < 0:
                intake.report.make_id(own_id)
            yield position, document


def _ragged(row: list[str], shape: _Shape) -> str:
    return f"{len(row):,} cells where the first line names {len(shape.names):,} columns"


def _bad_row(source: SourceFile, intake: Intake, number: int, message: str, count: int) -> None:
    intake.bad_record(source, number, message, count=count)


def _shape_of(source: SourceFile, intake: Intake, records: RecordReader) -> _Shape | None:
    """Return the shape of a table, None for an empty one. Raises FileSkippedError or FileBrokenError."""
    options = intake.options
    with opened_text(source, CorpusReport()) as text:
        lines = enumerate(_lines(text), 1)
        number, first = next(((n, line) for n, line in lines if line.strip()), (0, ""))
    if not first:
        return None
    delimiters = options.delimiter or _DELIMITERS[source.format.name]
    quoted = options.quoting != "none"
    known = _WELL_KNOWN.get(uncompressed_name(source.doc_id.rpartition("/")[2].lower())[0])
    if known and options.header and len(first.split("\t")) == len(known) and first.split("\t")[0] not in known:
        return _Shape("\t", known, records.layout_of(known), number - 1, quoted=False)
    wrong: RecordError | None = None
    for delimiter in delimiters:
        try:
            names = _cells(first, delimiter, quoted=quoted)
            if not options.header:
                names = [str(at) for at in range(1, len(names) + 1)]
            layout = records.layout_of(names)
        except csv.Error as error:
            wrong = wrong or NoTextFieldError(str(error))
        except RecordError as error:
            wrong = wrong or error
        else:
            return _Shape(delimiter, tuple(names), layout, number if options.header else number - 1, quoted)
    if not options.header:
        message = f"{wrong}; without a header, --text and --id name columns by their numbers"
    else:
        message = f"the first line must name the columns; {wrong}; --text names the column of the text"
    if isinstance(wrong, NoTextFieldError) and intake.options.text is None:
        intake.without_text(source, message)
    raise FileBrokenError(message) from None


def _cells(line: str, delimiter: str, *, quoted: bool) -> list[str]:
    return [name.strip() for name in next(_reader(iter([line]), delimiter, quoted=quoted))]


def _reader(lines: Iterator[str], delimiter: str, *, quoted: bool) -> Any:
    if quoted:
        return csv.reader(lines, delimiter=delimiter, strict=True)
    return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, quotechar=None)


def _types_of(source: SourceFile, shape: _Shape, id_at: int, fields: list[int]) -> ColumnTypes:
    """Return the types of the columns of fields, and whether ids are whole numbers written as floats."""
    types = ColumnTypes(fields, id_at)
    with opened_text(source, CorpusReport()) as text:
        for number, (_, row) in enumerate(_rows(text, shape, lambda *_: None)):
            if number == 0 and not fields and (id_at < 0 or not is_written_as_float(row[id_at : id_at + 1])):
                return ColumnTypes([], -1)
            if len(row) == len(shape.names):
                types.see(row)
    return types


def _lines(text: TextIO) -> Iterator[str]:
    for line in iter(partial(text.readline, MAX_DOCUMENT_BYTES + 1), ""):
        if len(line) > MAX_DOCUMENT_BYTES:
            raise FileBrokenError(f"a line is over {MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one document")
        yield line


def _rows(text: TextIO, shape: _Shape, bad: Callable[[int, str, int], None]) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of the line where it begins, row) without the blank ones.

    bad: called with number, message and the number of lines for what can't be parsed.
    """
    lines = _lines(text)
    for _ in range(shape.n_before):
        next(lines)
    reader = _reader(lines, shape.delimiter, quoted=shape.quoted)
    while True:
        number = shape.n_before + reader.line_num + 1
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            taken = shape.n_before + reader.line_num + 1 - number
            if str(error) == _NEVER_CLOSED:
                bad(
                    number,
                    f"a quote is opened and never closed, which takes in all {taken:,} lines to the end of the file;"
                    " if quotes are plain characters, say --quoting none",
                    taken,
                )
            else:
                name = "TSV" if shape.delimiter == "\t" else "CSV"
                bad(number, f"not {name}: {error}".replace("\t", "\\t"), 1)
            continue
        if row:
            yield number, row


FORMATS = tuple(
    FileFormat(
        name,
        (f".{name}",),
        or_plain_text(read_table),
        title="the column `title`",
        text="the column `text`, or another usual name",
        fields="all other columns: numbers, truth values and dates where all of a column is",
        holds_records=True,
    )
    for name in ("csv", "tsv")
)
