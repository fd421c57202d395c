"""A stranger's index under fitting checksums makes errors of this library alone: no traceback, no hang, no abort."""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

import lsr
from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError
from lsr.handoff.export import export_to
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.export_vectors import export_vectors
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document

sys.path.insert(0, str(Path(__file__).parent))
from forger import FORGERIES, make, pack
from set_forger import SET_FORGERIES, make_set

MOST_BYTES = 1 << 30
MOST_SECONDS = 60
EACH = 25
"""Forgeries that one process tries."""


def search(path: Path) -> None:
    searcher = Searcher(path)
    for query in ("common word1", "word3 word5 word7", "unknown"):
        searcher.search(query, k=20)
    searcher.search(["common", "word2"], k=3, total=True)


def search_more(path: Path) -> None:
    searcher = Searcher(path)
    searcher.search(
        "common word1", where="year >= 2001 and tags contains 'a'", facets=["lang"], sort="-year", total=True
    )
    searcher.explain("common word4", k=3)


def feedback(path: Path) -> None:
    Searcher(path).search("word1", feedback=3)


def read(path: Path) -> None:
    index = lsr.open(path)
    index.get("d1")
    list(index)
    repr(index)
    index.stats()
    index.refresh()


USES: dict[str, Callable[[Path], object]] = {
    "search": search,
    "search more": search_more,
    "feedback": feedback,
    "read": read,
    "check": verify,
    "export": lambda path: export_index(path, path.parent / "file.tar", overwrite=True),
    "vectors": lambda path: export_vectors(path, path.parent / "file.parquet", overwrite=True),
    "hand off": lambda path: export_to("pisa", path, path.parent / "pisa", overwrite=True),
}
CHANGES: dict[str, Callable[[Path], object]] = {
    "merge": merge_index,
    "add": lambda path: add_documents([Document("new", "word1 word99 common", "", {"year": 1})], path),
    "update": lambda path: update_documents([Document("d5", "word1 common")], path),
    "delete": lambda path: delete_documents(["d7", "d95", "d3"], path, merge=False),
}


def refused(use: Callable[[Path], object], path: Path) -> str | None:
    """Use an index; return the traceback of an error that is none of this library's."""
    try:
        use(path)
    except LsrError as error:
        return None if len(str(error)) < 2000 else f"an error of {len(str(error))} characters"
    except BaseException:  # noqa: BLE001
        return traceback.format_exc()
    return None


