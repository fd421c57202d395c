"""Learned sparse encoders: one tower for documents, and for queries the same, another, or a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from lsr.encoders.config import EncoderConfig
from lsr.encoders.lexical.exact_words import ExactWords, analyser_settings, with_words
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import tokenizer_hash, vocabulary
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch


class NeuralEncoder:
    """Documents through a transformer; queries through it, through another, or through a table.

    Made by `load_neural` or `start_encoder`. The vocabulary is the tokenizer's, term i being token i, and behind it the
    words, where the config has some.
    name, revision: where the weights come from, and which they are. terms: of an index that is to be continued, which
    may hold words; default, the tokenizer's.
    """

    def __init__(
        self,
        config: EncoderConfig,
        name: str,
        revision: str,
        document: LoadedTower,
        query: LoadedTower | TableQueryEncoder,
        *,
        terms: Sequence[str] | None = None,
    ) -> None:
        self.config = config
        self.name = name
        self.revision = revision
        self.document = document
        self.query = query
        self._terms = vocabulary(document.backend, document.tower.head.vocab_size)
        self._tokenizer_hash = tokenizer_hash(document.backend)
        if isinstance(query, LoadedTower) and not _same_terms(query, document, self._terms):
            raise EncoderError(f"{name}: the models of queries and of documents have different vocabularies")
        self._n_model_terms = len(self._terms)
        self.words: ExactWords | None = None
        if config.words is not None:
            self._terms = [*self._terms, *([] if terms is None else terms[self._n_model_terms :])]
            self.words = ExactWords(config.words, self._terms, self._n_model_terms)

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id, and behind them the words so far."""
        return self._terms

    @cached_property
    def without_words(self) -> Self:
        """This encoder without words beside the model's terms; itself, where it has none."""
        if self.words is None:
            return self
        return type(self)(replace(self.config, words=None), self.name, self.revision, self.document, self.query)

    def begun_anew(self) -> Self:
        """Return this encoder, on the same models, without the words that documents have brought so far."""
        return type(self)(self.config, self.name, self.revision, self.document, self.query)

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """What the manifest says of this encoder, as JSON values."""
        settings = self.config.to_json()
        settings["document"]["max_length"] = self.document.max_length
        if isinstance(self.query, LoadedTower):
            settings["query"] = self.config.query_tower.to_json() | {"max_length": self.query.max_length}
        else:
            settings["query"] = {"prompt": self.query.prompt, "max_length": self.query.max_length}
        if self.config.words is not None:
            settings["words"] = {
                "config": self.config.words.to_json(),
                "analyser": analyser_settings(self.config.words).fingerprint(),
                "n_model_terms": self._n_model_terms,
            }
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
        return with_words(self, self.document.tower.encode(*texts_of(documents)), documents)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row, a word that no document had is dropped."""
        if isinstance(self.query, TableQueryEncoder):
            return self._with_words(self.query.encode_queries(texts), texts)
        return self._with_words(self.query.tower.encode(texts, query_names(texts)), texts)

    def _with_words(self, rows: SparseBatch, texts: Sequence[str]) -> SparseBatch:
        return rows if self.words is None else self.words.beside_queries(rows, texts)

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        length: int | None = self.document.tower.text_length
        return length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return what cuts documents into passages that this encoder reads whole.

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
    return query.tokenizer is document.tokenizer or vocabulary(query.backend, query.tower.head.vocab_size) == terms


def texts_of(documents: Sequence[Document]) -> tuple[list[str], list[str]]:
    """Return what is encoded of documents, and what errors call them."""
    texts = [document.full_text for document in documents]
    return texts, [f"document {document.doc_id!r}" for document in documents]


def query_names(texts: Sequence[str]) -> list[str]:
    """Return what errors call queries."""
    return [f"query {text!r:.80}" for text in texts]
