"""JSON Lines: which key plays which part, what becomes a field, and every way a line can be broken."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.formats import jsonl
from lsr.indexer.corpus.intake import RecordError
from lsr.indexer.corpus.records import ID_KEYS, TEXT_KEYS, TITLE_KEYS, RecordReader, layout_of
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.types import Document


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def test_a_line_is_a_document(plant, read):
    folder = plant({"corpus.jsonl": lines({"_id": "d1", "title": "T", "text": "x y"}, {"_id": "d2", "text": "z"})})
    assert list(read(folder).values()) == [Document("d1", "x y", "T"), Document("d2", "z")]


@pytest.mark.parametrize("key", ID_KEYS)
def test_an_id_may_go_by_many_names(plant, read, key):
    assert list(read(plant({"a.jsonl": lines({key: "7", "text": "x"})}))) == ["7"]


@pytest.mark.parametrize("key", TEXT_KEYS)
def test_a_text_may_go_by_many_names(plant, read, key):
    assert read(plant({"a.jsonl": lines({"id": "7", key: "x"})}))["7"].text == "x"


@pytest.mark.parametrize("key", TITLE_KEYS)
def test_a_title_may_go_by_many_names(plant, read, key):
    assert read(plant({"a.jsonl": lines({"id": "7", "text": "x", key: "T"})}))["7"].title == "T"


def test_the_case_of_keys_does_not_matter():
    layout = layout_of(["ID", "Title", "Text", "Year"])
    assert (layout.id_key, layout.text_key, layout.title_key) == ("ID", "Text", "Title")
    assert layout.fields == (("Year", "Year"),)


def test_of_several_candidates_the_narrower_id_and_the_first_text_are_taken_and_the_others_are_fields():
    layout = layout_of(["docid", "pid", "passage", "text"])
    assert (layout.id_key, layout.text_key) == ("pid", "text")
    assert layout.fields == (("docid", "docid"), ("passage", "passage"))


def test_other_keys_become_fields_and_nested_ones_get_dotted_names(plant, read, report):
    record = {
        "_id": "1",
        "text": "x",
        "metadata": {"url": "http://x", "deep": {"year": 1999}, "none": None},
        "score": 0.5,
        "draft": False,
        "tags": ["a", "b"],
        "vector": [0.1, 0.2],
        "objects": [{"a": 1}],
        "nothing": None,
        "empty": [],
        "big": 1 << 70,
    }
    assert read(plant({"a.jsonl": lines(record)}))["1"].fields == {
        "metadata.url": "http://x",
        "metadata.deep.year": 1999,
        "score": 0.5,
        "draft": False,
        "tags": ["a", "b"],
        "big": str(1 << 70),
    }
    assert set(report.dropped_values) == {"vector", "objects"}


def test_lists_of_whole_numbers_and_truth_values_become_lists_of_texts(plant, read, report):
    record = {"id": 1, "text": "x", "years": [1999, 2000], "flags": [True, False], "mixed": ["a", 1], "none": [None]}
    assert read(plant({"a.jsonl": lines(record)}))["1"].fields == {
        "years": ["1999", "2000"],
        "flags": ["true", "false"],
        "mixed": ["a", "1"],
    }
    assert set(report.dropped_values) == {"none"}


def test_numbers_that_json_has_not_are_left_out_and_counted(plant, read, report):
    line = '{"id": 1, "text": "x", "a": NaN, "b": -Infinity, "c": [NaN], "d": 1e999}\n'
    assert read(plant({"a.jsonl": line}))["1"].fields == {}
    assert set(report.dropped_values) == {"a", "b", "c", "d"}


def test_the_empty_metadata_of_beir_makes_no_field(plant, read):
    assert read(plant({"a.jsonl": lines({"_id": "1", "text": "x", "metadata": {}})}))["1"].fields == {}


@pytest.mark.parametrize(
    ("raw", "doc_id"),
    [(7, "7"), (-3, "-3"), (12.0, "12"), (1.5, "1.5"), (10**20, "1" + "0" * 20), (10**400, "1" + "0" * 400)],
)
def test_numbers_as_ids_become_strings(plant, read, raw, doc_id):
    assert list(read(plant({"a.jsonl": lines({"id": raw, "text": "x"})}))) == [doc_id]


def test_a_text_may_be_null_a_number_or_a_list_of_paragraphs(plant, read, report):
    records = [{"id": i, "text": text, "title": None} for i, text in enumerate([None, 5, ["a", "b"], ""])]
    assert [document.text for document in read(plant({"a.jsonl": lines(*records)})).values()] == ["", "5", "a\nb", ""]
    assert report.empty_documents == 2


def test_a_title_alone_is_not_empty(plant, read, report):
    read(plant({"a.jsonl": lines({"id": 1, "text": "", "title": "T"})}))
    assert report.empty_documents == 0


def test_records_without_an_id_get_file_and_line_as_one(plant, read, report):
    assert list(read(plant({"a.jsonl": '{"text": "x"}\n\n{"page_content": "y"}\n{"id": 7, "text": "z"}\n'}))) == [
        "a.jsonl:1",
        "a.jsonl:3",
        "7",
    ]
    assert report.made_ids is not None and report.made_ids.count == 2


def test_white_space_and_percent_signs_in_ids_are_kept_and_lone_surrogates_are_escaped(plant, read, report):
    records = [{"id": raw, "text": "x"} for raw in ["a b", " c ", "d\ne", "f\u00a0g", "h%20", "i\ud800", "j\0"]]
    documents = read(plant({"a.jsonl": lines(*records)}))
    assert list(documents) == ["a b", " c ", "d\ne", "f\u00a0g", "h%20", "i%ED%A0%80", "j\0"]
    assert report.rewritten_ids is not None
    assert (report.rewritten_ids.count, report.rewritten_ids.first) == (1, r"'i\ud800' is now i%ED%A0%80")


def test_nul_and_lone_surrogates_are_replaced_everywhere(plant, read, report):
    line = '{"id": "1", "text": "a\\u0000b\\ud800c", "title": "\\udc00", "k\\ud800": "v\\u0000", "list": ["\\ud800"]}\n'
    document = read(plant({"a.jsonl": line}))["1"]
    assert (document.text, document.title) == ("a\ufffdb\ufffdc", "\ufffd")
    assert document.fields == {"k\ufffd": "v\ufffd", "list": ["\ufffd"]}
    assert report.cleaned is not None and report.cleaned.count == 1


def test_raw_control_characters_in_strings_are_no_reason_to_lose_a_line(plant, read):
    assert read(plant({"a.jsonl": '{"id": "1", "text": "tab\there"}\n'}))["1"].text == "tab\there"


def test_blank_lines_and_a_missing_last_line_end_are_fine(plant, read):
    assert list(read(plant({"a.jsonl": '\n{"id": 1, "text": "x"}\r\n \n{"id": 2, "text": "y"}'}))) == ["1", "2"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_is_understood(plant, read, encoding):
    folder = plant({"a.jsonl": '{"id": "é", "text": "ü🙂"}\n{"id": "2", "text": "x"}\n'.encode(encoding)})
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {"é": "ü🙂", "2": "x"}


def test_a_gzipped_file_reads_the_same_and_counts_its_bytes_on_the_disk(plant, read, report):
    data = gzip.compress(lines(*({"id": i, "text": "word " * 50} for i in range(5000))).encode())
    assert len(read(plant({"a.jsonl.gz": data}))) == 5000
    assert report.bytes_done == len(data)


def test_a_line_of_ten_megabytes_is_a_document(plant, read):
    folder = plant({"a.jsonl": lines({"id": 1, "text": "x" * 10_000_000}, {"id": 2, "text": "y"})})
    assert [len(document.text) for document in read(folder).values()] == [10_000_000, 1]


def test_a_line_over_the_limit_is_passed_over_without_being_held(plant, read, report, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_DOCUMENT_BYTES", 1000)
    folder = plant(
        {"a.jsonl": lines({"id": 1, "text": "x" * 5000}, {"id": 2, "text": "y"}, {"id": 3, "text": "z" * 970})}
    )
    assert list(read(folder, skip_bad=True)) == ["2", "3"]
    assert "a.jsonl, line 1: the line is over" in report.skipped[Reason.BAD_RECORD].first


BROKEN = [
    ('{"id": 1, "text": "x"', "not JSON: Expecting ',' delimiter at character 22"),
    ("{'id': 1}", "not JSON: Expecting property name enclosed in double quotes at character 2"),
    ('{"id": 1, "text": "x"} {}', "not JSON: more text after the object, at character 23"),
    (
        '[{"id": 1, "text": "x"}]',
        "not an object but a list; a file of one array is read where its name ends with .json",
    ),
    ('"text"', "not an object but a text"),
    ("null", "not an object but null"),
    ("[" * 100_000, "not JSON: nested too deep"),
    ('{"id": ' + "1" * 5000 + ', "text": "x"}', "not JSON: Exceeds the limit"),
    ('{"id": 1, "titel": "x"}', "no text among its fields id, titel; looked for text, contents"),
    ("{}", r"no text among its fields \(none\)"),
    ('{"id": "", "text": "x"}', "its id is empty"),
    ('{"id": " ", "text": "x"}', "its id is empty"),
    ('{"id": null, "text": "x"}', "its id is null: an id must be a text or a number"),
    ('{"id": true, "text": "x"}', "its id is a truth value"),
    ('{"id": [1], "text": "x"}', "its id is a list"),
    ('{"id": NaN, "text": "x"}', "its id is nan"),
    ('{"id": 1, "text": {"a": "x"}}', "its text is an object: it must be a text or a list of texts"),
    ('{"id": 1, "text": [["x"]]}', "its text is a list"),
]


@pytest.mark.parametrize(("line", "message"), BROKEN)
def test_a_broken_line_is_an_error_that_names_file_and_line(plant, read, line, message):
    folder = plant({"sub/a.jsonl": f'{{"id": "fine", "text": "x"}}\n\n{line}\n'})
    with pytest.raises(BadDocumentError, match=rf"sub/a\.jsonl, line 3: {message}") as caught:
        read(folder)
    assert "\n" not in str(caught.value)
    assert "--skip-bad" in str(caught.value)
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(("line", "message"), BROKEN)
def test_with_skip_bad_a_broken_line_is_counted_and_the_others_are_read(plant, read, report, line, message):
    folder = plant({"a.jsonl": f'{{"id": "first", "text": "x"}}\n{line}\n{{"id": "last", "text": "y"}}\n'})
    assert list(read(folder, skip_bad=True)) == ["first", "last"]
    assert report.count_skipped(Reason.BAD_RECORD) == 1
    assert report.count_skipped() == 1


def test_a_line_that_is_not_utf8_is_a_broken_line(plant, read):
    fine = lines(*({"id": i, "text": "x" * 100} for i in range(1000)))
    folder = plant({"a.jsonl": fine.encode() + '{"id": "x", "text": "Köln"}\n'.encode("latin-1")})
    with pytest.raises(BadDocumentError, match=r"line 1,001: not UTF-8: invalid start byte at byte 23 of the line"):
        read(folder)


def test_with_skip_bad_a_line_that_is_not_utf8_is_counted(plant, read, report):
    fine = lines(*({"id": i, "text": "x" * 100} for i in range(1000)))
    folder = plant(
        {"a.jsonl": fine.encode() + b'{"id": "x", "text": "\xff"}\n' + lines({"id": "y", "text": "z"}).encode()}
    )
    assert len(read(folder, skip_bad=True)) == 1001
    assert report.count_skipped(Reason.BAD_RECORD) == 1


def test_a_file_that_is_not_utf8_from_its_head_on_is_skipped_as_a_whole(plant, read, report):
    folder = plant(
        {"a.jsonl": '{"id": 1, "text": "Köln"}\n'.encode("latin-1"), "b.jsonl": lines({"id": 2, "text": "x"})}
    )
    assert list(read(folder)) == ["2"]
    assert report.count_skipped(Reason.NOT_UTF8) == 1


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[]), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["id", "text", "title", "metadata", "x", "ID", " Text"]), JSON_VALUES))
def test_any_object_becomes_a_writable_document_or_a_clear_error(record):
    try:
        document = RecordReader(CorpusReport()).document(record)
    except RecordError as error:
        assert str(error)
        return
    assert document.doc_id
    for value in (document.doc_id, document.text, document.title, *document.fields):
        value.encode("utf-8")
    for value in document.fields.values():
        assert isinstance(value, (str, int, float, bool)) or all(isinstance(item, str) for item in value)
    json.dumps(document.fields, allow_nan=False).encode("utf-8")
