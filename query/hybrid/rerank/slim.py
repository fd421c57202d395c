"""Candidates refined by sparsified late interaction: sums of maxima over sparse token vectors.

Li, Lin et al., "SLIM" (SIGIR 2023, arXiv:2302.06587): the sparse search finds candidates by the fused form.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lsr.errors import UsageError
from lsr.query.hybrid.rerank.late_interaction import LateInteractionReranker

if TYPE_CHECKING:
    from lsr.query.sparse_search import SparseSearch

NAME = "slim"


class SlimReranker(LateInteractionReranker):
    """Scores candidates by the sparse token vectors of their texts, which are cached as late interaction's are.

    model: a folder, a name on the hub, or loaded `SparseTokens`; None: the encoder of the index.
    """

    name = NAME

    def minimum(self, search: SparseSearch) -> float:
        """Return 0: no weight is less."""
        del search
        return 0.0

    def _similarities(self, query: Any, documents: Sequence[Any]) -> npt.NDArray[np.float64]:
        from lsr.encoders.rerank.sparse_tokens import sums_of_maxima

        return sums_of_maxima(query, documents)

    def _size_bytes(self, vectors: Any) -> int:
        return int(vectors.indptr.nbytes + vectors.term_ids.nbytes + vectors.weights.nbytes)

    def _load(self, search: SparseSearch) -> Any:
        from lsr.encoders.rerank.sparse_tokens import load_sparse_tokens

        if self._model is not None:
            named = isinstance(self._model, str | Path)
            return load_sparse_tokens(self._model, **self._options) if named else self._model
        recorded = search.index.manifest.encoder
        if recorded.get("query_side") != "model" or "document" not in recorded.get("settings", {}):
            raise UsageError(
                f"the index at {search.index.path} was made by {recorded.get('name')!r:.80}, whose queries' tokens "
                f"have no sparse vectors: name a model, as {self.name}:MODEL"
            )
        from lsr.encoders.pretrained.known_models import recorded_place

        place, revision = recorded_place(recorded, search.encoders.model_place, "--encoder")
        return load_sparse_tokens(place, plain_family=recorded["kind"], revision=revision, **self._options)
