"""Methods beside themselves without their idea: `python -m lsr.eval.bench.methods.table FOLDER DATASET …`.

FOLDER holds what was made before: `<name>/model`, as `python -m lsr.training.comparison.make FOLDER` or `lsr train`
writes it, and `expansions/<dataset>.jsonl`, as `lsr expand` does. What isn't there is a row that says so. Results are
kept in `measured.jsonl`, and measured once.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsr.eval.bench.methods.measured import FILE, Measured
from lsr.eval.data.datasets import Dataset
from lsr.eval.experiment import open_datasets
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.measures.significance import compare
from lsr.eval.reports.provenance import provenance
from lsr.eval.reports.results import Result
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.index_system import IndexSystem
from lsr.eval.systems.indexed_system import SearchedSystem
from lsr.eval.systems.system import System
from lsr.query.options import SearchOptions

MEASURES = ("nDCG@10", "Recall@100")
COLUMNS = (
    "method", "dataset", "nDCG@10", "without", "p", "Recall@100", "without", "terms", "without", "µs a query",
    "without", "bytes a document", "without",
)  # fmt: skip
NOT_MEASURED = "not measured"
EXPANSIONS, WITHOUT_EXPANSIONS = "expansions", "no-expansions"


@dataclass(frozen=True, slots=True)
class Method:
    """A method. name: of its folder. what: shown, with what it is compared to. without: folder of that.

    options: of the searches with the method.
    """

    name: str
    what: str
    without: str = "splade-small"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def system(self) -> str:
        """Name of its results."""
        return "+".join([self.name, *(f"{key}={value}" for key, value in self.options.items())])


METHODS = (
    Method(EXPANSIONS, "BM25 of documents expanded by made queries; BM25", WITHOUT_EXPANSIONS),
    Method("slim", "refined by sums of maxima; the fused form alone", "slim", {"rerank": "slim"}),
    Method("slim-maxima", "trained and refined by sums of maxima; fused", "slim-maxima", {"rerank": "slim"}),
    Method("df-flops", "FLOPS by document frequency; FLOPS"),
    Method("term-budget", "FLOPS with a budget for each term; FLOPS"),
    Method("casper", "keyphrases and tokens; tokens"),
    Method("dyvo", "titles of Wikipedia and tokens; tokens"),
    Method("sparc", "bigrams and tokens by attention; tokens", "sparc-tokens"),
    Method("uhd", "winners of a wide space, each 1; each its score", "uhd-graded"),
    Method("denoising", "queries trained by overlap; by ranking alone", "denoising-ranking"),
)


@dataclass(frozen=True, slots=True)
class Comparisons:
    """Comparisons of what a folder holds. max_length: tokens of a document that models read. dtype: of models."""

    folder: Path
    max_length: int | None = None
    dtype: str | None = None

    @property
    def measured(self) -> Measured:
        """Results so far."""
        return Measured(self.folder / FILE)

    def results(self, method: Method, dataset: Dataset, *, again: bool = False) -> tuple[Result, Result] | None:
        """Return the results of a method and without it, None where one isn't in the folder. again: measure again."""
        names: tuple[tuple[str, Mapping[str, Any], str], ...] = (
            (method.name, method.options, method.system), (method.without, {}, method.without),
        )  # fmt: skip
        if not all(self._is_there(name, dataset) for name, _, _ in names):
            return None
        measured, found = self.measured, []
        for name, options, system in names:
            result = None if again else measured.get(system, dataset.name)
            if result is None:
                result = self._measure(name, options, system, dataset)
                measured.add(result)
            found.append(result)
        return found[0], found[1]

    def _is_there(self, name: str, dataset: Dataset) -> bool:
        if name in (EXPANSIONS, WITHOUT_EXPANSIONS):
            return self._expansions(dataset).is_file()
        return (self.folder / name / "model").is_dir()

    def _expansions(self, dataset: Dataset) -> Path:
        return self.folder / EXPANSIONS / f"{dataset.name}.jsonl"

    def _measure(self, name: str, options: Mapping[str, Any], system: str, dataset: Dataset) -> Result:
        opened = self._open(name, options, system, dataset)
        rules = Options(100, MEASURES)
        return evaluate_system(opened, dataset, dataset.summary(), rules, provenance("lsr.eval.bench.methods"))[0]

    def _open(self, name: str, options: Mapping[str, Any], system: str, dataset: Dataset) -> System:
        if name in (EXPANSIONS, WITHOUT_EXPANSIONS):
            return IndexSystem(self._indexed(name, dataset), name=system)
        settings = {} if self.max_length is None else {"max_length": self.max_length}
        encoder = EncoderSystem(
            str((self.folder / name / "model").resolve()), name=name, cache=self.folder / "indexes",
            indexing_threads=1, dtype=self.dtype, settings=settings,
        )  # fmt: skip
        # Only plain searches are timed: a refinement encodes its candidates.
        return SearchedSystem(encoder, SearchOptions(**options), name=system, measured=not options)

    def _indexed(self, name: str, dataset: Dataset) -> Path:
        from lsr.encoders.lexical.bm25 import BM25Encoder
        from lsr.indexer.corpus.expansions.reading import read_expansions
        from lsr.indexer.pipeline import index_documents

        path = self.folder / "indexes" / f"{dataset.name}-{name}"
        expansions = read_expansions(self._expansions(dataset)) if name == EXPANSIONS else None
        index_documents(dataset.documents(), path, BM25Encoder(), expansions=expansions, overwrite=True)
        return path