def in_a_process(work: Callable[[], list[str]], report: Path) -> list[str]:
    """Do work in another process with little memory and time; return what it found, or how it ended."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (size + MOST_BYTES, size + MOST_BYTES))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(MOST_SECONDS * EACH)
            report.write_text(json.dumps(work()))
            code = 0
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    found = json.loads(report.read_text()) if code == 0 else [f"the process ended with {code}"]
    return list(found)


def try_forgeries(tmp_path: Path, original: Path, kind: str, seeds: range) -> list[str]:
    """Use and change forged copies of an index; return what went wrong, a line or a traceback each."""
    wrong = []
    for seed in seeds:
        rng = random.Random(f"{kind} {seed}")
        path = tmp_path / "forged"
        shutil.copytree(original, path)
        try:
            what = {**FORGERIES, **SET_FORGERIES}[kind](path, rng)
            names = list(CHANGES)
            uses = {**USES, (name := names[seed % len(names)]): CHANGES[name]}
            for name, use in uses.items():
                (tmp_path / "progress").write_text(f"{kind} {seed}: {what}: {name}")
                if found := refused(use, path):
                    wrong.append(f"{kind} {seed}: {what}: {name}\n{found}")
        finally:
            shutil.rmtree(path)
    return wrong


def run(tmp_path: Path, original: Path, kind: str, n: int, first: int = 0) -> None:
    wrong: list[str] = []
    for start in range(first, first + n, EACH):
        seeds = range(start, min(first + n, start + EACH))
        found = in_a_process(lambda seeds=seeds: try_forgeries(tmp_path, original, kind, seeds), tmp_path / "report")
        if found and found[0].startswith("the process ended"):
            found[0] += f" at {(tmp_path / 'progress').read_text()}"
            shutil.rmtree(tmp_path / "forged", ignore_errors=True)
        wrong += found
    assert not wrong, f"{len(wrong)} of {n}:\n" + "\n".join(wrong[:20])


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make(tmp_path_factory.mktemp("original") / "index")
    copy = shutil.copytree(path, path.with_name("used"))
    for use in (*USES.values(), *CHANGES.values()):  # so that all is compiled and imported before processes fork
        use(Path(copy))
    return path


@pytest.fixture(scope="module")
def model_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an index by the bundled model, whose queries need a table in the index."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # more would be OpenMP's, which don't survive a fork
    path = make(tmp_path_factory.mktemp("model") / "index", load_encoder("lsr-mini-v1"))
    copy = shutil.copytree(path, path.with_name("used"))
    for use in (*USES.values(), *CHANGES.values()):
        use(Path(copy))
    return path


@pytest.fixture(scope="module", params=["hash", "range"])
def original_set(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    path = make_set(tmp_path_factory.mktemp("set") / "index", request.param)
    copy = shutil.copytree(path, path.with_name("used"))
    for use in (*USES.values(), *CHANGES.values()):
        assert refused(use, Path(copy)) is None  # a set is exported by none of the two
    return path


@pytest.mark.parametrize("kind", SET_FORGERIES)
def test_a_forged_set_makes_no_other_error(tmp_path: Path, original_set: Path, kind: str) -> None:
    run(tmp_path, original_set, kind, int(os.environ.get("N_FORGED", 8)), first=70_000)


@pytest.mark.large
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("kind", SET_FORGERIES)
def test_500_forged_sets_make_no_other_error(tmp_path: Path, original_set: Path, kind: str) -> None:
    run(tmp_path, original_set, kind, 500, first=80_000)


SMALL = {"arrays": 40, "arrow": 40, "manifest": 60}
LARGE = {"arrays": 2000, "arrow": 3000, "manifest": 1100}


@pytest.mark.parametrize("kind", SMALL)
def test_a_forged_index_makes_no_other_error(tmp_path: Path, original: Path, kind: str) -> None:
    run(tmp_path, original, kind, int(os.environ.get("N_FORGED", SMALL[kind])))


@pytest.mark.parametrize("kind", ["arrays", "manifest"])
def test_a_forged_index_of_a_model_makes_no_other_error(tmp_path: Path, model_index: Path, kind: str) -> None:
    run(tmp_path, model_index, kind, int(os.environ.get("N_FORGED", 25)), first=50_000)


@pytest.mark.large
@pytest.mark.timeout(14400)
@pytest.mark.parametrize("kind", LARGE)
def test_many_forged_indexes_make_no_other_error(tmp_path: Path, original: Path, kind: str) -> None:
    run(tmp_path, original, kind, LARGE[kind], first=10_000)


def try_archives(tmp_path: Path, original: Path, seeds: range) -> list[str]:
    wrong = []
    for seed in seeds:
        rng = random.Random(f"archive {seed}")
        what = pack(original, tmp_path / "forged.tar", rng)
        target = tmp_path / "imported"
        for _ in range(2):
            found = refused(lambda path: import_index(tmp_path / "forged.tar", path), target)
            wrong += [f"archive {seed}: {what}\n{found}"] if found else []
        if target.exists():
            if verify(target)[1]:
                wrong.append(f"archive {seed}: {what}: imported, but damaged")
            shutil.rmtree(target)
        if leftovers := [entry for entry in tmp_path.iterdir() if entry.name not in ("forged.tar", "report")]:
            wrong.append(f"archive {seed}: {what}: left {leftovers}")
    return wrong


def run_archives(tmp_path: Path, original: Path, n: int) -> None:
    wrong: list[str] = []
    for start in range(0, n, EACH):
        seeds = range(start, min(n, start + EACH))
        wrong += in_a_process(lambda seeds=seeds: try_archives(tmp_path, original, seeds), tmp_path / "report")
    assert not wrong, f"{len(wrong)} of {n}:\n" + "\n".join(wrong[:20])


def test_a_forged_archive_makes_no_other_error(tmp_path: Path, original: Path) -> None:
    run_archives(tmp_path, original, int(os.environ.get("N_FORGED", "40")))


@pytest.mark.large
@pytest.mark.timeout(14400)
def test_700_forged_archives_make_no_other_error(tmp_path: Path, original: Path) -> None:
    run_archives(tmp_path, original, 700)


def test_the_maker_forges_what_is_read(tmp_path: Path, original: Path) -> None:
    """Most forgeries are noticed, or the test would be of nothing."""
    noticed: dict[str, int] = dict.fromkeys(FORGERIES, 0)
    for kind, forge in FORGERIES.items():
        for seed in range(10):
            path = Path(shutil.copytree(original, tmp_path / f"{kind}{seed}"))
            forge(path, random.Random(seed))
            try:
                noticed[kind] += bool(verify(path)[1])
            except LsrError:
                noticed[kind] += 1
    assert min(noticed.values()) >= 3
