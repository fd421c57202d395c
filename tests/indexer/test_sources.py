"""Sources: an index remembers the folders and files that it was made of, and follows them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import lsr
from lsr.api.documents import all_documents
from lsr.encoders.registry import load_encoder
from lsr.errors import BadDocumentError, IndexDamagedError, LsrError, UsageError
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.pipeline import index_corpus, index_documents
from lsr.indexer.sources import digest, staleness, tracking
from lsr.indexer.sources.plan import make_plan
from lsr.indexer.sources.table import KIND, UNKNOWN_SOURCES, SourceTable, read_table
from lsr.indexer.storage import manifest as manifests
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.sync import Sync, plan_sync, sync_index, update_sources
from lsr.indexer.update.update import add_corpus, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document

INDEX = Path("index")


def write(path: str, text: str) -> None:
    """Write a file that was last changed long ago, at another time for every text."""
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    at = 1_600_000_000_000_000_000 + hash(text) % 10**15
    os.utime(file, ns=(at, at))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of notes, which is the current one's neighbour."""
    monkeypatch.chdir(tmp_path)
    write("notes/README.md", "root cats")
    write("notes/sub/README.md", "below dogs")
    write("notes/data.jsonl", '{"id": "one", "text": "first"}\n{"id": "two", "text": "second"}\n')
    return tmp_path


def make(*paths: str, **options: object) -> None:
    reading = CorpusOptions(**options) if options else None
    index_corpus([Path(path) for path in paths], INDEX, load_encoder("bm25"), reading=reading)


def update(*paths: str, **options: object) -> Sync:
    reading = CorpusOptions(**options) if options else None
    return update_sources(list(paths), INDEX, reading=reading, merge=False)


def texts() -> dict[str, str]:
    with StoredIndex.open(INDEX) as index:
        return {document.doc_id: document.text for document in all_documents(index)}


def counts(found: Sync) -> tuple[int, int, int]:
    assert found.changes is not None
    return found.changes.n_added, found.changes.n_replaced, found.changes.n_deleted


NOTES = {"README.md": "root cats", "one": "first", "two": "second", "sub/README.md": "below dogs"}


@pytest.mark.parametrize(
    ("folder", "path"),
    [
        (".", "notes/sub/README.md"),
        ("notes/sub", "README.md"),
        ("notes", "sub/README.md"),
        ("notes", "sub"),
        (".", "notes/sub/../sub/README.md"),
        (".", "{here}/notes/sub/README.md"),
        (".", "link/sub/README.md"),
        (".", "notes"),
        ("notes", "."),
        ("notes/sub", ".."),
    ],
)
def test_an_id_follows_from_the_source_however_a_path_is_spelled(
    here: Path, monkeypatch: pytest.MonkeyPatch, folder: str, path: str
) -> None:
    make("notes")
    Path("link").symlink_to("notes")
    write("notes/sub/README.md", "changed")
    monkeypatch.chdir(folder)
    found = update_sources([path.format(here=here)], here / INDEX, merge=False)
    monkeypatch.chdir(here)
    assert counts(found) == (0, 1, 0) and texts() == NOTES | {"sub/README.md": "changed"}
    assert verify(INDEX)[1] == []


def test_sources_that_were_indexed_together_keep_their_ids(here: Path) -> None:
    write("a/x.txt", "in a")
    write("b/x.txt", "in b")
    make("a", "b")
    write("a/x.txt", "changed in a")
    assert counts(update("a")) == (0, 1, 0)
    assert texts() == {"a/x.txt": "changed in a", "b/x.txt": "in b"}


def test_a_path_outside_is_a_new_source_whose_ids_meet_no_others(here: Path) -> None:
    make("notes")
    write("papers/README.md", "trees")
    write("papers/notes/README.md", "more trees")
    found = update("papers")
    assert counts(found) == (2, 0, 0) and texts() == NOTES | {
        "papers/README.md": "trees", "papers/notes/README.md": "more trees",
    }  # fmt: skip
    assert found.summary[0] == "papers is a new source of the index: its ids begin with papers/"
    write("papers/README.md", "bushes")
    assert counts(update("papers")) == (0, 1, 0) and texts()["papers/README.md"] == "bushes"
    write("other/papers/x.md", "another folder of this name")
    changes, lines = add_corpus(["other/papers"], INDEX, merge=False)
    assert changes.n_added == 1 and "its ids begin with other/papers/" in lines[0]


