"""A `.json` file: one array of objects, or objects one after another, read without holding the whole file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, TextIO

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.formats.jsonl import JSON_DECODER, not_json, object_of
from lsr.indexer.corpus.formats.plain_text import or_plain_text
from lsr.indexer.corpus.intake import FileBrokenError, Intake, RecordError
from lsr.indexer.corpus.opening import opened_text
from lsr.indexer.corpus.records import NoTextFieldError, RecordReader
from lsr.types import Document

_SPACE = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20


def read_json(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (line number where the object begins, document).

    An object without an id gets the file's path as one, followed by its number where it is not alone. A file whose
    first value is no document (settings and the like) shows no text, and is an error where it was named. Broken JSON
    ends a file: where the next value begins can't be known.
    """
    records = RecordReader(intake.report, intake.options)
    with opened_text(source, intake.report) as text:
        values = _Values(text)
        first = True
        for number, (line, value) in enumerate(_parsed(values, source, intake), 1):
            alone = first and not values.in_array and values.at_end()
            try:
                own_id = source.doc_id if alone else f"{source.doc_id}:{number}"
                document = records.document(object_of(value), default_id=own_id)
                if document.doc_id == own_id and not alone:
                    intake.report.make_id(own_id)
            except RecordError as error:
                is_other_data = isinstance(error, NoTextFieldError) or not isinstance(value, dict)
                if first and (is_other_data or (alone and not source.named)):
                    intake.without_text(source, str(error))
                intake.bad_record(source, line, str(error))
            else:
                yield line, document
            first = False


def _parsed(values: _Values, source: SourceFile, intake: Intake) -> Iterator[tuple[int, Any]]:
    seen = False
    while True:
        try:
            found = values.next()
        except (ValueError, RecursionError) as error:
            message = f"line {values.line:,}: {error if isinstance(error, _SyntaxError) else not_json(error)}"
            if seen:
                raise FileBrokenError(message) from None
            intake.without_text(source, message)
        if found is None:
            return
        seen = True
        yield found


class _SyntaxError(ValueError):
    """Wrong characters between the values."""


class _Values:
    """Values of a stream of JSON, one at a time, through a buffer that grows to the largest."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._buffer = ""
        self._at = 0
        self._started = False
        self._ended = False
        self.line = 1
        self.in_array = False

    def next(self) -> tuple[int, Any] | None:
        """Return the next value and the line where it begins; None at the end. Raises ValueError, RecursionError."""
        first, self._started = not self._started, True
        if first:
            self.in_array = self._take("[")
        if not self.in_array:
            return self._decode() if self._look() else None
        if self._take("]"):
            if self._look():
                raise _SyntaxError("not JSON: more text after the array")
            return None
        if not self._look():
            raise _SyntaxError("the file is cut off: its array is never closed")
        if not first and not self._take(","):
            raise _SyntaxError("not JSON: no comma between two values of the array")
        self._look()
        return self._decode()

    def at_end(self) -> bool:
        """Tell whether nothing but white space is left."""
        return self._look() == ""

    def _decode(self) -> tuple[int, Any]:
        while True:
            try:
                value, end = JSON_DECODER.raw_decode(self._buffer, self._at)
            except ValueError:
                # Broken, or only not read to its end: doubling what is held keeps the work linear.
                if self._ended:
                    raise
                if len(self._buffer) - self._at > MAX_DOCUMENT_BYTES:
                    limit = f"{MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one document"
                    raise _SyntaxError(f"not JSON, or a value over {limit}") from None
                self._read(max(_CHUNK, len(self._buffer) - self._at))
                continue
            break
        line = self.line
        self._advance(end)
        return line, value

    def _take(self, character: str) -> bool:
        """Skip this character, if it is the next; tell whether it was."""
        if self._look() != character:
            return False
        self._advance(self._at + 1)
        return True

    def _look(self) -> str:
        """Skip white space and return the next character without taking it, "" at the end."""
        while True:
            space = _SPACE.match(self._buffer, self._at)
            assert space is not None  # it matches the empty text, too
            self._advance(space.end())
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if self._ended:
                return ""
            self._read(_CHUNK)

    def _advance(self, end: int) -> None:
        self.line += self._buffer.count("\n", self._at, end)
        self._at = end

    def _read(self, size: int) -> None:
        more = self._stream.read(size)
        self._ended = not more
        self._buffer = self._buffer[self._at :] + more
        self._at = 0


FORMATS = (
    FileFormat(
        "json",
        (".json",),
        or_plain_text(read_json),
        title="`title`",
        text="`text`, or another usual name",
        fields="all other values, nested ones by dotted names",
        holds_records=True,
    ),
)
