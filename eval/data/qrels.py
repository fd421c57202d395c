"""Relevance judgements in and out: BEIR's three columns with a header, TREC's four without."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from lsr.errors import LsrError
from lsr.io.text_files import numbered_lines, written_whole

Qrels = dict[str, dict[str, int]]
_BEIR_HEADER = ("query-id", "corpus-id", "score")


def read_qrels(path: Path) -> Qrels:
    """Read `{query_id: {doc_id: relevance}}` from BEIR TSV (with or without its header) or TREC qrels; `.gz` or plain.

    The first line's number of columns tells which: three (query_id, doc_id, relevance) or four (query_id, iteration,
    doc_id, relevance). A judgement given twice alike counts once. Raises LsrError, with file and line, for another
    number of columns, a relevance that is no whole number, two judgements that contradict each other; and for
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


def write_qrels_trec(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write TREC qrels, `query_id 0 doc_id relevance`. Raises LsrError for an id with white space in it."""
    with written_whole(path) as file:
        for query_id, judged in qrels.items():
            for doc_id, relevance in judged.items():
                if len(query_id.split()) != 1 or len(doc_id.split()) != 1:
                    raise LsrError(f"TREC qrels can't hold the ids {query_id!r}, {doc_id!r}: each must be one word")
                file.write(f"{query_id} 0 {doc_id} {relevance}\n")


def write_qrels_beir(path: Path, qrels: Mapping[str, Mapping[str, int]]) -> None:
    """Write BEIR qrels: a header, then `query-id TAB corpus-id TAB score`. Raises LsrError for an id with a tab."""
    with written_whole(path) as file:
        file.write("\t".join(_BEIR_HEADER) + "\n")
        for query_id, judged in qrels.items():
            for doc_id, relevance in judged.items():
                if "\t" in query_id + doc_id or "\n" in query_id + doc_id:
                    raise LsrError(f"BEIR qrels can't hold the ids {query_id!r}, {doc_id!r}: tabs part the columns")
                file.write(f"{query_id}\t{doc_id}\t{relevance}\n")


def _columns(line: str) -> list[str]:
    """Split at tabs where there are any (BEIR ids may hold spaces), else at white space."""
    parts = line.split("\t") if "\t" in line else line.split()
    return [part.strip() for part in parts]


def _relevance(text: str) -> int | None:
    try:
        value = float(text)
        return int(value) if value == int(value) else None
    except (ValueError, OverflowError):
        return None


def _is_header(columns: list[str]) -> bool:
    return columns[0].lower().replace("_", "-") in ("query-id", "qid", "query", "topic", "id", "queryid")
