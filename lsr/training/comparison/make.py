"""Trainings of all methods, and their table: `python -m lsr.training.comparison.make FOLDER DATASET … --pairs FILE`.

What is made stays: the same command continues where an earlier one ended, in the middle of a training too.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.eval.bench.methods.table import METHODS, Comparisons, Method
from lsr.eval.data.datasets import Dataset
from lsr.eval.experiment import open_datasets
from lsr.io.text_files import written_whole
from lsr.training.comparison.trainings import TRAININGS, Budget, Training, config_of

log = logging.getLogger(__name__)

BUDGET_FILE, START, MODEL, CONFIG = "budget.json", "start", "model", "lsr_encoder.json"
HEAD_DOCUMENTS = 150
"""Documents that the head of the common checkpoint is fitted to."""
DTYPE = "bfloat16"
"""Type that models compute in when they are measured."""


@dataclass(frozen=True, slots=True)
class Materials:
    """Files of a comparison. pairs: examples with negatives. texts: for the fitted head, and whose titles are entities.

    datasets: to measure with. corpora: whose phrases become terms. more: changes of every config, as of `--set`.
    """

    pairs: Path
    texts: Path
    datasets: Sequence[Dataset]
    corpora: Sequence[Path]
    more: tuple[str, ...] = ()


def make_all(folder: Path, materials: Materials, budget: Budget, names: Sequence[str] | None = None) -> None:
    """Make every training that isn't there, and measure each method as soon as both of its models are.

    names: of trainings (default: all). Raises UsageError for a folder of another budget, and what training raises.
    """
    _check_budget(folder, budget)
    comparisons = Comparisons(folder, budget.max_length, DTYPE)
    for training in TRAININGS:
        if names is None or training.name in names:
            make_one(folder, training, materials, budget)
            for method in METHODS:
                if training.name in (method.name, method.without):
                    _measure(comparisons, method, materials.datasets)


def make_one(folder: Path, training: Training, materials: Materials, budget: Budget) -> None:
    """Make a training's model in `folder`, or continue it; do nothing where it is there."""
    output = folder / training.name
    if training.same_as:
        _copy_with(folder / training.same_as / MODEL, output / MODEL, dict(training.document))
        return
    if (output / MODEL).is_dir():
        return
    from lsr.training.train import train

    start = _start(folder, materials) if training.needs_head else folder / START
    config = config_of(
        training, budget, materials.pairs, start=start, corpora=materials.corpora, titles=[materials.texts],
        more=materials.more,
    )  # fmt: skip
    log.info(f"training {training.name}, {budget.steps:,} steps")
    is_begun = (output / "checkpoints").is_dir() and any((output / "checkpoints").iterdir())
    train(config, output, resume=is_begun, overwrite=not is_begun)


def _start(folder: Path, materials: Materials) -> Path:
    """Return the checkpoint that trainings of a masked-LM head begin with, made once."""
    from lsr.training.model.start_folder import start_folder

    settings = {"files": (str(materials.texts),), "n_documents": HEAD_DOCUMENTS}
    return start_folder("all-MiniLM-L6-v2", settings, folder / START)


def _copy_with(source: Path, target: Path, changes: dict[str, Any]) -> None:
    """Copy a model whose documents' side has other settings, by dotted keys. Does nothing where it is there."""
    if target.is_dir():
        return
    if not source.is_dir():
        raise UsageError(f"{source} isn't there: make it first")
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(source, part)
    values = json.loads((part / CONFIG).read_text(encoding="utf-8"))
    for key, value in changes.items():
        place = values["document"]
        *path, leaf = key.split(".")
        for name in path:
            place = place[name]
        place[leaf] = value
    (part / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    part.replace(target)


def _measure(comparisons: Comparisons, method: Method, datasets: Sequence[Dataset]) -> None:
    for dataset in datasets:
        found = comparisons.results(method, dataset)
        if found is not None:
            values = [f"{result.measures['nDCG@10']:.4f}" for result in found]
            log.info(f"{method.system} on {dataset.name}: nDCG@10 {values[0]}, without {values[1]}")


def _check_budget(folder: Path, budget: Budget) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path, values = folder / BUDGET_FILE, budget.to_json()
    if path.is_file() and (found := json.loads(path.read_text(encoding="utf-8"))) != values:
        raise UsageError(f"{folder} has trainings of another budget, {found}, not {values}: take another folder")
    with written_whole(path) as file:
        json.dump(values, file)


def main(argv: Sequence[str] | None = None) -> int:
    """Train and measure."""
    plain = Budget()
    parser = argparse.ArgumentParser(description="train all methods by one budget, and measure them")
    parser.add_argument("folder", type=Path, help="folder for models and results")
    parser.add_argument("datasets", nargs="+", help="BEIR folders to measure with")
    parser.add_argument("--pairs", type=Path, required=True, help="examples with negatives, as lsr mine writes them")
    parser.add_argument("--texts", type=Path, required=True, help="documents with titles, as of Wikipedia")
    parser.add_argument("--corpora", type=Path, nargs="+", help="whose phrases become terms (default: the datasets)")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in TRAININGS], help="default: all")
    parser.add_argument("--steps", type=int, default=plain.steps, help=f"of a training (default: {plain.steps})")
    parser.add_argument("--batch-size", type=int, default=plain.batch_size, help=f"default: {plain.batch_size}")
    parser.add_argument("--max-length", type=int, default=plain.max_length, help=f"default: {plain.max_length}")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change of every config")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="lsr: %(message)s")
    budget = Budget(steps=args.steps, batch_size=args.batch_size, max_length=args.max_length)
    try:
        datasets = open_datasets(args.datasets)
        corpora = args.corpora or [Path(dataset.corpus_path) for dataset in datasets]
        materials = Materials(args.pairs, args.texts, datasets, corpora, tuple(args.set))
        make_all(args.folder, materials, budget, args.only)
    except LsrError as error:
        sys.stderr.write(f"lsr: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
