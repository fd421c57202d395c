"""A test collection of long documents, made of any corpus of passages: `python -m lsr.cli.long_documents`.

Passages of one document, which follow each other and whose ids differ in a number at the end, are joined again. A query
is a sentence that is taken out of its document, from any place in it, as in the inverse cloze task of Lee, Chang and
Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question Answering" (ACL 2019, arXiv:1906.00300). So the
document is relevant, but nothing in it is the query.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from lsr.errors import LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.types import Document

_NUMBER = re.compile(r"[#-]\d+$", re.ASCII)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_MARKUP = re.compile(r"[|>*`{}\\]| - ")
LEAST_WORDS, MOST_WORDS = 8, 30
"""Words of a sentence that may be a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LongDocuments:
    """Settings of a collection.

    n_documents, n_queries: their numbers, at most. min_words: words of a document, at least. seed: of the choices.
    """

    n_documents: int = 600
    n_queries: int = 300
    min_words: int = 600
    seed: int = 0


def joined(passages: Iterable[Document]) -> Iterator[Document]:
    """Yield the documents that passages are of, each with the texts of its passages a line each."""
    for (name, title), parts in groupby(passages, lambda one: (_NUMBER.sub("", one.doc_id), one.title)):
        yield Document(name, "\n".join(part.text for part in parts), title)


def choose(documents: Iterable[Document], settings: LongDocuments) -> list[Document]:
    """Return documents that are long enough, chosen by a hash of their ids, in the order of that hash."""
    long = (document for document in documents if len(document.text.split()) >= settings.min_words)
    return sorted(long, key=lambda document: _digest(document.doc_id, settings.seed))[: settings.n_documents]


def take_query(document: Document, seed: int) -> tuple[str, Document] | None:
    """Return a sentence of a document, and the document without it; None where it has no fitting sentence."""
    sentences = [(line, _SENTENCE_END.split(line)) for line in document.text.split("\n")]
    places = [
        (row, column)
        for row, (_, parts) in enumerate(sentences)
        for column, part in enumerate(parts)
        if LEAST_WORDS <= len(part.split()) <= MOST_WORDS and _is_prose(part) and document.text.count(part) == 1
    ]
    if not places:
        return None
    rng = np.random.default_rng(int.from_bytes(_digest(document.doc_id, seed)[:8]))
    row, column = places[rng.integers(len(places))]
    query = sentences[row][1].pop(column)
    text = "\n".join(" ".join(parts) for _, parts in sentences)
    return query, Document(document.doc_id, text, document.title)


def write_collection(paths: Sequence[Path], folder: Path, settings: LongDocuments) -> tuple[int, int]:
    """Write a collection in BEIR's layout; return the numbers of its documents and queries.

    Raises LsrError where no document is long enough, or the folder is there already.
    """
    documents = choose(joined(read_corpus(list(paths))), settings)
    if not documents:
        raise LsrError(f"no document of {settings.min_words} words or more in {', '.join(map(str, paths))}")
    try:
        (folder / "qrels").mkdir(parents=True)
    except FileExistsError as error:
        raise LsrError(f"{folder} is there already: name another folder") from error
    queries: dict[str, tuple[str, str]] = {}
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for document in documents:
            taken = take_query(document, settings.seed) if len(queries) < settings.n_queries else None
            if taken is not None:
                queries[f"q{len(queries)}"] = (taken[0], document.doc_id)
            kept = document if taken is None else taken[1]
            file.write(json.dumps({"_id": kept.doc_id, "title": kept.title, "text": kept.text}) + "\n")
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"_id": name, "text": text}) + "\n" for name, (text, _) in queries.items())
    judged = "".join(f"{name}\t{doc_id}\t1\n" for name, (_, doc_id) in queries.items())
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    return len(documents), len(queries)


def _is_prose(sentence: str) -> bool:
    return sentence[0].isalpha() and not _MARKUP.search(sentence)


def _digest(doc_id: str, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\t{doc_id}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
