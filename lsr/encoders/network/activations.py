"""Activations that make scores sparse weights: saturating, and 0 for scores of 0 or less."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor


def log1p_relu(scores: Tensor) -> Tensor:
    """Return log(1 + relu(x)): SPLADE (Formal et al., SIGIR 2021, arXiv:2107.05720)."""
    return torch.log1p(torch.relu(scores))


def log1p_log1p_relu(scores: Tensor) -> Tensor:
    """Return log(1 + log(1 + relu(x))), a stronger saturation that gives sparser vectors.

    Shen et al., "Exploring ℓ0 Sparsification for Inference-free Sparse Retrievers" (SIGIR 2025, arXiv:2504.14839).
    """
    return torch.log1p(torch.log1p(torch.relu(scores)))


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "log1p(relu)": log1p_relu,
    "log1p(log1p(relu))": log1p_log1p_relu,
}
"""By name. All are increasing, so that pooling by maximum may come first: the same values for far less memory."""
