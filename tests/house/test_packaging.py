"""A wheel holds every source file of the repository, and the documentation that `--help` names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

FOLDERS = {
    "lsr": "lsr",
    "docs": "lsr/docs",
    "eval": "lsr/eval",
    "indexer": "lsr/indexer",
    "kernels": "lsr/kernels",
    "query": "lsr/query",
}


def test_the_wheel_holds_every_source_file(root: Path, tmp_path: Path) -> None:
    # Files of an earlier build would be packed again: build in a folder that is empty.
    config = tmp_path / "build.cfg"
    config.write_text(f"[build]\nbuild_base = {tmp_path / 'build'}\n", encoding="utf-8")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(root)]
    subprocess.run(command, env=os.environ | {"DIST_EXTRA_CONFIG": str(config)}, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    sources = {
        f"{target}/{path.relative_to(root / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == sources


def test_the_plain_install_brings_no_torch(root: Path) -> None:
    """Torch brings gigabytes, and no dependency is pinned to one version, which would fight other packages."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=\[ ;]", line)[0] for line in project["dependencies"]}
    assert names.isdisjoint({"torch", "transformers", "accelerate", "sentence-transformers"})
    assert not [line for line in project["dependencies"] if "==" in line]
    for extra in ("torch", "train"):
        wanted = {re.split(r"[<>=\[ ;]", line)[0] for line in project["optional-dependencies"][extra]}
        assert {"torch", "transformers"} <= wanted


@pytest.mark.parametrize("name", ["numba", "llvmlite"])
def test_the_compilers_upper_bound_is_the_version_after_the_tested_one(root: Path, name: str) -> None:
    """Kernels write into its internals, which change from minor version to minor version."""
    dependencies = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    (bound,) = [match[1] for line in dependencies if (match := re.fullmatch(rf"{name}>=[\d.]+,<([\d.]+)", line))]
    (pinned,) = re.findall(rf"^{name}==(\d+)\.(\d+)\.", (root / "constraints.txt").read_text("utf-8"), re.MULTILINE)
    installed = tuple(version(name).split(".")[:2])
    assert installed == pinned
    assert bound == f"{pinned[0]}.{int(pinned[1]) + 1}"
