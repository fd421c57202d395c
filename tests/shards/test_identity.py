"""A set of shards answers as one index of the same documents: the same hits, scores (==) and order, in everything."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from set_material import DOCUMENTS, HYBRID, OPTIONS, PARTITIONS, QUERIES, Noise, make, make_one, make_set, shown

from lsr.encoders.base import Encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition, SetManifest, read_set
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.shards.places import Places
from lsr.indexer.shards.writer import SetWriter
from lsr.indexer.storage import index as opened
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.open_editor import merge_segments
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.explain.text_vector import document_vector
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.query.shards.gathered import GatheredSearcher
from lsr.query.shards.threads import Threads
from lsr.types import PASSAGE_OF, Document, SparseBatch


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("one") / "index"
    make_one(path)
    return Searcher(path, dense_encoder=Noise())


@pytest.fixture(scope="module", params=PARTITIONS, ids=str)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("many") / "set"
    make_set(path, request.param)
    return Searcher(path, dense_encoder=Noise())


_DUE: dict[tuple[str, str], Any] = {}
"""Answers of the one index, which each partition is compared with."""


@pytest.fixture(scope="module")
def apart(many: Searcher) -> Searcher:
    return GatheredSearcher(many.index, Threads(), dense_encoder=Noise())


@pytest.mark.parametrize("name", [*OPTIONS, *HYBRID])
def test_every_kind_of_search_is_the_same(one: Searcher, many: Searcher, apart: Searcher, name: str) -> None:
    options = (OPTIONS | HYBRID)[name]
    for query in QUERIES:
        if name in HYBRID and any(sign in query for sign in "-+"):
            continue
        if (name, query) not in _DUE:
            _DUE[name, query] = shown(one, query, options)
        assert shown(many, query, options) == _DUE[name, query], query
        assert shown(apart, query, options) == _DUE[name, query], query


def test_a_batch_is_the_same(one: Searcher, many: Searcher, apart: Searcher) -> None:
    options = SearchOptions(k=25, threads=2)
    due = [[(hit.doc_id, hit.score) for hit in found] for found in one.search(QUERIES, options)]
    for searcher in (many, apart):
        assert [[(hit.doc_id, hit.score) for hit in found] for found in searcher.search(QUERIES, options)] == due


def test_a_stored_vector_is_the_same(one: Searcher, many: Searcher, apart: Searcher) -> None:
    for doc_id in ("d1", "d118"):
        assert document_vector(many, doc_id) == document_vector(apart, doc_id) == document_vector(one, doc_id)
    with pytest.raises(UsageError, match="no document 'none'"):
        document_vector(apart, "none")


def test_documents_come_in_their_order(one: Searcher, many: Searcher) -> None:
    assert list(many.index.documents()) == list(one.index.documents())
    bitmaps = [searcher.filter("year > 2003").bitmaps for searcher in (many, one)]
    assert list(many.index.documents(bitmaps[0])) == list(one.index.documents(bitmaps[1]))
    assert many.index.get(["d5", "none", "d119"]) == one.index.get(["d5", "none", "d119"])


def test_the_shards_share_what_they_have_to(many: Searcher) -> None:
    of_shards = [shard.manifest for shard in many.index.shards]
    assert len({manifest.scale for manifest in of_shards}) == 1
    assert {manifest.statistics["n_docs"] for manifest in of_shards} == {len(many.index)}
    for shard in many.index.shards:  # passages are never parted
        owners = {document.fields[PASSAGE_OF] for document in shard.documents()}
        assert sum(1 + int(owner[1:]) % 3 for owner in owners) == len(shard)


def write(path: Path, rows: Sequence[Mapping[str, float]], partition: Partition | None) -> StoredIndex:
    encoder = ReadyVectors()
    ids = [{encoder.term_id(term): weight for term, weight in row.items()} for row in rows]
    limits = SegmentLimits(n_docs=7)
    writer: Any = IndexWriter(path, encoder, limits=limits) if partition is None else None
    with writer or SetWriter(path, encoder, partition, limits=limits) as writer:  # type: ignore[arg-type]
        for first in range(0, len(rows), 5):
            some = [Document(f"d{i}", "") for i in range(first, min(first + 5, len(rows)))]
            writer.add(some, SparseBatch.from_rows(ids[first : first + 5], len(encoder.terms)))
        writer.commit()
    return StoredIndex.open(path)


ROWS = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([0.3, 0.5, 1.0, 2.0, 7.9]), max_size=4),
    min_size=1, max_size=40,
)  # fmt: skip


@given(rows=ROWS, query=st.dictionaries(st.sampled_from("abcdefz"), st.floats(0.125, 3.0, width=32), min_size=1),
       shards=st.integers(1, 5), by=st.sampled_from(["range", "hash"]), k=st.integers(1, 50))  # fmt: skip
@settings(max_examples=12, deadline=None)
def test_vectors_with_ties_and_empty_documents(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, float]], query: dict[str, float], shards: int,
    by: str, k: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("random")
    one = Searcher(write(folder / "one", rows, None))
    many = Searcher(write(folder / "many", rows, Partition(shards, by)))
    assert many.index.manifest.scale == one.index.manifest.scale
    known = {one.index.vocabulary.lookup(term): weight for term, weight in query.items()}
    batch = SparseBatch.from_rows([{i: w for i, w in known.items() if i is not None}], len(one.index.vocabulary))
    for traversal in ("plain", "exhaustive", "blockmax", "superblock"):
        found = [searcher.engine.rank(*batch.row(0), k, traversal=traversal) for searcher in (one, many)]
        assert np.array_equal(found[0].positions, found[1].positions)
        assert np.array_equal(found[0].scores, found[1].scores)
    assert many.doc_ids(found[1]) == one.doc_ids(found[0])


@pytest.mark.parametrize("partition", [Partition(3), Partition(3, "hash")], ids=str)
def test_changes_are_those_of_one_index(tmp_path: Path, partition: Partition) -> None:
    paths = [tmp_path / "one", tmp_path / "many"]
    documents = DOCUMENTS[:60]
    for path, shards in zip(paths, (None, partition), strict=True):
        index_documents(documents, path, load_encoder("bm25"), shards=shards)
    steps: list[Any] = [
        lambda path: add_documents([make(200 + i, 1) for i in range(9)], path, merge=False),
        lambda path: update_documents([make(i, 3) for i in (3, 25, 59, 205, 300)], path, merge=False),
        lambda path: delete_documents(["d1", "d25", "d40", "none", "d201"], path, merge=False),
        lambda path: update_documents([make(i, 4) for i in (3, 4)], path),
        lambda path: merge_segments(path),
        lambda path: delete_documents([f"d{i}" for i in range(0, 60, 2)], path),
    ]
    for step in steps:
        ours, theirs = [step(path) for path in reversed(paths)]
        if not isinstance(ours, tuple):
            counts = [
                (found.n_added, found.n_replaced, found.n_deleted, sorted(found.unknown), found.manifest.n_docs)
                for found in (ours, theirs)
            ]
            assert counts[0] == counts[1]
        one, many = (Searcher(path) for path in paths)
        assert list(many.index.documents()) == list(one.index.documents())
        for query in ("river", "stone mill river tree", "+tree river"):
            for options in (OPTIONS["sort"], OPTIONS["explain"]):
                assert shown(many, query, options) == shown(one, query, options)


def set_of(path: Path, parts: Sequence[Sequence[Document]], encoder: Encoder) -> None:
    """Make a set of indexes that were made by themselves, each with its own scale and statistics."""
    with SetPlace(path, is_new=True) as place:
        shards = {}
        for number, part in enumerate(parts):
            name = place.shard_name(number)
            shards[name] = index_documents(part, place.root.path / name, encoder)
        place.commit(shards, partition="range", scale=shards[place.shard_name(0)].scale, next_position=0)


def differs(path: Path, single: Searcher) -> bool:
    many = Searcher(path)
    return any(shown(many, query, OPTIONS["plain"]) != shown(single, query, OPTIONS["plain"]) for query in QUERIES)


@pytest.fixture(scope="module")
def words_alone(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("alone") / "index"
    index_documents(DOCUMENTS, path, load_encoder("bm25"))
    return Searcher(path)


def test_without_agreed_weights_it_is_refused_and_would_differ(
    tmp_path: Path, words_alone: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_of(tmp_path / "set", [DOCUMENTS[:50], DOCUMENTS[50:]], load_encoder("bm25"))
    with pytest.raises(IndexDamagedError, match=r"don't agree on the (scale|statistics)"):
        Searcher(tmp_path / "set")
    monkeypatch.setattr(opened, "check_agreement", lambda *_: None)
    assert differs(tmp_path / "set", words_alone)


@pytest.mark.parametrize("partition", [Partition(3), Partition(3, "hash")], ids=str)
def test_without_positions_ties_would_differ(
    tmp_path: Path, words_alone: Searcher, monkeypatch: pytest.MonkeyPatch, partition: Partition
) -> None:
    path = tmp_path / "set"
    index_documents(DOCUMENTS, path, load_encoder("bm25"), shards=partition)
    assert not differs(path, words_alone)
    if partition.by == "hash":
        monkeypatch.setattr(opened, "Places", lambda segments, **_: Places(segments))
    else:
        monkeypatch.setattr(opened, "read_set", lambda *given: _turned(read_set(*given)))
    assert differs(path, words_alone)


def _turned(content: SetManifest) -> SetManifest:
    return replace(content, shards=content.shards[::-1])
