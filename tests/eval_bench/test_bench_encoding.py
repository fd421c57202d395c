"""The account of encoding counts each step once; other runtimes give the same terms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from lsr.encoders.compiled import forward, products
from lsr.errors import LsrError, UsageError
from lsr.eval.bench.encoding.account import account, lines
from lsr.eval.bench.encoding.dense_query import times
from lsr.eval.bench.encoding.memory import KINDS, index, line, resident
from lsr.eval.bench.encoding.noise import Vectors, metrics, with_errors
from lsr.eval.bench.encoding.passages import passages
from lsr.eval.bench.encoding.repeated_rows import RepeatedRows
from lsr.kernels.encode.vocabulary import largest_scores
from lsr.types import Document, SparseBatch


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "notes.jsonl"
    path.write_text("".join(f'{{"_id": "{i}", "text": "The {i}th tide rose over the sand."}}\n' for i in range(8)))
    return path


def test_passages_are_two_neighbours_each(corpus: Path) -> None:
    found = passages(corpus, 4)
    assert [document.doc_id for document in found] == ["0", "1", "2", "3"]
    assert found[1].text == "The 2th tide rose over the sand. The 3th tide rose over the sand."
    with pytest.raises(UsageError, match="has 8 documents, but 10 are needed: lower --passages"):
        passages(corpus, 5)


def test_an_account_has_the_operations_of_each_layer_and_leaves_the_kernels_alone(corpus: Path) -> None:
    attend = forward.attend
    found = account(corpus, 4, rounds=1)
    assert forward.attend is attend and products.largest_scores is largest_scores
    assert sum(step.seconds for step in found.steps.values()) <= found.seconds and found.n_texts == 4
    rows = -(-found.n_tokens // 6) * 6
    assert found.steps["linear 384 → 1152"].operations == 6 * 2 * rows * 384 * 1152
    assert found.steps["attend"].operations == 0
    table = lines(found, 4e11, 1e11)
    assert table[-3].startswith("| in all |") and any(row.startswith("| largest_bounds 164 → 30522") for row in table)
    assert "4 passages of" in table[-1] and "400 billion on bytes and 100 billion on float32" in table[-1]


SMAPS = """\
55d000-55f000 r-xp 00000000 fe:01 1 /usr/bin/python3.11
Size: 900 kB
Rss: 100 kB
7f000-7f100 rw-p 00000000 00:00 0
Rss: 200 kB
7f200-7f300 rw-p 00000000 00:00 0 [heap]
Rss: 30 kB
7f400-7f500 r--p 00000000 fe:01 2 /a b/numpy/core.cpython-311-x86_64-linux-gnu.so
Rss: 4 kB
7f600-7f700 r--s 00000000 fe:01 3 /models/compact.safetensors
Rss: 50 kB
7f800-7f900 r--s 00000000 fe:01 3 /index/impacts.bin
Rss: 6 kB
"""


def test_memory_is_told_apart_by_what_is_mapped() -> None:
    held = resident(SMAPS)
    assert [held[kind] // 1024 for kind in KINDS] == [230, 104, 50, 6]
    assert line("opened", held) == "| opened | 0 | 0 | 0 | 0 | 0 |"
    assert line("peak", {"bytes": 3_400_000}) == "| peak |  |  |  |  | 3 |"


def test_the_memory_of_an_index_is_that_of_a_new_process(corpus: Path) -> None:
    found = index(corpus, "bm25", 1)
    assert 0 < sum(found["when most was seen"].values()) <= found["peak"]["bytes"] * 1.05
    with pytest.raises(LsrError, match="ended with status 1"):
        index(corpus.with_name("nothing"), "bm25", 1)


class Counting:
    """A model whose n-th document has n terms of weight n, and which counts the documents that it was given."""

    name, n_documents = "counting", 0

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        self.n_documents += len(documents)
        lengths = np.arange(1, len(documents) + 1)
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        term_ids = np.concatenate([np.arange(n) for n in lengths]).astype(np.int32)
        return SparseBatch(indptr, term_ids, np.repeat(lengths, lengths).astype(np.float32), 99)

    def encode_dense_queries(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        return np.ones((len(texts), 1), np.float32)


def test_rows_are_encoded_once_and_repeated() -> None:
    model, documents = Counting(), [Document(str(i), "tide") for i in range(40)]
    encoder = RepeatedRows(model)
    first, then = encoder.encode_documents(documents), encoder.encode_documents(documents[:3])
    assert model.n_documents == 32 and encoder.name == "counting"
    assert np.diff(first.indptr).tolist() == [*range(1, 33), *range(1, 9)]
    assert then.term_ids.tolist() == [0, 0, 1, 0, 1, 2] and then.weights.tolist() == [1, 2, 2, 3, 3, 3]
    for rows in (first, then):
        rows.check()


def test_each_query_is_timed_by_each_encoder() -> None:
    found = times({"a": Counting(), "b": Counting()}, ["tide", "sand", "gull"], rounds=2)
    assert list(found) == ["a", "b"] and all(len(of) == 3 and 0 < max(of) < float("inf") for of in found.values())


def test_errors_of_vectors_have_the_size_that_is_asked_for() -> None:
    random = np.random.default_rng(1)
    exact = with_errors(np.zeros((500, 384), np.float32), 0.5, random)
    found = with_errors(exact, 0.001, random)
    assert 1 - float((exact * found).sum(1).mean()) == pytest.approx(0.001, rel=0.1)
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)


def test_errors_are_measured_by_what_they_change() -> None:
    documents = np.eye(3, 4, dtype=np.float32)
    first = np.arange(3), np.array([3, 2, 1], np.float32)
    vectors = Vectors(documents, documents[1:2], ["a", "b", "c"], ["q"], [first])
    qrels = {"q": {"b": 1}}
    assert metrics(vectors, qrels, documents, vectors.queries).tolist() == [1.0, 1.0]
    changed = metrics(vectors, qrels, documents, documents[2:3])  # the query that finds c: b is behind it, or behind a
    assert changed[0] < 1 and changed[1] < 1


@pytest.mark.large
def test_sentence_transformers_gives_the_same_terms(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers")
    from lsr.eval.bench.encoding.runtimes import measure

    rows, _ = measure(corpus, 4, threads=1, rounds=1, folder=tmp_path)
    by_name = {row.name: row for row in rows}
    assert by_name["lsr, int8"].same_alone == by_name["lsr, float32"].same_alone == 1
    assert by_name["lsr, float32"].error < 1e-4 and by_name["lsr, int8"].error < 0.02
