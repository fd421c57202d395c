"""PISA, and whatever else reads the Common Index File Format: an inverted index of whole weights."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lsr.handoff.ciff import CiffList, document, header, posting_list, write_messages
from lsr.handoff.engine import Engine, Facts, Point, QueryTerms

DATA = "index.ciff"
LARGEST_WEIGHT = 1023
"""Of a query: 10 bits, whose products with impacts sum to less than the 2²⁴ that a float32 holds exactly."""


class Pisa(Engine):
    """One file of CIFF; a query is a line of weighted terms."""

    name, title = "pisa", "PISA (CIFF)"

    def writer(self, folder: Path, facts: Facts) -> CiffWriter:
        """Return a writer of CIFF, which holds all postings in memory: 9 bytes each."""
        return CiffWriter(folder / DATA, facts)

    def fault(self, point: Point) -> str | None:
        """Return the limit of names: PISA keeps documents and terms a line each."""
        broken = any("\n" in text or "\r" in text for text in (point.doc_id, *point.terms))
        return "a line end in a doc_id or term" if broken else None

    def body(self, query: QueryTerms, k: int) -> tuple[Any, float]:
        """Return the terms with whole weights."""
        whole, unit = query.whole(LARGEST_WEIGHT)
        return whole.by_term, unit

    def files(self, facts: Facts) -> dict[str, str]:
        """Return what to do with the data."""
        readme = f"""{facts.n_docs:,} documents in the Common Index File Format.

    ciff2pisa --ciff-file data/{DATA} --output inverted          (from github.com/pisa-engine/ciff)
    compress_inverted_index --encoding block_simdbp --collection inverted --output index.simdbp
    create_wand_data --collection inverted --output index.bmw --block-size 64 --scorer quantized

    import lsr.handoff
    weights = lsr.handoff.open(".").query("a question")         # whole weights by term, for --weighted queries

Query weights are whole numbers of 10 bits, so documents of nearly equal scores may change places.
A score times `handoff.encode("a question").unit` is the score of the index.
"""
        return {"README.txt": readme}


class CiffWriter:
    """Collects postings, and writes them by term."""

    def __init__(self, path: Path, facts: Facts) -> None:
        self._path, self._facts = path, facts
        self._points: list[tuple[int, str, int]] = []
        self._term_ids: list[Any] = []
        self._impacts: list[Any] = []
        self._names: dict[int, str] = {}

    def write(self, point: Point) -> None:
        """Take one document."""
        self._points.append((point.position, point.doc_id, int(point.impacts.sum(dtype=np.int64))))
        self._term_ids.append(point.term_ids)
        self._impacts.append(point.impacts)
        self._names.update(zip(point.term_ids.tolist(), point.terms, strict=True))

    def close(self) -> None:
        """Write the file."""
        if not self._points:
            return
        total = sum(length for _, _, length in self._points)
        described = f"lsr, score of a point {self._facts.scale!r}"
        with self._path.open("wb") as file:
            count = len(self._points)
            write_messages(file, [header(len(self._names), count, total, total / count, described)])
            write_messages(file, (posting_list(found) for found in self._lists()))
            write_messages(file, (document(*point) for point in self._points))

    def _lists(self) -> Iterator[CiffList]:
        lengths = [len(ids) for ids in self._term_ids]
        positions = np.repeat(np.array([position for position, _, _ in self._points], np.int64), lengths)
        term_ids = np.concatenate(self._term_ids)
        impacts = np.concatenate(self._impacts)
        order = np.argsort(term_ids, kind="stable")
        term_ids, positions, impacts = term_ids[order], positions[order], impacts[order]
        for term_id in sorted(self._names, key=lambda i: self._names[i].encode("utf-8")):
            first, last = np.searchsorted(term_ids, [term_id, term_id + 1]).tolist()
            pairs = zip(positions[first:last].tolist(), impacts[first:last].tolist(), strict=True)
            yield CiffList(self._names[term_id], list(pairs))


ENGINE = Pisa()
