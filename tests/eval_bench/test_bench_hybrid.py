"""The timing of the second leg prints a line a step, and says what is beyond its limit."""

from __future__ import annotations

import pytest

from lsr.eval.bench import hybrid as timing


def test_every_step_has_its_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "RERANK_LIMIT_US", 1e9)
    monkeypatch.setattr(timing, "FUSION_LIMIT_US", 1e9)
    few = ["--docs", "1500", "--repetitions", "25", "--dimension", "8"]
    assert timing.main(few) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:44].strip() for line in lines[1:3]] == ["rerank 10 candidates", "rerank and fuse 10 candidates"]
    assert sum("fuse 1,000 + 1,000 hits" in line for line in lines) == len(timing.METHODS)
    assert all(float(figure.replace(",", "")) > 0 for line in lines[1:] for figure in line[44:].split()[:3])
    monkeypatch.setattr(timing, "FUSION_LIMIT_US", 1e-3)
    assert timing.main(few) == 1
    assert "BEYOND" in capsys.readouterr().out
