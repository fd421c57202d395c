"""Settings of the training data: the table `[data]` of a config, with synthetic queries and mined negatives."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lsr.errors import UsageError
from lsr.training.config.settings import above, at_least, one_of
from lsr.training.mining.hard_negatives import MiningOptions
from lsr.training.synthetic.queries import QueryGeneration

AT_OVERLAP = ("refuse", "drop")


@dataclass(frozen=True, slots=True)
class SyntheticQueries(QueryGeneration):
    """Settings of queries generated from documents. corpus: files and folders, as `lsr index` reads them."""

    corpus: tuple[str, ...] = ()

    def generation(self) -> QueryGeneration:
        """Return them without the corpus."""
        return QueryGeneration(**{field.name: getattr(self, field.name) for field in fields(QueryGeneration)})


@dataclass(frozen=True, slots=True)
class MiningSettings:
    """Settings of hard negatives mined during the training, which replace those of the files.

    first: encoder that mines those of the first steps: `bm25`, `start` for the untrained encoder, or a model's folder
    or name (default: the first steps take those of the files). every: steps after which the current encoder mines
    again; 0: never. candidate_pool: documents beside those of the examples, files and folders as `lsr index` reads
    them. teacher: scores that keep out candidates too near to the positive, as `open_teacher` takes it, with the
    options of the [[teacher]] of that name. skip, depth, order, max_teacher_ratio, teacher_margin: see
    `lsr.training.mining.hard_negatives.MiningOptions`.
    """

    first: str | None = None
    every: int = 0
    candidate_pool: tuple[str, ...] = ()
    teacher: str | None = None
    skip: int = 0
    depth: int = 200
    order: str = "random"
    max_teacher_ratio: float | None = 0.95
    teacher_margin: float | None = None

    def __post_init__(self) -> None:
        at_least(self.every, 0, "data.mining.every")
        if self.first is None and not self.every:
            raise UsageError("config: data.mining mines nothing: set its first, every, or both")

    def options(self, *, negatives: int, seed: int) -> MiningOptions:
        """Return the options of mining this number of negatives. Raises UsageError for values that don't fit."""
        return MiningOptions(
            negatives=negatives,
            skip=self.skip,
            depth=self.depth,
            order=self.order,
            max_teacher_ratio=self.max_teacher_ratio,
            teacher_margin=self.teacher_margin,
            seed=seed,
        )

    def mined_after(self, step: int, *, steps: int) -> int | None:
        """Return the step after which the negatives of `step` were mined; None: they are the files' own.

        steps: number of all steps; after the last one nothing is mined.
        """
        step = min(step, steps - 1)
        if self.every and step >= self.every:
            return step // self.every * self.every
        return None if self.first is None else 0

    def is_due(self, step: int, *, steps: int) -> bool:
        """Return whether negatives are mined again after this step."""
        return bool(self.every) and step % self.every == 0 and 0 < step < steps


@dataclass(frozen=True, slots=True)
class SetSettings:
    """Settings of one of several data sets, each of which fills whole batches.

    files, corpus, queries, split: as of `DataSettings`. name: for the log (default: its first file). weight: share of
    the batches, beside the others'. losses: the losses that learn from it, by name (default: all of the config).
    """

    files: tuple[str, ...]
    name: str = ""
    weight: float = 1.0
    losses: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    queries: str | None = None
    split: str = "train"

    def __post_init__(self) -> None:
        above(self.weight, 0, "data.sets.….weight")
        if not self.files:
            raise UsageError("config: data.sets.….files names no file")

    @property
    def label(self) -> str:
        """The name in messages."""
        return self.name or self.files[0]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Settings of the training data. files: as `read_examples` takes them. sets: several data sets in their place.

    negatives: number of hard negatives of each example that are used. mining: how the training mines them itself.
    corpus, queries, split: where the files name documents and queries by ids.
    make_queries: examples beside those of the files, or in place of them.
    check_overlap: BEIR folders; an example that shares a run of 13 words with them ends the training before its first
    step (`overlap` `refuse`), or is left out (`drop`).
    topics: number of clusters of the queries, by the vectors of `topic_model` (a teacher `dense:MODEL` or
    `index:FOLDER`); each batch is of `topics_per_batch` of them (`lsr.training.data.topic_batches`); 0: batches are
    drawn at random.
    expansions: file or folder of texts that the student reads behind each document's own, as `lsr expand` writes them;
    keep_expansions: the share of them that is kept, those of the highest scores. Teachers read documents without.
    """

    files: tuple[str, ...] = ()
    sets: tuple[SetSettings, ...] = ()
    topics: int = 0
    topics_per_batch: int = 2
    topic_model: str | None = None
    negatives: int = 0
    corpus: tuple[str, ...] = ()
    queries: str | None = None
    split: str = "train"
    make_queries: SyntheticQueries | None = None
    mining: MiningSettings | None = None
    check_overlap: tuple[str, ...] = ()
    overlap: str = "refuse"
    expansions: str | None = None
    keep_expansions: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.keep_expansions <= 1:
            raise UsageError(
                f"config: data.keep_expansions is {self.keep_expansions}, but has to be above 0 and at most 1"
            )
        at_least(self.negatives, 0, "data.negatives")
        at_least(self.topics, 0, "data.topics")
        at_least(self.topics_per_batch, 1, "data.topics_per_batch")
        one_of(self.overlap, AT_OVERLAP, "data.overlap")
        if self.sets:
            self._check_beside_sets()
        if self.topics and self.topic_model is None:
            raise UsageError(
                "config: data.topics is set, but data.topic_model names no teacher whose vectors are clustered"
            )
        if self.make_queries is not None and not self.make_queries.corpus:
            raise UsageError("config: data.make_queries.corpus names no texts to generate queries from")
        if self.mining is not None:
            if not self.negatives:
                raise UsageError("config: data.mining is set, but data.negatives is 0: set how many each example gets")
            self.mining.options(negatives=self.negatives, seed=0)

    def _check_beside_sets(self) -> None:
        given = {
            "files": self.files, "make_queries": self.make_queries, "corpus": self.corpus, "queries": self.queries,
            "topics": self.topics, "mining": self.mining,
        }  # fmt: skip
        name = next((name for name, value in given.items() if value), None)
        if name is None:
            return
        remedy = "mine before, by lsr mine" if name == "mining" else "move it into a set, or leave it out"
        raise UsageError(f"config: data.{name} and data.sets exclude each other: {remedy}")
