"""Import of records into a table: documents are looked up, empty texts are counted and left out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lsr.training.data.sources.corpus import CorpusTable
from lsr.training.data.sources.records import RawExample, Reference, bad
from lsr.training.data.sources.table import TableWriter
from lsr.types import Document

MAX_REMEMBERED = 500_000
"""Documents whose rows are cached, some 50 MB; one that comes again later than that is stored again."""


@dataclass(slots=True)
class ExamplesReport:
    """Counts of a reading of examples, with the place of the first record that was left out."""

    n_records: int = 0
    n_examples: int = 0
    n_with_scores: int = 0
    n_negatives: int = 0
    n_empty_queries: int = 0
    n_empty_positives: int = 0
    n_empty_negatives: int = 0
    n_missing_documents: int = 0
    first_left_out: str = ""

    def add(self, other: ExamplesReport) -> None:
        """Add the counts of another report."""
        for field in fields(self)[:-1]:
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))
        self.first_left_out = self.first_left_out or other.first_left_out

    def to_json(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return asdict(self)

    def summary(self) -> list[str]:
        """Return a summary in lines."""
        lines = [f"read {self.n_examples:,} examples with {self.n_negatives:,} negatives of {self.n_records:,} records"]
        left_out = {
            "without a query": self.n_empty_queries,
            "without a positive": self.n_empty_positives,
            "empty negatives": self.n_empty_negatives,
            "documents that the corpus lacks": self.n_missing_documents,
        }
        found = [f"{count:,} {what}" for what, count in left_out.items() if count]
        return lines + ([f"left out: {', '.join(found)} (first: {self.first_left_out})"] if found else [])


class ExampleImporter:
    """Importer of examples into a table, which stores a document that several examples share once."""

    def __init__(
        self, writer: TableWriter, corpus: CorpusTable | None, *, max_negatives: int | None, refuse_empty: bool
    ) -> None:
        self.report = ExamplesReport()
        self._writer = writer
        self._corpus = corpus
        self._max_negatives = max_negatives
        self._refuse_empty = refuse_empty
        self._rows: dict[int, int] = {}

    def add(self, raws: list[RawExample], place: str) -> None:
        """Add the examples of one record. Raises BadDocumentError for empty texts where they are refused."""
        self.report.n_records += 1
        if not raws:
            self._leave_out("n_empty_positives", place, "no positive")
        for raw in raws:
            if not raw.query.strip():
                self._leave_out("n_empty_queries", place, "the query is empty")
                continue
            self._add(raw, place)

    def _add(self, raw: RawExample, place: str) -> None:
        scores = raw.scores or [0.0] * len(raw.documents)
        rows, kept = [], []
        for i, (reference, score) in enumerate(zip(raw.documents, scores, strict=True)):
            row = self._row(reference, place, positive=i == 0)
            if row is not None:
                rows.append(row)
                kept.append(score)
            elif i == 0:
                return
            if self._max_negatives is not None and len(rows) > self._max_negatives:
                break
        if not rows:
            self._leave_out("n_empty_positives", place, "no document")
            return
        self._writer.example(raw.query, rows, None if raw.scores is None else kept)
        self.report.n_examples += 1
        self.report.n_with_scores += raw.scores is not None
        self.report.n_negatives += len(rows) - 1

    def _row(self, reference: Reference, place: str, *, positive: bool) -> int | None:
        """Return a document's row in the table, None for one that is left out."""
        if isinstance(reference, str):
            assert self._corpus is not None
            row = self._corpus.row(reference)
            if row is None:
                self._leave_out("n_missing_documents", place, f"no document {reference!r} in the corpus")
                return None
            return ~row
        if not (reference.text.strip() or reference.title.strip()):
            name = "positive" if positive else "negative"
            self._leave_out(f"n_empty_{name}s", place, f"the {name} is empty")
            return None
        return self._store(reference)

    def _store(self, document: Document) -> int:
        # A hash of 64 bits: of the most that are remembered, two collide with a probability of 1e-8.
        key = hash((document.doc_id, document.title, document.text))
        row = self._rows.get(key)
        if row is None:
            if len(self._rows) >= MAX_REMEMBERED:
                self._rows.clear()
            row = self._rows[key] = self._writer.document(document)
        return row

    def _leave_out(self, count: str, place: str, what: str) -> None:
        if self._refuse_empty:
            raise bad(place, f"{what}; correct it, or drop such records (empty='drop')")
        setattr(self.report, count, getattr(self.report, count) + 1)
        self.report.first_left_out = self.report.first_left_out or f"{place}: {what}"

    def finish(self) -> None:
        """Write the report, and the corpus of the rows, beside the examples."""
        self._writer.meta["report"] = self.report.to_json()
        if self._corpus is not None:
            documents = self._corpus.documents
            self._writer.meta["corpus"] = {"path": str(self._corpus.path), "n_docs": len(documents)}
