"""Candidates reranked by a cross-encoder, which reads query and text together.

Nogueira and Cho, "Passage Re-ranking with BERT" (2019, arXiv:1901.04085).
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lsr.io.fork_safe import ForkSafeLock
from lsr.query.hybrid.candidates import texts_of
from lsr.query.queries import Query

if TYPE_CHECKING:
    from lsr.encoders.rerank.cross_encoder import CrossEncoder
    from lsr.query.sparse_search import SparseSearch

NAME = "cross-encoder"


class CrossEncoderReranker:
    """Scores candidates by what a classifier says of query and text. Safe for threads.

    model: a folder, a name on the hub, or one that is loaded. It is loaded for the first candidates. options: of
    loading, such as `device`, `dtype`.
    """

    name = NAME

    def __init__(self, model: str | Path | CrossEncoder, **options: Any) -> None:
        self._model: Any = model
        self._options = options
        self._working = ForkSafeLock()

    def minimum(self, search: SparseSearch) -> None:
        """Return None: a logit may be anything."""
        del search

    def scores(self, search: SparseSearch, query: Query, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return the model's logit for each.

        Raises UsageError where there is no text, EncoderError for a model that can't be loaded or is broken.
        """
        text, texts, _ = texts_of(search, query, positions, self.name)
        with self._working:
            if isinstance(self._model, str | Path):
                from lsr.encoders.rerank.cross_encoder import load_cross_encoder

                self._model = load_cross_encoder(self._model, **self._options)
            scores: npt.NDArray[np.float32] = self._model.scores([(text, candidate) for candidate in texts])
        return scores.astype(np.float64)
