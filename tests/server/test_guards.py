"""The guards of the server: keys, hosts, origins, limits, deadlines, the log, and a graceful end."""

from __future__ import annotations

import base64
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from lsr.errors import DeadlineError, LsrError
from lsr.query.deadline import check_deadline, deadline
from lsr.query.searcher import Searcher
from lsr.server.access_log import AccessLog
from lsr.server.keys import Keys, Role
from lsr.server.origins import Hosts, is_foreign
from lsr.server.settings import Limits

Client = Callable[..., TestClient]
READ, WRITE, ADMIN = "r" * 20, "w" * 20, "a" * 20


def keys() -> Keys:
    return Keys([(Role.READ, READ), (Role.WRITE, WRITE), (Role.ADMIN, ADMIN)])


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


ROUTES = [
    ("GET", "/search?q=cats", Role.READ, None),
    ("POST", "/search", Role.READ, {"q": "cats"}),
    ("GET", "/", Role.READ, None),
    ("GET", "/documents", Role.READ, None),
    ("GET", "/documents/cats", Role.READ, None),
    ("POST", "/encode", Role.READ, {"texts": ["a"]}),
    ("GET", "/stats", Role.READ, None),
    ("GET", "/openapi.json", Role.READ, None),
    ("PUT", "/documents/new", Role.WRITE, {"text": "a"}),
    ("DELETE", "/documents/new", Role.WRITE, None),
    ("POST", "/documents", Role.WRITE, [{"id": "b", "text": "a"}]),
    ("POST", "/delete", Role.WRITE, {"ids": ["b"], "dry_run": True}),
    ("POST", "/merge", Role.ADMIN, None),
    ("GET", "/metrics", Role.ADMIN, None),
]


def test_each_route_needs_its_role(client: Client) -> None:
    asked = client(keys=keys())
    for method, path, needed, body in ROUTES:
        for role, key in ((Role.READ, READ), (Role.WRITE, WRITE), (Role.ADMIN, ADMIN)):
            status = asked.request(method, path, json=body, headers=bearer(key)).status_code
            assert (status == 403) == (role < needed) and status != 401, (method, path, role)
        for headers in ({}, bearer("x" * 20), {"authorization": "Basic %%%"}, {"authorization": "Other x"}):
            refused = asked.request(method, path, json=body, headers=headers)
            assert refused.status_code == 401 and "Basic" in refused.headers["www-authenticate"], (method, path)
    assert asked.get("/health").status_code == asked.get("/ready").status_code == 200


def test_a_key_comes_in_three_ways(client: Client) -> None:
    asked = client(keys=keys())
    basic = base64.b64encode(f"anyone:{READ}".encode()).decode()
    for headers in (bearer(READ), {"x-api-key": READ}, {"authorization": f"Basic {basic}"}):
        assert asked.get("/search?q=cats", headers=headers).status_code == 200


