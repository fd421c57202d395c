"""Learned sparse encoders: one tower for documents, and for queries the same, another, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from lsr.encoders.config import EncoderConfig
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.runtime import Runtime
from lsr.encoders.sparse.pruning import for_similarity
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.phrases import PhraseMatcher
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import tokenizer_hash
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch


class NeuralEncoder:
    """Documents through a transformer; queries through it, through another, or through a table.

    Made by `load_neural` or `start_encoder`. The vocabulary is the tokenizer's, term i being token i,
    with phrases behind it where the head scores some. Words that the
    config has are no part of it: `lsr.encoders.lexical.with_exact_words` puts them beside it.
    name, revision: source and version of the weights.
    """

    def __init__(
        self,
        config: EncoderConfig,
        name: str,
        revision: str,
        document: LoadedTower,
        query: LoadedTower | TableQueryEncoder,
    ) -> None:
        self.config = config
        self.name = name
        self.revision = revision
        self.document = document
        self.query = query
        self._terms = document.terms
        self._tokenizer_hash = tokenizer_hash(document.backend)
        if isinstance(query, LoadedTower) and not _same_terms(query, document, self._terms):
            raise EncoderError(f"{name}: the models of queries and of documents have different vocabularies")

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self.document.backend

    @property
    def phrase_matcher(self) -> PhraseMatcher | None:
        """The finder of the phrases that are terms beside the tokens, None where there are none."""
        return None if self.document.phrases is None else self.document.phrases.matcher

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def runtime(self) -> Runtime:
        """The runtime of the documents' model."""
        return self.document.placement.runtime

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        settings = self.config.to_json()
        settings.pop("words", None)
        settings["document"]["max_length"] = self.document.max_length
        if isinstance(self.query, LoadedTower):
            settings["query"] = self.config.query_tower.to_json() | {"max_length": self.query.max_length}
        else:
            settings["query"] = {"prompt": self.query.prompt, "max_length": self.query.max_length}
        if self.phrase_matcher is not None:
            settings["phrases"] = self.phrase_matcher.phrases.digest
        return {
            "kind": self.config.family,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "model" if isinstance(self.query, LoadedTower) else "table",
            "needs_corpus_statistics": False,
            "settings": settings,
        }

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        rows: SparseBatch = self.document.tower.encode(*texts_of(documents))
        return for_similarity(rows, self.config.similarity)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        if isinstance(self.query, TableQueryEncoder):
            return self.query.encode_queries(texts)
        rows: SparseBatch = self.query.tower.encode(texts, query_names(texts))
        return for_similarity(rows, self.config.similarity)

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        length: int | None = self.document.tower.text_length
        return length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole.

        overlap: tokens that two passages share. max_length: tokens of a passage, if fewer than the model reads.
        Raises UsageError if one is out of its range, or the model has no limit.
        """
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self.document.backend, length, overlap=overlap, prompt=self.document.tower.config.prompt)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`; nothing where queries need the model itself."""
        if isinstance(self.query, TableQueryEncoder):
            self.query.save(folder)


def _same_terms(query: LoadedTower, document: LoadedTower, terms: Sequence[str]) -> bool:
    return query.tokenizer is document.tokenizer or query.terms == terms


def texts_of(documents: Sequence[Document]) -> tuple[list[str], list[str]]:
    """Return the texts of documents that are encoded, and the documents' names in an error."""
    texts = [document.full_text for document in documents]
    return texts, [f"document {document.doc_id!r}" for document in documents]


def query_names(texts: Sequence[str]) -> list[str]:
    """Return the names of queries in an error."""
    return [f"query {text!r:.80}" for text in texts]
