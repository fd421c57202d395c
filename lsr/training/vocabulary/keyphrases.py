"""Phrases of a corpus: keyphrases that several documents share, and titles that documents mention."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from lsr.errors import UsageError
from lsr.training.synthetic.keyphrases import STOP_WORDS, PhraseFinder
from lsr.training.teachers.bm25 import count_corpus
from lsr.types import Document

PER_DOCUMENT = 8
"""Keyphrases that are taken of a document."""
_WORDS = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_MEANT = re.compile(r"\s*\([^()]*\)$")
LONGEST = 6
"""Words of a title that is looked for, at most."""


def mine_keyphrases(
    documents: Sequence[Document], *, most: int = 5000, min_documents: int = 3, per_document: int = PER_DOCUMENT
) -> list[str]:
    """Return keyphrases of two words or more, those of the most documents first.

    As CASPER's: candidates of single documents (`PhraseFinder`), of which those are kept that are candidates in
    several. Raises UsageError where there are none.
    """
    if not documents:
        raise UsageError("there is no document to mine keyphrases from")
    finder, counted = PhraseFinder(count_corpus(documents)), Counter[str]()
    for document in documents:
        found = finder.phrases(document.full_text, per_document)
        counted.update({" ".join(phrase.lower().split()) for phrase in found if " " in phrase})
    kept = [(-n, phrase) for phrase, n in counted.items() if n >= min_documents]
    if not kept:
        raise UsageError(
            f"no phrase is a keyphrase of {min_documents} of {len(documents):,} documents: lower the number"
        )
    return [phrase for _, phrase in sorted(kept)[:most]]


def mine_bigrams(documents: Sequence[Document], *, most: int = 20_000, min_documents: int = 3) -> list[str]:
    """Return pairs of words that follow each other, neither a stop word, those in the most documents first.

    Raises UsageError where there are none.
    """
    counted = Counter[str]()
    for document in documents:
        words = [word.lower() for word in _WORDS.findall(document.full_text)]
        counted.update({f"{a} {b}" for a, b in pairwise(words) if a not in STOP_WORDS and b not in STOP_WORDS})
    kept = [(-n, pair) for pair, n in counted.items() if n >= min_documents]
    if not kept:
        raise UsageError(
            f"no pair of words stands in {min_documents} of {len(documents):,} documents: lower the number"
        )
    return [pair for _, pair in sorted(kept)[:most]]


def mentioned_titles(
    titled: Iterable[Document], documents: Iterable[Document], *, most: int = 5000, min_documents: int = 3
) -> list[str]:
    """Return titles of two words or more that documents mention, those in the most documents first.

    titled: documents whose titles name entities, as Wikipedia's articles; what a title has in parentheses, which tells
    one of several meanings, is left out. Raises UsageError where none is mentioned often enough.
    """
    names: dict[tuple[str, ...], str] = {}
    for document in titled:
        name = _MEANT.sub("", document.title)
        words = tuple(word.lower() for word in _WORDS.findall(name))
        if 2 <= len(words) <= LONGEST:
            names.setdefault(words, name)
    counted = Counter[tuple[str, ...]]()
    for document in documents:
        words = tuple(word.lower() for word in _WORDS.findall(document.full_text))
        counted.update(
            {
                words[i : i + n]
                for i in range(len(words))
                for n in range(2, LONGEST + 1)
                if i + n <= len(words) and words[i : i + n] in names
            }
        )
    kept = [(-n, names[words]) for words, n in counted.items() if n >= min_documents]
    if not kept:
        raise UsageError(f"of {len(names):,} titles none is mentioned in {min_documents} documents: lower the number")
    return [name for _, name in sorted(kept)[:most]]
