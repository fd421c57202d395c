"""Batches of several data sets: each batch is of one set, drawn by the sets' weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler


class MixedSampler(Sampler[int]):
    """Sampler of examples by their data sets: every `batch_size` of them are of one set.

    sources: number of each example's set. weights: of each set, in proportion to its batches. A set that has ended is
    begun again, in another order; an epoch has as many batches as all sets together. The order depends on seed and
    epoch alone, so a resumed run continues it.
    """

    def __init__(
        self,
        sources: Sequence[int] | npt.NDArray[np.int32],
        weights: Sequence[float],
        *,
        batch_size: int,
        seed: int,
    ) -> None:
        self._sources = np.asarray(sources, np.int32)
        self._weights = np.asarray(weights, np.float64) / sum(weights)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._n_batches = int((np.bincount(self._sources, minlength=len(weights)) // batch_size).sum())

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which decides the order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._n_batches * self._batch_size

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        streams = [self._batches(number) for number in range(len(self._weights))]
        for number in rng.choice(len(streams), size=self._n_batches, p=self._weights):
            yield from next(streams[int(number)])

    def _batches(self, number: int) -> Iterator[list[int]]:
        """Yield whole batches of one set, again and again."""
        rng = np.random.default_rng((self._seed, self._epoch, number))
        rows = np.flatnonzero(self._sources == number)
        while True:
            order = rng.permutation(rows)
            for first in range(0, len(order) - self._batch_size + 1, self._batch_size):
                yield order[first : first + self._batch_size].tolist()
