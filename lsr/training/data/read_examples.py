"""Reader of examples from files: pairs, triples, scored lists, and BEIR folders."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, UsageError
from lsr.indexer.storage.documents import DocumentStore
from lsr.io.cache import cache_home
from lsr.training.data.example import Example, Examples
from lsr.training.data.sources.hub_dataset import hub_dataset
from lsr.training.data.sources.importer import ExamplesReport
from lsr.training.data.sources.prepare import Preparation
from lsr.training.data.sources.table import ExampleTable
from lsr.types import Document

__all__ = ["Example", "ExampleSet", "Examples", "ExamplesReport", "concatenate", "read_examples"]


class ExampleSet:
    """Examples of one or several files, one after another. Implements `Examples`; can be pickled.

    tables: one a file. report: counts of the reading. chosen: int64, the numbers of the set's examples; None: all.
    sources: number of the data set of each table (default: 0).
    """

    def __init__(
        self,
        tables: Sequence[ExampleTable],
        report: ExamplesReport,
        chosen: npt.NDArray[np.int64] | None = None,
        sources: Sequence[int] = (),
    ) -> None:
        self.tables = tuple(tables)
        self.report = report
        self._ends = list(accumulate(len(table) for table in tables))
        self._chosen = chosen
        self._sources = tuple(sources) or (0,) * len(self.tables)

    def sample(self, share: float, seed: int) -> ExampleSet:
        """Return a random sample of the examples, in their order. share: 0 < share ≤ 1.

        Raises UsageError for another share, or if the sample is empty.
        """
        if not 0 < share <= 1:
            raise UsageError(f"sample is {share}, but has to be above 0, up to 1")
        everything = np.arange(len(self)) if self._chosen is None else self._chosen
        chosen = everything[np.random.default_rng(seed).random(len(everything)) < share]
        if not len(chosen):
            raise UsageError(f"a sample of {share} of {len(self)} examples is empty: raise --sample")
        return ExampleSet(self.tables, self.report, chosen, self._sources)

    def __len__(self) -> int:
        return self._ends[-1] if self._chosen is None else len(self._chosen)

    def __getitem__(self, i: int) -> Example:
        if i < 0:
            i += len(self)
        if not 0 <= i < len(self):
            raise IndexError(f"example {i} of {len(self)}")
        if self._chosen is not None:
            i = int(self._chosen[i])
        number = bisect_right(self._ends, i)
        example = self.tables[number][i - (self._ends[number - 1] if number else 0)]
        source = self._sources[number]
        return example if source == 0 else replace(example, source=source)

    def sources(self) -> npt.NDArray[np.int32]:
        """Return the number of each example's data set."""
        lengths = [len(table) for table in self.tables]
        found = np.repeat(np.array(self._sources, np.int32), lengths)
        return found if self._chosen is None else found[self._chosen]

    def corpora(self) -> Iterator[DocumentStore]:
        """Yield each corpus whose documents the examples name by ids, once."""
        known = set()
        for table in self.tables:
            if table.corpus is not None and table.meta["corpus"]["path"] not in known:
                known.add(table.meta["corpus"]["path"])
                yield table.corpus

    def documents(self) -> Iterator[Document]:
        """Yield all documents of the examples, and of the corpora whose documents they name by ids."""
        for store in (*(table.documents for table in self.tables), *self.corpora()):
            yield from (store[row] for row in range(len(store)))

    def summary(self) -> list[str]:
        """Return a summary in lines: examples read, generated and left out."""
        generated = [line for table in self.tables for line in table.meta.get("generated", ())]
        is_read = any("generated" not in table.meta for table in self.tables)
        return generated + (self.report.summary() if is_read else [])

    def __iter__(self) -> Iterator[Example]:
        return (self[i] for i in range(len(self)))


def documents_of(examples: Examples) -> Callable[[], Iterable[Document]]:
    """Return a function that yields the documents of examples, as often as it is called."""
    if isinstance(examples, ExampleSet):
        return examples.documents
    return lambda: (document for i in range(len(examples)) for document in examples[i].documents)


def concatenate(sets: Sequence[ExampleSet], *, as_sources: bool = False) -> ExampleSet:
    """Return the examples of several sets, one after another. as_sources: number them as data sets."""
    report = ExamplesReport()
    for one in sets:
        report.add(one.report)
    sources = [number for number, one in enumerate(sets) for _ in one.tables] if as_sources else []
    return ExampleSet([table for one in sets for table in one.tables], report, None, sources)


def read_examples(
    files: Sequence[str | Path],
    *,
    corpus: Sequence[str | Path] = (),
    queries: str | Path | None = None,
    split: str = "train",
    max_negatives: int | None = None,
    empty: str = "drop",
    cache: Path | None = None,
) -> ExampleSet:
    """Read examples from Parquet, JSON (Lines) or TSV files (`.gz` too), folders of BEIR or MS MARCO, and datasets.

    files: their columns are recognised by name, see `sources/records.py`; `hf:NAME` is a Hugging Face dataset, see
    `sources/hub_dataset.py`. corpus: folders and files, of any kind that
    can be indexed, with the documents that examples name by ids. queries: a file with the texts of `query_id`s, as
    BEIR has it or as TSV. split: of the qrels of BEIR folders; documents judged 0 become negatives.
    max_negatives: largest number of negatives of an example. empty: `drop` leaves out, and counts in the report,
    records with an empty query or document; `refuse` raises. cache: folder of the prepared examples, which make
    reading them again fast (default: the user's cache).
    Raises LsrError for a file that isn't there or can't be read, BadDocumentError naming file, row, column and what was
    expected, UsageError for an option out of its range.
    """
    if empty not in ("drop", "refuse"):
        raise UsageError(f"empty is {empty!r}, but has to be drop or refuse")
    if max_negatives is not None and max_negatives < 0:
        raise UsageError(f"max_negatives is {max_negatives}, but has to be 0 or more")
    if not files:
        raise UsageError("no examples given: name Parquet, JSONL, JSON or TSV files, BEIR folders, or hf:DATASET")
    preparation = Preparation(
        cache=cache or cache_home() / "examples",
        corpus=tuple(Path(path) for path in corpus),
        queries=None if queries is None else Path(queries),
        split=split,
        max_negatives=max_negatives,
        refuse_empty=empty == "refuse",
    )
    tables, report = [], ExamplesReport()
    for file in files:
        source = hub_dataset(str(file))
        table = ExampleTable(preparation.table_of(Path(file)) if source is None else preparation.of_dataset(source))
        report.add(ExamplesReport(**table.meta["report"]))
        tables.append(table)
    if not report.n_examples:
        raise LsrError(f"no example in {', '.join(map(str, files))}: {'; '.join(report.summary())}")
    return ExampleSet(tables, report)
