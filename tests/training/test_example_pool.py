"""Examples drawn for a training, and the pool of their documents that an index is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pyarrow.parquet as parquet
import pytest

from lsr.errors import LsrError, UsageError
from lsr.training.data.read_examples import read_examples
from lsr.training.data.sources.records import text_id
from lsr.training.mining import example_pool
from lsr.training.teachers.hybrid_index import body_hash

WORDS = "river bank money fish loan boat captain harbour interest credit salmon anchor".split()


def text_of(number: int) -> str:
    return " ".join(f"{WORDS[(number * step) % 12]}{number}" for step in range(1, 31))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Twelve pairs of two sources, one of them too short, and three without a source."""
    rows = [
        {"source": "a" if n % 2 else "b", "query": f"query {n}", "positive": text_of(n), "title": f"Title {n}"}
        for n in range(12)
    ]
    rows[3]["positive"] = "too short a text"
    rows[4]["title"] = "Query 4 "
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "pairs.parquet")
    made = [{"query": f"made {n}", "positive": text_of(n % 2)} for n in range(3)]
    parquet.write_table(pyarrow.Table.from_pylist(made), tmp_path / "made.parquet")
    return [tmp_path / "pairs.parquet", tmp_path / "made.parquet"]


def test_all_documents_of_the_examples_are_in_the_pool(
    files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "pool"
    options = ["--output", str(output), "--most", "a=2", "b=4", "--words", "20", "--phrases", "5", "--seed", "3"]
    monkeypatch.setattr("sys.argv", ["example_pool", *map(str, files), *options])
    example_pool.main()
    rows = parquet.read_table(output / "examples.parquet").to_pylist()
    counts = {source: sum(row["source"] == source for row in rows) for source in ("a", "b", "made", "phrase")}
    assert counts == {"a": 2, "b": 4, "made": 3, "phrase": 5}
    pool = [json.loads(line) for line in (output / "pool.jsonl").read_text().splitlines()]
    assert f"{len(rows)} examples of {len(pool)} documents" in capsys.readouterr().out
    ids = {row["_id"]: row for row in pool}
    assert len(ids) == len(pool) and {row["positive_id"] for row in rows} == set(ids)
    assert all(len(row["text"].split()) == 20 for row in pool)

    examples = read_examples([output / "examples.parquet"], cache=tmp_path / "cache")
    known = {row["text"].lower() for row in pool}
    for i in range(len(examples)):
        document = examples[i].documents[0]
        assert document.text.lower() in known and text_id(document) in ids and body_hash(document)


def test_the_same_seed_draws_the_same(files: list[Path]) -> None:
    def drawn(seed: int) -> list[str]:
        pairs = [pair for path in files for pair in example_pool.read_pairs(path, words=20)]
        return [pair.query for pair in example_pool.draw(pairs, {"a": 2}, seed=seed)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_a_title_that_is_the_query_is_left_out(files: list[Path]) -> None:
    pairs = {pair.query: pair.document for pair in example_pool.read_pairs(files[0], words=99)}
    assert pairs["query 4"].title == "" and pairs["query 5"].title == "Title 5" and "query 3" not in pairs


def test_files_and_sources_that_are_not_there_are_named(files: list[Path], tmp_path: Path) -> None:
    pairs = list(example_pool.read_pairs(files[0], words=20))
    with pytest.raises(UsageError, match=r"no pair is of source 'c': there are b, a"):
        example_pool.draw(pairs, {"c": 3}, seed=0)
    (tmp_path / "no.parquet").write_text("text")
    with pytest.raises(LsrError, match="can't be read as Parquet"):
        list(example_pool.read_pairs(tmp_path / "no.parquet", words=20))
    parquet.write_table(pyarrow.table({"text": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(LsrError, match="has no columns query and positive, but text"):
        list(example_pool.read_pairs(tmp_path / "other.parquet", words=20))
