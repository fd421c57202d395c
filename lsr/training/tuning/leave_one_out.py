"""Settings of hybrid search compared on judged collections: `python -m lsr.training.tuning.leave_one_out`.

Each collection's settings are chosen without it, on the others (leave one out), or on queries made from its documents,
without its judgements; those chosen on the collection itself are shown as the limit of what any choice can reach.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import load_dataset
from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.storage.index import StoredIndex
from lsr.io.atomic import atomic_file
from lsr.query.searcher import Searcher
from lsr.training.tuning.choose import CANDIDATES, SHARES, Bar, bar_of_made, word_weights
from lsr.training.tuning.fusion import Measure, usual_of
from lsr.training.tuning.legs import collect
from lsr.training.tuning.probes import judged_probes, made_probes

DENSE_WEIGHTS = (0.35, 0.5, 0.65)
Values = npt.NDArray[np.float64]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Compared:
    """A collection's nDCG@10 by settings: means of judged queries, values of made ones. legs, made_legs: means
    of both legs on either."""

    name: str
    legs: Mapping[str, float]
    judged: Values
    made: Values
    made_legs: Mapping[str, float]


def settings_of(usual: HybridTuning) -> list[HybridTuning]:
    """Return the settings that are compared, the usual ones first."""
    weights = product(word_weights(usual.words), DENSE_WEIGHTS, SHARES)
    found = [
        replace(usual, words=words, sparse=round(1 - dense, 2), dense=dense, share=share)
        for words, dense, share in weights
    ]
    found += [replace(usual, candidates=candidates) for candidates in CANDIDATES]
    return [usual, *(settings for settings in found if settings != usual)]


def compare(index_path: Path, dataset_path: Path, *, split: str = "test", n_made: int = 300) -> Compared:
    """Measure all settings on one collection. Raises what `tune_fusion` raises."""
    dataset = load_dataset(dataset_path, split=split)
    with StoredIndex.open(index_path) as index:
        searcher, usual = Searcher(index), usual_of(index)
        settings = settings_of(usual)
        values, legs = [], []
        for probes in (judged_probes(index, dataset.queries, dataset.qrels), made_probes(index, n_made)):
            measure = Measure(searcher, collect(searcher, probes, word_weights(usual.words)))
            values.append(np.array([measure(one) for one in settings]))
            legs.append(measure.legs(usual.words))
    return Compared(dataset.name, legs[0], values[0].mean(axis=1), values[1], legs[1])


def kept_or_compared(index_path: Path, dataset_path: Path, work: Path | None, **options: Any) -> Compared:
    """Return what was measured before and kept in a folder, or measure now, and keep it. options: of `compare`."""
    file = None if work is None else work / f"{dataset_path.resolve().name}.json"
    if file is not None and file.is_file():
        content = json.loads(file.read_text(encoding="utf-8"))
        return Compared(**{**content, "judged": np.array(content["judged"]), "made": np.array(content["made"])})
    found = compare(index_path, dataset_path, **options)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(file) as out:
            content = {**asdict(found), "judged": found.judged.tolist(), "made": found.made.tolist()}
            out.write(json.dumps(content).encode())
    return found


def chosen_on_others(found: Sequence[Compared], number: int) -> int:
    """Return the settings that are best in the mean of all collections but one."""
    return int(np.argmax(sum(one.judged for other, one in enumerate(found) if other != number)))


def chosen_on_made(one: Compared, bar: Bar) -> int:
    """Return the settings that are best on made queries, or the usual ones where they don't reach a bar."""
    best = int(np.argmax(one.made.mean(axis=1)))
    return best if bar.admits(one.made[best] - one.made[0]) else 0


def rows_of(found: Sequence[Compared]) -> list[tuple[str, list[float]]]:
    """Return the rows of the table: a name, and nDCG@10 of each collection."""
    rows = [(f"{leg} leg", [one.legs[leg] for one in found]) for leg in ("sparse", "dense")]
    rows += [(f"{leg} leg, made queries", [one.made_legs[leg] for one in found]) for leg in ("sparse", "dense")]
    rows.append(("usual settings", [float(one.judged[0]) for one in found]))
    if len(found) > 1:
        others = [float(one.judged[chosen_on_others(found, number)]) for number, one in enumerate(found)]
        rows.append(("chosen on the others", others))
    for name, bars in (
        ("best on made queries", [Bar(errors=0.0)] * len(found)),
        ("chosen by made queries", [bar_of_made(one.made_legs, one.made.shape[1]) for one in found]),
    ):
        made = [float(one.judged[chosen_on_made(one, bar)]) for one, bar in zip(found, bars, strict=True)]
        rows.append((name, made))
    rows.append(("chosen on the collection itself", [float(one.judged.max()) for one in found]))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table of collections and ways to choose."""
    parser = argparse.ArgumentParser(prog="python -m lsr.training.tuning.leave_one_out", description=__doc__)
    parser.add_argument("pairs", nargs="+", type=Path, metavar="INDEX BEIR", help="an index, and the folder it is of")
    parser.add_argument("--split", default="test", help="split of the qrels (default: test)")
    parser.add_argument("--made", type=int, default=300, help="queries made from each collection (default: 300)")
    parser.add_argument("--work", type=Path, metavar="DIR", help="folder that keeps what was measured, to resume")
    args = parser.parse_args(arguments)
    try:
        if len(args.pairs) % 2:
            raise UsageError("give pairs of an index and a BEIR folder")
        found = []
        for index, dataset in zip(args.pairs[::2], args.pairs[1::2], strict=True):
            found.append(kept_or_compared(index, dataset, args.work, split=args.split, n_made=args.made))
            log.warning(f"measured {found[-1].name}")
    except LsrError as error:
        log.error(f"error: {error}")
        return error.exit_code
    lines = [f"{'':<32}" + "".join(f"{one.name:>12}" for one in found) + f"{'mean':>12}"]
    for name, values in rows_of(found):
        lines.append(f"{name:<32}" + "".join(f"{value:12.4f}" for value in values) + f"{np.mean(values):12.4f}")
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
