"""Evaluation of a filter: its tree over the columns of the documents' fields, to a bitmap of documents.

A document without a field passes no test of it, `!=` among them; `not (year == 2020)` allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from lsr.encoders.lexical.phrase import Phrase
from lsr.indexer.storage.fields import TYPES, as_kind, kind_of
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.segment import Segment
from lsr.query.filters.columns import column_kinds, read_column, unknown_field
from lsr.query.filters.filter import DocumentFilter
from lsr.query.filters.held_phrases import HeldPhrases
from lsr.query.filters.language import as_date, parse_filter
from lsr.query.filters.tree import (
    Both,
    Comparison,
    Contains,
    Date,
    Exists,
    FilterError,
    Holds,
    Name,
    Node,
    Not,
    OneOf,
    Value,
)

Mask = npt.NDArray[np.bool_]

_WORDS = {"bool": "truth values", "int": "numbers", "float": "numbers", "date": "dates", "text": "texts",
          "texts": "lists of texts"}  # fmt: skip
_COMPARE: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}


def compile_filter(index: StoredIndex, filter_text: str, *, held: HeldPhrases | None = None) -> DocumentFilter:
    """Return the documents of an index that a filter allows. held: looks phrases up in the index (default: a new one).

    Raises FilterError where it can't be understood, names a field that no document has, or compares values of
    different kinds; IndexDamagedError where the fields can't be read.
    """
    kinds = column_kinds(index)
    tree = check_filter(filter_text, kinds)
    held = held or HeldPhrases(index)
    masks = []
    for number, segment in enumerate(index.segments):
        rows = index.places.of_segment(number)
        masks.append(_Evaluation(segment, filter_text, kinds, held, rows).mask(tree))
    mask = index.places.by_position(np.concatenate([np.empty(0, bool), *masks]), False)
    return DocumentFilter.from_mask(index, mask)


def check_filter(filter_text: str, kinds: Mapping[str, str]) -> Node:
    """Return the tree of a filter on fields of these kinds. Raises FilterError, whatever the documents are."""
    tree = parse_filter(filter_text)
    _Evaluation(None, filter_text, kinds).mask(tree)
    return tree


class _Evaluation:
    """A filter over one segment; without a segment, it is checked only."""

    def __init__(
        self,
        segment: Segment | None,
        filter_text: str,
        kinds: Mapping[str, str],
        held: HeldPhrases | None = None,
        rows: npt.NDArray[Any] | slice = slice(0),
    ) -> None:
        self._segment = segment
        self._held = held
        self._rows = rows
        self._filter_text = filter_text
        self._kinds = kinds
        self._columns: dict[str, Any] = {}

    def mask(self, node: Node) -> Mask:
        """Return the rows that a node allows, as bool, (n_docs)."""
        match node:
            case Both():
                masks = [self.mask(part) for part in node.parts]
                joined_mask: Mask = (np.logical_and if node.operator == "and" else np.logical_or).reduce(masks)
                return joined_mask
            case Not():
                return ~self.mask(node.inner)
            case Exists():
                return _bits(pc.is_valid(self._column(node.field)))
            case Contains():
                return self._contains(node)
            case Holds():
                return self._holds(node)
            case OneOf():
                any_mask: Mask = np.logical_or.reduce([self._is_one(node.field, value) for value in node.values])
                return any_mask
            case Comparison():
                return self._compare(node)

    def _refuse(self, position: int, message: str) -> NoReturn:
        raise FilterError(self._filter_text, position, message)

    def _kind(self, field: Name) -> str:
        kind = self._kinds.get(field.name)
        if kind is None:
            self._refuse(field.position, unknown_field(field.name, self._kinds))
        return kind

    def _column(self, field: Name) -> Any:
        if field.name not in self._columns:
            self._columns[field.name] = self._read(field.name, self._kind(field))
        return self._columns[field.name]

    def _read(self, name: str, kind: str) -> Any:
        segment = self._segment
        if segment is None:
            return pa.chunked_array([], TYPES[kind])
        return read_column(segment, name, kind)

    def _is_one(self, field: Name, value: Value) -> Mask:
        if self._kind(field) == "texts":
            return self._contains(Contains(field, value))
        return self._compare(Comparison(field, "==", value))

    def _contains(self, node: Contains) -> Mask:
        kind, column, wanted = self._kind(node.field), self._column(node.field), node.value.value
        if kind not in ("text", "texts"):
            self._refuse(node.field.position, f"the field {node.field.name!r} holds {_WORDS[kind]}, which contain none")
        if not isinstance(wanted, str):
            self._refuse(node.value.position, f"the field {node.field.name!r} holds {_WORDS[kind]}: give a text")
        if kind == "text":
            return _bits(pc.match_substring(column, wanted))
        mask = np.zeros(len(column), bool)
        first = 0
        for chunk in column.chunks:
            rows = pc.list_parent_indices(chunk).to_numpy()
            mask[first + rows[_bits(pc.equal(chunk.flatten(), wanted))]] = True
            first += len(chunk)
        return mask

    def _holds(self, node: Holds) -> Mask:
        kind, column, wanted = self._kind(node.field), self._column(node.field), node.value.value
        name = node.field.name
        if kind not in ("text", "texts"):
            self._refuse(node.field.position, f"the field {name!r} holds {_WORDS[kind]}, which have no words")
        if not isinstance(wanted, str):
            self._refuse(node.value.position, f"the field {name!r} holds {_WORDS[kind]}: give a text")
        phrase = Phrase.of(wanted)
        if phrase.is_empty:
            self._refuse(node.value.position, "there is no word in it")
        segment = self._segment
        if name in ("title", "text") and (
            segment is None or segment.fields is None or name not in segment.fields.kinds
        ):
            held = self._held
            return np.zeros(0, bool) if held is None else held.hold_in(name, phrase)[self._rows]
        return _bits(pa.array([_any_holds(value, phrase) for value in column.to_pylist()], pa.bool_()))

    def _compare(self, node: Comparison) -> Mask:
        kind, column, value = self._kind(node.field), self._column(node.field), node.value.value
        if kind == "texts":
            self._refuse(
                node.field.position, f"the field {node.field.name!r} holds lists of texts: ask what it contains"
            )
        if kind == "date":
            date = as_date(value) if isinstance(value, str) else value
            if not isinstance(date, Date):
                self._mismatch(node, kind, "a date such as 2020-01-31")
            return self._compare_date(column, node.operator, date)
        wanted: type | tuple[type, ...] = {"bool": bool, "text": str}.get(kind, (int, float))
        if not isinstance(value, wanted) or (kind in ("int", "float") and isinstance(value, bool)):
            self._mismatch(node, kind, {"bool": "true or false", "text": "a text in quotes"}.get(kind, "a number"))
        if kind == "bool" and node.operator not in ("==", "!="):
            self._refuse(node.value.position, f"the field {node.field.name!r} holds truth values: use == or !=")
        if kind == "int" and isinstance(value, float):
            column = pc.cast(column, pa.float64(), safe=False)
        elif kind == "float":
            value = as_kind(value, "float")
        elif kind == "int" and kind_of(value) == "float":  # beyond what 64 bits hold
            column, value = pc.cast(column, pa.float64(), safe=False), as_kind(value, "float")
        return _bits(_COMPARE[node.operator](column, pa.scalar(value, column.type)))

    def _mismatch(self, node: Comparison, kind: str, due: str) -> NoReturn:
        self._refuse(
            node.value.position, f"the field {node.field.name!r} holds {_WORDS[kind]}, so it is compared with {due}"
        )

    def _compare_date(self, column: Any, operator: str, date: Date) -> Mask:
        """Compare with a moment, or with a day as a whole: `<=` a day is before the next begins."""

        def compared(name: str, moment: Any) -> Mask:
            return _bits(_COMPARE[name](column, pa.scalar(moment, column.type)))

        if not date.whole_day:
            return compared(operator, date.start)
        start = date.start
        try:
            end = start + timedelta(days=1)
        except OverflowError:  # the last day that there is
            end = start.max
        match operator:
            case "==":
                return compared(">=", start) & compared("<", end)
            case "!=":
                return compared("<", start) | compared(">=", end)
            case "<" | ">=":
                return compared(operator, start)
            case "<=":
                return compared("<", end)
            case _:
                return compared(">=", end)


def _any_holds(value: Any, phrase: Phrase) -> bool:
    """Return whether a text, or one of a list, holds a phrase."""
    return any(text is not None and phrase.is_in(text) for text in (value if isinstance(value, list) else [value]))


def _bits(values: Any) -> Mask:
    """Return truth values as numpy has them, false where there is none."""
    filled = pc.fill_null(values, False)
    found: Mask = np.asarray(
        filled.to_numpy(zero_copy_only=False) if isinstance(filled, pa.Array) else filled.to_numpy()
    )
    return found.astype(bool)
