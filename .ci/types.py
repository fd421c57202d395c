"""Check the types of all packages, and of what the tests share, and see that no file was left out.

The packages' folders lie beside each other, and mypy follows the file system: run on the root it would
check `lsr/` alone and report success. So it gets a folder of links in the installed shape. The modules
that tests share (fixtures, oracles, workers) are checked as well, each by its own name, since several
are called `conftest`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FLOORS = ("eval", "indexer", "kernels", "query")


def main() -> int:
    """Run mypy; return its exit code, or 1 if it checked another number of files than there are."""
    links = ROOT / "build" / "typing"
    shutil.rmtree(links, ignore_errors=True)
    package = links / "lsr"
    package.mkdir(parents=True)
    for entry in (ROOT / "lsr").iterdir():
        if entry.name != "__pycache__":
            (package / entry.name).symlink_to(entry)
    for floor in FLOORS:
        (package / floor).symlink_to(ROOT / floor)
    helpers = [path for path in (ROOT / "tests").rglob("*.py") if not path.name.startswith("test_")]
    for path in helpers:
        name = path.name if path.name != "conftest.py" else f"conftest_of_{path.parent.name}.py"
        (links / name).symlink_to(path)
    checked_paths = [package, *sorted(links.glob("*.py"))]
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, checked_paths)]
    done = subprocess.run(
        command, env=os.environ | {"MYPYPATH": str(links)}, capture_output=True, text=True, check=False
    )
    sys.stdout.write(done.stdout)
    sys.stderr.write(done.stderr)
    if done.returncode:
        return done.returncode
    checked = re.search(r"in (\d+) source files", done.stdout)
    there = len(helpers) + sum(1 for folder in ("lsr", *FLOORS) for _ in (ROOT / folder).rglob("*.py"))
    if checked is None or int(checked[1]) != there:
        sys.stderr.write(f"mypy checked {checked and checked[1]} files, but there are {there}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
