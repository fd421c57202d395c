"""An index in other processes: pickled, opened again in a spawned worker."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path

import pytest

import lsr
from lsr.errors import IndexMissingError


def found_by(index: lsr.Index, query: str) -> tuple[int, list[str]]:
    return index.generation, [hit.doc_id for hit in index.search(query)]


def test_a_pickled_index_is_the_same_generation(
    index: lsr.Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with lsr.open("my-index") as writer:
        writer.add({"id": "birds", "text": "A bird sings to cats."})
    data = pickle.dumps(index)
    assert b"sleeps" not in data  # nothing of what the index holds
    assert len(data) < 500
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pickle.loads(data) as again:
        assert found_by(again, "cats") == (1, ["cats", "dogs"])
        assert "birds" in again.refresh()


def test_a_copy_of_an_index_is_opened_on_its_own(index: lsr.Index) -> None:
    with copy.deepcopy(index) as again:
        index.close()
        assert len(again) == 3


def test_a_generation_that_is_gone_is_named(index: lsr.Index) -> None:
    data = pickle.dumps(index)
    index.add({"id": "birds", "text": "A bird sings."})
    index.merge()
    with pytest.raises(IndexMissingError, match="no generation 1"):
        pickle.loads(data)


def test_an_index_searches_in_a_spawned_worker(index: lsr.Index) -> None:
    expected = index.search("cats")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply_async(index.search, ("cats",)).get(timeout=300)
        several = pool.apply_async(index.search, (["cats", "house"],), {"k": 1}).get(timeout=300)
    assert found == expected
    assert [results.hits for results in several] == [results.hits for results in index.search(["cats", "house"], k=1)]
