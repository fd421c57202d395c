"""`lsr eval`, as it is typed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lsr.cli.evaluation import eval as command
from lsr.errors import LsrError, UsageError
from lsr.eval.data.runs import read_run
from lsr.eval.reports.results import read_result

Command = Callable[..., list[str]]


@pytest.fixture
def lsr_eval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())

    def call(*arguments: object) -> list[str]:
        args = parser.parse_args(["eval", *map(str, arguments), "--cache", str(tmp_path / "cache")])
        assert args.run(args) == 0
        return capsys.readouterr().out.splitlines()

    return call


def test_a_row_a_dataset_then_the_mean_then_the_costs(lsr_eval: Command, tiny: Path, other: Path) -> None:
    lines = lsr_eval(tiny, other, "--encoder", "bm25")
    assert lines[0].split() == ["dataset", "system", "nDCG@10", "Recall@100", "R_cap@100", "MRR@10", "MAP@100", "P@10"]
    assert [line.split()[0] for line in lines[2:5]] == ["tiny", "other", "mean"]
    first, second, mean = (list(map(float, line.split()[-6:])) for line in lines[2:5])
    assert mean == pytest.approx([(a + b) / 2 for a, b in zip(first, second, strict=True)], abs=1e-4)
    assert lines[6].split()[2:5] == ["terms/doc", "terms/query", "FLOPS"]
    assert len({len(line) for line in lines[0:5]}) == 1


def test_json_is_one_object_a_line(lsr_eval: Command, tiny: Path, other: Path) -> None:
    entries = [json.loads(line) for line in lsr_eval(tiny, other, "--json")]
    assert [entry["kind"] for entry in entries] == ["result", "result", "mean"]
    assert entries[0]["per_query"] is None and entries[2]["n_datasets"] == 2
    assert entries[0]["provenance"]["command"].startswith(f"lsr eval {tiny} {other} --cache")


def test_result_files_and_runs_are_written_and_read_back(lsr_eval: Command, tiny: Path, tmp_path: Path) -> None:
    lsr_eval(tiny, "--output", tmp_path / "out", "--per-query", "--measures", "nDCG@10", "P@2")
    result = read_result(tmp_path / "out" / "tiny-test-bm25.json")
    assert list(result.measures) == ["nDCG@10", "P@2"] and result.per_query is not None
    run = tmp_path / "out" / "tiny-test-bm25.trec.gz"
    assert "d1" in read_run(run)["q1"]
    lines = lsr_eval("--run", run, "--qrels", tiny / "qrels" / "test.tsv", "--measures", "nDCG@10", "P@2")
    assert [float(cell) for cell in lines[2].split()[-2:]] == pytest.approx(list(result.measures.values()), abs=5e-5)


def test_several_runs_are_compared_with_significance_and_a_plot(
    lsr_eval: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    qrels = tmp_path / "qrels"
    qrels.write_text("".join(f"q{i} 0 good 1\n" for i in range(30)))
    better, worse = tmp_path / "better.trec", tmp_path / "worse.trec"
    better.write_text("".join(f"q{i} Q0 good 1 2.0 x\nq{i} Q0 bad 2 1.0 x\n" for i in range(30)))
    worse.write_text("".join(f"q{i} Q0 bad 1 2.0 x\nq{i} Q0 good 2 1.0 x\n" for i in range(29)))
    lines = lsr_eval("--run", worse, better, "--qrels", qrels, "--output", tmp_path / "out", "--per-query")
    (compared,) = (line for line in lines if "30 won, 0 tied, 0 lost" in line)
    assert "better.trec − worse.trec" in compared and compared.endswith("*")
    assert (tmp_path / "out" / "qrels-worse.trec-against-better.trec.png").is_file()
    assert "qrels\tq29\t0.0000\t1.0000\t+1.0000" in lines
    entries = [json.loads(line) for line in lsr_eval("--run", worse, better, "--qrels", qrels, "--json", "--per-query")]
    assert entries[-1]["kind"] == "comparison" and entries[-1]["differences"]["q29"] == 1.0
    assert entries[-1]["p_randomised_holm"] < 0.001


def test_what_counts_as_zero_is_said(lsr_eval: Command, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["eval", str(tiny), "--cache", str(tiny.parent / "cache"), "--drop-identical-ids"])
    args.run(args)
    said = capsys.readouterr().err
    assert "1 of 3 queries of tiny have no results and count 0" in said
    assert "1 judged documents are not in the corpus" in said
    assert "1 hits with the query's own id dropped" in said


def test_fusions_stand_beside_their_legs(
    lsr_eval: Command, tiny: Path, tmp_path: Path, write_vectors: Callable[[Path, dict[str, dict[str, int]]], Path]
) -> None:
    vectors = write_vectors(tmp_path / "documents.parquet", {"d4": {"x": 1}, "d1": {"y": 2}})
    queries = tmp_path / "queries.tsv"
    queries.write_text("q1\ty\nq2\tx\nq3\tx\n")
    options = ["--encoder", "bm25", "--vectors", vectors, "--queries", queries, "--fusion", "rrf"]
    entries = [json.loads(line) for line in lsr_eval(tiny, *options, "--json")]
    results = [entry for entry in entries if entry["kind"] == "result"]
    names = [entry["system"] for entry in results]
    assert len(names) == 3 and names[2] == f"rrf({names[0]}, {names[1]})"
    assert [leg["kind"] for leg in results[2]["encoder"]["legs"]] == ["bm25", "vectors"]
    assert results[2]["n_queries_without_results"] == 0
    assert len([entry for entry in entries if entry["kind"] == "comparison"]) == 3


def test_learned_weights_are_learned_on_another_split(lsr_eval: Command, tiny: Path) -> None:
    with (tiny / "queries.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"_id": "q9", "text": "sparse posting"}) + "\n")
    (tiny / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq9\td1\t1\n")
    options = ["--feedback", "2", "--fusion", "learned", "--json"]
    learned = next(json.loads(line) for line in lsr_eval(tiny, *options) if '"learned(' in line)
    assert learned["system"] == "learned(bm25, bm25+feedback)" and learned["encoder"]["learned_on"] == "dev"
    assert sum(learned["encoder"]["weights"]) == pytest.approx(1)
    with pytest.raises(UsageError, match="split 'test' are measured too: learn on another split"):
        lsr_eval(tiny, *options, "--learn-on", "test")


def test_feedback_stands_beside_what_it_feeds(lsr_eval: Command, tiny: Path) -> None:
    entries = [json.loads(line) for line in lsr_eval(tiny, "--feedback", "2", "--json")]
    plain, fed = (entry for entry in entries if entry["kind"] == "result")
    assert (plain["system"], fed["system"]) == ("bm25", "bm25+feedback")
    assert fed["encoder"] == plain["encoder"] | {"feedback": {"n_docs": 2, "n_terms": 10, "alpha": 1.0, "beta": 0.75}}
    assert fed["efficiency"]["query_terms"] > plain["efficiency"]["query_terms"]
    assert fed["efficiency"]["flops"] > plain["efficiency"]["flops"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name what to measure"),
        (["TINY", "--run", "x", "--qrels", "y"], "name what to measure"),
        (["--run", "x"], "go together"),
        (["TINY", "--vectors", "x.parquet"], "go together"),
        (["TINY", "--measures", "nDCG@1000"], "give -k 1000"),
        (["TINY", "--measures", "F1"], "unknown measure 'F1'"),
        (["TINY", "--fusion", "rrf"], "two systems or more"),
    ],
)
def test_usage_errors_say_what_is_missing(lsr_eval: Command, tiny: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        lsr_eval(*(str(tiny) if argument == "TINY" else argument for argument in arguments))


def test_unknown_datasets_and_two_of_one_name_are_errors(lsr_eval: Command, tiny: Path) -> None:
    with pytest.raises(LsrError, match="'sifact' is neither a folder nor a BEIR dataset"):
        lsr_eval("sifact")
    with pytest.raises(LsrError, match="two datasets have the same name"):
        lsr_eval(tiny, tiny)


def with_years(folder: Path) -> Path:
    """Give every document of a dataset the field `year`: 2000, 2001, …"""
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    rows = [entry | {"year": 2000 + i} for i, entry in enumerate(corpus)]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_search_options_apply_to_every_encoder(lsr_eval: Command, tiny: Path, tmp_path: Path) -> None:
    folder = with_years(tiny)
    lsr_eval(folder, "--encoder", "bm25", "--where", "year >= 2001", "--output", tmp_path / "out")
    run = read_run(tmp_path / "out" / "tiny-test-bm25.trec.gz")
    assert list(run["q1"]) == ["d2"] and "d1" not in run["q1"]
    with pytest.raises(LsrError, match="results for none of the 3 judged queries"):
        lsr_eval(folder, "--encoder", "bm25", "--min-score", "1000")


@pytest.mark.parametrize("options", [("--facets", "year"), ("--offset", "3"), ("--sort", "year")])
def test_options_without_an_effect_on_measures_are_unknown(
    lsr_eval: Command, tiny: Path, options: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit):
        lsr_eval(tiny, "--encoder", "bm25", *options)


def test_search_options_do_not_mix_with_comparisons(lsr_eval: Command, tiny: Path) -> None:
    with pytest.raises(UsageError, match="--hybrid compares plain searches with others: leave out the search options"):
        lsr_eval(tiny, "--encoder", "bm25", "--hybrid", "--where", "year >= 2001")


def test_words_have_the_language_that_is_asked_for(lsr_eval: Command, tmp_path: Path) -> None:
    folder = tmp_path / "deutsch"
    (folder / "qrels").mkdir(parents=True)
    texts = {"d1": "das Haus steht", "d2": "die Häuser stehen"}
    rows = [json.dumps({"_id": name, "text": text}) + "\n" for name, text in texts.items()]
    (folder / "corpus.jsonl").write_text("".join(rows))
    (folder / "queries.jsonl").write_text('{"_id": "q1", "text": "Häusern"}\n{"_id": "q2", "text": "steht"}\n')
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t1\nq2\td1\t1\n")

    def found(*more: str) -> float:
        return float(lsr_eval(folder, "--encoder", "bm25", "--measures", "Recall@100", *more)[2].split()[-1])

    assert [found(), found("--language", "german")] == [0.5, 1.0]
    (tmp_path / "stop.txt").write_text("haus\nhäuser\nhäusern\n")
    assert found("--language", "german", "--stopwords", str(tmp_path / "stop.txt")) == 0.5
    with pytest.raises(UsageError, match="--language is of bm25, but fast is not"):
        lsr_eval(folder, "--encoder", "fast", "--language", "german")
