"""PISA in C++, through pyterrier-pisa's compiled module, without its data frames.

Weights go into PISA's own uncompressed form directly, where the package would go through dictionaries:
the same index in a fraction of the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.eval.bench.engine import Setting
from lsr.types import SparseBatch

PACKAGE = "pyterrier-pisa"
SETTINGS = (
    Setting("PISA, MaxScore", "PISA", search={"algorithm": "maxscore"}),
    Setting("PISA, exhaustive TAAT", "PISA", search={"algorithm": "ranked_or_taat"}),
)
ENCODING, SCORER = "block_simdbp", "quantized"


def load() -> None:
    """Load; see `lsr.eval.bench.engine.Engine`."""
    import_module("pyterrier_pisa")


def build(documents: SparseBatch, order: npt.NDArray[np.int64], folder: Path) -> None:
    """Build; see `lsr.eval.bench.engine.Engine`."""
    from pyterrier_pisa import _pisathon

    df = np.bincount(documents.term_ids, minlength=documents.vocab_size)
    terms = np.flatnonzero(df)
    _write_lines(folder / "fwd.terms", (_term(int(term_id)) for term_id in terms))
    _write_lines(folder / "fwd.documents", (str(position) for position in order.tolist()))
    _write_postings(documents, order, df[terms], folder)
    for name, lexicon in (("fwd.terms", "fwd.termlex"), ("fwd.documents", "fwd.doclex")):
        _pisathon.build_binlex(str(folder / name), str(folder / lexicon))
    open_index(folder)
    for name in ("inv.docs", "inv.freqs", "inv.sizes"):
        (folder / name).unlink()


def _term(term_id: int) -> str:
    # PISA looks terms up by bisection: the names must sort as the ids do.
    return f"{term_id:010d}"


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    with path.open("w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines)


def _write_postings(
    documents: SparseBatch, order: npt.NDArray[np.int64], df: npt.NDArray[np.int64], folder: Path
) -> None:
    """Write the files inv.docs, inv.freqs and inv.sizes: little-endian uint32, each list after its length."""
    lengths = np.diff(documents.indptr)
    doc_ord = np.empty(len(order), np.uint32)
    doc_ord[order] = np.arange(len(order), dtype=np.uint32)
    narrow = documents.term_ids.astype(np.uint16) if documents.vocab_size <= 1 << 16 else documents.term_ids
    # By term, and within a term by the new order of documents.
    by_order = np.repeat(documents.indptr[:-1][order], lengths[order])
    by_order += np.arange(documents.nnz) - np.repeat(np.cumsum(lengths[order]) - lengths[order], lengths[order])
    places = by_order[np.argsort(narrow[by_order], kind="stable")]
    del by_order
    row = np.repeat(np.arange(len(documents), dtype=np.uint32), lengths)
    starts = np.cumsum(df) - df
    for name, head, values in (
        ("inv.docs", [1, len(order)], doc_ord[row[places]]),
        ("inv.freqs", [], documents.weights[places].astype(np.uint32)),
    ):
        with (folder / name).open("wb") as file:
            np.array(head, "<u4").tofile(file)
            np.insert(values, starts, df).astype("<u4").tofile(file)
    sums = np.add.reduceat(np.append(documents.weights, 0).astype(np.int64), documents.indptr[:-1])
    sums[lengths == 0] = 0
    with (folder / "inv.sizes").open("wb") as file:
        np.concatenate([[len(order)], sums[order]]).astype("<u4").tofile(file)


def open_index(folder: Path) -> Any:
    """Open; see `lsr.eval.bench.engine.Engine`. The first time this compresses the index."""
    from pyterrier_pisa import _pisathon

    context = _pisathon.RetrievalContext()
    _pisathon.prepare_index(context, str(folder), ENCODING, SCORER, "")
    return context


class _Search:
    def __init__(self, context: Any, algorithm: str) -> None:
        from pyterrier_pisa import _pisathon

        self._context, self._algorithm, self._retrieve = context, algorithm, _pisathon.retrieve

    def prepare(self, term_ids: npt.NDArray[np.int32], weights: npt.NDArray[np.float32]) -> Any:
        # Its loop repeats a term as often as its weight says, so weights are whole.
        return [(0, {_term(i): float(w) for i, w in zip(term_ids.tolist(), weights.tolist(), strict=True)})]

    def search(self, query: Any, k: int) -> Any:
        names = np.empty(k, object)
        n = self._retrieve(
            self._context,
            self._algorithm,
            query,
            k=k,
            threads=1,
            pretokenised=True,
            query_weighted=1,
            result_qidxs=np.empty(k, np.int32),
            result_docnos=names,
            result_ranks=np.empty(k, np.int32),
            result_scores=np.empty(k, np.float32),
        )
        return names[:n]

    def positions(self, result: Any) -> npt.NDArray[np.int64]:
        return np.array([int(name) for name in result], np.int64)


def searcher(index: Any, *, algorithm: str) -> _Search:
    """Return an open index to be searched by one of PISA's algorithms."""
    return _Search(index, algorithm)
