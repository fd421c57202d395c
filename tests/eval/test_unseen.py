"""Test collections made of docstrings and of manual pages: what is a query, what its document, and what is left out."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsr.errors import LsrError
from lsr.eval.bench.corpora import unseen
from lsr.eval.data.datasets import load_dataset

LONG = " ".join(f"word{n}" for n in range(70))
PAGE = r""".\" a comment
.TH SORT 1 "January 2026"
.SH NAME
sort, \fBtsort\fR \- put the lines of text files in order
.SH SYNOPSIS
.B sort
[\fI\,OPTION\/\fR]...
.TP
\fB\-r\fR, \fB\-\-reverse\fR
.if n .sp
what isn\(aqt \(lqfirst\(rq comes first, see
.BR uniq (1).
"""


def test_a_manual_page_is_what_it_says_it_is_and_its_text() -> None:
    query, text = unseen.manual(PAGE)
    assert query == "put the lines of text files in order"
    assert text == 'SYNOPSIS sort [OPTION]... -r, --reverse what isn\'t "first" comes first, see uniq (1).'
    assert unseen.manual(".SH DESCRIPTION\ntext\n") == ("", "")
    assert unseen.manual(".SH NAME\nsort\n.SH DESCRIPTION\ntext\n")[0] == "", "a name without a description"


def test_manual_pages_of_some_sections_are_read(tmp_path: Path) -> None:
    for name in ("man1/a.1.gz", "man1/gcloud_b.1.gz", "man3/c.3.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(gzip.compress(PAGE.encode()))
    assert len(list(unseen.manuals(tmp_path))) == 1


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "some_package"
    (folder / "tests").mkdir(parents=True)
    functions = ("f", "Return the largest\n    of five numbers."), ("_g", "Return what nobody calls from outside.")
    texts = [f'def {name}():\n    """{first}\n\n    {LONG}\n    """\n' for name, first in functions]
    (folder / "__init__.py").write_text("\n".join(['raise SystemExit("never imported")', *texts]))
    (folder / "newer.py").write_text("def f(:\n")
    (folder / "tests" / "test.py").write_text(
        f'def f():\n    """Return the rest of some tests.\n\n    {LONG}\n    """\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "some_package"


def test_docstrings_are_read_without_importing(package: str) -> None:
    assert list(unseen.docstrings(package)) == [("Return the largest of five numbers.", LONG)]
    with pytest.raises(LsrError, match="no package 'no_such_package' is installed"):
        list(unseen.docstrings("no_such_package"))


def test_a_collection_is_a_beir_folder(tmp_path: Path) -> None:
    def pairs() -> Iterator[tuple[str, str]]:
        for n in range(9):
            yield f"this is the query number {n}", f"{n} {LONG}"
        yield "this query has two different documents", f"x {LONG}"
        yield "this query has two different documents", f"y {LONG}"
        yield "too short", f"z {LONG}"
        yield "this document is too short", "a few words"
        yield "the same document under another query", f"3 {LONG}"

    assert unseen.write_collection(pairs(), tmp_path / "made", n_queries=5) == 11
    found = load_dataset(tmp_path / "made", split="test")
    assert len(found.queries) == 5 and all(text.startswith("this is the query") for text in found.queries.values())
    texts = [json.loads(line) for line in (tmp_path / "made" / "corpus.jsonl").read_text().splitlines()]
    by_id = {row["_id"]: row["text"] for row in texts}
    for query_id, judged in found.qrels.items():
        ((doc_id, gain),) = judged.items()
        assert gain == 1 and by_id[doc_id].split()[0] == found.queries[query_id].split()[-1]
    assert unseen.write_collection(pairs(), tmp_path / "all", n_queries=99) == 11
    assert len(load_dataset(tmp_path / "all", split="test").queries) == 9, "a query of two documents is none"
    with pytest.raises(LsrError, match="no pair of a query and a document"):
        unseen.write_collection(iter([("too short", LONG)]), tmp_path / "none", n_queries=5)


def test_the_command_writes_what_is_wanted(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["unseen", str(tmp_path / "out"), "--packages", package])
    unseen.main()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["docstrings"]
