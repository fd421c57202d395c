"""Commands in processes of their own: what they import, how they end, what they leave."""

from __future__ import annotations

import ctypes
import errno
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.indexer.storage.index import StoredIndex

Lsr = Callable[..., Any]
HEAVY = ("torch", "transformers", "numba", "safetensors", "sentence_transformers", "scipy", "faiss", "tqdm")


def imported_by(folder: Path, *args: str) -> str:
    """Run a command in a fresh interpreter; return which of the heavy libraries it had loaded at the end."""
    code = f"import sys; from lsr.cli.main import main; code = main({list(args)!r}); sys.stdout.flush(); "
    code += f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout
    return done.stderr.splitlines()[-1]


def test_a_search_by_words_loads_no_heavy_library(bm25_index: Path, tmp_path: Path) -> None:
    assert imported_by(tmp_path, "search", "sleeping cats", "--index", str(bm25_index)) == "[]"


def test_a_search_by_an_inference_free_model_loads_no_heavy_library(
    router: Path, tmp_path: Path, lsr: Lsr, jsonl: Any, documents: Any
) -> None:
    jsonl(tmp_path / "corpus.jsonl", documents)
    assert lsr("index", tmp_path / "corpus.jsonl", "--index", tmp_path / "index", "--encoder", router).code == 0
    assert imported_by(tmp_path, "search", "cats chase the dog", "--index", str(tmp_path / "index")) == "[]"


def test_the_other_reading_commands_load_no_model_library(bm25_index: Path, tmp_path: Path) -> None:
    assert imported_by(tmp_path, "stats", "--index", str(bm25_index)) == "[]"
    loaded = imported_by(tmp_path, "check", "--index", str(bm25_index))
    assert "torch" not in loaded and "transformers" not in loaded


def begun(process: subprocess.Popen[str], index: Path, *, building: bool = False) -> None:
    """Wait until a writer collects documents in an index; or until it has them all, and builds."""
    first = None
    for _ in range(60_000):
        found = list(index.glob("tmp-*/segment-0/weights.spool")) if index.is_dir() else []
        # Once all is collected, another file with the final weights takes the place of that with the counts.
        number = found[0].stat().st_ino if found else None
        first = first or number
        if number is not None and (number != first or not building):
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    raise AssertionError("it never began")


@pytest.mark.parametrize(
    ("number", "code", "building"),
    [(signal.SIGINT, 130, False), (signal.SIGINT, 130, True), (signal.SIGTERM, 143, False)],
)
def test_an_interrupted_command_leaves_what_was_there(
    tmp_path: Path,
    bm25_index: Path,
    large_corpus: Path,
    start_lsr: Any,
    number: signal.Signals,
    code: int,
    building: bool,
) -> None:
    index = Path(shutil.copytree(bm25_index, tmp_path / "index"))
    for target, options in ((index, ["--overwrite"]), (tmp_path / "new" / "index", [])):
        before = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
        process = start_lsr("index", large_corpus, "--index", target, *options)
        begun(process, target, building=building)
        process.send_signal(number)
        out, err = process.communicate()
        assert (process.returncode, out) == (code, "")
        assert "Traceback" not in err
        if number == signal.SIGINT:
            assert err.splitlines()[-1] == "lsr: interrupted; what was there before is unchanged"
        assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == before
        with StoredIndex.open(index) as kept:
            assert len(kept) == 4


def test_a_killed_command_leaves_the_old_index_and_no_lock(
    tmp_path: Path, bm25_index: Path, large_corpus: Path, start_lsr: Any, lsr: Lsr, jsonl: Any, documents: Any
) -> None:
    index = Path(shutil.copytree(bm25_index, tmp_path / "index"))
    process = start_lsr("index", large_corpus, "--index", index, "--overwrite")
    begun(process, index)
    second = lsr("index", large_corpus, "--index", index, "--overwrite")
    assert second.code == 4 and f"is being written to by process {process.pid} on " in second.err
    process.kill()
    process.wait()
    assert any(name.startswith("tmp-") for name in os.listdir(index))
    assert len(lsr("search", "cat", "--index", index, "--json").lines) == 2
    corpus = jsonl(tmp_path / "corpus.jsonl", documents[:3])
    assert lsr("index", corpus, "--index", index, "--overwrite").code == 0
    assert len(StoredIndex.open(index)) == 3 and not any(name.startswith("tmp-") for name in os.listdir(index))


def test_output_may_be_left_unread(bm25_index: Path, tmp_path: Path, start_lsr: Any) -> None:
    (tmp_path / "queries.tsv").write_text("".join(f"q{i}\tcats\n" for i in range(5000)))
    process = start_lsr("search", "--index", bm25_index, "--queries", "queries.tsv")
    assert process.stdout.readline().startswith('{"query_id": "q0"')
    process.stdout.close()
    assert process.wait() == 0
    assert "Traceback" not in process.stderr.read() and "Broken" not in process.stderr.read()


