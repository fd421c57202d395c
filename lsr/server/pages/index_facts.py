"""Facts of an index that its pages show: its size, and the fields by which results can be narrowed and sorted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from lsr.api.documents import count_documents
from lsr.errors import UsageError
from lsr.indexer.storage.index import StoredIndex
from lsr.query.filters.columns import column_kinds, field_kinds, unknown_field
from lsr.query.filters.language import as_date
from lsr.types import PASSAGE_FIELDS

COUNTED_DOCUMENTS = 1_000_000
"""Documents up to which a page counts matches and their fields' values unasked."""
MOST_FACETS, MOST_DIFFERENT, SAMPLE = 6, 60, 50_000
"""Facets shown unasked; different values that such a field may have; rows of a segment by which that is decided."""
LONGEST_VALUE = 60
_PLAIN_NAME = re.compile(r"[^\W\d][\w.\-]*")
_RESERVED = frozenset("and or not in contains exists true false".split())
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """Facts of one generation.

    facet_fields, sort_fields: fields with few values, and those that have an order. examples: a value of each of the
    fields of texts among the first, as the filter language writes it.
    """

    n_documents: int
    encoder: str
    kinds: Mapping[str, str]
    facet_fields: tuple[str, ...]
    sort_fields: tuple[str, ...]
    has_dense: bool
    examples: Mapping[str, str]

    @property
    def is_counted(self) -> bool:
        """Whether matches are counted unasked."""
        return self.n_documents <= COUNTED_DOCUMENTS


_known: WeakKeyDictionary[StoredIndex, IndexFacts] = WeakKeyDictionary()


def index_facts(index: StoredIndex) -> IndexFacts:
    """Return the facts of an index, worked out once for each generation."""
    found = _known.get(index)
    if found is None:
        kinds = {name: kind for name, kind in field_kinds(index).items() if name not in PASSAGE_FIELDS}
        encoder = index.manifest.encoder
        samples = {name: _different(index, name, kind) for name, kind in kinds.items() if "`" not in name}
        fitting = sorted((len(values), name) for name, values in samples.items() if 2 <= len(values) <= MOST_DIFFERENT)
        facet_fields = tuple(name for _, name in fitting[:MOST_FACETS])
        found = _known[index] = IndexFacts(
            n_documents=count_documents(index),
            encoder=str(encoder.get("name", encoder["kind"])),
            kinds=kinds,
            facet_fields=facet_fields,
            sort_fields=tuple(name for name, kind in kinds.items() if kind != "texts"),
            has_dense=index.manifest.dense is not None,
            examples={
                name: _literal(name, kinds[name], min(samples[name]))
                for name in facet_fields
                if kinds[name] in ("text", "texts")
            },
        )
    return found


def _different(index: StoredIndex, name: str, kind: str) -> set[Any]:
    """Return the different values in a sample of a field; none where one is too long for a list."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values: set[Any] = set()
    for segment in index.segments:
        if segment.fields is None or name not in segment.fields.kinds:
            continue
        column = segment.fields.column(name, kind).slice(0, SAMPLE)
        if pa.types.is_list(column.type):
            column = pc.list_flatten(column)
        values.update(pc.unique(column.drop_null()).slice(0, MOST_DIFFERENT + 1).to_pylist())
        if len(values) > MOST_DIFFERENT:
            break
    return set() if any(isinstance(value, str) and len(value) > LONGEST_VALUE for value in values) else values


def filter_of(index: StoredIndex, where: str, chosen: Sequence[tuple[str, str]]) -> str:
    """Return the filter of a page: what was typed, and the values of facets that were clicked.

    Several values of one field are alternatives. Raises UsageError for a field or value that can't be asked for.
    """
    kinds = column_kinds(index)
    by_field: dict[str, list[str]] = {}
    for name, value in chosen:
        if name not in kinds:
            raise UsageError(f"filter: {unknown_field(name, kinds)}")
        by_field.setdefault(name, []).append(_literal(name, kinds[name], value))
    clauses = [f"({where})"] if where and by_field else [where] if where else []
    return " and ".join([*clauses, *(_clause(name, kinds[name], values) for name, values in by_field.items())])


def _clause(name: str, kind: str, values: Sequence[str]) -> str:
    quoted = quoted_name(name)
    if kind == "texts":
        listed = " or ".join(f"{value} in {quoted}" for value in values)
        return f"({listed})" if len(values) > 1 else listed
    return f"{quoted} == {values[0]}" if len(values) == 1 else f"{quoted} in ({', '.join(values)})"


def quoted_name(name: str) -> str:
    """Return a field's name as the filter language writes it. Raises UsageError where it can't."""
    if _PLAIN_NAME.fullmatch(name) and name.lower() not in _RESERVED:
        return name
    if "`" in name or not name:
        raise UsageError(
            f"filter: the name of the field {name!r} has a backtick, which the filter language can't quote"
        )
    return f"`{name}`"


def _literal(name: str, kind: str, value: str) -> str:
    """Return a value as the filter language writes it. Raises UsageError for one that the field can't have."""
    match kind:
        case "text" | "texts":
            return "'" + re.sub(r"(['\\])", r"\\\1", value) + "'"
        case "bool":
            fits, expected = value in ("true", "false"), "true or false"
        case "date":
            fits, expected = as_date(value) is not None, "a date, as 2020-01-31"
        case _:
            fits, expected = bool(_NUMBER.fullmatch(value)), "a number"
    if not fits:
        raise UsageError(f"filter: {name} is {value!r:.60}; it must be {expected}")
    return value
