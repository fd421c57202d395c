"""Hard negatives: documents that a model ranks high for a query, but that aren't its positives.

Mined from an index of the model, as in ANCE: Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning
for Dense Text Retrieval" (ICLR 2021, arXiv:2007.00808). Skipping the first ranks, and documents that a teacher scores
nearly as high as the positive, keeps unlabelled positives out: Qu et al., "RocketQA" (NAACL 2021, arXiv:2010.08191);
Moreira et al., "NV-Retriever: Improving text embedding models with effective hard-negative mining" (2024,
arXiv:2407.15831), whose TopK-PercPos is `max_teacher_ratio` and whose TopK-MarginPos is `teacher_margin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder
from lsr.errors import UsageError
from lsr.io.progress import NoProgress, Progress
from lsr.training.data.example import Example, Examples
from lsr.training.mining.candidate_pool import CandidatePool, Positives, open_candidate_pool
from lsr.training.teachers.base import Teacher
from lsr.types import Document

CHUNK = 256
"""Queries that are searched and scored together."""

ORDERS = ("random", "top")


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningOptions:
    """Options of mining.

    negatives: number for each query. depth: number of best documents, positives left out, that are candidates, less
    the first `skip`. order: `random` draws from the candidates, `top` takes the best. max_teacher_ratio: upper bound
    of a teacher's score of a negative, as a share of the positive's score; None: no bound. teacher_margin: least
    distance below the positive's score. seed: of random choices.
    """

    negatives: int = 8
    skip: int = 0
    depth: int = 200
    order: str = "random"
    max_teacher_ratio: float | None = 0.95
    teacher_margin: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their range."""
        if self.negatives < 1:
            raise UsageError(f"negatives is {self.negatives}, but has to be 1 or more")
        if self.skip < 0:
            raise UsageError(f"skip is {self.skip}, but has to be 0 or more")
        if self.depth < self.skip + self.negatives:
            raise UsageError(
                f"depth is {self.depth}, but has to be at least {self.skip + self.negatives}, "
                f"to skip {self.skip} and leave {self.negatives}"
            )
        if self.order not in ORDERS:
            raise UsageError(f"order is {self.order!r}, but has to be one of {', '.join(ORDERS)}")
        if self.max_teacher_ratio is not None and not 0 < self.max_teacher_ratio <= 1:
            raise UsageError(f"max_teacher_ratio is {self.max_teacher_ratio}, but has to lie above 0, up to 1")
        if self.teacher_margin is not None and self.teacher_margin < 0:
            raise UsageError(f"teacher_margin is {self.teacher_margin}, but has to be 0 or more")

    def ceiling(self, positive: float) -> float:
        """Return the upper bound of a negative's score, given the positive's.

        For a score below 0 the share is subtracted, not added: the bound is never above the positive.
        """
        ceilings = [np.inf]
        if self.max_teacher_ratio is not None:
            ceilings.append(positive - (1 - self.max_teacher_ratio) * abs(positive))
        if self.teacher_margin is not None:
            ceilings.append(positive - self.teacher_margin)
        return min(ceilings)


@dataclass(slots=True)
class MiningReport:
    """Counts of mining. n_short: examples with fewer negatives than asked for, n_without those with none.

    n_refused: candidates that the teacher scored too high.
    """

    n_examples: int = 0
    n_negatives: int = 0
    n_short: int = 0
    n_without: int = 0
    n_refused: int = 0

    def summary(self) -> list[str]:
        """Return a summary in lines."""
        lines = [f"mined {self.n_negatives:,} negatives for {self.n_examples:,} examples"]
        if self.n_refused:
            lines.append(f"skipped {self.n_refused:,} candidates that the teacher scored too near to the positive")
        if self.n_short:
            lines.append(
                f"{self.n_short:,} examples have fewer negatives than asked for, {self.n_without:,} of them none: "
                "raise --depth, or index more documents"
            )
        return lines


def mine(
    examples: Examples,
    encoder: Encoder | None,
    index: Path,
    *,
    mining: MiningOptions | None = None,
    teacher: Teacher | None = None,
    more: Iterable[Document] = (),
    threads: int | None = None,
    progress: Progress | None = None,
    report: MiningReport | None = None,
) -> Iterator[Example]:
    """Yield each example with its positive and mined negatives, and the teacher's scores of them if there is one.

    encoder: the model to mine with; None takes that of the index. index: a folder; an index in it is searched, else
    one is made of the examples' documents and of `more`. teacher: its scores keep out candidates too near to the
    positive. The same seed, index and examples give the same negatives. Raises what index, encoder and teacher raise.
    """
    settings, counts, listener = (
        mining or MiningOptions(),
        report if report is not None else MiningReport(),
        progress or NoProgress(),
    )
    pool = open_candidate_pool(examples, index, encoder, more=more, progress=progress)
    miner = _Miner(pool, Positives(examples), settings, teacher, counts)
    listener.start("mining", len(examples), "query")
    for first in range(0, len(examples), CHUNK):
        numbers = range(first, min(first + CHUNK, len(examples)))
        yield from miner.chunk(numbers, [examples[i] for i in numbers], threads)
        listener.advance(len(numbers))


