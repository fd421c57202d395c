"""IDF-aware FLOPS: a weaker penalty on rare terms, through the scores.

Geng et al., "Towards Competitive Search Relevance for Inference-Free Learned Sparse Retrievers" (2024,
arXiv:2411.04403): the query side is the table of inverse document frequencies, s(q, d) = Σ_{t ∈ q} idf_t · d_t, so that
the ranking loss pulls a term's weight up idf_t times as hard while FLOPS pushes all terms down alike. The awareness
is in the score; the penalty is that of the documents alone.
"""

from __future__ import annotations

from typing import ClassVar

from lsr.training.regularisers.base import register_regulariser
from lsr.training.regularisers.flops import FLOPS


@register_regulariser("idf-flops")
class IDFAwareFLOPS(FLOPS):
    """FLOPS on documents, for an encoder whose query table holds inverse document frequencies.

    The penalty is that of FLOPS; a training checks before its first step that there is such a table.
    """

    needs_idf_table: ClassVar[bool] = True
