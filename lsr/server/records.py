"""Documents of requests: JSON objects with a text, an id, a title, fields, and perhaps a ready vector."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from lsr.api.records import Names, Records
from lsr.errors import BadDocumentError
from lsr.indexer.corpus.records import ID_KEYS
from lsr.server.problems import Problem, bad_request
from lsr.types import Document

LONGEST_ID = 512
"""Characters of a doc_id."""
FIELDS, VECTOR, ENCODER = "fields", "vector", "encoder"
"""Members of a document's object that are no field: an object of fields, and a vector with its encoder's name."""

Vector = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """A document of a request. vector: weights by term, None for a text to be encoded. encoder: that of the vector."""

    document: Document
    vector: Vector | None = None
    encoder: str | None = None


def unprocessable(detail: str, field: str | None = None) -> Problem:
    """Return the problem of a document that can't be stored."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "bad-document", detail, field=field)


class RecordReader:
    """Makes records of JSON values. Raises Problem (400, 422) for what can't be a document."""

    def __init__(self) -> None:
        self._records = Records(Names())

    def record(self, value: Any, number: int, doc_id: str | None = None) -> Record:
        """Return the record of a value. number: its place, for messages. doc_id: the one of the path."""
        if not isinstance(value, dict):
            raise unprocessable(f'record {number} is no JSON object; give {{"doc_id": …, "text": …}}')
        flat = dict(value)
        vector, encoder = _vector(flat.pop(VECTOR, None), number), flat.pop(ENCODER, None)
        if encoder is not None and not isinstance(encoder, str):
            raise unprocessable(f"record {number}: its encoder is no text; give the name that /encode gave", ENCODER)
        flat |= _fields(flat.pop(FIELDS, None), number, flat)
        if doc_id is not None:
            flat = self._with_id(flat, doc_id)
        if vector is not None:
            flat.setdefault("text", "")
        try:
            document = self._records.document(flat, number, None)
        except BadDocumentError as error:
            raise unprocessable(str(error)) from error
        check_doc_id(document.doc_id)
        return Record(document, vector, encoder)

    def _with_id(self, flat: dict[str, Any], doc_id: str) -> dict[str, Any]:
        check_doc_id(doc_id)
        for key in ID_KEYS:
            if key in flat and str(flat[key]) != doc_id:
                raise unprocessable(f"the document's {key} is {flat[key]!r:.80}, but its path says {doc_id!r:.80}", key)
        return {"doc_id": doc_id} | {key: value for key, value in flat.items() if key not in ID_KEYS}

    def lines(self, body: bytes) -> Iterator[Record]:
        """Yield the records of JSON lines; empty lines are skipped."""
        for number, line in enumerate(body.split(b"\n"), start=1):
            if line.strip():
                yield self.record(json_value(line, f"line {number}"), number)


def json_value(text: bytes, what: str = "the body") -> Any:
    """Return a JSON value. Raises Problem where a text is none, NaN and the infinities included."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise bad_request(f"{what} is nested too deeply") from error
    except ValueError as error:
        raise bad_request(f"{what} is no JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def check_doc_id(doc_id: str) -> None:
    """Raise Problem for a doc_id that is too long or that UTF-8 can't hold."""
    if not doc_id or doc_id.isspace() or len(doc_id) > LONGEST_ID:
        raise unprocessable(f"a doc_id has {len(doc_id):,} characters; it must have 1 to {LONGEST_ID}", "doc_id")
    if any("\ud800" <= character <= "\udfff" for character in doc_id) or "\0" in doc_id:
        raise unprocessable(f"the doc_id {doc_id!r:.80} has characters that can't be stored", "doc_id")


def _fields(fields: Any, number: int, flat: Mapping[str, Any]) -> Mapping[str, Any]:
    if fields is None:
        return {}
    if not isinstance(fields, dict):
        raise unprocessable(f'record {number}: its fields are no JSON object; give them as {{"year": 2020}}', FIELDS)
    for name in fields:
        if name in flat:
            raise unprocessable(f"record {number}: {name!r:.80} is given twice, beside the fields and in them", name)
    return {str(name): value for name, value in fields.items()}


def _vector(value: Any, number: int) -> Vector | None:
    if value is None:
        return None
    fits = isinstance(value, dict) and all(
        isinstance(weight, int | float) and not isinstance(weight, bool) and weight > 0 and math.isfinite(weight)
        for weight in value.values()
    )
    if not fits:
        raise unprocessable(f"record {number}: its vector must be an object of positive weights by term", VECTOR)
    return {term: float(weight) for term, weight in value.items()}
