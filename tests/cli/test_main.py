"""`main()` as a function: it leaves the process that calls it as it was."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from pathlib import Path

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
