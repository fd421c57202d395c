"""Query tables: inference-free queries whose tokens have weights by table.

Geng et al., "Towards Competitive Search Relevance for Inference-Free Learned Sparse Retrievers" (2024),
arXiv:2411.04403: s(q, d) is the sum of w_t · d_t over the distinct tokens t of the query, w being an idf or learned.
With all weights 1 it is the binary query side of SPLADE-doc (Formal et al., 2021, arXiv:2109.10086). Long queries say
twice what matters to them: with `repeats` "log", a token that stands there n times weighs 1 + ln n times as much, the
logarithmic term frequency of Buckley, Salton and Allan, "Automatic Retrieval with Locality Information Using SMART"
(TREC-1, 1992).

This module and what it imports must not import torch: a search starts through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from lsr.encoders.base import TermLookup
from lsr.encoders.sparse.vocabulary_map import ABSENT, TermMap
from lsr.encoders.text.tokenizer import TextTokenizer, read_tokenizer
from lsr.errors import EncoderError
from lsr.io.folder import Folder
from lsr.types import SparseBatch

TOKENIZER_FILE = "tokenizer.json"
WEIGHTS_FILE = "query_weights.npy"


class TableQueryEncoder:
    """Query texts as the weights of their tokens; `term_map` leads to an index's terms.

    tokenizer: the documents' model's; it is configured here, so nothing else may use it.
    weights: float32, (number of tokens), 0 for tokens to be ignored. repeats: of `config.REPEATS`.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        weights: npt.NDArray[np.float32],
        *,
        max_length: int | None = None,
        prompt: str = "",
        repeats: str = "once",
        term_map: TermMap | None = None,
        vocab_size: int | None = None,
    ) -> None:
        n_tokens = tokenizer.get_vocab_size(with_added_tokens=True)
        if weights.ndim != 1 or weights.dtype != np.float32 or len(weights) < n_tokens:
            raise EncoderError(
                f"query weights are {weights.dtype} {weights.shape}, but {n_tokens} tokens need one float32 each"
            )
        if not np.isfinite(weights).all() or (weights < 0).any():
            bad = int(np.argmax(~np.isfinite(weights) | (weights < 0)))
            raise EncoderError(f"query weight {weights[bad]} of token id {bad} is not 0 or more")
        self.tokenizer = tokenizer
        self.weights = weights
        self._texts = TextTokenizer(tokenizer, max_length=max_length, special_tokens=False)
        self.prompt = prompt
        self.repeats = repeats
        self.max_length = max_length
        self._term_map = term_map
        self._vocab_size = len(weights) if vocab_size is None else vocab_size

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text: each of its tokens; tokens of weight 0 or unknown to the index are dropped."""
        rows = [self._row(encoding.ids) for encoding in self._texts.encode([self.prompt + text for text in texts])]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(ids) for ids, _ in rows], out=indptr[1:])
        term_ids = np.concatenate([ids for ids, _ in rows]) if rows else np.empty(0, np.int64)
        weights = np.concatenate([row for _, row in rows]) if rows else np.empty(0, np.float32)
        return SparseBatch(indptr, term_ids.astype(np.int32), weights, self._vocab_size)

    def _row(self, token_ids: list[int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        ids = np.array(sorted(set(token_ids)), np.int64)
        weights = self.weights[ids]
        if self.repeats == "log" and len(ids) < len(token_ids):
            weights = weights * frequency_factors(token_ids)
        if not weights.all():
            ids, weights = ids[weights > 0], weights[weights > 0]
        if self._term_map is None or len(ids) == 0:
            return ids, weights
        terms = self._term_map(ids)
        order = np.argsort(terms)
        order = order[terms[order] != ABSENT]
        return terms[order], weights[order]

    def save(self, folder: Path) -> None:
        """Write the tokenizer and the weights to `folder`."""
        (folder / TOKENIZER_FILE).write_text(self.tokenizer.to_str(), encoding="utf-8")
        np.save(folder / WEIGHTS_FILE, self.weights, allow_pickle=False)


def frequency_factors(token_ids: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return 1 + ln n of each distinct token, in ascending order, n being its number of occurrences."""
    counts = np.unique(np.array(token_ids, np.int64), return_counts=True)[1]
    return (1 + np.log(counts)).astype(np.float32)


def open_table(
    folder: Path | Folder,
    lookup: TermLookup,
    vocab_size: int,
    *,
    max_length: int | None = None,
    prompt: str = "",
    repeats: str = "once",
) -> TableQueryEncoder:
    """Open a table that `TableQueryEncoder.save` wrote, for an index whose terms `lookup` finds.

    Raises EncoderError if a file is missing or broken.
    """
    try:
        folder = Folder.of(folder)
    except OSError as error:
        raise EncoderError(f"{folder} can't be opened ({error.strerror or error}): index the corpus again") from error
    path = folder / WEIGHTS_FILE
    try:
        with path.open() as file:
            weights = np.load(file, allow_pickle=False)
    except FileNotFoundError as error:
        raise EncoderError(f"{path} is missing: index the corpus again") from error
    except (ValueError, EOFError, OSError) as error:
        raise EncoderError(f"{path} is not an array of weights: {error}") from error
    tokenizer = read_tokenizer(folder / TOKENIZER_FILE, n_rows=len(weights) if weights.ndim == 1 else None)
    return TableQueryEncoder(
        tokenizer,
        weights,
        max_length=max_length,
        prompt=prompt,
        repeats=repeats,
        term_map=TermMap(tokenizer.id_to_token, len(weights), lookup),
        vocab_size=vocab_size,
    )
