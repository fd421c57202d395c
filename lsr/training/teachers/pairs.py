"""Scores of pairs, cached by the digests of both texts: of cross-encoders, and those of example files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np

from lsr.errors import LsrError, UsageError
from lsr.training.data.example import Example, Examples
from lsr.training.teachers.base import (
    Advance,
    Scores,
    TeacherRequest,
    Wanted,
    ignore,
    pair_digest,
    register_teacher,
)
from lsr.training.teachers.store import Store
from lsr.types import Document

SAVE_AT_ONCE = 256
"""Pairs that are scored, then cached, together: the most that a kill loses."""

PREPARE_AT_ONCE = 256
"""Examples whose pairs are looked up, sorted by length and scored together when a cache is filled."""

Pair = tuple[str, Document]


class PairScores:
    """Cached scores of pairs. compute: scores those that aren't cached; it receives pairs of similar length."""

    def __init__(self, store: Store, compute: Callable[[Sequence[Pair]], np.typing.NDArray[np.float32]]) -> None:
        self._store = store
        self._compute = compute

    def matrix(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None) -> Scores:
        """Return the wanted scores, NaN elsewhere."""
        cells = np.argwhere(np.ones((len(queries), len(documents)), bool) if wanted is None else wanted)
        pairs = [(queries[i], documents[j]) for i, j in cells.tolist()]
        scores = np.full((len(queries), len(documents)), np.nan, np.float32)
        scores[cells[:, 0], cells[:, 1]] = self.of(pairs)
        return scores

    def prepare(self, examples: Iterable[Example], advance: Advance) -> int:
        """Cache the scores of the examples' own documents; return the number of new ones."""
        stream, computed = iter(examples), 0
        while some := list(islice(stream, PREPARE_AT_ONCE)):
            pairs = {pair_digest(e.query, document): (e.query, document) for e in some for document in e.documents}
            known = self._store.get(list(pairs))
            computed += len(pairs) - len(known)
            self.of([pair for key, pair in pairs.items() if key not in known])
            advance(len(some))
        return computed

    def of(self, pairs: Sequence[Pair]) -> np.typing.NDArray[np.float32]:
        """Return the score of each pair."""
        keys = [pair_digest(query, document) for query, document in pairs]
        known = self._store.get(list(dict.fromkeys(keys)))
        missing = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in known}
        by_length = iter(sorted(missing, key=lambda key: len(missing[key][0]) + len(missing[key][1].full_text)))
        while some := list(islice(by_length, SAVE_AT_ONCE)):
            scores = self._compute([missing[key] for key in some])
            new = {key: np.float32(score).tobytes() for key, score in zip(some, scores, strict=True)}
            self._store.put(new)
            known.update(new)
        return np.frombuffer(b"".join(known[key] for key in keys), np.float32)


class FileTeacher:
    """Teacher that gives the scores of the examples' file."""

    name = "file"

    def __init__(self, examples: Examples) -> None:
        # Not in the cache: the examples have them already, and another file may score the same pairs.
        store = Store(None)
        waiting: dict[bytes, bytes] = {}
        for i in range(len(examples)):
            example = examples[i]
            if example.scores is None:
                continue
            for document, score in zip(example.documents, example.scores, strict=True):
                waiting[pair_digest(example.query, document)] = np.float32(score).tobytes()
            if len(waiting) >= 4096:
                store.put(waiting)
                waiting = {}
        store.put(waiting)
        if not len(store):
            raise LsrError("teacher file: no example brings a score: add the column 'scores', or take another teacher")
        self._scores = PairScores(store, self._lacking)

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return the scores of the file. Raises LsrError for a wanted pair that it doesn't score."""
        return self._scores.matrix(queries, documents, wanted)

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Return 0: there is nothing to cache."""
        return 0

    @staticmethod
    def _lacking(pairs: Sequence[Pair]) -> np.typing.NDArray[np.float32]:
        query, document = pairs[0]
        raise LsrError(
            f"teacher file: {len(pairs):,} pairs have no score, the first being query {query[:80]!r} with document "
            f"{document.doc_id!r}: score them in the file, or ask for the examples' own documents only"
        )


@register_teacher("file")
def open_file(request: TeacherRequest) -> FileTeacher:
    """Open the teacher of the examples' own scores. Raises UsageError without examples."""
    if request.examples is None:
        raise UsageError("teacher file: give the examples whose scores it has")
    return FileTeacher(request.examples)
