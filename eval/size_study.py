"""Quality of sparse, dense and hybrid search while a test collection grows with distractors.

After Reimers and Gurevych, "The Curse of Dense Low-Dimensional Information Retrieval for Large Index Sizes" (ACL 2021):
documents that are not relevant to any query are added, and a good ranking should not mind. Distractors that do answer
a query count as wrong, for every system alike.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path

from lsr.encoders.base import Encoder
from lsr.encoders.dense.base import DenseEncoder
from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Ranking, Run, run_of
from lsr.eval.measures.measures import evaluate
from lsr.eval.reports.plots import new_figure, save_figure
from lsr.eval.systems.fusion import fuse
from lsr.eval.systems.growing_top_k import GrowingTopK
from lsr.io.progress import NoProgress, Progress
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

MEASURE = "nDCG@10"
K = 100
BATCH = 1024
PREFIX = "distractor:"


@dataclass(frozen=True, slots=True)
class Point:
    """nDCG@10 of one system when the collection has `n_docs` documents, `n_distractors` of them added."""

    system: str
    n_docs: int
    n_distractors: int
    ndcg_10: float


def grow(
    dataset: Dataset,
    distractors: Iterable[Document],
    sizes: Sequence[int],
    encoder: Encoder,
    *,
    dense: DenseEncoder | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> list[Point]:
    """Measure at each number of distractors (ascending): exact sparse search, and exact dense and hybrid if given.

    Each collection is a true one: statistics of the corpus (BM25) are those of its size. Vectors are made once and held
    in memory, 8 bytes a sparse weight. The hybrid is the min-max sum of the best 100 of both.
    Raises UsageError for sizes that don't ascend, LsrError where there are too few distractors.
    """
    if not sizes or list(sizes) != sorted(set(sizes)) or sizes[0] < 0:
        raise UsageError(f"sizes must ascend from 0 or more, not {', '.join(map(str, sizes))}")
    listener = progress or NoProgress()
    stream = (Document(f"{PREFIX}{d.doc_id}", d.text, d.title) for d in distractors)
    texts = list(dataset.queries.values())
    dense_top = GrowingTopK(dense.encode_dense_queries(texts), K) if dense else None
    doc_ids: list[str] = []
    held: list[tuple[list[Document], SparseBatch]] = []
    points: list[Point] = []
    listener.start("encoding", None, "document")
    for step, size in enumerate(sizes):
        wanted = size - (sizes[step - 1] if step else 0)
        before = len(doc_ids)
        for batch in _batches(chain(dataset.documents() if step == 0 else (), islice(stream, wanted))):
            held.append(([Document(d.doc_id, "") for d in batch], encoder.encode_documents(batch)))
            if dense and dense_top:
                dense_top.add(dense.encode_dense_documents(batch))
            doc_ids += [d.doc_id for d in batch]
            listener.advance(len(batch))
        added = sum(doc_id.startswith(PREFIX) for doc_id in doc_ids[before:])
        if added < wanted:
            raise LsrError(f"there are not {size} distractors; give a smaller size or more text")
        runs = {"sparse": _sparse_run(dataset, held, encoder, threads)}
        if dense_top:
            runs["dense"] = _dense_run(dataset, dense_top, doc_ids)
            runs["hybrid"] = run_of(fuse([runs["sparse"], runs["dense"]], "min-max", k=K))
        for system, run in runs.items():
            value = evaluate(run, dataset.qrels, measures=[MEASURE]).mean[MEASURE]
            points.append(Point(system, len(doc_ids), size, value))
    return points


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    stream = iter(documents)
    while batch := list(islice(stream, BATCH)):
        yield batch


def _sparse_run(
    dataset: Dataset, held: Sequence[tuple[list[Document], SparseBatch]], encoder: Encoder, threads: int
) -> Run:
    from lsr.indexer.write.writer import IndexWriter

    with tempfile.TemporaryDirectory(prefix="lsr-size-study-") as folder:
        path = Path(folder) / "index"
        # Reordering costs more than it saves where each query is searched once, and never changes a result.
        with IndexWriter(path, encoder, reorder=False, threads=threads) as writer:
            for documents, vectors in held:
                writer.add(documents, vectors)
            writer.commit()
        searcher = Searcher(path)
        queries = searcher.encode(list(dataset.queries.values()))
        found = searcher.rank(queries, k=K, threads=threads)
        return run_of(Ranking(q, searcher.doc_ids(r), r.scores) for q, r in zip(dataset.queries, found, strict=True))


def _dense_run(dataset: Dataset, top: GrowingTopK, doc_ids: Sequence[str]) -> Run:
    rows = zip(dataset.queries, top.rows(), strict=True)
    return run_of(Ranking(query_id, [doc_ids[o] for o in ords], scores) for query_id, (ords, scores) in rows)


def study_table(points: Sequence[Point]) -> list[str]:
    """Return the lines of a table: a row for each size, with each system's quality and share of its first."""
    systems = list(dict.fromkeys(point.system for point in points))
    by_size: dict[int, dict[str, float]] = {}
    for point in points:
        by_size.setdefault(point.n_docs, {})[point.system] = point.ndcg_10
    first = next(iter(by_size.values()))
    lines = ["documents  " + "  ".join(f"{system:>16}" for system in systems)]
    for n_docs, values in by_size.items():
        cells = (f"{values[s]:.4f} ({100 * values[s] / first[s]:.1f} %)" if first[s] else "-" for s in systems)
        lines.append(f"{n_docs:>9,}  " + "  ".join(f"{cell:>16}" for cell in cells))
    return lines


def plot_study(points: Sequence[Point], path: Path, *, dataset: str, names: Mapping[str, str]) -> None:
    """Draw nDCG@10 against the number of documents, on a logarithmic axis. names: what each system is called."""
    figure, axes = new_figure(7, 4)
    for system in dict.fromkeys(point.system for point in points):
        chosen = [point for point in points if point.system == system]
        xs, ys = [point.n_docs for point in chosen], [point.ndcg_10 for point in chosen]
        (line,) = axes.plot(xs, ys, marker="o")
        axes.annotate(
            names.get(system, system), (xs[-1], ys[-1]), (6, 0), textcoords="offset points", va="center",
            color=line.get_color(),
        )  # fmt: skip
    axes.set_xscale("log")
    sizes = sorted({point.n_docs for point in points})
    # Neighbours nearer than a third share a label's place: the smaller one goes without.
    labelled = [size for size, after in zip_longest(sizes, sizes[1:]) if after is None or after > 1.3 * size]
    axes.set_xticks(labelled, labels=[f"{size:,}" for size in labelled])
    axes.minorticks_off()
    values = [point.ndcg_10 for point in points]
    axes.set_ylim(max(0.0, min(values) - 0.05), min(1.0, max(values) + 0.05))
    axes.set_xlabel("documents in the collection")
    axes.set_ylabel(MEASURE)
    axes.set_title(f"{dataset} with distractors", loc="left")
    axes.margins(x=0.15)
    save_figure(figure, path)
