"""The page in a real browser: search, filter, page, explain, open, keys, dark, a telephone, no scripts, axe-core."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

Open = Callable[..., Any]
PAGES = {
    "first": "/",
    "results": "/?q=vitamin&f.lang=de",
    "explained": "/?q=upload+zebra",
    "document": "/document?id=long&q=rare+zebra",
    "empty": "/?q=qqqq",
    "error": "/?q=vitamin&where=year+%3E",
    "not found": "/document?id=nobody",
}


def titles(page: Any) -> list[str]:
    found: list[str] = page.locator("a.title").all_inner_texts()
    return found


def test_searching_filtering_paging_explaining_and_opening(open_page: Open, address: str) -> None:
    page = open_page(address)
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.type("vitamin")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=vitamin")
    assert len(titles(page)) == 10 and "1–10 of 40 results" in page.locator("#status").inner_text()
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**offset=10**")
    assert "11–20 of 40" in page.locator("#status").inner_text()
    page.locator("aside").get_by_role("link", name="de 13").click()
    page.wait_for_url("**f.lang=de")
    assert "of 13 results" in page.locator("#status").inner_text() and "offset" not in page.url
    page.get_by_role("textbox", name="Filter").fill("year > 2004")
    page.keyboard.press("Enter")
    page.wait_for_url("**where=**")
    assert "f.lang=de" in page.url
    page.get_by_label("Sort").select_option("-year")  # nothing needs to be pressed
    page.wait_for_url("**sort=-year**")
    years = [chip.split()[-1] for chip in page.locator(".chips:not(.chosen) li", has_text="year").all_inner_texts()]
    assert years == sorted(years, reverse=True) and years[0] == "2009"
    why = page.locator("details.why").first
    assert not why.locator("table").first.is_visible()
    why.locator("> summary").click()
    assert why.locator("table").first.is_visible() and "in your query and here" in why.inner_text()
    page.locator("a.title").first.click()
    page.wait_for_url("**/document?**")
    assert page.locator("#passage mark").count() and page.locator("h1").inner_text().startswith("Note")
    shared = page.url
    page.get_by_role("link", name="Results for").click()
    assert page.locator("#status").inner_text().startswith("1–10 of 40")
    assert open_page(shared).locator("h1").inner_text().startswith("Note")


def test_the_keyboard_alone(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/?q=vitamin")
    focused = "document.activeElement.textContent"
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    assert page.evaluate("getSelection().toString()") == "vitamin"
    page.keyboard.press("ArrowDown")
    first, second = titles(page)[:2]
    assert page.evaluate(focused) == first
    page.keyboard.press("ArrowDown")
    assert page.evaluate(focused) == second
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/document?**")
    page.keyboard.press("Escape")
    page.wait_for_url("**/?q=vitamin")
    page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Skip to the results"


def test_titles_are_suggested_while_typing(open_page: Open, address: str) -> None:
    page = open_page(address)
    page.keyboard.type("note 39")
    page.locator("#suggestions option").first.wait_for(state="attached")
    assert page.locator("#suggestions option").first.get_attribute("value") == "Note 39"


def test_a_search_that_takes_a_while_says_so(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/?q=vitamin")
    page.evaluate("""() => new MutationObserver(() => {
        sessionStorage.said = document.getElementById("status").textContent;
        sessionStorage.busy = document.body.getAttribute("aria-busy");
    }).observe(document.getElementById("status"), { childList: true })""")

    def slowly(route: Any) -> None:
        time.sleep(1)
        route.continue_()

    page.route("**/?q=upload", slowly)
    page.locator("#q").fill("upload")
    page.locator("#q").press("Enter")
    page.wait_for_url("**/?q=upload")
    assert page.evaluate("[sessionStorage.said, sessionStorage.busy]") == ["Searching…", "true"]
    assert page.locator("body").get_attribute("aria-busy") is None


def test_it_works_without_scripts(open_page: Open, address: str) -> None:
    page = open_page(address, java_script_enabled=False)
    page.locator("#q").fill("vitamin")
    page.get_by_label("Sort").select_option("year")
    page.get_by_role("button", name="Search").click()
    assert titles(page)[0] in ("Note 0", "Note 10", "Note 20", "Note 30") and "sort=year" in page.url
    page.locator("aside").get_by_role("link", name="en 14").click()
    assert "f.lang=en" in page.url and "sort=year" in page.url
    page.locator("details.why > summary").first.click()
    assert page.locator("details.why table").first.is_visible()
    page.get_by_role("link", name="Next").click()
    page.locator("a.title").first.click()
    assert page.locator("#passage").count() == 1


def test_two_indexes_have_pages_of_their_names(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/notes/?q=vitamin")
    page.locator("a.title").first.click()
    page.wait_for_url("**/notes/document?**")
    assert page.evaluate("getComputedStyle(document.querySelector('.chips')).display") == "flex"  # the style is there


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_axe_finds_no_violation(open_page: Open, address: str, path: str, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core is in axe-playwright-python")
    page = open_page(address + path, color_scheme=scheme)
    for summary in page.locator("details > summary").all():
        if summary.is_visible():
            summary.click()
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["impact"], [node["html"] for node in one["nodes"]][:3]) for one in found] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_dark_and_light(open_page: Open, address: str, scheme: str) -> None:
    page = open_page(f"{address}/?q=vitamin", color_scheme=scheme)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(", "))) > 380) == (scheme == "light")


@pytest.mark.parametrize("path", PAGES.values(), ids=PAGES)
def test_a_telephone_shows_everything_without_scrolling_sideways(open_page: Open, address: str, path: str) -> None:
    page = open_page(address + path, viewport={"width": 390, "height": 844})
    for summary in page.locator("details > summary").all():
        if summary.is_visible():
            summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_long_word_does_not_widen_a_telephone(open_page: Open, address: str) -> None:
    page = open_page(f"{address}/?{urlencode({'q': 'x' * 3000})}", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
