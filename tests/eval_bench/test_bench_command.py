"""`lsr bench` on a tiny collection: every number is there, kept indexes are used again, peers find what is there."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.main import main
from lsr.errors import LsrError, MissingExtraError, UsageError
from lsr.eval.bench import table
from lsr.eval.bench.collection import SparseCollection, make_collection, save_collection
from lsr.eval.bench.oracle import find_truth, recall
from lsr.eval.bench.registry import PEERS, choose_peers, engine, engine_version
from lsr.eval.bench.report import Measurement
from lsr.eval.bench.timing import Latency
from lsr.kernels.traversals.account import STEPS
from lsr.types import SparseBatch

PNG = b"\x89PNG\r\n\x1a\n"
Bench = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collections") / "tiny"
    save_collection(folder, make_collection(2000, 20))
    return folder


@pytest.fixture
def bench(cache: Path, tmp_path: Path) -> Bench:
    def run(*arguments: str) -> dict[str, Any]:
        path = tmp_path / "bench.json"
        assert main(["bench", *arguments, "--rounds", "1", "--cache", str(cache), "--json", str(path)]) == 0
        report: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return report

    return run


def test_our_engine_alone_gets_all_its_numbers(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "recall.png"
    report = bench(str(folder), "-k", "10", "100", "--traversals", "--without-reordering", "--plot", str(plot))
    (collection,) = report["collections"]
    assert (report["format"], report["format_version"], report["rounds"]) == ("lsr-bench", 1, 1)
    assert report["provenance"]["hardware"]["cores"] >= 1
    assert (collection["name"], collection["n_docs"], collection["n_queries"]) == ("tiny", 2000, 20)
    assert [(m["engine"], m["k"], m["recall"], m["exact"]) for m in collection["measurements"]] == [
        (name, k, 1.0, True) for k in (10, 100) for name in ("lsr", "lsr, not reordered")
    ]
    for measured in collection["measurements"]:
        latency = measured["latency"]
        assert 0 < latency["p50_us"] <= latency["p95_us"] <= latency["p99_us"] <= latency["max_us"]
        assert latency["n"] == 20
    for index in collection["indexes"]:
        assert index["build"]["build_s"] > 0
        assert index["size_bytes"] > collection["n_postings"]
        assert index["bytes_a_posting"] == pytest.approx(index["size_bytes"] / collection["n_postings"])
        assert index["open"]["open_ms"] > 0
    for throughput in collection["throughput"]:
        assert sorted(throughput["by_threads"]) == ["1", "2"]
    for compared in collection["traversals"]:
        assert {"exhaustive", "blockmax"} <= set(compared["latencies"])
        assert compared["best"]["mean_us"] <= min(latency["mean_us"] for latency in compared["latencies"].values())
        assert 0 <= compared["within_a_tenth"] <= 1
        assert sum(compared["chosen"].values()) == 20
    for touched in collection["touched"]:
        assert touched["postings"] > 0
        assert touched["superblocks"] == math.ceil(2000 / 64)
    assert plot.read_bytes().startswith(PNG)
    printed = capsys.readouterr().out
    for part in ("tiny: 2,000 documents", "bytes/posting", "k = 100", "QPS, 2 threads", "The planner chose", "warm-up"):
        assert part in printed


def test_every_step_of_a_search_is_accounted_for(
    bench: Bench, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (collection,) = bench(str(folder), "-k", "10", "--steps")["collections"]
    assert [report["settings"] for report in collection["steps"]] == ["", "fast", "balanced", "near-exact"]
    steps = {step["name"]: step for step in collection["steps"][0]["steps"]}
    assert list(steps) == list(STEPS)
    assert all(step["us"] >= 0 for step in steps.values())
    n_superblocks = math.ceil(2000 / 64)
    assert steps["bounds of superblocks"]["n_items"] == n_superblocks
    assert steps["rare terms' postings"]["n_bytes"] == 4 * steps["rare terms' postings"]["n_items"]
    scored = steps["scoring the first"], steps["scoring the rest"]
    assert 0 < sum(step["n_items"] for step in scored) <= n_superblocks
    assert scored[0]["n_bytes"] > 12 * scored[0]["n_items"]
    printed = capsys.readouterr().out
    assert "steps, k = 10" in printed and "block bounds of the rest" in printed


def test_pruned_indexes_are_held_against_the_whole_documents(
    bench: Bench, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (collection,) = bench(str(folder), "-k", "10", "--prune", "0.5", "0.9")["collections"]
    found = {m["engine"]: m for m in collection["measurements"]}
    recalls = [found[name]["recall"] for name in ("lsr, pruned to 0.5", "lsr, pruned to 0.9", "lsr")]
    assert 0.3 < recalls[0] < recalls[1] < recalls[2] == 1
    sizes = [index["size_bytes"] for index in collection["indexes"]]
    assert sizes[1] < sizes[2] < sizes[0]
    assert not found["lsr, pruned to 0.9"]["exact"]
    with pytest.raises(SystemExit):
        main(["bench", str(folder), "--prune", "1"])
    assert "it must be above 0 and below 1" in capsys.readouterr().err


def test_the_fastest_at_a_recall_are_named() -> None:
    def measured(engine: str, mean_us: float, recall: float) -> Measurement:
        latency = Latency(mean_us, 1.0, 1.0, 1.0, 1.0, 1)
        return Measurement(engine, 10, latency, recall, False, 1.0, 1.0, 1.0, 0.0)

    ours = [measured("lsr", 100, 1.0), measured("lsr, fast", 40, 0.96), measured("lsr, near-exact", 80, 0.985)]
    peers = [measured("A, fast", 400, 0.97), measured("A, slow", 600, 0.982), measured("B", 900, 0.5)]
    assert list(table._at_recall([*ours, *peers])) == [
        "At recall 0.95: lsr, fast 40 µs (0.960), A, fast 400 µs (0.970), 10.0 ×.",
        "At recall 0.98: lsr, near-exact 80 µs (0.985), A, slow 600 µs (0.982), 7.5 ×.",
    ]
    assert not list(table._at_recall(ours)) and not list(table._at_recall([ours[0], *peers]))


def test_several_sizes_are_compared_and_kept_indexes_used_again(
    bench: Bench, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plot = tmp_path / "sizes.png"
    sizes = ("--docs", "2000", "500", "--queries", "10", "--query-terms", "5", "-k", "10")
    bench(str(folder), *sizes, "--threads", "1")
    report = bench(str(folder), *sizes, "--threads", "1", "--plot", str(plot))
    assert [c["n_docs"] for c in report["collections"]] == [500, 2000]
    for collection in report["collections"]:
        assert collection["n_queries"] == 10
        assert collection["terms_a_query"] <= 5
        assert all(index["built_earlier"] for index in collection["indexes"])
        assert collection["measurements"][0]["recall"] == 1.0
    assert plot.read_bytes().startswith(PNG)
    fewer, more = (collection["measurements"][0]["latency"]["mean_us"] for collection in report["collections"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "documents, k = 10 500 2,000 recall, 500 recall, 2,000" in printed
    assert f"lsr {fewer:,.0f} {more:,.0f} ({more / fewer:.2f} ×) 1.000 1.000" in printed


def test_without_a_folder_a_collection_is_made_up(bench: Bench) -> None:
    (collection,) = bench("--docs", "300", "--queries", "5", "-k", "1000")["collections"]
    assert (collection["name"], collection["n_docs"], collection["n_queries"]) == ("made up, seed 1", 300, 5)
    assert collection["measurements"][0]["recall"] == 1.0


def test_growing_is_measured_and_changes_no_ranking(
    bench: Bench, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = bench(str(folder), "--grow", "3", "--batch", "100", "-k", "5", "50")
    (collection,) = report["collections"]
    assert (report["format"], collection["commits"], collection["batch"]) == ("lsr-bench-growth", 3, 100)
    assert collection["adding"]["n_docs"] == 1700
    assert collection["n_segments"] == 4
    for adding in (collection["adding"], collection["adding_to_small"]):
        assert adding["s"] > 0 and adding["cpu_s"] > 0 and adding["first_s"] > 0
    assert [searching["k"] for searching in collection["searching"]] == [5, 50]
    printed = capsys.readouterr().out
    assert "Adding 100 to 1,700:" in printed and "Searching, k = 50, median: merged" in printed


def test_more_growth_than_documents_is_an_error(folder: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(folder), "--grow", "2", "--cache", str(cache)]) == 2
    assert "2 commits of 1000 documents need more than the 2000" in capsys.readouterr().err


LEAST_RECALL = {"bmp": 0.9, "pisa": 1.0, "seismic": 0.75, "sindi": 0.5, "kannolo": 0.3, "lucene": 1.0}


def skip_unless_installed(peer: str) -> None:
    if engine_version(peer) is None:
        pytest.skip(f"{engine(peer).PACKAGE} isn't installed: an optional peer")


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_is_built_timed_and_held_against_the_truth(bench: Bench, folder: Path, peer: str) -> None:
    skip_unless_installed(peer)
    fewer = ("--docs", "300") if peer == "kannolo" else ()  # which takes milliseconds to insert a document
    (collection,) = bench(str(folder), *fewer, "--peers", peer, "-k", "10", "100")["collections"]
    settings = engine(peer).SETTINGS
    measured = [m for m in collection["measurements"] if m["engine"] != "lsr"]
    assert [m["engine"] for m in measured] == [s.name for s in settings] * 2
    for m in measured:
        assert LEAST_RECALL[peer] <= m["recall"] <= 1.0
        assert m["times_ours"] > 0
    assert [i["engine"] for i in collection["indexes"]] == ["lsr", *dict.fromkeys(s.index for s in settings)]
    assert collection["peers_order_is_ours"]


@pytest.mark.parametrize("peer", [name for name in PEERS if name != "lucene"])
def test_a_peer_returns_positions_whatever_order_it_was_built_in(peer: str, tmp_path: Path) -> None:
    skip_unless_installed(peer)
    made = make_collection(400, 8)
    empty = SparseBatch.from_rows([{}], made.documents.vocab_size)
    documents = SparseBatch.concatenate([empty, made.documents, empty])
    collection = SparseCollection("c", documents, made.queries)
    module = engine(peer)
    module.load()
    setting = module.SETTINGS[-1]
    order = np.random.default_rng(3).permutation(len(documents))
    module.build(documents, order, tmp_path, **setting.build)
    search = module.searcher(module.open_index(tmp_path), **setting.search)
    found = [search.positions(search.search(search.prepare(*row), 20)) for row in collection.queries]
    assert recall(collection, find_truth(collection, 20), found, 20) >= LEAST_RECALL[peer]


def test_peers_are_chosen_by_name_or_by_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lsr.eval.bench.registry.engine_version", lambda name: "1.0" if name == "bmp" else None)
    chosen, notes = choose_peers([])
    assert chosen == ["bmp"]
    assert any("pyseismic-lsr isn't installed" in note for note in notes)
    assert any("bm25s is left out" in note for note in notes)
    assert choose_peers(["bmp", "bmp"]) == (["bmp"], [])
    with pytest.raises(MissingExtraError, match="pyterrier-pisa"):
        choose_peers(["pyterrier-pisa"])
    with pytest.raises(LsrError, match="no query weights"):
        choose_peers(["bm25s"])
    with pytest.raises(UsageError, match="no such peer"):
        choose_peers(["elastic"])


def test_a_folder_without_a_collection_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(tmp_path)]) == 1
    assert "docs.npz" in capsys.readouterr().err
