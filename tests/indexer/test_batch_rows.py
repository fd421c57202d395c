"""Rows of record batches are read as pyarrow reads them, and no offset leads out of the data."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.indexer.storage.batch_rows import BatchRows

ROW = st.tuples(st.text(max_size=9), st.none() | st.text(max_size=9))


def batch_of(rows: list[tuple[str, str | None]]) -> Any:
    first, second = zip(*rows, strict=True) if rows else ((), ())
    return pa.record_batch([pa.array(first, pa.large_string()), pa.array(second, pa.string())], names=["a", "b"])


@given(st.lists(ROW, max_size=20), st.integers(0, 20))
def test_rows_are_those_of_the_batch_and_of_its_slices(rows: list[tuple[str, str | None]], start: int) -> None:
    stored = [[None if text is None else text.encode() for text in row] for row in rows]
    read = BatchRows(batch_of(rows))
    assert [read.row(number) for number in range(len(rows))] == stored
    rest = BatchRows(batch_of(rows).slice(start))
    assert [rest.row(number) for number in range(len(rows[start:]))] == stored[start:]


@pytest.mark.parametrize("middle", [9, -1, 1 << 30])
def test_offsets_that_lead_out_of_the_data_are_refused(middle: int) -> None:
    offsets = b"".join(number.to_bytes(4, "little", signed=True) for number in (0, middle, 3))
    array = pa.Array.from_buffers(pa.string(), 2, [None, pa.py_buffer(offsets), pa.py_buffer(b"abc")])
    rows = BatchRows(pa.RecordBatch.from_arrays([array], ["a"]))
    for number in range(2):
        with pytest.raises(ValueError, match="a text is from byte"):
            rows.row(number)
