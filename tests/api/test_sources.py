"""Sources of documents: each kind gives the documents that it names, and what might be two things is refused."""

from __future__ import annotations

import datetime
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr
from lsr.api.records import Names
from lsr.api.sources import Paths, Stream, read_sources

ONE, TWO = "Trees grow slowly.", "A cat sleeps."


def documents_of(sources: Any, *, first_id: int | None = 0, **names: Any) -> list[lsr.Document]:
    found = read_sources(sources, Names.of(*(names.get(part) for part in ("text", "title", "id", "fields"))),
                         first_id=first_id)  # fmt: skip
    assert isinstance(found, Stream)
    return list(found.documents)


def paths_of(sources: Any) -> tuple[Path, ...]:
    found = read_sources(sources, Names())
    assert isinstance(found, Paths)
    return found.paths


@pytest.fixture
def files(here: Path) -> Path:
    for name in ("one.txt", "two.txt"):
        (here / name).write_text(f"the text of {name}", encoding="utf-8")
    (here / "notes").mkdir()
    return here


def generated(items: Any) -> Iterator[Any]:
    yield from items


@pytest.mark.parametrize(
    "make",
    [list, tuple, generated, np.array, lambda texts: map(str, texts), lambda texts: dict(enumerate(texts)).values()],
    ids=["list", "tuple", "generator", "array", "map", "values"],
)
def test_texts_are_numbered_by_position(make: Any) -> None:
    assert documents_of(make([ONE, TWO])) == [lsr.Document("0", ONE), lsr.Document("1", TWO)]


def test_texts_count_on_from_the_first_id() -> None:
    assert [document.doc_id for document in documents_of([ONE, TWO], first_id=7)] == ["7", "8"]


def test_one_document_and_one_dict_are_sources(records: list[dict[str, Any]]) -> None:
    document = lsr.Document("a", ONE)
    assert documents_of(document) == [document]
    assert documents_of(records[0]) == [
        lsr.Document("cats", "A cat sleeps most of the day.", "On cats", {"year": 2019, "lang": "en"})
    ]


def test_kinds_may_be_mixed() -> None:
    mixed = [ONE, {"text": TWO}, lsr.Document("x", ONE)]
    assert [document.doc_id for document in documents_of(mixed)] == ["0", "1", "x"]


def test_a_str_or_path_by_itself_is_a_path(files: Path) -> None:
    assert paths_of("notes") == (Path("notes"),)
    assert paths_of(files / "one.txt") == (files / "one.txt",)


@pytest.mark.parametrize(
    "sources",
    [
        ["one.txt", "two.txt"],
        [Path("one.txt"), Path("two.txt")],
        ["one.txt", Path("two.txt")],
        ("one.txt", "two.txt"),
    ],
)
def test_lists_of_existing_paths_are_paths(files: Path, sources: Any) -> None:
    assert paths_of(sources) == (Path("one.txt"), Path("two.txt"))


def test_an_iterator_of_paths_is_read_as_paths(files: Path) -> None:
    assert sorted(paths_of(Path().glob("*.txt"))) == [Path("one.txt"), Path("two.txt")]


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("a text by itself", "no such file or folder: .*put a text to be indexed in a list"),
        ([ONE, "one.txt"], "may be a path or a text; give Path"),
        ([ONE, "missing.jsonl"], "may be a path or a text"),
        (["missing.jsonl"], "may be a path or a text"),
        (["./missing"], "may be a path or a text"),
        (["missing/"], "may be a path or a text"),
        ([Path("one.txt"), ONE], "the sources hold paths, and 'Trees grow slowly.'"),
        ([lsr.Document("a", ONE), Path("one.txt")], "a path among texts"),
        ([Path("missing.txt")], "no such file or folder"),
        (Path("missing.txt"), "no such file or folder"),
    ],
)
def test_what_may_be_a_path_or_a_text_is_refused(files: Path, sources: Any, message: str) -> None:
    with pytest.raises(lsr.LsrError, match=message):
        found = read_sources(sources, Names())
        assert isinstance(found, Stream)
        list(found.documents)


def test_a_text_of_one_word_is_a_text(here: Path) -> None:
    assert documents_of(["trees", "and/or", ""])[1].text == "and/or"


def test_a_stream_is_read_as_it_is_needed() -> None:
    taken = []

    def endless() -> Iterator[str]:
        number = 0
        while True:
            taken.append(number)
            yield f"text {number}"
            number += 1

    found = read_sources(endless(), Names())
    assert isinstance(found, Stream)
    assert [next(found.documents).text for _ in range(3)] == ["text 0", "text 1", "text 2"]
    assert len(taken) == 3


