"""Files of ready vectors from strangers: JSON lines and CIFF with numbers, names and lengths that no writer makes."""

from __future__ import annotations

import io
import json
import os
import random
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import LsrError
from lsr.handoff.ciff import CiffList, document, header, posting_list, varint, write_messages
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.transfer.vector_files import read_vector_file
from lsr.indexer.write.writer import IndexWriter
from lsr.query.searcher import Searcher

HUGE = 1 << 69
LINES: dict[str, Any] = {
    "weight of 310 digits": {"id": "a", "vector": {"x": 10**310}},
    "weight beyond float32": {"id": "a", "vector": {"x": 1e300}},
    "whole weight beyond float32": {"id": "a", "vector": {"x": 10**40}},
    "infinite weight": {"id": "a", "vector": {"x": float("inf")}},
    "weight that is none": {"id": "a", "vector": {"x": float("nan")}},
    "infinite id": {"id": float("inf"), "vector": {"x": 1}},
    "list as id": {"id": [1], "vector": {"x": 1}},
}
LINES_AS_GIVEN: dict[str, Any] = {
    "the smallest weight": {"id": "a", "vector": {"x": 1e-320, "y": 1}},
    "half a character as term": {"id": "a", "vector": {"\ud800": 1}},
    "half a character as id": {"id": "\ud800", "vector": {"x": 1}},
    "a text that is none": {"id": "a", "vector": {"x": 1}, "contents": {"a": [1]}, "title": [[]]},
    "a long term": {"id": "a", "vector": {"x" * 100_000: 1}},
    "id of 400 digits": {"id": 10**400, "vector": {"x": 1}},
    "a long id": {"id": "x" * 100_000, "vector": {"x": 1}},
    "control characters": {"id": "a\n\x1b[31m\0", "vector": {"x\n\0": 1}},
    "no term": {"id": "a", "vector": {}},
}


def indexed(file: Path, path: Path) -> int:
    """Make an index of a file of vectors and search it; return the number of its documents."""
    encoder: Any = ReadyVectors()
    with IndexWriter(path, encoder) as writer:
        for documents, vectors, _ in read_vector_file(file, encoder.term_id):
            writer.add(documents, vectors)
        manifest = writer.commit()
    assert len(list(Searcher(path).index.documents())) == manifest.n_docs
    return manifest.n_docs


@pytest.mark.parametrize("name", LINES)
def test_a_line_that_is_no_vector_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "v.jsonl").write_text(json.dumps(LINES[name]) + "\n")
    with pytest.raises(LsrError, match=r"v\.jsonl, line 1: .{1,300}$"):
        indexed(tmp_path / "v.jsonl", tmp_path / "index")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("name", LINES_AS_GIVEN)
def test_a_strange_line_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    (tmp_path / "v.jsonl").write_text(json.dumps(LINES_AS_GIVEN[name]) + "\n")
    assert indexed(tmp_path / "v.jsonl", tmp_path / "index") == 1


