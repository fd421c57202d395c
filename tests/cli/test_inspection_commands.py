"""`lsr stats`, `lsr check`, `lsr doctor`, `lsr --help`: what there is, whether it is sound, what is missing."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lsr as package
from lsr.cli import doctor
from lsr.cli.main import COMMANDS
from lsr.indexer.storage.index import StoredIndex

Lsr = Callable[..., Any]


def test_stats_says_what_an_index_holds(lsr: Lsr, bm25_index: Path) -> None:
    done = lsr("stats", "--index", bm25_index)
    shown = dict(re.split(r" {2,}", line, maxsplit=1) for line in done.lines)
    manifest = StoredIndex.open(bm25_index).manifest
    assert done.code == 0 and shown["documents"] == "4" and shown["encoder"] == "bm25"
    assert shown["postings"] == f"{manifest.n_postings}, {manifest.n_postings / 4:.1f} a document"
    assert shown["of the corpus"].startswith("mean_length ") and shown["generation"].startswith("1, made 20")


def test_stats_as_json_names_every_byte(lsr: Lsr, bm25_index: Path) -> None:
    (found,) = lsr("stats", "--index", bm25_index, "--json").objects
    assert found["documents"] == 4 and found["encoder"]["kind"] == "bm25" and found["statistics"]["n_docs"] == 4
    assert sum(found["size_bytes_of"].values()) == found["size_bytes"]
    on_disk = sum(path.stat().st_size for path in bm25_index.rglob("*/*/*"))
    assert found["size_bytes"] == on_disk


def test_check_finds_a_sound_index_sound(lsr: Lsr, bm25_index: Path) -> None:
    done = lsr("check", "--index", bm25_index)
    assert done.code == 0 and done.out.startswith("sound: 4 documents, ")
    assert lsr("check", "--index", bm25_index, "--json").objects == [
        {"index": str(bm25_index), "sound": True, "problems": []}
    ]


def test_check_names_what_is_damaged(lsr: Lsr, bm25_index: Path, tmp_path: Path) -> None:
    index = Path(shutil.copytree(bm25_index, tmp_path / "index"))
    (file,) = index.rglob("documents.arrow")
    file.write_bytes(file.read_bytes()[:-8])
    done = lsr("check", "--index", index)
    assert done.code == 3 and done.out == ""
    assert done.err.splitlines() == [
        f"lsr: {file}: its content is not what was written (size or checksum differs)",
        f"lsr: {index} is damaged; restore it from a copy, or index again with --overwrite",
    ]
    (found,) = lsr("check", "--index", index, "--json").objects
    assert found["sound"] is False and len(found["problems"]) == 1


@pytest.mark.parametrize("command", ["stats", "check", "search"])
def test_where_no_index_is_the_exit_code_says_so(lsr: Lsr, tmp_path: Path, command: str) -> None:
    query = ["x"] if command == "search" else []
    assert lsr(command, *query, "--index", tmp_path).code == 3


def test_doctor_knows_what_every_extra_is_for(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["name"] == doctor.DISTRIBUTION
    assert set(doctor.FOR_WHAT) == set(project["optional-dependencies"]) - {"dev", "frameworks"}


def test_doctor_reads_what_the_installed_package_asks_for(lsr: Lsr) -> None:
    declared = [requirement.lower() for requirement in importlib.metadata.requires("lsr-search") or []]
    (report,) = lsr("doctor", "--json").objects
    shown = [*report["packages"], *(package for extra in report["extras"].values() for package in extra)]
    assert len(shown) == sum(not re.search('extra == "(dev|frameworks)"', requirement) for requirement in declared)
    assert all(any(requirement.startswith(name.lower()) for requirement in declared) for name in shown)


def test_doctor_shows_a_package_that_is_not_installed() -> None:
    assert doctor.requirements("no-such-package") == (["no-such-package"], {})


def test_doctor_shows_versions_and_folders(lsr: Lsr) -> None:
    done = lsr("doctor")
    assert done.code == 0
    for word in (package.__version__, "processor", "kernel cache", "numpy", "extras", "BEIR test collections"):
        assert word in done.out


def test_doctor_says_what_is_missing_for_what(lsr: Lsr, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = ["numpy>=2", "no-such-package==1.0", 'no-such-package ; extra == "dense"', "numpy>=2; extra == 'eval'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda distribution: declared)
    done = lsr("doctor")
    assert done.code == 1
    assert re.search(r"no-such-package +MISSING: pip install no-such-package", done.out)
    assert "lacks no-such-package: pip install 'lsr-search[dense]'" in done.out
    assert "BEIR test collections and their measures: there" in done.out
    (report,) = lsr("doctor", "--json").objects
    assert report["packages"]["no-such-package"] is None and report["lsr"] == package.__version__


@pytest.mark.parametrize("module", ["numpy", "Stemmer", "numba"])
def test_doctor_runs_where_a_needed_package_is_missing(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from lsr.cli.entry import main; sys.exit(main(sys.argv[1:]))"

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)

    done = run("doctor")
    assert "needed\n" in done.stdout and "extras\n" in done.stdout, done.stderr
    if module == "numpy":  # commands load the others when they need them
        done = run("stats")
        assert done.returncode == 1
        assert done.stderr.startswith(f"lsr: the module {module} is missing: ") and "Traceback" not in done.stderr


def test_doctor_sees_a_cache_folder_that_is_not_kept(lsr_process: Lsr, tmp_path: Path) -> None:
    done = lsr_process("doctor", env={"LSR_CACHE": "/proc/nowhere", "TMPDIR": str(tmp_path)})
    assert done.code == 0 and "kernel cache   none: no folder belongs to the user; set LSR_CACHE to one" in done.out
    assert list(tmp_path.iterdir()) == []
    done = lsr_process("doctor", env={"LSR_CACHE": str(tmp_path / "cache")})
    assert "empty: the first use compiles, which takes seconds" in done.out


LIVING = ["add", "update", "delete", "merge", "get", "list", "export", "import"]
MODELS = ["encode", "train", "mine"]


@pytest.mark.parametrize(
    "command",
    [[], ["index"], ["search"], ["stats"], ["check"], ["doctor"], ["explain"], *([name] for name in LIVING + MODELS)],
)
def test_help_is_for_terminals_of_80_columns(lsr: Lsr, command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = lsr(*command, "--help")
    assert done.code == 0 and done.out.startswith(f"usage: {' '.join(['lsr', *command])} ")
    assert max(len(line) for line in done.lines) <= 80
    for example in re.findall(r"^  lsr (\w+)", done.out, re.MULTILINE):
        assert example in COMMANDS


def test_the_version(lsr: Lsr) -> None:
    assert lsr("--version").lines == [f"lsr {package.__version__}"]
