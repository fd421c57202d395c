"""Inverse document frequencies of tokens: the initial weights of a query table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of
from lsr.errors import LsrError
from lsr.types import Document

BATCH = 1024
MAX_LENGTH = 512


def inverse_document_frequencies(
    documents: Iterable[Document], encoder: NeuralEncoder, *, largest: float
) -> Mapping[str, float]:
    """Return `ln(1 + (N − df + ½) ÷ (df + ½))` of each token over documents, as BM25 has it, at most `largest`.

    Raises LsrError where there are no documents.
    """
    tokenizer = TextTokenizer(copy_of(encoder.document.backend), max_length=MAX_LENGTH, special_tokens=False)
    df = np.zeros(encoder.document.tower.head.vocab_size, np.int64)
    n_docs = 0
    batch: list[str] = []

    def count() -> None:
        for encoding in tokenizer.encode(batch):
            df[np.unique(np.array(encoding.ids, np.int64))] += 1
        batch.clear()

    for document in documents:
        n_docs += 1
        batch.append(document.full_text)
        if len(batch) == BATCH:
            count()
    if batch:
        count()
    if not n_docs:
        raise LsrError("encoder.query_table 'idf': there are no documents to count tokens in")
    idf = np.minimum(np.log1p((n_docs - df + 0.5) / (df + 0.5)), largest)
    return {term: float(weight) for term, weight in zip(encoder.terms, idf, strict=True)}
