"""Damage is found by a check, and makes an error or no difference in a search; a stranger's index crashes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.arrays import ARRAYS
from lsr.indexer.storage.arrays import POSTINGS as POSTING_SPECS
from lsr.indexer.storage.checks_on_read import term_checksums
from lsr.indexer.storage.files import checksum, save_array
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import _canonical
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.searcher import Searcher
from lsr.types import Document

POSTINGS = [spec.name for spec in POSTING_SPECS]
WORDS = [f"word{i}" for i in range(60)]


def documents(first: int, last: int) -> list[Document]:
    rng = np.random.default_rng(first)
    return [
        Document(f"d{i}", " ".join(rng.choice(WORDS, rng.integers(1, 25))), f"title {i}", {"year": 2000 + i % 9})
        for i in range(first, last)
    ]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An index with every kind of part and of file: two segments, deletions, fields."""
    index_documents(documents(0, 300), tmp_path / "index", load_encoder("bm25"))
    add_documents(documents(300, 340), tmp_path / "index", merge=False)
    delete_documents(["d3", "d310"], tmp_path / "index", merge=False)
    return tmp_path / "index"


def answers(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield everything that an index can be asked for; each may raise for itself."""
    searcher: list[Searcher] = []

    def opened() -> Searcher:
        if not searcher:
            searcher.append(Searcher(path))
        return searcher[0]

    def ask(text: str, k: int, traversal: str | None) -> Any:
        term_ids, weights = opened().encode([text]).row(0)
        ranking = opened().engine.rank(term_ids, weights, k, traversal=traversal)
        return opened().hits(ranking)

    asked: dict[str, Callable[[], Any]] = {"open": lambda: len(opened().index)}
    for number in range(6):
        text = " ".join(WORDS[number * 9 : number * 9 + 5])
        for traversal in (None, *TRAVERSALS):
            asked[f"{number} {traversal}"] = lambda t=text, n=traversal: ask(t, 7, n)  # type: ignore[misc]
    asked["rare"] = lambda: ask("word59 word1", 400, "blockmax")
    asked["filter"] = lambda: opened().search("word1 word2", k=50, where=opened().filter("year > 2004"))
    asked["get"] = lambda: opened().index.get(["d0", "d339", "d3", "nobody", "d150"])
    asked["list"] = lambda: list(opened().index.documents())
    asked["ids"] = lambda: opened().doc_ids(opened().engine.rank(*opened().encode(["word5"]).row(0), 300))
    for name, question in asked.items():
        try:
            yield name, question()
        except LsrError:
            yield name, LsrError


@contextmanager
def damaged(file: Path, rng: np.random.Generator) -> Iterator[None]:
    """Flip a bit of a file, or cut it off somewhere."""
    whole = file.read_bytes()
    at = int(rng.integers(len(whole)))
    data = bytearray(whole)
    if rng.random() < 0.15:
        del data[at:]
    else:
        data[at] ^= 1 << int(rng.integers(8))
    file.write_bytes(data)
    try:
        yield
    finally:
        file.write_bytes(whole)


def in_another_process(work: Callable[[], None]) -> int:
    """Do some work in a process of its own; return its exit code, 0 if all went well."""
    pid = os.fork()
    if pid == 0:
        outcome = 1
        try:
            work()
            outcome = 0
        finally:
            sys.stderr.flush()
            os._exit(outcome)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def damage_everywhere(path: Path, n_places: int, tally: Callable[..., None], *, seed: int) -> None:
    """Damage one place after another: half of them in any file, half in proportion to sizes."""
    files = sorted(file for file in path.rglob("*") if file.is_file() and file.stat().st_size)
    sizes = np.array([file.stat().st_size for file in files], float)
    expected = dict(answers(path))
    assert LsrError not in expected.values() and verify(path)[1] == []
    rng = np.random.default_rng(seed)

    def work() -> None:
        right = refused = 0
        for number in range(n_places):
            file = files[int(rng.choice(len(files), p=sizes / sizes.sum() if number % 2 else None))]
            with damaged(file, rng):
                with suppress(LsrError):
                    assert verify(path)[1] != [], f"not found: {file}"
                for name, found in answers(path):
                    assert found is LsrError or found == expected[name], f"wrong: {name}, {file}"
                    right, refused = right + (found is not LsrError), refused + (found is LsrError)
        assert refused > n_places and right > n_places, (right, refused)

    assert in_another_process(work) == 0
    tally("places damaged", n_places)
    assert dict(answers(path)) == expected


def test_damage_anywhere_is_found_and_never_makes_a_wrong_answer(path: Path, tally: Callable[..., None]) -> None:
    damage_everywhere(path, 60, tally, seed=2)


@pytest.mark.large
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("seed", range(3, 7))
def test_damage_at_2000_places_is_found_and_never_makes_a_wrong_answer(
    seed: int, path: Path, tally: Callable[..., None]
) -> None:
    damage_everywhere(path, 500, tally, seed=seed)


def forge(path: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change an array of the first segment, and make all checksums fit again, as somebody malicious would."""
    manifest = sorted(path.glob("manifest-*.json"))[-1]
    content = json.loads(manifest.read_text())
    part = content["segments"][0]["part"]
    folder = path / "segments" / part["id"]
    arrays = {array: np.load(folder / f"{array}.npy") for array in [spec.name for spec in ARRAYS if not spec.optional]}
    change(arrays[name])
    with suppress(IndexError, ValueError, TypeError):  # where nothing can fit
        arrays["term_crc"] = term_checksums(arrays)
    for changed in (name, "term_crc"):
        (folder / f"{changed}.npy").unlink()
        info = save_array(folder / f"{changed}.npy", arrays[changed])
        part["files"][f"{changed}.npy"] = {"size_bytes": info.size_bytes, "crc32": info.crc32}
    content.pop("crc32")
    content["crc32"] = zlib.crc32(_canonical(content))
    manifest.write_bytes(_canonical(content))


def hostile(array: Any, rng: np.random.Generator) -> None:
    """Put values into an array that nobody would have written."""
    flat = array.reshape(-1)
    if flat.size == 0:
        return
    limits = np.iinfo(array.dtype)
    at = rng.integers(0, flat.size, max(1, flat.size // int(rng.choice([2, 20, flat.size]))))
    values = [limits.max, limits.min, limits.max // 2, 1, int(rng.integers(0, 1000)) % limits.max]
    flat[at] = rng.choice(np.array(values, array.dtype), len(at))


FORGED = [*POSTINGS, "terms", "kth_impact", "id_hash", "id_row", "document_crc", "id_crc"]


@pytest.mark.parametrize("name", FORGED)
def test_an_index_forged_with_fitting_checksums_crashes_nothing(path: Path, name: str) -> None:
    before = {file: file.read_bytes() for file in path.rglob("*") if file.is_file()}
    rng = np.random.default_rng(len(name))

    def work() -> None:
        list(answers(path))
        with suppress(LsrError):
            assert verify(path)[1] != [] or name == "kth_impact"

    for _ in range(4):
        forge(path, name, lambda array: hostile(array, rng))
        assert in_another_process(work) == 0
        for file, data in before.items():
            file.write_bytes(data)


NEVER_OUTSIDE = """
import sys
import numpy as np
from pathlib import Path
from lsr.errors import LsrError
from lsr.query.searcher import Searcher

def ask(path):
    try:
        searcher = Searcher(path)
        for words in ("word1 word2 word3", "word40 word50 word59"):
            term_ids, weights = searcher.encode([words]).row(0)
            for traversal in ("exhaustive", "blockmax", "superblock", "plain"):
                searcher.hits(searcher.engine.rank(term_ids, weights, 5, traversal=traversal))
    except LsrError:
        return

for path in sys.argv[1:]:
    ask(path)
print("done")
"""


def test_kernels_that_check_every_access_find_none_outside(path: Path, tmp_path: Path) -> None:
    """Uncompiled kernels raise for an access out of an array; forged indexes must give them no reason to."""
    import shutil

    rng = np.random.default_rng(8)
    copies = []
    for name in POSTINGS:
        copies.append(Path(shutil.copytree(path, tmp_path / f"forged-{name}")))
        forge(copies[-1], name, lambda array: hostile(array, rng))
    done = subprocess.run(
        [sys.executable, "-c", NEVER_OUTSIDE, *map(str, copies)], capture_output=True, text=True, check=False,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]


def test_the_checksums_of_terms_and_documents_are_those_of_the_files(path: Path) -> None:
    with StoredIndex.open(path) as index:
        for segment in index.segments:
            assert np.array_equal(term_checksums(segment.arrays), segment.term_crc)
            assert all(
                np.array_equal(found, segment.document_checksums[name])
                for name, found in segment.documents.all_checksums().items()
            )
            assert {file.name: checksum(file) for file in segment.folder.iterdir()} == segment.info.part.files