def test_all_keys_are_compared_whichever_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[bytes] = []
    same = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(a) or same(a, b))
    known = keys()
    for key, role in ((READ, Role.READ), (ADMIN, Role.ADMIN), ("", Role.NONE)):
        compared.clear()
        assert known.role_of(key.encode()) is role and len(compared) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no key in it"),
        ("# only a comment\n", "there is no key in it"),
        ("reader " + READ, "line 1: not a role and a key"),
        ("read", "line 1: not a role and a key"),
        ("read " + READ + "\nwrite short", "line 2: a key of 5 characters; the least is 16"),
    ],
)
def test_a_file_of_keys_says_what_is_wrong_with_it_but_no_key(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(text, "utf-8")
    with pytest.raises(LsrError, match=message) as caught:
        Keys.load(file)
    assert READ not in str(caught.value)


def test_a_file_of_keys_is_read(tmp_path: Path) -> None:
    file = tmp_path / "keys.txt"
    file.write_text(f"# for the page\nread {READ}  # of Ann\n\nadmin {ADMIN}\n", "utf-8")
    loaded = Keys.load(file)
    assert len(loaded) == 2 and loaded.role_of(ADMIN.encode()) is Role.ADMIN
    with pytest.raises(LsrError, match="can't be read"):
        Keys.load(tmp_path / "none")


def test_a_read_only_server_refuses_changes(client: Client) -> None:
    asked = client(read_only=True)
    refused = asked.put("/documents/a", json={"text": "x"})
    assert refused.status_code == 403 and "read-only" in refused.json()["detail"]
    assert asked.get("/search?q=cats").status_code == 200


@pytest.mark.parametrize(
    ("host", "allowed", "header", "admitted"),
    [
        ("127.0.0.1", (), "localhost:1", True),
        ("127.0.0.1", (), "[::1]", True),
        ("127.0.0.1", (), "evil.example", False),
        ("127.0.0.1", (), "127.0.0.1.evil", False),
        ("127.0.0.1", (), "10.0.0.1", False),
        ("127.0.0.1", (), "[", False),
        ("127.0.0.1", (), "localhost/x", False),
        ("127.0.0.1", (), "", False),
        ("127.0.0.1", ("search.example.org",), "Search.Example.org:8443", True),
        ("127.0.0.1", ("*",), "anything", True),
        ("0.0.0.0", (), "10.0.0.1:8754", True),
        ("0.0.0.0", (), "evil.example", False),
        ("box.local", (), "box.local", True),
    ],
)
def test_hosts(host: str, allowed: tuple[str, ...], header: str, admitted: bool) -> None:
    assert Hosts(host, allowed).admits(header) is admitted


@pytest.mark.parametrize(
    ("origin", "site", "foreign"),
    [
        (None, None, False),
        (None, "same-origin", False),
        (None, "cross-site", True),
        ("http://localhost:8754", None, False),
        ("https://localhost:8754", "same-origin", False),
        ("http://localhost:1", None, True),
        ("http://evil.example", None, True),
        ("null", None, True),
        ("https://app.example", None, False),
        ("ftp://localhost:8754", None, True),
        ("http://[", None, True),
    ],
)
def test_origins(origin: str | None, site: str | None, foreign: bool) -> None:
    assert is_foreign(origin, "localhost:8754", named=["https://app.example"], site=site) is foreign


def test_a_page_from_elsewhere_can_not_write_or_read(client: Client) -> None:
    asked = client()
    evil = {"origin": "http://evil.example"}
    for method, path, _, body in ROUTES:
        if method != "GET":
            refused = asked.request(method, path, json=body, headers=evil)
            assert refused.status_code == 403 and refused.json()["type"] == "urn:lsr:problem:foreign-origin"
    assert asked.get("/search?q=cats", headers={"host": "evil.example"}).status_code == 403
    assert "access-control-allow-origin" not in asked.get("/search?q=cats", headers=evil).headers
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
        refused = asked.put("/documents/a", content=b'{"text": "x"}', headers={"content-type": kind})
        assert refused.status_code == 415


def test_pages_of_a_named_origin_may(client: Client) -> None:
    asked = client(cors=("https://app.example",))
    app = {"origin": "https://app.example"}
    preflight = asked.options("/documents/a", headers={**app, "access-control-request-method": "PUT"})
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert asked.put("/documents/a", json={"text": "x"}, headers=app).status_code == 201
    assert asked.get("/search?q=x", headers=app).headers["access-control-allow-origin"] == "https://app.example"
    assert asked.put("/documents/a", json={"text": "x"}, headers={"origin": "https://b.example"}).status_code == 403


def test_every_answer_has_an_id_and_safe_headers(client: Client) -> None:
    asked = client()
    given = asked.get("/health", headers={"x-request-id": "abc-1.2"})
    assert given.headers["x-request-id"] == "abc-1.2"
    for path in ("/health", "/search?q=cats", "/nothing/at/all", "/search"):
        headers = asked.get(path, headers={"x-request-id": "a b\x7f<script>"}).headers
        assert "<" not in headers["x-request-id"] and len(headers["x-request-id"]) == 16
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


def test_the_log_has_a_line_a_request_and_queries_only_when_asked(client: Client) -> None:
    for with_queries in (False, True):
        file = io.StringIO()
        asked = client(access_log=AccessLog(file, with_queries=with_queries), keys=keys())
        asked.get("/search?q=secret", headers=bearer(READ))
        asked.get("/search?q=secret")
        lines = [json.loads(line) for line in file.getvalue().splitlines()]
        assert [(line["status"], line["role"], line["path"]) for line in lines] == [
            (200, "read", "/search"), (401, "none", "/search"),
        ]  # fmt: skip
        assert ("secret" in file.getvalue()) is with_queries and READ not in file.getvalue()
        assert lines[0]["request_id"] != lines[1]["request_id"] and lines[0]["bytes"] > 0


def test_a_body_has_a_limit_whether_its_length_is_said_or_not(client: Client) -> None:
    asked = client(limits=Limits(body=1000))
    body = json.dumps([{"id": "a", "text": "x" * 2000}]).encode()
    kind = {"content-type": "application/json"}
    for content in (body, iter([body[:900], body[900:]])):
        refused = asked.post("/documents", content=content, headers=kind)
        assert refused.status_code == 413 and "1,000 bytes" in refused.json()["detail"]


def test_a_search_ends_at_its_deadline_between_stages(client: Client) -> None:
    late = client(limits=Limits(deadline_s=-1.0)).get("/search?q=cats")
    assert late.status_code == 503 and late.json()["type"] == "urn:lsr:problem:too-late"
    assert late.headers["retry-after"] == "1"


@pytest.mark.parametrize("options", [{}, {"feedback": 1}, {"total": True}])
def test_each_stage_looks_at_the_deadline(path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.query import deadline as module

    searcher = Searcher(path)
    reads = iter(range(1000))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(reads)))
    ended_before = []
    for ends in range(4 + len(options)):
        reads = iter(range(1000))
        with deadline(ends - 0.5):
            try:
                searcher.search("cats", **options)
            except DeadlineError as error:
                ended_before.append(str(error).partition("stage ")[2].split("'")[1])
    stages = ["filter", "encode", *(["feedback"] if "feedback" in options else []), "search"]
    assert ended_before == [*stages, *(["counts"] if "total" in options else [])]
    check_deadline("outside any deadline")


