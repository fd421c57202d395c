"""An index for the retrievers of other frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest

import lsr


@pytest.fixture(scope="session")
def index(tmp_path_factory: pytest.TempPathFactory) -> lsr.Index:
    documents = [
        {
            "id": f"d{i}",
            "title": f"Note {i}",
            "text": f"the river {'and the lake ' * (i % 4)}number {i}",
            "year": 2000 + i,
        }
        for i in range(12)
    ]
    documents[3]["lang"] = "it's \\ here"
    path: Path = tmp_path_factory.mktemp("integrations") / "index"
    return lsr.index(documents, path, encoder="bm25")
