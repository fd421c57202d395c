"""Sources of expansions: the interface, queries made of a document itself, and expansions that are there already."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from lsr.indexer.corpus.expansions.files import Expanded, expanded_rows
from lsr.training.cached_folder import digest_of
from lsr.training.synthetic.queries import QueryGeneration, generate_queries
from lsr.training.teachers.bm25 import count_corpus
from lsr.types import Document


class Generator(Protocol):
    """Source of expansions. A document's depend on the documents of its window and the settings alone."""

    @property
    def description(self) -> Mapping[str, Any]:
        """JSON values that decide the expansions, as `kind`, `name`, `revision`, `tokenizer_hash` and `settings`."""
        ...

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read; None: all."""
        ...

    def generate(self, documents: Sequence[Document]) -> list[Expanded]:
        """Return the expansions of a window of documents, a row each."""
        ...


class MadeQueries:
    """Expansions made of the document itself: titles, headings, sentences, stretches and keyphrases of it.

    A stand-in for those of a language model: no word is new, but those that matter are repeated.
    corpus: whose words are counted for keyphrases. per_document: queries of a document, or of each of its passages.
    """

    text_length: int | None = None

    def __init__(self, corpus: Iterable[Document], *, per_document: int = 3, seed: int = 0) -> None:
        self._settings = QueryGeneration(per_document=per_document, leave_out=0.0, min_words=3, seed=seed)
        self._counts = count_corpus(corpus)

    @property
    def description(self) -> Mapping[str, Any]:
        """The settings, and the counts of the corpus by a digest."""
        counted = digest_of(list(self._counts.terms), self._counts.df.tolist(), self._counts.n_docs)
        settings = json.loads(json.dumps(asdict(self._settings)))
        return {"kind": "made-queries", "name": "made queries", "revision": counted, "settings": settings}

    def generate(self, documents: Sequence[Document]) -> list[Expanded]:
        """Return the expansions of documents."""
        numbered = [Document(str(i), d.text, d.title) for i, d in enumerate(documents)]
        texts: list[dict[str, None]] = [{} for _ in documents]
        for example in generate_queries(numbered, self._settings, counts=self._counts):
            number = example.documents[0].doc_id.partition("#")[0]  # of a passage's document
            texts[int(number)][example.query] = None
        return [Expanded(d.doc_id, tuple(some), None) for d, some in zip(documents, texts, strict=True)]


class GivenExpansions:
    """Expansions of a file, to be scored. A document that the file lacks has none."""

    text_length: int | None = None

    def __init__(self, path: Path) -> None:
        self._rows = {row.doc_id: row for row in expanded_rows(path)}
        self._path = path

    @property
    def description(self) -> Mapping[str, Any]:
        """The file by a digest of what it holds."""
        digest = digest_of([[row.doc_id, row.texts, row.scores] for row in self._rows.values()])
        return {"kind": "given", "name": str(self._path), "revision": digest, "settings": {}}

    def generate(self, documents: Sequence[Document]) -> list[Expanded]:
        """Return the expansions that the file has of documents."""
        return [self._rows.get(d.doc_id, Expanded(d.doc_id, (), None)) for d in documents]