class _Miner:
    """Miner of one chunk of examples after another."""

    def __init__(
        self,
        pool: CandidatePool,
        positives: Positives,
        mining: MiningOptions,
        teacher: Teacher | None,
        report: MiningReport,
    ) -> None:
        self._pool = pool
        self._positives = positives
        self._mining = mining
        self._teacher = teacher
        self._report = report

    def chunk(self, numbers: Sequence[int], examples: Sequence[Example], threads: int | None) -> Iterator[Example]:
        """Yield the examples with their negatives."""
        searcher, mining = self._pool.searcher, self._mining
        vectors = searcher.encode([example.query for example in examples])
        found = searcher.rank(vectors, k=mining.depth + self._most_positives(examples), threads=threads)
        candidates = [
            self._candidates(number, example.query, ranking.positions)
            for number, example, ranking in zip(numbers, examples, found, strict=True)
        ]
        if self._teacher is None:
            chosen = [positions[: mining.negatives] for positions in candidates]
            scores: list[tuple[float, ...] | None] = [None] * len(examples)
        else:
            filtering = _TeacherFilter(self._pool, mining, self._teacher, self._report)
            chosen, scores = filtering.choose(examples, candidates)
        for example, positions, of_documents in zip(examples, chosen, scores, strict=True):
            self._count(len(positions))
            negatives = (self._pool.document(int(position)) for position in positions)
            yield Example(example.query, (example.documents[0], *negatives), of_documents)

    def _most_positives(self, examples: Sequence[Example]) -> int:
        return max(len(self._positives.of(example.query)[0]) for example in examples)

    def _candidates(self, number: int, query: str, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the positions that may become negatives, in the order in which they are tried."""
        mining, pool = self._mining, self._pool
        ids, bodies = self._positives.of(query)
        of_candidates = pool.bodies[positions]
        wrong = ~(np.isin(pool.ids[positions], ids) | np.isin(of_candidates, bodies))
        first = np.zeros(len(positions), bool)
        first[np.unique(of_candidates, return_index=True)[1]] = True  # of the same text once
        left = positions[wrong & first][mining.skip : mining.depth]
        if mining.order == "random":
            left = np.random.default_rng([mining.seed, number]).permutation(left)
        return left

    def _count(self, n_negatives: int) -> None:
        report = self._report
        report.n_examples += 1
        report.n_negatives += n_negatives
        report.n_short += n_negatives < self._mining.negatives
        report.n_without += n_negatives == 0


class _TeacherFilter:
    """Filter of candidates by a teacher's scores; it scores only as many as are needed."""

    def __init__(self, pool: CandidatePool, mining: MiningOptions, teacher: Teacher, report: MiningReport) -> None:
        self._pool = pool
        self._mining = mining
        self._teacher = teacher
        self._report = report

    def choose(
        self, examples: Sequence[Example], candidates: Sequence[npt.NDArray[np.int64]]
    ) -> tuple[list[npt.NDArray[np.int64]], list[tuple[float, ...] | None]]:
        """Return for each example the positions of its negatives, and the scores of its positive and of them."""
        n = len(examples)
        queries = [example.query for example in examples]
        own = self._teacher.scores(queries, [example.documents[0] for example in examples], np.eye(n, dtype=bool))
        of_positives = own.diagonal()
        taken: list[list[int]] = [[] for _ in range(n)]
        scores: list[list[float]] = [[float(score)] for score in of_positives]
        tried = [0] * n
        while True:
            batch = {i: self._next(candidates[i], tried[i], len(taken[i])) for i in range(n)}
            batch = {i: positions for i, positions in batch.items() if len(positions)}
            if not batch:
                break
            for i, positions, found in self._scored(queries, batch):
                tried[i] += len(positions)
                fits = found <= self._mining.ceiling(float(of_positives[i]))
                self._report.n_refused += int(np.count_nonzero(~fits))
                room = self._mining.negatives - len(taken[i])
                taken[i] += positions[fits][:room].tolist()
                scores[i] += found[fits][:room].tolist()
        return [np.array(positions, np.int64) for positions in taken], [tuple(values) for values in scores]

    def _next(self, candidates: npt.NDArray[np.int64], tried: int, n_taken: int) -> npt.NDArray[np.int64]:
        """Return the candidates to score next: twice as many as are missing."""
        lacking = self._mining.negatives - n_taken
        return candidates[tried : tried + 2 * lacking] if lacking else candidates[:0]

    def _scored(
        self, queries: Sequence[str], batch: dict[int, npt.NDArray[np.int64]]
    ) -> Iterator[tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """Yield each example's candidates with their scores."""
        numbers = list(batch)
        positions = np.unique(np.concatenate([batch[i] for i in numbers]))
        wanted = np.zeros((len(numbers), len(positions)), bool)
        for row, i in enumerate(numbers):
            wanted[row, np.searchsorted(positions, batch[i])] = True
        documents = [self._pool.document(int(position)) for position in positions]
        scores = self._teacher.scores([queries[i] for i in numbers], documents, wanted)
        for row, i in enumerate(numbers):
            yield i, batch[i], scores[row, np.searchsorted(positions, batch[i])]
