"""A static encoder: documents by the stored rows of their words, queries by a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.config import Pruning
from lsr.encoders.device import is_cpu_or_auto
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.pretrained.known_models import remember
from lsr.encoders.runtime import Runtime, kernels_of
from lsr.encoders.sparse.pruning import prune
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.sparse.repeated_tokens import count_repeats
from lsr.encoders.static.config import FAMILY, StaticConfig
from lsr.encoders.static.folder import CONTINUING, StaticParts, read_static, revision_of
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, tokenizer_hash, vocabulary
from lsr.errors import UsageError
from lsr.kernels.encode.static_rows import NO_WORD, Words, fill_slots, pool_rows, words_of_texts
from lsr.kernels.jit.first_use import warn_before_compiling
from lsr.types import Document, SparseBatch

AT_ONCE = 256
"""Documents that are pooled together."""


class StaticEncoder:
    """Encoder without a transformer. A document's vector depends on its text and the encoder alone."""

    def __init__(self, parts: StaticParts, name: str, revision: str) -> None:
        self.config: StaticConfig = parts.config
        self.name = name
        self.revision = revision
        self._rows = parts.rows
        self._vocab_size = parts.vocab_size
        self._tokenizer = parts.tokenizer
        self._texts = TextTokenizer(copy_of(parts.tokenizer), max_length=parts.config.max_length, special_tokens=False)
        self._words = index_words(parts)
        self._terms = vocabulary(parts.tokenizer, parts.vocab_size)
        self._tokenizer_hash = tokenizer_hash(parts.tokenizer)
        weights = parts.query_weights
        self._queries = TableQueryEncoder(copy_of(parts.tokenizer), weights, repeats=parts.config.query_repeats)

    @property
    def runtime(self) -> Runtime:
        """The compiled kernels: the same bits in every batch and on every processor."""
        return kernels_of("uint8")

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self._tokenizer

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        return {
            "kind": FAMILY,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "table",
            "needs_corpus_statistics": False,
            "settings": self.config.settings,
        }

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read."""
        return self.config.max_length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole.

        overlap: tokens that two passages share. max_length: tokens of a passage, if fewer than the encoder reads.
        Raises UsageError if one is out of its range.
        """
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self._tokenizer, length, overlap=overlap)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row."""
        warn_before_compiling("pool_rows", what="the encoder's kernels")
        texts = [document.full_text for document in documents]
        parts = [self._encode(texts[first : first + AT_ONCE]) for first in range(0, len(texts), AT_ONCE)]
        lengths = [np.diff(part.indptr) for part in parts]
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]))])
        term_ids = np.concatenate([np.zeros(0, np.int32), *(part.term_ids for part in parts)])
        weights = np.concatenate([np.zeros(0, np.float32), *(part.weights for part in parts)])
        return SparseBatch(indptr.astype(np.int64), term_ids, weights, self._vocab_size)

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        return self._queries.encode_queries(texts)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`."""
        self._queries.save(folder)

    def words_of(self, texts: Sequence[str]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """Return the distinct words of all texts, by number, and where each text's begin, (n_texts + 1)."""
        return self._find(self._tokens(texts))

    def _tokens(self, texts: Sequence[str]) -> list[npt.NDArray[np.int32]]:
        return [np.array(encoding.ids, np.int32) for encoding in self._texts.encode(texts)]

    def _find(self, tokens: Sequence[npt.NDArray[np.int32]]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        starts = _starts([len(ids) for ids in tokens])
        ids = np.concatenate([np.zeros(0, np.int32), *tokens])
        found, found_starts = np.empty(len(ids), np.int32), np.zeros(len(tokens) + 1, np.int64)
        n_words = len(self._words.indptr) - 1
        words_of_texts(ids, starts, self._words, np.full(n_words, -1, np.int32), found, found_starts)
        return found[: found_starts[-1]], found_starts

    def _encode(self, texts: Sequence[str]) -> SparseBatch:
        config = self.config
        tokens = self._tokens(texts)
        found, found_starts = self._find(tokens)
        rows = self._rows
        n_most = int(np.diff(rows.indptr)[found].sum())
        term_ids, stored = np.empty(n_most, np.int32), np.empty(n_most, np.uint8)
        indptr = np.zeros(len(texts) + 1, np.int64)
        largest = np.zeros(self._vocab_size, np.uint8)
        n = pool_rows(found, found_starts, rows, largest, term_ids, stored, indptr)
        weights = stored[:n].astype(np.float32) * np.float32(config.scale)
        batch = SparseBatch(indptr, term_ids[:n].copy(), weights, self._vocab_size)
        if config.repeats:
            batch = count_repeats(batch, [ids.astype(np.int64) for ids in tokens], config.repeats)
        return prune(batch, config.pruning)


def index_words(parts: StaticParts) -> Words:
    """Return the words of an encoder, found by their tokens."""
    indptr, tokens = parts.word_indptr, parts.word_tokens
    lengths = np.diff(indptr)
    slots = np.full(1 << max(4, int(2 * len(lengths)).bit_length()), NO_WORD, np.int32)
    fill_slots(indptr, tokens, slots)
    single = np.full(parts.vocab_size, NO_WORD, np.int32)
    alone = np.flatnonzero(lengths == 1)
    single[tokens[indptr[alone]]] = alone
    continues = np.zeros(parts.vocab_size, bool)
    for token, number in parts.tokenizer.get_vocab(with_added_tokens=True).items():
        continues[number] = token.startswith(CONTINUING)
    return Words(indptr, tokens, slots, single, continues)


def open_static(
    name_or_path: str | Path,
    *,
    family: str | None = None,
    plain_family: str | None = None,
    revision: str | None = None,
    max_length: int | None = None,
    top_k: int | None = None,
    threshold: float | None = None,
    device: str | None = None,
    dtype: str | None = None,
    max_tokens: int | None = None,
) -> StaticEncoder:
    """Open the static encoder of a folder or of a bundled name. The options are those of other models.

    max_length, top_k, threshold: in place of its settings. It has no dtype and runs on the CPU: another device and any
    dtype or family is refused by UsageError. Raises EncoderError if it is broken.
    """
    del plain_family, max_tokens, revision
    source = locate(name_or_path)
    given = {"family": family, "dtype": dtype, "device": None if is_cpu_or_auto(device) else device}
    for name, value in given.items():
        if value is not None:
            raise UsageError(f"{source.name} is a static encoder, which has no {name}: leave out {name} {value!r}")
    parts = read_static(source.folder)
    config = parts.config
    pruning = Pruning(
        config.pruning.top_k if top_k is None else top_k,
        config.pruning.threshold if threshold is None else threshold,
    )
    length = min(config.max_length, max_length or config.max_length)
    found = revision_of(source.folder)
    remember(source.name, found)
    return StaticEncoder(replace(parts, config=replace(config, pruning=pruning, max_length=length)), source.name, found)


def _starts(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.int64))).astype(np.int64)
