"""`lsr serve`: real requests over real sockets, one and many at once, good and bad."""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

import lsr as library
from lsr.cli.main import main
from lsr.query.searcher import Searcher
from lsr.server import server as serving
from lsr.server.server import SearchServer

Answer = tuple[int, Any, dict[str, str]]


@pytest.fixture
def index(tmp_path: Path, bm25_index: Path) -> Path:
    return Path(shutil.copytree(bm25_index, tmp_path / "index"))


@pytest.fixture
def server(index: Path) -> Iterator[SearchServer]:
    made = SearchServer(Searcher(index), "127.0.0.1", 0)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def ask(server: SearchServer, path: str, method: str = "GET", **headers: str) -> Answer:
    """Return status, body (JSON decoded) and headers."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        body = response.read().decode()
        told = {name.lower(): value for name, value in response.getheaders()}
        return response.status, json.loads(body) if body and "json" in told["content-type"] else body, told
    finally:
        connection.close()


def test_search_gives_the_hits_of_the_command(server: SearchServer) -> None:
    status, found, headers = ask(server, "/search?" + urlencode({"q": "sleeping cats", "k": 1}))
    (hit,) = Searcher(server.searcher.index).search("sleeping cats", k=1)
    assert status == 200 and found["query"] == "sleeping cats"
    expected = {"rank": 1, "doc_id": "cats", "score": hit.score, "title": "On cats", "text": hit.text}
    expected["fields"] = {}
    assert found["hits"] == [expected]
    assert (
        headers["content-type"] == "application/json; charset=utf-8" and headers["x-content-type-options"] == "nosniff"
    )


def test_search_explains_and_feeds_back_if_asked_to(server: SearchServer) -> None:
    _, found, _ = ask(server, "/search?q=cats&explain=1")
    assert found["engine"]["n_docs"] == 4 and found["query_terms"][0]["term"] == "cat"
    for hit in found["hits"]:
        assert sum(term["points"] for term in hit["terms"]) * found["unit"] == hit["score"]
    _, plain, _ = ask(server, "/search?q=purr")
    _, fed, _ = ask(server, "/search?q=purr&feedback=1")
    assert [hit["doc_id"] for hit in plain["hits"]] == ["cats"]
    assert [hit["doc_id"] for hit in fed["hits"]] == ["cats", "dogs"]


def test_documents_and_health(server: SearchServer, documents: Any) -> None:
    assert ask(server, "/doc/trees")[:2] == (
        200, {"doc_id": "trees", "title": "", "text": documents[2]["text"], "fields": {}},
    )  # fmt: skip
    assert ask(server, "/health")[:2] == (
        200,
        {"status": "ok", "documents": 4, "generation": 1, "encoder": "bm25", "version": library.__version__},
    )
    status, body, headers = ask(server, "/health", "HEAD")
    assert (status, body) == (200, "") and int(headers["content-length"]) > 50


def test_the_page_has_a_box_and_below_it_the_explained_hits(server: SearchServer) -> None:
    status, page, headers = ask(server, "/")
    assert status == 200 and headers["content-type"] == "text/html; charset=utf-8"
    assert '<input type="search" name="q" value=""' in page and "<article" not in page and "4 documents" in page
    assert "default-src 'none'" in headers["content-security-policy"]
    query = 'cats "><script>alert(1)</script>'
    _, page, _ = ask(server, "/?" + urlencode({"q": query}))
    assert page.count("<article") == 2 and "<details" in page and "<mark" in page
    assert "<script" not in page and 'value="cats &quot;&gt;&lt;script&gt;' in page


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/search", 400, "the parameter q, the query, is missing or empty"),
        ("/search?q=%20", 400, "missing or empty"),
        ("/search?q=cat&k=0", 400, "k is 0; it must be at least 1"),
        ("/search?q=cat&k=many", 400, "k is 'many'"),
        ("/search?q=cat&k=99999999999999999999", 400, "it must be a whole number of at least 1"),
        ("/search?q=cat&k=1001", 400, "k is 1,001; the limit is 1,000"),
        ("/search?q=cat&offset=10001", 400, "offset is 10,001; the limit is 10,000"),
        ("/search?q=cat&where=year", 400, "filter, column 5: an operator expected"),
        ("/search?q=cat&sort=year", 400, "sort: no document has a field 'year'; there are doc_id, title, text"),
        ("/search?q=cat&rerank=late-interaction", 400, "no parameter 'rerank'"),
        ("/search?q=cat&threads=2", 400, "no parameter 'threads'"),
        ("/search?q=cat&k=-1", 400, "k is -1; it must be at least 1"),
        ("/search?q=cat&k=%C2%B2", 400, "k is '²'"),
        ("/search?q=cat&explain=yes", 400, "explain is 'yes'; it must be 0 or 1"),
        ("/search?q=cat&feedback=0", 400, "feedback is 0; it must be at least 1"),
        ("/search?q=cat&size=3", 400, "no parameter 'size': there are q, k, offset, where"),
        ("/search?q=cat&q=dog", 400, "a parameter stands there twice"),
        ("/search?q=%ff%fe", 400, "the address can't be read"),
        ("/doc/%ff", 400, "the address can't be read"),
        ("/search?" + "&".join(f"a{i}=1" for i in range(30)), 400, "the address can't be read"),
        ("/search?q=" + "x" * 10_001, 400, "the query has 10,001 characters; the limit is 10,000"),
        ("/health?x=1", 400, "no parameter 'x': it takes none"),
        ("/doc/nobody", 404, "no document 'nobody'"),
        ("/doc/" + quote("../../etc/passwd"), 404, "no document"),
        ("/nothing", 404, "nothing at /nothing: there are /"),
        ("/?q=cat&k=x", 400, "k is 'x'"),
    ],
)
def test_what_is_wrong_with_a_request_is_said_as_json(
    server: SearchServer, path: str, status: int, message: str
) -> None:
    found, body, headers = ask(server, path)
    assert found == status and list(body) == ["error"] and message in body["error"]
    assert headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_nothing_can_be_changed(server: SearchServer, method: str) -> None:
    status, body, headers = ask(server, "/search?q=cat", method)
    assert status == 405 and body == {"error": "only GET and HEAD are answered"} and headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/9.9\r\n\r\n", b"505"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"h%d: x\r\n" % i for i in range(200)) + b"\r\n", b"431"),
    ],
)
def test_what_is_no_request_is_refused_as_json(server: SearchServer, sent: bytes, status: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1])) as connection:
        connection.sendall(sent)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    assert status in answer.splitlines()[0] or answer.startswith(b"{")
    assert b'{"error": "' in answer
    assert ask(server, "/health")[0] == 200


def test_pages_from_elsewhere_cannot_read_a_local_index(server: SearchServer) -> None:
    for name, status in (
        ("localhost:1", 200),
        ("[::1]", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil", 403),
        ("[", 403),
    ):
        assert ask(server, "/health", Host=name)[0] == status


def test_a_body_is_not_taken_for_the_next_request(server: SearchServer) -> None:
    with socket.create_connection(("127.0.0.1", server.server_address[1])) as connection:
        inner = b"GET /doc/cats HTTP/1.1\r\nHost: localhost\r\n\r\n"
        connection.sendall(
            b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(inner) + inner
        )
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    assert answer.count(b"HTTP/1.1 200") <= 1 and b"A cat sleeps" not in answer


def test_fifty_requests_at_once_get_their_own_answers(server: SearchServer) -> None:
    queries = ["cats", "dogs", "house", "sleeping cats", "wood"]
    expected = {query: ask(server, "/search?" + urlencode({"q": query}))[1]["hits"] for query in queries}
    assert len({json.dumps(hits) for hits in expected.values()}) == 5

    def one(number: int) -> bool:
        query = queries[number % 5]
        explain = "&explain=1" if number % 2 else ""
        status, found, _ = ask(server, "/search?" + urlencode({"q": query}) + explain)
        hits = [{name: hit[name] for name in expected[query][0]} for hit in found["hits"]]
        return status == 200 and hits == expected[query] and found["query"] == query

    with ThreadPoolExecutor(50) as pool:
        assert all(pool.map(one, range(200)))


def test_one_connection_serves_many_requests(server: SearchServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1])
    for path, status in (("/health", 200), ("/nothing", 404), ("/search?q=cats", 200)):
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == status and response.read()
    connection.close()


def test_a_newer_generation_is_served_as_soon_as_there_is_one(
    server: SearchServer, index: Path, tmp_path: Path, jsonl: Any
) -> None:
    assert ask(server, "/search?q=zebra")[1]["hits"] == []
    jsonl(tmp_path / "new.jsonl", [{"_id": "z", "text": "A zebra crosses."}])
    assert main(["index", str(tmp_path / "new.jsonl"), "--index", str(index), "--overwrite"]) == 0
    assert [hit["doc_id"] for hit in ask(server, "/search?q=zebra")[1]["hits"]] == ["z"]
    assert ask(server, "/health")[1]["generation"] == 2


def test_an_error_of_the_server_tells_no_secrets(
    server: SearchServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(serving.Searcher, "search", broken)
    assert ask(server, "/search?q=cats")[:2] == (500, {"error": "an error of the server; its log says more"})
    assert "RuntimeError: secret" in capsys.readouterr().err
    assert ask(server, "/health")[0] == 200


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_the_command_serves_until_it_is_stopped(
    start_lsr: Callable[..., Any], index: Path, stop: signal.Signals, code: int
) -> None:
    process = start_lsr("serve", "--index", index, "--port", "0")
    url = process.stdout.readline().strip()
    assert url.startswith("http://127.0.0.1:") and url.endswith("/")
    host, _, number = url.removeprefix("http://").strip("/").partition(":")
    connection = http.client.HTTPConnection(host, int(number))
    connection.request("GET", "/search?q=cats")
    assert len(json.loads(connection.getresponse().read())["hits"]) == 2
    process.send_signal(stop)
    out, err = process.communicate()
    assert (process.returncode, out) == (code, "") and "Traceback" not in err
    assert "serving 4 documents; Ctrl-C stops it" in err and (code or "lsr: stopped" in err)


def test_what_cannot_be_served(lsr: Callable[..., Any], server: SearchServer, index: Path) -> None:
    done = lsr("serve", "--index", index, "--port", server.server_address[1])
    assert done.code == 1 and "Address already in use; give another --port" in done.err
    assert lsr("serve", "--index", "nowhere").code == 3
    assert lsr("serve", "--index", index, "--port", "70000").code == 2
    assert lsr("serve", "--index", index, "--host", "no such host").code == 1


def test_a_request_takes_the_options_of_a_search(server: SearchServer) -> None:
    searcher = Searcher(server.searcher.index)
    fields = {"where": "doc_id != 'dogs'", "total": 1, "facets": "title", "sort": "-doc_id", "offset": 1, "k": 1}
    status, found, _ = ask(server, "/search?" + urlencode({"q": "house cats", **fields}))
    expected = searcher.search(
        "house cats", where="doc_id != 'dogs'", total=True, facets="title", sort="-doc_id", offset=1, k=1
    )
    assert status == 200 and [hit["doc_id"] for hit in found["hits"]] == [hit.doc_id for hit in expected] == ["cats"]
    assert found["hits"][0]["rank"] == 2 and found["total"] == expected.total == 2
    assert found["facets"]["title"] == [{"value": "", "count": 1}, {"value": "On cats", "count": 1}]
    status, near, _ = ask(server, "/search?q=cats&approximate=superblocks%3D5&min_score=0.1&fields=")
    assert status == 200 and near["approximate"]["superblocks"] == 5 and near["hits"][0]["fields"] == {}
    _, explained, _ = ask(server, "/search?q=cats&explain=1&total=1")
    assert explained["total"] == 2 and explained["engine"]["n_docs"] == 4
    _, page, _ = ask(server, "/?q=cats&total=1&facets=title")
    assert "2 documents with a term of the query" in page
