"""Documents of records: dicts, and rows of tables."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from lsr.api.arguments import check_text, doc_id_text, is_missing, names_of, shown
from lsr.errors import BadDocumentError, UsageError
from lsr.indexer.corpus.formats.text import clean
from lsr.indexer.corpus.intake import RecordError
from lsr.indexer.corpus.options import CorpusOptions, corpus_option_specs
from lsr.indexer.corpus.records import Layout, joined_texts, layout_of
from lsr.io.option_spec import is_whole_number
from lsr.types import Document, FieldValue

FIELD_KINDS = "text, numbers, truth values, dates, lists of texts, or dicts of these"
_INT64 = 1 << 63


@dataclass(frozen=True, slots=True)
class Names:
    """Names of the columns or keys that hold a document's parts.

    None: for text, title and id those with a usual name; for fields all that are left. Of several texts, each is joined
    to the one before it. reading: other options of reading files.
    """

    text: tuple[str, ...] | None = None
    title: str | None = None
    id: str | None = None
    fields: tuple[str, ...] | None = None
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, text: Any, title: Any, id: Any, fields: Any, reading: Any = None) -> Names:  # noqa: A002
        """Check the names that a caller gives. Raises UsageError."""
        what = "the name of a column or key"
        parts = {"title": title, "id": id}
        texts = None if text is None else names_of([text] if isinstance(text, str) else text, "text", what)
        if texts == ():
            raise UsageError("text names no column or key; give at least one")
        given = [*(texts or ()), *(check_text(value, name) for name, value in parts.items() if value is not None)]
        if len(set(given)) < len(given):
            raise UsageError(f"text, title and id name {', '.join(map(repr, given))}; each needs a column for itself")
        chosen = None if fields is None else names_of(fields, "fields", what)
        return cls(texts, title, id, chosen, _reading(reading))

    @property
    def given(self) -> bool:
        """Tell whether the caller named anything."""
        return self != Names()

    def of_files(self) -> CorpusOptions:
        """Return the names as options of reading files. Raises UsageError."""
        return CorpusOptions(text=self.text, title=self.title, id=self.id, fields=self.fields, **self.reading)


def _reading(given: Any) -> dict[str, Any]:
    """Return options of reading files by their names. Raises UsageError for others."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UsageError(f"reading is {shown(given)}; give a dict of options, as {{'delimiter': ';'}}")
    known = [name for name, *_ in corpus_option_specs() if name not in ("text", "title", "id", "fields")]
    for name in given:
        if name not in known:
            raise UsageError(f"reading has {shown(name)}; its options are {', '.join(known)}")
    CorpusOptions(**given)
    return dict(given)


