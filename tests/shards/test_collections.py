"""Sets of real collections answer as one index of them: 100 % of rankings equal, scores and all."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.eval.data.datasets import load_dataset
from lsr.indexer.encode.document_encoders import Legs
from lsr.indexer.pipeline import index_corpus, index_vectors
from lsr.indexer.shards.manifest import Partition
from lsr.query.encoded_queries import read_encoded_queries
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import Document

pytestmark = [pytest.mark.large, pytest.mark.timeout(0)]
CORES = 2
PARTITIONS = [Partition(n, by) for by in ("range", "hash") for n in (1, 2, 3, 4, 7)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("collections")


def sets(make: Any, folder: Path, partitions: Sequence[Partition] = PARTITIONS) -> Iterator[tuple[Partition, Path]]:
    for partition in partitions:
        path = folder / f"{partition.by}-{partition.shards}"
        make(path, shards=partition)
        yield partition, path


def equal(ours: Any, theirs: Any) -> bool:
    return np.array_equal(ours.positions, theirs.positions) and np.array_equal(ours.scores, theirs.scores)


def test_ready_vectors(folder: Path, shared: Path) -> None:
    sparse = shared / "data" / "sparse"

    def make(path: Path, **options: Any) -> None:
        index_vectors([sparse / "nfcorpus-splade-v3" / "documents.parquet"], path, threads=CORES, **options)

    make(folder / "one")
    one = Searcher(folder / "one")
    queries = []
    for name, n in (("beir-v1.0.0-nfcorpus.test", 323), ("msmarco-passage.dev-subset", 1000)):
        path = sparse / "queries" / f"topics.{name}.splade-v3.tsv.gz"
        queries += list(islice(read_encoded_queries(path, one.index)[1], n))
    due = {k: [one.rank_vector(query, k) for query in queries] for k in (10, 100, 1000)}
    for partition, path in sets(make, folder):
        many = Searcher(path)
        for k, rankings in due.items():
            found = many.rank_vectors(queries, k)
            n_equal = sum(map(equal, found, rankings))
            sys.stdout.write(f"SPLADE-v3, {partition}, k = {k}: {n_equal} of {len(queries)}\n")
            assert n_equal == len(queries)


OPTIONS = {
    "plain": SearchOptions(k=100),
    "feedback": SearchOptions(k=100, feedback=10),  # type: ignore[arg-type]
    "explain": SearchOptions(k=5, explain=True),
}
HYBRID = {
    "rerank": SearchOptions(k=100, hybrid="rerank"),  # type: ignore[arg-type]
    "union": SearchOptions(k=100, hybrid="union"),  # type: ignore[arg-type]
    "union, no neighbours": SearchOptions(k=100, hybrid="union", neighbours=False),  # type: ignore[arg-type]
}


@pytest.fixture
def _encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encode each window once: all sets cut the same, and that an encoder gives the same is tested elsewhere."""
    encode, known = Legs.encode, {}

    def remembered(legs: Legs, batch: Sequence[Document]) -> Any:
        if legs.dense is None:  # words are numbered as they come
            return encode(legs, batch)
        key = tuple(document.doc_id for document in batch)
        if key not in known:
            known[key] = encode(legs, batch)
        return known[key]

    monkeypatch.setattr(Legs, "encode", remembered)


@pytest.mark.usefixtures("_encoded_once")
@pytest.mark.parametrize(("encoder", "dataset"), [("bm25", "nfcorpus"), ("default", "cranfield")])
def test_texts(folder: Path, shared: Path, encoder: str, dataset: str) -> None:
    """With the default model, rarity and its dense vectors."""
    data = shared / "data" / "beir" / dataset
    loaded = load_encoder(encoder)
    dense = None if encoder == "bm25" else loaded

    def make(path: Path, **options: Any) -> None:
        index_corpus([data / "corpus.jsonl"], path, load_encoder(encoder), dense=dense, threads=CORES, **options)  # type: ignore[arg-type]

    where = folder / dataset
    make(where / "one")
    one = Searcher(where / "one")
    queries = list(load_dataset(data).queries.values())
    options = OPTIONS if dense is None else OPTIONS | HYBRID
    due = {name: [one.search(query, given) for query in queries] for name, given in options.items()}
    for partition, path in sets(make, where):
        many = Searcher(path)
        for name, given in options.items():
            found = [many.search(query, given) for query in queries]
            n_equal = sum(ours.hits == theirs.hits for ours, theirs in zip(found, due[name], strict=True))
            sys.stdout.write(f"{encoder}, {partition}, {name}: {n_equal} of {len(queries)}\n")
            assert n_equal == len(queries)


FILTERS = {
    "numbers": SearchOptions(k=50, where="year >= 2004 and not (late > 2020-01-10)"),
    "mixed kinds": SearchOptions(k=50, where='mixed == "text 1" or exists late'),
    "facets, sorted": SearchOptions(k=50, sort="-year", total=True, facets=("year", "mixed", "late")),
    "explained": SearchOptions(k=5, explain=True, where="year != 2003"),
    "feedback": SearchOptions(k=50, feedback=10),  # type: ignore[arg-type]
}


def with_fields(document: Document, number: int) -> dict[str, Any]:
    """Return a document with fields whose kinds differ from one end of the corpus to the other."""
    found: dict[str, Any] = {"doc_id": document.doc_id, "title": document.title, "text": document.text}
    if number % 4:
        found["year"] = 2000 + number % 11
    if number % 5 == 0:
        found["mixed"] = number if number < 1800 else f"text {number % 3}"
    if number % 6 == 0:
        found["late"] = f"2020-01-{1 + number % 28:02}"
    return found


def test_fields_and_passages(folder: Path, shared: Path) -> None:
    """NFCorpus in passages of 64 words, with fields of mixed kinds."""
    import lsr

    data = load_dataset(shared / "data" / "beir" / "nfcorpus")
    documents = [with_fields(document, number) for number, document in enumerate(data.documents())]
    queries = list(data.queries.values())

    def make(path: Path, shards: Partition | None = None) -> None:
        given = {} if shards is None else {"shards": shards.shards, "partition": shards.by}
        cut = {"max_length": 64, "overlap": 8}
        lsr.index(documents, path, encoder="bm25", passages=cut, threads=CORES, **given).close()  # type: ignore[arg-type]

    where = folder / "fields"
    where.mkdir()
    make(where / "one")
    one = Searcher(where / "one")
    assert len(one.index) > 1.5 * len(documents)
    due = {name: [one.search(query, given) for query in queries] for name, given in FILTERS.items()}
    for partition, path in sets(make, where):
        many = Searcher(path)
        for name, given in FILTERS.items():
            found = [many.search(query, given) for query in queries]
            n_equal = sum(
                (ours.hits, ours.total, ours.facets) == (theirs.hits, theirs.total, theirs.facets)
                for ours, theirs in zip(found, due[name], strict=True)
            )
            sys.stdout.write(f"passages, {partition}, {name}: {n_equal} of {len(queries)}\n")
            assert n_equal == len(queries)
