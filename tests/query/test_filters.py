"""A filter allows some documents; what is found is what would be found if there were no others."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.errors import UsageError
from lsr.indexer.update.update import delete_documents
from lsr.query.engine.engine import Engine
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.filters.filter import DocumentFilter
from lsr.query.searcher import Searcher


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory, collections: Any) -> Engine:
    """700 documents in segments of 300, with many ties."""
    rng = np.random.default_rng(3)
    rows = [
        {f"t{t}": float(w) for t, w in zip(rng.integers(0, 40, 9), rng.integers(1, 6, 9), strict=True)}
        for _ in range(700)
    ]
    return Engine(collections.write_index(tmp_path_factory.mktemp("filters") / "index", rows, segment_docs=300))


def query(engine: Engine, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    terms = np.unique(rng.integers(0, len(engine.index.vocabulary), 6)).astype(np.int32)
    return terms, rng.integers(1, 4, len(terms)).astype(np.float32)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 999), share=st.sampled_from([0.0, 0.01, 0.3, 0.9, 1.0]), k=st.sampled_from([1, 10, 700]))
def test_every_traversal_finds_only_allowed_documents_and_all_of_the_best(
    engine: Engine, seed: int, share: float, k: int
) -> None:
    mask = np.random.default_rng(seed + 1).random(700) < share
    allowed = DocumentFilter.from_mask(engine.index, mask)
    everything = engine.rank(*query(engine, seed), 700, traversal="exhaustive")
    kept = mask[everything.positions]
    for traversal in (None, *TRAVERSALS):
        found = engine.rank(*query(engine, seed), k, traversal=traversal, allowed=allowed)
        assert np.array_equal(found.positions, everything.positions[kept][:k]), traversal
        assert np.array_equal(found.scores, everything.scores[kept][:k]), traversal


def test_documents_are_allowed_by_id(engine: Engine) -> None:
    allowed = DocumentFilter.from_doc_ids(engine.index, ["d3", "d650", "no such document"])
    assert allowed.n_allowed == 2
    found = engine.rank(
        np.arange(len(engine.index.vocabulary), dtype=np.int32), np.ones(40, np.float32), 10, allowed=allowed
    )
    assert set(found.positions.tolist()) == {3, 650}


def test_a_mask_of_another_length_is_refused(engine: Engine) -> None:
    with pytest.raises(UsageError, match="700 documents"):
        DocumentFilter.from_mask(engine.index, np.ones(5, bool))


def test_a_filter_of_another_generation_is_refused(engine: Engine) -> None:
    whole = DocumentFilter.from_mask(engine.index, np.ones(700, bool))
    other = replace(whole, made_for=replace(whole.made_for, generation=7))
    with pytest.raises(UsageError, match="another generation of the index"):
        engine.rank(*query(engine, 1), 10, allowed=other)
    with pytest.raises(UsageError, match="another generation of the index"):
        engine.rank_many([query(engine, 1)], 10, allowed=other)


def test_a_filter_is_of_one_index_in_one_generation(tmp_path: Path, collections: Any) -> None:
    """Lengths agree in all of these, so that bitmaps alone would not tell."""
    rows = [{"t0": 1.0, f"t{1 + i % 5}": 2.0} for i in range(50)]
    made = Searcher(collections.write_index(tmp_path / "one", rows))
    other = Searcher(collections.write_index(tmp_path / "other", rows))
    allowed = DocumentFilter.from_doc_ids(made.index, ["d3", "d4"])
    vectors = collections.encoded(made.index, {"t0": 1.0})
    assert len(made.search_vectors(vectors, where=allowed)[0]) == 2
    again = Searcher(tmp_path / "one")  # the same generation, opened again
    assert len(again.search_vectors(vectors, where=allowed, total=True)[0]) == 2
    options: dict[str, Any]
    for options in ({}, {"total": True}, {"sort": "doc_id"}, {"feedback": 3}):
        with pytest.raises(UsageError, match=f"made for another index, the one at {tmp_path / 'one'}"):
            other.search_vectors(vectors, where=allowed, **options)
    delete_documents(["d9"], tmp_path / "one", merge=False)
    later = made.refresh()
    with pytest.raises(UsageError, match="made for another generation of the index"):
        later.search_vectors(vectors, where=allowed)
    assert len(made.search_vectors(vectors, where=allowed)[0]) == 2
    shutil.rmtree(tmp_path / "one")
    anew = Searcher(collections.write_index(tmp_path / "one", rows))  # same path, generation and sizes
    assert anew.index.manifest.generation == made.index.manifest.generation
    with pytest.raises(UsageError, match="another generation of the index"):
        anew.search_vectors(vectors, where=allowed)


def test_a_mask_is_of_truth_values(engine: Engine) -> None:
    with pytest.raises(UsageError, match="a mask of int64; it must be of bool"):
        DocumentFilter.from_mask(engine.index, np.arange(700))
