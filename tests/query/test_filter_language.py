"""Filters in words: what they allow is what a plain evaluation in Python allows, and errors point at the place."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.indexer.storage.fields import FieldColumns, joined, kind_of, parse_date
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.segment_limits import SegmentLimits
from lsr.indexer.write.writer import IndexWriter
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.filters.columns import field_kinds
from lsr.query.filters.language import parse_filter
from lsr.query.filters.masks import compile_filter
from lsr.query.filters.tree import Both, FilterError
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

YEARS = [None, 1999, 2020, 2021, -3]
LANGUAGES = [None, "en", "de", "it's", 'a "b"', ""]
DATES = [None, "2020-01-31", "2020-01-31T10:00:00", "2020-02-01T00:00:00+02:00", "1999-12-31T23:59:59.5Z", "0001-01-01"]
TAGS = [None, [], ["red"], ["red", "green"], ["redder"], ["red", "red"]]


def fields_of(i: int) -> dict[str, Any]:
    rng = np.random.default_rng(i)
    found = {
        "year": YEARS[rng.integers(len(YEARS))],
        "score": [None, 0.5, -1.5, 2.0][rng.integers(4)],
        "lang": LANGUAGES[rng.integers(len(LANGUAGES))],
        "free": [None, True, False][rng.integers(3)],
        "day": DATES[rng.integers(len(DATES))],
        "tags": TAGS[rng.integers(len(TAGS))],
        "mixed.kind": [None, 5, "five", True][rng.integers(4)],
        "a space": [None, 1, 2.5][rng.integers(3)],
    }
    return {name: value for name, value in found.items() if value is not None or i % 2}


def make(path: Path, documents: Sequence[Document], *, segment_docs: int = 40) -> Path:
    """Index documents in segments, each with the terms `common` and its number mod 7."""
    encoder = ReadyVectors()
    rows = [{encoder.term_id("common"): 1.0 + i % 3, encoder.term_id(f"t{i % 7}"): 2.0} for i in range(len(documents))]
    with IndexWriter(path, encoder, limits=SegmentLimits(n_docs=segment_docs)) as writer:
        writer.add(documents, SparseBatch.from_rows(rows, len(encoder.terms)))
        writer.commit()
    return path


DOCUMENTS = [Document(f"d{i}", f"text {i}", f"title {i % 10}", fields_of(i)) for i in range(150)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("fields") / "index", DOCUMENTS)


def allowed_ids(index: StoredIndex, filter_text: str) -> list[str]:
    return [document.doc_id for document in index.documents(compile_filter(index, filter_text).bitmaps)]


def moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def compare(operator: str, a: Any, b: Any) -> bool:
    return {"==": a == b, "!=": a != b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def compare_day(operator: str, value: str, day: str) -> bool:
    start = moment(day)
    if "T" in day:
        return compare(operator, moment(value), start)
    inside = start <= moment(value) < start + timedelta(days=1)
    if operator in ("==", "!="):
        return inside == (operator == "==")
    return inside if operator in ("<=", ">=") and inside else compare(operator, moment(value), start) and not inside


Test = tuple[str, Any]
"""A filter, and what it means in Python: a function of a document's fields."""


def value_tests() -> st.SearchStrategy[Test]:
    operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])

    def numbers(name: str, values: list[Any]) -> st.SearchStrategy[Test]:
        return st.tuples(operators, st.sampled_from(values)).map(
            lambda t: (f"{name} {t[0]} {t[1]}",
                       lambda f: f.get(name.strip("`")) is not None and compare(t[0], f[name.strip("`")], t[1]))
        )  # fmt: skip

    def quoted(text: str) -> str:
        return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"

    # fmt: off
    texts = st.tuples(operators, st.sampled_from(["en", "de", "it's", 'a "b"', "", "zz"])).map(
        lambda t: (
            f"lang {t[0]} {quoted(t[1])}",
            lambda f: f.get("lang") is not None and compare(t[0], f["lang"], t[1]),
        )
    )
    # fmt: on
    days = st.tuples(operators, st.sampled_from(["2020-01-31", "2020-01-31T10:00:00", "1999-12-31"])).map(
        lambda t: (f"day {t[0]} {t[1]}", lambda f: f.get("day") is not None and compare_day(t[0], f["day"], t[1]))
    )
    flags = st.sampled_from([True, False]).map(
        lambda b: (f"free == {str(b).lower()}", lambda f: f.get("free") is not None and f["free"] == b)
    )
    lists = st.sampled_from(["red", "green", "blue"]).map(
        lambda t: (f"tags contains '{t}'", lambda f: t in (f.get("tags") or []))
    )
    inside = st.sampled_from(["red", "green"]).map(lambda t: (f"'{t}' in tags", lambda f: t in (f.get("tags") or [])))
    one_of = st.lists(st.sampled_from([1999, 2020, 7]), min_size=1, max_size=3).map(
        lambda v: (f"year in ({', '.join(map(str, v))})", lambda f: f.get("year") in v)
    )
    exists = st.sampled_from(["year", "lang", "tags", "mixed.kind"]).map(
        lambda n: (f"exists {n}", lambda f: f.get(n) is not None)
    )
    mixed = st.sampled_from(["5", "five", "true"]).map(
        lambda t: (f"mixed.kind = '{t}'",
                   lambda f: {5: "5", True: "true"}.get(f.get("mixed.kind"), f.get("mixed.kind")) == t)
    )  # fmt: skip
    return st.one_of(
        numbers("year", [2020, 1999, -3, 2020.5, 10**30]), numbers("score", [0.5, -2, 2]),
        numbers("`a space`", [1, 2.5]), texts, days, flags, lists, inside, one_of, exists, mixed,
    )  # fmt: skip


