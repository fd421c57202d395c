"""A set of shards answers as one index of the same documents: the same hits, scores (==) and order, in everything."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.encoders.base import Encoder
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition, SetManifest, read_set
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.shards.places import Places
from lsr.indexer.shards.writer import SetWriter
from lsr.indexer.storage import index as opened
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.read_vectors import ReadyVectors
from lsr.indexer.update.open_editor import merge_segments
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.feedback import Feedback
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.settings import Hybrid
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document, SparseBatch

DIMENSION = 16
WORDS = "river lake sea bridge mill stone tree cloud".split()
PARTITIONS = [Partition(1), Partition(5), Partition(2, "hash"), Partition(4, "hash")]
QUERIES = ["river", "lake sea", "stone mill river tree", "bridge -cloud", "+tree river", '"river lake"', "unknown"]


class Noise:
    """A dense encoder without a model: unit vectors that a text's bytes alone decide."""

    dimension = DIMENSION
    description: Mapping[str, Any] = {
        "kind": "dense",
        "name": "noise",
        "revision": "1",
        "settings": {"normalise": True},
    }

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        seeds = [int.from_bytes(text.encode(), "little") % (1 << 31) for text in texts]
        rows = np.array([np.random.default_rng(seed).normal(size=DIMENSION) for seed in seeds], np.float32)
        return rows.reshape(-1, DIMENSION) / np.linalg.norm(rows.reshape(-1, DIMENSION), axis=1, keepdims=True)


class Thirds:
    """Makes up to three passages of each document."""

    settings: Mapping[str, Any] = {"max_length": 9, "overlap": 0}

    def split(self, document: Document, count: object = None) -> list[Document]:
        n = 1 + int(document.doc_id[1:]) % 3
        fields: list[dict[str, Any]] = [
            {**document.fields, PASSAGE_OF: document.doc_id, PASSAGE_START: part, PASSAGE_END: part + 1}
            for part in range(n)
        ]
        names = [document.doc_id, *(f"\x1f{part}\x1f{document.doc_id}" for part in range(1, n))]
        return [Document(names[i], f"{document.text} {WORDS[(n + i) % 8]}", fields=fields[i]) for i in range(n)]


def make(i: int, salt: int = 0) -> Document:
    """Return a document; many are alike, so that scores tie, and fields are of mixed kinds."""
    words = [WORDS[(i * 7 + j * (1 + i % 3) + salt) % 8] for j in range(i % 9)]
    fields: dict[str, Any] = {} if i % 4 == 0 else {"year": 2000 + i % 11}
    if i % 5 == 0:
        fields["mixed"] = i if i < 60 else f"text {i % 3}"
    if i % 6 == 0:
        fields["late"] = f"2020-01-{1 + i % 28:02}"
    return Document(f"d{i}", " ".join(words) or "nothing here", f"title {WORDS[i % 8]}", fields)


DOCUMENTS = [make(i) for i in range(120)]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


def shown(searcher: Searcher, query: str, options: SearchOptions) -> Any:
    """Return all that a search answers, but for its duration and the engine's work."""
    found = searcher.search(query, options)
    hits = [(hit.rank, hit.doc_id, hit.score, hit.title, hit.fields, hit.terms, hit.passage, hit.legs) for hit in found]
    return hits, found.total, found.facets


OPTIONS = {
    "plain": SearchOptions(k=30),
    "offset": SearchOptions(k=5, offset=7),
    "all": SearchOptions(k=1000),
    "filter": SearchOptions(k=30, where="year >= 2004 and not (late > 2020-01-10)"),
    "mixed kinds": SearchOptions(k=30, where='mixed == "text 1" or exists late'),
    "words": SearchOptions(k=30, where='text ~ "river lake" or title ~ "sea"'),
    "ids": SearchOptions(k=30, where='doc_id in ("d1", "d77", "d9")'),
    "sort": SearchOptions(k=30, sort="-year", total=True, facets=("year", "mixed", "late")),
    "least": SearchOptions(k=30, min_score=0.5),
    "feedback": SearchOptions(k=30, feedback=Feedback(n_docs=7, n_terms=5)),
    "explain": SearchOptions(k=10, explain=True),
    "feedback explained": SearchOptions(k=10, feedback=Feedback(n_docs=4), explain=True, where="year > 2001"),
}
HYBRID = {
    "rerank": SearchOptions(k=20, hybrid=Hybrid(neighbours=None)),
    "rerank, neighbours": SearchOptions(k=20, hybrid=Hybrid(neighbours=Neighbours())),
    "union": SearchOptions(k=20, hybrid=Hybrid("union", neighbours=None)),
    "union, neighbours": SearchOptions(k=20, hybrid=Hybrid("union", neighbours=Neighbours()), where="exists year"),
    "union, feedback": SearchOptions(k=20, hybrid=Hybrid("union"), feedback=Feedback(n_docs=3)),
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("one") / "index"
    index_documents(DOCUMENTS, path, load_encoder("bm25"), dense=Noise(), reader=DocumentReader(Thirds()))
    return Searcher(path, dense_encoder=Noise())


@pytest.fixture(scope="module", params=PARTITIONS, ids=str)
def many(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    path = tmp_path_factory.mktemp("many") / "set"
    index_documents(
        DOCUMENTS, path, load_encoder("bm25"), dense=Noise(), reader=DocumentReader(Thirds()), shards=request.param,
        limits=SegmentLimits(n_docs=50),
    )  # fmt: skip
    return Searcher(path, dense_encoder=Noise())


_DUE: dict[tuple[str, str], Any] = {}
"""Answers of the one index, which each partition is compared with."""


@pytest.mark.parametrize("name", [*OPTIONS, *HYBRID])
def test_every_kind_of_search_is_the_same(one: Searcher, many: Searcher, name: str) -> None:
    options = (OPTIONS | HYBRID)[name]
    for query in QUERIES:
        if name in HYBRID and any(sign in query for sign in "-+"):
            continue
        if (name, query) not in _DUE:
            _DUE[name, query] = shown(one, query, options)
        assert shown(many, query, options) == _DUE[name, query], query


def test_a_batch_is_the_same(one: Searcher, many: Searcher) -> None:
    options = SearchOptions(k=25, threads=2)
    for ours, theirs in zip(many.search(QUERIES, options), one.search(QUERIES, options), strict=True):
        assert [(hit.doc_id, hit.score) for hit in ours] == [(hit.doc_id, hit.score) for hit in theirs]


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
