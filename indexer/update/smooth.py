"""Documents smoothed over their neighbours: a term that near documents have counts for a document, too.

Near documents are relevant to the same queries (van Rijsbergen's cluster hypothesis, 1979). So each document's vector
is mixed with the mean of its nearest ones', as documents' language models are in Liu and Croft, "Cluster-Based
Retrieval Using Language Models" (SIGIR 2004), and Tao et al., "Language Model Information Retrieval with Document
Expansion" (NAACL 2006). Which are near, dense vectors say; a search needs neither these nor any further work.
Exact words stay as they are: they say what a text holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, UsageError
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.arrays import save_arrays
from lsr.indexer.storage.generations import hold_newest
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import Manifest, SegmentInfo
from lsr.indexer.storage.segment import Segment
from lsr.indexer.update.reweigh import link, stored_rows
from lsr.indexer.write.transaction import Workplace, explained
from lsr.indexer.write.writer import now
from lsr.io.progress import NoProgress, Progress
from lsr.kernels.geometry import LARGEST_IMPACT
from lsr.version import __version__

CELLS = 1 << 24
"""Cosines, and postings, that are worked on at a time."""


@dataclass(frozen=True, slots=True)
class Smoothing:
    """Settings of document smoothing.

    share: of neighbours in a document's weights, 0 to 0.9. nearest: number of neighbours. terms: largest number of a
    model's terms that a document keeps.
    """

    share: float = 0.3
    nearest: int = 8
    terms: int = 130

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        if not 0 < self.share <= 0.9:
            raise UsageError(f"smoothing: share is {self.share}; it must be above 0 and at most 0.9")
        for name in ("nearest", "terms"):
            if getattr(self, name) < 1:
                raise UsageError(f"smoothing: {name} is {getattr(self, name)}; it must be at least 1")


class Rows(NamedTuple):
    """Rows of impacts, CSR: indptr int64, term_ids uint32 ascending in a row, impacts."""

    indptr: npt.NDArray[np.int64]
    term_ids: npt.NDArray[np.uint32]
    impacts: npt.NDArray[np.float32]


def smooth_index(path: str | Path, smoothing: Smoothing | None = None, *, progress: Progress | None = None) -> Manifest:
    """Smooth the documents of an index over their neighbours, as its next generation.

    Memory holds the dense vectors in 4 bytes a number, and 8 bytes a posting; the work grows with the square of the
    documents (`nearest_rows`). Raises UsageError for an index without dense vectors, one whose weights depend on its
    corpus, one that is smoothed, and a set; IndexMissingError, IndexDamagedError, IndexLockedError.
    """
    path, settings = Path(path), smoothing or Smoothing()
    refuse_set(path, "documents are smoothed in")
    hold_newest(path)[1].release()
    with Workplace.for_existing(path) as place, explained(path, place), StoredIndex.open(path) as index:
        _check(index)
        rows, live = _model_rows(index), np.concatenate([_live(segment) for segment in index.segments])
        listener = progress or NoProgress()
        listener.start("smoothing", len(live), "document")
        smoothed = smooth_rows(rows, _dense_rows(index), live, settings, listener)
        segments = _with_rows(place, index, smoothed)
        manifest = replace(
            index.manifest,
            generation=place.generation,
            created=now(),
            library_version=__version__,
            segments=segments,
            smoothing={**asdict(settings), "n_docs": int(live.sum())},
        )
        place.commit(manifest)
        return manifest


def smooth_rows(
    rows: Rows,
    dense: npt.NDArray[np.float32],
    live: npt.NDArray[np.bool_],
    settings: Smoothing,
    progress: Progress | None = None,
) -> Rows:
    """Return rows mixed with those of their neighbours; impacts are whole, 1 … 255.

    dense: float32, (n, dimension), a row each. live: rows that are there; the others stay as they are, and are nobody's
    neighbours. A document's own weights keep their size: what its neighbours add comes on top, in the proportion of
    `share` to the rest.
    """
    parts = []
    for first, nearest, weights in nearest_rows(dense, live, settings.nearest):
        parts.append(
            _mixed(rows, first, nearest, weights * np.float32(settings.share / (1 - settings.share)), settings)
        )
        if progress is not None:
            progress.advance(len(nearest))
    lengths = np.concatenate([lengths for lengths, _, _ in parts])
    indptr = np.concatenate(([0], np.cumsum(lengths)))
    return Rows(
        indptr, np.concatenate([terms for _, terms, _ in parts]), np.concatenate([values for *_, values in parts])
    )


def nearest_rows(
    dense: npt.NDArray[np.float32], live: npt.NDArray[np.bool_], nearest: int
) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    """Yield stretches of rows: the first, the nearest rows of each, and their cosines, divided by the row's sum.

    All pairs are compared: 100,000 documents of 384 numbers take 8 · 10¹² operations. A row has weights of 0 where
    nothing has a cosine above 0, or it isn't live.
    """
    lengths = np.linalg.norm(dense, axis=1, keepdims=True)
    units = dense / np.where(lengths > 0, lengths, np.float32(1.0))
    n = len(units)
    kept = min(nearest, max(n - 1, 1))
    step = max(1, CELLS // max(n, 1))
    for first in range(0, n, step):
        cosines = np.maximum(units[first : first + step] @ units.T, 0.0)
        cosines[:, ~live] = 0.0
        rows = np.arange(len(cosines))
        cosines[rows, first + rows] = 0.0
        cosines[~live[first : first + step]] = 0.0
        found = np.argpartition(-cosines, kept - 1, axis=1)[:, :kept]
        weights = np.take_along_axis(cosines, found, 1)
        sums = weights.sum(axis=1, keepdims=True)
        yield first, found.astype(np.int64), (weights / np.where(sums > 0, sums, 1.0)).astype(np.float32)


def _mixed(
    rows: Rows,
    first: int,
    nearest: npt.NDArray[np.int64],
    weights: npt.NDArray[np.float32],
    settings: Smoothing,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    """Return lengths, term ids and impacts of some rows, a few at a time. weights: of the neighbours' impacts."""
    mean_length = max(1.0, len(rows.term_ids) / max(1, len(rows.indptr) - 1))
    step = max(1, int(CELLS / 16 / mean_length / (nearest.shape[1] + 1)))
    parts = []
    for start in range(0, len(nearest), step):
        own = np.arange(start, min(start + step, len(nearest)))
        sources = np.column_stack([first + own, nearest[own]])
        shares = np.column_stack([np.ones(len(own), np.float32), weights[own]])
        parts.append(_sums(rows, sources, shares, settings.terms))
    return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))  # type: ignore[return-value]


