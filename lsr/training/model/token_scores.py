"""Scores of a training by sums of maxima over sparse token vectors.

Li, Lin et al., "SLIM: Sparsified Late Interaction for Efficient Multi-Vector Retrieval with Inverted Indexes" (SIGIR
2023, arXiv:2302.06587), section 3: a training compares sparse token vectors, so that a search's refinement and its
fused first stage are both of them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from lsr.encoders.network.sparse_model import TokenWeights


def sums_of_maxima(queries: TokenWeights, documents: TokenWeights) -> Tensor:
    """Return Σ_i max_j q_i · d_j, (n_queries, n_documents), float32, with a gradient.

    Only terms that a query's token has are compared. The products of all tokens of the batch exist at a time.
    """
    terms = torch.unique(queries.terms[queries.weights.detach() > 0])
    if not len(terms):
        return (queries.weights.sum() * 0).expand(len(queries.weights), len(documents.weights))
    of_queries, of_documents = (_over(texts, terms) for texts in (queries, documents))
    products = of_queries.flatten(0, 1) @ of_documents.flatten(0, 1).T
    shape = (*of_queries.shape[:2], *of_documents.shape[:2])
    # A position of filling has no weight: its products are 0, as those of tokens without a common term.
    return products.view(shape).amax(3).sum(1)


def _over(texts: TokenWeights, terms: Tensor) -> Tensor:
    """Return token vectors over some terms, (n_texts, longest, n_terms). terms: ascending."""
    places = torch.searchsorted(terms, texts.terms).clamp(max=len(terms) - 1)
    kept = texts.weights.float() * (terms[places] == texts.terms)
    vectors = kept.new_zeros(*texts.terms.shape[:2], len(terms))
    return vectors.scatter_add(2, places, kept)
