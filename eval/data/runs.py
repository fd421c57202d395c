"""TREC runs in and out.

A run is `{query_id: {doc_id: score}}`. Evaluation tools order it by score alone and break ties each in its own way,
trec_eval after rounding scores to float32. So what is written here has scores that strictly decrease even as float32:
every tool then sees the one order that the system gave.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError
from lsr.eval.data.trec_words import from_word, to_word
from lsr.io.text_files import numbered_lines, written_whole

Run = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents found for a query, best first: `scores[i]` belongs to `doc_ids[i]` and never increases."""

    query_id: str
    doc_ids: Sequence[str]
    scores: Sequence[float] | npt.NDArray[np.floating]


def strictly_decreasing(scores: Sequence[float] | npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Return scores that strictly decrease, as near to the given ones as float32 allows.

    scores: (n), finite, never increasing. Each result is the score itself or, where it ties with the one before
    (or ties once rounded), the next smaller float32. Raises LsrError for a score out of order or not finite.
    """
    given = np.asarray(scores, dtype=np.float64)
    limit = float(np.finfo(np.float32).max)
    if not np.all(np.abs(given) < limit):  # catches NaN too
        raise LsrError(f"scores must be finite and below {limit:.3g}, not {given[~(np.abs(given) < limit)][0]}")
    if np.any(given[1:] > given[:-1]):
        at = int(np.argmax(given[1:] > given[:-1])) + 1
        raise LsrError(f"scores must not increase down a ranking: {given[at - 1]} is followed by {given[at]}")
    result: npt.NDArray[np.float32] = given.astype(np.float32)
    if np.all(result[1:] < result[:-1]):
        return result
    below = np.float32(-np.inf)
    for i in range(1, len(result)):
        if result[i] >= result[i - 1]:
            result[i] = np.nextafter(result[i - 1], below)
    return result


def run_of(rankings: Iterable[Ranking]) -> Run:
    """Return the run of some rankings, with scores made strictly decreasing, so that measures keep their order.

    Raises LsrError where a query or, within a query, a document comes twice.
    """
    run: Run = {}
    for ranking in rankings:
        if ranking.query_id in run:
            raise LsrError(f"query {ranking.query_id!r} has two rankings: a run holds one a query")
        scores = strictly_decreasing(ranking.scores)
        found = {doc_id: float(score) for doc_id, score in zip(ranking.doc_ids, scores, strict=True)}
        if len(found) != len(scores):
            raise LsrError(f"query {ranking.query_id!r}: a document is twice in its ranking")
        run[ranking.query_id] = found
    return run


def rankings_of(run: Mapping[str, Mapping[str, float]]) -> Iterator[Ranking]:
    """Yield a run's rankings in trec_eval's order: score (as float32) descending, then doc_id descending."""
    for query_id, found in run.items():
        ordered = trec_order(found)
        yield Ranking(query_id, ordered, [found[doc_id] for doc_id in ordered])


def trec_order(found: Mapping[str, float]) -> list[str]:
    """Return the doc_ids of one query's results in the order that trec_eval sees them in."""
    rounded = np.fromiter(found.values(), dtype=np.float64, count=len(found)).astype(np.float32)
    ordered = sorted(zip(rounded.tolist(), map(_as_bytes, found), found, strict=True), reverse=True)
    return [doc_id for _, _, doc_id in ordered]


def _as_bytes(doc_id: str) -> bytes:
    # trec_eval compares with strcmp, byte by byte.
    return doc_id.encode("utf-8", "surrogatepass")


def write_run(path: Path, rankings: Iterable[Ranking], *, tag: str = "lsr") -> int:
    """Write a TREC run, `query_id Q0 doc_id rank score tag`, and return how many lines it has.

    The file appears whole or not at all; `.gz` is compressed. White space in ids becomes %XX, which `read_run` turns
    back. Raises LsrError for a tag with white space, an empty id, a query that comes twice, and scores that increase.
    """
    _check_word(tag, "tag")
    n_lines = 0
    seen: set[str] = set()
    with written_whole(path) as file:
        for ranking in rankings:
            if ranking.query_id in seen:
                raise LsrError(f"query {ranking.query_id!r} has two rankings: a run holds one a query")
            seen.add(ranking.query_id)
            for line in run_lines(ranking, tag=tag):
                file.write(line)
                n_lines += 1
    return n_lines


def run_lines(ranking: Ranking, *, tag: str) -> Iterator[str]:
    """Yield a ranking's lines of a TREC run, each with its line end."""
    query_id = to_word(ranking.query_id, "query_id")
    scores = strictly_decreasing(ranking.scores)
    for rank, (doc_id, score) in enumerate(zip(ranking.doc_ids, scores, strict=True), 1):
        # The shortest text that reads back as this very float32; as a double it orders just the same.
        yield f"{query_id} Q0 {to_word(doc_id, 'doc_id')} {rank} {score!s} {tag}\n"


def _check_word(word: str, what: str) -> str:
    if not word or len(word.split()) != 1 or word != word.strip():
        raise LsrError(f"a TREC run can't hold the {what} {word!r}: it must be one word; use --json instead")
    return word


def read_run(path: Path) -> Run:
    """Read a TREC run: six columns between tabs or spaces, `.gz` or plain, in any order of lines.

    Scores alone count, as in trec_eval; the rank column is not used. Raises LsrError, with file and line, for a line
    of another shape, a score that is no finite number, a document twice in a query; and for a run without any line.
    """
    run: Run = {}
    for number, line in numbered_lines(path):
        columns = line.split()
        if len(columns) != 6:
            raise LsrError(
                f"{path}:{number}: {len(columns)} columns where a TREC run has 6: query_id Q0 doc_id rank score tag"
            )
        query_id, doc_id, text = from_word(columns[0]), from_word(columns[2]), columns[4]
        try:
            score = float(text)
        except ValueError:
            raise LsrError(f"{path}:{number}: the score {text!r} is no number") from None
        if not math.isfinite(score):
            raise LsrError(f"{path}:{number}: the score of {doc_id!r} for query {query_id!r} is {text}, not finite")
        found = run.setdefault(query_id, {})
        if doc_id in found:
            raise LsrError(f"{path}:{number}: document {doc_id!r} comes a second time for query {query_id!r}")
        found[doc_id] = score
    if not run:
        raise LsrError(f"{path}: an empty run; a system that found nothing for any query has nothing to evaluate")
    return run
