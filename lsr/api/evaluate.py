"""Evaluation of indexes, encoders and other systems on test collections."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_count, check_flag, check_path, check_text, names_of
from lsr.api.wording import python_messages

if TYPE_CHECKING:
    from lsr.eval.reports.evaluation_result import EvaluationResult
    from lsr.io.progress import Progress
    from lsr.query.options import SearchOptions


@python_messages
def evaluate(
    systems: Any,
    datasets: Any,
    *,
    measures: str | Iterable[str] | None = None,
    k: int = 100,
    split: str = "test",
    drop_identical_ids: bool = False,
    threads: int = 1,
    cache: str | Path | None = None,
    progress: Progress | None = None,
    options: SearchOptions | None = None,
    **given: Any,
) -> EvaluationResult:
    """Measure systems on test collections, by the rules of docs/EVALUATION.md.

    Args:
        systems: one system, several in a list, or a mapping of names to them. A system is an `Index` or the path of one
            (searched as it is), an encoder or its name (each dataset is indexed with it, in the cache), `lucene-bm25`,
            or any object with `name` and `run(dataset, k)`.
        datasets: one dataset, or several in a list: BEIR folders, folders of such, or names of BEIR datasets, which
            are downloaded.
        measures: names such as `nDCG@10`; the first decides comparisons (default: those of docs/EVALUATION.md).
        k: number of results of a query (default: 100).
        split: split of the relevance judgements (default: test).
        drop_identical_ids: leave out a hit whose doc_id is the query's id (default: no).
        threads: number of worker threads for indexing and throughput (default: 1).
        cache: folder of datasets and indexes (default: the user's cache).
        progress: listener to the progress of the work (default: none).
        options: options of the searches of indexes (default: plain searches).
        given: such options by name, as of `Index.search`: `hybrid`, `rerank`, `feedback`, `where` and others.

    Returns:
        The results: `mean["nDCG@10"]`, `per_query`, `systems`, `significance`; its repr is a table.

    Raises:
        UsageError: a value is no system or dataset, or an option is unknown or out of its range.
        LsrError: a dataset is missing or broken, or an index lacks documents of it.

    Example:
        >>> import json, pathlib, lsr
        >>> folder = pathlib.Path("beir/notes")
        >>> (folder / "qrels").mkdir(parents=True)
        >>> corpus = [{"_id": "a", "text": "Trees grow slowly."}, {"_id": "b", "text": "A cat sleeps."}]
        >>> _ = (folder / "corpus.jsonl").write_text("\\n".join(map(json.dumps, corpus)))
        >>> _ = (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "growing trees"}))
        >>> _ = (folder / "qrels" / "test.tsv").write_text("query-id\\tcorpus-id\\tscore\\nq\\ta\\t1\\n")
        >>> index = lsr.index(folder, "my-index", encoder="bm25")
        >>> lsr.evaluate(index, folder).mean["nDCG@10"]
        1.0
    """
    from lsr.eval.experiment import evaluate as measure

    if measures is not None:
        given["measures"] = names_of(measures, "measures", "the name of a measure")
    return measure(
        systems,
        list(datasets) if isinstance(datasets, tuple) else datasets,
        k=check_count(k, "k"),
        split=check_text(split, "split"),
        drop_identical_ids=check_flag(drop_identical_ids, "drop_identical_ids"),
        threads=check_count(threads, "threads"),
        cache=None if cache is None else check_path(cache, "cache"),
        progress=progress,
        options=options,
        **given,
    )
