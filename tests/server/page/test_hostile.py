"""Hostile documents and queries stay text, in a Chromium that would run them: no policy is there to stop it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hostile_texts import FIELD_NAMES, HOSTILE
from page_serving import serving

import lsr
from lsr.query.searcher import Searcher
from lsr.server.pages.readable import readable
from lsr.server.pages.search import search_page

ALLOWED = set(
    "html head meta title link script style body a header form div label input datalist button select option ul li bdi"
    " span main p section h1 h2 code ol article mark details summary table thead tbody tr th td svg rect dl dt dd nav"
    " aside footer kbd".split()
)
LOOK = """() => {
  const all = [...document.querySelectorAll("*")];
  const attributes = all.flatMap((element) => [...element.attributes].map((one) => [one.name, one.value]));
  return {
    ran: window.ran || 0,
    tags: [...new Set(all.map((element) => element.localName))],
    handlers: attributes.filter(([name]) => name.startsWith("on") || name === "style" || name === "srcdoc"),
    addresses: attributes.filter(([name]) => ["href", "src", "action", "formaction", "data"].includes(name)),
    scripts: document.querySelectorAll("script").length,
    styles: document.querySelectorAll("style").length,
    text: document.body.innerText,
  };
}"""


MARKDOWN = ("- {0}", "> {0}", "## {0}", "**{0}** and `{0}`", "[{0}]({0})", "![{0}](<{0}> '{0}')", "```{0}\n{0}\n```")
RST = (
    "- {0}",
    "{0}\n=====",
    "*{0}* and ``{0}``",
    "`{0} <{0}>`_",
    ":x:`{0}`",
    ".. note:: {0}",
    ".. raw:: html\n\n   {0}",
)


def marked_up() -> list[dict[str, Any]]:
    """Return documents whose markup has every hostile text in every place."""
    made = {name: "\n\n".join(one.format(text) for text in HOSTILE for one in places) for name, places in KINDS.items()}
    return [
        {"id": name, "title": name, "text": f"{KINDS[name][3].format('cat')}\n\n{text}"} for name, text in made.items()
    ]


KINDS = {"all.md": MARKDOWN, "all.rst": RST}


def records() -> list[dict[str, Any]]:
    fields = [{name: HOSTILE[(i + j) % 5] for j, name in enumerate(FIELD_NAMES)} for i in range(len(HOSTILE))]
    return [
        {"id": f"{i} {text}", "title": text if i % 3 else "", "text": f"cat {text} cat", "site": text, **fields[i]}
        for i, text in enumerate(HOSTILE)
    ] + marked_up()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Searcher:
    folder = tmp_path_factory.mktemp("hostile") / "index"
    lsr.index(records(), folder, encoder="bm25").close()
    return Searcher(folder)


@pytest.fixture(scope="module")
def hostile_address(hostile: Searcher) -> Iterator[str]:
    with serving(("hostile", hostile)) as address:
        yield address


class Watched:
    """A page of a browser without policies, looked at after each step."""

    def __init__(self, browser: Any, origin: str) -> None:
        self._context = browser.new_context(bypass_csp=True)
        self._context.add_init_script("window.ran = 0; window.pwned = () => { window.ran += 1; return 1; };")
        self.page = self._context.new_page()
        self.requests: list[str] = []
        self.page.on("dialog", lambda dialog: self.requests.append("dialog") or dialog.dismiss())
        self.page.on("request", lambda request: self.requests.append(request.url))
        self._origin = origin

    def look(self, path: str, *, n_scripts: int = 1) -> str:
        """Open a page, check that nothing in it came alive, and return its text."""
        self.page.goto(self._origin + path, wait_until="domcontentloaded")
        found = self.page.evaluate(LOOK)
        assert found["ran"] == 0 and found["handlers"] == [], path
        assert set(found["tags"]) <= ALLOWED, path
        assert found["scripts"] == n_scripts and found["styles"] == (0 if n_scripts else 1), path
        assert [link for _, link in found["addresses"] if not link.startswith(("/", "#", "https://x.example/"))] == []
        assert [link for link in self.requests if not link.startswith(self._origin)] == [], path
        return str(found["text"])

    def close(self) -> None:
        self._context.close()


@pytest.fixture
def watched(browser: Any, hostile_address: str) -> Iterator[Watched]:
    made = Watched(browser, hostile_address)
    yield made
    made.close()


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 200 and len(set(HOSTILE)) == len(HOSTILE)


def test_hostile_documents_in_results(watched: Watched) -> None:
    seen = ""
    for offset in range(0, len(HOSTILE), 100):
        seen += watched.look("/?" + urlencode({"q": "cat pwned", "k": 100, "offset": offset}))
    assert seen.count("pwned(1)") > len(HOSTILE)  # shown, letter by letter


def test_hostile_documents_as_pages(watched: Watched) -> None:
    for record in records():
        text = watched.look("/document?" + urlencode({"id": record["id"], "q": "cat"}))
        assert "no document" not in text, record["id"]


def test_markup_is_taken_for_markup() -> None:
    for record in marked_up():
        shown = readable(record["text"]).text
        assert shown != record["text"] and "pwned(1)" in shown


def test_hostile_queries_filters_and_parameters(watched: Watched, pytestconfig: pytest.Config) -> None:
    for i, text in enumerate(HOSTILE[:: 1 if pytestconfig.getoption("--large") else 2]):
        other = [("where", text), ("sort", text), ("f.site", text), ("k", text), ("facets", text), (text, text)][i % 6]
        watched.look("/?" + urlencode([("q", f"cat {text}"), ("f.site", text)]))
        watched.look("/?" + urlencode([("q", text), other]))


def test_hostile_ids_and_suggestions(watched: Watched) -> None:
    for text in HOSTILE[::7]:
        watched.look("/document?" + urlencode({"id": text, "q": text, "passage": text, "part": text}))
        assert (
            watched.page.request.get(f"{watched._origin}/suggest?{urlencode({'q': text})}")
            .headers["content-type"]
            .startswith("application/json")
        )


def test_hostile_documents_in_a_saved_page(hostile: Searcher, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "saved.html"
    path.write_text(search_page(hostile.explain("cat <script>pwned(1)</script>", k=300), hostile), encoding="utf-8")
    page = Watched(browser, f"file://{tmp_path}")
    try:
        assert "pwned(1)" in page.look("/saved.html", n_scripts=0)
    finally:
        page.close()


def test_the_policy_would_stop_what_ran_all_the_same(open_page: Callable[..., Any], hostile_address: str) -> None:
    page = open_page(hostile_address + "/?q=cat")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\">')")
    page.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.ran = 2";
        document.head.append(script);
    }""")
    assert page.evaluate("window.ran || 0") == 0
