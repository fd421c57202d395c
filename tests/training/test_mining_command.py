"""`lsr mine`, as people run it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lsr.cli.main import main
from lsr.training.data.read_examples import read_examples

Mine = Callable[..., int]
TOPICS = "river mountain glacier forest desert island".split()


@pytest.fixture
def mine(tmp_path: Path) -> Mine:
    """Run the command with a cache of its own."""
    return lambda *arguments: main(["mine", *map(str, arguments), "--cache", str(tmp_path / "cache")])


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    lines = [
        {"query": f"{TOPICS[i % 6]} word{i}", "positive": f"{TOPICS[i % 6]} word{i} and the pair{i // 2} of them"}
        for i in range(60)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_mines_into_a_file(mine: Mine, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "mined.parquet"
    command = [str(pairs), "--encoder", "bm25", "--negatives", "3", "--depth", "8", "--output", str(output)]
    assert mine(*command, "--json") == 0
    done = json.loads(capsys.readouterr().out)
    assert (done["examples"], done["negatives"]) == (60, 180)
    assert read_examples([output], cache=tmp_path / "own").report.n_negatives == 180
    assert mine(*command) == 1
    assert "exists already: --overwrite replaces it" in capsys.readouterr().err
    assert mine(*command, "--overwrite", "--teacher", "bm25", "--max-teacher-ratio", "0.5") == 0
    mined = read_examples([output], cache=tmp_path / "own")
    assert mined.report.n_with_scores == 60
    for example in mined:
        assert example.scores is not None
        assert all(score <= 0.5 * example.scores[0] + 1e-6 for score in example.scores[1:])


def test_mines_for_a_share_of_the_examples(mine: Mine, pairs: Path, tmp_path: Path) -> None:
    """Among the documents of these alone, each time the same ones."""
    command = [str(pairs), "--encoder", "bm25", "--negatives", "2", "--depth", "8", "--sample", "0.4", "--seed", "3"]
    for number in (1, 2):
        assert mine(*command, "--output", str(tmp_path / f"{number}.parquet")) == 0
    one, two = (list(read_examples([tmp_path / f"{n}.parquet"], cache=tmp_path / "own")) for n in (1, 2))
    assert 10 < len(one) < 40 and one == two
    taken = {example.documents[0].text for example in one}
    assert {document.text for example in one for document in example.documents} <= taken
    queries = [example.query for example in read_examples([pairs], cache=tmp_path / "own")]
    assert [queries.index(example.query) for example in one] == sorted(queries.index(e.query) for e in one)


def test_an_index_is_made_once_and_searched_again(mine: Mine, pairs: Path, tmp_path: Path) -> None:
    command = [str(pairs), "--index", str(tmp_path / "index"), "--negatives", "2", "--depth", "5"]
    assert mine(*command, "--encoder", "bm25", "--output", str(tmp_path / "1.parquet")) == 0
    assert mine(*command, "--output", str(tmp_path / "2.parquet")) == 0
    one, two = (read_examples([tmp_path / f"{n}.parquet"], cache=tmp_path / "own") for n in (1, 2))
    assert list(one) == list(two)


def test_makes_queries_and_mines_for_them(mine: Mine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for i in range(40):
        body = " ".join(
            f"The {TOPICS[(i + j) % 6]} of place{i} lies beside the {TOPICS[j]} called name{i}x{j}." for j in range(6)
        )
        (notes / f"{i}.md").write_text(f"# Travels in place{i} and beyond\n\n{body}\n")
    assert mine(str(notes), "--make-queries", "--output", str(tmp_path / "made.parquet")) == 0
    assert "generated 40 queries from 40 documents in 40 passages" in capsys.readouterr().err
    command = [str(notes), "--make-queries", "--encoder", "bm25", "--depth", "20", "--seed", "1"]
    assert mine(*command, "--output", str(tmp_path / "hard.parquet")) == 0
    hard = read_examples([tmp_path / "hard.parquet"], cache=tmp_path / "own")
    assert all(e.documents[0].doc_id not in {d.doc_id for d in e.documents[1:]} for e in hard)
    assert hard.report.n_negatives > 200


def test_fills_caches_and_checks_overlap_without_an_output(
    mine: Mine, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mine(str(pairs), "--teacher", "bm25", "--scores-only", "--json") == 0
    assert json.loads(capsys.readouterr().out)["computed"] == {"bm25": 0}
    beir = tmp_path / "tested"
    (beir / "qrels").mkdir(parents=True)
    (beir / "queries.jsonl").write_text('{"_id": "1", "text": "q"}\n')
    (beir / "corpus.jsonl").write_text('{"_id": "1", "text": "nothing of it"}\n')
    assert mine(str(pairs), "--check-overlap", str(beir)) == 0
    assert "none of 60 examples shares a run of 13 words with tested" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the file to write with --output"),
        (["--output", "o.parquet"], "name the model to mine with by --encoder"),
        (["--scores-only"], "--scores-only: name a --teacher"),
        (["--scores-only", "--teacher", "bm25", "--output", "o.parquet"], "--scores-only writes no examples"),
        (
            ["--encoder", "bm25", "--output", "o.parquet", "--teacher", "bm25", "--teacher", "file"],
            "2 teachers, but one",
        ),
        (["--encoder", "bm25", "--output", "o.parquet", "--sample", "1.5"], "sample is 1.5, but has to be above 0"),
        (["--encoder", "bm25", "--output", "o.parquet", "--sample", "1e-9"], "is empty: raise --sample"),
        (["--encoder", "bm25", "--output", "o.parquet", "--depth", "4"], "depth is 4, but has to be at least 8"),
        (["--encoder", "bm25", "--output", "o.parquet", "--teacher", "magic"], "no teacher 'magic'"),
    ],
)
def test_what_does_not_fit_together(
    mine: Mine, pairs: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert mine(pairs, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "o.parquet").exists()
