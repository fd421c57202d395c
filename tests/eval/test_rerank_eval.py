"""`lsr eval --rerank`: the sparse leg, the reranker alone, and both fused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from lsr.cli.main import main
from lsr.encoders.rerank import cross_encoder


class Overlap:
    """A cross-encoder without a model: which part of the query's words stands in the text, the shorter the better."""

    def __init__(self) -> None:
        self.n_pairs = 0

    def scores(self, pairs: Sequence[tuple[str, str]]) -> npt.NDArray[np.float32]:
        self.n_pairs += len(pairs)
        return np.array([sum(w in text for w in query.split()) - len(text) / 1000 for query, text in pairs], np.float32)


def test_a_reranker_stands_beside_its_sparse_leg(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Overlap()
    loaded: list[Any] = []

    def load(name: str, **options: Any) -> Overlap:
        loaded.append((name, options))
        return model

    monkeypatch.setattr(cross_encoder, "load_cross_encoder", load)
    options = ["--rerank", "cross-encoder:models/overlap", "--dtype", "bfloat16", "--candidates", "10"]
    fusions = ["--fusion", "rrf", "--fusion", "min-max"]
    args = ["eval", str(tiny), "--encoder", "bm25", *options, *fusions, "--cache", str(tmp_path), "--json"]
    assert main(args) == 0
    rows = [row for row in map(json.loads, capsys.readouterr().out.splitlines()) if "measures" in row]
    both = "bm25+cross-encoder overlap: "
    assert [row["system"] for row in rows][:4] == ["bm25", both + "alone", both + "rrf", both + "min-max"]
    assert rows[1]["measures"]["nDCG@10"] > 0 and rows[1]["encoder"]["candidates"] == 10
    assert loaded == [("models/overlap", {"dtype": "bfloat16"})]
    assert model.n_pairs < 20  # each candidate once, whatever the number of fusions


@pytest.mark.parametrize(
    ("args", "error"),
    [
        (["--rerank", "magic"], "no reranker 'magic'"),
        (["--rerank", "dense"], "is measured by --hybrid"),
        (["--rerank", "cross-encoder"], "a cross-encoder is a model"),
        (["--rerank", "late-interaction", "--candidates", "5"], "hybrid: 5 candidates; give 10 to 1,000"),
        (["--candidates", "50"], "--candidates goes with --rerank"),
        (["--rerank", "late-interaction", "--fusion", "learned"], "take no learned fusion"),
    ],
)
def test_bad_options_are_refused(
    tiny: Path, tmp_path: Path, args: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(tiny), "--encoder", "bm25", "--cache", str(tmp_path), *args]) == 2
    assert error in capsys.readouterr().err
