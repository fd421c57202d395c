"""The cache of compiled kernels: a new folder for new sources, where the user wants it, never anybody else's."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numba
import pytest

from lsr.kernels.jit import compile as compile_module

KERNELS = Path(compile_module.__file__).parents[1]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A copy of the kernels' sources."""
    return shutil.copytree(KERNELS, tmp_path / "sources", ignore=shutil.ignore_patterns("__pycache__"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that $LSR_CACHE names; temporary folders are made beside it."""
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "home"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    return tmp_path / "home"


def load(sources: Path) -> ModuleType:
    """Load the compile module of a copy, as a new process would."""
    spec = importlib.util.spec_from_file_location("compile_of_a_copy", sources / "jit" / "compile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_folder_lies_where_the_variable_says(sources: Path, home: Path) -> None:
    folder = load(sources).cache_folder()
    assert folder.parent == home
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_without_the_variable_it_lies_in_the_users_cache(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LSR_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert load(sources).cache_folder().parent == tmp_path / "xdg" / "lsr"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    assert load(sources).cache_folder().parent == tmp_path / "user" / ".cache" / "lsr"


def test_the_same_sources_share_a_folder(sources: Path, home: Path) -> None:
    assert load(sources).cache_folder() == load(sources).cache_folder()


@pytest.mark.parametrize("name", ["search.py", "build/layout.py", "simd/prefetch.py", "jit/compile.py"])
def test_a_changed_source_begins_a_new_folder(sources: Path, home: Path, name: str) -> None:
    before = load(sources).cache_folder()
    source = sources / name
    source.write_text(source.read_text("utf-8") + "\nONE_MORE = 1\n", "utf-8")
    assert load(sources).cache_folder() != before


def test_a_source_more_begins_a_new_folder(sources: Path, home: Path) -> None:
    before = load(sources).cache_folder()
    (sources / "traversals" / "another.py").write_text("ANOTHER = 1\n", "utf-8")
    assert load(sources).cache_folder() != before


def test_code_with_checks_of_bounds_has_another_folder(
    sources: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(sources).cache_folder()
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 1)
    assert load(sources).cache_folder() != before


def made(home: Path, name: str, days: float) -> Path:
    """Make a folder that was last used so many days ago."""
    folder = home / name
    folder.mkdir(parents=True)
    (folder / "code.nbc").write_bytes(b"code")
    then = time.time() - days * 24 * 3600
    os.utime(folder, (then, then))
    return folder


def test_a_new_folder_has_those_removed_that_were_unused_for_a_month(sources: Path, home: Path) -> None:
    old, recent = made(home, "kernels-" + "0" * 16, 31), made(home, "kernels-" + "1" * 16, 29)
    half_removed = made(home, "removed-" + "2" * 16, 0)
    others = [made(home, name, 99) for name in ("kernels-mine", "bench", "kernels-" + "0" * 17)]
    (home / ("kernels-" + "3" * 16)).symlink_to(others[0])
    folder = load(sources).cache_folder()
    assert not old.exists() and not half_removed.exists()
    assert folder.is_dir() and recent.is_dir() and (home / ("kernels-" + "3" * 16)).is_symlink()
    assert all((other / "code.nbc").is_file() for other in others)


def test_of_many_used_folders_the_last_sixteen_stay(sources: Path, home: Path) -> None:
    folders = [made(home, f"kernels-{i:016x}", i / 24) for i in range(30)]
    used = load(sources).cache_folder()
    assert [f.exists() for f in folders] == [i < 15 for i in range(30)]
    assert used.is_dir()


def test_nothing_is_removed_where_the_folder_is_there_already(sources: Path, home: Path) -> None:
    folder = load(sources).cache_folder()
    os.utime(folder, (0, 0))
    old = made(home, "kernels-" + "0" * 16, 400)
    assert load(sources).cache_folder() == folder
    assert old.is_dir()
    assert folder.stat().st_mtime > 0, "its time doesn't say that it is used"


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_process_whose_folder_is_removed_goes_on(home: Path) -> None:
    script = (
        "import numpy as np, shutil; from lsr.kernels.traversals.topk import key_of as k;"
        "from lsr.kernels.jit.compile import *;"
        "k(np.uint32(1), 1); shutil.rmtree(cache_folder()); k(np.uint32(1), np.uint8(1)); print(k(np.uint32(2), 1))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(run.stdout) == (2 << 32) + 2**32 - 2


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_old_folders_of_somebody_else_stay(sources: Path, home: Path) -> None:
    old = made(home, "kernels-" + "0" * 16, 400)
    os.chown(old, 12345, 12345)
    load(sources).cache_folder()
    assert old.is_dir()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o722])
def test_a_folder_that_others_may_write_to_is_not_used(sources: Path, home: Path, mode: int) -> None:
    folder = load(sources).cache_folder()
    folder.chmod(mode)
    other = load(sources).cache_folder()
    assert other.parent == home.parent / "temporary"
    assert other.stat().st_mode & 0o777 == 0o700
    assert not any(folder.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_used(sources: Path, home: Path) -> None:
    folder = load(sources).cache_folder()
    os.chown(folder, 12345, 12345)
    assert load(sources).cache_folder().parent == home.parent / "temporary"


def test_a_file_in_the_folders_place_is_not_touched(sources: Path, home: Path) -> None:
    home.write_text("not a folder", "utf-8")
    assert load(sources).cache_folder().parent == home.parent / "temporary"
    assert home.read_text("utf-8") == "not a folder"


def test_other_users_of_numba_keep_their_own_folder(sources: Path, home: Path) -> None:
    before = numba.config.CACHE_DIR
    load(sources).kernel(lambda a: a)
    assert before == numba.config.CACHE_DIR


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_second_process_compiles_nothing(home: Path) -> None:
    """The first leaves compiled code in the folder, the second finds it there."""
    script = (
        "import numpy as np; from lsr.kernels.traversals.topk import key_of as k; k(np.uint32(1), 1);"
        "print(sum(k.stats.cache_hits.values()), sum(k.stats.cache_misses.values()))"
    )
    seen = [subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True) for _ in "ab"]
    assert [run.stdout.split() for run in seen] == [["0", "1"], ["1", "0"]]
    assert list(home.glob("kernels-*/*/topk.key_of-*.nbi"))


DENIED = "import os; access = os.access; os.access = lambda path, mode: mode != os.W_OK and access(path, mode);"
"""Start of a script for which every folder is read-only, as for another user than root."""

COUNTED = (
    "import numpy as np; from lsr.kernels.traversals.topk import key_of as k; k(np.uint32(1), 1);"
    "from lsr.kernels.jit.compile import cache_folder;"
    "print(sum(k.stats.cache_hits.values()), sum(k.stats.cache_misses.values()), cache_folder())"
)


def counted(script: str) -> tuple[list[str], str]:
    """Run a script in a new process; return what it prints and its messages."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout.split(), run.stderr


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_cache_that_can_only_be_read_is_used_as_it_is(home: Path) -> None:
    counted(COUNTED)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    (hits, misses, folder), messages = counted(DENIED + COUNTED)
    assert (hits, misses, messages) == ("1", "0", "")
    assert not Path(folder).is_relative_to(home)
    assert not Path(folder).exists(), "the folder of links was left behind"
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_a_cache_that_cannot_be_written_says_what_to_set_and_leaves_nothing(home: Path) -> None:
    (hits, misses, folder), messages = counted(DENIED + COUNTED)
    assert (hits, misses) == ("0", "1")
    assert messages.count("set LSR_CACHE to a folder of yours") == 1
    assert not Path(folder).exists()


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")
def test_kernels_run_where_no_folder_can_be_made(home: Path) -> None:
    script = "import tempfile; tempfile.tempdir = '/nowhere';" + DENIED + COUNTED
    assert counted(script)[0] == ["0", "1", "None"]


def test_a_cache_of_links_holds_only_files_that_nobody_else_can_change(home: Path) -> None:
    from lsr.kernels.jit.read_only import temporary_folder

    (home / "a").mkdir(parents=True)
    for name, mode in (("a/sound.nbc", 0o644), ("a/open.nbc", 0o666)):
        (home / name).write_bytes(b"code")
        (home / name).chmod(mode)
    (home / "a" / "link.nbc").symlink_to("/etc/passwd")
    folder = temporary_folder(links_to=home)
    assert folder is not None
    assert [path.name for path in folder.rglob("*.nbc")] == ["sound.nbc"]
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("kept", "compiled", "message"),
    [
        (True, False, "compiling, which happens once after an installation and takes some seconds"),
        (False, False, "compiling, which takes some seconds"),
        (False, True, "compiling, which takes some seconds: the kernel cache lacks some kernels, and can't be written"),
    ],
)
def test_compiling_happens_once_only_where_it_does(
    kept: bool, compiled: bool, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lsr.kernels.jit import first_use

    folder = tmp_path / ("kernels-0" if kept else "lsr-kernels-0")
    folder.mkdir()
    if compiled:
        (folder / "topk.another-1.nbc").write_bytes(b"")
    monkeypatch.setattr(compile_module, "cache_folder", lambda: folder)
    assert (first_use.note_of_compiling("search_segments") or "").startswith(message)
    (folder / "search.search_segments-1.nbc").write_bytes(b"")
    assert first_use.note_of_compiling("search_segments") is None


def test_compiling_is_said_once_a_process_where_any_kernel_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from lsr.kernels.jit import first_use

    folder = tmp_path / "kernels-0"
    folder.mkdir()
    (folder / "a.there-1.nbc").write_bytes(b"")
    monkeypatch.setattr(compile_module, "cache_folder", lambda: folder)
    monkeypatch.setattr(first_use, "_looked_for", set())
    monkeypatch.setattr(first_use, "_warned", {})
    first_use.warn_before_compiling("there")
    assert not caplog.messages
    for _ in range(2):
        first_use.warn_before_compiling("there", "missing", what="the encoder's kernels")
        first_use.warn_before_compiling("another")
    assert caplog.messages == [
        "compiling the encoder's kernels, which happens once after an installation and takes some seconds"
    ]
