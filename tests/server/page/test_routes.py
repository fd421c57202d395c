"""The routes of pages: their headers, the files that they load, and words where something is wrong."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode, urlsplit

import pytest
from page_serving import serving

from lsr.query.searcher import Searcher
from lsr.server.pages.rendering import ASSETS, SERVED_POLICY, asset


def ask(address: str, path: str, method: str = "GET", **headers: str) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of an answer."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), {name.lower(): value for name, value in answer.getheaders()}
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/", "/?q=vitamin", "/notes/?q=vitamin", "/document?id=upload", "/document?id=none"])
def test_pages_have_a_strict_policy_and_nothing_inline(address: str, path: str) -> None:
    _, html, headers = ask(address, path)
    assert headers["content-type"] == "text/html; charset=utf-8" and headers["cache-control"] == "no-store"
    assert headers["content-security-policy"] == SERVED_POLICY and "unsafe" not in SERVED_POLICY
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert "<style" not in html and "style=" not in html and "<script>" not in html and "javascript:" not in html


@pytest.mark.parametrize("base", ["", "/notes"])
def test_the_files_of_pages_are_sent_by_name_alone(address: str, base: str) -> None:
    for name, kind in ASSETS.items():
        status, body, headers = ask(address, f"{base}/assets/{name}?v=1")
        assert status == 200 and headers["content-type"].startswith(kind) and body == asset(name).decode()
        assert "immutable" in headers["cache-control"]
    for name in ("../rendering.py", "..%2frendering.py", "page.css%00", "__init__.py", "", "%2fetc%2fpasswd"):
        assert ask(address, f"{base}/assets/{name}")[0] == 404


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/document?id=nobody", 404, "There is no document 'nobody' any more."),
        ("/document", 404, "There is no document"),
        ("/papers/?q=x", 404, "No index 'papers'"),
        ("/?q=vitamin&size=3", 400, "unknown parameter 'size'"),
        ("/?q=%ff", 400, "The query string can't be read"),
        ("/?q=a&q=b", 400, "twice"),
        ("/?q=vitamin&where=year", 400, "That search can't be made"),
        ("/?" + urlencode({"q": "x" * 10_001}), 400, "the limit is 10,000"),
    ],
)
def test_what_is_wrong_is_said_in_words(address: str, path: str, status: int, message: str) -> None:
    found, html, headers = ask(address, path)
    html = unescape(html)
    assert found == status and message.casefold() in html.casefold() and headers["content-type"].startswith("text/html")
    assert 'href="/' in html  # a way back


def test_an_error_of_the_server_is_said_without_its_details(
    address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Searcher, "explain", broken)
    status, html, _ = ask(address, "/?q=vitamin")
    assert status == 500 and "Something went wrong here" in html and "secret" not in html
    assert "RuntimeError('secret')" in caplog.text


def test_a_search_that_takes_too_long_ends_in_words(searcher: Searcher) -> None:
    from lsr.server.settings import Limits

    with serving(("notes", searcher), limits=Limits(deadline_s=0)) as address:
        status, html, headers = ask(address, "/?q=vitamin")
    assert status == 503 and "Not available right now" in html and headers["retry-after"] == "1"


@pytest.fixture(scope="module")
def behind_a_proxy(searcher: Searcher) -> Iterator[str]:
    with serving(("notes", searcher), root_path="/search") as address:
        yield address


@pytest.mark.parametrize("base", ["/", "/notes/"])
def test_links_have_the_path_that_a_proxy_adds(behind_a_proxy: str, base: str) -> None:
    for path in ("?q=vitamin", "document?id=upload&q=file", "document?id=nobody"):
        html = ask(behind_a_proxy, base + path)[1]
        links = [part.split('"')[0] for name in ('href="', 'src="', 'action="') for part in html.split(name)[1:]]
        own = [link for link in links if not link.startswith(("https://example.org/", "#"))]
        assert own and all(link.startswith("/search" + base) for link in own)


def test_suggestions_are_json(address: str) -> None:
    status, body, headers = ask(address, "/suggest?q=note+39")
    assert (
        status == 200 and headers["content-type"] == "application/json" and json.loads(body) == {"titles": ["Note 39"]}
    )


def test_head_answers_as_get_without_the_page(address: str) -> None:
    status, body, headers = ask(address, "/?q=vitamin", "HEAD")
    assert status == 200 and body == "" and int(headers["content-length"]) > 1000
