"""CSV and TSV: columns by their names, quotes, delimiters, and rows that don't fit."""

from __future__ import annotations

import csv
import gzip
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.formats.tables import read_table
from lsr.indexer.corpus.intake import Intake
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import format_named
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.types import Document


def test_a_row_is_a_document_and_other_columns_are_fields(plant, read):
    folder = plant({"a.csv": 'id,title,text,year\n1,T,"x, ""y""\nz",1999\n2,,w,\n'})
    assert list(read(folder).values()) == [Document("1", 'x, "y"\nz', "T", {"year": "1999"}), Document("2", "w")]


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


def test_a_table_with_texts_but_no_id_is_an_error(plant, read):
    with pytest.raises(BadDocumentError, match=r"no id among its fields name, text; looked for _id, id, pid"):
        read(plant({"a.csv": "name,text\nx,y\n"}))


def test_tables_that_hold_no_texts_are_skipped_when_they_lie_in_a_folder(plant, read, report):
    folder = plant(
        {"a.csv": "id,text\n1,x\n", "qrels.tsv": "query-id\tcorpus-id\tscore\n1\t2\t1\n", "numbers.csv": '1,"2'}
    )
    assert list(read(folder)) == ["1"]
    assert report.skipped[Reason.NO_TEXT_FIELD].count == 2


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
