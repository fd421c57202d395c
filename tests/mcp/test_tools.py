"""Tools for agents, asked by the client of the official SDK: in this process, over stdio, and over HTTP."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.query.options import option_specs
from lsr.query.searcher import Searcher
from lsr.server.served_index import ServedIndex, ServedIndexes

pytest.importorskip("mcp", reason="lsr-search[mcp] isn't installed")

import anyio
from mcp.client.client import Client

from lsr.mcp.service import Service
from lsr.server.settings import Limits

DOCUMENTS = [
    {"doc_id": "notes/cats.md", "title": "On cats", "year": 2020, "tags": ["pets", "fur"],
     "text": "# Pets\n\n" + "Nothing of interest stands in this long line of words that fill it up to its end. " * 3
     + "\n\nA cat sleeps most of the day.\nCats purr."},
    {"doc_id": "notes/dogs.md", "title": "On dogs", "year": 2022, "text": "A dog guards the house.\nDogs chase cats."},
    {"doc_id": "trees.txt", "text": "Trees grow slowly.", "year": 2022},
]  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    lsr.index(DOCUMENTS, tmp_path / "index", encoder="bm25").close()
    return tmp_path / "index"


def service(paths: Mapping[str, Path], about: str = "") -> Service:
    indexes = ServedIndexes([ServedIndex(name, Searcher(path), about=about) for name, path in paths.items()])
    return Service(indexes, Limits(), indexes.paths)


async def ask(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return str(result.content[0].text)


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)


def talk(target: Any, body: Callable[[Client], Any]) -> Any:
    """Connect the SDK's client to a server, and return what happens there."""

    async def run() -> Any:
        async with Client(target) as client:
            return await body(client)

    return ThreadPoolExecutor(1).submit(anyio.run, run).result()  # the browser's tests have a loop in this thread


def test_the_tools_are_described_with_all_options_of_a_search(path: Path) -> None:
    tools = {
        tool.name: tool for tool in talk(service({"notes": path}, about="my pets").server, Client.list_tools).tools
    }
    assert list(tools) == ["search", "get_document", "get_documents", "list_fields", "status"]
    search = tools["search"]
    assert "About: my pets" in str(search.description)
    properties = search.input_schema["properties"]
    wanted = {name for name, spec, _ in option_specs() if not spec.local} | {"query", "snippet", "rerank"}
    assert set(properties) == wanted and search.input_schema["additionalProperties"] is False
    assert all(tool.annotations is not None and tool.annotations.read_only_hint for tool in tools.values())


def test_hits_have_path_line_fields_and_snippet_in_few_words(path: Path) -> None:
    text = talk(service({"notes": path}).server, lambda client: ask(client, "search", query="sleeping cats", k=1))
    (hit,) = Searcher(path).search("sleeping cats", k=1)
    assert text.splitlines() == [
        f"1. notes/cats.md:5 On cats ({hit.score:.4g})",
        "   year=2020 tags=pets,fur",
        "   … A cat sleeps most of the day. Cats purr.",
    ]


def test_results_and_defaults_are_those_of_the_library(path: Path) -> None:
    async def body(client: Client) -> None:
        for given in ({}, {"k": 1}, {"where": "year > 2020"}, {"sort": "-year"}, {"feedback": 1}, {"min_score": 0.1}):
            text = await ask(client, "search", query="cats house", **given)
            expected = [f"{hit.rank}. {hit.doc_id}:" for hit in Searcher(path).search("cats house", **given)]
            found = [line for line in text.splitlines() if line[:1].isdigit()]
            assert len(found) == len(expected), given
            assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), given

    talk(service({"notes": path}).server, body)


def test_counts_explanations_and_empty_results_are_said(path: Path) -> None:
    async def body(client: Client) -> None:
        counted = await ask(client, "search", query="cats", total=True, facets=["year"], explain=True)
        assert "total: 2 documents with a term of the query" in counted and "year: 2020 (1), 2022 (1)" in counted
        assert "why: cat 0." in counted
        nothing = await ask(client, "search", query="zebra", where="year > 2020")
        assert nothing == (
            "nothing found among 3 documents: none holds a term of the query; leave out where, or use other words"
        )

    talk(service({"notes": path}).server, body)


