"""Parquet: columns by their names, types that become fields, reading by batches, and damaged files."""

from __future__ import annotations

import datetime
import decimal
import gzip
import io
import os

import pytest

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import Reason
from lsr.types import Document

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def parquet(columns: dict[str, object], **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


def test_a_row_is_a_document(plant, read):
    data = parquet({"_id": ["1", "2"], "title": ["T", None], "text": ["x", None], "year": [1999, None]})
    assert list(read(plant({"a.parquet": data})).values()) == [
        Document("1", "x", "T", {"year": 1999}),
        Document("2", ""),
    ]


def test_columns_of_many_types_become_fields_and_vectors_are_not_read(plant, read, report):
    columns = {
        "id": pa.array([7], pa.int32()),
        "text": pa.array(["x"]).dictionary_encode(),
        "small": pa.array([1], pa.int8()),
        "huge": pa.array([2**64 - 1], pa.uint64()),
        "share": pa.array([0.5], pa.float32()),
        "nan": pa.array([float("nan")]),
        "flag": pa.array([True]),
        "language": pa.array(["en"]).dictionary_encode(),
        "tags": pa.array([["a", "b"]]),
        "day": pa.array([datetime.date(2026, 1, 2)]),
        "price": pa.array([decimal.Decimal("1.50")]),
        "metadata": pa.array([{"url": "u", "n": {"year": 1}}]),
        "vector": pa.array([[0.1, 0.2]]),
        "raw": pa.array([b"\x00"]),
        "null": pa.nulls(1),
    }
    (document,) = read(plant({"a.parquet": parquet(columns)})).values()
    assert (document.doc_id, document.text) == ("7", "x")
    assert document.fields == {
        "small": 1,
        "huge": str(2**64 - 1),
        "share": 0.5,
        "flag": True,
        "language": "en",
        "tags": ["a", "b"],
        "day": "2026-01-02",
        "price": "1.50",
        "metadata.url": "u",
        "metadata.n.year": 1,
    }
    assert {"vector", "raw"} <= set(report.dropped_values)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_any_precision_are_dates_for_filters(plant, read, unit):
    from lsr.indexer.storage.fields import parse_date

    time = datetime.datetime(2026, 1, 2, 3, 4, 5)
    columns = {"id": ["1", "2"], "text": ["x", "y"]}
    columns |= {"at": pa.array([time, None], pa.timestamp(unit))}
    columns |= {"zoned": pa.array([time, None], pa.timestamp(unit, "Europe/Vienna"))}
    first, second = read(plant({"a.parquet": parquet(columns)})).values()
    assert parse_date(first.fields["at"]) == parse_date(first.fields["zoned"]) == time
    assert second.fields == {}


def test_nanoseconds_are_cut_to_the_microseconds_that_filters_know(plant, read):
    at = pa.array([1_767_323_045_123_456_789], pa.timestamp("ns"))
    fields = read(plant({"a.parquet": parquet({"id": ["1"], "text": ["x"], "at": at})}))["1"].fields
    assert fields == {"at": "2026-01-02T03:04:05.123456"}


def test_lists_of_whole_numbers_become_lists_of_texts(plant, read):
    columns = {"id": ["1"], "text": ["x"], "years": pa.array([[1999, 2000]])}
    assert read(plant({"a.parquet": parquet(columns)}))["1"].fields == {"years": ["1999", "2000"]}


def test_a_file_whose_name_is_not_utf8_is_read(plant, read):
    folder = plant({"b.txt": "y"})
    try:
        (folder / os.fsdecode(b"caf\xe9.parquet")).write_bytes(parquet({"id": ["1"], "text": ["x"]}))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert sorted(read(folder)) == ["1", "b.txt"]


def test_ids_and_texts_kept_as_bytes_are_decoded(plant, read):
    data = parquet({"id": pa.array([b"k1"]), "text": pa.array(["Łódź".encode()])})
    assert read(plant({"a.parquet": data}))["k1"].text == "Łódź"


def test_many_row_groups_are_read_in_order_with_growing_progress(plant, report):
    data = parquet({"id": [str(i) for i in range(1000)], "text": ["x" * i for i in range(1000)]}, row_group_size=100)
    folder = plant({"a.parquet": data})
    seen = []
    for number, document in enumerate(read_corpus([folder], report=report)):
        assert (document.doc_id, len(document.text)) == (str(number), number)
        seen.append(report.bytes_done)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 10
    assert report.bytes_done == len(data)


def test_large_rows_are_read_in_small_batches(plant, read, monkeypatch):
    from lsr.indexer.corpus.formats import parquet as reader

    monkeypatch.setattr(reader, "_BATCH_BYTES", 1000)
    sizes = []
    rows = reader._rows
    monkeypatch.setattr(reader, "_rows", lambda batch, *rest: sizes.append(batch.num_rows) or rows(batch, *rest))
    data = parquet(
        {"id": list(range(20)), "text": [f"{i}" * 400 for i in range(20)]}, use_dictionary=False, compression=None
    )
    assert len(read(plant({"a.parquet": data}))) == 20
    assert max(sizes) <= 3


def test_a_gzipped_file_reads_the_same(plant, read, report):
    data = gzip.compress(parquet({"id": ["1"], "text": ["x"]}))
    assert list(read(plant({"a.parquet.gz": data}))) == ["1"]
    assert report.bytes_done == len(data)


@pytest.mark.parametrize("cut", [0, 3, 100, -1, -20])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_file_that_is_cut_off_is_an_error_naming_it(plant, read, report, cut, zipped):
    data = parquet({"id": ["1"], "text": ["x"]})[:cut]
    name = "a.parquet.gz" if zipped else "a.parquet"
    folder = plant({name: gzip.compress(data) if zipped else data, "b.txt": "y"})
    with pytest.raises(
        BadDocumentError, match=rf"{name}: the Parquet file (is damaged or cut off|can't be read): .*--skip-bad"
    ):
        read(folder)


def test_damaged_pages_are_an_error_and_with_skip_bad_counted(plant, read, report):
    data = bytearray(parquet({"id": [str(i) for i in range(500)], "text": [f"text {i}" for i in range(500)]}))
    data[100 : len(data) // 2] = bytes(len(data) // 2 - 100)
    folder = plant({"a.parquet": bytes(data), "b.txt": "y"})
    with pytest.raises(BadDocumentError, match=r"a\.parquet: the Parquet file"):
        list(read_corpus([folder]))
    assert "b.txt" in read(folder, skip_bad=True)
    assert report.count_skipped(Reason.BAD_FILE) == 1


def test_a_named_file_without_texts_is_an_error_and_one_in_a_folder_is_skipped(plant, read, report):
    folder = plant({"vectors.parquet": parquet({"id": ["1"], "terms": [["a"]], "weights": [[1.0]]}), "b.txt": "y"})
    with pytest.raises(
        BadDocumentError, match=r"vectors\.parquet: no text among its fields id, terms, weights; looked for"
    ):
        list(read_corpus([folder / "vectors.parquet"]))
    assert list(read(folder)) == ["b.txt"]
    assert report.count_skipped(Reason.NO_TEXT_FIELD) == 1


def test_rows_without_an_id_get_file_and_row_as_one(plant, read):
    assert list(read(plant({"a.parquet": parquet({"text": ["x", "y"], "n": [1, 2]})}))) == [
        "a.parquet:1",
        "a.parquet:2",
    ]


def test_columns_may_be_named(plant, read):
    data = parquet({"k": ["1"], "a": ["x"], "b": ["y"], "c": [1], "d": [2]})
    options = CorpusOptions(text=("b", "a"), id="k", fields="d")
    assert list(read(plant({"a.parquet": data}), options=options).values()) == [Document("1", "y\n\nx", "", {"d": 2})]


def test_bad_rows_are_named_by_number(plant, read, report):
    folder = plant({"a.parquet": parquet({"id": ["1", None, "3", ""], "text": ["x", "y", "z", "w"]})})
    with pytest.raises(BadDocumentError, match=r"a\.parquet, row 2: its id is null"):
        list(read_corpus([folder]))
    assert list(read(folder, skip_bad=True)) == ["1", "3"]
    assert report.count_skipped(Reason.BAD_RECORD) == 2


def test_a_table_of_no_rows_is_counted(plant, read, report):
    folder = plant(
        {"a.parquet": parquet({"id": pa.array([], pa.string()), "text": pa.array([], pa.string())}), "b.txt": ""}
    )
    assert list(read(folder)) == ["b.txt"]
    assert report.count_skipped(Reason.NO_RECORD) == 1
