"""TREC runs: order kept by every tool, nothing odd read silently."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsr.errors import LsrError
from lsr.eval.data.qrels import read_qrels
from lsr.eval.data.runs import (
    Ranking,
    rankings_of,
    read_run,
    run_lines,
    run_of,
    strictly_decreasing,
    trec_order,
    write_run,
)
from lsr.eval.data.trec_words import from_word

SCORES = st.lists(st.floats(-1e30, 1e30, allow_nan=False), max_size=60).map(lambda values: sorted(values, reverse=True))
TIED = st.lists(st.integers(0, 3), max_size=60).map(lambda values: sorted(map(float, values), reverse=True))


@given(st.one_of(SCORES, TIED))
def test_written_scores_strictly_decrease_as_float32_and_as_text(scores: list[float]) -> None:
    result = strictly_decreasing(scores)
    assert np.all(np.diff(result) < 0)
    texts = [str(score) for score in result]
    assert all(float(a) > float(b) for a, b in itertools.pairwise(texts))
    assert [np.float32(text) for text in texts] == result.tolist()


@given(SCORES)
def test_scores_that_differ_as_float32_are_left_alone(scores: list[float]) -> None:
    distinct = sorted({float(np.float32(score)) for score in scores}, reverse=True)
    assert strictly_decreasing(distinct).tolist() == distinct


@pytest.mark.parametrize("scores", [[1.0, 2.0], [float("nan")], [float("inf"), 1.0], [1e39]])
def test_scores_out_of_order_or_not_finite_are_refused(scores: list[float]) -> None:
    with pytest.raises(LsrError, match="scores must"):
        strictly_decreasing(scores)


@pytest.mark.parametrize("name", ["run.trec", "run.trec.gz"])
def test_a_run_written_reads_back_in_the_same_order_ties_and_all(tmp_path: Path, name: str) -> None:
    rankings = [Ranking("q1", ["a", "z", "m"], [2.5, 2.5, 2.5]), Ranking("q2", ["b"], [0.1]), Ranking("q3", [], [])]
    assert write_run(tmp_path / name, rankings, tag="mine") == 4
    run = read_run(tmp_path / name)
    assert {query_id: trec_order(found) for query_id, found in run.items()} == {"q1": ["a", "z", "m"], "q2": ["b"]}
    for query_id, found in run.items():
        assert [np.float32(found[d]) for d in found] == [np.float32(s) for s in run_of(rankings)[query_id].values()]


def test_a_line_has_the_six_columns_of_trec(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [Ranking("q1", ["d7", "d8"], [3.0, 3.0])], tag="lsr")
    assert (tmp_path / "run").read_text() == "q1 Q0 d7 1 3.0 lsr\nq1 Q0 d8 2 2.9999998 lsr\n"


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from(" %\t2F"), min_size=1),
        min_size=1,
        unique=True,
    )
)
def test_ids_with_white_space_and_percent_signs_come_back_as_they_were(doc_ids: list[str]) -> None:
    scores = [float(-rank) for rank in range(len(doc_ids))]
    text = "".join(run_lines(Ranking("my query", doc_ids, scores), tag="x"))
    lines = [line.split() for line in text.split("\n")[:-1]]
    assert {len(columns) for columns in lines} == {6}
    assert [from_word(columns[2]) for columns in lines] == doc_ids
    assert from_word(lines[0][0]) == "my query"


@pytest.mark.parametrize("word", ["a", "ümlaut", "50%", "%FF", "a%2", "100%zz"])
def test_a_word_that_no_writer_escaped_is_its_own_id(word: str) -> None:
    assert from_word(word) == word


def test_a_run_and_trec_qrels_with_escaped_ids_agree(tmp_path: Path) -> None:
    write_run(tmp_path / "run", [Ranking("q1", ["my file.txt"], [2.0])])
    assert read_run(tmp_path / "run") == {"q1": {"my file.txt": 2.0}}
    (tmp_path / "qrels").write_text("q1 0 my%20file.txt 1\n")
    assert read_qrels(tmp_path / "qrels") == {"q1": {"my file.txt": 1}}


def test_an_empty_id_is_refused_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="can't hold an empty doc_id"):
        write_run(tmp_path / "run", [Ranking("q1", ["ok", ""], [2.0, 1.0])])
    assert list(tmp_path.iterdir()) == []


def test_a_query_or_document_given_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="two rankings"):
        write_run(tmp_path / "run", [Ranking("q1", ["a"], [1.0])] * 2)
    with pytest.raises(LsrError, match="two rankings"):
        run_of([Ranking("q1", ["a"], [1.0])] * 2)
    with pytest.raises(LsrError, match="twice"):
        run_of([Ranking("q1", ["a", "a"], [2.0, 1.0])])


def test_tabs_spaces_and_any_line_order_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("q1\tQ0\ta\t2\t1.5\tx\n\nq2   Q0 b 1   7e-3 x\r\nq1 Q0 c 1 -2 x\n")
    assert read_run(path) == {"q1": {"a": 1.5, "c": -2.0}, "q2": {"b": 0.007}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty run"),
        ("q1 Q0 a 1 2.0\n", ":1: 5 columns"),
        ("q1 Q0 a 1 2.0 x\nq1 Q0 b 2 nan x\n", ":2: .*'b'.*'q1'.*not finite"),
        ("q1 Q0 a 1 -inf x\n", "not finite"),
        ("q1 Q0 a 1 high x\n", "'high' is no number"),
        ("q1 Q0 a 1 2 x\nq1 Q0 a 2 1 x\n", ":2: .*second time"),
    ],
)
def test_broken_runs_are_errors_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.trec"
    path.write_text(text)
    with pytest.raises(LsrError, match=message) as caught:
        read_run(path)
    assert "bad.trec" in str(caught.value)


def test_a_cut_off_gzip_and_a_missing_file_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "run.gz"
    whole = gzip.compress(b"".join(b"q%d Q0 a 1 2.0 x\n" % i for i in range(5000)))
    path.write_bytes(whole[:-40])
    with pytest.raises(LsrError, match="broken gzip"):
        read_run(path)
    with pytest.raises(LsrError, match="No such file"):
        read_run(tmp_path / "absent")


def test_ties_are_ordered_as_trec_eval_orders_them() -> None:
    # 1 and 1 + 1e-9 are one float32: trec_eval sees a tie, and breaks it by doc_id, the larger first.
    assert trec_order({"a": 1.0 + 1e-9, "c": 1.0, "b": 1.0, "d": 0.5}) == ["c", "b", "a", "d"]
    assert [ranking.doc_ids for ranking in rankings_of({"q": {"a": 1.0, "b": 2.0}})] == [["b", "a"]]