def _sums(
    rows: Rows, sources: npt.NDArray[np.int64], shares: npt.NDArray[np.float32], most: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32], npt.NDArray[np.float32]]:
    """Return the weighted sums of rows: of each, its largest `most` impacts. sources, shares: (n, n_sources)."""
    n, n_sources = sources.shape
    lengths = np.diff(rows.indptr)[sources].ravel()
    ends = np.cumsum(lengths)
    at = np.arange(int(ends[-1])) + np.repeat(rows.indptr[:-1][sources].ravel() - (ends - lengths), lengths)
    of = np.repeat(np.repeat(np.arange(n), n_sources), lengths)
    values = rows.impacts[at].astype(np.float64) * np.repeat(shares.ravel(), lengths)
    keys = (of << 32) | rows.term_ids[at].astype(np.int64)
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    begins = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1]))) if len(keys) else np.empty(0, np.int64)
    keys = keys[begins]
    sums = np.minimum(np.rint(np.add.reduceat(values, begins)), LARGEST_IMPACT) if len(begins) else np.empty(0)
    of, terms = keys >> 32, (keys & 0xFFFFFFFF).astype(np.uint32)
    by_size = np.lexsort((terms, -sums, of))
    starts = np.searchsorted(of, np.arange(n))
    ranks = np.empty(len(of), np.int64)
    ranks[by_size] = np.arange(len(of)) - starts[of[by_size]]
    kept = (ranks < most) & (sums >= 1)
    return np.bincount(of[kept], minlength=n), terms[kept], sums[kept].astype(np.float32)


def _check(index: StoredIndex) -> None:
    manifest = index.manifest
    if len(index) == 0:
        raise LsrError(f"the index at {index.path} holds no document to smooth")
    if manifest.smoothing is not None:
        raise UsageError(
            f"the index at {index.path} is smoothed already, and what was before isn't kept: index the corpus again"
        )
    if manifest.pruning is not None:
        raise UsageError(
            f"the index at {index.path} is pruned, and smoothing adds terms: index the corpus again without pruning"
        )
    if manifest.dense is None:
        raise UsageError(
            f"the index at {index.path} has no dense vectors, which say which documents are near: add them by "
            f"'lsr index --index {index.path} --dense E'"
        )
    if manifest.encoder.get("needs_corpus_statistics", False):
        raise UsageError(
            f"the index at {index.path} is of {manifest.encoder.get('name')}, whose weights follow from its documents "
            "alone: smooth an index of a learned model"
        )


