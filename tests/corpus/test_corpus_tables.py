"""CSV and TSV: columns by their names, quotes, delimiters, and rows that don't fit."""

from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import BadDocumentError, UsageError
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.formats import plain_text
from lsr.indexer.corpus.formats.tables import read_table
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import format_named
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.types import Document


def test_a_row_is_a_document_and_other_columns_are_fields(plant, read):
    folder = plant({"a.csv": 'id,title,text,year\n1,T,"x, ""y""\nz",1999\n2,,w,\n'})
    assert list(read(folder).values()) == [Document("1", 'x, "y"\nz', "T", {"year": 1999}), Document("2", "w")]


def test_tsv_is_split_at_tabs(plant, read):
    folder = plant({"a.tsv": 'docid\tbody\n1\tx, y; z\n2\t"a\tb"\n'})
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {"1": "x, y; z", "2": "a\tb"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_of_a_csv_is_told_from_its_first_line(plant, read, delimiter):
    folder = plant({"a.csv": delimiter.join(["id", "text"]) + "\n" + delimiter.join(["1", "x"])})
    assert read(folder)["1"].text == "x"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_and_blank_lines_will_do(plant, read, end):
    assert list(read(plant({"a.csv": end.join(["", "ID, Text", "", "1,x", "", "2,y"])}))) == ["1", "2"]


def test_what_a_spreadsheet_writes_is_read(plant, read):
    folder = plant(
        {"a.tsv": "id\ttext\r\n1\tGrüße\r\n".encode("utf-16"), "b.csv": "id;text\r\n2;Łódź\r\n".encode("utf-8-sig")}
    )
    assert {doc_id: document.text for doc_id, document in read(folder).items()} == {"1": "Grüße", "2": "Łódź"}


def test_a_gzipped_table_and_cells_of_megabytes_are_read(plant, read):
    text = "long " * 500_000
    folder = plant({"a.csv.gz": gzip.compress(f'id,text\n1,"{text}"\n2,y\n'.encode())})
    assert [len(document.text) for document in read(folder).values()] == [len(text), 1]


def test_ragged_rows_are_errors_that_name_file_and_line(plant, read):
    folder = plant({"a.csv": 'id,text\n1,"x\ny"\n2,z,extra\n'})
    with pytest.raises(BadDocumentError, match=r"a\.csv, line 4: 3 cells where the first line names 2 columns"):
        read(folder)


def test_with_skip_bad_the_rows_around_broken_ones_are_read(plant, read, report):
    folder = plant({"a.csv": 'id,text\n1,x\n2\n3,"a"b\n,y\n4,z\n5,"never closed\n'})
    assert list(read(folder, skip_bad=True)) == ["1", "4"]
    assert report.count_skipped(Reason.BAD_RECORD) == 4
    assert report.skipped[Reason.BAD_RECORD].first == (
        f"{folder / 'a.csv'}, line 3: 1 cells where the first line names 2 columns"
    )


def test_a_stray_quote_is_an_error_and_swallows_nothing_in_silence(plant, read):
    folder = plant({"a.tsv": 'id\ttext\n1\t"Hello" she said\n2\tx\n'})
    with pytest.raises(BadDocumentError, match=r"a\.tsv, line 2: not TSV: '\\t' expected after '\"'"):
        read(folder)


@pytest.mark.parametrize("name", ["a.tsv", "a.csv"])
def test_a_quote_that_is_never_closed_names_its_line_and_counts_its_rows(plant, read, report, name):
    tab = "\t" if name == "a.tsv" else ","
    rows = "".join(f"{i}{tab}x\n" for i in range(3, 10))
    folder = plant({name: f'id{tab}text\n1{tab}x\n2{tab}"a note\n{rows}'})
    with pytest.raises(BadDocumentError, match=r"line 3: a quote is opened and never closed, .* all 8 lines"):
        list(read_corpus([folder]))
    assert list(read(folder, skip_bad=True)) == ["1"]
    assert report.count_skipped(Reason.BAD_RECORD) == 8


def test_a_named_table_without_a_header_says_what_it_looks_for(plant, read):
    folder = plant({"a.tsv": "17\tThe text of it\n18\tAnother\n"})
    with pytest.raises(BadDocumentError, match=r"a\.tsv: the first line must name the columns; ") as caught:
        read(folder / "a.tsv")
    assert "no text among its fields 17, The text of it; looked for text, contents, " in str(caught.value)


def test_rows_without_an_id_get_file_and_line_as_one(plant, read, report):
    assert list(read(plant({"a.csv": 'name,text\nx,"y\nz"\nv,w\n'}))) == ["a.csv:2", "a.csv:4"]
    assert report.made_ids is not None and report.made_ids.count == 2
    assert "gave 2 documents without a doc_id file and line as one (first: a.csv:2)" in report.summary()


def test_columns_are_typed_by_all_their_cells(plant, read):
    table = (
        "id,text,year,share,draft,day,zip,mixed,big,empty\n"
        "1,x,1999,1,true,2026-01-02,01234,1,123456789012345678901,\n"
        "2,y,,2.5e3,FALSE,2026-01-03,99999,no,1,\n"
    )
    first, second = read(plant({"a.csv": table})).values()
    assert first.fields == {
        "year": 1999, "share": 1.0, "draft": True, "day": "2026-01-02", "zip": "01234", "mixed": "1",
        "big": "123456789012345678901",
    }  # fmt: skip
    assert second.fields["share"] == 2500.0
    assert (second.fields["draft"], second.fields["zip"], second.fields["mixed"]) == (False, "99999", "no")
    assert "year" not in second.fields


@pytest.mark.parametrize(
    ("cells", "kind"),
    [("1 -2 +3", int), ("1 2.", float), (".5 1e9", float), ("1e999 1", str), ("nan 1", str), ("1_0 2", str),
     ("٣ 1", str), ("true 1", str), (". 1", str), ("- 1", str), ("e5 1", str), ("0x1 1", str), ("1 007", str)],
)  # fmt: skip
def test_what_is_a_number(plant, read, cells, kind):
    rows = "".join(f"{at},x,{cell}\n" for at, cell in enumerate(cells.split()))
    documents = read(plant({"a.csv": f"id,text,n\n{rows}"}))
    assert {type(document.fields["n"]) for document in documents.values()} == {kind}


@pytest.mark.parametrize(
    ("ids", "expected"), [("1239.0 7.0", ["1239", "7"]), ("1.0 a", ["1.0", "a"]), ("1.5 2.0", ["1.5", "2.0"])]
)
def test_ids_of_a_column_of_floats_are_whole_numbers(plant, read, ids, expected):
    assert list(read(plant({"a.csv": "id,text\n" + "".join(f"{doc_id},x\n" for doc_id in ids.split())}))) == expected


def test_the_tables_of_ms_marco_are_known(plant, read):
    folder = plant(
        {"collection.tsv": '0\tThe "Manhattan project\n1\tMore\n', "x/msmarco-docs.tsv": "D1\thttp://u\tT\tBody\n"}
    )
    documents = read(folder)
    assert documents["0"].text == 'The "Manhattan project'
    assert (documents["D1"].title, documents["D1"].text, documents["D1"].fields) == ("T", "Body", {"url": "http://u"})


def options(**given):
    return CorpusOptions(**given)


def test_columns_may_be_named(plant, read):
    folder = plant({"a.csv": "key,head,part1,part2,year,more\nk,H,one,two,1999,m\n"})
    chosen = options(text=("part2", "part1"), title="head", id="key", fields=("year",))
    assert list(read(folder, options=chosen).values()) == [Document("k", "two\n\none", "H", {"year": 1999})]


def test_a_named_column_that_is_not_there_is_an_error(plant, read):
    with pytest.raises(BadDocumentError, match=r"a\.csv: the first line must name the columns; no field 'body'"):
        read(plant({"a.csv": "id,text\n1,x\n"}), options=options(text="body"))


def test_a_table_without_a_header_has_numbered_columns(plant, read):
    folder = plant({"a.tsv": 'k\tsaid "so\t7\n'})
    found = read(folder, options=options(header=False, quoting="none", id="1", text="2"))
    assert list(found.values()) == [Document("k", 'said "so', "", {"3": 7})]


@pytest.mark.parametrize(("given", "character"), [("tab", "\t"), ("|", "|"), ("~", "~")])
def test_the_delimiter_may_be_given(plant, read, given, character):
    folder = plant({"a.csv": character.join(["id", "text"]) + "\n" + character.join(["1", "x, y"])})
    assert read(folder, options=options(delimiter=given))["1"].text == "x, y"


@pytest.mark.parametrize(
    "given",
    [{"delimiter": "ab"}, {"delimiter": '"'}, {"quoting": "some"}, {"text": ()}, {"text": "a", "title": "a"},
     {"formats": "text"}, {"header": 1}, {"id": 3}],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(given):
    with pytest.raises(UsageError):
        CorpusOptions(**given)


SCORES = "query-id\tcorpus-id\tscore\n1\t2\t1\n"


def test_tables_that_hold_no_texts_are_plain_text_where_they_lie_in_a_folder(plant, read, report):
    folder = plant(
        {
            "a.csv": "id,text\n1,x\n", "qrels.tsv": SCORES, "numbers.csv": '1,"2',
            "packed.tsv.gz": gzip.compress(SCORES.encode()), "wide.csv": "a,b\r\n".encode("utf-16"),
        }
    )  # fmt: skip
    found = read(folder)
    assert {doc_id: document.text for doc_id, document in found.items()} == {
        "1": "x", "numbers.csv": '1,"2', "packed.tsv.gz": SCORES.strip(), "qrels.tsv": SCORES.strip(),
        "wide.csv": "a,b",
    }  # fmt: skip
    assert report.taken_as_text is not None and report.taken_as_text.count == 4
    assert "the first line must name the columns; " in report.taken_as_text.first


def test_a_large_table_without_texts_is_skipped_packed_or_not(plant, read, report, monkeypatch):
    monkeypatch.setattr(plain_text, "LARGEST_DATA_BYTES", 100)
    rows = ("a,b\n" + "1,2\n" * 99).encode()
    folder = plant({"a.txt": "x", "b.csv": rows, "c.csv.gz": gzip.compress(rows), "d.json": b"[" + b"1," * 99 + b"1]"})
    assert list(read(folder)) == ["a.txt"]
    assert report.skipped[Reason.NO_TEXT_FIELD].count == 3 and report.taken_as_text is None


def test_where_the_column_of_the_text_was_named_tables_without_it_are_no_text(plant, read):
    folder = plant({"a.csv": "id,words\n1,x\n", "b.csv": "a,b\n1,2\n"})
    with pytest.raises(BadDocumentError, match=r"b\.csv: .*no field 'words'"):
        read(folder, options=options(text="words"))


def test_binary_data_called_a_table_are_no_text(plant, read, report):
    assert list(read(plant({"a.txt": "x", "b.csv": b"\xfd\xfe", "c.json": b"{\0\0\0\0\0\0"}))) == ["a.txt"]
    assert report.count_skipped(Reason.NOT_UTF8) == 2


def test_tables_without_rows_are_counted(plant, read, report):
    folder = plant({"a.csv": "id,text\n1,x\n", "b.csv": "id,text\n", "c.csv": "", "d.tsv": "\n\n"})
    assert list(read(folder)) == ["1"]
    assert report.count_skipped(Reason.NO_RECORD) == 3


def test_bytes_that_are_not_utf8_far_into_a_table_break_it_off(plant, read, report):
    rows = "".join(f"{i},{'x' * 100}\n" for i in range(3000))
    folder = plant({"a.csv": f"id,text\n{rows}".encode() + b"last,\xff\n"})
    with pytest.raises(BadDocumentError, match=r"a\.csv: not UTF-8 to its end"):
        read(folder)


@given(
    rows=st.lists(
        st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.sampled_from('a",;\t\n\r ')))
    ),
    kind=st.sampled_from(["csv", "tsv"]),
)
def test_what_the_csv_module_writes_is_read_back(tmp_path_factory, rows, kind):
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t" if kind == "tsv" else ",")
    writer.writerow(["id", "text", "title"])
    writer.writerows((number, text, title) for number, (text, title) in enumerate(rows))
    path = tmp_path_factory.mktemp("t") / "a.csv"
    path.write_bytes(out.getvalue().encode())
    source = SourceFile(path, "a.csv", "a.csv", format_named(kind), "", 0, True)
    found = [document for _, document in read_table(source, Intake(CorpusReport(), skip_bad=False))]
    assert [document.doc_id for document in found] == [str(number) for number in range(len(rows))]
    assert [(document.text, document.title) for document in found] == [
        (t.replace("\0", "\ufffd"), title) for t, title in rows
    ]
