"""One side's model on the kernels: texts, in groups that share a thread's cache, to sparse and dense rows."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.compiled.forward import Forward, Scratch
from lsr.encoders.compiled.products import Scored
from lsr.encoders.compiled.weights import Weights
from lsr.encoders.config import Pruning, TowerConfig
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.sparse.pruning import prune
from lsr.encoders.sparse.repeated_tokens import count_repeats
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of
from lsr.encoders.threads import encoding_threads
from lsr.errors import EncoderError
from lsr.kernels.encode.functions import log1p_of
from lsr.types import Document, SparseBatch

GROUP_TOKENS = 512
"""Tokens that one thread takes at a time. Their rows stay in its cache, and share the weights there."""

Named = tuple[str, str]
"""A text and its name in an error."""

_LOGARITHMS = {"relu": 0, "log1p(relu)": 1, "log1p(log1p(relu))": 2}


class _Tokens(NamedTuple):
    """A text's token ids, the positions of those that stand in it, and their ids; others are special tokens."""

    ids: list[int]
    own: npt.NDArray[np.bool_]
    literal: npt.NDArray[np.int64]


class CompiledModel:
    """A model, its tokenizer and settings. Rows of a text depend on that text alone.

    config: of one side's texts. max_length: tokens that are read. pooling, normalise: of dense vectors.
    n_threads: threads that encode (default: as many as `encoding_threads` says).
    """

    def __init__(
        self,
        weights: Weights,
        tokenizer: Tokenizer,
        config: TowerConfig,
        *,
        max_length: int,
        pooling: str = "mean",
        normalise: bool = True,
        n_threads: int | None = None,
    ) -> None:
        self.config = config
        self.tokenizer = tokenizer
        self.n_threads = n_threads
        self._forward = Forward(weights, pooling=pooling, normalise=normalise, least=_least_logit(config))
        self._texts = TextTokenizer(copy_of(tokenizer), max_length=max_length)
        self._local = threading.local()

    @property
    def weights(self) -> Weights:
        """The weights, packed for the kernels."""
        return self._forward.weights

    @property
    def max_length(self) -> int:
        """Tokens of a text that are read, special ones and prompt among them."""
        length = self._texts.max_length
        assert length is not None
        return length

    def encode(self, texts: Sequence[Named], *, sparse: bool, dense: bool) -> tuple[SparseBatch, DenseVectors]:
        """Return one sparse and one dense row a text; a text of nothing but white space has empty ones.

        Raises EncoderError, naming the text, if the model gives numbers that are none.
        """
        tokens = self.tokens([self.config.prompt + text for text, _ in texts])
        filled = [i for i, (text, _) in enumerate(texts) if text.strip() and len(tokens[i].literal)]
        groups = _groups(filled, tokens)

        def encode(group: list[int]) -> tuple[list[Scored], DenseVectors]:
            ids = [tokens[i].ids for i in group]
            return self._forward.both(ids, self._scratch(sum(map(len, ids))), sparse=sparse, dense=dense)

        n_threads = min(len(groups), self.n_threads or encoding_threads())
        if n_threads > 1:
            with ThreadPoolExecutor(n_threads) as pool:
                parts = list(pool.map(encode, groups))
        else:
            parts = [encode(group) for group in groups]
        rows = [_NO_TERMS] * len(texts)
        vectors = np.zeros((len(texts), self.weights.dimension if dense else 0), np.float32)
        for group, (scores, of_group) in zip(groups, parts, strict=True):
            if sparse:
                for i, row in zip(group, scores, strict=True):
                    rows[i] = row
            if dense:
                vectors[group] = of_group
        _refuse_no_numbers(rows, vectors, [name for _, name in texts])
        return self._sparse(rows, tokens), vectors

    def token_vectors(self, texts: Sequence[Named]) -> list[npt.NDArray[np.float16]]:
        """Return unit vectors of each text's own tokens, float16 (n_tokens, dimension); none of an empty text.

        Raises EncoderError as `encode` does.
        """
        found: list[npt.NDArray[np.float16]] = []
        for (text, name), tokens in zip(
            texts, self.tokens([self.config.prompt + text for text, _ in texts]), strict=True
        ):
            if not text.strip() or not len(tokens.literal):
                found.append(np.zeros((0, 0), np.float16))
                continue
            (vectors,) = self._forward.tokens([tokens.ids], self._scratch(len(tokens.ids)))
            if not np.isfinite(vectors).all():
                raise EncoderError(
                    f"{name}: the model gives weights that are not numbers (NaN or infinite); it is broken"
                )
            found.append(vectors[tokens.own].astype(np.float16))
        return found

    def spans(self, texts: Sequence[Sequence[int]], spans: Sequence[Sequence[tuple[int, int]]]) -> list[Scored]:
        """Return the terms of spans of tokens, as of `Forward.spans`. texts: token ids, special ones among them."""
        return self._forward.spans(texts, spans, self._scratch(sum(map(len, texts))))

    def tokens(self, texts: Sequence[str]) -> list[_Tokens]:
        """Return the tokens of each text, special ones among them, cut to what the model reads."""
        found = []
        for encoding in self._texts.encode(texts):
            own = np.array(encoding.special_tokens_mask) == 0
            found.append(_Tokens(encoding.ids, own, np.array(encoding.ids, np.int64)[own]))
        return found

    def _scratch(self, n_tokens: int) -> Scratch:
        scratch: Scratch | None = getattr(self._local, "scratch", None)
        if scratch is None or scratch.n_rows < n_tokens:
            scratch = self._local.scratch = Scratch(self.weights, max(n_tokens, GROUP_TOKENS))
        return scratch

    def _sparse(self, rows: Sequence[Scored], tokens: Sequence[_Tokens]) -> SparseBatch:
        config = self.config
        if config.expansion == "input":
            rows = [_among(row, text.literal) for row, text in zip(rows, tokens, strict=True)]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row.term_ids) for row in rows], out=indptr[1:])
        weights = np.concatenate([row.logits for row in rows]) if rows else np.empty(0, np.float32)
        for _ in range(_LOGARITHMS[config.activation]):
            log1p_of(weights, weights)
        term_ids = np.concatenate([row.term_ids for row in rows]) if rows else np.empty(0, np.int32)
        batch = SparseBatch(indptr, term_ids, weights, self.weights.vocab_size)
        if config.repeats:
            batch = count_repeats(batch, [text.literal for text in tokens], config.repeats)
        return batch if config.pruning == Pruning() else prune(batch, config.pruning)


