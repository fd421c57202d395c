"""The bundled model's passages a second in this library and in others, of the same weights, in turns.

Run as `python -m lsr.eval.bench.encoding.runtimes CORPUS`. It needs torch and sentence-transformers; onnx, onnxscript
and onnxruntime for the rows of ONNX Runtime, openvino for those of OpenVINO, which are left out without them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.choose import FLOAT32, INT8
from lsr.eval.bench.encoding.passages import passages
from lsr.eval.bench.encoding.peers import Encode, open_peers
from lsr.types import Document, SparseBatch

FEW = 12
"""Passages that are encoded alone as well."""


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of a runtime.

    passages_per_s: the median of the turns, by the clock. cores: processors at work for it. same_alone: share of
    passages that have the same bits alone as in a batch. error: mean of one less the cosine with float32 alone.
    """

    name: str
    passages_per_s: float
    cores: float
    same_alone: float
    error: float


def measure(corpus: Path, n: int, *, threads: int, rounds: int, folder: Path) -> tuple[list[Row], list[str]]:
    """Return the rows of all runtimes that are installed, and notes on the others."""
    documents = passages(corpus, n)
    texts = [document.full_text for document in documents]
    runtimes: dict[str, Encode] = {f"lsr, {dtype}": _own(dtype, threads) for dtype in (INT8, FLOAT32)}
    peers, notes = open_peers(folder, threads)
    runtimes |= peers
    few = texts[:FEW]
    exact = _rows(runtimes["sentence-transformers, torch float32"], few, alone=True)
    rows_alone = {name: _rows(encode, few, alone=True) for name, encode in runtimes.items()}
    rows_together = {name: _rows(encode, few, alone=False) for name, encode in runtimes.items()}
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in runtimes}
    for _ in range(rounds):
        for name, encode in runtimes.items():
            clock, processor = time.perf_counter(), time.process_time()
            encode(texts)
            took[name].append((time.perf_counter() - clock, time.process_time() - processor))
    rows = []
    for name in runtimes:
        wall, busy = np.median(np.array(took[name], np.float64), axis=0).tolist()
        pairs = list(zip(rows_alone[name], rows_together[name], strict=True))
        same = float(np.mean([np.array_equal(a, b) for a, b in pairs]))
        errors = [1 - _cosine(a, b) for (_, a), b in zip(pairs, exact, strict=True)]
        rows.append(Row(name, n / wall, busy / wall, same, float(np.mean(errors))))
    return rows, notes


def _own(dtype: str, threads: int) -> Encode:
    from dataclasses import replace

    from lsr.encoders.compiled.open import open_compiled
    from lsr.encoders.config import Pruning

    encoder = open_compiled("default", dtype=dtype, n_threads=threads)
    # The others prune nothing, and know no factor of repeated tokens.
    model = encoder.document
    model.config = replace(model.config, pruning=Pruning(), repeats=0.0)
    model._forward._least = 0.0

    def encode(texts: Sequence[str]) -> SparseBatch:
        return encoder.encode_documents([Document(str(i), text) for i, text in enumerate(texts)])

    return encode


def _rows(encode: Encode, texts: Sequence[str], *, alone: bool) -> list[npt.NDArray[np.float32]]:
    """Return each text's vector, dense: encoded alone, or all together."""
    batches = [encode([text]) for text in texts] if alone else [encode(texts)]
    rows = []
    for batch in batches:
        for terms, weights in batch:
            row = np.zeros(batch.vocab_size, np.float32)
            row[terms] = weights
            rows.append(row)
    return rows


def _cosine(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    return float(a @ b) / max(float(np.linalg.norm(a)) * float(np.linalg.norm(b)), 1e-9)


def lines(rows: Sequence[Row]) -> list[str]:
    """Return a table, a row a runtime."""
    first = rows[0].passages_per_s
    return [
        "| runtime | passages/s | cores | lsr int8 is times as fast | same bits alone | 1 - cosine with float32 |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {row.name} | {row.passages_per_s:.1f} | {row.cores:.2f} | {first / row.passages_per_s:.2f} "
            f"| {100 * row.same_alone:.0f} % | {row.error:.5f} |"
            for row in rows
        ),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.runtimes", description=__doc__)
    parser.add_argument("corpus", type=Path, help="corpus of short texts, such as passages of Wikipedia in Parquet")
    parser.add_argument("--passages", type=int, default=64, metavar="N", help="passages to encode (default 64)")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="threads of each (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default 3)")
    parser.add_argument("--models", type=Path, help="folder that keeps the others' models (default: a temporary one)")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.models or Path(temporary)
        rows, notes = measure(args.corpus, args.passages, threads=args.threads, rounds=args.rounds, folder=folder)
    sys.stdout.write("".join(f"{line}\n" for line in lines(rows) + notes))
    return 0


if __name__ == "__main__":
    sys.exit(main())
