"""After a power loss at any step an index is the old one or the new, and the new one once it was acknowledged."""

from __future__ import annotations

import importlib.util
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import IndexMissingError, LsrError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.types import Document


@pytest.fixture(scope="module")
def power_loss(tally: Callable[..., None]) -> Any:
    spec = importlib.util.spec_from_file_location("power_loss", Path(__file__).with_name("power_loss.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    __import__("sys").modules["power_loss"] = module  # where its dataclass looks for its names
    spec.loader.exec_module(module)
    module.tally = tally
    return module


def documents(first: int, last: int) -> list[Document]:
    return [Document(f"d{i}", f"word{i % 5} common", "", {"year": i}) for i in range(first, last)]


def make(path: Path) -> None:
    index_documents(documents(0, 8), path, load_encoder("bm25"))


def begin(path: Path) -> None:
    make(path)
    add_documents(documents(8, 12), path, merge=False)


CHANGES: dict[str, Callable[[Path], object]] = {
    "add": lambda path: add_documents(documents(12, 14), path, merge=False),
    "update": lambda path: update_documents(documents(6, 14), path, merge=False),
    "delete": lambda path: delete_documents(["d1", "d9"], path, merge=False),  # the first deletion makes a folder
    "merge": lambda path: merge_index(path),
    "overwrite": lambda path: index_documents(documents(20, 30), path, load_encoder("bm25"), overwrite=True),
}


def ids(path: Path) -> list[str] | None:
    """Return the doc_ids of an index, which is verified; None where there is none."""
    try:
        with StoredIndex.open(path) as index:
            found = [document.doc_id for document in index.documents()]
    except IndexMissingError:
        return None
    assert verify(path)[1] == []
    return found


class Losses:
    """Checks states that a power loss may leave while a change is made."""

    def __init__(self, tmp_path: Path, root: Path, allowed: list[Any], every: int) -> None:
        self._scratch = tmp_path / "after"
        self._root = root
        self.allowed = allowed
        self._every = every
        self._rng = random.Random(4)
        self.n_steps = 0
        self.seen: list[Any] = []
        self.failures: list[Any] = []

    def step(self, disk: Any) -> None:
        self.n_steps += 1
        if self.n_steps % self._every == 0:
            self.check(disk)

    def check(self, disk: Any) -> None:
        for share in (0.0, 0.5, 0.5, 1.0):
            disk.after_power_loss(self._root.stat().st_ino, self._scratch, self._rng, share)
            try:
                found: Any = ids(self._scratch / "index")
            except (LsrError, AssertionError) as error:  # not raised amid a change, which would take it for its own
                found = str(error)
            if found not in self.allowed:
                self.failures.append((self.n_steps, share, found))
            self.seen.append(found)
            shutil.rmtree(self._scratch)


def lose_power(tmp_path: Path, power_loss: Any, change: Callable[[Path], object], *, fresh: bool, every: int) -> Losses:
    root = tmp_path / "disk"
    root.mkdir()
    path = root / "index"
    if not fresh:
        begin(path)
    before = ids(path) if not fresh else None
    copy = tmp_path / "copy"
    if not fresh:
        shutil.copytree(path, copy)
    change(copy)
    after = ids(copy)
    losses = Losses(tmp_path, root, [before, after], every)
    with power_loss.recorded(root, losses.step) as disk:
        change(path)
    losses.allowed = [after]  # it was acknowledged
    losses.check(disk)
    power_loss.tally("power losses", len(losses.seen))
    assert losses.failures == []
    assert losses.n_steps > 10 and after in losses.seen
    return losses


@pytest.mark.parametrize("name", CHANGES)
def test_a_power_loss_leaves_the_old_or_the_new(
    tmp_path: Path, power_loss: Any, name: str, request: pytest.FixtureRequest
) -> None:
    every = 1 if request.config.getoption("--large") else 5
    lose_power(tmp_path, power_loss, CHANGES[name], fresh=False, every=every)


def test_a_power_loss_after_a_first_index_in_new_folders_loses_none(tmp_path: Path, power_loss: Any) -> None:
    losses = lose_power(tmp_path, power_loss, make, fresh=True, every=3)
    assert None in losses.seen


def test_a_power_loss_after_an_import_loses_none(tmp_path: Path, power_loss: Any) -> None:
    make(tmp_path / "source")
    export_index(tmp_path / "source", tmp_path / "file.tar")
    lose_power(tmp_path, power_loss, lambda path: import_index(tmp_path / "file.tar", path), fresh=True, every=4)


def test_what_is_not_synced_may_be_lost(tmp_path: Path, power_loss: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model finds a folder that is not synced."""
    from lsr.io.folder import Folder

    monkeypatch.setattr(Folder, "sync", lambda folder: None)
    with pytest.raises(AssertionError):
        lose_power(tmp_path, power_loss, CHANGES["delete"], fresh=False, every=5)
