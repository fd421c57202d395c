"""FLOPS: a smooth estimate of the cost of scoring by an inverted index.

Paria et al., "Minimizing FLOPs to Learn Efficient Sparse Representations" (ICLR 2020, arXiv:2004.05665); in sparse
retrieval since SPLADE (Formal et al., SIGIR 2021, arXiv:2107.05720).
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.regularisers.base import Regulariser, TermWeights, mean_weights, register_regulariser


@register_regulariser("flops")
class FLOPS(Regulariser):
    """Σ_j (mean_i |w_ij|)²: frequent terms cost more than rare ones, so posting lists become even."""

    def __call__(self, texts: TermWeights) -> Tensor:
        """Return the penalty."""
        return texts.sum_over_terms(mean_weights(texts) ** 2)


def joint_flops(queries: TermWeights, documents: TermWeights) -> Tensor:
    """Return Σ_j (mean_i |q_ij|) (mean_i |d_ij|): a smooth count of the products of one query with one document.

    Both sides share the columns. Paria et al. (2020), section 3, where the two sides are distributed differently.
    """
    return documents.sum_over_terms(mean_weights(queries) * mean_weights(documents))
