"""Vector regression: match a dense teacher's vectors with the dense head of a joint encoder.

Reimers and Gurevych, "Making Monolingual Sentence Embeddings Multilingual using Knowledge Distillation" (EMNLP 2020,
arXiv:2004.09813), where a student learns another model's vectors by their mean squared error.
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.losses.base import VECTORS, register_loss


@register_loss("regression", teacher=VECTORS)
def vector_regression(student: Tensor, teacher: Tensor) -> Tensor:
    """Return mean_i |v_i − t_i|² over the texts, (n_texts, dimension) each.

    The sum over dimensions, not their mean: for unit vectors it is 2 − 2 cos, whatever the dimension.
    """
    return ((student - teacher) ** 2).sum(1).mean()
