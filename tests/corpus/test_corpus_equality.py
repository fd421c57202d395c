"""Rows with hostile values give the same documents by every format that can hold them."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsr.indexer.corpus.reader import read_corpus
from lsr.types import Document

HOSTILE = st.sampled_from(
    [",", ";", "\t", '"', "'", "\\", "\n", "%", " ", "\u00a0", "\u2028", "\ufeff", "é", "🙂", "<", "&", "{", "#", "a"]
)
TEXTS = st.lists(HOSTILE | st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12).map(
    "".join
)
IDS = TEXTS.filter(lambda text: bool(text) and not text.isspace())
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(
    st.tuples(IDS, TEXTS, TEXTS, st.integers(-(1 << 53), 1 << 53), NUMBERS, st.booleans()),
    min_size=1,
    max_size=20,
    unique_by=lambda row: row[0],
)
NAMES = ("id", "title", "text", "n", "x", "flag")


def as_jsonl(rows: list[tuple[Any, ...]]) -> bytes:
    return "".join(json.dumps(dict(zip(NAMES, row, strict=True))) + "\n" for row in rows).encode()


def as_json(rows: list[tuple[Any, ...]]) -> bytes:
    return json.dumps([dict(zip(NAMES, row, strict=True)) for row in rows], ensure_ascii=False, indent=1).encode()


def as_csv(rows: list[tuple[Any, ...]], delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows([NAMES, *rows])
    return out.getvalue().encode()


def as_parquet(rows: list[tuple[Any, ...]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.table(dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=True))), out)
    return out.getvalue()


def zipped(rows: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("rows.jsonl", rows)
    return out.getvalue()


def tarred(rows: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("rows.csv")
        info.size = len(rows)
        archive.addfile(info, io.BytesIO(rows))
    return out.getvalue()


FORMATS: dict[str, Callable[[list[tuple[Any, ...]]], bytes]] = {
    "jsonl": as_jsonl,
    "json": as_json,
    "csv": as_csv,
    "tsv": lambda rows: as_csv(rows, "\t"),
    "parquet": as_parquet,
    "jsonl.gz": lambda rows: gzip.compress(as_jsonl(rows)),
    "csv.bz2": lambda rows: bz2.compress(as_csv(rows)),
    "zip": lambda rows: zipped(as_jsonl(rows)),
    "tar.gz": lambda rows: gzip.compress(tarred(as_csv(rows))),
    "json.xz": lambda rows: lzma.compress(as_json(rows)),
}


def check(rows: list[tuple[Any, ...]], folder: Path) -> None:
    expected = [
        Document(doc_id, text, title, {"n": n, "x": x, "flag": flag}) for doc_id, title, text, n, x, flag in rows
    ]
    for name, write in FORMATS.items():
        path = folder / f"rows.{name}"
        path.write_bytes(write(rows))
        assert list(read_corpus([path])) == expected, name


@settings(max_examples=25)
@given(ROWS)
def test_rows_give_the_same_documents_by_every_format(tmp_path_factory, rows):
    check(rows, tmp_path_factory.mktemp("rows"))


@pytest.mark.large
@settings(max_examples=1000)
@given(ROWS)
def test_ten_thousand_rows_give_the_same_documents_by_every_format(tmp_path_factory, rows):
    check(rows, tmp_path_factory.mktemp("rows"))
