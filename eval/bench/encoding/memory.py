"""The peak memory of `lsr index` by the number of passages, and what holds it.

Run as `python -m lsr.eval.bench.encoding.memory CORPUS`. Each number of passages is indexed by a new process, which
looks at its own mappings (`/proc/self/smaps`) some times a second, and keeps what it saw when it held most.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from lsr.errors import LsrError

KINDS = ("arrays and objects", "libraries", "files of the model", "other files")
"""Kinds of mappings: private memory without a file, code with its data, weights that are mapped, and all else."""

_EVERY_S = 0.25
_INDEX, _OPEN = "index", "open"


def resident(smaps: str) -> Counter[str]:
    """Return the resident bytes of each of KINDS by the text of an smaps file."""
    found: Counter[str] = Counter()
    kind = KINDS[0]
    for line in smaps.splitlines():
        name, _, rest = line.partition(" ")
        if not name.endswith(":"):
            kind = _kind(line)
        elif name == "Rss:":
            found[kind] += int(rest.split()[0]) * 1024
    return found


def _kind(header: str) -> str:
    fields = header.split(maxsplit=5)
    path = fields[5] if len(fields) == 6 else ""
    if not path.startswith("/"):
        return KINDS[0]
    if ".so" in path or "/bin/" in path:
        return KINDS[1]
    return KINDS[2] if path.endswith((".safetensors", ".npz")) else KINDS[3]


def _now() -> Counter[str]:
    return resident(Path("/proc/self/smaps").read_text("utf-8"))


def _peak_bytes() -> int:
    """Return the most that this process has held. Its rusage would count the process that started it, too."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024


class _Watch(threading.Thread):
    """Thread that keeps the largest memory seen, by kinds."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.largest: Counter[str] = Counter()
        self.ended = threading.Event()

    def run(self) -> None:
        over = False
        while not over:
            over = self.ended.wait(_EVERY_S)
            now = _now()
            if now.total() > self.largest.total():
                self.largest = now


def _index(corpus: str, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Index a corpus in this process; return the memory before, at its largest, and the peak."""
    from lsr.cli.indexes import index  # noqa: F401
    from lsr.cli.main import main as lsr_main

    before, watch = _now(), _Watch()
    watch.start()
    with tempfile.TemporaryDirectory() as scratch:
        options = ["--encoder", encoder, "--index", f"{scratch}/index", "--threads", str(threads)]
        status = lsr_main(["index", corpus, *options, "--json", "-q"])
    watch.ended.set()
    watch.join()
    if status:
        raise LsrError(f"lsr index of {corpus} ended with status {status}")
    return {"started": before, "at the peak": watch.largest, "peak": {"bytes": _peak_bytes()}}


def _open(corpus: str, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Open an encoder in this process and encode a window; return the memory after each step."""
    from lsr.encoders.registry import load_encoder
    from lsr.encoders.threads import limited_threads
    from lsr.indexer.corpus.reader import read_corpus

    documents = list(read_corpus([Path(corpus)]))
    found: dict[str, Mapping[str, int]] = {"imported": _now()}
    opened = load_encoder(encoder)
    found["opened"] = _now()
    found["most while it was opened"] = {"bytes": _peak_bytes()}
    with limited_threads(threads):
        opened.encode_documents(documents[:64])
        found["64 passages encoded"] = _now()
        opened.encode_documents(documents)
    found[f"{len(documents)} passages encoded"] = _now()
    return found


def measure(what: str, passages: Sequence[str], encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Return what a new process of `_index` or `_open` says of its memory with some passages, in bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "passages.jsonl"
        rows = (json.dumps({"id": str(i), "text": text}) for i, text in enumerate(passages))
        corpus.write_text("\n".join(rows), "utf-8")
        command = [sys.executable, "-m", "lsr.eval.bench.encoding.memory", str(corpus), "--child", what]
        command += ["--encoder", encoder, "--threads", str(threads)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Mapping[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


def line(name: str, held: Mapping[str, int]) -> str:
    """Return a row of the table, in MB."""
    megabytes = [f"{held.get(kind, 0) / 1e6:.0f}" for kind in KINDS]
    whole = held["bytes"] if "bytes" in held else sum(held.values())
    return f"| {name} | {' | '.join(megabytes if 'bytes' not in held else [''] * len(KINDS))} | {whole / 1e6:.0f} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the memory of each number of passages."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.memory", description=__doc__)
    parser.add_argument("corpus", type=Path, help="corpus of short texts, such as passages of Wikipedia in Parquet")
    parser.add_argument("--passages", type=int, nargs="+", default=[5000, 12000], metavar="N",
                        help="numbers of passages to index, one after another (default 5000 12000)")  # fmt: skip
    parser.add_argument("--encoder", default="default", help="model (default: the bundled one)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--child", choices=(_INDEX, _OPEN), help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child is not None:
        found = (_index if args.child == _INDEX else _open)(str(args.corpus), args.encoder, args.threads)
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    from itertools import islice

    from lsr.indexer.corpus.reader import read_corpus

    texts = [document.text for document in islice(read_corpus([args.corpus]), max(args.passages))]
    sys.stdout.write(f"| | {' | '.join(KINDS)} | MB in all |\n|{' --- |' * (len(KINDS) + 2)}\n")
    for what, n in [(_OPEN, 256), *((_INDEX, n) for n in args.passages)]:
        for name, held in measure(what, texts[:n], args.encoder, args.threads).items():
            sys.stdout.write(line(name if what == _OPEN else f"`lsr index`, {n:,} passages, {name}", held) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
