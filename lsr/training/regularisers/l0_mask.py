"""The ℓ0 mask: no penalty on documents that are sparse enough.

Shen et al., "Exploring ℓ0 Sparsification for Inference-free Sparse Retrievers" (SIGIR 2025, arXiv:2504.14839). Its
other half, the ℓ0 activation log(1 + log(1 + relu)), is `lsr.encoders.network.activations`.
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.regularisers.base import Regulariser, TermWeights, register_regulariser


@register_regulariser("l0-mask")
class L0Mask(Regulariser):
    """FLOPS of the documents with more than `threshold` active terms; the others count as empty.

    The mean is over all documents of the batch, so that the penalty fades as more of them are sparse enough.
    """

    def __init__(self, vocab_size: int, *, threshold: float = 150.0) -> None:
        super().__init__(vocab_size)
        self._threshold = threshold

    def __call__(self, texts: TermWeights) -> Tensor:
        """Return the penalty."""
        masked = texts.weights.abs() * (texts.active_terms() > self._threshold).float()[:, None]
        return texts.sum_over_terms(masked.mean(0) ** 2)
