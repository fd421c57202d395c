"""Batches on few topics: clustering, and the order of examples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.training.data.topic_batches import TopicSampler, cluster, load_topics, save_topics


def test_vectors_around_a_centre_are_one_topic() -> None:
    rng = np.random.default_rng(0)
    centres = np.eye(5, 16, dtype=np.float32)
    of = rng.integers(5, size=400)
    vectors = centres[of] + rng.normal(scale=0.05, size=(400, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    topics = cluster(vectors, 20, seed=1)
    assert all(len(set(of[topics == topic])) == 1 for topic in set(topics))
    assert np.array_equal(topics, cluster(vectors, 20, seed=1))


def test_as_many_topics_as_examples_at_most() -> None:
    vectors = np.eye(3, dtype=np.float32)
    assert sorted(cluster(vectors, 3, seed=0)) == [0, 1, 2]
    with pytest.raises(UsageError, match="4 topics, but has to be 1 to 3"):
        cluster(vectors, 4, seed=0)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=200), st.integers(1, 4), st.integers(1, 5), st.integers(0, 9))
def test_every_example_comes_once_an_epoch_in_an_order_by_seed_and_epoch(
    topics: list[int], per_batch: int, piece: int, seed: int
) -> None:
    sampler = TopicSampler(topics, batch_size=per_batch * piece, per_batch=per_batch, seed=seed)
    first = list(sampler)
    assert sorted(first) == list(range(len(topics))) and len(sampler) == len(topics)
    assert list(sampler) == first
    sampler.set_epoch(1)
    again = list(sampler)
    assert sorted(again) == sorted(first)
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_batches_are_of_few_topics() -> None:
    topics = np.repeat(np.arange(10), 64)
    order = list(TopicSampler(topics, batch_size=32, per_batch=2, seed=3))
    batches = topics[np.array(order).reshape(-1, 32)]
    assert {len(set(batch)) for batch in batches.tolist()} <= {1, 2}
    other = list(TopicSampler(topics, batch_size=32, per_batch=2, seed=4))
    assert other != order


def test_topics_a_batch_has_no_room_for_are_refused() -> None:
    with pytest.raises(UsageError, match="5 topics a batch, but has to be 1 to 4"):
        TopicSampler([0], batch_size=4, per_batch=5, seed=0)


def test_topics_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "topics.npy"
    assert load_topics(path) is None
    save_topics(path, np.array([2, 0, 1], np.int32))
    loaded = load_topics(path)
    assert loaded is not None and loaded.tolist() == [2, 0, 1]
