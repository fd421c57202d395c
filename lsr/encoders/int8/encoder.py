"""Sparse and joint encoders on the integer kernels; queries by a table."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from lsr.encoders.config import EncoderConfig, Pruning
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.int8.forward import Forward, Scores, Scratch
from lsr.encoders.int8.weights import BertWeights
from lsr.encoders.runtime import INTEGER_KERNELS, Runtime
from lsr.encoders.sparse.pruning import prune
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.sparse.repeated_tokens import count_repeats
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of, tokenizer_hash, vocabulary
from lsr.encoders.threads import encoding_threads
from lsr.errors import EncoderError
from lsr.kernels.encode.functions import log1p_of
from lsr.types import Document, SparseBatch

GROUP_TOKENS = 512
"""Tokens of the texts that one thread takes at a time: their rows stay in its cache, and share the weights there."""

_LOGARITHMS = {"relu": 0, "log1p(relu)": 1, "log1p(log1p(relu))": 2}


class _Tokens(NamedTuple):
    """A text's token ids, and those that are the text's own."""

    ids: list[int]
    literal: np.ndarray[Any, np.dtype[np.int64]]


class IntegerEncoder:
    """Documents by the integer kernels, queries by a table. A document's vector depends on its text alone.

    Made by `open_integer_encoder`. n_threads: threads that encode documents
    (default: as many as `encoding_threads` says).
    """

    def __init__(
        self,
        config: EncoderConfig,
        name: str,
        revision: str,
        weights: BertWeights,
        tokenizer: Tokenizer,
        max_length: int | None,
        query: TableQueryEncoder,
        *,
        n_threads: int | None = None,
    ) -> None:
        self.config = config
        self.name = name
        self.revision = revision
        self.query = query
        self._forward = Forward(weights)
        self._terms = vocabulary(tokenizer, weights.vocab_size)
        self._tokenizer_hash = tokenizer_hash(tokenizer)
        self._backend = tokenizer
        self._texts = TextTokenizer(copy_of(tokenizer), max_length=max_length)
        self._max_length = max_length
        self._n_threads = n_threads
        self._local = threading.local()

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Tokenizer:
        """The documents' tokenizer; only to be read."""
        return self._backend

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def runtime(self) -> Runtime:
        """The integer kernels."""
        return INTEGER_KERNELS

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        settings = self.config.to_json()
        settings.pop("words", None)
        settings["document"]["max_length"] = self._max_length
        settings["query"] = {"prompt": self.query.prompt, "max_length": self.query.max_length}
        return {
            "kind": self.config.family,
            "name": self.name,
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "table",
            "needs_corpus_statistics": False,
            "settings": settings,
        }

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row.

        Raises EncoderError, naming the document, if the model gives weights that aren't numbers.
        """
        return self._encode(_texts(documents), sparse=True, dense=False)[0]

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        return self.query.encode_queries(texts)

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read, special ones and prompt among them; None: all."""
        return self._texts.max_length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that this encoder reads whole.

        overlap: tokens that two passages share. max_length: tokens of a passage, if fewer than the model reads.
        Raises UsageError if one is out of its range, or the model has no limit.
        """
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self._backend, length, overlap=overlap, prompt=self.config.document.prompt)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`."""
        self.query.save(folder)

    def _encode(
        self, texts: Sequence[tuple[str, str]], *, sparse: bool, dense: bool
    ) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a text. texts: each with its name in an error."""
        prompt = self.config.document.prompt
        tokens = self._tokens([prompt + text for text, _ in texts])
        filled = [i for i, (text, _) in enumerate(texts) if text.strip() and len(tokens[i].literal)]
        groups = _groups(filled, tokens)

        def encode(group: list[int]) -> tuple[list[Scores], DenseVectors]:
            ids = [tokens[i].ids for i in group]
            settings = self.config.dense
            normalise = settings is None or settings.normalise
            return self._forward.both(
                ids, self._scratch(sum(map(len, ids))), sparse=sparse, dense=dense, normalise=normalise
            )

        n_threads = min(len(groups), self._n_threads or encoding_threads())
        if n_threads > 1:
            with ThreadPoolExecutor(n_threads) as pool:
                parts = list(pool.map(encode, groups))
        else:
            parts = [encode(group) for group in groups]
        rows = [_NO_TERMS] * len(texts)
        vectors = np.zeros((len(texts), self._forward.weights.size if dense else 0), np.float32)
        for group, (scores, of_group) in zip(groups, parts, strict=True):
            if sparse:
                for i, row in zip(group, scores, strict=True):
                    rows[i] = row
            if dense:
                vectors[group] = of_group
        _refuse_no_numbers(rows, vectors, [name for _, name in texts])
        return self._sparse(rows, tokens), vectors

    def _tokens(self, texts: Sequence[str]) -> list[_Tokens]:
        found = []
        for encoding in self._texts.encode(texts):
            ids = encoding.ids
            own = np.array(encoding.special_tokens_mask) == 0
            found.append(_Tokens(ids, np.array(ids, np.int64)[own]))
        return found

    def _scratch(self, n_tokens: int) -> Scratch:
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None or scratch.n_rows < n_tokens:
            scratch = self._local.scratch = Scratch(self._forward.weights, max(n_tokens, GROUP_TOKENS))
        return scratch

    def _sparse(self, rows: Sequence[Scores], tokens: Sequence[_Tokens]) -> SparseBatch:
        document = self.config.document
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row.term_ids) for row in rows], out=indptr[1:])
        weights = np.concatenate([row.logits for row in rows]) if rows else np.empty(0, np.float32)
        for _ in range(_LOGARITHMS[document.activation]):
            log1p_of(weights, weights)
        term_ids = np.concatenate([row.term_ids for row in rows]) if rows else np.empty(0, np.int32)
        batch = SparseBatch(indptr, term_ids, weights, self._forward.weights.vocab_size)
        if document.repeats:
            batch = count_repeats(batch, [text.literal for text in tokens], document.repeats)
        return batch if document.pruning == Pruning() else prune(batch, document.pruning)


class JointIntegerEncoder(IntegerEncoder):
    """An encoder that also gives a dense vector of the same pass, of documents and of queries."""

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return self._forward.weights.size

    def encode_documents_jointly(self, documents: Sequence[Document]) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a document; a text of nothing but white space has empty ones."""
        return self._encode(_texts(documents), sparse=True, dense=True)

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one dense row a document."""
        return self._encode(_texts(documents), sparse=False, dense=True)[1]

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one dense row a text."""
        prompt = self.query.prompt
        named = [(prompt + text if text.strip() else "", f"query {text!r:.80}") for text in texts]
        return self._encode(named, sparse=False, dense=True)[1]


_NO_TERMS = Scores(np.empty(0, np.int32), np.empty(0, np.float32))


def _texts(documents: Sequence[Document]) -> list[tuple[str, str]]:
    return [(document.full_text, f"document {document.doc_id!r}") for document in documents]


def _groups(filled: Sequence[int], tokens: Sequence[_Tokens]) -> list[list[int]]:
    """Cut texts, in their order, into groups of at most GROUP_TOKENS, or of one text."""
    groups: list[list[int]] = []
    room = 0
    for i in filled:
        length = len(tokens[i].ids)
        if not groups or length > room:
            groups.append([])
            room = GROUP_TOKENS
        groups[-1].append(i)
        room -= length
    return groups


def _refuse_no_numbers(rows: Sequence[Scores], vectors: DenseVectors, names: Sequence[str]) -> None:
    for row, vector, name in zip(rows, vectors, names, strict=True):
        if not (np.isfinite(row.logits).all() and np.isfinite(vector).all()):
            raise EncoderError(f"{name}: the model gives weights that are not numbers (NaN or infinite); it is broken")
