"""The commands on real collections reach the numbers that are known for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.eval.data.datasets import load_dataset
from lsr.eval.data.runs import read_run
from lsr.eval.measures.measures import evaluate
from lsr.indexer.storage.index import StoredIndex

Lsr = Callable[..., Any]
SPLADE_QUERIES = "data/sparse/queries/topics.beir-v1.0.0-nfcorpus.test.splade-v3.tsv.gz"


def ndcg(run: Path, dataset: Path) -> float:
    return evaluate(read_run(run), load_dataset(dataset).qrels).mean["nDCG@10"]


def test_splade_v3_on_nfcorpus(shared: Path, tmp_path: Path, lsr: Lsr) -> None:
    vectors = shared / "data/sparse/nfcorpus-splade-v3/documents.parquet"
    index, run = tmp_path / "index", tmp_path / "run.trec"
    assert lsr("index", "--vectors", vectors, "--index", index).code == 0
    assert lsr("search", "--index", index, "--queries", shared / SPLADE_QUERIES, "--run", run, "-k", "100").code == 0
    assert ndcg(run, shared / "data/beir/nfcorpus") == pytest.approx(0.3632, abs=5e-4)
    manifest = StoredIndex.open(index).manifest
    assert manifest.scale == 1.0 and manifest.n_clipped == 0
    assert manifest.n_postings / manifest.n_docs == pytest.approx(274.8, abs=0.1)
    assert lsr("check", "--index", index).code == 0


@pytest.mark.parametrize(("name", "least"), [("scifact", 0.675), ("nfcorpus", 0.317)])
def test_bm25(shared: Path, tmp_path: Path, lsr: Lsr, name: str, least: float) -> None:
    dataset = shared / "data/beir" / name
    index, run = tmp_path / "index", tmp_path / "run.trec"
    assert lsr("index", dataset, "--index", index).code == 0
    done = lsr("search", "--index", index, "--queries", dataset / "queries.jsonl", "--run", run, "-k", "100")
    assert done.code == 0 and ndcg(run, dataset) >= least
    assert lsr("check", "--index", index).code == 0