_NO_TERMS = Scored(np.empty(0, np.int32), np.empty(0, np.float32))


def named_documents(documents: Sequence[Document]) -> list[Named]:
    """Return the texts of documents that are encoded, with their names in an error."""
    return [(document.full_text, f"document {document.doc_id!r}") for document in documents]


def named_queries(texts: Sequence[str], prompt: str = "") -> list[Named]:
    """Return queries with their names in an error. prompt: put before each that isn't empty."""
    return [(prompt + text if text.strip() else "", f"query {text!r:.80}") for text in texts]


def _least_logit(config: TowerConfig) -> float:
    """Return a logit whose weight pruning drops, as large as rounding of its logarithm lets it be."""
    least = config.pruning.threshold
    for _ in range(_LOGARITHMS[config.activation]):
        least = math.expm1(least)
    return max(0.0, least) * (1 - 1e-5)


def _among(row: Scored, literal: npt.NDArray[np.int64]) -> Scored:
    kept = np.isin(row.term_ids, literal)
    return Scored(row.term_ids[kept], row.logits[kept])


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


def _refuse_no_numbers(rows: Sequence[Scored], vectors: DenseVectors, names: Sequence[str]) -> None:
    for row, vector, name in zip(rows, vectors, names, strict=True):
        if not (np.isfinite(row.logits).all() and np.isfinite(vector).all()):
            raise EncoderError(f"{name}: the model gives weights that are not numbers (NaN or infinite); it is broken")