def test_output_that_cannot_be_written_is_a_failure(bm25_index: Path, lsr_process: Lsr) -> None:
    with Path("/dev/full").open("w") as full:
        done = lsr_process("search", "cats", "--json", "--index", bm25_index, stdout=full)
    assert done.code == 1 and done.err == "lsr: output: No space left on device\n"


def test_a_disk_that_is_really_full(tmp_path: Path, large_corpus: Path, lsr_process: Lsr) -> None:
    small_disk = tmp_path / "disk"
    small_disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small_disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        done = lsr_process("index", large_corpus, "--index", small_disk / "index")
        assert done.code == 1 and done.out == ""
        assert done.err.splitlines()[-1].startswith(f"lsr: can't write the index at {small_disk}/index: No space left")
        assert os.listdir(small_disk) == []
    finally:
        subprocess.run(["umount", str(small_disk)], check=True)


PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def give_up_privileges() -> None:
    """Let permissions hold for the program that this process is to become, even if its user is root."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def test_permissions_that_are_missing_are_named(
    tmp_path: Path, bm25_index: Path, jsonl: Any, documents: Any, lsr_process: Lsr
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", documents)
    index = Path(shutil.copytree(bm25_index, tmp_path / "index"))
    closed = tmp_path / "closed"
    closed.mkdir()
    closed.chmod(0o555)
    done = lsr_process("index", corpus, "--index", closed / "index", preexec_fn=give_up_privileges)
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"lsr: can't write the index at {closed}/index: Permission denied; what was there is unchanged; "
        "change its permissions, or choose another place with --index"
    )
    index.chmod(0o555)  # enough to read
    assert lsr_process("search", "cat", "--index", index, preexec_fn=give_up_privileges).code == 0
    for path in (index / "manifest-00000001.json", index):
        path.chmod(0)
        done = lsr_process("search", "cat", "--index", index, preexec_fn=give_up_privileges)
        assert done.code == 3
        assert done.err == f"lsr: {path}: can't be read (Permission denied); check its permissions\n"
    index.chmod(0o755)
    closed.chmod(0o755)


def on_terminal(args: list[str], folder: Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Run a command on a terminal; return its exit code and all that it showed."""
    import fcntl
    import struct
    import termios

    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    process = subprocess.Popen(
        [sys.executable, "-m", "lsr.cli.main", *args], cwd=folder, stdin=follower, stdout=follower, stderr=follower,
        env=env | {"TERM": "xterm-256color", "PYTHONSAFEPATH": "1"} | environment,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    while select.select([leader], [], [], 60)[0]:
        try:
            data = os.read(leader, 65536)
        except OSError as error:  # the other end is closed
            assert error.errno == errno.EIO
            break
        if not data:
            break
        shown += data
    os.close(leader)
    return process.wait(), shown.decode()


def test_on_a_terminal_matched_words_are_marked(bm25_index: Path, tmp_path: Path) -> None:
    code, shown = on_terminal(
        ["search", "sleeping cat", "--index", str(bm25_index), "-k", "1", "--no-locate"], tmp_path, columns=55
    )
    assert code == 0
    lines = shown.replace("\r\n", "\n").splitlines()
    bold, match, dim, end = "\033[1m", "\033[1;31m", "\033[2m", "\033[0m"
    assert lines[0].startswith(f"  1  {bold}On {end}{match}cats{end}  ")
    assert lines[1] == f"     {dim}cats{end}"
    assert lines[2].startswith(
        f"     A {match}cat{end} {match}sleeps{end} most of the day. {match}Cats{end} purr when they"
    )
    assert lines[3].startswith(f"     {match}sleep{end} well.")
    assert lines[-1].startswith(f"{dim}the best 1 of 4 documents, in ")


def test_on_a_terminal_without_colour_nothing_is_styled(bm25_index: Path, tmp_path: Path) -> None:
    code, shown = on_terminal(["search", "cat", "--index", str(bm25_index)], tmp_path, NO_COLOR="1")
    assert code == 0 and "On cats" in shown and "\033" not in shown


def test_on_a_terminal_long_work_shows_a_bar_that_goes_away(large_corpus: Path, tmp_path: Path) -> None:
    code, shown = on_terminal(["index", str(large_corpus), "--index", "index"], tmp_path)
    assert code == 0
    assert "reading:" in shown and "B/s]" in shown and "indexing:" in shown and " documents/s]" in shown
    left = [line.split("\r")[-1] for line in shown.replace("\r\n", "\n").split("\n")]
    assert any(line.startswith("indexed 40,000 documents in ") for line in left)
    assert not any("%|" in line for line in left)


def test_away_from_a_terminal_there_is_no_bar(large_corpus: Path, lsr_process: Lsr) -> None:
    done = lsr_process("index", large_corpus, "--index", "index")
    assert done.code == 0 and len(done.lines) == 1 and "%" not in done.err and "\r" not in done.err
