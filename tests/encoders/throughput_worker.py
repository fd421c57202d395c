"""Encodes passages with one of two libraries in a process of its own, and says how fast and in what memory.

One thread, so that whatever else the machine does disturbs both libraries alike.
Run as `python throughput_worker.py {lsr,sentence-transformers} MODEL PASSAGES.parquet N_PASSAGES`.
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


def read(path: str, n: int) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    for batch in pq.ParquetFile(path).iter_batches(1000, columns=["_id", "title", "text"]):
        rows += list(zip(*(batch.column(i).to_pylist() for i in range(3)), strict=True))
        if len(rows) >= n:
            break
    return rows[:n]


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(library: str, model: str, path: str, n: int) -> None:
    torch.set_num_threads(1)
    rows = read(path, n)
    if library == "lsr":
        from lsr.encoders.registry import load_encoder
        from lsr.indexer.encode.corpus import encode_corpus
        from lsr.types import Document

        encoder = load_encoder(model, device="cpu")
        documents = [Document(doc_id, text, title) for doc_id, title, text in rows]
        encoder.encode_documents(documents[:32])
        before, start = peak_bytes(), time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            encode_corpus(documents, encoder, Path(folder) / "vectors")
    else:
        from sentence_transformers import SparseEncoder

        theirs = SparseEncoder(model, device="cpu")
        texts = [f"{title} {text}" for _, title, text in rows]
        theirs.encode_document(texts[:32])
        before, start = peak_bytes(), time.perf_counter()
        theirs.encode_document(texts)
    seconds = time.perf_counter() - start
    sys.stdout.write(json.dumps({"documents_per_second": n / seconds, "bytes_above_model": peak_bytes() - before}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
