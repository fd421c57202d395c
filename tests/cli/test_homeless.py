"""Commands of a user without a home folder and without an entry in the list of users."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lsr.errors import LsrError
from lsr.io.cache import cache_home, expanded

HOMELESS = (
    "import pwd, sys\n"
    "def nobody(uid): raise KeyError(uid)\n"
    "pwd.getpwuid = pwd.getpwnam = nobody\n"
    "from lsr.cli.entry import main\n"
    "sys.exit(main(sys.argv[1:]))\n"
)


def run(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    without = {"HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "LSR_CACHE", "USER", "LOGNAME"}
    environment = {name: value for name, value in os.environ.items() if name not in without}
    environment |= {"TMPDIR": str(here / "tmp"), "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-c", HOMELESS, *arguments]
    return subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True, check=False)


def test_every_command_works_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("Trees grow.")
    commands = (
        ["index", "notes", "--encoder", "bm25"],
        ["search", "trees"],
        ["search", "trees", "--json", "--explain"],
        ["update", "notes"],
        ["delete", "a.txt"],
        ["doctor"],
    )
    for command in commands:
        done = run(tmp_path, *command)
        assert done.returncode == 0, (command, done.stderr)
        assert "Traceback" not in done.stderr and "Exception ignored" not in done.stderr, (command, done.stderr)


def test_a_model_of_an_unknown_user_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "a.txt").write_text("Trees grow.")
    done = run(tmp_path, "index", "a.txt", "--encoder", "~/model")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "no model folder ~/model" in done.stderr


@pytest.fixture
def homeless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOME", "LSR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda uid: {}[uid])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_cache_is_then_a_folder_that_only_the_user_may_enter(homeless: Path) -> None:
    assert cache_home() == homeless / f"lsr-cache-{os.getuid()}" == cache_home()
    assert cache_home().stat().st_mode & 0o777 == 0o700


def test_a_cache_that_others_can_change_is_refused(homeless: Path) -> None:
    cache_home().chmod(0o777)
    with pytest.raises(LsrError, match="set LSR_CACHE"):
        cache_home()


def test_a_home_that_is_not_there_stays_as_it_is_written(homeless: Path) -> None:
    assert expanded("~/model") == Path("~/model")
    assert expanded("model") == Path("model")
