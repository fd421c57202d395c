"""Documents, options and sets that the tests of sets share: ties, passages, dense vectors, fields of mixed kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import load_encoder
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.query.feedback import Feedback
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.settings import Hybrid
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document

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
        units: npt.NDArray[np.float32] = rows.reshape(-1, DIMENSION)
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        return units


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

READER = DocumentReader(Thirds())  # type: ignore[arg-type]


def make_one(path: Path) -> None:
    """Make the index that sets are compared with."""
    index_documents(DOCUMENTS, path, load_encoder("bm25"), dense=Noise(), reader=READER)


def make_set(path: Path, partition: Partition) -> None:
    """Make a set of the same documents."""
    index_documents(
        DOCUMENTS, path, load_encoder("bm25"), dense=Noise(), reader=READER, shards=partition,
        limits=SegmentLimits(n_docs=50),
    )  # fmt: skip