def test_keys_are_found_by_usual_names_or_named() -> None:
    record = {"_id": 7, "contents": ONE, "Title": "Trees", "year": 2020}
    assert documents_of([record]) == [lsr.Document("7", ONE, "Trees", {"year": 2020})]
    other = {"key": "k", "heading": "Trees", "story": ONE, "year": 2020, "title": "kept"}
    assert documents_of([other], text="story", title="heading", id="key", fields=["year"]) == [
        lsr.Document("k", ONE, "Trees", {"year": 2020})
    ]
    assert documents_of([other], text="story", id="key", fields=()) == [lsr.Document("k", ONE, "kept")]
    assert documents_of([other], text="story", id="key", fields="year")[0].fields == {"year": 2020}


def test_values_of_fields_become_what_an_index_holds() -> None:
    record = {
        "text": ONE, "date": datetime.date(2024, 5, 1), "time": datetime.datetime(2024, 5, 1, 12, 30),
        "count": np.int64(3), "ratio": np.float32(0.5), "ok": np.bool_(True), "tags": ("a", "b"), "names": {"z", "y"},
        "array": np.array(["p", "q"]), "none": None, "nan": float("nan"), "inner": {"url": "u", "deep": {"n": 1}},
        "large": 1 << 70,
    }  # fmt: skip
    assert documents_of([record])[0].fields == {
        "date": "2024-05-01", "time": "2024-05-01T12:30:00", "count": 3, "ratio": 0.5, "ok": True, "tags": ["a", "b"],
        "names": ["y", "z"], "array": ["p", "q"], "inner.url": "u", "inner.deep.n": 1, "large": str(1 << 70),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({}, "record 0: no text among its fields"),
        ({"id": 1}, "no text among its fields id; looked for text, .*text=…"),
        ({"text": None}, "its text 'text' is missing"),
        ({"text": float("nan")}, "its text 'text' is missing"),
        ({"text": b"bytes"}, "its text 'text' is b'bytes' .bytes.; it must be a text"),
        ({"text": ["a", "b"]}, "its text 'text' is"),
        ({"text": 5}, "its text 'text' is 5 .int."),
        ({"text": ONE, "title": 5}, "its title 'title' is 5"),
        ({"text": ONE, "title": b"x"}, "its title 'title' is b'x'"),
        ({"text": ONE, "id": None}, "the id 'id' is None; a doc_id is a text"),
        ({"text": ONE, "id": float("nan")}, "the id 'id' is nan"),
        ({"text": ONE, "id": 1.5}, "the id 'id' is 1.5"),
        ({"text": ONE, "id": b"a"}, "the id 'id' is b'a'"),
        ({"text": ONE, "id": True}, "the id 'id' is True"),
        ({"text": ONE, "id": ""}, "the id 'id' is empty"),
        ({"text": ONE, "numbers": [1, 2]}, r"its field 'numbers' is .*fields=\[…\]"),
        ({"text": ONE, "raw": b"x"}, "its field 'raw' is b'x'"),
        ({"text": ONE, "object": object()}, "its field 'object' is"),
        ({"text": ONE, "endless": float("inf")}, "a number must be finite"),
        ({"text": ONE, 5: "five"}, "its key 5 .int. is no text"),
    ],
)  # fmt: skip
def test_a_record_that_is_no_document_is_named(record: Any, message: str) -> None:
    with pytest.raises(lsr.LsrError, match=message):
        documents_of([record])


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (lambda: lsr.Document(None, ONE), "doc_id is None"),  # type: ignore[arg-type]
        (lambda: lsr.Document("", ONE), "doc_id is empty"),
        (lambda: lsr.Document("a", None), "a document's text is None"),  # type: ignore[arg-type]
        (lambda: lsr.Document("a", b"x"), "a document's text is b'x'"),  # type: ignore[arg-type]
        (lambda: lsr.Document("a", ONE, None), "a document's title is None"),  # type: ignore[arg-type]
        (lambda: lsr.Document("a", ONE, "", None), "its fields are None"),  # type: ignore[arg-type]
        (lambda: lsr.Document("a", ONE, "", {5: 1}), "the name of its field 5"),  # type: ignore[dict-item]
        (lambda: lsr.Document("a", ONE, "", {"x": [1]}), "its field 'x'"),  # type: ignore[dict-item]
    ],
)
def test_a_document_of_wrong_parts_is_named(document: Any, message: str) -> None:
    with pytest.raises(lsr.LsrError, match=message):
        documents_of([document()])


def test_the_title_of_a_record_may_be_missing() -> None:
    for missing in (None, float("nan"), np.nan):
        assert documents_of([{"text": ONE, "title": missing}])[0].title == ""


