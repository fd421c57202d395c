"""A small index of words, made through the public interface in the test's own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lsr

RECORDS: list[dict[str, Any]] = [
    {"id": "cats", "title": "On cats", "text": "A cat sleeps most of the day.", "year": 2019, "lang": "en"},
    {"id": "dogs", "title": "On dogs", "text": "A dog guards the house and chases cats.", "year": 2021},
    {"id": "trees", "text": "Trees grow slowly, and a house of their wood lasts.", "year": 2023, "lang": "en"},
]


@pytest.fixture
def records() -> list[dict[str, Any]]:
    return [dict(record) for record in RECORDS]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's folder, which relative paths start from."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def index(here: Path, records: list[dict[str, Any]]) -> Iterator[lsr.Index]:
    """An index of the three records."""
    with lsr.index(records, "my-index", encoder="bm25") as made:
        yield made
