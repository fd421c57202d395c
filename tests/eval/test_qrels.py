"""Relevance judgements in both formats."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lsr.errors import LsrError
from lsr.eval.data.qrels import read_qrels

QRELS = {"q1": {"d1": 2, "d2": 0}, "q2": {"d1": 1}}


@pytest.mark.parametrize(
    "text",
    [
        "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t1\n",
        "q1\td1\t2\nq1\td2\t0\nq2\td1\t1\n",
        "q1 0 d1 2\nq1 0 d2 0\nq2 0 d1 1\n",
        "q1\t0\td1\t2.0\r\nq1\t0\td2\t0\r\nq2\t0\td1\t1\r\nq2\t0\td1\t1\r\n",
    ],
    ids=["BEIR", "BEIR without header", "TREC", "TREC with tabs, floats, a line twice"],
)
def test_each_format_gives_the_same_judgements(tmp_path: Path, text: str) -> None:
    (tmp_path / "qrels").write_bytes(text.encode())
    assert read_qrels(tmp_path / "qrels") == QRELS


def test_gzipped_files_and_ids_with_spaces_are_read(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv.gz").write_bytes(gzip.compress(b"query-id\tcorpus-id\tscore\nq 1\ta b\t1\n"))
    assert read_qrels(tmp_path / "qrels.tsv.gz") == {"q 1": {"a b": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no judgements"),
        ("query-id\tcorpus-id\tscore\n", "no judgements"),
        ("q1 d1\n", ":1: 2 columns"),
        ("q1 0 d1 1\nq1 d2 1\n", ":2: 3 columns where the lines above have 4"),
        ("q1 0 d1 1\nq1 0 d2 yes\n", ":2: .*'yes'"),
        ("q1 0 d1 0.5\n", "neither a header nor a judgement"),
        ("q1 0 d1 1\nq1 0 d1 2\n", ":2: .*relevance 2.*but 1"),
    ],
)
def test_broken_qrels_are_errors_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "bad.tsv").write_text(text)
    with pytest.raises(LsrError, match=message) as caught:
        read_qrels(tmp_path / "bad.tsv")
    assert "bad.tsv" in str(caught.value)


def test_relevances_are_read_exactly(tmp_path: Path) -> None:
    (tmp_path / "qrels.tsv").write_text(f"q1\ta\t{2**53 + 1}\nq1\tb\t{10**400}\nq1\tc\t1.0\nq1\td\t-3\n")
    assert read_qrels(tmp_path / "qrels.tsv") == {"q1": {"a": 2**53 + 1, "b": 10**400, "c": 1, "d": -3}}
