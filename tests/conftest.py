"""Fixtures for all tests: the shared test collections, and the switch for large settings."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--large", action="store_true", help="run the tests that take minutes or gigabytes")


def pytest_configure() -> None:
    # A busy machine is no fault: hypothesis' deadline of 200 ms would make it one.
    hypothesis.settings.register_profile("untimed", deadline=None)
    hypothesis.settings.load_profile("untimed")
    # Most tests are not of the default model: words are encoded in no time.
    os.environ["LSR_ENCODER"] = "bm25"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--large"):
        return
    skip = pytest.mark.skip(reason="large setting: run with --large")
    for item in items:
        if "large" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test collections: $LSR_SHARED, or `shared` beside the repository."""
    folder = Path(os.environ.get("LSR_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "README.md").is_file():
        pytest.skip(f"no test collections at {folder}: set LSR_SHARED to their folder")
    return folder
