"""Demonstration of `make demo`: the documentation of Python itself, read from the interpreter, indexed and searched."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from lsr.output.terminal import say

SEARCHES = (
    "run a command in a subprocess and capture its output",
    "wrap a paragraph of text to a given width",
    "most common elements and their counts",
)
FOLDER = Path("build/demo")


def main() -> int:
    """Write the corpus, then show and run the commands that index and search it."""
    from lsr.indexer.corpus.formats.pydocs import write_jsonl

    corpus = FOLDER / "python-docs"
    corpus.mkdir(parents=True, exist_ok=True)
    count = write_jsonl(corpus / "python.jsonl", without=("method",))
    say(f"{count:,} passages of Python's documentation are in {corpus}", "", flush=True)
    index = FOLDER / "index"
    commands = [["index", str(corpus), "--index", str(index), "--overwrite"]]
    commands += [["search", query, "--index", str(index), "-k", "3"] for query in SEARCHES]
    for command in commands:
        say(f"$ lsr {shlex.join(command)}", flush=True)
        code = subprocess.run([sys.executable, "-m", "lsr.cli.main", *command], check=False).returncode
        if code:
            return code
        say("", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
