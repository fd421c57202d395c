"""Layouts of records (rows, JSON objects): the columns of queries, documents and scores.

Read are pairs (`query`, `positive`), triples (`query`, `positive`, `negative`), lists of negatives, numbered
negatives (`negative_1`, …), lists of documents with `scores`, and the same by ids that a corpus resolves. A document
may be a text, or an object with `text`, `title` and an id.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.formats.text import clean
from lsr.types import Document

QUERY = ("query", "question", "anchor")
QUERY_ID = ("query_id", "query-id", "qid")
POSITIVE = ("positive", "positives", "pos", "positive_passages", "positive_ctxs", "answer")
POSITIVE_ID = ("positive_id", "positive_ids", "pos_id", "pos_ids")
TITLE = ("title", "positive_title")
NEGATIVE = ("negatives", "negative", "neg", "negative_passages", "hard_negative_ctxs")
MORE_NEGATIVES = ("negative_ctxs",)
"""Columns whose documents follow the other negatives: in DPR's files those that aren't hard."""
NEGATIVE_ID = ("negative_ids", "negative_id", "neg_ids", "neg_id")
LISTED = ("documents", "texts", "docs", "passages")
LISTED_ID = ("doc_ids", "document_ids", "docids")
POSITIVE_SCORE = ("positive_score", "positive_scores", "pos_score", "pos_scores")
NEGATIVE_SCORES = ("negative_scores", "negative_score", "neg_scores", "neg_score")
_NUMBERED = re.compile(r"(?:negative|neg)_(\d+)")
_ID, _TEXT = ("id", "_id", "doc_id", "docid", "passage_id", "psg_id"), ("text", "contents", "content")

EXPECTED = "query and positive (with negative or negatives), or query, documents and scores"

Reference = Document | str
"""Document, or the id of one in a corpus."""


@dataclass(frozen=True, slots=True)
class RawExample:
    """Example as its record has it: documents not yet looked up, texts possibly empty."""

    query: str
    documents: list[Reference]
    scores: list[float] | None


def text_id(document: Document) -> str:
    """Return an id made of a document's title and text."""
    text = f"{document.title}\0{document.text}".encode("utf-8", "surrogatepass")
    return f"text-{blake2b(text, digest_size=8).hexdigest()}"


