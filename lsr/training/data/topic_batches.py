"""Batches of examples on few topics, so that the documents of a batch are hard negatives of each other.

Hofstätter et al., "Efficiently Teaching an Effective Dense Retriever with Balanced Topic Aware Sampling" (SIGIR
2021, arXiv:2104.06967): queries are clustered once, by a teacher's vectors, and each batch is drawn from few clusters.
No more documents are encoded than without it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import Sampler

from lsr.errors import UsageError
from lsr.io.atomic import atomic_file

Vectors = npt.NDArray[np.float32]
TOPICS_FILE = "topics.npy"
ROUNDS = 8
SAMPLE_PER_TOPIC = 32
"""Vectors a topic from which centres are computed; all are assigned afterwards."""
AT_ONCE = 8192


def cluster(vectors: Vectors, n_topics: int, *, seed: int) -> npt.NDArray[np.int32]:
    """Return the topic of each vector, by spherical k-means: vectors are (n, dimension), of unit length.

    Raises UsageError for more topics than vectors.
    """
    if not 1 <= n_topics <= len(vectors):
        raise UsageError(f"{n_topics} topics, but has to be 1 to {len(vectors)}, the number of examples")
    rng = np.random.default_rng(seed)
    sample = vectors[rng.permutation(len(vectors))[: n_topics * SAMPLE_PER_TOPIC]]
    centres = sample[:n_topics].copy()
    for _ in range(ROUNDS):
        nearest = _nearest(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1)
        lost = lengths == 0
        sums[lost] = sample[rng.integers(len(sample), size=int(lost.sum()))]
        lengths[lost] = 1
        centres = sums / lengths[:, None]
    return _nearest(vectors, centres)


def _nearest(vectors: Vectors, centres: Vectors) -> npt.NDArray[np.int32]:
    parts = [
        np.argmax(vectors[first : first + AT_ONCE] @ centres.T, axis=1) for first in range(0, len(vectors), AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.int32)


def save_topics(path: Path, topics: npt.NDArray[np.int32]) -> None:
    """Write topics to `path` atomically."""
    with atomic_file(path) as file:
        np.save(file, topics, allow_pickle=False)


def load_topics(path: Path) -> npt.NDArray[np.int32] | None:
    """Return the topics saved at `path`, None if there are none."""
    return np.load(path, allow_pickle=False) if path.is_file() else None


class TopicSampler(Sampler[int]):
    """Sampler of examples by topic: each batch is of few topics, and an epoch has every example once.

    topics: of each example. batch_size: number of examples that stay together. per_batch: topics of a batch.
    The order depends on seed and epoch alone, so a resumed run continues it.
    """

    def __init__(self, topics: Sequence[int] | npt.NDArray[np.int32], *, batch_size: int, per_batch: int, seed: int):
        if not 1 <= per_batch <= batch_size:
            raise UsageError(f"{per_batch} topics a batch, but has to be 1 to {batch_size}, its size")
        self._topics = np.asarray(topics, np.int32)
        self._piece = batch_size // per_batch
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, which decides the order."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._topics)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        order = rng.permutation(len(self._topics))
        order = order[np.argsort(self._topics[order], kind="stable")]
        ends = np.cumsum(np.bincount(self._topics))
        pieces, rest = [], []
        first = 0
        for end in ends:
            whole = first + (end - first) // self._piece * self._piece
            pieces += list(order[first:whole].reshape(-1, self._piece))
            rest.append(order[whole:end])
            first = end
        # The rests of topics are grouped by topic number, which is no worse than chance.
        left = np.concatenate(rest)
        pieces += [left[i : i + self._piece] for i in range(0, len(left), self._piece)]
        short = [piece for piece in pieces if len(piece) < self._piece]
        pieces = [piece for piece in pieces if len(piece) == self._piece]
        for i in rng.permutation(len(pieces)):
            yield from pieces[i].tolist()
        for piece in short:
            yield from piece.tolist()
