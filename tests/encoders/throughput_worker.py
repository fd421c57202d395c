"""Speed and memory of encoding passages with one of two libraries, in a separate process.

One thread, and the processor's time is measured beside the clock's, so that other work on the machine disturbs least.
Run as `python throughput_worker.py {lsr,sentence-transformers} MODEL PASSAGES.parquet FIRST N [DTYPE]`.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch

WARM_UP = 32


def read(path: str, first: int, n: int) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for batch in pq.ParquetFile(path).iter_batches(1000, columns=["_id", "title", "text"]):
        rows += list(zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True))
        if len(rows) >= first + n:
            break
    return rows[first : first + n]


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(library: str, model: str, path: str, first: int, n: int, dtype: str | None = None) -> None:
    torch.set_num_threads(1)
    rows = read(path, first, n)
    if library == "lsr":
        from lsr.encoders.registry import load_encoder
        from lsr.indexer.encode.encode_corpus import encode_corpus
        from lsr.types import Document

        encoder = load_encoder(model, device="cpu", dtype=dtype)
        documents = [Document(doc_id, text, title) for doc_id, title, text in rows]
        encoder.encode_documents(documents[:WARM_UP])
        before, clock, processor = peak_bytes(), time.perf_counter(), time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            encode_corpus(documents, encoder, Path(folder) / "vectors")
    else:
        from sentence_transformers import SparseEncoder

        theirs = SparseEncoder(model, device="cpu")
        texts = [f"{title} {text}" for _, title, text in rows]
        theirs.encode_document(texts[:WARM_UP])
        before, clock, processor = peak_bytes(), time.perf_counter(), time.process_time()
        theirs.encode_document(texts)
    seconds, processor_seconds = time.perf_counter() - clock, time.process_time() - processor
    found = {
        "n_docs": len(rows),
        "seconds": seconds,
        "processor_seconds": processor_seconds,
        "bytes_above_model": peak_bytes() - before,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), *sys.argv[6:])
