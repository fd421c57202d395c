"""`lsr serve` as a person runs it: its address, its guards, what it refuses, and its end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.main import main
from lsr.server.run import listen
from lsr.server.settings import ServerSettings

Start = Callable[..., subprocess.Popen[str]]
KEY = "k" * 20


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start `lsr serve` in a process; it is ended at the end."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "lsr", "serve", *map(str, args), "--port", "0"]
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def connected(process: subprocess.Popen[str]) -> http.client.HTTPConnection:
    assert process.stdout is not None
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:") and url.endswith("/"), process.communicate()
    return http.client.HTTPConnection("127.0.0.1", int(url.rstrip("/").rpartition(":")[2]))


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> Any:
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"Content-Type": "application/json", **headers})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(start: Start, path: Path, stop: signal.Signals) -> None:
    process = start("--index", path)
    connection = connected(process)
    status, found = ask(connection, "GET", "/search?q=cats")
    assert status == 200 and len(found["hits"]) == 2
    process.send_signal(stop)
    out, err = process.communicate()
    assert (process.returncode, out) == (0, "") and "Traceback" not in err
    assert "serving 4 documents of index; Ctrl-C stops it" in err and "lsr: stopped" in err
    assert "anyone on this machine can read and change the index" in err


def test_a_change_in_flight_is_finished_and_answered_before_the_end(start: Start, path: Path) -> None:
    process = start("--index", path)
    connection = connected(process)
    assert ask(connection, "GET", "/health")[0] == 200
    documents = [{"doc_id": f"n{number}", "text": f"zebra {number} " * 50} for number in range(3000)]
    answers: list[Any] = []
    change = threading.Thread(target=lambda: answers.append(ask(connection, "POST", "/documents", documents)))
    change.start()
    other = http.client.HTTPConnection("127.0.0.1", connection.port)
    text = ""
    while change.is_alive() and "lsr_requests_in_flight 2.0" not in text:  # the change, and this request
        other.request("GET", "/metrics")
        text = other.getresponse().read().decode()
    process.send_signal(signal.SIGTERM)
    change.join()
    process.communicate()
    assert answers[0][0] == 200 and answers[0][1]["added"] == 3000 and process.returncode == 0
    assert main(["get", "n2999", "--index", str(path)]) == 0


def test_keys_names_and_the_log(start: Start, path: Path, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"write {KEY}\n", "utf-8")
    log = tmp_path / "log.jsonl"
    process = start(f"pets={path}", "--keys", tmp_path / "keys", "--log", log, "--warm", "--about", "pets=of animals")
    connection = connected(process)
    assert ask(connection, "GET", "/pets/search?q=cats")[0] == 401
    status, _ = ask(connection, "PUT", "/pets/documents/z", {"text": "zebra"}, Authorization=f"Bearer {KEY}")
    assert status == 201
    assert ask(connection, "GET", "/stats", Authorization=f"Bearer {KEY}")[1]["about"] == "of animals"
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert "requests need one of 1 key" in err and KEY not in err
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [line["status"] for line in lines] == [401, 201, 200]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--index", "nowhere"], 3, "nowhere"),
        (["--port", "70000"], 2, "70000 is not from 0 to 65535"),
        (["--host", "no such host"], 2, "give --keys FILE, or say --no-auth"),
        (["--host", "no such host", "--no-auth"], 1, "can't listen at no such host"),
        (["--host", "0.0.0.0"], 2, "--host 0.0.0.0 lets other machines in: give --keys FILE, or say --no-auth"),
        (["--no-auth", "--keys", "x"], 2, "exclude each other"),
        (["--root-path", "x y"], 2, "it must be a path such as /search"),
        (["--log-queries"], 2, "goes with --log FILE"),
        (["--keys", "nowhere"], 1, "can't be read"),
        (["--dense", "x"], 2, "--dense goes with --hybrid"),
        (["notes"], 2, "give NAME=DIR"),
        (["search=x"], 3, "x"),
    ],
)
def test_what_cannot_be_served(
    path: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int, message: str
) -> None:
    named = [] if "--index" in args or any("=" in arg or arg == "notes" for arg in args) else ["--index", str(path)]
    try:
        done = main(["serve", *args, *named])
    except SystemExit as stop:
        done = int(stop.code or 0)
    assert done == code and message in capsys.readouterr().err


def test_a_port_that_is_taken_is_said(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with listen(ServerSettings(port=0)) as taken:
        assert main(["serve", "--index", str(path), "--port", str(taken.getsockname()[1])]) == 1
    assert "Address already in use; give another --port" in capsys.readouterr().err
