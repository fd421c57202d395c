"""Real vectors searched by actors of a Ray cluster: the rankings of one index."""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from lsr.indexer.pipeline import index_vectors
from lsr.indexer.shards.manifest import Partition
from lsr.query.encoded_queries import read_encoded_queries
from lsr.query.searcher import Searcher
from lsr.query.shards.open import open_searcher

pytestmark = [pytest.mark.large, pytest.mark.timeout(0)]
SHARED_OUT = [(Partition(n, by), actors) for n, actors in ((1, 1), (3, 2), (7, 7)) for by in ("range", "hash")]


def test_ready_vectors(cluster: str, tmp_path: Path, shared: Path) -> None:
    from lsr.cluster.shard_actors import RayActors

    sparse = shared / "data" / "sparse"
    source = [sparse / "nfcorpus-splade-v3" / "documents.parquet"]
    index_vectors(source, tmp_path / "one")
    one = Searcher(tmp_path / "one")
    queries = []
    for name, n in (("beir-v1.0.0-nfcorpus.test", 323), ("msmarco-passage.dev-subset", 1000)):
        path = sparse / "queries" / f"topics.{name}.splade-v3.tsv.gz"
        queries += list(islice(read_encoded_queries(path, one.index)[1], n))
    due = {k: one.rank_vectors(queries, k) for k in (10, 100, 1000)}
    for partition, actors in SHARED_OUT:
        path = tmp_path / f"{partition.by}-{partition.shards}"
        index_vectors(source, path, shards=partition)
        many = open_searcher(path, transport=RayActors(actors=actors), timeout_s=120.0)
        for k, rankings in due.items():
            same = sum(
                np.array_equal(ours.positions, theirs.positions) and np.array_equal(ours.scores, theirs.scores)
                for ours, theirs in zip(many.rank_vectors(queries, k), rankings, strict=True)
            )
            sys.stdout.write(f"{partition.by}, {partition.shards} shards, {actors} actors, k = {k}: {same}\n")
            assert same == len(queries) == 1323
        many.close()
