"""An experiment: every system on every dataset, by one set of rules. `lsr eval` and `lsr.evaluate` are this."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import CorpusSummary, Dataset, dataset_folders, load_dataset
from lsr.eval.data.download import dataset_cache, fetch_dataset
from lsr.eval.data.runs import Run
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.measures.measures import DEFAULT_MEASURES
from lsr.eval.reports.evaluation_result import EvaluationResult
from lsr.eval.reports.provenance import Provenance, provenance
from lsr.eval.reports.results import Result
from lsr.eval.systems.registry import Resources, check_names, open_systems
from lsr.eval.systems.system import System
from lsr.io.progress import Progress
from lsr.query.options import SearchOptions


@dataclass(frozen=True, slots=True)
class Experiment:
    """Systems × datasets. Raises UsageError for no system or dataset, or two of one name."""

    systems: Sequence[System]
    datasets: Sequence[Dataset]
    options: Options = field(default_factory=Options)

    def __post_init__(self) -> None:
        """Check the names, by which results are told apart."""
        check_names(self.systems)
        names = [dataset.name for dataset in self.datasets]
        if not names:
            raise UsageError("no dataset to evaluate on: name a BEIR folder or a BEIR dataset")
        if len(set(names)) < len(names):
            raise LsrError(
                f"two datasets have the same name, among {', '.join(names)}: name each once, or rename a folder"
            )

    def on(self, dataset: Dataset, summary: CorpusSummary, made_by: Provenance) -> Iterator[tuple[Result, Run]]:
        """Yield the result and the run of each system on one dataset, as each is done."""
        for system in self.systems:
            yield evaluate_system(system, dataset, summary, self.options, made_by)

    def run(self, made_by: Provenance) -> EvaluationResult:
        """Measure every system on every dataset."""
        results = [result for dataset in self.datasets for result, _ in self.on(dataset, dataset.summary(), made_by)]
        return EvaluationResult(self.options.measures, tuple(results))


def evaluate(
    systems: Any,
    datasets: Any,
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    k: int = 100,
    split: str = "test",
    drop_identical_ids: bool = False,
    threads: int = 1,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    options: SearchOptions | None = None,
    **short: Any,
) -> EvaluationResult:
    """Measure systems on test collections, by the rules of docs/EVALUATION.md.

    Args:
        systems: one, several, or a mapping of names to them. A system is an index (its path, opened, or as a searcher;
            searched as it is), an encoder or its name (each dataset is indexed with it, in the cache), "lucene-bm25",
            or any object with `name` and `run(dataset, k)`, as `lsr.eval.systems.system.System` says.
        datasets: one or several. A dataset is a BEIR folder, a folder of such, a BEIR name to be downloaded, or a
            `Dataset`.
        measures: names such as nDCG@10; the first decides comparisons.
        k: results a query (default: 100).
        split: split of the qrels (default: test).
        drop_identical_ids: drop a hit whose doc_id is the query_id (default: no).
        threads: threads for indexing and throughput (default: 1).
        cache: folder of datasets and indexes (default: the user's cache).
        progress: listener to long work (default: none).
        options: options of the searches of indexes (default: those of a searcher given, else plain ones).
        short: single search options by name, in place of theirs, as `hybrid="union"`, `feedback=10`.

    Returns:
        The results, with `mean["nDCG@10"]`, `per_query`, `systems` and `significance`; its repr is a table.

    Raises:
        UsageError: for a value that is no system or dataset, an option out of its range, or two of one name.
        LsrError: for a dataset that is missing or broken, or an index that lacks documents of it.
    """
    rules = Options(k, (measures,) if isinstance(measures, str) else tuple(measures), drop_identical_ids)
    if options is not None and not isinstance(options, SearchOptions):
        raise UsageError(f"the options are {options!r:.60}; they must be SearchOptions, or single options by name")
    searched = (options or SearchOptions()).replace(**short) if short else options
    folder = None if cache is None else Path(cache)
    indexes = None if folder is None else folder / "eval"
    resources = Resources(threads=threads, cache=indexes, progress=progress)
    opened = open_systems(systems, searched, resources)
    found = open_datasets(datasets, split=split, cache=folder, progress=progress)
    return Experiment(opened, found, rules).run(provenance("lsr.evaluate"))


def open_datasets(
    given: Any, *, split: str = "test", cache: Path | None = None, progress: Progress | None = None
) -> list[Dataset]:
    """Return the datasets that a value or a sequence of values names, downloaded where that is needed.

    A value is a `Dataset`, a BEIR folder, a folder of such, or a BEIR name. cache: default, the user's. Raises
    UsageError for anything else, LsrError for a dataset that is missing or broken.
    """
    if isinstance(given, str | Path | Dataset):
        given = [given]
    if not isinstance(given, Sequence):
        raise UsageError(f"{given!r:.80} is {type(given).__name__}, which is no dataset: give a BEIR folder or name")
    folder = dataset_cache() if cache is None else cache / "datasets"
    datasets: list[Dataset] = []
    for value in given:
        if isinstance(value, Dataset):
            datasets.append(value)
            continue
        if not isinstance(value, str | Path):
            raise UsageError(f"{value!r:.80} is {type(value).__name__}, no dataset: give a BEIR folder or name")
        path = Path(value)
        if not path.exists():
            path = fetch_dataset(str(value), folder, progress=progress)
        datasets += [load_dataset(inner, split=split, name=name) for name, inner in dataset_folders(path)]
    return datasets