def _live(segment: Segment) -> npt.NDArray[np.bool_]:
    """Return the documents that are not deleted, by doc_ord."""
    live: npt.NDArray[np.bool_] = segment.live_rows[segment.arrays["insertion"]]
    return live


def _dense_rows(index: StoredIndex) -> npt.NDArray[np.float32]:
    """Return the dense vectors of all segments by doc_ord."""
    parts = [
        np.asarray(segment.dense, np.float32)[segment.arrays["insertion"]]
        for segment in index.segments
        if segment.dense is not None
    ]
    return np.concatenate(parts)


def _first_word(index: StoredIndex) -> int:
    """Return the least term id of an exact word; the number of terms where there are no words."""
    words = index.manifest.encoder.get("settings", {}).get("words")
    return len(index.vocabulary) if words is None else int(words["n_model_terms"])


def _rows_of(segment: Segment) -> Rows:
    indptr, local, impacts = stored_rows(segment)
    return Rows(indptr, segment.terms[local].astype(np.uint32), impacts.astype(np.float32))


def _parted(rows: Rows, first_word: int, *, words: bool) -> Rows:
    """Return the part of rows that is of words, or of the model's terms."""
    kept = (rows.term_ids >= first_word) == words
    counts = np.concatenate(([0], np.cumsum(kept)))
    return Rows(counts[rows.indptr], rows.term_ids[kept], rows.impacts[kept])


def _model_rows(index: StoredIndex) -> Rows:
    """Return the model's terms of all documents, one segment after another, by doc_ord."""
    first_word = _first_word(index)
    parts = [_parted(_rows_of(segment), first_word, words=False) for segment in index.segments]
    starts = np.cumsum([0, *(len(part.term_ids) for part in parts)])
    indptr = [part.indptr[:-1] + start for part, start in zip(parts, starts, strict=False)]
    return Rows(
        np.concatenate([*indptr, starts[-1:]]),
        np.concatenate([part.term_ids for part in parts]),
        np.concatenate([part.impacts for part in parts]),
    )


def _with_rows(place: Workplace, index: StoredIndex, smoothed: Rows) -> tuple[SegmentInfo, ...]:
    """Write each segment again with other postings of the model's terms; everything else is linked."""
    from lsr.indexer.write.invert import inverted

    first_word, vocab_size = _first_word(index), len(index.vocabulary)
    segments, done = [], 0
    for number, segment in enumerate(index.segments):
        words = _parted(_rows_of(segment), first_word, words=True)
        span = smoothed.indptr[done : done + segment.n_docs + 1]
        done += segment.n_docs
        inner = slice(int(span[0]), int(span[-1]))
        model = Rows(span - span[0], smoothed.term_ids[inner], smoothed.impacts[inner])
        rows = _joined((model, words))
        arrays = inverted(
            rows.indptr, rows.term_ids.astype(np.int32), rows.impacts.astype(np.uint8), vocab_size,
            counts=None, order=np.arange(segment.n_docs), reorder=False, threads=1, advance=lambda n: None,  # noqa: ARG005
        )  # fmt: skip
        arrays["insertion"] = segment.arrays["insertion"]
        folder = place.folder(f"smoothed-{number}")
        files = save_arrays(folder, arrays)
        for name, info in segment.info.part.files.items():
            if name not in files:
                link(segment.files / name, folder / name)
                files[name] = info
        part = place.keep("segments", folder, files)
        segments.append(replace(segment.info, part=part, n_postings=len(rows.term_ids)))
    return tuple(segments)


def _joined(parts: Sequence[Rows]) -> Rows:
    """Return rows that hold the terms of several, one behind the other: the ids of each are above the former's."""
    of = np.concatenate([np.repeat(np.arange(len(part.indptr) - 1), np.diff(part.indptr)) for part in parts])
    order = np.argsort(of, kind="stable")
    return Rows(
        np.sum([part.indptr for part in parts], axis=0),
        np.concatenate([part.term_ids for part in parts])[order],
        np.concatenate([part.impacts for part in parts])[order],
    )
