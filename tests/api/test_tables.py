"""Tables as sources: pandas, polars, Arrow, and datasets of Hugging Face."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import lsr
from lsr.api.records import Names
from lsr.api.sources import Stream, read_sources

pd = pytest.importorskip("pandas")
pl = pytest.importorskip("polars")

COLUMNS = {
    "id": [1, 2, 3],
    "title": ["Trees", None, "Dogs"],
    "text": ["Trees grow slowly.", "A cat sleeps.", "A dog guards the house."],
    "year": [2019, None, 2021],
    "day": [datetime.date(2024, 5, 1), None, datetime.date(2024, 5, 3)],
    "tags": [["a", "b"], [], None],
}
EXPECTED = [
    lsr.Document("1", "Trees grow slowly.", "Trees", {"year": 2019, "day": "2024-05-01", "tags": ["a", "b"]}),
    lsr.Document("2", "A cat sleeps.", "", {"tags": []}),
    lsr.Document("3", "A dog guards the house.", "Dogs", {"year": 2021, "day": "2024-05-03"}),
]


class OnlyCapsule:
    """A table that gives its columns as Arrow does, and nothing else of a DataFrame."""

    columns = ("text",)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table(COLUMNS).__arrow_c_stream__(requested_schema)


TABLES: dict[str, Callable[[], Any]] = {
    "pandas": lambda: pd.DataFrame(COLUMNS),
    "polars": lambda: pl.DataFrame(COLUMNS),
    "table": lambda: pa.table(COLUMNS),
    "batch": lambda: pa.record_batch(COLUMNS),
    "reader": lambda: pa.table(COLUMNS).to_reader(max_chunksize=2),
    "capsule": OnlyCapsule,
}


def documents_of(sources: Any, **names: Any) -> list[lsr.Document]:
    found = read_sources(sources, Names.of(*(names.get(part) for part in ("text", "title", "id", "fields"))))
    assert isinstance(found, Stream)
    return list(found.documents)


@pytest.mark.parametrize("kind", TABLES)
def test_rows_of_a_table_are_documents(kind: str) -> None:
    assert documents_of(TABLES[kind]()) == EXPECTED


@pytest.mark.parametrize("kind", TABLES)
def test_columns_are_named(kind: str) -> None:
    found = documents_of(TABLES[kind](), fields=["year"])
    assert [document.fields for document in found] == [{"year": 2019}, {}, {"year": 2021}]
    with pytest.raises(lsr.LsrError, match="no field 'story' among"):
        documents_of(TABLES[kind](), text="story")


def test_dicts_of_rows_are_the_same_documents() -> None:
    frame = pd.DataFrame({name: COLUMNS[name] for name in ("id", "title", "text", "year")})
    assert documents_of(frame.to_dict("records")) == documents_of(frame)


def test_the_index_of_a_data_frame_is_no_field() -> None:
    frame = pd.DataFrame({"text": ["a text", "b text"]}, index=["x", "y"])
    assert documents_of(frame) == [lsr.Document("0", "a text"), lsr.Document("1", "b text")]
    assert [document.doc_id for document in documents_of(frame.reset_index(), id="index")] == ["x", "y"]


@pytest.mark.parametrize("series", [pd.Series, pl.Series])
def test_a_series_is_texts(series: Any) -> None:
    assert documents_of(series(["a text", "b text"])) == [lsr.Document("0", "a text"), lsr.Document("1", "b text")]
    with pytest.raises(lsr.LsrError, match="source 1 is missing"):
        documents_of(series(["a text", None]))


def test_ids_with_gaps_are_named_and_whole_ones_stay_whole() -> None:
    frame = pd.DataFrame({"id": [1, None], "text": ["a text", "b text"]})
    with pytest.raises(lsr.LsrError, match="record 1: the id 'id' is nan"):
        documents_of(frame.to_dict("records"))
    assert documents_of(frame[:1])[0].doc_id == "1"


@pytest.mark.parametrize("value", [np.nan, None, pd.NA, pd.NaT])
def test_a_missing_text_is_an_error_and_a_missing_title_is_none(value: Any) -> None:
    frame = pd.DataFrame({"text": ["a text", "b text"], "title": ["a title", value]}, dtype=object)
    assert documents_of(frame.to_dict("records"))[1].title == ""
    for sources in (frame, frame.to_dict("records")):
        with pytest.raises(lsr.LsrError, match="record 1: its text 'title' is missing"):
            documents_of(sources, text="title", title="text")


def test_columns_that_arrow_cannot_read_are_an_error_of_ours() -> None:
    with pytest.raises(lsr.LsrError, match=r"the table's columns can't be read: .*one kind"):
        documents_of(pd.DataFrame({"text": ["a text", 5]}))
    with pytest.raises(lsr.LsrError, match=r"several columns 'text'|can't be read"):
        documents_of(pd.DataFrame([["a", "b"]], columns=["text", "text"]))


def test_a_lazy_frame_is_refused_with_the_remedy() -> None:
    with pytest.raises(lsr.LsrError, match=r"LazyFrame; give its rows: sources.collect"):
        documents_of(pl.LazyFrame(COLUMNS))


def test_batches_are_read_as_they_are_needed() -> None:
    taken = []

    def batches() -> Iterator[Any]:
        for number in range(1000):
            taken.append(number)
            yield pa.record_batch({"text": [f"text {number}"]})

    reader = pa.RecordBatchReader.from_batches(pa.schema([("text", pa.string())]), batches())
    found = read_sources(reader, Names())
    assert isinstance(found, Stream)
    assert next(found.documents) == lsr.Document("0", "text 0")
    assert len(taken) < 10


def test_a_dataset_of_hugging_face_is_rows() -> None:
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({name: COLUMNS[name] for name in ("id", "title", "text")})
    expected = [lsr.Document(document.doc_id, document.text, document.title) for document in EXPECTED]
    assert documents_of(dataset) == expected
    assert documents_of(dataset.to_iterable_dataset()) == expected


def test_an_index_is_made_of_a_table(here: Any) -> None:
    with lsr.index(pd.DataFrame(COLUMNS), "my-index", encoder="bm25") as index:
        assert list(index) == EXPECTED
        assert index.add(pl.DataFrame({"id": [4], "text": ["A fourth text."]})).n_documents == 4
