"""Dense encoders of one model for documents and queries: what torch and the kernels have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tokenizers import Tokenizer

from lsr.encoders.dense.base import DENSE
from lsr.encoders.pretrained.dense_folder import DenseSettings
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages


@dataclass(frozen=True, slots=True)
class ModelDenseEncoder(ABC):
    """Documents and queries through one model, each with its prompt; a subclass runs it.

    name, revision: source and version of the weights.
    """

    name: str
    revision: str
    tokenizer_hash: str
    settings: DenseSettings

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Numbers of a vector."""

    @property
    @abstractmethod
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder, as JSON values."""
        return {
            "kind": DENSE,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self.tokenizer_hash,
            "query_side": "model",
            "settings": {**asdict(self.settings), "dimension": self.dimension},
        }

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        return self.settings.max_length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole."""
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self.tokenizer, length, overlap=overlap, prompt=self.settings.document_prompt)
