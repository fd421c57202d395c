"""Relevance judgements: BEIR's three columns with a header, TREC's four without."""

from __future__ import annotations

import re
from pathlib import Path

from lsr.errors import LsrError
from lsr.eval.data.trec_words import from_word
from lsr.io.text_files import numbered_lines

_WHOLE = re.compile(r"[+-]?\d{1,4000}", re.ASCII)

Qrels = dict[str, dict[str, int]]


def read_qrels(path: Path) -> Qrels:
    """Read `{query_id: {doc_id: relevance}}` from BEIR TSV (with or without its header) or TREC qrels; `.gz` or plain.

    The first line's number of columns decides: three (query_id, doc_id, relevance) or four (query_id, iteration,
    doc_id, relevance). A repeated judgement counts once. Raises LsrError, with file and line, for another
    number of columns, a relevance that isn't a whole number, two judgements that contradict each other; and for
    a file without judgements.
    """
    qrels: Qrels = {}
    n_columns = 0
    for number, line in numbered_lines(path):
        columns = _columns(line)
        if not n_columns:
            n_columns = len(columns)
            if n_columns not in (3, 4):
                raise LsrError(f"{path}:{number}: {n_columns} columns where qrels have 3 (BEIR) or 4 (TREC)")
            if _relevance(columns[-1]) is None:
                if _is_header(columns):
                    continue
                raise LsrError(f"{path}:{number}: neither a header nor a judgement: {line!r}")
        if len(columns) != n_columns:
            raise LsrError(f"{path}:{number}: {len(columns)} columns where the lines above have {n_columns}")
        query_id, doc_id = columns[0], columns[-2]
        if n_columns == 4:
            query_id, doc_id = from_word(query_id), from_word(doc_id)
        relevance = _relevance(columns[-1])
        if relevance is None:
            raise LsrError(f"{path}:{number}: the relevance {columns[-1]!r} is no whole number")
        known = qrels.setdefault(query_id, {}).setdefault(doc_id, relevance)
        if known != relevance:
            raise LsrError(
                f"{path}:{number}: document {doc_id!r} has relevance {relevance} for query {query_id!r},"
                f" but {known} further up"
            )
    if not qrels:
        raise LsrError(f"{path}: no judgements in the file")
    return qrels


def _columns(line: str) -> list[str]:
    """Split at tabs where there are any (BEIR ids may hold spaces), else at white space."""
    parts = line.split("\t") if "\t" in line else line.split()
    return [part.strip() for part in parts]


def _relevance(text: str) -> int | None:
    try:
        if _WHOLE.fullmatch(text):
            return int(text)
        value = float(text)
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None


def _is_header(columns: list[str]) -> bool:
    return columns[0].lower().replace("_", "-") in ("query-id", "qid", "query", "topic", "id", "queryid")