def test_a_named_file_of_an_id_that_is_taken_gets_another(here: Path) -> None:
    make("notes")
    write("README.md", "outside")
    assert counts(update("README.md")) == (1, 0, 0)
    (new,) = set(texts()) - set(NOTES)
    assert new == f"{here.name}/README.md" and texts()[new] == "outside"


def test_records_of_a_new_file_replace_those_of_others(here: Path) -> None:
    make("notes")
    write("changed.jsonl", '{"id": "one", "text": "another"}\n{"id": "three", "text": "third"}\n')
    assert counts(update("changed.jsonl")) == (1, 1, 0)
    assert texts() == NOTES | {"one": "another", "three": "third"}
    # The later source goes first: the record doesn't come back from the earlier one, nor goes with it.
    write("notes/data.jsonl", '{"id": "one", "text": "first again"}\n')
    assert counts(sync_index(INDEX, merge=False)) == (0, 0, 1)
    assert texts()["one"] == "another" and "two" not in texts()
    Path("notes/data.jsonl").unlink()
    assert counts(sync_index(INDEX, merge=False)) == (0, 0, 0) and texts()["one"] == "another"


@pytest.mark.parametrize("command", ["sync", "update"])
def test_files_that_are_new_changed_and_gone(here: Path, command: str) -> None:
    make("notes")
    write("notes/README.md", "root horses")
    write("notes/sub/new.txt", "fresh")
    write("notes/data.jsonl", '{"id": "two", "text": "second"}\n{"id": "three", "text": "third"}\n')
    Path("notes/sub/README.md").unlink()
    planned = plan_sync(INDEX)
    assert (planned.new, planned.vanished, planned.n_unchanged) == (
        ("notes/sub/new.txt",), ("notes/sub/README.md",), 0,
    )  # fmt: skip
    assert set(planned.changed) == {"notes/README.md", "notes/data.jsonl"} and planned.changes is None
    assert texts() == NOTES
    found = sync_index(INDEX, merge=False) if command == "sync" else update("notes")
    assert counts(found) == (2, 2, 2)
    assert texts() == {"README.md": "root horses", "two": "second", "three": "third", "sub/new.txt": "fresh"}
    assert counts(sync_index(INDEX)) == (0, 0, 0)
    merge_index(INDEX)
    assert counts(sync_index(INDEX)) == (0, 0, 0) and verify(INDEX)[1] == []


def test_unchanged_files_are_neither_read_nor_encoded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("notes")
    opened: list[str] = []
    monkeypatch.setattr(
        "lsr.indexer.sources.plan.digest_of", lambda path: opened.append(str(path)) or digest.digest_of(path)
    )
    monkeypatch.setattr("lsr.indexer.update.sync.read_files", lambda *_, **__: pytest.fail("a file was read"))
    monkeypatch.setattr("lsr.indexer.update.editor.open_encoder", lambda _: pytest.fail("an encoder was opened"))
    generation = StoredIndex.open(INDEX).manifest.generation
    found = sync_index(INDEX)
    assert (found.n_unchanged, counts(found), opened) == (3, (0, 0, 0), [])
    assert StoredIndex.open(INDEX).manifest.generation == generation
    os.utime("notes/README.md")  # touched: it is read once to compare, and known then
    assert counts(sync_index(INDEX)) == (0, 0, 0) and opened == [str(here / "notes/README.md")]
    os.utime("notes/README.md", ns=(1, 1))
    assert counts(sync_index(INDEX)) == (0, 0, 0) and len(opened) == 2
    assert counts(sync_index(INDEX)) == (0, 0, 0) and len(opened) == 2


def test_a_change_within_the_clock_of_the_file_system_is_seen(here: Path) -> None:
    Path("notes/README.md").write_text("root cats")  # now: a second change might have the same time
    at = Path("notes/README.md").stat().st_mtime_ns
    make("notes")
    Path("notes/README.md").write_text("root mice")
    os.utime("notes/README.md", ns=(at, at))
    assert counts(sync_index(INDEX)) == (0, 1, 0) and texts()["README.md"] == "root mice"


def test_a_file_that_changes_while_it_is_read_is_read_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed_meanwhile(path: str | Path) -> bytes:
        if Path(path).name == "README.md" and Path(path).parent.name == "notes":
            write("notes/README.md", "changed meanwhile")
        return digest.digest_of(path)

    with monkeypatch.context() as patched:
        patched.setattr(tracking, "digest_of", changed_meanwhile)
        make("notes")
    assert counts(sync_index(INDEX)) == (0, 1, 0) and texts()["README.md"] == "changed meanwhile"


