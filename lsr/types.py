"""The values that pass between the floors: documents, sparse batches, hits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
import numpy.typing as npt

from lsr.errors import BadDocumentError, LsrError

FieldValue = str | int | float | bool | list[str] | None

PASSAGE_OF, PASSAGE_START, PASSAGE_END = "passage_of", "passage_start", "passage_end"
"""Fields of a passage: the id of its document, and its start and end in characters of the document's text.

A document that was not cut has none of them.
"""
PASSAGE_TITLE = "passage_title"
"""Field of a passage with the title of its document, where passages are encoded with the start of it only."""
PASSAGE_FIELDS = frozenset((PASSAGE_OF, PASSAGE_START, PASSAGE_END, PASSAGE_TITLE))
PASSAGE_MARK = "\x1f"
"""First character of the names of further passages; no doc_id begins with it where documents are cut."""


def passage_span(fields: Mapping[str, FieldValue]) -> tuple[int, int] | None:
    """Return the start and end of a passage in its document's text, by its fields; None for a whole document."""
    start, end = fields.get(PASSAGE_START), fields.get(PASSAGE_END)
    return (start, end) if isinstance(start, int) and isinstance(end, int) else None


@dataclass(frozen=True, slots=True)
class Document:
    """A text to be indexed, with its id, title and fields.

    Attributes:
        doc_id: the document's id, unique in an index.
        text: the text that is encoded and searched.
        title: the title, encoded before the text.
        fields: further values such as a year or a language, which filters, sorting and facets use: texts, numbers,
            truth values, or lists of texts.

    Raises:
        BadDocumentError: a part is of another type.

    Example:
        >>> import lsr
        >>> document = lsr.Document("trees", "Trees grow slowly.", "On trees", {"year": 2024})
        >>> document.full_text
        'On trees Trees grow slowly.'
    """

    doc_id: str
    text: str
    title: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse parts of another type, which would fail only when the document is stored."""
        for name in ("doc_id", "text", "title"):
            value: object = getattr(self, name)
            if not isinstance(value, str):
                raise BadDocumentError(f"a document's {name} is {value!r:.60}; it must be a text (str)")
        fields: object = self.fields
        if type(fields) is not dict and not isinstance(fields, Mapping):
            raise BadDocumentError(f"document {self.doc_id!r}: its fields are {fields!r:.60}; they must be a dict")

    @property
    def full_text(self) -> str:
        """Title and text together: what encoders read, as BEIR does it."""
        return f"{self.title} {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class SparseBatch:
    """Sparse vectors in CSR form, row i being `indptr[i]:indptr[i + 1]`.

    indptr: int64, (n_rows + 1). term_ids: int32, (nnz), ascending and unique in each row,
    in [0, vocab_size). weights: float32, (nnz), finite and positive. A row may be empty.
    """

    indptr: npt.NDArray[np.int64]
    term_ids: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    vocab_size: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def nnz(self) -> int:
        """Number of stored weights."""
        return len(self.term_ids)

    def row(self, i: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the term ids and weights of row `i`."""
        span = slice(self.indptr[i], self.indptr[i + 1])
        return self.term_ids[span], self.weights[span]

    def rows(self, first: int, last: int) -> SparseBatch:
        """Return the rows first … last − 1 as a batch."""
        if (first, last) == (0, len(self)):
            return self
        indptr = self.indptr[first : last + 1]
        span = slice(indptr[0], indptr[-1])
        return SparseBatch(indptr - indptr[0], self.term_ids[span], self.weights[span], self.vocab_size)

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]]:
        return (self.row(i) for i in range(len(self)))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[int, float]], vocab_size: int) -> SparseBatch:
        """Build a batch from mappings of term id to weight; zero weights are dropped."""
        indptr, term_ids, weights = [0], [], []
        for row in rows:
            for term_id in sorted(row):
                if row[term_id] != 0:
                    term_ids.append(term_id)
                    weights.append(row[term_id])
            indptr.append(len(term_ids))
        batch = cls(np.array(indptr, np.int64), np.array(term_ids, np.int32), np.array(weights, np.float32), vocab_size)
        batch.check()
        return batch

    @classmethod
    def concatenate(cls, batches: Sequence[SparseBatch]) -> SparseBatch:
        """Stack batches row-wise; the vocabulary size is the largest of theirs."""
        if not batches:
            return cls(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 0)
        ends = np.cumsum([0] + [b.nnz for b in batches])
        indptr = np.concatenate([[0]] + [b.indptr[1:] + end for b, end in zip(batches, ends, strict=False)])
        return cls(
            indptr.astype(np.int64),
            np.concatenate([b.term_ids for b in batches]),
            np.concatenate([b.weights for b in batches]),
            max(b.vocab_size for b in batches),
        )

    def check(self) -> None:
        """Raise LsrError unless every invariant of the class holds. Done where data enters, once."""
        indptr, ids, weights = self.indptr, self.term_ids, self.weights
        if indptr.ndim != 1 or len(indptr) == 0 or indptr[0] != 0 or indptr[-1] != len(ids) or len(ids) != len(weights):
            raise LsrError(f"sparse vectors: indptr does not span the {len(ids)} terms and {len(weights)} weights")
        if np.any(indptr[1:] < indptr[:-1]):
            raise LsrError("sparse vectors: indptr is not ascending")
        if len(ids) == 0:
            return
        if ids.min() < 0 or ids.max() >= self.vocab_size:
            raise LsrError(
                f"sparse vectors: term ids {ids.min()}…{ids.max()} are outside the vocabulary of {self.vocab_size}"
            )
        inner = np.ones(len(ids), bool)
        starts = indptr[:-1]
        inner[starts[starts < len(ids)]] = False
        if np.any(np.diff(ids, prepend=-1)[inner] <= 0):
            raise LsrError("sparse vectors: a row's term ids are not ascending and unique")
        bad = ~(np.isfinite(weights) & (weights > 0))
        if bad.any():
            at = int(np.argmax(bad))
            row = int(np.searchsorted(indptr, at, side="right")) - 1
            raise LsrError(f"sparse vectors: weight {weights[at]} in row {row} is not positive and finite")


