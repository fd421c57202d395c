"""Nothing of a stranger's index gives orders to a terminal: every command is run on one full of hostile values."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import lsr.output.terminal as terminal
from lsr.cli.main import COMMANDS, main
from lsr.encoders.registry import load_encoder
from lsr.eval.data.runs import read_run
from lsr.indexer.pipeline import index_documents
from lsr.indexer.update.update import add_documents
from lsr.io.printable import clean, json_line
from lsr.types import Document

sys.path.insert(0, str(Path(__file__).parent))
from forger import newest_manifest, register, write_manifest

ORDERS = "\x1b[31m\x1b]0;title\x07\x9b2J\x08\u202e\u2066\u2069\u200e\u200f\u061c\u2028\x7f\x85\ufeff"
"""Escape sequences, control characters, and everything that turns the direction of text."""
EVIL = f"evil{ORDERS}\r\nFORGED\t<script>alert(1)</script>\" onload='x"
"""The name and the value of everything; also lines of their own, and HTML."""
FOLDER = f"evil{ORDERS}\r\nFORGED"
UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
OURS = re.compile("|".join(map(re.escape, (terminal.BOLD, terminal.DIM, terminal.MATCH, terminal.RESET))))


def document(number: int) -> Document:
    fields: dict[str, Any] = {"lang": EVIL, EVIL: [EVIL, f"{number}"], "year": number}
    text = EVIL.replace("FORGED", "the lines of a text stay lines")
    return Document(f"{EVIL}{number}", f"{text} common word{number}\n{text}", EVIL, fields)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with an index, a corpus, a dataset, results and a run, all hostile, and be in it."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    monkeypatch.chdir(folder)
    path = Path(".lsr")
    index_documents([document(number) for number in range(12)], path, load_encoder("bm25"))
    add_documents([document(20)], path, merge=False)
    content = json.loads(newest_manifest(path).read_text())
    content["encoder"]["name"] = EVIL
    content["encoder"][EVIL] = EVIL
    content["created"] = content["library_version"] = EVIL
    write_manifest(path, content)
    dataset(folder / "data" / FOLDER)
    Path("queries.jsonl").write_text(json.dumps({"_id": EVIL, "text": "common"}) + "\n")
    Path(f"{FOLDER}.txt").write_text(EVIL)
    Path("broken.jsonl").write_text('{"_id": "' + json.dumps(EVIL)[1:-1] + '", "text": 5}\n' + EVIL + "\n")
    return path


def dataset(folder: Path) -> None:
    (folder / "qrels").mkdir(parents=True)
    corpus = [{"_id": f"{EVIL}{n}", "title": EVIL, "text": f"common word{n}"} for n in range(3)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in corpus))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q" + ORDERS.strip(), "text": "common word1"}) + "\n")
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\nq{ORDERS.strip()}\td1\t1\n")


DATASET = f"data/{FOLDER}"
USES: dict[str, list[list[str]]] = {
    "index": [["index", f"{FOLDER}.txt", "--index", FOLDER], ["index", "broken.jsonl", "--index", "new", "--json"],
              ["index", "broken.jsonl", "--index", "new2", "--skip-bad"], ["index", f"{FOLDER}.none"]],
    "search": [["search", "common"], ["search", "common", "--json"], ["search", "common", "--explain"],
               ["search", "common evil", "--explain", "--json"], ["search", "common", "--total", "--facets", "lang"],
               ["search", "common", "--total", "--facets", "lang", "--json"], ["search", EVIL, "-k", "1"],
               ["search", "common", "--filter", f"lang = {EVIL}"], ["search", "common", "--filter", "nofield = 3"],
               ["search", "common", "--sort", "nofield"], ["search", "common", "--facets", "nofield"],
               ["search", "--queries", "queries.jsonl"], ["search", "--queries", "queries.jsonl", "--run", "run.txt"],
               ["search", "--queries", "broken.jsonl"], ["search", "common", "--html", f"{FOLDER}.html"]],
    "explain": [["explain", "--doc", f"{EVIL}3"], ["explain", "--doc", f"{EVIL}3", "--json"],
                ["explain", "--text", "common evil"], ["explain", "--doc", f"none{EVIL}"],
                ["explain", "--doc", f"{EVIL}3", "--html", "vector.html"]],
    "serve": [["serve", "--port", "0"]],
    "mcp": [["mcp", f"{EVIL}=none"], ["mcp"]],
    "add": [["add", f"{FOLDER}.txt"], ["add", f"{FOLDER}.txt"], ["add", "broken.jsonl"],
            ["add", "queries.jsonl", "--json"]],
    "update": [["update", f"{FOLDER}.txt"], ["update", "broken.jsonl", "--skip-bad"]],
    "sync": [["sync"], ["sync", "--json"], ["sync", "--dry-run", "--index", FOLDER],
             ["sync", "--index", FOLDER], ["sync", f"none{EVIL}"]],
    "watch": [["watch", "--index", f"none{EVIL}"], ["watch", "--index", FOLDER],
              ["watch", "--json", "--index", FOLDER]],
    "delete": [["delete", f"{EVIL}3"], ["delete", f"none{EVIL}"], ["delete", f"{EVIL}4", f"no{EVIL}", "--json"]],
    "merge": [["merge"], ["merge", "--json"]],
    "tune": [["tune", "--made", "5"], ["tune", "--judged", f"none{EVIL}"], ["tune", "--reset"]],
    "get": [["get", f"{EVIL}3"], ["get", f"{EVIL}3", "--json"], ["get", f"none{EVIL}"]],
    "list": [["list"], ["list", "--json"], ["list", "--filter", f"{EVIL} = 3"]],
    "export": [["export", f"{FOLDER}.tar"], ["export", "file.tar", "--json"], ["export", f"{FOLDER}.tar"],
               ["export", "--vectors", f"{FOLDER}.parquet"]],
    "import": [["import", "file.tar", "--index", f"{FOLDER}2"], ["import", "file.tar", "--index", "other", "--json"],
               ["import", f"{FOLDER}.txt", "--index", f"{FOLDER}3"]],
    "publish": [["publish", f"memory://{FOLDER}/place"], ["publish", "memory://place", "--json"],
                ["publish", f"none{EVIL}://place"], ["publish", f"{FOLDER}.none"]],
    "push": [["push", FOLDER, f"owner/{EVIL}"], ["push", f"none{EVIL}", "owner/name"]],
    "pull": [["pull", f"owner/{EVIL}", f"{FOLDER}-pulled"]],
    "encode": [["encode", f"{FOLDER}.txt", "--encoder", "bm25", "--out", f"{FOLDER}-out"]],
    "encoder": [["encoder", "export", f"none{EVIL}", f"{FOLDER}-exported"]],
    "codes": [["codes", "--out", FOLDER]],
    "train": [["train", "--list"], ["train", EVIL]],
    "mine": [["mine", f"{FOLDER}.jsonl", "--output", f"{FOLDER}.parquet", "--negatives", "1"]],
    "expand": [["expand", f"{FOLDER}.txt", "--make-queries", "--out", f"{FOLDER}.exp.jsonl"],
               ["expand", "broken.jsonl", "--make-queries", "--out", "expansions.jsonl", "--skip-bad", "--json"]],
    "stats": [["stats"], ["stats", "--json"], ["stats", "--index", f"none{EVIL}"]],
    "check": [["check"], ["check", "--json"]],
    "eval": [["eval", DATASET, "--encoder", "bm25", "--output", "results", "--cache", "cache"],
             ["eval", DATASET, "--encoder", "bm25", "--json", "--cache", "cache"],
             ["eval", DATASET, "--encoder", "bm25", "--per-query", "--cache", "cache"], ["eval", EVIL]],
    "leaderboard": [["leaderboard", "results"], ["leaderboard", EVIL]],
    "size-study": [["size-study", DATASET, "--distractors", f"{FOLDER}.none"]],
    "bench": [["bench", DATASET]],
    "doctor": [["doctor"], ["doctor", "--json"]],
    "completion": [["completion", "bash"], ["completion", EVIL]],
    "help": [["help", "search"], ["help", EVIL]],
}  # fmt: skip
"""How each command is run. A new command needs an entry: one way for each kind of output and of error that it has."""


def check_printed(text: str, *, rows: bool = False) -> None:
    """Fail where a control character, an escape sequence or a turn of direction left, or where a line was forged."""
    text = text.replace("\t", " ") if rows else text
    found = UNSAFE.search(text)
    assert found is None, (found, text[max(0, found.start() - 100) : found.end() + 20])
    assert not [line for line in text.split("\n") if line.startswith("FORGED")]


def test_every_command_has_its_uses() -> None:
    assert list(USES) == list(COMMANDS)


def end_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the commands that run until they are interrupted end when they begin to wait."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lsr.indexer.sources.watch.watched", lambda *_: iter(()))
    for function in ("lsr.server.run.serve", "lsr.mcp.service.Service.serve_stdio"):
        with suppress(ModuleNotFoundError, ImportError):  # the extra isn't installed: the command says so
            monkeypatch.setattr(function, interrupted)


@pytest.mark.parametrize("styles", [False, True], ids=["plain", "terminal"])
def test_no_command_prints_orders_of_an_index(
    place: Path, styles: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if styles:
        monkeypatch.setattr(terminal, "styled", lambda stream: True)

    end_at_once(monkeypatch)
    said, codes = "", {}
    for command, uses in USES.items():
        for arguments in uses:
            try:
                code = main(arguments)
            except SystemExit as stopped:
                code = int(str(stopped.code))
            printed = capsys.readouterr()
            assert code in (0, 1, 2, 3, 130), (arguments, printed.err)
            assert code == 0 or command not in ("stats", "list", "check") or EVIL in "".join(arguments)
            codes[" ".join(arguments)] = code
            for text in printed:
                assert "\x1b" not in text or styles
                check_printed(
                    OURS.sub("", text) if styles else text, rows=command == "list" or "--per-query" in arguments
                )
            if "--json" in arguments and code == 0:
                assert [json.loads(line) for line in printed.out.splitlines()]
            said += printed.out
    n_done = sum(code == 0 for code in codes.values())
    assert n_done > 30 and codes["search common"] == codes["search common --explain"] == 0, (
        codes
    )  # or nothing of the index is printed
    assert said.count("evil") > 100 and said.count("\ufffd") > 1000
    check_page(Path(f"{FOLDER}.html").read_text())
    check_page(Path("vector.html").read_text())


def check_page(html: str) -> None:
    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag != "script" and not any(name.startswith("on") for name, _ in attrs)

    Tags().feed(html)
    assert "evil" in html and "&lt;script&gt;" in html
    assert (
        UNSAFE.search(html.replace("\r", " ").replace("\t", " ").replace("\u2028", " ").replace("\ufeff", "")) is None
    )


def test_json_is_escaped_and_stays_equal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["list", "--json"])
    listed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [entry["doc_id"] for entry in listed] == [f"{EVIL}{number}" for number in [*range(12), 20]]
    assert listed[3]["title"] == EVIL and listed[3]["fields"] == document(3).fields
    content = json.loads(newest_manifest(place).read_text())
    content["encoder"]["settings"] = {EVIL: EVIL}
    write_manifest(place, content)
    main(["stats"])
    check_printed(capsys.readouterr().out)
    main(["stats", "--json"])
    out = capsys.readouterr().out
    assert "\\u202e" in out and json.loads(out)["encoder"][EVIL] == EVIL


def test_a_run_is_escaped_and_read_back_equal(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["search", "--queries", "queries.jsonl", "--run", "run.txt", "-k", "20"])
    assert code == 0, capsys.readouterr().err
    check_printed(Path("run.txt").read_text())
    run = read_run(Path("run.txt"))
    assert run.keys() == {EVIL} and set(run[EVIL]) == {f"{EVIL}{number}" for number in [*range(12), 20]}


@pytest.mark.parametrize("use", [["stats"], ["check"], ["search", "common"], ["list"], ["merge"], ["get", "x"]])
def test_errors_that_name_what_is_in_an_index_are_clean(
    place: Path, use: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Let each place of a manifest that an error quotes hold orders."""
    whole = newest_manifest(place).read_text()
    for keys in (("format",), ("encoder", "kind"), ("segments", 0, "part", "id"), ("segments", 0, "part", "kind"),
                 ("vocabulary",), ("generation",), ("scale",), ("created",), ("passages",), ("dense",)):  # fmt: skip
        content = json.loads(whole)
        holder = content
        for key in keys[:-1]:
            holder = holder[key]
        holder[keys[-1]] = EVIL
        write_manifest(place, content)
        main(use)
        for text in capsys.readouterr():
            check_printed(text, rows=True)


