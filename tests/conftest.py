"""Fixtures for all tests: the shared test collections, and the switch for large settings."""

from __future__ import annotations

import logging
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

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
    # Which of numpy and compiled code answers is not to depend on what is in the cache.
    os.environ["LSR_COMPILE"] = "now"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--large"):
        return
    skip = pytest.mark.skip(reason="large setting: run with --large")
    for item in items:
        if "large" in item.keywords:
            item.add_marker(skip)


TALLY: Counter[str] = Counter()
"""How often tests did what they try many times, such as killing a writer."""


@pytest.fixture(scope="session")
def tally() -> Callable[..., None]:
    """Count what is tried, by a name and a number (default: 1); --large prints the sums at the end."""

    def count(name: str, number: int = 1) -> None:
        TALLY[name] += number

    return count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--large") and TALLY:
        terminalreporter.write_line("tried: " + "; ".join(f"{number:,} {name}" for name, number in TALLY.items()))


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What the package logs, from level INFO up."""
    caplog.set_level(logging.INFO, logger="lsr")
    return caplog


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


@pytest.fixture(scope="session")
def count_calls() -> Callable[[Callable[[], object]], int]:
    """Count the calls of Python and C functions that work makes: a measure of work that no other program changes."""

    def count(work: Callable[[], object]) -> int:
        n_calls = 0

        def noted(frame: FrameType, event: str, argument: object) -> None:
            nonlocal n_calls
            n_calls += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(noted)
        try:
            work()
        finally:
            sys.setprofile(before)
        return n_calls

    return count
