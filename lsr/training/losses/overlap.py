"""Loss of query terms that the positive document's text has or lacks: distant supervision of what matters in a query.

Chen et al., "Revisiting Sparse Retrieval for Few-shot Entity Linking" (EMNLP 2023, arXiv:2310.12444): a long context
holds few words that name the entity. Those that its description has are the positive labels of a classifier of tokens,
and the others are left out of the query: here by an activation that is 0 for logits below 0.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from lsr.errors import UsageError
from lsr.training.losses.base import ScoredBatch, mean_where, register_loss


@register_loss("overlap")
def overlap(batch: ScoredBatch) -> Tensor:
    """Return the mean binary cross-entropy of the logits of a query's own terms; label 1: the positive's text has it.

    Raises UsageError for queries without logits, as those of a table or of summed pooling.
    """
    if batch.query_logits is None or batch.standing is None:
        raise UsageError("loss.overlap needs logits of queries, which a model with max pooling alone has")
    own = batch.query_logits.isfinite()
    labels = batch.standing[batch.positives].to(batch.query_logits.dtype)
    logits = batch.query_logits.masked_fill(~own, 0.0)
    return mean_where(binary_cross_entropy_with_logits(logits, labels, reduction="none"), own)