WRONG = [
    ("search", {}, "search needs the parameter 'query'"),
    ("search", {"query": "a", "limit": 3}, "search has no parameter 'limit': did you mean k?"),
    ("search", {"query": "a", "filter": "x"}, "did you mean where?"),
    ("search", {"query": "a", "kk": 3}, "did you mean k?"),
    ("search", {"query": "a", "threads": 3}, "search has no parameter 'threads'"),
    ("search", {"query": " "}, "missing or empty"),
    ("search", {"query": 3}, "q must be a text"),
    ("search", {"query": "a", "k": 0}, "k is 0; it must be at least 1"),
    ("search", {"query": "a", "k": 5000}, "k is 5,000; the limit is 1,000"),
    ("search", {"query": "a", "where": "size > 3"}, "no document has a field 'size'; there are"),
    ("search", {"query": "a", "hybrid": "union"}, "dense"),
    ("search", {"query": "a", "rerank": "cross-encoder:/etc"}, "there are late-interaction, none"),
    ("search", {"query": "a", "index": "other"}, "search has no parameter 'index'"),
    ("get_document", {"doc_id": "nobody"}, "no document 'nobody'"),
    ("get_document", {"doc_id": ["a"]}, "it must be a text"),
    ("get_document", {"doc_id": "trees.txt", "first_line": 2}, "the document has the lines 1 to 1"),
    ("get_document", {"doc_id": "trees.txt", "lines": "2"}, "no parameter 'lines'"),
    ("get_documents", {}, "give doc_ids or pattern"),
    ("get_documents", {"doc_ids": []}, "a list of 1 to 200 texts"),
    ("get_documents", {"pattern": "*", "limit": 1000}, "limit is 1000; it must be a whole number from 1 to 200"),
    ("list_fields", {"field": "size"}, "no field 'size': there are tags, year"),
    ("list_fields", {"field": ["year"]}, "it must be a text"),
    ("status", {"verbose": True}, "status has no parameter 'verbose': there are none"),
    ("write", {}, "no tool 'write': there are search"),
]


def test_an_unknown_or_bad_parameter_is_refused(path: Path) -> None:
    async def body(client: Client) -> None:
        for tool, arguments, message in WRONG:
            assert message in await refusal(client, tool, **arguments), (tool, arguments)

    talk(service({"notes": path}).server, body)


def test_documents_come_whole_by_lines_by_ids_and_by_pattern(path: Path) -> None:
    async def body(client: Client) -> None:
        whole = await ask(client, "get_document", doc_id="notes/dogs.md")
        assert whole == "# notes/dogs.md On dogs\nyear=2022\nA dog guards the house.\nDogs chase cats."
        part = await ask(client, "get_document", doc_id="notes/dogs.md", first_line=2)
        assert part == "# notes/dogs.md On dogs, lines 2 to 2 of 2\nyear=2022\nDogs chase cats."
        cut = await ask(client, "get_document", doc_id="notes/dogs.md", max_characters=30)
        assert cut.endswith("Dogs c\n… cut at 30 of 40 characters, in line 2")
        several = await ask(client, "get_documents", doc_ids=["trees.txt", "nobody"])
        assert several == "# trees.txt\nyear=2022\nTrees grow slowly.\n\nno document 'nobody'"
        fitting = await ask(client, "get_documents", pattern="notes/*.md", limit=1)
        assert fitting.startswith("# notes/cats.md") and fitting.endswith("… more documents; the limit of 1 is reached")
        small = await ask(client, "get_documents", pattern="*", max_characters=50)
        assert "… cut at 50" in small and "… no room for more" in small and len(small) < 200
        assert await ask(client, "get_documents", pattern="x*") == "no document's id fits 'x*'"

    talk(service({"notes": path}).server, body)


