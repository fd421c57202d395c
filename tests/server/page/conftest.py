"""An index with fields, served over a real socket, and Debian's Chromium to look at its pages."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.query.searcher import Searcher

sys.path.insert(0, str(Path(__file__).parent))
from page_serving import serving

CHROMIUM = os.environ.get("LSR_CHROMIUM") or shutil.which("chromium")
TEXTS = {
    "upload": "To upload a file, choose it and press Upload. The uploader cuts it into pieces; an upload resumes.",
    "download": "A download brings a file here. Loading takes a while: a load of files loads slowly.",
    "markdown": "# Guide\n\nSome **bold words** about a [link](http://example.org/x) and `code`.\n\n```py\nupload(file)\n```\n",
    "rst": "Title\n=====\n\nSee :func:`upload` and ``literal`` text.\n\n.. note::\n\n   Files are cut.\n",
    "long": "nothing of interest is here and the river flows on. " * 120
    + "A rare zebra uploads a file. "
    + "more. " * 400,
}
LANGS, TAGS = ("en", "de", "fr"), (["health", "sun"], ["sun"], ["bones"])


def documents() -> list[dict[str, Any]]:
    """Return the documents of the page's tests: five by name, and forty that differ in their fields."""
    named = [
        {"id": name, "title": "" if name == "download" else name.title(), "text": text, "year": 2020, "lang": "en"}
        for name, text in TEXTS.items()
    ]
    many = [
        {
            "id": f"notes/{i}.txt",
            "title": f"Note {i}",
            "text": f"The vitamin note number {i} is about vitamin D and sunlight. " * (1 + i % 3),
            "year": 2000 + i % 10,
            "lang": LANGS[i % 3],
            "tags": TAGS[i % 3],
            "link": f"https://example.org/{i}",
        }
        for i in range(40)
    ]
    return named + many


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an index of the documents."""
    made = tmp_path_factory.mktemp("page") / "index"
    lsr.index(documents(), made, encoder="bm25").close()
    return made


@pytest.fixture(scope="session")
def searcher(folder: Path) -> Searcher:
    """A searcher of the index."""
    return Searcher(folder)


@pytest.fixture(scope="session")
def address(searcher: Searcher) -> Iterator[str]:
    """The address of the served index."""
    with serving(("notes", searcher)) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the tests of the page need playwright (extra dev)")
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium, or LSR_CHROMIUM names one")
    with playwright.sync_playwright() as running:
        made = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of the browser, which complains of errors and of requests to elsewhere."""
    contexts, wrong = [], list[str]()

    def opened(url: str, **options: Any) -> Any:
        context = browser.new_context(**options)
        contexts.append(context)
        origin = "/".join(url.split("/")[:3])
        context.on("request", lambda request: request.url.startswith(origin) or wrong.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
