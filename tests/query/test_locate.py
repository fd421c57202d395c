"""Hits know their file, and the line, page or cell there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import lsr
from lsr.cli.main import main
from lsr.errors import UsageError
from lsr.query.explain.locate import NOWHERE, Place, locate
from lsr.query.explain.snippet import QueryWords

NOTE = "# Plan\n\nintro\n\n" + "filler line\n" * 50 + "\n## Budget\n\nThe **budget** for _trees_ is large.\n\nend\n"


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a note, a notebook, a table, and a long text, indexed; the working folder is above it."""
    folder = tmp_path / "notes"
    folder.mkdir()
    (folder / "plan.md").write_text(NOTE)
    cells = [
        {"cell_type": "markdown", "source": ["# Cats\n"]},
        {"cell_type": "code", "source": ["import numpy\n", "x = feed_cats()\n"]},
    ]
    (folder / "n.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4}))
    (folder / "rows.csv").write_text("id,text\na,first row about dogs\nb,second row about parrots\n")
    (folder / "long.txt").write_text("\n".join(f"line {i} says word{i}" for i in range(2000)))
    lsr.index(folder, tmp_path / ".lsr", encoder="bm25").close()
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("query", "file", "place"),
    [
        ("budget for trees", "plan.md", {"line": 56}),
        ("feed_cats()", "n.ipynb", {"cell": 2}),
        ("parrots", "rows.csv", {"line": 3}),
        ("word1234", "long.txt", {"line": 1235}),
    ],
)
def test_a_hit_knows_its_place(
    notes: Path, capsys: pytest.CaptureFixture[str], query: str, file: str, place: dict[str, int]
) -> None:
    (hit,) = lsr.open().search(query, k=1, locate=True)
    assert hit.path == str(notes / file)
    assert {name: n for name in ("line", "page", "cell") if (n := getattr(hit, name)) is not None} == place
    shown = f"notes/{file}:{place['line']}" if "line" in place else f"notes/{file}, cell {place['cell']}"
    assert main(["search", query, "-k", "1", "--files"]) == 0
    assert capsys.readouterr().out == shown + "\n"
    assert main(["search", query, "-k", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {name: printed[name] for name in ("path", *place)} == {"path": hit.path, **place}
    assert main(["search", query, "-k", "1"]) == 0
    assert shown in capsys.readouterr().out


def test_a_place_is_said_only_if_asked_for_and_of_an_unchanged_file(notes: Path) -> None:
    index = lsr.open()
    assert index.search("budget", k=1)[0].path is None
    (notes / "plan.md").write_text("budget, all new, and of another length")
    (hit,) = index.search("budget", k=1, locate=True)
    assert (hit.stale, hit.path, hit.line) == ("changed", str(notes / "plan.md"), None)


def test_a_document_without_a_file_has_no_place(tmp_path: Path) -> None:
    index = lsr.index(["a budget"], tmp_path / "index", encoder="bm25")
    (hit,) = index.search("budget", locate=True)
    assert (hit.path, hit.line, hit.page, hit.cell) == (None, None, None, None)


@pytest.mark.parametrize(
    ("text", "before", "page"),
    [("one\ftwo budget\fthree", "", 2), ("four budget", "one\ftwo\fthree\f", 4), ("budget", "", 1)],
)
def test_a_pdf_has_pages(text: str, before: str, page: int) -> None:
    assert locate("x.pdf", text, QueryWords("budget", {}), before=before) == Place(page=page)


@pytest.mark.parametrize("content", [None, b"\0\1\2 budget", b"x" * (1 << 20) + b" budget", b"\xff\xfe\xfa budget"])
def test_a_file_that_is_no_small_text_has_no_line(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "file.txt"
    if content is not None:
        path.write_bytes(content)
    assert locate(str(path), "a budget", QueryWords("budget", {})) == NOWHERE


def test_lines_of_a_file_and_documents_by_pattern(notes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "plan.md", "--lines", "56:58"]) == 0
    assert capsys.readouterr().out == "## Budget\n\nThe **budget** for _trees_ is large.\n"
    assert main(["get", "plan.md", "--lines", "1"]) == 0
    assert capsys.readouterr().out == "# Plan\n"
    assert main(["get", "*.md", "[a-b]", "--json"]) == 0
    found = [json.loads(line)["doc_id"] for line in capsys.readouterr().out.splitlines()]
    assert found == ["plan.md", "a", "b"]
    assert main(["get", "no*such", "plan.md", "--lines", "1:1"]) == 1
    assert "no document 'no*such'" in capsys.readouterr().err
    (notes / "plan.md").write_text("new")
    assert main(["get", "plan.md", "--lines", "1:3"]) == 0
    printed = capsys.readouterr()
    assert "has changed since it was indexed" in printed.err
    assert printed.out.startswith("intro\n")


@pytest.mark.parametrize("lines", ["0:3", "5:2", "x", "-1"])
def test_what_is_no_range_of_lines_is_refused(notes: Path, lines: str) -> None:
    with pytest.raises(SystemExit):
        main(["get", "plan.md", f"--lines={lines}"])


@pytest.mark.parametrize("other", [["--json"], ["--explain"], ["--html", "x.html"]])
def test_files_are_printed_alone(notes: Path, capsys: pytest.CaptureFixture[str], other: list[str]) -> None:
    assert main(["search", "budget", "--files", *other]) == UsageError.exit_code
    assert "--files prints the places of one QUERY's hits alone" in capsys.readouterr().err


def test_no_file_is_opened_that_this_user_has_not_indexed(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = lsr.open()
    monkeypatch.setattr("lsr.indexer.sources.staleness.is_known_source", lambda root: False)
    (hit,) = index.search("budget", k=1, locate=True)
    assert (hit.path, hit.line) == (None, None)


def test_no_file_is_opened_outside_a_source(notes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = lsr.open()
    monkeypatch.setattr("lsr.indexer.sources.staleness.path_in", lambda root, inside: f"{root}/../notes2/{inside}")
    (hit,) = index.search("budget", k=1, locate=True)
    assert (hit.path, hit.line) == (None, None)
