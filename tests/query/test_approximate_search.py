"""Approximate search happens only where it is asked for, and says so: in rankings, on the terminal, JSON and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import UsageError
from lsr.indexer.pipeline import index_documents
from lsr.query.engine.approximate import LEVELS, Approximate
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import Document


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2,000 documents of numbers written out, in which "even" stands in half of them, and "zero" in all."""
    folder = tmp_path_factory.mktemp("numbers") / "index"
    words = "zero one two three four five six seven eight nine".split()
    documents = [
        Document(str(i), " ".join([words[int(d)] for d in f"{i:04}"] + ["even"] * (1 - i % 2) + ["zero"]))
        for i in range(2000)
    ]
    index_documents(documents, folder, load_encoder("bm25"))
    return folder


def test_without_settings_every_search_is_exact(index: Path) -> None:
    (ranking,) = Searcher(index).rank(Searcher(index).encode(["even seven"]), k=10)
    assert ranking.approximate is None and ranking.n_skipped == 0
    assert "approximate" not in ranking.traversals


def test_a_ranking_tells_what_it_passed_over(index: Path) -> None:
    settings = Approximate(superblocks=2)
    searcher = Searcher(index, options=SearchOptions(approximate=settings))
    exact = Searcher(index)
    query = exact.encode(["even seven three"])
    (found,), (best,) = searcher.rank(query, k=300), exact.rank(query, k=300)
    assert found.approximate == settings and found.traversals == ("approximate",)
    assert found.n_scored == 2 and found.n_skipped > 0 and len(found) <= 2 * 64
    truth = dict(zip(best.positions.tolist(), best.scores.tolist(), strict=True))
    assert all(truth.get(p, s) == s for p, s in zip(found.positions.tolist(), found.scores.tolist(), strict=True))
    assert np.all(np.diff(found.scores) <= 0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs one of fast, balanced, near-exact, or alpha=A, superblocks=N, query_cut=N"),
        ({"alpha": 1.5}, "alpha is 1.5; it must be from 0.01 to 1"),
        ({"alpha": 0.0}, "alpha is 0"),
        ({"superblocks": 0}, "superblocks is 0; it must be at least 1"),
        ({"query_cut": -3}, "query_cut is -3"),
        ({"level": "quick"}, "level is 'quick'; it must be one of fast, balanced, near-exact"),
        ({"level": ["fast"]}, "level is"),
        ({"level": "fast", "superblocks": 5}, "leave out one"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Approximate(**settings)


def test_a_level_scores_more_superblocks_than_the_one_before_it(index: Path) -> None:
    exact = Searcher(index)
    query = exact.encode(["even seven three"])
    (best,) = exact.rank(query, k=1)
    scored = []
    for level in LEVELS:
        options = SearchOptions.of(approximate=level)
        assert options.approximate == Approximate(level=level) == Approximate.of({"level": level})
        (found,) = Searcher(index, options=options).rank(query, k=1)
        assert found.n_scored <= LEVELS[level] * 12 and not found.is_exact
        assert found.skipped is not None and found.skipped["level"] == str(found.approximate) == level
        scored.append(found.n_scored)
    assert scored == sorted(scored) and found.scores.tolist() == best.scores.tolist()


@pytest.mark.parametrize("setting", ["speed=9", "alpha", "alpha=x", "superblocks=1.5"])
def test_settings_of_the_command_are_read_or_refused(setting: str) -> None:
    assert Approximate.parse("alpha=0.5,query_cut=8") == Approximate(alpha=0.5, query_cut=8)
    message = "the settings are fast, balanced, near-exact, or alpha=A, superblocks=N, query_cut=N"
    with pytest.raises(UsageError, match=message):
        Approximate.parse(setting)


def test_the_command_says_approximate(index: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    call = ["search", "--index", str(index), "-k", "3", "--approximate", "superblocks=1,query_cut=1"]
    assert main([*call, "even seven"]) == 0
    assert "approximate (superblocks=1 query_cut=1)" in capsys.readouterr().err
    assert main([*call, "even seven", "--json"]) == 0
    hit = json.loads(capsys.readouterr().out.splitlines()[0])
    assert hit["approximate"]["superblocks"] == hit["approximate"]["superblocks_scored"] == 1
    assert hit["approximate"]["superblocks_skipped"] >= 0
    (tmp_path / "q.tsv").write_text("q1\teven seven\n")
    run = tmp_path / "run.trec"
    assert main([*call, "--queries", str(tmp_path / "q.tsv"), "--run", str(run)]) == 0
    assert run.read_text().splitlines()[0].endswith(" lsr-approximate")