BY_THREAD = "/search?q=cats&total=1"
"""A search that runs in a thread; plain ones of small indexes don't."""


def test_too_many_requests_are_told_when_to_come_again(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go = threading.Semaphore(0), threading.Event()
    search = Searcher.results_of

    def slow(self: Searcher, *args: Any, **options: Any) -> Any:
        begun.release()
        go.wait(300)
        return search(self, *args, **options)

    asked = client(limits=Limits(threads=2, waiting=1, deadline_s=600))
    assert asked.get(BY_THREAD).status_code == 200  # what has to be compiled is compiled now
    monkeypatch.setattr(Searcher, "results_of", slow)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(asked.get(BY_THREAD).status_code)) for _ in range(3)]
    for thread in threads[:2]:
        thread.start()
        assert begun.acquire(timeout=300)
    threads[2].start()
    workers = asked.app.state.workers  # type: ignore[attr-defined]
    while workers.n_calls < 3:
        time.sleep(0.001)
    refused = asked.get(BY_THREAD)
    assert refused.status_code == 429 and refused.headers["retry-after"] == "1"
    assert "try again" in refused.json()["detail"]
    go.set()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200, 200] and asked.get("/search?q=cats").status_code == 200


def test_an_error_of_the_server_tells_no_secrets(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("secret")

    asked = client()
    monkeypatch.setattr(Searcher, "results_of", broken)
    answer = asked.get("/search?q=cats")
    assert answer.status_code == 500 and "secret" not in answer.text and answer.json()["request_id"]
    assert asked.get("/health").status_code == 200


def raw(url: str, sent: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        answer = b""
        with suppress(ConnectionError):  # the server may close before it has read everything
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65536):
                answer += chunk
    return answer


@pytest.mark.parametrize(
    "sent",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        + b"".join(b"h%d: %s\r\n" % (i, b"x" * 99) for i in range(2000))
        + b"\r\n",
        b"GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(running: Callable[..., str], sent: bytes) -> None:
    url = running()
    answer = raw(url, sent)
    assert answer == b"" or answer.split()[1] in (b"400", b"403", b"431", b"505")
    assert b" 200 " in raw(url, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n").splitlines()[0]


def test_a_silent_client_is_let_go(running: Callable[..., str]) -> None:
    url = running(limits=Limits(silence_s=0.2))
    head = b"POST /search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
    parts = urlsplit(url)
    for sent, status in ((head, b" 408 "), (b"", b""), (b"GET /hea", b"")):
        with socket.create_connection((parts.hostname, parts.port), timeout=60) as connection:
            connection.sendall(sent)
            answer = b""
            while chunk := connection.recv(65536):
                answer += chunk
        assert status in answer.partition(b"\r\n")[0]


def test_one_connection_serves_many_requests(running: Callable[..., str]) -> None:
    parts = urlsplit(running())
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    for path, status in (("/health", 200), ("/nothing/x/y", 404), ("/search?q=cats", 200)):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == status and response.read()
    connection.close()
