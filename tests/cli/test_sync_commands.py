"""`lsr sync`, `lsr watch`, `lsr update --set`, `lsr delete --where`: an index that follows, and changes by filter."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from lsr.indexer.sources import watch

Lsr = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    for number in range(3):
        write(f"notes/{number}.md", f"# Note {number}\n\nnumber{number} of all")
    return tmp_path


def write(path: str, text: str) -> None:
    Path(path).write_text(text)
    os.utime(path, ns=(len(text) * 10**9, len(text) * 10**9))


@pytest.fixture
def index(here: Path, lsr: Lsr) -> Path:
    assert lsr("index", "notes", "--encoder", "bm25").code == 0
    return here / ".lsr"


def test_sync_follows_the_folder(lsr: Lsr, index: Path) -> None:
    write("notes/0.md", "changed now")
    write("notes/new.md", "a fresh one")
    Path("notes/2.md").unlink()
    done = lsr("sync", "--dry-run")
    assert done.lines == ["+ notes/new.md", "~ notes/0.md", "- notes/2.md"]
    assert done.err == "lsr: 1 file unchanged, 1 new, 1 changed, 1 vanished\n"
    (planned,) = lsr("sync", "--dry-run", "--json").objects
    assert (planned["dry_run"], planned["changed_files"]) == (True, ["notes/0.md"])
    (done,) = lsr("sync", index, "--no-merge", "--json").objects
    assert {name: done[name] for name in ("added", "replaced", "deleted", "documents", "unchanged_files")} == {
        "added": 1, "replaced": 1, "deleted": 1, "documents": 3, "unchanged_files": 1,
    }  # fmt: skip
    done = lsr("sync")
    assert done.out.startswith("changed nothing in ") and done.err == "lsr: 3 files unchanged\n"
    assert lsr("sync", index, "--index", index).code == 2


def test_a_stale_hit_says_so_and_what_mends_it(lsr: Lsr, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("notes/0.md", "changed now")
    Path("notes/1.md").unlink()
    done = lsr("search", "number0 number1 number2")
    shown = "\n".join(line.strip() for line in done.lines)
    assert "0.md\nits file has changed since it was indexed: lsr sync" in shown
    assert "1.md\nits file has vanished since it was indexed: lsr sync" in shown
    assert "2.md\nits file" not in shown
    assert "lsr: 2 hits of changed or vanished files: 'lsr sync' follows them" in done.err
    stale = {hit["doc_id"]: hit.get("stale") for hit in lsr("search", "number0 number1 number2", "--json").objects}
    assert stale == {"0.md": "changed", "1.md": "vanished", "2.md": None}
    named = lsr("search", "number0", "--index", index)
    assert f"'lsr sync --index {index}' follows them" in named.err
    assert lsr("search", "number0 number1 number2", "--html", "page.html").code == 0
    page = Path("page.html").read_text()
    assert page.count("since it was indexed: &#39;lsr sync&#39; follows it") == 2


def test_the_name_of_a_part_replaces_that_part(lsr: Lsr, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("notes/sub").mkdir()
    write("notes/sub/0.md", "below")
    assert lsr("update", "notes", "--no-merge").out.startswith("added 1 document in ")
    write("notes/sub/0.md", "below again")
    monkeypatch.chdir("notes/sub")
    assert lsr("update", "0.md", "--no-merge").out.startswith("replaced 1 document in ")
    assert [line.split("\t")[0] for line in lsr("list").lines] == ["0.md", "1.md", "2.md", "sub/0.md"]
    assert "below again" in lsr("get", "sub/0.md").out and "number0" in lsr("get", "0.md").out


def test_documents_are_deleted_by_a_filter(lsr: Lsr, index: Path) -> None:
    where = "doc_id != '1.md'"
    done = lsr("delete", "--where", where, "--dry-run")
    assert done.lines == ["0.md", "2.md"] and done.err == "lsr: 2 documents would be deleted\n"
    assert lsr("delete", "0.md", "nobody", "--dry-run", "--json").objects[0]["doc_ids"] == ["0.md"]
    assert lsr("delete", "--where", where).out.startswith("deleted 2 documents in ")
    assert len(lsr("list").lines) == 1
    assert lsr("delete", "1.md", "--where", where).code == 2
    assert lsr("delete", "--where", "year ==").code != 0


def test_fields_change_by_a_filter(lsr: Lsr, index: Path) -> None:
    done = lsr(
        "update", "--set", "status=done", "--set", "n=3", "--set", 'tags=["a", "b"]', "--where", "doc_id != '1.md'"
    )
    assert done.out == f"updated fields of 2 documents: {index}\n"
    fields = {found["doc_id"]: found["fields"] for found in lsr("list", "--json").objects}
    changed = {"status": "done", "n": 3, "tags": ["a", "b"]}
    assert fields == {"0.md": changed, "1.md": {}, "2.md": changed}
    assert [hit["doc_id"] for hit in lsr("search", "number2 number1", "--where", "n == 3", "--json").objects] == [
        "2.md"
    ]
    (done,) = lsr("update", "--set", "n=null", "--where", "status == 'done'", "--json").objects
    assert done["updated"] == 2 and lsr("list", "--json").objects[0]["fields"] == {"status": "done", "tags": ["a", "b"]}
    assert lsr("update", "--set", "n=1", "--where", "status == 'x'").out == "changed nothing\n"
    assert lsr("check").code == 0
    for wrong in (["--set", "n=1"], ["--where", "n == 3"], ["notes", "--set", "n=1", "--where", "n == 3"],
                  ["--set", "n", "--where", "n == 3"], ["--set", "text=x", "--where", "status == 'done'"]):  # fmt: skip
        assert lsr("update", *wrong).code == 2, wrong


def test_ids_are_what_was_given_in_every_command(lsr: Lsr, here: Path) -> None:
    names = ["a b.md", "100%.md", "%20.md", "c#1.md"]
    for name in names:
        write(f"notes/{name}", f"text of {name}")
    assert lsr("index", "notes", "--encoder", "bm25").code == 0
    assert {line.split("\t")[0] for line in lsr("list").lines} == {"0.md", "1.md", "2.md", *names}
    for name in names:
        assert lsr("get", name).code == 0
    write("notes/a b.md", "changed text")
    assert lsr("update", "notes/a b.md", "--no-merge").out.startswith("replaced 1 document in ")
    assert lsr("delete", *names, "--strict", "--no-merge").out.startswith("deleted 4 documents in ")


def follow(lsr: Lsr, monkeypatch: pytest.MonkeyPatch, steps: list[Callable[[], object]]) -> Any:
    """Run `lsr watch`, and each step before one of its wake-ups."""

    def changes(_: object) -> Iterator[None]:
        for step in steps:
            step()
            yield

    monkeypatch.setattr(watch, "watched", changes)
    return lsr("watch", "--json")


def test_watch_follows_at_every_change(lsr: Lsr, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [lambda: write("notes/0.md", "changed now"), lambda: Path("notes/1.md").unlink(), lambda: None]
    done = follow(lsr, monkeypatch, steps)
    assert done.code == 0 and [(found["replaced"], found["deleted"]) for found in done.objects] == [
        (0, 0), (1, 0), (0, 1), (0, 0),
    ]  # fmt: skip


def test_watch_goes_on_after_what_cannot_be_read(lsr: Lsr, index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = [
        lambda: write("notes/bad.jsonl", '{"id": "0.md", "text": "x"}\n'),
        lambda: Path("notes/bad.jsonl").unlink(),
    ]
    done = follow(lsr, monkeypatch, steps)
    assert done.code == 0 and len(done.objects) == 2 and "not up to date: doc_id stands twice: 0.md" in done.err


def test_the_system_tells_of_changes_but_not_of_the_index_itself(lsr: Lsr, index: Path) -> None:
    pytest.importorskip("watchfiles")
    concerns = watch._filter(index)
    assert not concerns(None, str(index / "manifest-00000002.json")) and not concerns(
        None, str(index.parent / ".git/x")
    )
    assert concerns(None, str(index.parent / "notes/0.md"))
    stop = Event()
    stop.set()
    assert list(watch.watched(index, stop)) == []


def test_a_file_among_the_sources_is_looked_at(here: Path) -> None:
    before = watch._states([str(here / "notes/0.md")])
    write("notes/0.md", "another length")
    assert watch._states([str(here / "notes/0.md")]) != before
    Path("notes/0.md").unlink()
    assert watch._states([str(here / "notes/0.md")]) == [()]