def bad(place: str, message: str) -> BadDocumentError:
    """Return the error for a record. place: file and row."""
    return BadDocumentError(f"{place}: {message}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Columns by their role; "" where there is none."""

    query: str
    query_id: str
    positive: str
    positive_id: str
    title: str
    negative: str
    negative_id: str
    numbered: tuple[str, ...]
    listed: str
    listed_id: str
    scores: str
    positive_score: str
    negative_scores: str

    @property
    def needs_corpus(self) -> bool:
        """True where documents are named by ids alone."""
        return bool(
            (self.positive_id and not self.positive)
            or (self.negative_id and not self.negative)
            or (self.listed_id and not self.listed)
        )

    @property
    def columns(self) -> list[str]:
        """Columns that are read."""
        named = [getattr(self, name) for name in self.__slots__ if name != "numbered"]
        return [*filter(None, named), *self.numbered]


def layout_of(columns: Sequence[str], place: str, *, queries: bool, corpus: bool) -> Layout:
    """Return the layout of these columns.

    place: the file, for errors. queries, corpus: whether ids of queries and of documents can be looked up.
    Raises BadDocumentError naming the columns there are and those that are expected.
    """
    by_name: dict[str, str] = {}
    for column in columns:
        by_name.setdefault(column.strip().lower(), column)

    def first(names: Sequence[str]) -> str:
        return next((by_name[name] for name in names if name in by_name), "")

    numbered = sorted((int(match[1]), name) for name in by_name if (match := _NUMBERED.fullmatch(name)))
    more = [by_name[name] for name in MORE_NEGATIVES if name in by_name]
    layout = Layout(
        first(QUERY), first(QUERY_ID), first(POSITIVE), first(POSITIVE_ID), first(TITLE), first(NEGATIVE),
        first(NEGATIVE_ID), (*(by_name[name] for _, name in numbered), *more), first(LISTED), first(LISTED_ID),
        first(("scores",)), first(POSITIVE_SCORE), first(NEGATIVE_SCORES),
    )  # fmt: skip
    there = f"its columns are {', '.join(columns) or 'none'}; expected are {EXPECTED}"
    if not layout.query:
        if not layout.query_id:
            raise bad(place, f"no column with the query: {there}")
        if not queries:
            raise bad(place, f"queries by {layout.query_id!r} only: name the file that has their texts")
    positive = layout.positive or layout.positive_id
    if not positive and not (layout.listed or layout.listed_id):
        raise bad(place, f"no column with the positive document: {there}")
    if not positive and not layout.scores:
        raise bad(place, f"{layout.listed or layout.listed_id!r} without 'scores': {there}")
    if layout.needs_corpus and not corpus:
        raise bad(place, "documents by ids only: name the corpus that has their texts")
    return layout


class RecordReader:
    """Reader of a file's records as raw examples; `place` in its methods is file and row, for errors."""

    def __init__(self, queries: Mapping[str, str] | None, *, corpus: bool) -> None:
        self._queries = queries
        self._corpus = corpus
        self._layouts: dict[tuple[str, ...], Layout] = {}

    def read(self, record: Mapping[str, Any], place: str) -> Iterator[RawExample]:
        """Yield the examples of a record, one a positive. Raises BadDocumentError."""
        keys = tuple(record)
        layout = self._layouts.get(keys)
        if layout is None:
            layout = layout_of(keys, place, queries=self._queries is not None, corpus=self._corpus)
            if len(self._layouts) >= 1000:
                self._layouts.clear()
            self._layouts[keys] = layout
        query = self._query(layout, record, place)
        if layout.positive or layout.positive_id:
            yield from self._labelled(layout, record, query, place)
        else:
            yield self._listed(layout, record, query, place)

    def _query(self, layout: Layout, record: Mapping[str, Any], place: str) -> str:
        if layout.query:
            return _text(record[layout.query], layout.query, place)
        query_id = _identity(record[layout.query_id], layout.query_id, place)
        assert self._queries is not None
        if query_id not in self._queries:
            raise bad(place, f"no query has the id {query_id!r}")
        return self._queries[query_id]

    def _labelled(self, layout: Layout, record: Mapping[str, Any], query: str, place: str) -> Iterator[RawExample]:
        title = _text(record[layout.title], layout.title, place) if layout.title else ""
        positives = _documents(record, layout.positive, layout.positive_id, place, title=title)
        negatives = _documents(record, layout.negative, layout.negative_id, place)
        for column in layout.numbered:
            negatives += _documents(record, column, "", place)
        if layout.scores and record[layout.scores] is not None:
            scores = _scores(record[layout.scores], layout.scores, len(positives) + len(negatives), place)
            of_positives, of_negatives = scores[: len(positives)], scores[len(positives) :]
        elif layout.positive_score and layout.negative_scores and record[layout.positive_score] is not None:
            of_positives = _scores(record[layout.positive_score], layout.positive_score, len(positives), place)
            of_negatives = _scores(record[layout.negative_scores], layout.negative_scores, len(negatives), place)
        else:
            for positive in positives:
                yield RawExample(query, [positive, *negatives], None)
            return
        for positive, score in zip(positives, of_positives, strict=True):
            yield RawExample(query, [positive, *negatives], [score, *of_negatives])

    @staticmethod
    def _listed(layout: Layout, record: Mapping[str, Any], query: str, place: str) -> RawExample:
        documents = _documents(record, layout.listed, layout.listed_id, place)
        scores = _scores(record[layout.scores], layout.scores, len(documents), place)
        best_first = sorted(range(len(scores)), key=lambda i: -scores[i])
        return RawExample(query, [documents[i] for i in best_first], [scores[i] for i in best_first])


def _documents(
    record: Mapping[str, Any], column: str, id_column: str, place: str, *, title: str | None = None
) -> list[Reference]:
    """Return the documents of a column, or those that an id column names.

    title: of the positive, which is required: a missing one becomes an empty document.
    """
    ids = [_identity(value, id_column, place) for value in _list(record[id_column])] if id_column else []
    if not column:
        return list(ids)
    values = _list(record[column])
    if not values and title is not None:
        values = [None]
    if id_column and len(ids) != len(values):
        raise bad(place, f"{len(ids)} ids in {id_column!r} for {len(values)} documents in {column!r}")
    return [_document(v, column, place, title or "", ids[i] if ids else "") for i, v in enumerate(values)]


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _document(value: Any, column: str, place: str, title: str, doc_id: str) -> Document:
    if isinstance(value, Mapping):
        text, raw_title, raw_id = _part(value, _TEXT), value.get("title"), _part(value, _ID)
        if text is None and raw_title is None:
            raise bad(place, f"{column!r} holds an object of {', '.join(value) or 'nothing'}; a 'text' was expected")
        title = _text(raw_title, f"{column}.title", place)
        doc_id = doc_id or ("" if raw_id is None else _identity(raw_id, f"{column}.id", place))
        value = text
    document = Document(doc_id, _text(value, column, place), title)
    return document if doc_id else Document(text_id(document), document.text, document.title)


def _part(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    """Return the first of these values that isn't None, else None."""
    for key in keys:
        found = value.get(key)
        if found is not None:
            return found
    return None


def _text(value: Any, column: str, place: str) -> str:
    if type(value) is str:
        return clean(value)
    if value is None:
        return ""
    raise bad(place, f"{column!r} is {_shown(value)}; a text was expected")


def _identity(value: Any, column: str, place: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise bad(place, f"{column!r} is {_shown(value)}; an id was expected")
    return clean(str(value))


def _scores(value: Any, column: str, n: int, place: str) -> list[float]:
    values = _list(value)
    if len(values) != n:
        raise bad(place, f"{len(values)} scores in {column!r} for {n} documents")
    for score in values:
        if isinstance(score, bool) or not isinstance(score, (int, float)) or not math.isfinite(score):
            raise bad(place, f"{column!r} holds {_shown(score)}; finite numbers were expected")
    return [float(score) for score in values]


def _shown(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null", bytes: "bytes"}
    return kinds.get(type(value)) or repr(value)[:80]
