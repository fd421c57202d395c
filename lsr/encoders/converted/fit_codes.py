"""Fitting of the autoencoder of sparse codes to dense vectors: a few minutes on one core for ten thousand.

The loss is that of Wen et al., "Beyond Matryoshka" (ICML 2025, arXiv:2503.01776): what k codes leave of a vector, an
eighth of what 4k leave, what codes that have gone unused make of the rest (Gao et al., "Scaling and Evaluating Sparse
Autoencoders", 2024, arXiv:2406.04093), and a contrast of each vector's codes with those of the others in its batch.
Nested codes also reconstruct by their first quarter and half alone: Bussmann et al., "Learning Multi-Level Features
with Matryoshka Sparse Autoencoders" (2025, arXiv:2503.17547).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from lsr.encoders.converted.sparse_codes import SparseAutoencoder
from lsr.encoders.pretrained.load_model import Placement
from lsr.errors import EncoderError, UsageError

WIDER, WIDER_WEIGHT = 4, 1 / 8
UNUSED_WEIGHT, UNUSED_STEPS = 1 / 32, 30
TEMPERATURE = 0.1
"""Of the contrast, whose codes are compared at unit length."""
WARM_DOWN = 0.2
NESTED = (4, 2)
"""Parts of nested codes that are fitted by themselves: the first quarter, the first half."""


@dataclass(frozen=True, slots=True)
class FittingSettings:
    """Settings of fitting an autoencoder.

    n_codes: number of codes. n_active: codes of a vector. steps: number of batches; 0 keeps the random directions that
    fitting begins with. contrast: weight of the contrastive part. nested: whether the first quarter and half of the
    codes are fitted to stand for a vector by themselves. pursuit: whether codes are chosen by matching pursuit
    afterwards.
    """

    n_codes: int = 4096
    n_active: int = 32
    steps: int = 1000
    batch_size: int = 256
    learning_rate: float = 1e-3
    contrast: float = 0.1
    seed: int = 0
    nested: bool = False
    pursuit: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for a value outside its range."""
        for name, least in (("n_codes", 1), ("n_active", 1), ("steps", 0), ("batch_size", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"sparse codes: {name} is {getattr(self, name)}; it must be at least {least}")
        if self.n_active * WIDER > self.n_codes:
            raise UsageError(
                f"sparse codes: {self.n_active} active of {self.n_codes} codes; give {self.n_codes // WIDER} at most, "
                f"or {WIDER * self.n_active} codes"
            )
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise UsageError(f"sparse codes: learning_rate is {self.learning_rate}; it must be above 0")
        if not (self.contrast >= 0 and math.isfinite(self.contrast)):
            raise UsageError(f"sparse codes: contrast is {self.contrast}; it must be 0 or more")


def fit_codes(
    vectors: npt.NDArray[np.float32],
    settings: FittingSettings | None = None,
    *,
    device: str | None = None,
    advance: Callable[[int], None] = lambda n: None,  # noqa: ARG005
) -> SparseAutoencoder:
    """Fit an autoencoder to vectors, float32, (n, dimension). device: default, CUDA where there is such a device.

    advance: called with 1 after each step.
    The same vectors and settings give the same codes on the same machine. Raises UsageError for fewer than two
    vectors, EncoderError for vectors that aren't made of numbers, and where fitting comes to nothing.
    """
    settings = settings or FittingSettings()
    if vectors.ndim != 2 or len(vectors) < 2:
        raise UsageError(f"sparse codes: vectors of shape {vectors.shape}; give two or more, a row each")
    if not np.isfinite(vectors).all():
        raise EncoderError("sparse codes: the vectors hold NaN or infinity; the model that made them is broken")
    place = Placement.of(device, "float32").device
    model = _Model(torch.from_numpy(np.ascontiguousarray(vectors, np.float32)).to(place), settings)
    for step in range(settings.steps):
        model.step(min(1.0, (settings.steps - step) / (WARM_DOWN * settings.steps)))
        advance(1)
    return model.autoencoder()


class _Model:
    def __init__(self, vectors: Tensor, settings: FittingSettings) -> None:
        self._vectors = vectors
        self._settings = settings
        self._random = torch.Generator().manual_seed(settings.seed)
        directions = torch.randn(settings.n_codes, vectors.shape[1], generator=self._random)
        directions = nn.functional.normalize(directions, dim=1).to(vectors.device)
        self._encoder = nn.Parameter(directions.clone())
        self._decoder = nn.Parameter(directions)
        self._bias = nn.Parameter(torch.zeros(settings.n_codes, device=vectors.device))
        self._centre = nn.Parameter(vectors.mean(0))
        spread = (vectors - self._centre.detach()).pow(2).sum(1).mean()
        self._spread = spread.clamp_min(1e-12)
        parameters = [self._encoder, self._decoder, self._bias, self._centre]
        self._optimiser = torch.optim.Adam(parameters, lr=settings.learning_rate)
        self._unused_steps = torch.zeros(settings.n_codes, device=vectors.device)

    def step(self, rate: float) -> None:
        """Learn from a batch. rate: fraction of the learning rate."""
        for group in self._optimiser.param_groups:
            group["lr"] = rate * self._settings.learning_rate
        chosen = torch.randint(len(self._vectors), (self._settings.batch_size,), generator=self._random)
        loss = self._loss(self._vectors[chosen.to(self._vectors.device)])
        if not torch.isfinite(loss):
            raise EncoderError("sparse codes: the loss is no number any more; give a lower learning_rate")
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        with torch.no_grad():
            self._decoder /= self._decoder.norm(dim=1, keepdim=True).clamp_min(1e-12)

    def _loss(self, batch: Tensor) -> Tensor:
        k = self._settings.n_active
        values = torch.relu((batch - self._centre) @ self._encoder.T + self._bias)
        largest, at = values.topk(WIDER * k, dim=1)
        codes = torch.zeros_like(values).scatter(1, at[:, :k], largest[:, :k])
        wider = torch.zeros_like(values).scatter(1, at, largest)
        rest = batch - codes @ self._decoder - self._centre
        loss = self._error(rest) + WIDER_WEIGHT * self._error(batch - wider @ self._decoder - self._centre)
        loss = loss + UNUSED_WEIGHT * self._of_unused(values, at[:, :k], rest.detach())
        for part in NESTED if self._settings.nested else ():
            first = values[:, : values.shape[1] // part]
            best, places = first.topk(k, dim=1)
            kept = torch.zeros_like(first).scatter(1, places, best)
            loss = loss + self._error(batch - kept @ self._decoder[: first.shape[1]] - self._centre) / len(NESTED)
        if self._settings.contrast:
            units = nn.functional.normalize(codes, dim=1)
            each = torch.arange(len(units), device=units.device)
            loss = loss + self._settings.contrast * nn.functional.cross_entropy(units @ units.T / TEMPERATURE, each)
        return loss

    def _of_unused(self, values: Tensor, used: Tensor, rest: Tensor) -> Tensor:
        """Return the loss of codes that no vector has used for a while, so that they find a use."""
        self._unused_steps += 1
        self._unused_steps[used.unique()] = 0
        unused = self._unused_steps > UNUSED_STEPS
        n = min(int(unused.sum()), max(1, values.shape[1] // 8))
        if n == 0:
            return values.new_zeros(())
        largest, at = values.masked_fill(~unused, 0.0).topk(n, dim=1)
        return self._error(rest - torch.zeros_like(values).scatter(1, at, largest) @ self._decoder)

    def _error(self, rest: Tensor) -> Tensor:
        return rest.pow(2).sum(1).mean() / self._spread

    def autoencoder(self) -> SparseAutoencoder:
        """Return the fitted autoencoder."""
        learned = {"encoder": self._encoder, "bias": self._bias, "centre": self._centre, "decoder": self._decoder}
        parts = {name: part.detach().cpu().numpy().copy() for name, part in learned.items()}
        return SparseAutoencoder(n_active=self._settings.n_active, pursuit=self._settings.pursuit, **parts)
