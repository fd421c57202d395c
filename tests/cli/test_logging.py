"""What the package logs is printed by commands, and by nothing else."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from lsr.cli.common import TerminalProgress, note, printed_log
from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_corpus

LOGGER = logging.getLogger("lsr")


def state_of_logger() -> tuple[int, bool, list[logging.Handler]]:
    return LOGGER.level, LOGGER.propagate, list(LOGGER.handlers)


def test_a_command_prints_messages_in_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    before = state_of_logger()
    with printed_log():
        logging.getLogger("lsr.indexer.pipeline").info("one\n  %s", "two\x1b[31m")
        logging.getLogger("lsr.training").warning("three")
        logging.getLogger("lsr.training").debug("nothing")
        logging.getLogger("other").warning("nor this")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "lsr: one two\ufffd[31m\nlsr: three\n")
    assert state_of_logger() == before


def test_the_logger_is_as_before_after_an_error() -> None:
    before = state_of_logger()
    with pytest.raises(KeyError), printed_log():
        raise KeyError
    assert state_of_logger() == before
    assert main(["check", "--index", "/no/such/index"]) == 3
    assert state_of_logger() == before


@pytest.mark.parametrize("by", ["note", "log"])
def test_the_bar_gives_way_to_a_message(
    by: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = TerminalProgress()
    progress.start("reading", 10, "document")
    assert TerminalProgress.shown is progress
    capsys.readouterr()
    with printed_log():
        note("half of it") if by == "note" else LOGGER.info("half of it")
    assert TerminalProgress.shown is None
    err = capsys.readouterr().err
    assert err.endswith("lsr: half of it\n") and "\r" in err, "the bar is wiped out first"
    progress.advance(1)
    progress.close()
    assert capsys.readouterr().err == ""


def test_a_second_bar_stays_when_the_first_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    first, second = TerminalProgress(), TerminalProgress()
    first.start("reading", 10, "document")
    second.start("encoding", 10, "document")
    first.close()
    assert TerminalProgress.shown is second
    second.close()
    assert TerminalProgress.shown is None


def test_the_library_prints_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], logged: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.txt").write_text("A note.")
    index_corpus([tmp_path / "a.txt"], tmp_path / "index", load_encoder("bm25"))
    assert capsys.readouterr() == ("", "")
    assert logged.messages == []
