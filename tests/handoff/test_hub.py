"""Models and indexes pushed to a hub and pulled from it, against a stand-in that keeps them in memory."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

import pytest

from lsr.cli.main import main
from lsr.errors import LsrError, UsageError
from lsr.handoff.hub import pull, push


class Hub(BaseHTTPRequestHandler):
    """A hub's answers to what its library asks for: repositories, commits, lists of files, files."""

    repos: ClassVar[dict[tuple[str, str], dict[str, bytes]]] = {}
    asked: ClassVar[list[str]] = []

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = urlsplit(self.path).path
        self.asked.append(f"POST {path}")
        if path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            self.repos.setdefault((asked.get("type") or "model", name), {})
            return self.answer({"url": f"http://{self.headers['Host']}/{name}", "name": name})
        kind, name, action = self.repo(path)
        if action.startswith("preupload"):
            files = json.loads(body)["files"]
            modes = [{"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files]
            return self.answer({"files": modes})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                self.repos[kind, name][entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
        url = f"http://{self.headers['Host']}/{name}/commit/{COMMIT}"
        return self.answer({"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""})

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        if not path.startswith("/api/"):
            return self.file(path)
        kind, name, action = self.repo(path)
        files = self.repos.get((kind, name))
        if files is None:
            return self.answer({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
        if action.startswith("tree"):
            rows = [{"type": "file", "path": one, "size": len(files[one]), "oid": digest(files[one])} for one in files]
            return self.answer(rows)
        siblings = [{"rfilename": one} for one in files]
        return self.answer({"id": name, "_id": "1", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []})

    do_HEAD = do_GET

    def file(self, path: str) -> None:
        repo, _, rest = path.strip("/").partition("/resolve/")
        kind, name = ("dataset", repo.removeprefix("datasets/")) if repo.startswith("datasets/") else ("model", repo)
        content = self.repos.get((kind, name), {}).get(rest.partition("/")[2])
        if content is None:
            return self.answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        self.send_response(200)
        for header, value in {"ETag": f'"{digest(content)}"', "X-Repo-Commit": COMMIT}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)
        return None

    def repo(self, path: str) -> tuple[str, str, str]:
        parts = path.removeprefix("/api/").split("/")
        return parts[0].removesuffix("s"), "/".join(parts[1:3]), "/".join(parts[3:])

    def answer(self, values: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(values).encode()
        self.send_response(status)
        for header, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(header, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


COMMIT = "c" * 40


def digest(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setenv("HF_TOKEN", "hf_stand_in")
    Hub.repos.clear()
    Hub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Make a folder that looks like a model, with files that stay here."""
    folder = tmp_path / "model"
    (folder / "1_SpladePooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights" * 100)
    (folder / "1_SpladePooling" / "config.json").write_text('{"pooling_strategy": "max"}')
    for name in ("pytorch_model.bin", "modeling.py", ".secret"):
        (folder / name).write_text("stays here")
    return folder


def test_a_model_comes_back_as_it_was_without_code(hub: str, model: Path, tmp_path: Path) -> None:
    done = push(model, "me/model", endpoint=hub)
    assert (done.kind, done.n_files) == ("model", 3)
    wanted = {"config.json", "model.safetensors", "1_SpladePooling/config.json"}
    assert set(Hub.repos["model", "me/model"]) == wanted
    Hub.repos["model", "me/model"]["evil.py"] = b"raise SystemExit"
    pulled = pull("me/model", tmp_path / "back", endpoint=hub)
    assert (pulled.kind, pulled.n_files) == ("model", 3)
    files = {str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*") if path.is_file()}
    assert files == wanted
    assert (tmp_path / "back" / "model.safetensors").read_bytes() == b"weights" * 100
    with pytest.raises(UsageError, match="is not empty: give another folder, or --overwrite"):
        pull("me/model", tmp_path / "back", endpoint=hub)
    assert pull("me/model", tmp_path / "back", endpoint=hub, overwrite=True) == pulled


def test_an_index_comes_back_and_answers_alike(hub: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "note.txt").write_text("the cat sat on the mat")
    index, back = str(tmp_path / "index"), str(tmp_path / "back")
    assert main(["index", str(tmp_path / "note.txt"), "--encoder", "bm25", "--index", index]) == 0
    assert main(["push", index, "me/notes", "--endpoint", hub]) == 0
    assert set(Hub.repos["dataset", "me/notes"]) == {"README.md", "index.lsr"}
    assert b"1 documents, encoder `bm25`" in Hub.repos["dataset", "me/notes"]["README.md"]
    assert main(["pull", "me/notes", back, "--endpoint", hub, "--json"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["kind"] == "index"
    answers = []
    for place in (index, back):
        assert main(["search", "cat", "--index", place, "--json"]) == 0
        found = json.loads(capfd.readouterr().out)
        answers.append((found["doc_id"], found["score"], found["text"]))
    assert answers[0] == answers[1]
    damaged = bytearray(Hub.repos["dataset", "me/notes"]["index.lsr"])
    damaged[len(damaged) // 2] ^= 0xFF
    Hub.repos["dataset", "me/notes"]["index.lsr"] = bytes(damaged)
    assert main(["pull", "me/notes", str(tmp_path / "damaged"), "--endpoint", hub]) != 0
    assert not (tmp_path / "damaged").exists()


def test_what_is_neither_is_refused(hub: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with pytest.raises(UsageError, match="is neither a model"):
        push(tmp_path / "other", "me/other", endpoint=hub)
    with pytest.raises(UsageError, match="'model' is no name on a hub: expected owner/name"):
        push(model, "model", endpoint=hub)
    with pytest.raises(LsrError, match="me/nothing can't be pulled: there is no such repository"):
        pull("me/nothing", tmp_path / "back", endpoint=hub)
    Hub.repos["model", "me/pictures"] = {"cat.png": b"png"}
    with pytest.raises(LsrError, match="no model: it holds none of"):
        pull("me/pictures", tmp_path / "back", endpoint=hub)
    (tmp_path / "other" / "diary.txt").write_text("mine")
    push(model, "me/model", endpoint=hub)
    with pytest.raises(UsageError, match="neither a model"):
        pull("me/model", tmp_path / "other", endpoint=hub, overwrite=True)
    assert (tmp_path / "other" / "diary.txt").read_text() == "mine"


def test_a_hub_that_cannot_be_reached(model: Path, tmp_path: Path, hub: str) -> None:
    with pytest.raises(LsrError, match="me/model can't be pushed: "):
        push(model, "me/model", endpoint="http://127.0.0.1:1")
