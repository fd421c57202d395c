"""Leaderboards: measured beside published, nothing mixed up, nothing made up."""

from __future__ import annotations

import argparse
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from lsr.cli.evaluation import leaderboard as command
from lsr.errors import LsrError, UsageError
from lsr.eval.reports.leaderboard import collect_results, make_leaderboard
from lsr.eval.reports.pages import html, markdown
from lsr.eval.reports.provenance import provenance
from lsr.eval.reports.published import BEIR_13, PUBLISHED
from lsr.eval.reports.results import DatasetFacts, Efficiency, Latency, Protocol, Result, write_result

MADE = replace(provenance("lsr eval"), git_modified=False)


def result(system: str, dataset: str, ndcg: float, *, split: str = "test", p50_us: float = 100.0) -> Result:
    times = Latency(p50_us, 2 * p50_us, p50_us, 300)
    return Result(
        system=system,
        encoder={"kind": "bm25", "name": system, "revision": None},
        dataset=DatasetFacts(dataset, split, 300, 339, f"{dataset}-{split}", 0, 5000, 0, 0, 0),
        protocol=Protocol(100, "title and text", False, "ours", None),
        measures={"nDCG@10": ndcg, "Recall@100": 0.9, "R_cap@100": 0.95},
        n_queries_without_results=0,
        n_queries_not_judged=0,
        n_unjudged_at_10=8.0,
        identical_ids_dropped=None,
        efficiency=Efficiency(1, 100.0, 5.0, 0.3, 2_000_000, 3_000_000, 1.0, times, times, 9000.0),
        per_query=None,
        provenance=MADE,
    )


RESULTS = [result("mine", "scifact", 0.7), result("mine", "nfcorpus", 0.34), result("bm25", "scifact", 0.68)]


def test_rows_are_ordered_by_mean_and_a_system_without_all_datasets_has_none() -> None:
    board = make_leaderboard(RESULTS)
    assert board.datasets == ("nfcorpus", "scifact")
    by_name = {row.system: row for row in board.rows}
    assert by_name["mine"].mean == pytest.approx(0.52) and by_name["bm25"].mean is None
    assert by_name["mine"].measured and by_name["mine"].search_p50_us == 100.0
    assert not by_name["SPLADE-v3"].measured and by_name["SPLADE-v3"].search_p50_us is None
    means = [row.mean for row in board.rows if row.mean is not None]
    assert means == sorted(means, reverse=True) and board.rows[-1].system == "bm25"


def test_published_figures_have_sources_and_known_means() -> None:
    assert all(entry.source and entry.ndcg_10 for entry in PUBLISHED)
    by_name = {entry.system: entry for entry in PUBLISHED}
    assert by_name["BM25 (Lucene, flat)"].beir13 == pytest.approx(0.437, abs=5e-4)
    assert set(by_name["BM25 (Lucene, flat)"].ndcg_10) == set(BEIR_13)
    assert by_name["SPLADE++ EnsembleDistil"].beir13 == pytest.approx(0.505, abs=5e-4)
    board = make_leaderboard(RESULTS)
    assert set(board.sources) == {row.system for row in board.rows if not row.measured}


def test_parts_of_cqadupstack_count_as_one_dataset() -> None:
    board = make_leaderboard([result("a", "cqadupstack/gis", 0.2), result("a", "cqadupstack/tex", 0.4)])
    assert board.datasets == ("cqadupstack",)
    assert board.rows[0].values == {"cqadupstack": pytest.approx(0.3)}


def test_another_split_is_not_taken_for_test() -> None:
    board = make_leaderboard([result("a", "scifact", 0.9, split="train")])
    assert board.datasets == ("scifact (train)",)
    assert [row.system for row in board.rows] == ["a"]


