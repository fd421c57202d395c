"""The part of a sparse encoder by a model that is the same whatever runs the model: torch or the compiled kernels."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from lsr.encoders.config import EncoderConfig
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import tokenizer_hash, vocabulary
from lsr.errors import EncoderError


class Side(NamedTuple):
    """One side's tokenizer, its number of terms, and the tokens of a text that are read (None: all)."""

    tokenizer: Tokenizer
    vocab_size: int
    max_length: int | None


class ModelEncoder(ABC):
    """Identity, vocabulary and splitter of an encoder whose queries need its model, another one, or a table.

    The vocabulary is the tokenizer's, term i being token i. Words that the config has are no part of it:
    `lsr.encoders.lexical.with_exact_words` puts them beside it.
    name, revision: source and version of the weights. document, query: models that `side_of` takes; query may be a
    table.
    """

    def __init__(self, config: EncoderConfig, name: str, revision: str, document: Any, query: Any) -> None:
        self.config = config
        self.name = name
        self.revision = revision
        self.document = document
        self.query = query
        side = self.side_of(document)
        self._terms = vocabulary(side.tokenizer, side.vocab_size)
        self._tokenizer_hash = tokenizer_hash(side.tokenizer)
        if not isinstance(query, TableQueryEncoder):
            other = self.side_of(query)
            same = other.tokenizer is side.tokenizer and other.vocab_size == side.vocab_size
            if not same and vocabulary(other.tokenizer, other.vocab_size) != self._terms:
                raise EncoderError(f"{name}: the models of queries and of documents have different vocabularies")

    @staticmethod
    @abstractmethod
    def side_of(model: Any) -> Side:
        """Return the facts of a model that identify its side."""

    @property
    @abstractmethod
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self.side_of(self.document).tokenizer

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        settings = self.config.to_json()
        settings.pop("words", None)
        settings["document"]["max_length"] = self.side_of(self.document).max_length
        by_table = isinstance(self.query, TableQueryEncoder)
        if by_table:
            settings["query"] = {"prompt": self.query.prompt, "max_length": self.query.max_length}
        else:
            length = self.side_of(self.query).max_length
            settings["query"] = self.config.query_tower.to_json() | {"max_length": length}
        return {
            "kind": self.config.family,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "table" if by_table else "model",
            "needs_corpus_statistics": False,
            "settings": settings,
        }

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole.

        overlap: tokens that two passages share. max_length: tokens of a passage, if fewer than the model reads.
        Raises UsageError if one is out of its range, or the model has no limit.
        """
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self.tokenizer, length, overlap=overlap, prompt=self.config.document.prompt)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`; nothing where queries need the model itself."""
        if isinstance(self.query, TableQueryEncoder):
            self.query.save(folder)
