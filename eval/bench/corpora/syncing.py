"""Time of `lsr sync` where nothing has changed: `python -m lsr.eval.bench.corpora.syncing [--files N]`."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

FILES_A_FOLDER = 100
LONG_AGO = 1_700_000_000


def write_files(folder: Path, count: int) -> None:
    """Write short texts into folders of a hundred, changed long ago."""
    for number in range(count):
        path = folder / f"{number // FILES_A_FOLDER:03}" / f"{number:05}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Note {number} on word{number % 97} and word{number % 89}.\n")
        os.utime(path, (LONG_AGO, LONG_AGO))


def _run(*arguments: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lsr", *arguments], check=True)
    return time.perf_counter() - began


def time_syncs(folder: Path, *, files: int, rounds: int) -> list[float]:
    """Return the seconds of each sync of unchanged files, from the start of the program to its end."""
    notes, index = folder / "notes", folder / "index"
    write_files(notes, files)
    _run("index", str(notes), "--index", str(index), "--encoder", "bm25", "--quiet")
    return [_run("sync", str(index), "--quiet") for _ in range(rounds + 1)][1:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the median of some rounds, after one that fills the caches."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.corpora.syncing", description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, metavar="N", help="number of files (default: 10,000)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds that are timed (default: 5)")
    args = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        seconds = time_syncs(Path(folder), files=args.files, rounds=args.rounds)
    sys.stdout.write(
        f"sync of {args.files:,} unchanged files: {median(seconds):.2f} s (median of {args.rounds})" + "\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
