"""Shards that tasks build from what one process collected are those that it would have built."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from set_material import DOCUMENTS, OPTIONS, QUERIES, READER, Noise, shown

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.build_task import BuildTask, build_shard
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.update.update import add_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.query.searcher import Searcher
from lsr.types import Document


class Here:
    """Builds in this process, each shard twice, as where a task was thought to be dead."""

    threads = 1

    def build(self, tasks: Sequence[BuildTask]) -> None:
        for task in [*tasks, *tasks]:
            build_shard(task)


class Broken(Here):
    """Fails after the first shard."""

    def build(self, tasks: Sequence[BuildTask]) -> None:
        build_shard(tasks[0])
        raise KeyboardInterrupt


@pytest.mark.parametrize("partition", [Partition(3), Partition(4, "hash"), Partition(7)], ids=str)
def test_tasks_build_what_one_process_builds(tmp_path: Path, partition: Partition) -> None:
    for name, builders in (("here", None), ("there", Here())):
        index_documents(
            DOCUMENTS, tmp_path / name, load_encoder("bm25"), dense=Noise(), reader=READER, shards=partition,
            builders=builders, limits=SegmentLimits(n_docs=50),
        )  # fmt: skip
    here, there = (Searcher(tmp_path / name, dense_encoder=Noise()) for name in ("here", "there"))
    assert list(there.index.documents()) == list(here.index.documents())
    assert [len(shard) for shard in there.index.shards] == [len(shard) for shard in here.index.shards]
    for query in QUERIES:
        for name in ("explain", "sort", "feedback"):
            assert shown(there, query, OPTIONS[name]) == shown(here, query, OPTIONS[name])
    assert sorted(path.name for path in there.index.path.iterdir()) == sorted(
        path.name for path in here.index.path.iterdir()
    )


def test_counts_are_kept_for_later_changes(tmp_path: Path) -> None:
    for name, builders in (("here", None), ("there", Here())):
        index_documents(DOCUMENTS[:40], tmp_path / name, load_encoder("bm25"), shards=Partition(2), builders=builders)
        add_documents([Document("new", "river lake river")], tmp_path / name)
    here, there = (Searcher(tmp_path / name) for name in ("here", "there"))
    assert shown(there, "river lake", OPTIONS["explain"]) == shown(here, "river lake", OPTIONS["explain"])


def test_a_build_that_ends_early_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        index_documents(
            DOCUMENTS, tmp_path / "set", load_encoder("bm25"), shards=Partition(2), builders=Broken()
        )  # fmt: skip
    assert not list(tmp_path.iterdir())