def combined(inner: st.SearchStrategy[Test]) -> st.SearchStrategy[Test]:
    return st.one_of(
        inner.map(lambda a: (f"not ({a[0]})", lambda f: not a[1](f))),
        st.tuples(inner, inner).map(lambda t: (f"({t[0][0]}) and ({t[1][0]})", lambda f: t[0][1](f) and t[1][1](f))),
        st.tuples(inner, inner).map(lambda t: (f"{t[0][0]} OR {t[1][0]}", lambda f: t[0][1](f) or t[1][1](f))),
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(test=st.recursive(value_tests(), combined, max_leaves=6))
def test_a_filter_allows_what_it_says(path: Path, test: Test) -> None:
    filter_text, meaning = test
    with StoredIndex.open(path) as index:
        found = allowed_ids(index, filter_text)
    assert found == [document.doc_id for document in DOCUMENTS if meaning(document.fields)], filter_text


def test_fields_have_one_kind_in_the_whole_index(path: Path) -> None:
    with StoredIndex.open(path) as index:
        assert len(index.segments) == 4
        assert field_kinds(index) == {
            "year": "int", "score": "float", "lang": "text", "free": "bool", "day": "date", "tags": "texts",
            "mixed.kind": "text", "a space": "float",
        }  # fmt: skip


def test_segments_of_different_kinds_are_read_as_the_kind_with_room_for_both(tmp_path: Path) -> None:
    values: list[Any] = [1, 2, 2.5, 3, "2020-01-01", "2020-01-01T00:00:00", "x", ["y"]]
    some = [Document(str(i), "", "", {"a": values[i], "b": values[i // 2], "c": values[4 + i // 2]}) for i in range(8)]
    with StoredIndex.open(make(tmp_path / "index", some, segment_docs=2)) as index:
        assert [segment.fields.kinds["a"] for segment in index.segments] == ["int", "float", "date", "texts"]
        assert field_kinds(index) == {"a": "texts", "b": "float", "c": "texts"}
        assert allowed_ids(index, "a contains '1'") == ["0"] and allowed_ids(index, "a contains '2.5'") == ["2"]
        assert allowed_ids(index, "a contains '2020-01-01'") == ["4"] and allowed_ids(index, "'y' in a") == ["7"]
        assert allowed_ids(index, "b >= 2") == ["2", "3", "4", "5", "6", "7"]


def test_titles_and_ids_may_be_tested(path: Path) -> None:
    with StoredIndex.open(path) as index:
        assert allowed_ids(index, "doc_id == 'd17'") == ["d17"]
        assert allowed_ids(index, "title == 'title 3' and text contains '14'") == ["d143"]


def test_a_filtered_search_finds_the_best_of_what_is_allowed(path: Path) -> None:
    searcher = Searcher(path)
    allowed = searcher.filter("year >= 2020 or tags contains 'red'")
    assert searcher.filter("year >= 2020 or tags contains 'red'") is allowed
    query = np.arange(3, dtype=np.int32), np.ones(3, np.float32)
    everything = searcher.doc_ids(searcher.engine.rank(*query, 1000))

    def fits(doc_id: str) -> bool:
        fields = fields_of(int(doc_id[1:]))
        return (fields.get("year") or 0) >= 2020 or "red" in (fields.get("tags") or [])

    expected = [doc_id for doc_id in everything if fits(doc_id)]
    for k in (1, 10, 1000):
        for traversal in (None, *TRAVERSALS):
            found = searcher.engine.rank(*query, k, traversal=traversal, allowed=allowed)
            assert searcher.doc_ids(found) == expected[:k]
    assert allowed.n_allowed >= len(expected) > 20


def test_filters_outlive_deletions_and_merges(tmp_path: Path) -> None:
    path = make(tmp_path / "index", DOCUMENTS)
    gone = [f"d{i}" for i in range(0, 150, 4)]
    delete_documents(gone, path, merge=False)
    expected = [d.doc_id for d in DOCUMENTS if d.fields.get("year") == 2020 and d.doc_id not in gone]
    for _ in range(2):
        with StoredIndex.open(path) as index:
            allowed = compile_filter(index, "year == 2020")
            assert allowed.n_allowed == len(expected) > 5
            assert [d.doc_id for d in index.documents(allowed.bitmaps)] == expected
            assert [d.fields for d in index.documents(allowed.bitmaps)] == [fields_of(int(i[1:])) for i in expected]
        merge_index(path)


@pytest.mark.parametrize(
    ("filter_text", "column", "message"),
    [
        ("", 1, "a field, 'not', 'exists' or '(' expected"),
        ("yeer >= 2020", 1, "no document has a field 'yeer'; there are doc_id, title, text, a space, day, free, lang"),
        ("year >=", 8, "a value expected"),
        ("year", 5, "an operator expected: ==, !=, <, <=, >, >=, ~, in, contains"),
        ("year >= 2020 lang == 'en'", 14, "'and', 'or' or the end expected, not 'lang'"),
        ("year >= 'x'", 9, "the field 'year' holds numbers, so it is compared with a number"),
        ("year == true", 9, "the field 'year' holds numbers, so it is compared with a number"),
        ("lang == 5", 9, "the field 'lang' holds texts, so it is compared with a text in quotes"),
        ("lang == en", 9, "a value expected, not a name; a text is put in quotes: 'en'"),
        ("free > true", 8, "the field 'free' holds truth values: use == or !="),
        ("free == 1", 9, "so it is compared with true or false"),
        ("day == 'monday'", 8, "the field 'day' holds dates, so it is compared with a date such as 2020-01-31"),
        ("day == 2020-02-31", 8, "there is no date 2020-02-31"),
        ("lang == 2020-02-01", 9, "the field 'lang' holds texts"),
        ("tags == 'red'", 1, "the field 'tags' holds lists of texts: ask what it contains"),
        ("tags contains 5", 15, "the field 'tags' holds lists of texts: give a text"),
        ("year contains '5'", 1, "the field 'year' holds numbers, which contain none"),
        ("lang in ('en', 5)", 16, "the field 'lang' holds texts"),
        ("lang in 'en'", 9, "'(' expected"),
        ("(year == 1", 11, "')' expected"),
        ("year == 1 and", 14, "a field, 'not', 'exists' or '(' expected"),
        ("2020 <= year", 6, "'in' and a field expected after a value; comparisons begin with the field"),
        ("lang == 'en", 9, "a text that does not end"),
        ("year ; drop", 6, "';' not understood"),
        ("__import__('os')", 11, "an operator expected"),
        ("year == 1__class__", 9, "'1' not understood"),
        ("exists 5", 8, "the name of a field expected"),
        ("not " * 60 + "year == 1", 201, "more than 50 parentheses or negations inside each other"),
    ],
)
def test_errors_point_at_the_place(path: Path, filter_text: str, column: int, message: str) -> None:
    with StoredIndex.open(path) as index, pytest.raises(FilterError) as raised:
        compile_filter(index, filter_text)
    assert str(raised.value).startswith(f"filter, column {column}: ") and message in str(raised.value)
    shown, mark = raised.value.detail.splitlines()
    assert mark.index("^") == 2 + min(column - 1, 60)
    assert filter_text[: column - 1].endswith(shown[2 : mark.index("^")])


def test_a_filter_has_a_longest_length(path: Path) -> None:
    with pytest.raises(FilterError, match="10,001 characters; the limit is 10,000"):
        parse_filter("x" * 10_001)


@settings(deadline=None)
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from("year lang ( ) not and or in == 'x' 5 , exists".split())).map(" ".join)
)
def test_any_text_is_a_filter_or_an_error(filter_text: str) -> None:
    try:
        parse_filter(filter_text)
    except FilterError as error:
        assert len(error.detail.splitlines()) == 2


@pytest.mark.parametrize(
    ("filter_text", "message"),
    [
        ("year == " + "9" * 4301, "a number of 4,301 characters; the limit is 300"),
        ("year == 1e" + "9" * 400, "a number of 402 characters"),
        ("lang == '\udcff'", "bytes that are not UTF-8"),
        ("`\udcff` == 1", "no document has a field '\\udcff'"),
        ("\udcff == 1", "'\\udcff' not understood"),
        ("year\x00 == 1", "not understood"),
        ("(" * 200 + "year == 1" + ")" * 200, "more than 50 parentheses"),
        ("(" * 9000, "a field, 'not', 'exists' or '(' expected"),
        ("not " * 2000 + "year == 1", "more than 50 parentheses or negations"),
        ("year == 1 or (not " * 51 + "year == 1" + ")" * 51, "more than 50 parentheses or negations"),
        ("year == 1)", "'and', 'or' or the end expected, not ')'"),
        ("year in (1, 2", "')' expected"),
        ("year in ()", "a value expected"),
        ("year not 1", "'in' expected"),
        ("1 < year < 5", "comparisons begin with the field"),
        ("year == 1 == 2", "'and', 'or' or the end expected, not '=='"),
        ("year = lambda: 0", "':' not understood"),
        ("f'{year}' == 1", "an operator expected"),
        ("year == 1 # comment", "'#' not understood"),
        ("x" * 10_001, "the limit is 10,000"),
    ],
)
def test_hostile_filters_are_errors(path: Path, filter_text: str, message: str) -> None:
    searcher = Searcher(path)
    with pytest.raises(FilterError) as raised:
        searcher.filter(filter_text)
    assert message in str(raised.value) and len(raised.value.detail.splitlines()) == 2


def test_long_filters_and_deep_ones_within_the_limits(path: Path) -> None:
    with StoredIndex.open(path) as index:
        everything = len(allowed_ids(index, "year == 2020 or not (year == 2020)"))
        assert everything == 150
        deep = "(" * 50 + "year == 2020" + ")" * 50
        assert (
            allowed_ids(index, deep)
            == allowed_ids(index, "year == 2020")
            == allowed_ids(index, "not " * 50 + deep[50:-50])
        )
        many = " or ".join(["year == 2020"] * 600)
        assert allowed_ids(index, many) == allowed_ids(index, "year in (2020)")
        assert allowed_ids(index, f"year in ({', '.join(['2020'] * 1500)})") == allowed_ids(
            index, "YEAR == 2020".lower()
        )
        assert allowed_ids(index, "lang == '\x00'") == []


@pytest.mark.parametrize(
    "filter_text", ["not a == 1 and b == 2 or c == 3", "a == 1 or b == 2 and not (c == 3 or d == 4)"]
)
def test_not_binds_closest_then_and_then_or(filter_text: str) -> None:
    node = parse_filter(filter_text)
    assert isinstance(node, Both) and node.operator == "or"
    assert [type(part).__name__ for part in node.parts] in (["Both", "Comparison"], ["Comparison", "Both"])


def test_dates_are_told_from_other_texts() -> None:
    assert parse_date("2020-01-31") == datetime(2020, 1, 31)
    assert parse_date("2020-01-31T10:00+02:00") == datetime(2020, 1, 31, 8)
    for text in ("2020", "20200131", "2020-02-31", "2020-01-31 noon", "x2020-01-31", "0001-01-01T00:00:00+02:00"):
        assert parse_date(text) is None, text
    assert [kind_of(value) for value in (True, 5, 5.0, 1 << 63, "x", "2020-01-31", [])] == [
        "bool", "int", "float", "float", "text", "date", "texts",
    ]  # fmt: skip
    assert [joined(kinds) for kinds in (["int"], ["int", "float"], ["bool", "int"], ["date", "text"])] == [
        "int", "float", "text", "text",
    ]  # fmt: skip


def test_of_too_many_fields_the_most_common_can_be_tested(tmp_path: Path) -> None:
    some = [Document(str(i), "", "", {"common": i, f"own{i}": i}) for i in range(300)]
    with StoredIndex.open(make(tmp_path / "index", some, segment_docs=1000)) as index:
        assert len(field_kinds(index)) == 256 and allowed_ids(index, "common < 2") == ["0", "1"]
        assert [d.fields for d in index.documents()] == [d.fields for d in some]


def test_no_fields_no_columns(tmp_path: Path) -> None:
    with StoredIndex.open(make(tmp_path / "index", [Document("a", "")])) as index:
        assert index.segments[0].fields is None and field_kinds(index) == {}
        with pytest.raises(FilterError, match="there are doc_id, title, text"):
            compile_filter(index, "year == 1")
        assert not isinstance(index.segments[0].fields, FieldColumns)
