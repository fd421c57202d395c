"""Result files: what is written reads back, and nothing else does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsr.errors import LsrError
from lsr.eval.reports.provenance import provenance
from lsr.eval.reports.results import (
    DatasetFacts,
    Efficiency,
    Latency,
    Protocol,
    Result,
    qrels_sha256,
    read_result,
    write_result,
)

RESULT = Result(
    system="bm25",
    encoder={"kind": "bm25", "settings": {"k1": 0.9, "stem": True, "words": ["a"]}},
    dataset=DatasetFacts("tiny", "test", 2, 3, qrels_sha256({"q": {"d": 1}}), 1, 10, 0, 0, 0),
    protocol=Protocol(100, "title text", False, "in the system's order", None),
    measures={"nDCG@10": 0.5},
    n_queries_without_results=0,
    n_queries_not_judged=0,
    n_unjudged_at_10=1.5,
    identical_ids_dropped=None,
    efficiency=Efficiency(1, 100.5, 5.0, 0.2, 1000, 500, None, None, Latency(10.0, 20.0, 12.0, 2), 900.0),
    per_query={"nDCG@10": {"q": 0.5}},
    provenance=provenance("lsr eval tiny"),
)


@pytest.mark.parametrize("result", [RESULT, replace(RESULT, encoder=None, efficiency=None, per_query=None)])
def test_a_result_reads_back_as_it_was(tmp_path: Path, result: Result) -> None:
    write_result(tmp_path / "r.json", result)
    assert read_result(tmp_path / "r.json") == result


def test_provenance_names_versions_hardware_and_date_but_not_the_machine() -> None:
    import platform

    made = RESULT.provenance
    assert made.packages["numpy"] and made.packages["pytrec_eval-terrier"]
    assert made.hardware.cores >= 1 and made.hardware.memory_bytes > 1 << 28 and made.hardware.cpu
    assert made.date.endswith("+00:00")
    assert platform.node() not in json.dumps(str(made)) or len(platform.node()) < 4


def changed(entry: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    inner = entry
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = to
    return entry


@pytest.mark.parametrize(
    ("path", "to", "message"),
    [
        (("format",), "other", "no result file"),
        (("format_version",), 2, "format version 2; this program reads 1"),
        (("measures", "nDCG@10"), "0.5", r"measures\.nDCG@10: expected a number"),
        (("measures",), [], "measures: expected an object"),
        (("n_queries_not_judged",), True, "expected int"),
        (("dataset", "surprise"), 1, "dataset: has unknown fields surprise"),
        (("efficiency", "search"), {"p50_us": 1.0}, r"efficiency\.search: lacks mean_us, n, p99_us"),
        (("system",), None, "system: expected str"),
    ],
)
def test_other_contents_are_refused_by_field(tmp_path: Path, path: tuple[str, ...], to: Any, message: str) -> None:
    file = tmp_path / "r.json"
    write_result(file, RESULT)
    file.write_text(json.dumps(changed(json.loads(file.read_text()), *path, to=to)))
    with pytest.raises(LsrError, match=message):
        read_result(file)


def test_what_is_no_json_or_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(LsrError, match="no JSON"):
        read_result(tmp_path / "r.json")
    with pytest.raises(LsrError, match="No such file"):
        read_result(tmp_path / "absent.json")


def test_the_fingerprint_of_qrels_ignores_order_only() -> None:
    assert qrels_sha256({"a": {"x": 1, "y": 2}, "b": {"x": 0}}) == qrels_sha256({"b": {"x": 0}, "a": {"y": 2, "x": 1}})
    assert qrels_sha256({"a": {"x": 1}}) != qrels_sha256({"a": {"x": 2}})
