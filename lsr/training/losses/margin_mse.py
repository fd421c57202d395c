"""MarginMSE: match the teacher's score margins.

Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation" (2020,
arXiv:2010.02666); SPLADE v2 distil (arXiv:2109.10086).
"""

from __future__ import annotations

from torch import Tensor

from lsr.training.losses.base import SCORES, ScoredBatch, mean_where, register_loss


@register_loss("margin_mse", teacher=SCORES)
def margin_mse(batch: ScoredBatch, *, scale: float = 1.0, candidates: str = "own") -> Tensor:
    """Return the mean of `((s⁺ − s⁻) − scale · (t⁺ − t⁻))²` over all negatives that the teacher scored."""
    assert batch.teacher is not None
    teacher = batch.teacher * scale
    margins = batch.positive_scores - batch.scores
    wanted = teacher.gather(1, batch.positives[:, None]) - teacher
    return mean_where((margins - wanted.nan_to_num()) ** 2, batch.negatives(candidates) & ~wanted.isnan())
