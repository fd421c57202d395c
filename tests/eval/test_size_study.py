"""Growing collections: true statistics at each size, ties in order, nothing invented."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.cli.evaluation import size_study as command
from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError, UsageError
from lsr.eval.data.datasets import load_dataset
from lsr.eval.harness import Options, evaluate_system
from lsr.eval.reports.provenance import provenance
from lsr.eval.size_study import grow
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.growing_top_k import GrowingTopK, Vectors
from lsr.types import Document

DISTRACTORS = [Document(str(i), f"posting lists of gardens number {i}") for i in range(40)]


class LetterCounts:
    """A dense encoder without a model: the count of each letter in a text, at unit length."""

    dimension = 26
    description: Mapping[str, Any] = {"kind": "dense", "name": "letters"}

    def encode_dense_documents(self, documents: Sequence[Document]) -> Vectors:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Sequence[str]) -> Vectors:
        counts = np.array([[text.count(chr(97 + i)) for i in range(26)] for text in texts], np.float32)
        units: Vectors = counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)
        return units


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=7), min_size=1, max_size=6), st.integers(1, 9))
def test_the_best_so_far_are_those_of_a_full_sort(chunks: list[list[int]], k: int) -> None:
    top = GrowingTopK(np.array([[1.0], [-1.0]], np.float32), k)
    for chunk in chunks:
        top.add(np.array(chunk, np.float32)[:, None])
    values = np.array([value for chunk in chunks for value in chunk], np.float32)
    for sign, (ords, scores) in zip((1, -1), top.rows(), strict=True):
        expected = np.argsort(-sign * values, kind="stable")[:k]
        assert ords.tolist() == expected.tolist()
        assert scores.tolist() == (sign * values[expected]).tolist()


def test_each_size_is_a_collection_of_its_own(tiny: Path, tmp_path: Path) -> None:
    points = grow(load_dataset(tiny), DISTRACTORS, [0, 5, 40], load_encoder("bm25"), dense=LetterCounts())
    assert [(p.system, p.n_docs, p.n_distractors) for p in points] == [
        (system, 5 + size, size) for size in (0, 5, 40) for system in ("sparse", "dense", "hybrid")
    ]
    dataset = load_dataset(tiny)
    alone, _ = evaluate_system(
        EncoderSystem("bm25", cache=tmp_path), dataset, dataset.summary(), Options(), provenance("test")
    )
    assert points[0].ndcg_10 == pytest.approx(alone.measures["nDCG@10"])
    # The distractors are full of a query's words: even where none is found first, they change how rare the words are.
    assert points[-3].ndcg_10 != points[0].ndcg_10
    only = grow(load_dataset(tiny), DISTRACTORS, [40], load_encoder("bm25"))
    assert only[0].ndcg_10 == points[-3].ndcg_10


def test_sizes_and_too_few_distractors_are_checked(tiny: Path) -> None:
    for sizes in ([], [5, 5], [3, 1], [-1]):
        with pytest.raises(UsageError, match="sizes must ascend"):
            grow(load_dataset(tiny), DISTRACTORS, sizes, load_encoder("bm25"))
    with pytest.raises(LsrError, match="not 41 distractors"):
        grow(load_dataset(tiny), DISTRACTORS, [0, 41], load_encoder("bm25"))


def test_the_command_prints_a_table_and_writes_numbers_and_plot(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "".join(json.dumps({"_id": d.doc_id, "text": d.text}) + "\n" for d in DISTRACTORS)
    (tmp_path / "more.jsonl").write_text(text)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    given = ["size-study", str(tiny), "--distractors", str(tmp_path / "more.jsonl"), "--sizes", "0", "10"]
    args = parser.parse_args([*given, "--output", str(tmp_path / "out")])
    assert args.run(args) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["documents", "5", "15"] and "(100.0 %)" in lines[1]
    kept = json.loads((tmp_path / "out" / "size-study.json").read_text())
    assert [point["n_docs"] for point in kept["points"]] == [5, 15] and kept["encoder"]["kind"] == "bm25"
    assert (tmp_path / "out" / "size-study.png").read_bytes().startswith(b"\x89PNG")
