"""`main()` as a function: it leaves the process that calls it as it was."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.main import main


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler])
@pytest.mark.parametrize("command", ["stats", "get"])  # one that succeeds and one that fails
def test_main_leaves_no_signal_handler_behind(handler: object, command: str, bm25_index: Path) -> None:
    before = signal.signal(signal.SIGTERM, handler)  # type: ignore[arg-type]
    try:
        arguments = ["no-such-document"] if command == "get" else []
        assert main([command, *arguments, "--index", str(bm25_index)]) == len(arguments)
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_main_leaves_the_settings_of_stdout(bm25_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", errors="strict"))
    assert main(["search", "cats", "--index", str(bm25_index)]) == 0
    assert sys.stdout.errors == "strict"
    assert b"cats" in written.getvalue()


def test_the_package_runs_as_a_module(bm25_index: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "lsr", "get", "cats", "--index", str(bm25_index)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "A cat sleeps" in done.stdout
    usage = subprocess.run([*command[:3], "--help"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert usage.startswith("usage: lsr ")


@pytest.mark.parametrize("error", [RuntimeError("Error calling __set_name__"), OSError(4, "Interrupt"), SystemError()])
def test_an_interruption_is_reported_whatever_a_library_makes_of_it(
    error: Exception, bm25_index: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(_: object) -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None
        return 0

    monkeypatch.setattr("lsr.cli.indexes.stats.run", run)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["stats", "--index", str(bm25_index)]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capsys.readouterr().err == "lsr: interrupted; what was there before is unchanged\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_that_a_library_lost_ends_the_command_at_its_next_step(
    number: signal.Signals, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsr.indexer import pipeline

    read_roots = pipeline.read_roots

    def losing(*args: Any, **options: Any) -> Any:
        with suppress(KeyboardInterrupt, SystemExit):  # as in a callback of compiled code
            signal.raise_signal(number)
        return read_roots(*args, **options)

    monkeypatch.setattr(pipeline, "read_roots", losing)
    (tmp_path / "a.txt").write_text("cats")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert main(["index", str(tmp_path / "a.txt"), "--index", str(tmp_path / "index"), "--encoder", "bm25"]) == code
    finally:
        signal.signal(signal.SIGINT, before)
    assert not (tmp_path / "index").exists()


def test_an_interruption_before_the_command_leaves_no_traceback() -> None:
    code = "import sys, signal\nclass Importer:\n    def find_spec(self, name, *_):\n"
    code += "        if name == 'lsr.cli.main': signal.raise_signal(signal.SIGINT)\n"
    code += "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "from lsr.cli.entry import main\nsys.meta_path.insert(0, Importer())\nsys.exit(main(['stats']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "lsr: interrupted\n")


def test_a_command_imports_only_its_own_parser() -> None:
    code = "import sys; from lsr.cli.main import build_parser; build_parser('search'); "
    code += "print([name for name in sys.modules if name.startswith('lsr.cli.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "lsr.cli.searches.search" in done.stdout and "lsr.cli.indexes" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-16", "utf-8", "cp1252"])
@pytest.mark.parametrize("arguments", [["search", "grünes"], ["get", "bäume"], ["list"]])
def test_json_is_json_in_every_encoding_of_stdout(
    arguments: list[str], encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "Grünes Laub \U0001f642 日本 \x85\u2028"
    (tmp_path / "a.jsonl").write_text(json.dumps({"id": "bäume", "text": text, "note": "ö"}), encoding="utf-8")
    assert main(["index", "a.jsonl", "--encoder", "bm25", "--quiet"]) == 0
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, errors="strict"))
    assert main([*arguments, "--json"]) == 0
    (line,) = written.getvalue().decode(encoding).splitlines()
    found = json.loads(line)
    assert found["doc_id"] == "bäume" and found["fields"] == {"note": "ö"}
    assert found.get("text", text) == text
