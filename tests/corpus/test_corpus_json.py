"""`.json` files: an array, objects one after another, or one object, read without holding the file."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.corpus.formats import json_values
from lsr.indexer.corpus.report import Reason
from lsr.types import Document


def test_an_array_of_objects(plant, read):
    folder = plant({"a.json": json.dumps([{"id": i, "text": "x" * i} for i in range(3)], indent=2)})
    assert [document.text for document in read(folder).values()] == ["", "x", "xx"]


def test_objects_one_after_another(plant, read):
    folder = plant({"a.json": '{"id": 1, "text": "x"}\n{"id": 2,\n "text": "y"} {"id": 3, "text": "z"}'})
    assert list(read(folder)) == ["1", "2", "3"]


def test_one_object_alone_has_its_path_for_an_id_unless_it_says_its_own(plant, read):
    folder = plant({"sub/a.json": '{"title": "T", "text": "x"}\n', "sub/b.json": '{"id": "own", "text": "y"}'})
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {"sub/a.json": "x", "own": "y"}


def test_an_array_longer_than_the_buffer_is_streamed(plant, read, monkeypatch):
    monkeypatch.setattr(json_values, "_CHUNK", 64)
    records = [{"id": i, "text": "wörd " * (i % 50)} for i in range(500)]
    documents = read(plant({"a.json": json.dumps(records, ensure_ascii=False)}))
    assert [document.text for document in documents.values()] == [record["text"] for record in records]


def test_files_that_hold_no_documents_are_plain_text_where_they_lie_in_a_folder(plant, read, report):
    folder = plant(
        {
            "a.txt": "x",
            "package.json": '{"name": "thing", "version": "1.0"}',
            "settings.json": "{ // with a remark\n}",
            "numbers.json": "[1, 2, 3]",
            "text.json": '"text"',
        }
    )
    found = read(folder)
    assert list(found) == ["a.txt", "numbers.json", "package.json", "settings.json", "text.json"]
    assert found["settings.json"] == Document("settings.json", "{ // with a remark\n}")
    assert not report.skipped and report.bytes_done == sum(path.stat().st_size for path in folder.iterdir())
    assert report.taken_as_text is not None and report.taken_as_text.count == 4
    assert report.taken_as_text.first.startswith(f"{folder / 'numbers.json'}: not an object but a number")
    assert any(line.startswith("took 4 files of data without a text field as plain text") for line in report.summary())


@pytest.mark.parametrize("content", ["", " \n", "[]", "[ ]\n"])
def test_files_without_a_record_are_counted(plant, read, report, content):
    assert list(read(plant({"a.txt": "x", "b.json": content}))) == ["a.txt"]
    assert report.count_skipped(Reason.NO_RECORD) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"name": "x"}', "no text among its fields name; looked for text"),
        ("[1]", "not an object but a number"),
        ("{", "line 1: not JSON: Expecting property name"),
        ('[{"id": 1, "text": "x"},\n\n{"id": 2, "text"}]', "line 3: not JSON: Expecting ':' delimiter"),
        ('[{"id": 1, "text": "x"}\n{"id": 2, "text": "y"}]', "line 2: not JSON: no comma between two values"),
        ('[{"id": 1, "text": "x"},\n]', "line 2: not JSON: Expecting value"),
        ('[{"id": 1, "text": "x"}\n', "line 2: the file is cut off: its array is never closed"),
        ('[{"id": 1, "text": "x"}, {"id": 2, "te', "line 1: not JSON: Unterminated string"),
        ('[{"id": 1, "text": "x"}] 5', "line 1: not JSON: more text after the array"),
        ('[{"id": 1, "text": "x"},\n{"id": 2}]', "line 2: no text among its fields id"),
        ('[{"id": 1, "text": "x"},\n7]', "line 2: not an object but a number"),
        ("[" * 100_000, "line 1: not JSON: nested too deep"),
    ],
)
def test_a_named_file_that_is_broken_is_an_error(plant, read, content, message):
    folder = plant({"a.json": content})
    with pytest.raises(BadDocumentError, match=rf"a\.json[,:] {message}"):
        read(folder / "a.json")


def test_with_skip_bad_what_came_before_the_break_is_kept(plant, read, report):
    folder = plant({"a.json": '[{"id": 1, "text": "x"}, 7, {"id": 2, "text": "y"}, {"id": 3', "b.txt": "z"})
    assert list(read(folder, skip_bad=True)) == ["1", "2", "b.txt"]
    assert report.count_skipped(Reason.BAD_RECORD) == 1
    assert report.count_skipped(Reason.BAD_FILE) == 1


def test_a_value_over_the_limit_is_not_held_whole(plant, read, monkeypatch):
    monkeypatch.setattr(json_values, "MAX_DOCUMENT_BYTES", 1000)
    monkeypatch.setattr(json_values, "_CHUNK", 64)
    folder = plant({"a.json": json.dumps([{"id": 1, "text": "x"}, {"id": 2, "text": "y" * 100_000}])})
    with pytest.raises(LsrError, match=r"line 1: not JSON, or a value over .* MiB, the limit"):
        read(folder)


@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=3), st.text(max_size=20) | st.integers() | st.lists(st.integers(), max_size=3))
    ),
    chunk=st.integers(1, 40),
    in_array=st.booleans(),
    indent=st.sampled_from([None, 1]),
)
def test_any_sequence_of_values_is_read_back_in_pieces_of_any_size(values, chunk, in_array, indent):
    text = (
        json.dumps(values, indent=indent)
        if in_array
        else "\n".join(json.dumps(value, indent=indent) for value in values)
    )
    before = json_values._CHUNK
    json_values._CHUNK = chunk
    try:
        reader = json_values._Values(io.StringIO(text))
        found = list(iter(reader.next, None))
    finally:
        json_values._CHUNK = before
    assert [value for _, value in found] == values
    starts = [line for line, _ in found]
    assert starts == sorted(starts)
    assert all(text.split("\n")[line - 1].lstrip(" [,").startswith("{") for line in starts)


def test_objects_without_an_id_get_file_and_number_as_one(plant, read, report):
    assert list(read(plant({"a.json": '[{"text": "x"}, {"text": "y"}]', "b.json": '{"text": "z"}'}))) == [
        "a.json:1",
        "a.json:2",
        "b.json",
    ]
    assert report.made_ids is not None and report.made_ids.count == 2


def test_settings_that_look_like_a_document_are_plain_text_in_a_folder(plant, read, report):
    settings = '{"name": "x", "content": ["a", {"b": 1}]}'
    assert read(plant({"a.json": settings, "b.txt": "x"}))["a.json"].text == settings
    assert report.taken_as_text is not None and report.taken_as_text.count == 1