def test_names_of_files_in_a_manifest_are_clean(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(newest_manifest(place).read_text())
    part = content["segments"][0]["part"]
    (place / part["kind"] / part["id"] / "documents.arrow").write_bytes(EVIL.encode())
    register(place, part, "documents.arrow")
    part["files"][EVIL] = {"size_bytes": 1, "crc32": 0}
    write_manifest(place, content)
    assert main(["check"]) == 3
    check_printed(capsys.readouterr().err)


@pytest.mark.parametrize("character", [*UNSAFE.findall(ORDERS), "\x00", "\n", "\t", "\ud800", "\u2029"])
def test_each_character_is_cleaned_and_escaped(character: str) -> None:
    assert clean(f"a{character}b") == "a\ufffdb"
    text = json_line({"x": character})
    assert text.isprintable() and json.loads(text) == {"x": character}


def test_a_style_that_an_index_holds_is_not_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.say(f"a{terminal.BOLD}b")
    terminal.say_styled(f"a{terminal.BOLD}b\x1b[5m")
    monkeypatch.setattr(terminal, "styled", lambda stream: True)
    terminal.say(f"a{terminal.BOLD}b")
    terminal.say_styled(terminal.style("b", terminal.BOLD) + "\x1b[5m")
    lines = capsys.readouterr().out.split("\n")
    assert lines == ["a\ufffd[1mb", "a\ufffd[1mb\ufffd[5m", "a\ufffd[1mb", "\x1b[1mb\x1b[0m\ufffd[5m", ""]
