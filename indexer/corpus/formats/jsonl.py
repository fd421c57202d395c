"""JSON Lines: one object a line, one document each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

from lsr.indexer.corpus.file_format import MAX_DOCUMENT_BYTES, FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake, RecordError
from lsr.indexer.corpus.opening import opened_utf8
from lsr.indexer.corpus.records import RecordReader
from lsr.types import Document

# Raw control characters in strings are against the letter of JSON, but every line of such data would be lost.
JSON_DECODER = json.JSONDecoder(strict=False)


def read_jsonl(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (line number from 1, document); blank lines are skipped, bad ones go to the intake."""
    records = RecordReader(intake.report, intake.options)
    with opened_utf8(source, intake.report) as stream:
        for number, line in enumerate(_lines(stream), 1):
            try:
                record = _parsed(line)
                if record is None:
                    continue
                own_id = f"{source.doc_id}:{number}"
                document = records.document(record, default_id=own_id)
                if document.doc_id == own_id:
                    intake.report.make_id(own_id)
            except RecordError as error:
                intake.bad_record(source, number, str(error))
                continue
            yield number, document


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Yield lines; of one that is too long only the beginning, itself too long, the rest being skipped."""
    read_piece = partial(stream.readline, MAX_DOCUMENT_BYTES + 1)
    for line in iter(read_piece, b""):
        yield line
        piece = line
        while len(piece) > MAX_DOCUMENT_BYTES and not piece.endswith(b"\n"):
            piece = read_piece()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return the object in a line, None for a blank line; raises RecordError."""
    if len(line) > MAX_DOCUMENT_BYTES:
        raise RecordError(f"the line is over {MAX_DOCUMENT_BYTES >> 20} MiB, the limit for one document")
    try:
        text = line.decode().strip()
        if not text:
            return None
        value, end = JSON_DECODER.raw_decode(text)
    except UnicodeDecodeError as error:
        raise RecordError(f"not UTF-8: {error.reason} at byte {error.start + 1:,} of the line") from None
    except (ValueError, RecursionError) as error:
        raise RecordError(not_json(error)) from None
    if end != len(text):
        raise RecordError(f"not JSON: more text after the object, at character {end + 1:,}")
    if type(value) is list:
        raise RecordError("not an object but a list; a file of one array is read where its name ends with .json")
    return object_of(value)


def object_of(value: Any) -> dict[str, Any]:
    """Return a parsed value that is an object; raises RecordError for any other."""
    if type(value) is dict:
        return value
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "a truth value"}
    raise RecordError(f"not an object but {names.get(type(value), 'null')}")


def not_json(error: ValueError | RecursionError) -> str:
    """Say why a text can't be parsed as JSON."""
    if isinstance(error, json.JSONDecodeError):
        return f"not JSON: {error.msg} at character {error.pos + 1:,}"
    return "not JSON: nested too deep" if isinstance(error, RecursionError) else f"not JSON: {error}"


FORMATS = (
    FileFormat(
        "jsonl",
        (".jsonl", ".ndjson"),
        read_jsonl,
        title="`title`",
        text="`text`, or another usual name",
        fields="all other values, nested ones by dotted names",
        holds_records=True,
    ),
)
