"""No object is left open: from Python 3.13 on, one that fails when it is collected prints "Exception ignored".

Python's development mode does the same in earlier versions.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

STRICT = [sys.executable, "-X", "dev", "-W", "error::ResourceWarning", "-m", "lsr"]
ROWS = [{"id": str(n), "text": f"Tree number {n} grows.", "year": 2000 + n} for n in range(3)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


def strict(here: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in development mode, where objects that were not closed are errors."""
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run([*STRICT, *arguments], cwd=here, env=environment, capture_output=True, text=True, check=False)
    for word in ("Exception ignored", "ResourceWarning", "Traceback", "leaked"):
        assert word not in done.stderr, (arguments, done.stderr)
    return done


def table(rows: list[dict[str, object]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


def archives() -> dict[str, bytes]:
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("a.md", "# A tree\n\nIt grows.")
    with tarfile.open(fileobj=tarred, mode="w") as archive:
        info = tarfile.TarInfo("b.md")
        info.size = 9
        archive.addfile(info, io.BytesIO(b"# B\n\nTree"))
    return {"z.zip": zipped.getvalue(), "t.tar.gz": gzip.compress(tarred.getvalue())}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    csv = b"id,text,year\nc1,A tree in CSV.,2001\nc2,Another.,2002\n"
    files = {
        "a.txt": b"Trees grow.",
        "u.txt": "Bäume wachsen.".encode("utf-16"),
        "b.jsonl": JSONL,
        "c.csv": csv,
        "d.csv.bz2": bz2.compress(csv.replace(b"c1", b"d1").replace(b"c2", b"d2")),
        "e.json.xz": lzma.compress(b'[{"id": "e", "text": "Tree."}]'),
        "f.parquet": table([{"id": "f", "text": "Tree."}]),
        "g.parquet.gz": gzip.compress(table([{"id": "g", "text": "Tree."}])),
        "h.mbox": b"From x\nSubject: Tree\n\nGrows.\n",
        "broken.csv.gz": gzip.compress(csv)[:20],
        "broken.pdf": b"%PDF-1.4 nonsense",
        **archives(),
    }
    (tmp_path / "notes").mkdir()
    for name, data in files.items():
        (tmp_path / "notes" / name).write_bytes(data)
    return tmp_path


def test_commands_leave_nothing_open(here: Path) -> None:
    assert strict(here, "index", "notes", "--encoder", "bm25", "--skip-bad").returncode == 0
    (here / "q.tsv").write_text("id\tquery\n1\ttree\n")
    for command in (
        ["search", "tree", "--where", "year > 2000", "--explain"],
        ["search", "tree", "--html", "page.html"],
        ["search", "--queries", "q.tsv", "--run", "out.run"],
        ["add", "q.tsv", "--as", "text=*.tsv"],
        ["merge"],
        ["export", "index.tar"],
    ):
        done = strict(here, *command)
        assert done.returncode == 0, (command, done.stderr)


def test_failures_leave_nothing_open(here: Path) -> None:
    for command in (
        ["index", "notes", "--encoder", "bm25"],
        ["index", "notes/broken.pdf", "--encoder", "bm25"],
    ):
        assert strict(here, *command).returncode in (1, 3), command


def test_a_file_whose_owner_closed_it_can_be_collected(tmp_path: Path) -> None:
    from lsr.indexer.storage.files import new_file

    with new_file(tmp_path / "a") as file:
        file.write(b"x")
    file.close()
    assert file.closed and (tmp_path / "a").read_bytes() == b"x"