def row_of(method: Method, dataset: Dataset, with_it: Result, without: Result) -> list[str]:
    """Return the cells of a row."""
    both = (with_it, without)
    (paired,) = compare(
        {dataset.name: {n: (r.per_query or {})[MEASURES[0]] for n, r in zip(("with", "without"), both, strict=True)}}
    )
    cells = [method.what, dataset.name]
    cells += [f"{result.measures[MEASURES[0]]:.4f}" for result in both]
    cells.append(f"{paired.p_t:.3f}")
    cells += [f"{result.measures[MEASURES[1]]:.4f}" for result in both]
    costs = [result.efficiency for result in both]
    cells += [_number(None if one is None else one.document_terms) for one in costs]
    cells += [_number(None if one is None or one.search is None else one.search.mean_us) for one in costs]
    return cells + [_number(None if one is None else _bytes_a_document(one, with_it)) for one in costs]


def _bytes_a_document(costs: Any, result: Result) -> float | None:
    if costs.index_size_bytes is None or not result.dataset.n_docs:
        return None
    return float(costs.index_size_bytes / result.dataset.n_docs)


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:,.1f}"


def rows(
    comparisons: Comparisons,
    datasets: Sequence[Dataset],
    methods: Sequence[Method] = METHODS,
    *,
    again: bool = False,
) -> Iterator[list[str]]:
    """Yield a row for each method and dataset, as each is measured. again: measure again what was measured."""
    for method in methods:
        for dataset in datasets:
            found = comparisons.results(method, dataset, again=again)
            if found is None:
                yield [method.what, dataset.name, NOT_MEASURED, *["-"] * (len(COLUMNS) - 3)]
            else:
                yield row_of(method, dataset, *found)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description="methods beside themselves without their idea")
    parser.add_argument("folder", type=Path, help="folder of models and expansions")
    parser.add_argument("datasets", nargs="+", help="BEIR folders")
    parser.add_argument("--method", nargs="+", choices=[method.name for method in METHODS], help="default: all")
    parser.add_argument("--again", action="store_true", help="measure again what was measured, in cached indexes")
    parser.add_argument("--max-length", type=int, help="tokens of a document that models read (default: all)")
    parser.add_argument("--dtype", help="of models (default: their own)")
    args = parser.parse_args(argv)
    chosen = [method for method in METHODS if args.method is None or method.name in args.method]
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    comparisons = Comparisons(args.folder, args.max_length, args.dtype)
    for row in rows(comparisons, open_datasets(args.datasets), chosen, again=args.again):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