def test_a_document_without_faults_stays_the_same_object() -> None:
    document = lsr.Document("a", ONE)
    assert documents_of([document])[0] is document


def test_characters_that_no_file_holds_are_replaced() -> None:
    assert documents_of([{"text": "a\0b \ud800"}])[0].text == "a\ufffdb \ufffd"


@pytest.mark.parametrize("missing", [[ONE], [{"text": ONE}]])
def test_where_ids_are_required_a_text_without_one_is_refused(missing: Any) -> None:
    assert len(documents_of([lsr.Document("a", ONE), {"id": "b", "text": TWO}], first_id=None)) == 2
    with pytest.raises(lsr.LsrError, match="doc_id"):
        documents_of(missing, first_id=None)


@pytest.mark.parametrize("sources", [[ONE], [lsr.Document("a", ONE)]])
def test_names_of_columns_need_columns(files: Path, sources: Any) -> None:
    with pytest.raises(lsr.LsrError, match="text=, title=, id= and fields= name"):
        documents_of(sources, text="story")


def test_names_of_columns_hold_for_files(files: Path) -> None:
    source = read_sources("notes", Names.of("story", None, "key", ["year"]))
    assert isinstance(source, Paths) and source.reading is not None
    assert (source.reading.text, source.reading.id, source.reading.fields) == (("story",), "key", ("year",))


def test_several_texts_are_joined_in_the_order_given() -> None:
    record = {"heading": "Trees", "body": "They grow.", "abstract": "On trees.", "note": "x"}
    (document,) = documents_of([record], text=["abstract", "body"])
    assert document.text == "On trees.\n\nThey grow."
    assert document.fields == {"heading": "Trees", "note": "x"}


def test_a_missing_one_of_several_texts_is_left_out() -> None:
    records = [{"a": "One.", "b": None}, {"a": float("nan"), "b": "Two."}]
    assert [document.text for document in documents_of(records, text=("a", "b"))] == ["One.", "Two."]


@pytest.mark.parametrize("text", [[], ["a", "a"], 5, [5], {"a", "b"}])
def test_wrong_names_of_texts_are_refused(text: Any) -> None:
    with pytest.raises(lsr.LsrError, match="text"):
        documents_of([{"a": "One."}], text=text)


def test_several_texts_and_other_options_hold_for_files(files: Path) -> None:
    (files / "rows.csv").write_text("key;b;a\n1;Body.;Abstract.\n", encoding="utf-8")
    options = {"delimiter": ";", "include": ["*.csv"]}
    index = lsr.index(Path(), "made", encoder="bm25", text=["a", "b"], id="key", reading=options)
    assert [(hit.doc_id, hit.text) for hit in index.search("abstract")] == [("1", "Abstract.\n\nBody.")]
    more = files.parent / f"more than {files.name}.csv"
    more.write_text("x,9,One more.\n", encoding="utf-8")
    assert index.add(more, text="3", id="2", reading={"header": False}).n_added == 1
    assert "9" in index


@pytest.mark.parametrize(
    ("reading", "message"),
    [
        ({"delimeter": ";"}, "reading has 'delimeter' .*its options are delimiter"),
        ({"text": "a"}, "reading has 'text'"),
        ({"delimiter": 5}, "delimiter"),
        ({"header": "no"}, "header"),
        ([";"], "give a dict"),
    ],
)
def test_wrong_options_of_reading_are_refused(reading: Any, message: str, files: Path) -> None:
    with pytest.raises(lsr.LsrError, match=message):
        lsr.index("notes", "made", reading=reading)


def test_options_of_reading_are_for_files() -> None:
    with pytest.raises(lsr.LsrError, match="reading= is for files"):
        read_sources([ONE], Names.of(None, None, None, None, {"delimiter": ";"}))


@pytest.mark.parametrize(
    "sources",
    [None, 5, 1.5, True, b"bytes", bytearray(b"x"), {ONE, TWO}, object(), io.StringIO("x"), print, np.array(5)],
)
def test_other_kinds_are_refused(sources: Any) -> None:
    with pytest.raises(lsr.LsrError, match=r"the sources are .*give paths of files or folders, Documents, dicts"):
        documents_of(sources)


@pytest.mark.parametrize("item", [None, 5, 1.5, b"x", [ONE], float("nan"), object()])
@pytest.mark.parametrize("make", [list, generated])
def test_other_kinds_of_items_are_named(item: Any, make: Any) -> None:
    with pytest.raises(lsr.LsrError, match="source 1 is"):
        documents_of(make([ONE, item]))
