"""Indexing with rows that were encoded before, so that the memory of all but encoding shows in minutes.

Run as `python -m lsr.eval.bench.encoding.repeated_rows CORPUS INDEX`. The model encodes the first 32 documents;
all others get rows of these, in turn. Reading, words, shards and the index are those of `lsr index`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.types import Document, SparseBatch

_ENCODED = 32


class RepeatedRows:
    """A sparse encoder that encodes its first documents by a model, and gives all others rows of these."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._rows: SparseBatch | None = None

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the model has."""
        return getattr(self._model, name)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, the model's rows of the first ones over and over."""
        if self._rows is None:
            self._rows = self._model.encode_documents(documents[:_ENCODED])
        rows = self._rows
        chosen = np.arange(len(documents)) % len(rows)
        lengths = np.diff(rows.indptr)[chosen]
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        places = np.repeat(rows.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return SparseBatch(indptr, rows.term_ids[places], rows.weights[places], rows.vocab_size)


def main(argv: Sequence[str] | None = None) -> int:
    """Index a corpus, and print how many documents there are."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.repeated_rows", description=__doc__)
    parser.add_argument("corpus", type=Path, help="file or folder, as of `lsr index`")
    parser.add_argument("index", type=Path, help="folder of the new index")
    parser.add_argument("--encoder", default="default", help="model without a dense vector (default: the bundled one)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    args = parser.parse_args(argv)
    from lsr.encoders.base import model_of
    from lsr.encoders.lexical.with_exact_words import with_exact_words
    from lsr.encoders.registry import load_encoder
    from lsr.indexer.encode.document_reader import reader_for
    from lsr.indexer.pipeline import index_corpus

    model = model_of(load_encoder(args.encoder))
    encoder: Any = with_exact_words(RepeatedRows(model), model.config.words)
    reader = reader_for(encoder, passages=True)
    manifest, _ = index_corpus([args.corpus], args.index, encoder, reader=reader, threads=args.threads)
    sys.stdout.write(f"{sum(segment.n_docs for segment in manifest.segments):,} documents\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
