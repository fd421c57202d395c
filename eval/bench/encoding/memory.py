"""The peak memory of `lsr index` by the number of passages, and what holds it.

Run as `python -m lsr.eval.bench.encoding.memory CORPUS`. Each number of passages is indexed by a new process, whose
mappings (`/proc/PID/smaps`) are looked at some times a second. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from lsr.errors import LsrError

KINDS = ("arrays and objects", "libraries", "files of the model", "other files")
"""Kinds of mappings: private memory without a file, code with its data, weights that are mapped, and all else."""

_EVERY_S, _FEW = 0.1, 256


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


def _held(process: int | str) -> tuple[Counter[str], int]:
    """Return what a process holds by kinds, and the most that it has ever held, in bytes."""
    place = Path(f"/proc/{process}")
    lines = (place / "status").read_text("utf-8").splitlines()
    most = next((line for line in lines if line.startswith("VmHWM:")), "VmHWM: 0")
    return resident((place / "smaps").read_text("utf-8")), int(most.split()[1]) * 1024


def index(corpus: Path, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Return the memory of `lsr index` by kinds when it was seen to hold most, and its peak, in bytes."""
    with tempfile.TemporaryDirectory() as scratch:
        return _watched("lsr", "index", str(corpus), "--index", f"{scratch}/index", "-q", *_options(encoder, threads))


def index_repeated_rows(corpus: Path, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Do what `index` does, with rows that were encoded before (`repeated_rows`)."""
    with tempfile.TemporaryDirectory() as scratch:
        module = "lsr.eval.bench.encoding.repeated_rows"
        return _watched(module, str(corpus), f"{scratch}/index", *_options(encoder, threads))


def _options(encoder: str, threads: int) -> list[str]:
    return ["--encoder", encoder, "--threads", str(threads)]


def _watched(*arguments: str) -> dict[str, Mapping[str, int]]:
    """Run a module of Python in a process, and return the memory that it was seen to hold."""
    largest, peak = Counter[str](), 0
    with subprocess.Popen([sys.executable, "-m", *arguments], stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            time.sleep(_EVERY_S)
            with suppress(OSError):  # it has ended meanwhile
                now, most = _held(process.pid)
                largest, peak = max(largest, now, key=Counter.total), max(peak, most)
    if process.returncode:
        raise LsrError(f"{' '.join(arguments[:3])} ended with status {process.returncode}")
    return {"when most was seen": largest, "peak": {"bytes": peak}}


def _open(corpus: str, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Open an encoder in this process and encode a window; return the memory after each step."""
    from lsr.encoders.registry import load_encoder
    from lsr.encoders.threads import limited_threads
    from lsr.indexer.corpus.reader import read_corpus

    documents = list(read_corpus([Path(corpus)]))
    found: dict[str, Mapping[str, int]] = {"imported": _held("self")[0]}
    model = load_encoder(encoder)
    found["opened"] = _held("self")[0]
    found["most while it was opened"] = {"bytes": _held("self")[1]}
    with limited_threads(threads):
        model.encode_documents(documents[:64])
        found["64 passages encoded"] = _held("self")[0]
        model.encode_documents(documents)
    found[f"{len(documents)} passages encoded"] = _held("self")[0]
    return found


def opened(corpus: Path, encoder: str, threads: int) -> dict[str, Mapping[str, int]]:
    """Return the memory of a new process that opens an encoder and encodes a corpus, after each step, in bytes."""
    command = [sys.executable, "-m", "lsr.eval.bench.encoding.memory", str(corpus), "--open", "--encoder", encoder]
    done = subprocess.run([*command, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, text=True)
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
    parser.add_argument("--repeated-rows", action="store_true",
                        help="repeat the rows of the first passages: all but encoding is measured, sooner")  # fmt: skip
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.open:
        sys.stdout.write(json.dumps(_open(str(args.corpus), args.encoder, args.threads)) + "\n")
        return 0
    from itertools import islice

    from lsr.indexer.corpus.reader import read_corpus

    texts = [document.text for document in islice(read_corpus([args.corpus]), max(args.passages))]
    sys.stdout.write(f"| | {' | '.join(KINDS)} | MB in all |\n|{' --- |' * (len(KINDS) + 2)}\n")
    with tempfile.TemporaryDirectory() as scratch:
        corpus = Path(scratch) / "passages.jsonl"
        indexing = index_repeated_rows if args.repeated_rows else index
        for measure, n in [(opened, _FEW), *((indexing, n) for n in args.passages)]:
            rows = (json.dumps({"id": str(i), "text": text}) for i, text in enumerate(texts[:n]))
            corpus.write_text("\n".join(rows), "utf-8")
            for name, held in measure(corpus, args.encoder, args.threads).items():
                sys.stdout.write(
                    line(name if measure is opened else f"`lsr index`, {n:,} passages, {name}", held) + "\n"
                )
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
