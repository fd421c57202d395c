"""Recall of approximate levels, measured on an index's own documents, kept with it, and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.main import main
from lsr.errors import IndexDamagedError, UsageError
from lsr.eval.bench.collection import make_collection
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import checked_bytes, manifest_bytes, parse_manifest
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.set_in_manifest import set_recall
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.writer import IndexWriter
from lsr.query.engine.approximate import LEVELS
from lsr.query.recall import QUERY_TERMS, measure_recall, own_queries
from lsr.query.searcher import Searcher
from lsr.types import Document

N_DOCS = 6000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of documents in the shape of learned vectors, not in the order of their topics."""
    collection = make_collection(N_DOCS, 1)
    encoder = ReadyVectors(map(str, range(collection.documents.vocab_size)))
    path = tmp_path_factory.mktemp("recall") / "index"
    with IndexWriter(path, encoder, reorder=False) as writer:
        writer.add([Document(str(i), "") for i in range(N_DOCS)], collection.documents)
        writer.commit()
    return path


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let levels score few superblocks: there are only 94."""
    monkeypatch.setattr("lsr.query.engine.approximate.FIRST", 1.0)


def test_levels_find_more_the_more_they_score(made: Path, little: None) -> None:
    with StoredIndex.open(made) as index:
        searcher = Searcher(index)
        measured = measure_recall(searcher, n_queries=40, ks=(1,))
    found = [measured["levels"][level]["1"] for level in LEVELS]
    assert found == sorted(found) and 0 < found[0] < 1
    assert (measured["n_docs"], measured["n_queries"], measured["generation"]) == (N_DOCS, 40, 1)


def test_recall_is_that_of_the_exact_results_without_the_document_itself(made: Path, little: None) -> None:
    from lsr.query.engine.approximate import Approximate

    with StoredIndex.open(made) as index:
        searcher = Searcher(index)
        measured = measure_recall(searcher, n_queries=10, ks=(5,))
        values = []
        for own, (term_ids, weights) in own_queries(searcher, 10):
            assert len(term_ids) == QUERY_TERMS and np.all(np.diff(term_ids) > 0)
            exact = searcher.engine.rank(term_ids, weights, 6)
            near = searcher.engine.rank(term_ids, weights, 6, approximate=Approximate(level="fast"))
            assert exact.positions[0] == own
            best = set(exact.positions[1:].tolist())
            values.append(len(best & set(near.positions.tolist())) / 5)
    assert measured["levels"]["fast"]["5"] == pytest.approx(np.mean(values), abs=1e-4)


def test_it_is_kept_with_the_index_and_shown(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "copy.lsr"), "--index", str(made)]) == 0
    path = tmp_path / "index"
    assert main(["import", str(tmp_path / "copy.lsr"), "--index", str(path)]) == 0
    capsys.readouterr()
    assert main(["stats", "--index", str(path), "--recall", "20", "--json"]) == 0
    stats = json.loads(capsys.readouterr().out)
    assert stats["recall"]["n_queries"] == 20 and set(stats["recall"]["levels"]) == set(LEVELS)
    assert stats["generation"] == 2
    assert set_recall(path, stats["recall"]).generation == 2
    delete_documents(["5"], path)
    assert main(["stats", "--index", str(path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    value = stats["recall"]["levels"]["balanced"]["10"]
    assert f"balanced recall@10 {value:.3f}, recall@100" in printed
    assert "(20 queries, when there were 6,000 documents)" in printed
    assert set_recall(path, None).recall is None


def test_deleted_documents_are_no_queries(made: Path, tmp_path: Path) -> None:
    assert main(["export", str(tmp_path / "copy.lsr"), "--index", str(made)]) == 0
    assert main(["import", str(tmp_path / "copy.lsr"), "--index", str(tmp_path / "index")]) == 0
    delete_documents([str(i) for i in range(0, N_DOCS, 2)], tmp_path / "index")
    with StoredIndex.open(tmp_path / "index") as index:
        searcher = Searcher(index)
        assert all(own % 2 for own, _ in own_queries(searcher, 100))


def test_an_index_without_documents_has_no_queries(tmp_path: Path) -> None:
    with IndexWriter(tmp_path / "index", ReadyVectors(["a"])) as writer:
        writer.commit()
    with StoredIndex.open(tmp_path / "index") as index, pytest.raises(UsageError, match="no document of which"):
        measure_recall(Searcher(index))


@pytest.mark.parametrize(
    "entry",
    [
        {"levels": {"fast": {"10": 1.5}}, "generation": 1, "n_docs": 1, "n_queries": 1},
        {"levels": {"fast": {"10": "1"}}, "generation": 1, "n_docs": 1, "n_queries": 1},
        {"levels": {"fast": 1}, "generation": 1, "n_docs": 1, "n_queries": 1},
        {"levels": {}, "generation": 1, "n_docs": -1, "n_queries": 1},
        {"levels": {}, "n_docs": 1, "n_queries": 1},
        [],
    ],
)
def test_a_forged_record_is_damage(made: Path, tmp_path: Path, entry: Any) -> None:
    with StoredIndex.open(made) as index:
        content = json.loads(manifest_bytes(index.manifest))
    del content["crc32"]
    with pytest.raises(IndexDamagedError, match="missing or malformed"):
        parse_manifest(checked_bytes(content | {"recall": entry}), tmp_path / "manifest")


def test_stats_count_what_was_measured_in_passages_where_documents_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "long.txt"
    text.write_text(" ".join(f"word{n % 97} tree{n % 31}" for n in range(900)), encoding="utf-8")
    path = tmp_path / "index"
    assert main(["index", str(text), "--encoder", "fast", "--passages", "--prune", "0.9", "--index", str(path)]) == 0
    assert main(["stats", "--recall", "--index", str(path)]) == 0
    shown = capsys.readouterr().out
    assert "when there were" not in shown
    assert "documents" not in next(line for line in shown.splitlines() if line.startswith("pruned"))