def test_half_a_character_of_a_text_is_an_error(tmp_path: Path) -> None:
    line = {"id": "a", "vector": {"x": 1}, "contents": "\ud800"}
    (tmp_path / "v.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(LsrError, match="document 'a': its text is not a text that UTF-8 can hold"):
        indexed(tmp_path / "v.jsonl", tmp_path / "index")


@pytest.mark.parametrize("line", [b"[" * 100_000, b'{"id":"a","vector":{"x":' + b"9" * 5000 + b"}}", b"\xff\xfe\n"])
def test_a_line_that_is_no_json_is_an_error(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "v.jsonl").write_bytes(line)
    with pytest.raises(LsrError, match="line 1"):
        indexed(tmp_path / "v.jsonl", tmp_path / "index")


def _field(number: int, value: int | bytes) -> bytes:
    """Return a field of a message, of any value."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def _list(*postings: tuple[int, int], term: bytes = b"t") -> bytes:
    return _field(1, term) + b"".join(_field(4, _field(1, gap) + _field(2, weight)) for gap, weight in postings)


def packed(*messages: bytes) -> bytes:
    out = io.BytesIO()
    write_messages(out, messages)
    return out.getvalue()


HEADER, LIST = header(1, 2, 2, 1.0, "x"), posting_list(CiffList("t", [(0, 1), (1, 2)]))
DOCS = document(0, "a", 1), document(1, "b", 1)
CIFFS: dict[str, bytes] = {
    "nothing": b"",
    "a number without end": b"\xff" * 100,
    "a doc id of 70 bits": packed(HEADER, _list((HUGE, 1)), *DOCS),
    "a doc id of 64 bits": packed(HEADER, _list((1 << 63, 1)), *DOCS),
    "doc ids that sum up": packed(HEADER, _list(*[((1 << 31) - 1, 1)] * 3), *DOCS),
    "a document that isn't there": packed(HEADER, _list((7, 1)), *DOCS),
    "a weight of 70 bits": packed(HEADER, _list((0, HUGE)), *DOCS),
    "a weight of 0": packed(HEADER, _list((0, 0)), *DOCS),
    "a posting twice": packed(HEADER, _list((0, 1), (0, 1)), *DOCS),
    "a list twice": packed(header(2, 2, 2, 1.0, "x"), LIST, LIST, *DOCS),
    "a number as term": packed(HEADER, _field(1, 5) + _field(4, _field(2, 1)), *DOCS),
    "a term that is not UTF-8": packed(HEADER, _list((0, 1), term=b"\xff"), *DOCS),
    "a document of 70 bits": packed(HEADER, LIST, document(HUGE, "a", 1), DOCS[1]),
    "a document twice": packed(HEADER, LIST, DOCS[0], DOCS[0]),
    "documents without ids": packed(HEADER, LIST, document(0, "", 1), document(0, "", 1)),
    "counts of 70 bits": packed(header(HUGE, HUGE, 1, 1.0, "x"), LIST, *DOCS),
    "more documents than bytes": packed(header(1, 1 << 30, 1, 1.0, "x"), LIST, *DOCS),
    "more lists than there are": packed(header(50, 2, 2, 1.0, "x"), LIST, *DOCS),
    "a length beyond the end": packed(HEADER) + varint(1 << 40) + LIST,
    "a field beyond its message": packed(HEADER, b"\x22\x7f\x01", *DOCS),
    "an end in a message": packed(HEADER, LIST, *DOCS)[:-3],
}


def test_a_whole_ciff_is_read(tmp_path: Path) -> None:
    (tmp_path / "v.ciff").write_bytes(packed(HEADER, LIST, *DOCS))
    assert indexed(tmp_path / "v.ciff", tmp_path / "index") == 2


@pytest.mark.parametrize("name", CIFFS)
def test_a_forged_ciff_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "v.ciff").write_bytes(CIFFS[name])
    with pytest.raises(LsrError, match=r"v\.ciff: .{1,300}$"):
        indexed(tmp_path / "v.ciff", tmp_path / "index")
    assert not (tmp_path / "index").exists()


def mutations(data: bytes, seeds: range) -> Iterator[bytes]:
    for seed in seeds:
        rng, found = random.Random(seed), bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 5))):
            found[rng.randrange(len(found))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        if rng.random() < 0.2:
            del found[rng.randrange(len(found)) :]
        yield bytes(found)


@pytest.mark.parametrize("suffix", [".ciff", ".jsonl"])
def test_any_bytes_make_vectors_or_an_error(tmp_path: Path, suffix: str, request: pytest.FixtureRequest) -> None:
    lists = [posting_list(CiffList(f"term{i}", [(n, 1 + n) for n in range(i % 4, 8)])) for i in range(6)]
    texts = [json.dumps({"id": i, "contents": "x", "vector": {f"t{n}": n / 2 for n in range(9)}}) for i in range(8)]
    sound: dict[str, bytes] = {
        ".ciff": packed(header(6, 8, 9, 1.0, "x"), *lists, *(document(i, f"d{i}", 1) for i in range(8))),
        ".jsonl": "\n".join(texts).encode(),
    }
    n_tried = 3000 if request.config.getoption("--large") else 300
    n_refused, file = 0, tmp_path / f"v{suffix}"
    for number, data in enumerate(mutations(sound[suffix], range(n_tried))):
        file.write_bytes(data)
        try:
            for documents, vectors, _ in read_vector_file(file, ReadyVectors().term_id):
                vectors.check()
                assert len(documents) == len(vectors.indptr) - 1
        except LsrError as error:
            n_refused += 1
            assert len(str(error)) < 1000
        except Exception:  # noqa: BLE001  with the number, by which it is found again
            pytest.fail(f"{suffix} {number}:\n{traceback.format_exc()[-1500:]}")
    assert n_tried // 4 < n_refused < n_tried


@pytest.mark.parametrize("suffix", [".ciff", ".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("trap", ["FIFO", "socket", "device", "link to a folder", "dangling link"])
def test_vectors_are_a_file(hostile: Any, tmp_path: Path, trap: str, suffix: str) -> None:
    hostile.lay(trap, tmp_path / "in" / f"v{suffix}", hostile.outside)
    assert hostile.refused(lambda: list(read_vector_file(tmp_path / "in" / f"v{suffix}", ReadyVectors().term_id)))
    hostile.outside.check()


def test_a_line_of_queries_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    from lsr.query import encoded_queries

    monkeypatch.setattr(encoded_queries, "MAX_DOCUMENT_BYTES", 1 << 16)
    read: Callable[[Path], Any] = lambda path: list(encoded_queries._lines(path))  # noqa: E731
    (tmp_path / "q.tsv.gz").write_bytes(gzip.compress(b"q1\t" + b"a " * (1 << 20)))
    with pytest.raises(LsrError, match="line 1: over 0 MiB"):
        read(tmp_path / "q.tsv.gz")
    (tmp_path / "q.tsv").write_bytes(b"q1\ta b\n\nq2\tc" + os.linesep.encode())
    assert read(tmp_path / "q.tsv") == [(1, "q1\ta b"), (3, "q2\tc")]
