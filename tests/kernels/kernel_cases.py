"""Collections, queries and scratch for the kernel tests, and the table of the traversals under test.

A collection is drawn by numpy from a recipe that Hypothesis draws: that gives thousands of documents
in a millisecond, and the recipe still shrinks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lsr.kernels import geometry
from lsr.kernels.build.layout import Postings, build
from lsr.kernels.geometry import SUPERBLOCK
from lsr.kernels.traversals.blockmax import search_blockmax
from lsr.kernels.traversals.exhaustive import search_exhaustive
from lsr.kernels.traversals.scratch import Scratch, make_scratch
from lsr.kernels.traversals.superblock import search_superblock
from lsr.kernels.traversals.topk import NO_FILTER, Admission

VISITS_ONLY, PAGES_ONLY = 2**62, -1
"""For `most` of `search_blockmax`: superblocks are always scored one by one, or never."""


def _blockmax_or_pages(postings: Postings, *call: Any) -> None:
    """Search by pages if the bounds promise at least half of the superblocks."""
    search_blockmax(postings, *call, np.zeros(3, np.int64), len(postings.insertion) // SUPERBLOCK // 2)


TRAVERSALS: dict[str, Callable[..., None]] = {
    "exhaustive": search_exhaustive,
    "blockmax": lambda *call: search_blockmax(*call, np.zeros(3, np.int64), VISITS_ONLY),
    "pages": lambda *call: search_blockmax(*call, np.zeros(3, np.int64), PAGES_ONLY),
    "blockmax-or-pages": _blockmax_or_pages,
    "superblock": lambda *call: search_superblock(*call, np.zeros(2, np.int64)),
}
"""Every exact traversal, called as `search_exhaustive` is. One line here puts a new one through all tests."""


def admit(base: int = 0, allowed: npt.NDArray[np.uint64] = NO_FILTER, initial_threshold: int = 1) -> Admission:
    """Return which documents of a segment may enter the heap; default: all."""
    return Admission(base, allowed, np.uint64(initial_threshold))


Query = tuple[npt.NDArray[np.int64], npt.NDArray[np.uint32]]
"""Terms and their weights."""

UNCOMPILED = bool(numba.config.DISABLE_JIT)
LARGEST_WEIGHT_SUM = (2**32 - 1) // 255
"""Of a query's weights: times the impact 255 it is exactly 2³² − 1, the largest score."""
POISON = 0xABABABAB
GUARD = 64
STORED_K = np.array(geometry.STORED_K, np.int64)

