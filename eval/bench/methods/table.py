"""Methods beside themselves without their idea: `python -m lsr.eval.bench.methods.table FOLDER DATASET …`.

FOLDER holds what was made before: `<recipe>/model`, as `lsr train RECIPE --output FOLDER/<recipe>` writes it, and
`expansions/<dataset>.jsonl`, as `lsr expand` does. What isn't there is a row that says so.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.eval.data.datasets import Dataset
from lsr.eval.experiment import evaluate, open_datasets
from lsr.eval.measures.significance import compare
from lsr.eval.reports.results import Result

MEASURES = ("nDCG@10", "Recall@100")
COLUMNS = (
    "method", "dataset", "nDCG@10", "without", "p", "Recall@100", "without", "terms", "without", "µs a query",
    "without", "bytes a document", "without",
)  # fmt: skip
NOT_MEASURED = "not measured"
EXPANSIONS, WITH, WITHOUT = "expansions", "with", "without"


@dataclass(frozen=True, slots=True)
class Method:
    """A method. name: of its folder. what: shown, with what it is compared to. without: folder of that."""

    name: str
    what: str
    without: str = "splade-small"


METHODS = (
    Method(EXPANSIONS, "BM25 of documents expanded by made queries; BM25"),
    Method("casper", "keyphrases and tokens; tokens"),
    Method("dyvo", "titles of Wikipedia and tokens; tokens"),
    Method("sparc", "bigrams and tokens by attention; tokens", "sparc-tokens"),
    Method("uhd", "winners of a wide space, each 1; each its score", "uhd-graded"),
    Method("denoising", "queries trained by overlap; by ranking alone", "denoising-ranking"),
)


def systems_of(method: Method, folder: Path, dataset: Dataset, work: Path) -> dict[str, Any] | None:
    """Return a method's system and the one without it, None where they aren't in the folder."""
    if method.name == EXPANSIONS:
        file = folder / EXPANSIONS / f"{dataset.name}.jsonl"
        return _expanded(file, dataset, work) if file.is_file() else None
    models = {WITH: folder / method.name / "model", WITHOUT: folder / method.without / "model"}
    return (
        {name: str(path) for name, path in models.items()} if all(path.is_dir() for path in models.values()) else None
    )


def _expanded(file: Path, dataset: Dataset, work: Path) -> dict[str, Any]:
    from lsr.encoders.lexical.bm25 import BM25Encoder
    from lsr.indexer.corpus.expansions.reading import read_expansions
    from lsr.indexer.pipeline import index_documents

    for name, expansions in ((WITH, read_expansions(file)), (WITHOUT, None)):
        index_documents(dataset.documents(), work / dataset.name / name, BM25Encoder(), expansions=expansions)
    return {name: work / dataset.name / name for name in (WITH, WITHOUT)}


def row_of(method: Method, dataset: Dataset, systems: dict[str, Any]) -> list[str]:
    """Measure a method and the same without it on one dataset; return the cells of its row."""
    found = evaluate(systems, dataset, measures=MEASURES)
    results: dict[str, Result] = {result.system: result for result in found.results}
    with_it, without = results[WITH], results[WITHOUT]
    (paired,) = compare(
        {dataset.name: {name: (results[name].per_query or {})[MEASURES[0]] for name in (WITHOUT, WITH)}}
    )
    cells = [method.what, dataset.name]
    cells += [f"{result.measures[MEASURES[0]]:.4f}" for result in (with_it, without)]
    cells.append(f"{paired.p_t:.3f}")
    cells += [f"{result.measures[MEASURES[1]]:.4f}" for result in (with_it, without)]
    costs = [result.efficiency for result in (with_it, without)]
    cells += [_number(None if one is None else one.document_terms) for one in costs]
    cells += [_number(None if one is None or one.search is None else one.search.mean_us) for one in costs]
    return cells + [_number(None if one is None else _bytes_a_document(one, with_it)) for one in costs]


def _bytes_a_document(costs: Any, result: Result) -> float | None:
    if costs.index_size_bytes is None or not result.dataset.n_docs:
        return None
    return float(costs.index_size_bytes / result.dataset.n_docs)


def _number(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:,.1f}"


def rows(folder: Path, datasets: Sequence[Dataset], methods: Sequence[Method] = METHODS) -> Iterator[list[str]]:
    """Yield a row for each method and dataset, as each is measured."""
    with tempfile.TemporaryDirectory() as work:
        for method in methods:
            for dataset in datasets:
                systems = systems_of(method, folder, dataset, Path(work))
                if systems is None:
                    yield [method.what, dataset.name, NOT_MEASURED, *["-"] * (len(COLUMNS) - 3)]
                else:
                    yield row_of(method, dataset, systems)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, a row as soon as it is measured."""
    parser = argparse.ArgumentParser(description="methods beside themselves without their idea")
    parser.add_argument("folder", type=Path, help="folder of models and expansions")
    parser.add_argument("datasets", nargs="+", help="BEIR folders")
    parser.add_argument("--method", nargs="+", choices=[method.name for method in METHODS], help="default: all")
    args = parser.parse_args(argv)
    chosen = [method for method in METHODS if args.method is None or method.name in args.method]
    sys.stdout.write(f"| {' | '.join(COLUMNS)} |\n|{' --- |' * len(COLUMNS)}\n")
    for row in rows(args.folder, open_datasets(args.datasets), chosen):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