def test_options_belong_to_the_source(here: Path) -> None:
    make("notes", include=("*.md",))
    assert set(texts()) == {"README.md", "sub/README.md"}
    write("notes/more.txt", "left out")
    assert counts(sync_index(INDEX)) == (0, 0, 0)
    with pytest.raises(UsageError, match="lies in the source notes, which is read with other options"):
        update("notes/sub", include=("*.txt",))
    assert counts(update("notes", include=("*.txt", "README.md"))) == (1, 2, 0)
    assert counts(sync_index(INDEX)) == (0, 0, 0) and "more.txt" in texts()


def test_a_file_that_was_named_is_kept_though_the_source_leaves_it_out(here: Path) -> None:
    make("notes", include=("*.md",))
    write("notes/more.txt", "named")
    assert counts(update("notes/more.txt")) == (1, 0, 0)
    assert counts(sync_index(INDEX)) == (0, 0, 0) and texts()["more.txt"] == "named"
    write("notes/more.txt", "named and changed")
    assert counts(sync_index(INDEX)) == (0, 1, 0)
    Path("notes/more.txt").unlink()
    assert counts(sync_index(INDEX)) == (0, 0, 1)


def test_what_git_ignores_since_then_leaves(here: Path) -> None:
    make("notes")
    write("notes/.gitignore", "sub\n")
    assert counts(sync_index(INDEX)) == (0, 0, 1) and "sub/README.md" not in texts()


def test_a_vanished_path_may_be_named(here: Path) -> None:
    make("notes")
    Path("notes/sub/README.md").unlink()
    assert counts(update("notes/sub/README.md")) == (0, 0, 1)
    for path in ("notes/nothing", "nowhere/at/all"):
        with pytest.raises(LsrError, match="no such file or folder"):
            update(path)
    with pytest.raises(LsrError, match="no such file or folder"):
        add_corpus(["notes/sub/README.md"], INDEX)


def test_a_source_that_is_not_there_keeps_its_documents(here: Path) -> None:
    write("more/x.txt", "more")
    make("notes", "more")
    Path("notes").rename("elsewhere")
    with StoredIndex.open(INDEX) as index:
        assert staleness.Staleness(index).of(["notes/README.md"]) == [None]
    found = sync_index(INDEX)
    assert counts(found) == (0, 0, 0) and found.missing == ("notes",)
    found = sync_index(INDEX, remove_missing=True)
    assert counts(found) == (0, 0, 4) and found.missing == () and set(texts()) == {"more/x.txt"}
    assert sync_index(INDEX).n_unchanged == 1
    with StoredIndex.open(INDEX) as index:
        table = read_table(index)
        assert table is not None and [source.given for source in table.sources] == ["more"]