@dataclass(frozen=True, slots=True)
class TermContribution:
    """The part of a hit's score that one term of the query contributed.

    points: the query's weight as an integer, times the impact; a hit's points times one unit are its score, exactly.
    contribution: points times that unit. in_text: whether the term occurs in the document; if not, the encoder expanded
    the document to it. in_query: the same for the query.
    """

    term: str
    query_weight: float
    impact: int
    points: int
    contribution: float
    in_text: bool
    in_query: bool


@dataclass(frozen=True, slots=True)
class LegScore:
    """The score and rank of a hit in one leg of a hybrid search; None where the leg lacks it."""

    leg: str
    score: float | None
    rank: int | None


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found by a search.

    Attributes:
        rank: place among the results, from 1.
        doc_id: the document's id.
        score: dot product of query and document, exact but for the quantised weights; fused in a hybrid search.
        title: the document's title.
        text: the document's text; its best passage, where documents were cut into passages.
        fields: the document's fields, or those of them that the search asked for.
        query_id: id of the query in a file of queries.
        terms: what each term of the query added to the score, of an explained search; else None.
        passage: start and end of the best passage in the document's text; None where documents were not cut.
        legs: scores and ranks of the parts of a hybrid search; else None.
        path: path of the file that the document came from, of a search that asked for it by `locate`; else None.
        line: line of that file, counted from 1, where the stretch of text begins that says most about the query.
        page: the same as a page of a PDF. cell: as a cell of a notebook.
        stale: "changed" or "vanished" where the document's file has since it was indexed (`Index.sync` follows); else
            None.

    Example:
        >>> import lsr
        >>> index = lsr.index([{"id": "a", "text": "Trees grow slowly.", "year": 2024}], "my-index", encoder="bm25")
        >>> (hit,) = index.search("trees")
        >>> hit.rank, hit.doc_id, hit.fields["year"]
        (1, 'a', 2024)
    """

    rank: int
    doc_id: str
    score: float
    title: str = ""
    text: str = ""
    fields: Mapping[str, FieldValue] = field(default_factory=dict, hash=False)
    query_id: str | None = None
    terms: tuple[TermContribution, ...] | None = None
    passage: tuple[int, int] | None = None
    legs: tuple[LegScore, ...] | None = None
    stale: str | None = None
    path: str | None = None
    line: int | None = None
    page: int | None = None
    cell: int | None = None

    def __repr__(self) -> str:
        heading = f", title={_shortened(self.title)}" if self.title else ""
        text = f", text={_shortened(self.text)}" if self.text else ""
        return f"Hit(rank={self.rank}, doc_id={self.doc_id!r}, score={self.score:.6g}{heading}{text})"


@dataclass(frozen=True, slots=True)
class FacetValue:
    """A value of a field, and the number of matching documents that have it."""

    value: str | int | float | bool
    count: int


@dataclass(frozen=True, slots=True)
class MissingShard:
    """A shard of a set that a partial answer lacks.

    Attributes:
        name: name of the shard's folder.
        n_docs: number of its documents (or passages), none of which was searched.
        reason: error that it gave.
    """

    name: str
    n_docs: int
    reason: str


@dataclass(frozen=True, slots=True, repr=False)
class Results(Sequence[Hit]):
    """The hits of one query, best first: a sequence of `Hit` with facts of the search.

    Attributes:
        hits: the hits.
        query: text of the query; None for one that came encoded.
        query_id: id of the query in a file of queries.
        took_us: microseconds from the query's text to the hits; in a batch of queries, the mean of the batch.
        total: number of documents that hold a term of the query and pass the filter; None unless it was asked for.
        exact: whether no document can have been missed.
        facets: by field, the most frequent values among those documents.
        skipped: settings of an approximate search, and the superblocks that it scored and skipped; else None.
        missing: shards of a set that didn't answer, of a search that allows it (`partial=True`).

    Example:
        >>> import lsr
        >>> index = lsr.index(["Trees grow slowly.", "A tree house."], "my-index", encoder="bm25")
        >>> results = index.search("tree", k=1, total=True)
        >>> len(results), results.total, results.exact
        (1, 2, True)
    """

    hits: tuple[Hit, ...] = ()
    query: str | None = None
    query_id: str | None = None
    took_us: int = field(default=0, compare=False)
    total: int | None = None
    exact: bool = True
    facets: Mapping[str, tuple[FacetValue, ...]] = field(default_factory=dict, hash=False)
    skipped: Mapping[str, str | int | float] | None = field(default=None, hash=False)
    missing: tuple[MissingShard, ...] = ()

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    @overload
    def __getitem__(self, place: int) -> Hit: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Hit]: ...

    def __getitem__(self, place: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[place]

    def __repr__(self) -> str:
        count = "1 hit" if len(self.hits) == 1 else f"{len(self.hits):,} hits"
        if self.total is not None:
            count += f" of {self.total:,}"
        best = f", best {self.hits[0].doc_id!r} ({self.hits[0].score:.6g})" if self.hits else ""
        query = "" if self.query is None else f" for {_shortened(self.query)}"
        partial = f", without {', '.join(shard.name for shard in self.missing)}" if self.missing else ""
        return f"<Results: {count}{query}{best}{partial}, {self.took_us / 1000:.2f} ms>"

    def _repr_html_(self) -> str:
        """Return the hits as a table, as notebooks show it; texts are escaped."""
        from html import escape

        rows = "".join(
            f"<tr><td>{hit.rank}</td><td>{escape(hit.doc_id)}</td><td>{hit.score:.6g}</td>"
            f"<td>{escape(hit.title)}</td><td>{escape(_beginning(hit.text, 200))}</td></tr>"
            for hit in self.hits
        )
        heading = "<tr><th>rank</th><th>doc_id</th><th>score</th><th>title</th><th>text</th></tr>"
        return f"<table><caption>{escape(repr(self))}</caption>{heading}{rows}</table>"


def _beginning(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _shortened(text: str, length: int = 40) -> str:
    return repr(_beginning(text, length))
