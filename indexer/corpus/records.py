"""Records with named values (JSON objects, rows of tables) to documents.

The part of a key follows from its name, whatever its case; of several that would do, the first in the
lists below is taken and the others become fields. Nested objects become fields with dotted names (`metadata.url`);
lists of texts, whole numbers and truth values become lists of texts. Other lists (vectors, objects) and numbers that
aren't finite are left out and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import RecordError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.report import CorpusReport
from lsr.types import Document, FieldValue

# A passage's own id goes before that of the document it was cut from.
ID_KEYS = ("_id", "id", "pid", "passage_id", "doc_id", "docid", "docno", "document_id")
TEXT_KEYS = (
    "text",
    "contents",
    "content",
    "body",
    "passage",
    "segment",
    "article",
    "document",
    "doc",
    "abstract",
    "page_content",
    "context",
)
TITLE_KEYS = ("title", "headline", "doc_title")

_MAX_LAYOUTS = 1000
_INT64 = 1 << 63


class NoTextFieldError(RecordError):
    """No key says that a record holds a text."""


class NoIdFieldError(RecordError):
    """No key says that a record holds its id."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Parts that keys play in records that share their keys.

    id_key: "" where none holds the id. fields: pairs of a key and its field's name. more_texts: keys of texts that are
    joined to the first.
    """

    id_key: str
    text_key: str
    title_key: str | None
    fields: tuple[tuple[str, str], ...]
    more_texts: tuple[str, ...] = ()


def layout_of(
    keys: Sequence[str],
    *,
    text: str | Sequence[str] | None = None,
    title: str | None = None,
    id: str | None = None,  # noqa: A002
    fields: Sequence[str] | None = None,
) -> Layout:
    """Return the parts these keys play; `id_key` is "" where no key is named as one.

    text, title, id: keys that play these parts, whatever their names; default, those that are named so. fields: keys
    of the fields, of which a record may lack some; default, all that are left. Raises NoTextFieldError or
    NoIdFieldError, naming the keys there are and those that are looked for.
    """
    texts = (text,) if isinstance(text, str) else tuple(text or ())
    chosen = [key for key in (*texts, title, id) if key is not None]
    by_name: dict[str, str] = {}
    for key in keys:
        if key not in chosen:
            by_name.setdefault(key.strip().lower(), key)
    for key in chosen:
        if key not in keys:
            error = NoTextFieldError if key in texts else NoIdFieldError
            raise error(f"no field {key!r} among its fields {_listed(keys)}")
    text_key = texts[0] if texts else _first(TEXT_KEYS, by_name)
    if text_key is None:
        raise NoTextFieldError(f"no text among its fields {_listed(keys)}; looked for {_listed(TEXT_KEYS)}")
    id_key = id or _first(ID_KEYS, by_name)
    title_key = title or _first(TITLE_KEYS, by_name)
    parts = {id_key, text_key, title_key, *texts}
    kept = [key for key in keys if key not in parts and (fields is None or key in fields)]
    return Layout(id_key or "", text_key, title_key, tuple((key, clean(key)) for key in kept), texts[1:])


def _first(names: Iterable[str], by_name: Mapping[str, str]) -> str | None:
    return next((by_name[name] for name in names if name in by_name), None)


def _listed(keys: Sequence[str]) -> str:
    shown = [key if key.isprintable() else repr(key) for key in keys[:20]]
    return "(none)" if not keys else ", ".join(shown) + (", …" if len(keys) > 20 else "")


class RecordReader:
    """Makes documents of records, remembering the layouts it met."""

    def __init__(self, report: CorpusReport, options: CorpusOptions | None = None) -> None:
        self._report = report
        self._options = options or CorpusOptions()
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def document(self, record: Mapping[str, Any], *, default_id: str = "") -> Document:
        """Return the document that a record is; a record without an id field gets `default_id`, and is counted.

        Raises RecordError.
        """
        keys = tuple(record)
        layout = self._layouts.get(keys)
        if layout is None:
            layout = self.layout_of(keys)
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[keys] = layout
        text = record[layout.text_key]
        if layout.more_texts:
            text = joined_texts([text, *(record[key] for key in layout.more_texts)])
        return self.assemble(
            record[layout.id_key] if layout.id_key else default_id,
            text,
            record[layout.title_key] if layout.title_key else "",
            [(name, record[key]) for key, name in layout.fields] if layout.fields else (),
        )

    def layout_of(self, keys: Sequence[str]) -> Layout:
        """Return the parts that keys play by the options. Raises RecordError."""
        options = self._options
        return layout_of(keys, text=options.text, title=options.title, id=options.id, fields=options.fields)

    def assemble(self, raw_id: Any, raw_text: Any, raw_title: Any, raw_fields: Iterable[tuple[str, Any]]) -> Document:
        """Return a document of raw values; raises RecordError where id or text is of no use."""
        report = self._report
        raw_id = raw_id if type(raw_id) is str else id_text(raw_id)
        doc_id = fit_doc_id(raw_id)
        if not doc_id or doc_id.isspace():
            raise RecordError("its id is empty")
        if doc_id != raw_id:
            report.rewrite_id(raw_id, doc_id)
        raw_text = raw_text if type(raw_text) is str else _text_of(raw_text)
        raw_title = raw_title if type(raw_title) is str else _title_of(raw_title)
        text, title = clean(raw_text), clean(raw_title)
        if text is not raw_text or title is not raw_title:
            report.clean(doc_id)
        return Document(doc_id, text, title, self.fields(raw_fields, doc_id))

    def fields(self, raw_fields: Iterable[tuple[str, Any]], doc_id: str) -> dict[str, FieldValue]:
        """Return the fields of a document: values that fields can have, nested ones by dotted names."""
        fields: dict[str, FieldValue] = {}
        for name, value in raw_fields:
            if value is not None:
                self._add_field(fields, name, value, doc_id)
        return fields

    def _add_field(self, fields: dict[str, FieldValue], name: str, value: Any, doc_id: str) -> None:
        """Enter a value under a name, nested ones without recursion."""
        pending: list[tuple[str, Any]] = [(name, value)]
        while pending:
            name, value = pending.pop()
            kind = type(value)
            if kind is str:
                fields[name] = clean(value)
            elif kind is bool or (kind is float and math.isfinite(value)):
                fields[name] = value
            elif kind is int:
                fields[name] = value if -_INT64 <= value < _INT64 else str(value)
            elif kind is list and (texts := _texts_of(value)) is not None:
                if texts:
                    fields[name] = texts
            elif kind is dict:
                pending.extend((f"{name}.{clean(str(key))}", inner) for key, inner in reversed(value.items()))
            elif value is not None:
                self._report.drop_value(name, doc_id)


def _texts_of(values: list[Any]) -> list[str] | None:
    """Return a list of texts, whole numbers and truth values as texts; None for other lists, such as vectors."""
    texts = []
    for value in values:
        kind = type(value)
        if kind is str:
            texts.append(clean(value))
        elif kind is int or kind is bool:
            texts.append(json.dumps(value) if kind is bool or -_INT64 <= value < _INT64 else str(value))
        else:
            return None
    return texts


def id_text(value: Any) -> str:
    """Return an id as a text: whole numbers of a column of floats without their point. Raises RecordError."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if type(value) is int:  # which may have more digits than a float can
        return str(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise RecordError(f"its id is {_shown(value)}: an id must be a text or a number")
    return str(int(value)) if value == int(value) else str(value)


def _text_of(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    if isinstance(value, (bool, dict, list)):
        raise RecordError(f"its text is {_shown(value)}: it must be a text or a list of texts")
    return str(value)


def joined_texts(values: Iterable[Any]) -> str:
    """Return several texts of a record as one, an empty line between two. Raises RecordError."""
    return "\n\n".join(text for text in map(_text_of, values) if text)


def _title_of(value: Any) -> str:
    return "" if value is None or isinstance(value, (bool, dict, list)) else _text_of(value)


def _shown(value: Any) -> str:
    return {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}.get(type(value), repr(value))
