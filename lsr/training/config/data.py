"""What a training learns from, as a TOML file says it: files, made queries, mined negatives, what is kept out."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lsr.errors import UsageError
from lsr.training.config.settings import at_least, one_of
from lsr.training.mining.hard_negatives import Mining
from lsr.training.synthetic.queries import QueryMaking

AT_OVERLAP = ("refuse", "drop")


@dataclass(frozen=True, slots=True)
class MadeQueries(QueryMaking):
    """Queries that are made of documents without any. corpus: files and folders, as `lsr index` reads them."""

    corpus: tuple[str, ...] = ()

    def making(self) -> QueryMaking:
        """Return how they are made."""
        return QueryMaking(**{field.name: getattr(self, field.name) for field in fields(QueryMaking)})


@dataclass(frozen=True, slots=True)
class MinedNegatives:
    """Hard negatives that the training finds for itself, `data.negatives` an example, in place of those of the files.

    first: who finds those of the first steps: `bm25`, `start` for the encoder as it begins, or a model's folder or
    name; default: they are those of the files. every: steps after which they are found anew by the encoder as it is
    then; 0: never. haystack: documents beside those of the examples, files and folders as `lsr index` reads them.
    teacher: which decides what is too near to the positive, as `open_teacher` takes it, with the options of the
    [[teacher]] of that name. skip, depth, order, max_teacher_ratio, teacher_margin: see
    `lsr.training.mining.hard_negatives.Mining`.
    """

    first: str | None = None
    every: int = 0
    haystack: tuple[str, ...] = ()
    teacher: str | None = None
    skip: int = 0
    depth: int = 200
    order: str = "random"
    max_teacher_ratio: float | None = 0.95
    teacher_margin: float | None = None

    def __post_init__(self) -> None:
        at_least(self.every, 0, "data.mining.every")
        if self.first is None and not self.every:
            raise UsageError("config: data.mining finds nothing: set its first, every, or both")

    def mining(self, *, negatives: int, seed: int) -> Mining:
        """Return how so many negatives are chosen. Raises UsageError for values that can't be."""
        return Mining(
            negatives=negatives,
            skip=self.skip,
            depth=self.depth,
            order=self.order,
            max_teacher_ratio=self.max_teacher_ratio,
            teacher_margin=self.teacher_margin,
            seed=seed,
        )

    def in_force(self, step: int, *, steps: int) -> int | None:
        """Return after which step those negatives were found that `step` steps go on with; None: the files' own.

        steps: of the whole training, whose end finds none.
        """
        step = min(step, steps - 1)
        if self.every and step >= self.every:
            return step // self.every * self.every
        return None if self.first is None else 0

    def is_due(self, step: int, *, steps: int) -> bool:
        """Return whether negatives are to be found anew after this step."""
        return bool(self.every) and step % self.every == 0 and 0 < step < steps


@dataclass(frozen=True, slots=True)
class DataSettings:
    """What an encoder is trained on. files: as `read_examples` takes them.

    negatives: hard ones of each example that are used. mining: how the training finds them for itself.
    corpus, queries, split: where the files name documents and queries by ids.
    make_queries: examples beside those of the files, or in place of them.
    check_overlap: BEIR folders; an example that shares a run of 13 words with them makes the training refuse to
    begin, or is left out, as `overlap` says: `refuse` or `drop`.
    topics: into so many the queries are clustered, by the vectors of `topic_model` (a teacher `dense:MODEL`), and
    each batch is of `topics_per_batch` of them (`lsr.training.data.topic_batches`); 0: batches are drawn at random.
    """

    files: tuple[str, ...] = ()
    topics: int = 0
    topics_per_batch: int = 2
    topic_model: str | None = None
    negatives: int = 0
    corpus: tuple[str, ...] = ()
    queries: str | None = None
    split: str = "train"
    make_queries: MadeQueries | None = None
    mining: MinedNegatives | None = None
    check_overlap: tuple[str, ...] = ()
    overlap: str = "refuse"

    def __post_init__(self) -> None:
        at_least(self.negatives, 0, "data.negatives")
        at_least(self.topics, 0, "data.topics")
        at_least(self.topics_per_batch, 1, "data.topics_per_batch")
        one_of(self.overlap, AT_OVERLAP, "data.overlap")
        if self.topics and self.topic_model is None:
            raise UsageError("config: data.topics is set, but data.topic_model names no teacher to cluster queries by")
        if self.make_queries is not None and not self.make_queries.corpus:
            raise UsageError("config: data.make_queries.corpus names no texts to make queries of")
        if self.mining is not None:
            if not self.negatives:
                raise UsageError("config: data.mining is set, but data.negatives is 0: set how many each example gets")
            self.mining.mining(negatives=self.negatives, seed=0)
