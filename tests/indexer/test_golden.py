"""An index of every released format opens, is sound, answers what it always answered, and can be changed."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from lsr.indexer.storage.manifest import FORMAT_VERSION, OLDEST_READABLE
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import delete_documents

HERE = Path(__file__).parent
FORMATS = range(OLDEST_READABLE, FORMAT_VERSION + 1)


@pytest.fixture(scope="module")
def golden() -> Any:
    spec = importlib.util.spec_from_file_location("golden_index", HERE / "golden_index.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("number", FORMATS)
def test_an_index_of_every_format_answers_what_it_always_answered(number: int, golden: Any, tmp_path: Path) -> None:
    folder = HERE / "golden" / f"format-{number}"
    expected = json.loads((folder / "answers.json").read_text(encoding="utf-8"))
    path = Path(shutil.copytree(folder / "index", tmp_path / "index"))
    assert verify(path)[1] == []
    assert golden.answers(path) == expected
    assert len(expected["fields"]) == 94 and any(len(hits) > 10 for hits in expected["found"].values())
    merge_index(path)
    assert verify(path)[1] == [] and golden.answers(path) == expected
    delete_documents(["doc/1"], path)
    assert verify(path)[1] == [] and "doc/1" not in golden.answers(path)["fields"]


def test_the_present_format_is_the_golden_one(golden: Any, tmp_path: Path) -> None:
    """A change of the format needs another number, and a golden index of it."""
    golden.make(tmp_path / "index")
    expected = json.loads((HERE / "golden" / f"format-{FORMAT_VERSION}" / "answers.json").read_text(encoding="utf-8"))
    assert golden.answers(tmp_path / "index") == expected

    def arrays(path: Path) -> list[tuple[str, int]]:
        manifest = json.loads(max(path.glob("manifest-*.json")).read_text())
        parts = [manifest["vocabulary"], *(part for one in manifest["segments"] for part in one.values())]
        files = [file for part in parts if isinstance(part, dict) for file in sorted(part["files"].items())]
        return [(name, info["crc32"]) for name, info in files if name.endswith(".npy")]

    assert arrays(tmp_path / "index") == arrays(HERE / "golden" / f"format-{FORMAT_VERSION}" / "index")

    def shape(path: Path) -> list[tuple[str, str, list[str]]]:
        manifest = json.loads(max(path.glob("manifest-*.json")).read_text())
        parts = [manifest["vocabulary"], manifest["encoder_files"]]
        for segment in manifest["segments"]:
            parts += [part for part in segment.values() if isinstance(part, dict)]
        entries = sorted(set(manifest) - {"sources"})  # which format 1 may have: early programs skip it
        return [(part["kind"], sorted(part["files"]), entries) for part in parts]

    assert shape(tmp_path / "index") == shape(HERE / "golden" / f"format-{FORMAT_VERSION}" / "index")


def test_golden_indexes_are_small() -> None:
    for folder in (HERE / "golden").iterdir():
        assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 100_000
