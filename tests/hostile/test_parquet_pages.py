"""Parquet files whose pages become much larger than the file says are refused by their headers, unread."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.errors import LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.integrity import parquet_limits
from lsr.indexer.integrity.parquet_limits import text_columns
from lsr.indexer.integrity.parquet_pages import LARGEST_HEADER, PageHeaderError, pages
from lsr.indexer.transfer.read_vectors import read_vectors

FREE = 1 << 20


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let files unpack to a MiB."""
    monkeypatch.setattr(parquet_limits, "FREE_BYTES", FREE)


def table(path: Path, column: Any, **options: Any) -> Path:
    n = len(column)
    ids = pa.array([str(i) for i in range(n)])
    pq.write_table(pa.table({"id": ids, "text": ids, "more": column}), path, **{"compression": "zstd"} | options)
    return path


def varint(number: int) -> bytes:
    number <<= 1
    found = b""
    while number > 127:
        found += bytes([number & 127 | 128])
        number >>= 7
    return found + bytes([number])


def test_a_page_that_unpacks_to_more_than_its_row_group_says_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path / "file.parquet", pa.array(["words"]), use_dictionary=False)
    column = pq.ParquetFile(path).metadata.row_group(0).column(2)
    start, data = column.data_page_offset, path.read_bytes()
    page = next(pages(io.BytesIO(data), start, column.total_compressed_size))
    head = b"\x15\x00\x15" + varint(page.unpacked)
    assert data[start:].startswith(head)
    said = b"\x15\x00\x15" + varint(2_000_000_000)
    path.write_bytes(data[:start] + said + data[start + len(head) :])
    with pytest.raises(LsrError, match=r"row group 0 unpacks to 2,000,000,.* bytes, over 250 times"):
        list(read_corpus([path]))
    # The same by a number of a field that is 2 when it is cut to 16 bits, and by sizes that aren't sizes.
    for other in (
        b"\x05" + varint((1 << 16) + 2) + varint(2_000_000_000),
        b"\x15" + b"\xff" * 9 + b"\x01",
        b"\x15\x01",
    ):
        path.write_bytes(data[:start] + b"\x15\x00" + other + data[start + len(head) :])
        with pytest.raises(LsrError, match="row group 0, column 'more': the header of the page at byte"):
            list(read_corpus([path]))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([np.zeros(200_000, np.int64)]),
        pa.array([["x" * 100_000] * 100]),
        pa.array([["x" * 100_000] * 100], pa.large_list(pa.large_string())),
        pa.array([{"a": "x" * 100_000}] * 100),
        pa.array([[{"a": ["x" * 100_000] * 10}] * 10]),
    ],
    ids=["numbers", "texts", "large texts", "structs", "lists in lists"],
)  # fmt: skip
@pytest.mark.parametrize("options", [{}, {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"}])
def test_a_row_that_repeats_a_value_in_a_list_is_refused(
    column: Any, options: dict[str, Any], tmp_path: Path, little: None
) -> None:
    if options and not pa.types.is_struct(column.type):
        return  # other encodings of lists of numbers don't shrink, and lists are alike
    if options:
        options = {"use_dictionary": False, "column_encoding": {"more.a": "DELTA_BYTE_ARRAY"}}
    path = table(tmp_path / "file.parquet", column, **options)
    assert path.stat().st_size < 3000
    with pytest.raises(LsrError, match=r"row group 0 (has lists that unpack|unpacks) to .* bytes, over 250 times"):
        list(read_corpus([path]))


def test_texts_of_prefixes_and_ends_are_read_few_at_a_time(tmp_path: Path) -> None:
    texts = [f"the same {'x' * (i % 40)}{i}" for i in range(3000)]
    path = table(
        tmp_path / "file.parquet", pa.array(texts), use_dictionary=False, column_encoding={"more": "DELTA_BYTE_ARRAY"}
    )
    assert [document.fields["more"] for document in read_corpus([path])] == texts
    found = text_columns(path, path.stat().st_size)
    assert found.names == ["id", "text"] and found.most_rows > 4096
    path = table(
        tmp_path / "long.parquet", pa.array(["x" * 2_000_000] * 200), use_dictionary=False,
        column_encoding={"more": "DELTA_BYTE_ARRAY"},
    )  # fmt: skip
    assert text_columns(path, path.stat().st_size).most_rows < 200


def test_vectors_of_prefixes_and_ends_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.parquet"
    columns = {"id": ["a", "b"], "terms": [["x", "xy"], ["xyz"]], "weights": [[1.0, 2.0], [0.5]], "text": ["t", "tu"]}
    places = {"id": "DELTA_BYTE_ARRAY", "text": "DELTA_BYTE_ARRAY", "terms.list.element": "DELTA_BYTE_ARRAY"}
    pq.write_table(pa.table(columns), path, use_dictionary=False, column_encoding=places)
    terms: list[str] = []

    def number(term: str) -> int:
        terms.append(term)
        return len(terms)

    documents = [each for found, _, _ in read_vectors(path, number) for each in found]
    assert [(document.doc_id, document.text) for document in documents] == [("a", "t"), ("b", "tu")]
    assert terms == ["x", "xy", "xyz"]


@pytest.mark.parametrize(
    "options",
    [
        {}, {"compression": "none"}, {"data_page_version": "2.0", "data_page_size": 1000}, {"use_dictionary": False},
        {"write_page_checksum": True, "data_page_size": 500}, {"write_page_index": True, "store_schema": False},
        {"compression": "gzip"}, {"compression": "brotli"}, {"compression": "lz4"}, {"compression": "snappy"},
    ],
)  # fmt: skip
def test_all_pages_of_sound_files_are_found(options: dict[str, Any], tmp_path: Path) -> None:
    lists = pa.array([[f"tag {i}"] * (i % 4) for i in range(5000)])
    path = table(tmp_path / "file.parquet", lists, row_group_size=2000, **options)
    metadata = pq.ParquetFile(path).metadata
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            for number in range(metadata.num_columns):
                column = metadata.row_group(group).column(number)
                start = min(filter(None, (column.data_page_offset, column.dictionary_page_offset)))
                found = list(pages(file, start, column.total_compressed_size))
                assert found[-1].start + found[-1].packed == start + column.total_compressed_size
                of_data = [page for page in found if not page.is_dictionary]
                assert sum(page.n_values for page in of_data) == column.num_values
    assert len(list(read_corpus([path]))) == 5000


def test_a_header_without_an_end_is_not_read_for_ever() -> None:
    for data in (b"", b"\x15", b"\x18" + b"\xff\xff\xff\xff\x7f", b"\x1c" * (LARGEST_HEADER + 9), b"\x11" * 5000):
        with pytest.raises(PageHeaderError, match="the header of the page at byte 0"):
            list(pages(io.BytesIO(data), 0, len(data) + 1))


@settings(max_examples=300, database=None, derandomize=True)
@given(st.binary(max_size=60))
def test_any_header_is_read_or_refused(data: bytes) -> None:
    try:
        for page in pages(io.BytesIO(data), 0, len(data)):
            assert page.packed >= 0 and page.unpacked >= 0
    except PageHeaderError as error:
        assert len(str(error)) < 200
