"""Small indexes and files of vectors, and what an intact index looks like."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.indexer.storage.generations import PART_KINDS
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.write.writer import IndexWriter
from lsr.types import Document, SparseBatch

WORDS = "apple banana cherry date elder fig grape hazel ivy juniper".split()


def rows(n: int, shift: int = 0) -> list[dict[str, float]]:
    """Return n vectors over a few words, each like its neighbours."""
    return [{WORDS[(i // 7 + j + shift) % 10]: 1.0 + (i + j) % 5 for j in range(1 + i % 4)} for i in range(n)]


def write(path: Path, n: int = 150, *, shift: int = 0, **options: Any) -> StoredIndex:
    """Make an index of n documents, `doc_0`, `doc_1`, …"""
    encoder = ReadyVectors()
    vectors = [{encoder.term_id(term): weight for term, weight in row.items()} for row in rows(n, shift)]
    documents = [Document(f"doc_{i}", f"text {i + shift}", f"title {i}") for i in range(n)]
    with IndexWriter(path, encoder, **options) as writer:
        writer.add(documents, SparseBatch.from_rows(vectors, len(encoder.terms)))
        writer.commit()
    return StoredIndex.open(path)


def content(path: Path) -> list[Any]:
    """Return all that an index at `path` answers: its documents, deleted ones left out, and every term's postings by
    document."""
    from lsr.indexer.transfer.check import verify
    from lsr.kernels.build.forward import forward_rows

    assert verify(path)[1] == []
    found: list[Any] = []
    with StoredIndex.open(path) as index:
        for segment in index.segments:
            indptr, term_ids, impacts, _ = forward_rows(segment.postings, len(segment.terms))
            by_position: list[Any] = [None] * segment.n_docs
            for doc_ord, position in enumerate(segment.arrays["insertion"]):
                span = slice(indptr[doc_ord], indptr[doc_ord + 1])
                names = [index.vocabulary.term(int(segment.terms[t])) for t in term_ids[span]]
                by_position[position] = dict(zip(names, impacts[span].tolist(), strict=True))
            live = segment.live_rows
            found += [(segment.document(row), postings) for row, postings in enumerate(by_position) if live[row]]
    return found


def leftovers(path: Path) -> set[str]:
    """Return what stands in an index that nobody holds and its last manifest does not name."""
    with StoredIndex.open(path) as index:
        kept = {f"{part.kind}/{part.id}" for part in index.manifest.parts}
        kept |= {"writer.lock", f"manifest-{index.manifest.generation:08d}.json"}
    there = {name for name in os.listdir(path) if not (path / name).is_dir() or name.startswith("tmp-")}
    for kind in PART_KINDS:
        if (path / kind).is_dir():
            there |= {f"{kind}/{name}" for name in os.listdir(path / kind)}
    return there - kept


def names(path: Path) -> set[str]:
    """Return every file and folder below `path`, relative to it."""
    return {entry.relative_to(path).as_posix() for entry in path.rglob("*")}


@contextmanager
def failing(step: int, error: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Let the step-th write, sync or rename fail, in whatever file; give the list of what was called."""
    calls: list[str] = []

    def spoiled(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls.append(name)
            if len(calls) == step:
                Small.tally("failing calls")
                raise error()
            return original(*args, **kwargs)

        return call

    from lsr.indexer.storage.files import ChecksummedFile
    from lsr.indexer.write.spill import Spool

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (os, "fsync"),
            (os, "rename"),
            (os, "mkdir"),
            (os, "link"),
            (ChecksummedFile, "write"),
            (Spool, "append"),
        ):
            patch.setattr(owner, name, spoiled(name, getattr(owner, name)))
        yield calls


def killed_at(step: int, write: Callable[[], object]) -> bool:
    """Write in a process of its own that is killed at a step; say whether it was."""
    pid = os.fork()
    if pid == 0:
        with failing(step, lambda: os._exit(9)):
            write()
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9)
    Small.tally("kills at a step", int(code == 9))
    return code == 9


class Small:
    """What the tests of this folder share; in a fixture, since test modules can't import each other."""

    tally: Callable[..., None]
    rows = staticmethod(rows)
    write = staticmethod(write)
    content = staticmethod(content)
    names = staticmethod(names)
    leftovers = staticmethod(leftovers)
    failing = staticmethod(failing)
    killed_at = staticmethod(killed_at)


@pytest.fixture(scope="session")
def small(tally: Callable[..., None]) -> type[Small]:
    Small.tally = staticmethod(tally)
    return Small


@pytest.fixture
def vectors_file(tmp_path: Path) -> Callable[..., Path]:
    """Write a Parquet file of columns."""

    def write_file(columns: Mapping[str, Sequence[Any]], name: str = "vectors.parquet") -> Path:
        pq.write_table(pa.table(dict(columns)), tmp_path / name)
        return tmp_path / name

    return write_file


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