def test_a_folder_that_cannot_be_read_keeps_its_documents(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("notes")
    scan = os.scandir

    def refused(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("/sub"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    access: Callable[..., bool] = os.access
    monkeypatch.setattr("lsr.indexer.corpus.walk.os.scandir", refused)
    monkeypatch.setattr("lsr.indexer.sources.plan.os.access", lambda p, m: not str(p).endswith("/sub") and access(p, m))
    assert counts(sync_index(INDEX)) == (0, 0, 0) and "sub/README.md" in texts()


def test_an_id_of_two_files_of_a_source_is_an_error(here: Path) -> None:
    make("notes")
    write("notes/other.jsonl", '{"id": "one", "text": "again"}\n')
    with pytest.raises(
        BadDocumentError, match=r"doc_id stands twice: one in notes/data\.jsonl and again in notes/other"
    ):
        sync_index(INDEX)
    assert texts() == NOTES


def test_sources_within_sources_are_followed_once(here: Path) -> None:
    make("notes/sub")
    assert counts(update("notes")) == (3, 0, 0)
    assert len(texts()) == 4
    write("notes/sub/README.md", "changed")
    write("notes/README.md", "changed too")
    assert counts(update("notes")) == (0, 2, 0)
    assert sync_index(INDEX).n_unchanged == 3


def test_an_index_of_no_file_begins_to_follow_the_first(here: Path) -> None:
    index_documents([Document("a", "text")], INDEX, load_encoder("bm25"))
    with pytest.raises(LsrError, match="was made of no folder or file"):
        sync_index(INDEX)
    assert counts(update("notes")) == (4, 0, 0)
    write("notes/README.md", "changed")
    assert counts(sync_index(INDEX)) == (0, 1, 0)


@pytest.fixture
def early(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index as early versions made it: its manifest says nothing of sources."""
    make("notes")
    with StoredIndex.open(INDEX) as index:
        changed = manifests.replace(index.manifest, sources=None, generation=index.manifest.generation)
    next(INDEX.glob("manifest-*.json")).unlink()
    manifests.write_manifest(INDEX, changed)


@pytest.mark.usefixtures("early")
def test_an_early_index_is_changed_as_before_with_a_hint() -> None:
    with pytest.raises(LsrError, match="doesn't know its sources"):
        sync_index(INDEX)
    write("notes/README.md", "changed")
    changes, lines = add_corpus(["notes"], INDEX, replacing=True, merge=False)
    assert (changes.n_replaced, changes.n_deleted, lines[-1]) == (4, 0, UNKNOWN_SOURCES)
    assert StoredIndex.open(INDEX).manifest.sources is None


def test_an_exported_index_does_not_tell_where_its_sources_are(here: Path) -> None:
    make("notes")
    export_index(INDEX, Path("index.lsr"))
    assert str(here).encode() not in Path("index.lsr").read_bytes()
    import_index(Path("index.lsr"), Path("imported"))
    with pytest.raises(LsrError, match="imported"):
        sync_index("imported")
    assert len(lsr.open("imported").search("cats")) == 1


def test_deleted_by_hand_stays_deleted_until_the_file_changes(here: Path) -> None:
    make("notes")
    delete_documents(["README.md"], INDEX)
    assert counts(sync_index(INDEX)) == (0, 0, 0) and "README.md" not in texts()
    write("notes/README.md", "changed")
    assert counts(sync_index(INDEX)) == (1, 0, 0)


def stale(query: str) -> dict[str, str | None]:
    return {hit.doc_id: hit.stale for hit in Searcher(INDEX).search(query)}


def test_hits_say_that_their_files_have_changed_or_vanished(here: Path) -> None:
    make("notes")
    update_documents([Document("by hand", "cats")], INDEX)
    assert stale("cats dogs first") == dict.fromkeys(["README.md", "sub/README.md", "one", "by hand"])
    write("notes/README.md", "root lions")
    Path("notes/sub/README.md").unlink()
    write("notes/data.jsonl", '{"id": "one", "text": "first!"}\n')
    assert stale("cats dogs first") == {
        "README.md": "changed", "sub/README.md": "vanished", "one": "changed", "by hand": None,
    }  # fmt: skip
    sync_index(INDEX)
    assert set(stale("cats dogs first lions").values()) == {None}


def test_a_file_that_was_only_touched_is_not_stale(here: Path) -> None:
    make("notes")
    os.utime("notes/README.md")
    assert stale("cats") == {"README.md": None}


def test_only_the_files_of_the_hits_are_looked_at(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make("notes")
    looked: list[str] = []
    stat = os.stat
    monkeypatch.setattr(
        staleness.os, "stat", lambda path, **options: looked.append(Path(path).name) or stat(path, **options)
    )
    with StoredIndex.open(INDEX) as index:
        looked.clear()
        assert staleness.Staleness(index).of(["README.md", "one", "two", "nobody"]) == [None] * 4
    assert sorted(name for name in looked if name.endswith((".md", ".jsonl"))) == ["README.md", "data.jsonl"]


def test_a_damaged_table_is_an_error_and_no_wrong_answer(here: Path) -> None:
    make("notes")
    (table,) = (INDEX / KIND).iterdir()
    for name in ("files.arrow", "sources.json", "doc_key.npy", "doc_file.npy"):
        data = (table / name).read_bytes()
        (table / name).write_bytes(data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
        with pytest.raises(IndexDamagedError):
            sync_index(INDEX)
        assert any(name in problem for problem in verify(INDEX)[1])
        (table / name).write_bytes(data)
    assert sync_index(INDEX).n_unchanged == 3


def test_names_that_are_not_utf8_are_followed(here: Path) -> None:
    name = os.fsdecode(b"caf\xe9.txt")
    write(f"notes/{name}", "coffee")
    make("notes")
    assert sync_index(INDEX).n_unchanged == 4
    write(f"notes/{name}", "tea")
    assert counts(sync_index(INDEX)) == (0, 1, 0) and texts()["caf%E9.txt"] == "tea"


def test_a_plan_counts_what_is_skipped(here: Path) -> None:
    make("notes")
    with StoredIndex.open(INDEX) as index:
        found = tracking.Tracking(read_table(index) or SourceTable())
    found.target_all()
    report = CorpusReport()
    write("notes/picture.png", "\x00\x01")
    assert make_plan(found, report, [INDEX], everything=True).n_unchanged == 3 and report.count_skipped() == 1