def test_fields_and_status_are_listed(path: Path) -> None:
    async def body(client: Client) -> None:
        assert await ask(client, "list_fields") == "tags (texts): fur (1), pets (1)\nyear (int): 2022 (2), 2020 (1)"
        assert await ask(client, "list_fields", field="year", values=1) == "year (int): 2022 (2), …"
        status = await ask(client, "status")
        assert status.startswith("index notes: 3 documents\nabout: my pets\nencoder: bm25\ngeneration 1, of 2")

    talk(service({"notes": path}, about="my pets").server, body)


def test_several_indexes_are_chosen_by_name(path: Path, tmp_path: Path) -> None:
    lsr.index(["A whale."], tmp_path / "sea", encoder="bm25").close()

    async def body(client: Client) -> None:
        tools = await client.list_tools()
        assert tools.tools[0].input_schema["properties"]["index"]["enum"] == ["notes", "sea"]
        assert (await ask(client, "search", query="whale", index="sea")).startswith("1. 0:1")
        assert "no index 'land': there are notes, sea" in await refusal(client, "search", query="a", index="land")

    talk(service({"notes": path, "sea": tmp_path / "sea"}).server, body)


def test_passages_show_the_line_of_their_document(tmp_path: Path) -> None:
    text = (
        "\n".join(f"line {number} is about nothing at all" for number in range(400)) + "\na zebra crosses the street\n"
    )
    lsr.index([{"doc_id": "long", "text": text}], tmp_path / "cut", encoder="bm25", passages={"max_length": 64}).close()
    found = talk(
        service({"cut": tmp_path / "cut"}).server, lambda client: ask(client, "search", query="zebra", snippet=20)
    )
    line = int(found.split(":")[1].split()[0])
    assert "zebra" in text.split("\n")[line - 1]


def test_a_changed_and_a_new_index_are_picked_up(path: Path) -> None:
    async def body(client: Client) -> None:
        with lsr.open(path) as index:
            index.add([{"id": "z", "text": "A zebra."}])
        assert (await ask(client, "search", query="zebra")).startswith("1. z:1")
        shutil.rmtree(path)
        gone = await refusal(client, "search", query="zebra")
        assert "index" in gone and str(path) not in gone
        lsr.index(["An owl."], path, encoder="bm25").close()
        assert (await ask(client, "search", query="owl")).startswith("1. 0:1")

    talk(service({"notes": path}).server, body)


def test_a_hit_whose_file_changed_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in ("cats", "dogs", "owls"):
        (tmp_path / "notes" / f"{name}.txt").write_text(f"of {name} and trees", "utf-8")
    lsr.index(tmp_path / "notes", tmp_path / "index", encoder="bm25").close()
    (tmp_path / "notes" / "cats.txt").write_text("of something else, and longer", "utf-8")
    (tmp_path / "notes" / "dogs.txt").unlink()
    text = talk(service({"notes": tmp_path / "index"}).server, lambda client: ask(client, "search", query="trees"))
    told = {line.split(":")[0].split("/")[-1]: line for line in text.splitlines() if line[:1].isdigit()}
    assert "[stale: its file has changed since it was indexed]" in told[next(name for name in told if "cats" in name)]
    assert "[stale: its file has vanished since it was indexed]" in told[next(name for name in told if "dogs" in name)]
    assert "stale" not in told[next(name for name in told if "owls" in name)]


def test_an_error_of_a_tool_is_logged_and_tells_no_secrets(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Searcher, "search", broken)
    said = talk(service({"notes": path}).server, lambda client: refusal(client, "search", query="cats"))
    assert said == "an error of the server; its log says more" and "secret" in caplog.text


def test_the_command_speaks_at_stdin_and_stdout(path: Path) -> None:
    from mcp.client.stdio import StdioServerParameters, stdio_client

    command = StdioServerParameters(
        command=sys.executable, args=["-m", "lsr", "mcp", f"notes={path}", "--about", "my pets"],
        env={"PYTHONSAFEPATH": "1"},
    )  # fmt: skip

    async def body(client: Client) -> None:
        assert "notes/cats.md:5" in await ask(client, "search", query="sleeping cats")
        assert "about: my pets" in await ask(client, "status")

    talk(stdio_client(command), body)
