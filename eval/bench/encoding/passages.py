"""The passages that encoding is measured with: two neighbours of a corpus each, cut to so many words."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from lsr.errors import UsageError
from lsr.indexer.corpus.reader import read_corpus
from lsr.types import Document

WORDS = 91
"""Words of a passage: some 122 tokens of English."""


def passages(corpus: Path, n: int) -> list[Document]:
    """Return n passages of a corpus of short texts. Raises UsageError where it has too few."""
    texts = [document.text for document in islice(read_corpus([corpus]), 2 * n)]
    if len(texts) < 2 * n:
        raise UsageError(f"{corpus} has {len(texts)} documents, but {2 * n} are needed: lower --passages")
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return [Document(str(i), " ".join(f"{a} {b}".split()[:WORDS])) for i, (a, b) in enumerate(pairs)]
