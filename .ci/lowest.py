"""Run the kernel tests with the lowest versions that pyproject promises, for this processor and as generic code.

The libraries go into a virtual environment in build/lowest, which is kept. The package is linked rather than installed,
since its other dependencies take gigabytes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "lowest"
FLOORS = ("eval", "indexer", "kernels", "query")
NEEDED = ("numba", "llvmlite", "numpy", "pyarrow", "pytest", "pytest-timeout", "hypothesis")
CASES = "16"
TESTS = ("packed_runs", "superblock_bounds", "search", "topk", "quantise", "kth_impacts", "layout", "forward")
GENERIC_TESTS = ("packed_runs", "search")


def lowest_versions() -> list[str]:
    """Return the requirements of pyproject that kernels and their tests need, as their lowest versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    promised = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    found = dict(match.groups() for line in promised if (match := re.match(r"([\w-]+)>=([\d.]+)", line)))
    return [f"{name}=={found[name]}" for name in NEEDED]


def install(wanted: list[str]) -> Path:
    """Return the environment's Python, made if it isn't there with these versions."""
    python, stamp = HOME / "venv" / "bin" / "python", HOME / "installed"
    if not stamp.is_file() or stamp.read_text("utf-8").split() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        venv.create(HOME / "venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
        stamp.write_text("\n".join(wanted), "utf-8")
    return python


def link_package() -> Path:
    """Return a folder of links in which the package has its installed shape."""
    package = HOME / "linked" / "lsr"
    shutil.rmtree(package.parent, ignore_errors=True)
    package.mkdir(parents=True)
    for entry in (ROOT / "lsr").iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for floor in FLOORS:
        (package / floor).symlink_to(ROOT / floor)
    return package.parent


def main() -> int:
    """Run the tests; return pytest's exit code."""
    wanted = lowest_versions()
    python, linked = install(wanted), link_package()
    sys.stdout.write(f"kernel tests with {', '.join(wanted)}\n")
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    ours |= {"PYTHONPATH": str(linked), "PYTHONSAFEPATH": "1", "LSR_PROPERTY_CASES": CASES}
    ours |= {"LSR_CACHE": os.environ.get("LSR_CACHE", str(HOME / "cache"))}
    for target, tests in ({}, TESTS), ({"NUMBA_CPU_NAME": "generic"}, GENERIC_TESTS):
        files = [str(ROOT / "tests" / "kernels" / f"test_{name}.py") for name in tests]
        command = [str(python), "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *files]
        sys.stdout.flush()
        done = subprocess.run(command, cwd=ROOT, env=ours | target, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
