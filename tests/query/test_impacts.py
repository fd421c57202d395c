"""The impacts of a few documents, read out of the inverted index, are those that were stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lsr.errors import IndexDamagedError
from lsr.query.explain.stored_impacts import doc_ords_at, document_rows, impacts_at
from lsr.query.searcher import Searcher

TERMS = [f"t{i}" for i in range(12)]
ROWS = st.lists(
    st.dictionaries(st.sampled_from(TERMS), st.integers(1, 255).map(float), max_size=6), min_size=1, max_size=80
)


@pytest.fixture
def fresh(tmp_path: Path) -> Callable[[], Path]:
    count = iter(range(10_000))
    return lambda: tmp_path / str(next(count))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, chosen=st.lists(st.integers(0, 79), min_size=1, max_size=8), segment_docs=st.sampled_from([None, 9]))
@example(rows=[{}], chosen=[0], segment_docs=None)
@example(rows=[{"t0": 255.0}] * 70 + [{"t1": 1.0}], chosen=[69, 70, 0, 69], segment_docs=None)
def test_rows_and_impacts_are_those_that_were_stored(
    rows: Any, chosen: list[int], segment_docs: int | None, fresh: Callable[[], Path], collections: Any
) -> None:
    index = collections.write_index(fresh(), rows, segment_docs=segment_docs)
    positions = np.array([place % len(rows) for place in chosen])
    scale, seen = index.manifest.scale, 0
    for segment, places, of_segment in Searcher(index).by_segment(positions):
        doc_ords = doc_ords_at(segment, of_segment)
        assert segment.arrays["insertion"][doc_ords].tolist() == of_segment
        expected = [
            {term: collections.Oracle.impact(weight, scale) for term, weight in rows[positions[place]].items()}
            for place in places
        ]
        found = [
            {index.vocabulary.term(int(t)): int(impact) for t, impact in zip(*row, strict=True)}
            for row in document_rows(segment, doc_ords)
        ]
        assert found == expected
        local, at = segment.local_terms(np.arange(len(index.vocabulary), dtype=np.int32))
        matrix = impacts_at(segment, local, doc_ords)
        for i, term_id in enumerate(at.tolist()):
            term = index.vocabulary.term(term_id)
            assert matrix[i].tolist() == [row.get(term, 0) for row in expected]
        seen += len(places)
    assert seen == len(chosen)


def test_numpy_and_compiled_code_read_the_same_rows(
    tmp_path: Path, collections: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{f"w{(7 * i + j) ** 2 % 900}": 1.0 + j % 250 for j in range(1 + i % 120)} for i in range(400)]
    (segment,) = collections.write_index(tmp_path / "index", rows).segments
    doc_ords = np.array([399, 0, 17, 64, 63, 200])
    found = []
    for compiled in (False, True):
        monkeypatch.setattr("lsr.query.explain.stored_impacts.compiled_is_loaded", lambda compiled=compiled: compiled)
        found.append([(ids.tolist(), impacts.tolist()) for ids, impacts in document_rows(segment, doc_ords)])
    assert found[0] == found[1]
    assert [len(ids) for ids, _ in found[0]] == [len(rows[i]) for i in segment.arrays["insertion"][doc_ords]]


def test_term_ids_ascend(tmp_path: Path, collections: Any) -> None:
    rows = [{f"w{(7 * i + j) % 50}": 1.0 + j for j in range(20)} for i in range(300)]
    (segment,) = collections.write_index(tmp_path / "index", rows).segments
    for term_ids, impacts in document_rows(segment, np.arange(0, 300, 37)):
        assert np.all(np.diff(term_ids) > 0) and len(term_ids) == len(impacts) == 20


def test_posting_lists_that_lead_nowhere_are_damage(tmp_path: Path, collections: Any) -> None:
    index = collections.write_index(tmp_path / "index", [{"a": 1.0}] * 100 + [{"b": 2.0}])
    (segment,) = index.segments
    broken = np.full_like(segment.arrays["runs"], 2**32 - 1)
    damaged = dict(segment.arrays) | {"runs": broken}
    object.__setattr__(segment, "arrays", MappingProxyType(damaged))
    with pytest.raises(IndexDamagedError, match="'lsr check' says where"):
        document_rows(segment, np.array([0]))
