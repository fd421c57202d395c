"""Each agreement of the shards of a set is needed: without it the answers are no longer those of one index.

Shards are searched apart here, each as an index by itself, and their answers merged by score and position: with all
agreements that gives what one index gives, and without any one of them it doesn't.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, LsrError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.shards.place import SetPlace
from lsr.indexer.storage import index as opened
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.writer import IndexWriter
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

WORDS = "river lake sea bridge mill stone tree cloud wing boundary layer heat".split()
K = 12
Vector = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]
Answer = list[tuple[int, float]]


def text(i: int) -> str:
    """Return a text: the first words are of early documents, the last of late ones, so that shards differ."""
    return " ".join(WORDS[(i // 6 + (i * j) % 5) % 12] for j in range(1, 2 + i % 7))


DOCUMENTS = [
    Document(f"d{i}", text(i), fields={"mixed": i if i < 36 else f"text {i % 3}", "year": 2000 + i % 9})
    for i in range(72)
]
QUERIES = [f"{a} {b}" for a in WORDS for b in WORDS[::3] if a != b] + ["heat and the boundary layer of a wing"]


@pytest.fixture(autouse=True, scope="module")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index and a set of three shards of the same documents, by a model whose queries weigh rare terms more."""
    path = tmp_path_factory.mktemp("agreements")
    encoder = load_encoder("fast")
    index_documents(DOCUMENTS, path / "one", encoder)
    index_documents(DOCUMENTS, path / "set", encoder, shards=Partition(3))
    return path


@pytest.fixture(scope="module")
def one(folder: Path) -> Searcher:
    return Searcher(folder / "one")


@pytest.fixture(scope="module")
def many(folder: Path) -> Searcher:
    return Searcher(folder / "set")


@pytest.fixture(scope="module")
def shards(many: Searcher) -> list[Searcher]:
    return [Searcher(shard.path) for shard in many.index.shards]


def answers(searcher: Searcher, queries: Sequence[Vector]) -> list[Answer]:
    found = [searcher.engine.rank(*query, K) for query in queries]
    return [list(zip(each.positions.tolist(), each.scores.tolist(), strict=True)) for each in found]


def merged(shards: Sequence[Searcher], queries: Sequence[Sequence[Vector]]) -> list[Answer]:
    """Return the best of all shards' answers. queries: of each shard."""
    starts = np.cumsum([0, *(len(shard.index) for shard in shards)]).tolist()
    found: list[Answer] = [[] for _ in queries[0]]
    for start, shard, own in zip(starts, shards, queries, strict=False):
        for into, answer in zip(found, answers(shard, own), strict=True):
            into += [(start + position, score) for position, score in answer]
    return [sorted(each, key=lambda hit: (-hit[1], hit[0]))[:K] for each in found]


def n_equal(found: Sequence[Any], due: Sequence[Any]) -> int:
    return sum(ours == theirs for ours, theirs in zip(found, due, strict=True))


def test_with_all_agreements_the_answers_are_those_of_one_index(
    one: Searcher, many: Searcher, shards: list[Searcher]
) -> None:
    queries = list(many.encode(QUERIES))
    due = answers(one, list(one.encode(QUERIES)))
    assert answers(many, queries) == due
    assert merged(shards, [queries] * len(shards)) == due
    assert sum(len(answer) for answer in due) > len(QUERIES) * K // 2


def test_rarity_of_each_shard_gives_other_answers(one: Searcher, shards: list[Searcher]) -> None:
    due = answers(one, list(one.encode(QUERIES)))
    found = merged(shards, [list(shard.encode(QUERIES)) for shard in shards])
    assert n_equal(found, due) <= len(QUERIES) // 2
    ids = [[position for position, _ in answer] for answer in found]
    assert n_equal(ids, [[position for position, _ in answer] for answer in due]) < len(QUERIES)


def test_query_weights_made_whole_by_each_shard_give_other_scores(
    one: Searcher, many: Searcher, shards: list[Searcher]
) -> None:
    """A shard that leaves out the terms it lacks makes the others whole by another power of two."""
    queries = list(many.encode(QUERIES))
    known = [
        [(ids[there], weights[there]) for ids, weights in queries
         for there in [shard.index.document_frequencies(ids) > 0]]
        for shard in shards
    ]  # fmt: skip
    found = merged(shards, known)
    assert n_equal(found, answers(one, queries)) < len(QUERIES)


@pytest.mark.parametrize("where", ['mixed == "text 1"', 'mixed < "text 1"', 'not (mixed == "7")'])
def test_kinds_of_fields_of_each_shard_give_other_answers(
    one: Searcher, many: Searcher, shards: list[Searcher], where: str
) -> None:
    """A field is of numbers in one shard and of texts in another; of the whole it is of texts."""

    def found(searchers: Sequence[Searcher]) -> list[str] | str:
        ids: list[str] = []
        try:
            for searcher in searchers:
                ids += [document.doc_id for document in searcher.index.documents(searcher.filter(where).bitmaps)]
        except LsrError as error:
            return str(error)
        return ids

    assert found([many]) == found([one])
    assert found(shards) != found([one])


def test_feedback_of_each_shard_gives_other_answers(one: Searcher, many: Searcher, shards: list[Searcher]) -> None:
    def shown(searcher: Searcher, start: int = 0) -> list[list[tuple[str, float]]]:
        results = searcher.search(QUERIES, k=K, feedback=4)
        return [[(hit.doc_id, hit.score) for hit in hits] for hits in results]

    due = shown(one)
    assert shown(many) == due
    apart = zip(*map(shown, shards), strict=True)
    found = [sorted((hit for hits in each for hit in hits), key=lambda hit: -hit[1])[:K] for each in apart]
    assert n_equal(found, due) < len(QUERIES) // 2


def ready(path: Path, rows: Sequence[dict[str, float]], first: int) -> Any:
    """Make an index of ready vectors, whose term ids follow from the order in which terms come."""
    encoder = ReadyVectors()
    ids = [{encoder.term_id(term): weight for term, weight in row.items()} for row in rows]
    with IndexWriter(path, encoder) as writer:
        documents = [Document(f"d{first + i}", "") for i in range(len(rows))]
        writer.add(documents, SparseBatch.from_rows(ids, len(encoder.terms)))
        return writer.commit()


def test_terms_numbered_by_each_shard_are_refused_and_would_give_other_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows: list[dict[str, float]] = [{"a": 1, "b": 2}, {"b": 255}, {"c": 3, "a": 255}, {"c": 1}]
    ready(tmp_path / "one", rows, 0)
    with SetPlace(tmp_path / "set", is_new=True) as place:
        names = [place.shard_name(number) for number in range(2)]
        made = {name: ready(place.root.path / name, rows[2 * i : 2 * i + 2], 2 * i) for i, name in enumerate(names)}
        place.commit(made, partition="range", scale=made[names[0]].scale, next_position=0)
    with pytest.raises(IndexDamagedError, match="don't agree on the vocabulary"):
        Searcher(tmp_path / "set")
    assert main(["check", "--index", str(tmp_path / "set")]) == 3
    monkeypatch.setattr(opened, "check_agreement", lambda *_: None)
    single, several = Searcher(tmp_path / "one"), Searcher(tmp_path / "set")
    query = [(np.array([single.index.vocabulary.lookup("a")], np.int32), np.ones(1, np.float32))]
    assert answers(several, query) != answers(single, query)
