"""Hostile corpora, patterns, filters and queries end within five seconds of processor time, or say their limit."""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import lsr
from lsr.errors import LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.output.explained import explained_lines
from lsr.query.explain.snippet import QueryWords, find_snippet
from lsr.query.filters.language import LONGEST
from lsr.query.searcher import Searcher

sys.path.insert(0, str(Path(__file__).parent))
from slow_inputs import FILES, FILTERS, LINES, PATTERNS, QUERIES, TEXT_FORMATS, TEXTS

LONGEST_S = 5
SMALL, LARGE, LONG_QUERY = 4_000, 200_000, 50_000
"""Characters of an input: what takes its square in steps takes minutes with the larger."""

Work = Callable[[], object]


def too_slow(works: dict[str, Work], report: Path) -> list[str]:
    """Do each work in another process; return those that take more processor time than they may, or fail."""
    return [f"{name}: {found}" for name, work in works.items() if (found := _ended(work, report))]


def _ended(work: Work, report: Path) -> str:
    report.unlink(missing_ok=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGXCPU, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CPU, (LONGEST_S, LONGEST_S + 1))  # which begins again with a fork
            try:
                work()
            except LsrError as error:
                assert str(error)
            status = 0
        except BaseException:  # noqa: BLE001  the other process prints it
            report.write_text(traceback.format_exc()[-2000:])
        finally:
            os._exit(status)
    _, status, used = os.wait4(pid, 0)
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    if used.ru_utime + used.ru_stime > LONGEST_S:  # of a process that it had started in its turn
        return f"took {used.ru_utime + used.ru_stime:.0f} s"
    return report.read_text() if report.exists() else ""


@pytest.fixture
def large(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--large"))


def read(file: Path) -> None:
    """Read a file as a corpus, and skip in it what is broken."""
    list(read_corpus([file], skip_bad=True))


@pytest.fixture(scope="module", autouse=True)
def _imported(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Import what the readers need before processes fork, which is none of the inputs' doing."""
    folder = tmp_path_factory.mktemp("imported")
    for number, suffix in enumerate(TEXT_FORMATS):
        (folder / f"{number}{suffix}").write_text("a: b\n\n---\nx: 1\n---\n")
    for name, (suffix, make) in FILES.items():
        (folder / f"{name}{suffix}").write_bytes(make(1000))
    read(folder)
    lsr.index([{"text": "common words", "year": 1}], folder / "index", encoder="bm25")
    ask(folder / "index", "common", where="year > 1 or text ~ 'words'")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("suffix", TEXT_FORMATS)
def test_text_of_any_format_is_read_in_time(suffix: str, tmp_path: Path, large: bool) -> None:
    def each(name: str, size: int) -> Work:
        def work() -> None:
            file = tmp_path / f"file{suffix}"
            file.write_bytes(LINES[name](size))
            read(file)

        return work

    if large:
        works = {name: each(name, LARGE) for name in LINES}
    else:  # one process for all of them, which is many times as fast as one each
        works = {"all": lambda: [each(name, SMALL)() for name in LINES]}
    assert too_slow(works, tmp_path / "report") == []


@pytest.mark.parametrize("name", FILES)
def test_files_are_read_in_time(name: str, tmp_path: Path, large: bool) -> None:
    suffix, make = FILES[name]
    file = tmp_path / f"file{suffix}"
    file.write_bytes(make(LARGE if large else SMALL))
    assert too_slow({name: lambda: read(file)}, tmp_path / "report") == []


@pytest.mark.parametrize("name", PATTERNS)
def test_patterns_are_matched_in_time(name: str, tmp_path: Path, large: bool) -> None:
    folder = tmp_path / "folder"
    (folder / "/".join("ab" * 20)).mkdir(parents=True)
    for number in range(20):
        (folder / f"{'a' * 200}{number}.txt").write_text("words")
    (folder / ".git").mkdir()
    (folder / ".gitignore").write_text(PATTERNS[name](LARGE if large else SMALL))
    assert too_slow({name: lambda: read(folder)}, tmp_path / "report") == []


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Make an index of texts that are slow to look through."""
    size = LARGE if request.config.getoption("--large") else SMALL
    path = tmp_path_factory.mktemp("searched") / "index"
    texts = {**TEXTS, **QUERIES}
    records = [{"doc_id": name, "text": make(size), "lang": "e" * 200, "year": 1} for name, make in texts.items()]
    lsr.index([*records, {"doc_id": "last", "text": "common a b"}], path, encoder="bm25")
    return path


def ask(path: Path, query: str, *, where: str | None = None) -> None:
    """Search and explain as the commands do, with snippets."""
    index = lsr.open(path)
    for hit in index.search(query, k=5, where=where):
        find_snippet(hit.text, QueryWords(query, {}))
    with_explanation = Searcher(path)
    list(explained_lines(with_explanation.explain(query, k=2)))


def test_texts_are_indexed_in_time(tmp_path: Path, large: bool) -> None:
    size = LARGE if large else SMALL

    def each(text: str) -> Work:
        return lambda: lsr.index([{"doc_id": "d", "text": text}], tmp_path / "index", encoder="bm25", overwrite=True)

    works = {name: each(make(size)) for name, make in {**TEXTS, **QUERIES}.items()}
    assert too_slow(works, tmp_path / "report") == []


def test_queries_are_answered_in_time(searched: Path, tmp_path: Path, large: bool) -> None:
    works = {name: partial(ask, searched, make(LONG_QUERY if large else SMALL)) for name, make in QUERIES.items()}
    assert too_slow(works, tmp_path / "report") == []


def test_filters_are_met_in_time(searched: Path, tmp_path: Path) -> None:
    """Ask with each filter at the largest size that is read, and at one beyond."""
    works = {
        f"{name} of {size}": partial(ask, searched, "common a", where=make(size))
        for name, make in FILTERS.items()
        for size in (LONGEST - 100, 2 * LONGEST)
    }
    assert too_slow(works, tmp_path / "report") == []


def test_work_without_end_is_noticed(tmp_path: Path) -> None:
    """The guard of these tests, with a limit of a second, ends what goes on."""

    def endless() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
        while True:
            pass

    assert too_slow({"endless": endless}, tmp_path / "report") == ["endless: ended by SIGXCPU"]


def test_an_exception_is_noticed(tmp_path: Path) -> None:
    (found,) = too_slow({"division": lambda: 1 // 0}, tmp_path / "report")
    assert "ZeroDivisionError" in found