def test_the_later_of_two_results_counts_and_folders_are_searched(tmp_path: Path) -> None:
    early = replace(RESULTS[0], measures={"nDCG@10": 0.1}, provenance=replace(MADE, date="2020-01-01T00:00:00+00:00"))
    write_result(tmp_path / "z.json", early)
    write_result(tmp_path / "deep" / "a.json", RESULTS[0])
    (tmp_path / "size-study.json").write_text('{"points": []}')
    (tmp_path / "list.json").write_text("[1")
    assert [found.measures["nDCG@10"] for found in collect_results([tmp_path])] == [0.7]
    with pytest.raises(LsrError, match="no result files"):
        collect_results([])


def test_results_of_different_qrels_are_not_mixed(tmp_path: Path) -> None:
    other = replace(RESULTS[2], dataset=replace(RESULTS[2].dataset, qrels_sha256="another"))
    write_result(tmp_path / "a.json", RESULTS[0])
    write_result(tmp_path / "b.json", other)
    with pytest.raises(LsrError, match=r"scifact: mine and bm25 were measured with different qrels"):
        collect_results([tmp_path])


def test_markdown_has_a_row_a_system_and_says_where_figures_come_from() -> None:
    text = markdown(make_leaderboard([*RESULTS, result("odd|name", "scifact", 0.5)]))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1
    assert "| mine | bm25, mine; measured | 0.340 | 0.700 | 0.520 | – | 100 | 100 | 2.0 |" in lines
    assert "odd\\|name" in text and "Pyserini" in text and "Timed on:" in text


def test_html_is_one_well_formed_page_with_plots_and_escaped_names() -> None:
    page = html(make_leaderboard([*RESULTS, result("<b>&", "nfcorpus", 0.3), result("<b>&", "scifact", 0.3)]))
    assert "<b>&" not in page and "&lt;b&gt;&amp;" in page
    plots = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(plots) == 2
    for plot in plots:
        root = ET.fromstring(plot)
        assert len(root.findall("circle")) == 2
        assert all(float(circle.get("cx", "nan")) >= 0 for circle in root.findall("circle"))
    assert "http" not in re.sub(r"<li>.*?</li>", "", page, flags=re.DOTALL)


def test_a_single_measured_point_can_be_drawn() -> None:
    page = html(make_leaderboard([result("only", "cranfield", 0.4)], published=()))
    assert page.count("<circle") == 2


def test_a_result_without_the_measure_is_refused() -> None:
    with pytest.raises(LsrError, match=r"mine on scifact has no nDCG@10"):
        make_leaderboard([replace(RESULTS[0], measures={"P@10": 0.1})])


@pytest.fixture
def run_command(tmp_path: Path) -> Callable[..., int]:
    for number, entry in enumerate(RESULTS):
        write_result(tmp_path / "in" / f"{number}.json", entry)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())

    def call(*arguments: str) -> int:
        args = parser.parse_args(["leaderboard", str(tmp_path / "in"), *arguments])
        code: int = args.run(args)
        return code

    return call


def test_the_command_prints_markdown_or_writes_files(
    run_command: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command() == 0
    assert capsys.readouterr().out.startswith("# Leaderboard")
    assert run_command("--html", str(tmp_path / "o" / "x.html"), "--markdown", str(tmp_path / "x.md")) == 0
    assert capsys.readouterr().out == ""
    assert (tmp_path / "o" / "x.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "x.md").read_text().startswith("# Leaderboard")


def test_the_command_says_what_goes_together(run_command: Callable[..., int], tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mteb DIR goes with"):
        run_command("--mteb", str(tmp_path))
    with pytest.raises(LsrError, match="no result of 'x'; there is bm25, mine"):
        run_command("--system", "x")
    options = ["--mteb", str(tmp_path / "m"), "--model", "me/mine", "--revision", "v1"]
    with pytest.raises(LsrError, match="choose one with --system"):
        run_command(*options)
    assert run_command(*options, "--system", "mine") == 0
    names = sorted(path.name for path in (tmp_path / "m").rglob("*.*"))
    assert names == ["NFCorpus.json", "SciFact.json", "model_meta.json", "model_meta.py"]
