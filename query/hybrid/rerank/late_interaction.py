"""Candidates reranked by late interaction: the nearest token of a text for each token of the query.

Khattab and Zaharia, "ColBERT" (SIGIR 2020, arXiv:2004.12832).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.hybrid.candidates import texts_of
from lsr.query.queries import Query

if TYPE_CHECKING:
    from lsr.encoders.rerank.token_model import TokenVectors
    from lsr.encoders.rerank.token_vectors import TokenVectorModel
    from lsr.query.sparse_search import SparseSearch

NAME = "late-interaction"
KEPT_BYTES = 256 << 20
"""Token vectors of documents that are kept for queries to come."""


def mean_max_similarity(query: TokenVectors, documents: Sequence[TokenVectors]) -> npt.NDArray[np.float64]:
    """Return the mean over the query's tokens of the largest cosine with a token of each document, (n_documents).

    ColBERT takes the sum, which is this times the number of the query's tokens: the same order. −1 for a document
    without tokens, 0 for a query without.
    """
    scores = np.full(len(documents), -1.0 if len(query) else 0.0)
    filled = [i for i, document in enumerate(documents) if len(document)]
    if not len(query) or not filled:
        return scores
    starts = np.cumsum([0, *(len(documents[i]) for i in filled[:-1])])
    tokens = np.concatenate([documents[i] for i in filled]).astype(np.float32)
    cosines = query.astype(np.float32) @ tokens.T
    scores[filled] = np.maximum.reduceat(cosines, starts, axis=1).mean(axis=0)
    return scores


class LateInteractionReranker:
    """Scores candidates by the token vectors of their texts, made when they are first asked for. Safe for threads.

    model: a folder, a name on the hub, or one that is loaded; None: that of the index's own dense vectors. It is
    loaded for the first candidates. kept_bytes: of token vectors that are remembered. options: of loading, such as
    `device`, `dtype`.
    """

    name = NAME

    def __init__(
        self, model: str | Path | TokenVectorModel | None = None, *, kept_bytes: int = KEPT_BYTES, **options: Any
    ) -> None:
        self._model: Any = model
        self._options = options
        self._loaded: TokenVectorModel | None = None
        self._kept: OrderedDict[bytes, TokenVectors] = OrderedDict()
        self._room = kept_bytes
        self._working = ForkSafeLock()

    def minimum(self, search: SparseSearch) -> float:
        """Return −1: the mean of cosines is no less."""
        del search
        return -1.0

    def scores(self, search: SparseSearch, query: Query, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the mean of the largest cosines for each.

        Raises UsageError where there is no text, or no model, EncoderError for one that can't be loaded or is broken.
        """
        text, texts, names = texts_of(search, query, positions, self.name)
        with self._working:
            if self._loaded is None:
                self._loaded = self._load(search)
            documents = self._vectors(self._loaded, texts, names)
            return self._similarities(self._loaded.encode_query(text), documents)

    def _similarities(self, query: Any, documents: Sequence[Any]) -> npt.NDArray[np.float64]:
        return mean_max_similarity(query, documents)

    def _size_bytes(self, vectors: Any) -> int:
        return int(vectors.nbytes)

    def _load(self, search: SparseSearch) -> TokenVectorModel:
        from lsr.encoders.rerank.token_vectors import load_token_vectors, token_vectors_of

        if isinstance(self._model, str | Path):
            return load_token_vectors(self._model, **self._options)
        if self._model is not None:
            given: TokenVectorModel = self._model
            return given
        if search.index.dense is None:
            raise UsageError(
                f"the index at {search.index.path} has no dense vectors whose model gave token vectors, too: name "
                f"one, as {self.name}:all-MiniLM-L6-v2"
            )
        return token_vectors_of(search.encoders.dense)

    def _vectors(self, model: TokenVectorModel, texts: Sequence[str], names: Sequence[str]) -> list[TokenVectors]:
        keys = [blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        missing = [i for i, key in enumerate(keys) if key not in self._kept]
        fresh = model.encode_texts([texts[i] for i in missing], [names[i] for i in missing])
        made = dict(zip((keys[i] for i in missing), fresh, strict=True))
        found = [made[key] if key in made else self._kept[key] for key in keys]
        for key in keys:
            if key in made and key not in self._kept:
                self._kept[key] = made[key]
                self._room -= self._size_bytes(made[key])
            self._kept.move_to_end(key)
        while self._room < 0 and self._kept:
            self._room += self._size_bytes(self._kept.popitem(last=False)[1])
        return found
