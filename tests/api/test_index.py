"""An index through the public interface: made, read, changed, checked."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any

import pytest

import lsr
from lsr.errors import BadDocumentError, IndexExistsError, IndexMissingError, UsageError


def ids_of(index: lsr.Index) -> list[str]:
    return [document.doc_id for document in index]


def test_an_index_holds_its_documents(index: lsr.Index, records: list[dict[str, Any]]) -> None:
    assert len(index) == 3
    assert ids_of(index) == ["cats", "dogs", "trees"]
    assert index.path == Path("my-index")
    assert index.generation == 1
    assert "cats" in index
    assert all(other not in index for other in ("birds", "", 7, None, b"cats", ["cats"]))
    assert index.get("dogs") == lsr.Document("dogs", records[1]["text"], "On dogs", {"year": 2021})


def test_one_doc_id_gives_one_document_and_several_give_a_list(index: lsr.Index) -> None:
    assert index.get("no such") is None
    found = index.get(["trees", "no such", "cats"])
    assert [None if document is None else document.doc_id for document in found] == ["trees", None, "cats"]
    assert index.get([]) == []
    assert index.get(("cats",)) == [index.get("cats")]


def test_documents_pass_a_filter(index: lsr.Index) -> None:
    assert [document.doc_id for document in index.documents(where="year > 2020 and lang == 'en'")] == ["trees"]
    with pytest.raises(UsageError, match="filter, column 7: a value expected"):
        index.documents(where="year >")


def test_a_str_is_one_doc_id_in_every_method(here: Path) -> None:
    with lsr.index([f"text {number}" for number in range(50)], "my-index", encoder="bm25") as index:
        assert index.delete("42").n_deleted == 1
        assert {"4", "2"} <= set(ids_of(index))
        assert "42" not in index
        deleted = index.delete(17)
        assert (deleted.n_deleted, deleted.missing, deleted.n_documents) == (1, (), 48)
        document = index.get("31")
        assert document is not None
        assert document.text == "text 31"
        assert index.get(31) == document


def test_changes_are_seen_at_once_and_counted(index: lsr.Index) -> None:
    added = index.add([{"doc_id": "birds", "text": "A bird sings."}, lsr.Document("fish", "A fish swims.")])
    assert (added.n_added, added.n_documents, added.generation) == (2, 5, 2)
    assert repr(added) == "Added(n_added=2, n_documents=5, generation=2, summary=())"
    updated = index.update([{"doc_id": "fish", "text": "Fish swim."}, {"doc_id": "frogs", "text": "Frogs leap."}])
    assert (updated.n_added, updated.n_replaced, updated.n_documents) == (1, 1, 6)
    deleted = index.delete(["fish", "no such", "fish", "frogs", "nor this"])
    assert (deleted.n_deleted, deleted.missing, deleted.n_documents) == (2, ("no such", "nor this"), 4)
    assert ids_of(index) == ["cats", "dogs", "trees", "birds"]
    assert index.generation == deleted.generation


def test_nothing_changes_where_one_document_is_bad(index: lsr.Index) -> None:
    with pytest.raises(BadDocumentError, match="record 1: its text 'text' is missing"):
        index.add([{"id": "x", "text": "a text"}, {"id": "y", "text": None}])
    with pytest.raises(BadDocumentError, match=r"doc_id cats is in the index already; update\(\) replaces it"):
        index.add({"id": "cats", "text": "again"})
    with pytest.raises(lsr.LsrError, match="not in the index: no such; nothing was deleted; leave out strict=True"):
        index.delete(["cats", "no such"], strict=True)
    with pytest.raises(lsr.LsrError, match="there is no document to add"):
        index.add([])
    assert index.delete([]).n_deleted == 0
    assert (ids_of(index), index.generation) == (["cats", "dogs", "trees"], 1)


def test_texts_without_an_id_count_on(here: Path) -> None:
    with lsr.index(["one text"], "my-index", encoder="bm25") as index:
        index.add(["two texts", "three texts"])
        index.delete("1")
        index.add(["four texts"])
        assert ids_of(index) == ["0", "2", "3"]
        with pytest.raises(BadDocumentError, match="without a doc_id"):
            index.update(["five texts"])


def test_merging_removes_what_was_deleted(index: lsr.Index) -> None:
    index.add({"id": "birds", "text": "A bird sings."}, merge=False)
    index.delete("cats", merge=False)
    merged = index.merge()
    assert (merged.n_segments, merged.n_documents, merged.generation) == (1, 3, index.generation)
    assert merged.n_merged == 2
    assert index.stats().n_deleted == 0
    assert index.merge(only_due=True).n_merged == 0


def test_checking_finds_damage(index: lsr.Index) -> None:
    checked = index.check()
    assert checked
    assert (checked.sound, checked.problems, checked.n_documents) == (True, (), 3)
    part = next(index.path.glob("segments/*/documents.arrow"))
    part.chmod(0o644)
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 255
    part.write_bytes(data)
    checked = index.check()
    assert not checked
    assert any("documents.arrow" in problem for problem in checked.problems)


def test_statistics_are_those_of_the_generation(index: lsr.Index) -> None:
    stats = index.stats()
    assert (stats.n_documents, stats.n_segments, stats.n_deleted, stats.generation) == (3, 1, 0, 1)
    assert stats.encoder["name"] == "bm25"
    assert stats.size_bytes == sum(stats.size_bytes_of.values())


def test_other_writers_are_seen_after_a_refresh(index: lsr.Index) -> None:
    with lsr.open("my-index") as other:
        other.add({"id": "birds", "text": "A bird sings."})
        assert (len(index), len(other)) == (3, 4)
        assert index.refresh() is index
        assert len(index) == 4
        other.delete("cats")
        index.add({"id": "fish", "text": "Fish swim."})  # a writer sees what others wrote
        assert ids_of(index) == ["dogs", "trees", "birds", "fish"]


def test_an_index_is_found_here_or_above(here: Path, records: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IndexMissingError, match=r"no index here.*make one with lsr.index\(…\), or name one with path"):
        lsr.open()
    lsr.index(records, encoder="bm25").close()
    (here / "below").mkdir()
    monkeypatch.chdir(here / "below")
    with lsr.open() as index:
        assert len(index) == 3
        assert index.path.resolve() == (here / ".lsr").resolve()


def test_an_index_is_replaced_only_where_that_is_asked_for(index: lsr.Index) -> None:
    with pytest.raises(IndexExistsError, match=r"already; overwrite=True replaces it, add\(\) adds to it"):
        lsr.index(["a text"], "my-index", encoder="bm25")
    with lsr.index(["a text"], "my-index", encoder="bm25", overwrite=True) as replaced:
        assert len(replaced) == 1
    assert len(index.refresh()) == 1


def test_files_are_indexed_and_added(here: Path, caplog: pytest.LogCaptureFixture) -> None:
    (here / "notes").mkdir()
    (here / "notes" / "one.md").write_text("# One\n\nThe first note.", encoding="utf-8")
    (here / "two.txt").write_text("The second note.", encoding="utf-8")
    with caplog.at_level(logging.INFO, "lsr"), lsr.index("notes", "my-index", encoder="bm25") as index:
        assert "read 1 document from 1 file" in caplog.text
        assert ids_of(index) == ["one.md"]
        added = index.add(["two.txt"])
        assert (added.n_added, added.summary) == (1, ("read 1 document from 1 file",))
        assert index.update(Path("two.txt")).n_replaced == 1


def test_passages_are_counted_and_read_as_their_documents(here: Path) -> None:
    long = " ".join(f"word{number}" for number in range(100))
    records = [{"id": "long", "text": long}, {"id": "short", "text": "A short text.", "year": 2020}]
    passages = {"overlap": 2, "max_length": 30}
    with lsr.index(records, "my-index", encoder="bm25", passages=passages) as index:
        assert len(index) == 2
        assert [document.text for document in index] == [long, "A short text."]
        assert index.get("long") == lsr.Document("long", long)
        assert index.get("long#1") is None
        assert "long#1" not in index
        stats = index.stats()
        assert stats.n_documents == 2 and stats.n_passages is not None and stats.n_passages > 4
        assert index.delete("long#1").missing == ("long#1",)
        assert index.add({"id": "longer", "text": f"{long} {long}"}).n_added == 1
        updated = index.update([{"id": "long", "text": "short now"}, {"id": "new", "text": long}])
        assert (updated.n_added, updated.n_replaced, updated.n_documents) == (1, 1, 4)
        deleted = index.delete(["longer", "new"])
        assert (deleted.n_deleted, deleted.n_documents) == (2, 2)


def test_a_closed_index_says_so(index: lsr.Index) -> None:
    index.close()
    index.close()
    assert repr(index) == "Index('my-index', closed)"
    for call in (
        lambda: len(index),
        lambda: index.get("cats"),
        lambda: index.add(["a text"]),
        index.check,
        index.stats,
    ):
        with pytest.raises(UsageError, match=r"the index at my-index is closed; open it again with lsr\.open"):
            call()


def test_the_representation_says_what_an_index_is(index: lsr.Index) -> None:
    assert repr(index) == "Index('my-index', 3 documents, encoder 'bm25', generation 1)"


def test_threads_may_change_and_read_at_once(index: lsr.Index) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            index.add({"id": f"new-{number}", "text": f"text number {number}"})
            assert index.get(f"new-{number}") is not None
            index.delete(f"new-{number}")
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert ids_of(index) == ["cats", "dogs", "trees"]


def test_a_loaded_encoder_serves_the_documents_that_come_later(here: Path) -> None:
    encoder = lsr.load_encoder("bm25", k1=1.2)
    with lsr.index(["Trees grow."], "my-index", encoder=encoder) as index:
        index.add(["Cats sleep."])
        assert index.stats().encoder["settings"]["k1"] == 1.2
    with pytest.raises(lsr.LsrError, match=r"k1|settings"):
        lsr.open("my-index", encoder=lsr.load_encoder("bm25"))