class Records:
    """Makes documents of records, remembering which keys play which part."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._keys: tuple[Any, ...] | None = None
        self._layout: Layout | None = None

    def document(self, record: Mapping[Any, Any], number: int, default_id: int | None) -> Document:
        """Return the document that a record is.

        Args:
            record: values by their names.
            number: position of the record among the sources, for messages.
            default_id: doc_id of a record without one; None: every record must have one.

        Raises:
            BadDocumentError: a part is missing or of a kind that isn't accepted.
        """
        layout = self._layout_of(tuple(record), number)
        raw_id = record[layout.id_key] if layout.id_key else default_id
        if not layout.id_key and default_id is None:
            raise BadDocumentError(f"record {number} has no doc_id; give it one, or name the key with id=…")
        try:
            doc_id = doc_id_text(_whole(raw_id), f"the id {layout.id_key!r}")
        except UsageError as error:
            raise BadDocumentError(f"record {number}: {error}") from None
        texts = []
        for key in (layout.text_key, *layout.more_texts):
            if layout.more_texts and is_missing(record[key]):
                continue
            if not isinstance(record[key], str):
                raise BadDocumentError(_no_text(f"record {number}: its text {key!r}", record[key]))
            texts.append(str(record[key]))
        title = record[layout.title_key] if layout.title_key else ""
        title = "" if is_missing(title) else title
        if not isinstance(title, str):
            raise BadDocumentError(
                f"record {number}: its title {layout.title_key!r} is {shown(title)}; it must be a text (str) or missing"
            )
        fields: dict[str, FieldValue] = {}
        for key, name in layout.fields:
            put_field(fields, name, record[key], f"record {number}")
        return Document(doc_id, clean(joined_texts(texts)), clean(str(title)), fields)

    def _layout_of(self, keys: tuple[Any, ...], number: int) -> Layout:
        if keys != self._keys or self._layout is None:
            self._layout, self._keys = self._new_layout(keys, number), keys
        return self._layout

    def _new_layout(self, keys: tuple[Any, ...], number: int) -> Layout:
        names = self._names
        for key in keys:
            if not isinstance(key, str):
                raise BadDocumentError(f"record {number}: its key {shown(key)} is no text; name every field by a str")
        try:
            layout = layout_of(keys, text=names.text, title=names.title, id=names.id)
        except RecordError as error:
            raise BadDocumentError(
                f"record {number}: {error}; name the columns or keys with text=…, title=… and id=…"
            ) from None
        if names.fields is None:
            return layout
        unknown = [name for name in names.fields if name not in keys]
        if unknown:
            raise BadDocumentError(
                f"record {number}: no field {unknown[0]!r} among {', '.join(keys)}; fields=… names those to be kept"
            )
        kept = tuple((key, clean(key)) for key in names.fields)
        return replace(layout, fields=kept)


def checked_document(document: Document, number: int) -> Document:
    """Return a document that can be stored, the same object where it is one already.

    Raises:
        BadDocumentError: a part is of a kind that isn't accepted.
    """
    where = f"document {number}"
    try:
        doc_id = doc_id_text(document.doc_id)
    except UsageError as error:
        raise BadDocumentError(f"{where}: {error}") from None
    if not isinstance(document.text, str):
        raise BadDocumentError(_no_text(f"{where}: its text", document.text))
    if not isinstance(document.title, str):
        raise BadDocumentError(f"{where}: its title is {shown(document.title)}; it must be a text (str)")
    if not isinstance(document.fields, Mapping):
        raise BadDocumentError(f"{where}: its fields are {shown(document.fields)}; they must be a dict")
    fields: dict[str, FieldValue] = {}
    for name, value in document.fields.items():
        if not isinstance(name, str):
            raise BadDocumentError(f"{where}: the name of its field {shown(name)} must be a text (str)")
        put_field(fields, name, value, where)
    text, title = clean(str(document.text)), clean(str(document.title))
    if not fields and (doc_id, text, title) == (document.doc_id, document.text, document.title):
        return document
    return Document(doc_id, text, title, fields)


def _no_text(what: str, value: Any) -> str:
    if is_missing(value):
        return f"{what} is missing ({shown(value)}); leave such rows out, or give an empty text"
    return f"{what} is {shown(value)}; it must be a text (str)"


def put_field(fields: dict[str, FieldValue], name: str, value: Any, where: str) -> None:
    """Enter a value into fields, a dict under dotted names; a missing value is left out.

    Raises:
        BadDocumentError: it is of a kind that a field can't hold.
    """
    pending = [(name, value)]
    while pending:
        name, value = pending.pop()
        if is_missing(value):
            continue
        if isinstance(value, Mapping):
            pending.extend((f"{name}.{clean(str(key))}", inner) for key, inner in reversed(list(value.items())))
        else:
            fields[name] = _field_value(value, name, where)


def _field_value(value: Any, name: str, where: str) -> FieldValue:
    if isinstance(value, str):
        return clean(str(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bool) or (_is_numpy(value, ndim=0) and value.dtype == bool):
        return bool(value)
    if is_whole_number(value):
        return int(value) if -_INT64 <= value < _INT64 else str(int(value))
    if isinstance(value, numbers.Real | Decimal):
        number = float(value)
        if number in (float("inf"), float("-inf")) or number != number:
            raise BadDocumentError(f"{where}: its field {name!r} is {shown(value)}; a number must be finite")
        return number
    texts = _texts(value)
    if texts is None:
        raise BadDocumentError(
            f"{where}: its field {name!r} is {shown(value)}; a field holds {FIELD_KINDS}: "
            "fields=[…] names those to be kept"
        )
    return texts


def _texts(value: Any) -> list[str] | None:
    """Return a list, tuple, set or array of texts as a list; None for anything else."""
    if isinstance(value, set | frozenset):
        value = sorted(value, key=str)
    if not (isinstance(value, list | tuple) or _is_numpy(value, ndim=1)):
        return None
    items: Iterable[Any] = value
    texts = [clean(str(item)) if isinstance(item, str) else None for item in items]
    return [text for text in texts if text is not None] if None not in texts else None


def _is_numpy(value: Any, *, ndim: int) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == ndim


def _whole(value: Any) -> Any:
    """Return a whole number that comes as a float, as columns of ids with gaps have it, as an int."""
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Integral):
        number = float(value)
        return int(number) if number.is_integer() else value
    return value