EVERYDAY_CASES = 320
PROPERTY_CASES = int(os.environ.get("LSR_PROPERTY_CASES", EVERYDAY_CASES))
"""Cases that each traversal goes through: the same ones in every run, unless more are asked for."""
settings.register_profile(
    "kernels",
    derandomize=PROPERTY_CASES <= EVERYDAY_CASES,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def property_cases(share: int) -> settings:
    """Return the settings of a property test that takes one in `share` of a traversal's cases."""
    return settings(settings.get_profile("kernels"), max_examples=max(1, -(-PROPERTY_CASES // share)))


@dataclass(frozen=True)
class Collection:
    """A recipe of documents: the same recipe makes the same documents."""

    seed: int = 0
    n_docs: int = 300
    n_terms: int = 20
    terms: str = "mixed"  # or "rare", "frequent"
    impacts: str = "any"  # or "few", "largest"
    n_distinct: int = 0  # 0: every document is drawn on its own; else all are copies of so many
    empty_share: float = 0.1

    def matrix(self) -> npt.NDArray[np.uint8]:
        """Make the impacts, documents × terms, documents in the order of insertion."""
        rng = np.random.default_rng([self.seed, self.n_docs, self.n_terms])
        low, high = {"mixed": (-3.3, 0.0), "rare": (-3.3, -1.9), "frequent": (-1.5, 0.0)}[self.terms]
        n_drawn = min(self.n_distinct or self.n_docs, self.n_docs)
        shape = (n_drawn, self.n_terms)
        present = rng.random(shape) < 10 ** rng.uniform(low, high, self.n_terms)
        present[rng.random(n_drawn) < self.empty_share] = False
        least, most = {"any": (1, 255), "few": (1, 2), "largest": (255, 255)}[self.impacts]
        drawn = np.where(present, rng.integers(least, most, shape, endpoint=True), 0).astype(np.uint8)
        return drawn[rng.integers(0, n_drawn, self.n_docs)] if 0 < n_drawn < self.n_docs else drawn


def forward_rows(matrix: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Return indptr, term_ids and impacts of a documents × terms matrix."""
    docs, term_ids = np.nonzero(matrix)
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(matrix, axis=1))]).astype(np.int64)
    return indptr, term_ids.astype(np.uint32), matrix[docs, term_ids]


def read_only(postings: Postings) -> Postings:
    """Forbid writing, as to arrays that are mapped from a file."""
    for array in postings:
        array.flags.writeable = False
    return postings


def invert(matrix: npt.NDArray[np.uint8], order: npt.NDArray[np.int64] | None = None) -> Postings:
    """Build the read-only postings of a matrix; order: doc_ord → row, ascending if left out."""
    order = np.arange(len(matrix)) if order is None else order
    return read_only(build(*forward_rows(matrix), matrix.shape[1], order))


@dataclass(frozen=True)
class Segment:
    """Some of a collection's documents: those from `base` on in the order of insertion."""

    postings: Postings
    base: int
    order: npt.NDArray[np.int64]


@lru_cache(maxsize=8)
def segments_of(
    collection: Collection, n_segments: int = 1, order: str = "shuffled"
) -> tuple[npt.NDArray[np.uint8], tuple[Segment, ...]]:
    """Return a collection's matrix, and its documents in so many segments, which may be empty."""
    matrix = collection.matrix()
    rng = np.random.default_rng(collection.seed)
    cuts = [0, *np.sort(rng.integers(0, len(matrix) + 1, n_segments - 1)).tolist(), len(matrix)]
    segments = []
    for start, end in pairwise(cuts):
        ascending = np.arange(end - start)
        orders = {"added": ascending, "reversed": ascending[::-1].copy(), "shuffled": rng.permutation(ascending)}
        segments.append(Segment(invert(matrix[start:end], orders[order]), start, orders[order]))
    return matrix, tuple(segments)


def draw_query(seed: int, n_terms: int, length: int, weights: str) -> Query:
    """Draw terms in no order, and weights: "any" (0 among them), "equal", or "largest", whose sum is the largest."""
    rng = np.random.default_rng([seed, n_terms, length])
    terms = rng.permutation(n_terms)[:length]
    if weights == "equal" or len(terms) == 0:
        return terms, np.full(len(terms), 7, np.uint32)
    if weights == "any":
        return terms, rng.integers(0, LARGEST_WEIGHT_SUM // len(terms), len(terms)).astype(np.uint32)
    cuts = np.sort(rng.integers(0, LARGEST_WEIGHT_SUM + 1, len(terms) - 1))
    return terms, np.diff(cuts, prepend=0, append=LARGEST_WEIGHT_SUM).astype(np.uint32)


def bitmap(allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint64]:
    """Pack a mask of a segment's doc_ords as the kernels take it."""
    padded = np.zeros(-(-len(allowed) // 64) * 64, bool)
    padded[: len(allowed)] = allowed
    return np.packbits(padded, bitorder="little").view(np.uint64)


def from_python(function: Any, n_arguments: int) -> Callable[..., Any]:
    """Wrap what only compiled code can call, such as a processor's instruction; give back all else as it is."""
    if not isinstance(function, numba.core.extending._Intrinsic):
        return function  # type: ignore[no-any-return]
    names = ", ".join(f"a{i}" for i in range(n_arguments))
    return numba.njit(eval(f"lambda {names}: function({names})", {"function": function}))  # type: ignore[no-any-return]


def count_rare(postings: Postings, terms: npt.NDArray[np.int64]) -> int:
    """Return how many of a query's terms are rare."""
    return int(np.count_nonzero(postings.row[terms] < 0))


class GuardedScratch:
    """Scratch full of garbage wherever zero isn't promised, that notices a write past its end.

    The garbage in `places` is of both kinds: beyond any posting list, and the start of some other run.
    """

    def __init__(self, n_superblocks: int, n_rare: int) -> None:
        plain = make_scratch(n_superblocks, n_rare)
        self._backing = [np.full(array.size + GUARD, POISON, array.dtype) for array in plain]
        self.arrays = Scratch(*(b[: a.size].reshape(a.shape) for a, b in zip(plain, self._backing, strict=True)))
        self.arrays.places[:, ::2] = 0
        self.arrays.places[:, ::3] = 1
        self.arrays.window[:] = 0
        self.arrays.block_bounds[:] = 0

    def check(self) -> None:
        """Assert that what was zero is zero again, and that nothing lies beyond."""
        assert not self.arrays.window.any()
        assert not self.arrays.block_bounds.any()
        for name, backing in zip(Scratch._fields, self._backing, strict=True):
            assert (backing[-GUARD:] == POISON).all(), f"written past the end of {name}"


def scratch_for(segments: tuple[Segment, ...], terms: npt.NDArray[np.int64], spare: int = 0) -> GuardedScratch:
    """Allocate scratch for the largest of the segments, with so many superblocks to spare."""
    n_superblocks = max(-(-len(s.postings.insertion) // SUPERBLOCK) for s in segments)
    return GuardedScratch(n_superblocks + spare, max(count_rare(s.postings, terms) for s in segments))


def hits(heap: npt.NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Return (score, position) of the keys of a heap, the best first; assert that it is a heap."""
    keys = heap.tolist()
    assert all(keys[(i - 1) // 2] <= keys[i] for i in range(1, len(keys)))
    return [(key >> 32, 2**32 - 1 - (key & 0xFFFFFFFF)) for key in sorted(keys, reverse=True) if key]


seeds = st.integers(0, 2**32 - 1)
sizes = st.sampled_from(
    (1, 0, 3, 4, 5, 20, 63, 64, 65, 100, 128, 150, 255, 256, 257, 300)
    + (() if UNCOMPILED else (333, 600, 777, 1000, 1234, 1500, 1999, 2100, 3000, 4095, 4096, 4097, 4200, 8300))
)
"""Numbers of documents around every boundary of the layout, in which a failing case shrinks.

All else is drawn by numpy from one seed: of many small draws Hypothesis repeats most.
"""


def draw_collection(rng: np.random.Generator, n_docs: int) -> Collection:
    """Draw a recipe: ties, copies, rare and frequent terms, empty documents."""
    return Collection(
        seed=int(rng.integers(2**32)),
        n_docs=n_docs,
        n_terms=int(rng.choice((150, 40, 20, 5, 1), p=(0.3, 0.3, 0.2, 0.1, 0.1))),
        terms=str(rng.choice(("mixed", "rare", "frequent"), p=(0.6, 0.2, 0.2))),
        impacts=str(rng.choice(("any", "few", "largest"))),
        n_distinct=int(rng.choice((0, 30, 4, 1), p=(0.7, 0.1, 0.1, 0.1))),
        empty_share=float(rng.choice((0.0, 0.1, 0.9), p=(0.3, 0.5, 0.2))),
    )


def draw_any_query(rng: np.random.Generator, n_terms: int) -> Query:
    """Draw a query: from no term to all of them."""
    length = min(n_terms, int(rng.choice((150, 30, 12, 5, 1, 0), p=(0.2, 0.2, 0.3, 0.2, 0.05, 0.05))))
    return draw_query(int(rng.integers(2**32)), n_terms, length, str(rng.choice(("any", "equal", "largest"))))


def draw_case(seed: int, n_docs: int) -> tuple[Postings, Query]:
    """Draw a segment, its documents in no order, and a query."""
    rng = np.random.default_rng(seed)
    collection = draw_collection(rng, n_docs)
    return segments_of(collection)[1][0].postings, draw_any_query(rng, collection.n_terms)
