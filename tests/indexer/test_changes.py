"""Documents added, replaced and deleted: what is found is what an index made anew of them would find."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import BadDocumentError, EncoderError, IndexLockedError, IndexMissingError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents, index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import add_corpus, add_documents, add_vectors, delete_documents, update_documents
from lsr.indexer.write import segment_builder as pending
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

WORDS = [f"word{i}" for i in range(120)]


def document(number: int, revision: int = 0) -> Document:
    """Return a text of few different words, so that there are many ties."""
    rng = np.random.default_rng([number, revision])
    return Document(f"d{number}", " ".join(rng.choice(WORDS, rng.integers(0, 20))), f"revision {revision}")


def documents(*numbers: int, revision: int = 0) -> list[Document]:
    return [document(number, revision) for number in numbers]


def answers(index: Path | StoredIndex, *, k: int = 15) -> list[Any]:
    """Return what 25 queries find, by every traversal, which must agree."""
    searcher = Searcher(index)
    rng = np.random.default_rng(7)
    found = []
    for _ in range(25):
        term_ids, weights = searcher.encode([" ".join(rng.choice(WORDS, 4))]).row(0)
        rankings = [searcher.engine.rank(term_ids, weights, k, traversal=name) for name in (None, *TRAVERSALS)]
        hits = [searcher.hits(ranking) for ranking in rankings]
        assert all(others == hits[0] for others in hits[1:])
        found.append(hits[0])
    return found


def anew(path: Path, some: Sequence[Document], encoder: str = "bm25") -> list[Any]:
    index_documents(some, path, load_encoder(encoder), overwrite=True)
    return answers(path)


def test_bm25_weighs_all_documents_anew_whatever_changes(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_documents(documents(*range(200)), path, load_encoder("bm25"))
    with IndexEditor(path) as editor:
        for some, change in (
            (documents(*range(200, 260)), editor.add),
            (documents(*range(30), 300, revision=1), editor.update),
        ):
            change(some, editor.encoder.encode_documents(some))
        editor.delete([f"d{i}" for i in range(100, 130)])
        changes = editor.commit()
    assert (changes.n_added, changes.n_replaced, changes.n_deleted) == (61, 30, 30)
    left = documents(*range(30, 100), *range(130, 260)) + documents(*range(30), 300, revision=1)
    expected = anew(tmp_path / "anew", left)
    assert answers(path) == expected and any(len(hits) == 15 for hits in expected)
    assert StoredIndex.open(path).manifest.statistics == StoredIndex.open(tmp_path / "anew").manifest.statistics
    assert StoredIndex.open(path).manifest.scale == StoredIndex.open(tmp_path / "anew").manifest.scale
    assert len(StoredIndex.open(path)) == len(left) and verify(path)[1] == []
    assert merge_index(path)[1] == 2
    assert answers(path) == expected and verify(path)[1] == [] and len(StoredIndex.open(path).segments) == 1


def whole(rows: Sequence[dict[str, float]], encoder: ReadyVectors) -> SparseBatch:
    return SparseBatch.from_rows([{encoder.term_id(t): w for t, w in row.items()} for row in rows], 100_000)


@pytest.mark.parametrize("seed", range(6))
def test_any_way_to_the_same_documents_gives_the_same_results(tmp_path: Path, seed: int, small: Any) -> None:
    """Random transactions and merges, against an index made anew of what is left, in the order of addition."""
    rng = np.random.default_rng(seed)
    path = tmp_path / "index"
    small.write(path, 60).close()
    rows = {f"doc_{i}": row for i, row in enumerate(small.rows(60))}
    for step in range(12):
        with IndexEditor(path, reorder=bool(step % 2)) as editor:
            for _ in range(int(rng.integers(1, 4))):
                names = [f"doc_{i}" for i in rng.choice(150, int(rng.integers(1, 25)), replace=False)]
                if rng.random() < 0.4:
                    editor.delete(names)
                    for name in names:
                        rows.pop(name, None)
                    continue
                new = {name: small.rows(1, int(rng.integers(9)))[0] for name in names}
                batch = [Document(name, f"text {step}") for name in names]
                assert isinstance(editor.encoder, ReadyVectors)
                editor.update(batch, whole(list(new.values()), editor.encoder))
                for name, row in new.items():
                    rows.pop(name, None)
                    rows[name] = row
            editor.commit()
        if rng.random() < 0.3:
            merge_index(path, only_due=bool(rng.integers(2)))
        assert verify(path)[1] == []
        assert len(StoredIndex.open(path)) == len(rows)
    encoder = ReadyVectors(StoredIndex.open(path).vocabulary)
    from lsr.indexer.write.writer import IndexWriter

    with IndexWriter(tmp_path / "anew", encoder) as writer:
        writer.add([Document(name, "") for name in rows], whole(list(rows.values()), encoder))
        writer.commit()
    expected, found = (ready_answers(StoredIndex.open(where)) for where in (tmp_path / "anew", path))
    assert found == expected
    merge_index(path)
    assert ready_answers(StoredIndex.open(path)) == expected


def ready_answers(index: StoredIndex) -> list[Any]:
    searcher = Searcher(index)
    rng = np.random.default_rng(3)
    found = []
    for k in (1, 3, 10, 40):
        for _ in range(10):
            term_ids = np.unique(rng.integers(0, 10, 3)).astype(np.int32)
            weights = rng.integers(1, 3, len(term_ids)).astype(np.float32)
            rankings = [searcher.engine.rank(term_ids, weights, k, traversal=name) for name in (None, *TRAVERSALS)]
            hits = [(searcher.doc_ids(ranking), ranking.scores.tolist()) for ranking in rankings]
            assert all(others == hits[0] for others in hits)
            found.append(hits[0])
    return found


@pytest.mark.parametrize("n_gone", [1, 2, 3, 9, 30])
def test_the_first_threshold_does_not_count_on_deleted_documents(tmp_path: Path, n_gone: int, small: Any) -> None:
    """The k-th largest impact is no lower bound any more once documents above it are gone."""
    path, encoder = tmp_path / "index", ReadyVectors()
    rows = [{"apple": 200.0}] * n_gone + [{"apple": 1.0 + i % 7, "fig": 1.0} for i in range(200)]
    from lsr.indexer.write.writer import IndexWriter

    with IndexWriter(path, encoder) as writer:
        writer.add([Document(str(i), "") for i in range(len(rows))], whole(rows, encoder))
        writer.commit()
    delete_documents([str(i) for i in range(n_gone)], path, merge=False)
    searcher = Searcher(path)
    best = sorted(range(n_gone, len(rows)), key=lambda i: (-rows[i]["apple"], i))
    for k in (1, 2, 3, 10, 100, 199):
        for traversal in (None, *TRAVERSALS):
            found = searcher.engine.rank(
                np.zeros(1, np.int32), np.ones(1, np.float32), k, traversal=traversal
            )  # fmt: skip
            assert searcher.doc_ids(found) == [str(i) for i in best[:k]], (k, traversal)


def test_nothing_is_seen_before_the_commit_and_nothing_at_all_without_one(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 30).path
    before, names = small.content(path), small.names(path)
    with IndexEditor(path) as editor:
        editor.add([Document("new", "")], whole([{"apple": 1.0}], editor.encoder))  # type: ignore[arg-type]
        editor.delete(["doc_3"])
        assert small.content(path) == before
    assert small.content(path) == before and small.names(path) == names


def test_changing_nothing_writes_nothing(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 30).path
    names = small.names(path)
    changes = delete_documents(["nobody", "no one"], path)
    assert changes.unknown == ("nobody", "no one") and changes.manifest.generation == 1
    with IndexEditor(path) as editor:
        assert editor.commit().manifest.generation == 1
    assert small.names(path) == names


def test_an_unknown_id_is_an_error_where_that_is_wanted(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 30).path
    with pytest.raises(LsrError, match=r"not in the index: nobody; nothing was deleted; leave out --strict"):
        delete_documents(["doc_1", "nobody"], path, strict=True)
    assert len(StoredIndex.open(path)) == 30
    assert delete_documents(["doc_1", "nobody", "doc_1"], path).unknown == ("nobody",)
    assert len(StoredIndex.open(path)) == 29


def test_an_id_that_is_there_is_not_added_again(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 30).path
    batch = [Document("new", ""), Document("doc_7", "")]
    with IndexEditor(path) as editor, pytest.raises(BadDocumentError, match="doc_id doc_7 is in the index already"):
        editor.add(batch, whole([{}, {}], ReadyVectors()))
    with IndexEditor(path) as editor:
        editor.delete(["doc_7"])
        editor.add(batch, whole([{}, {}], ReadyVectors()))
        editor.add([Document("new", "again")], whole([{}], ReadyVectors()))
        with pytest.raises(
            BadDocumentError, match="doc_id new is there twice: it is that of document 1 and of document 3"
        ):
            editor.commit()
    with IndexEditor(path) as editor:
        editor.delete(["doc_7"])
        editor.add(batch, whole([{}, {}], ReadyVectors()))
        editor.delete(["doc_8"])
        editor.add([Document("doc_9", "")], whole([{}], ReadyVectors()))
        with pytest.raises(BadDocumentError, match="doc_id doc_9 is in the index already; 'lsr update' replaces it"):
            editor.commit()


def test_within_a_transaction_what_comes_later_counts(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 10).path

    def one(editor: IndexEditor, name: str, text: str) -> Any:
        return [Document(name, text)], whole([{"apple": 1.0}], editor.encoder)  # type: ignore[arg-type]

    with IndexEditor(path) as editor:
        editor.update(*one(editor, "doc_1", "first"))
        editor.update(*one(editor, "doc_1", "second"))
        editor.add(*one(editor, "gone", ""))
        editor.delete(["gone", "doc_2", "doc_2"])
        editor.add(*one(editor, "doc_2", "back"))
        editor.update(*one(editor, "a", "1"))
        editor.delete(["a"])
        editor.update(*one(editor, "a", "2"))
        changes = editor.commit()
    assert (changes.n_added, changes.n_replaced, changes.n_deleted, changes.unknown) == (1, 2, 0, ("doc_2",))
    found = {}
    with StoredIndex.open(path) as index:
        assert len(index) == 11 and verify(path)[1] == []
        for segment in index.segments:
            for row in np.flatnonzero(segment.live_rows):
                found[segment.document(int(row)).doc_id] = segment.document(int(row)).text
    assert found == {f"doc_{i}": f"text {i}" for i in range(10)} | {"doc_1": "second", "doc_2": "back", "a": "2"}
    assert merge_index(path)[1] == 2
    assert [d.doc_id for d, _ in small.content(path)] == ["doc_0", *(f"doc_{i}" for i in range(3, 10)),
                                                          "doc_1", "doc_2", "a"]  # fmt: skip


def test_ids_that_only_share_a_hash_are_told_apart(tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.indexer.storage import segment
    from lsr.indexer.update import editor as changes
    from lsr.indexer.update import resolve

    def by_length(doc_ids: Any) -> Any:
        return np.array([len(doc_id) for doc_id in doc_ids], np.uint64)

    for module in (segment, pending, resolve, changes):
        monkeypatch.setattr(module, "hash_ids", by_length)
    index_documents(documents(*range(20)), tmp_path / "index", load_encoder("bm25"))
    update_documents(documents(3, 25, 12, revision=1), tmp_path / "index", merge=False)
    delete_documents(["d4", "d19", "d99"], tmp_path / "index", merge=False)
    left = [*(i for i in range(20) if i not in (3, 12, 4, 19)), 3, 25, 12]
    with StoredIndex.open(tmp_path / "index") as index:
        found = [segment.document(int(row)).doc_id for segment in index.segments
                 for row in np.flatnonzero(segment.live_rows)]  # fmt: skip
        assert found == [f"d{i}" for i in left]
        assert [segment.find(["d3", "d19", "d7"]) for segment in index.segments] == [[None, None, 7], [0, None, None]]


def test_all_documents_may_be_deleted_and_others_added(tmp_path: Path, small: Any) -> None:
    for encoder in ("vectors", "bm25"):
        path = tmp_path / encoder
        if encoder == "bm25":
            index_documents(documents(*range(5)), path, load_encoder("bm25"))
            delete_documents([f"d{i}" for i in range(5)], path)
        else:
            small.write(path, 5).close()
            delete_documents([f"doc_{i}" for i in range(5)], path)
        with StoredIndex.open(path) as index:
            assert len(index) == len(index.segments) == 0 and verify(path)[1] == []
            if encoder == "bm25":
                assert len(Searcher(index).search("word1")) == 0
    add_documents(documents(1, 2), tmp_path / "bm25")
    assert answers(tmp_path / "bm25") == anew(tmp_path / "anew", documents(1, 2))
    with IndexEditor(tmp_path / "vectors") as editor:
        editor.add([Document("x", "")], whole([{"apple": 0.3}], editor.encoder))  # type: ignore[arg-type]
        assert editor.commit().manifest.scale == pytest.approx(0.3 * 1.1 / 255)


def test_the_scale_stays_and_larger_weights_are_clipped_and_counted(
    tmp_path: Path, vectors_file: Callable[..., Path]
) -> None:
    index_vectors([vectors_file({"id": ["a"], "terms": [["x"]], "weights": [[1.7]]})], tmp_path / "index")
    more = vectors_file(
        {"id": ["b", "c"], "terms": [["x"], ["x", "y"]], "weights": [[1.8], [17.5, 99.0]]}, "more.parquet"
    )
    changes, _ = add_vectors([more], tmp_path / "index")
    assert changes.manifest.scale == pytest.approx(1.7 * 1.1 / 255) and changes.manifest.n_clipped == 2


def test_fractions_do_not_fit_an_index_of_whole_weights(tmp_path: Path, vectors_file: Callable[..., Path]) -> None:
    index_vectors([vectors_file({"id": ["a"], "terms": [["x"]], "weights": [[17]]})], tmp_path / "index")
    more = vectors_file({"id": ["b"], "terms": [["x"]], "weights": [[0.5]]}, "more.parquet")
    with pytest.raises(UsageError, match=r"holds whole weights .its scale is 1., but new ones are not whole"):
        add_vectors([more], tmp_path / "index")
    assert len(StoredIndex.open(tmp_path / "index")) == 1


def test_another_encoder_is_refused(tmp_path: Path, small: Any) -> None:
    index_documents(documents(1, 2), tmp_path / "index", load_encoder("bm25"))
    with pytest.raises(EncoderError, match="the index was built with encoder 'bm25', settings"):
        add_documents(documents(3), tmp_path / "index", encoder=load_encoder("bm25", k1=2.0))
    with pytest.raises(EncoderError, match="numbers its terms otherwise"):
        add_documents(documents(3), tmp_path / "index", encoder=load_encoder("bm25", terms=["other"]))
    with pytest.raises(UsageError, match="add texts, not vectors"):
        add_vectors([tmp_path / "none.parquet"], tmp_path / "index")
    path = small.write(tmp_path / "vectors").path
    with pytest.raises(UsageError, match="takes vectors, not text"):
        add_documents(documents(3), path)
    with pytest.raises(EncoderError):
        add_documents(documents(3), path, encoder=load_encoder("bm25"))


def test_where_no_index_is_none_is_made(tmp_path: Path) -> None:
    for change in (
        lambda: add_documents(documents(1), tmp_path / "index"),
        lambda: delete_documents(["x"], tmp_path / "index"),
        lambda: merge_index(tmp_path / "index"),
    ):
        with pytest.raises(IndexMissingError):
            change()
    assert os.listdir(tmp_path) == []


def test_one_writer_at_a_time(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 10).path
    with IndexEditor(path):
        for other in (lambda: IndexEditor(path), lambda: merge_index(path), lambda: small.write(path, overwrite=True)):
            with pytest.raises(IndexLockedError, match=f"is being written to by process {os.getpid()} on"):
                other()
    assert merge_index(path) == (StoredIndex.open(path).manifest, 0)


def test_a_corpus_is_added_and_updated(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "a.txt").write_text("apples and pears")
    index_documents([Document("z", "zebra")], notes / ".lsr", load_encoder("bm25"))
    changes, summary = add_corpus([notes], notes / ".lsr")
    assert changes.n_added == 1 and summary[0] == "read 1 document from 1 file"
    with pytest.raises(BadDocumentError, match=r"doc_id a\.txt is in the index already"):
        add_corpus([notes], notes / ".lsr")
    (notes / "a.txt").write_text("only cherries")
    (notes / "b.txt").write_text("bananas")
    changes, _ = add_corpus([notes], notes / ".lsr", replacing=True)
    assert (changes.n_added, changes.n_replaced) == (1, 1)
    searcher = Searcher(notes / ".lsr")
    assert [hit.doc_id for hit in searcher.search("cherries")] == ["a.txt"] and len(searcher.search("pears")) == 0
    (tmp_path / "empty").mkdir()
    with pytest.raises(LsrError):
        add_corpus([tmp_path / "empty"], notes / ".lsr")


def test_a_searcher_goes_on_in_its_generation_until_it_is_refreshed(tmp_path: Path) -> None:
    path = tmp_path / "index"
    index_documents(documents(*range(80)), path, load_encoder("bm25"))
    searcher = Searcher(path)
    before = answers(searcher.index)
    assert searcher.refresh() is searcher
    add_documents(documents(*range(80, 120)), path)
    delete_documents(["d3"], path)
    assert answers(searcher.index) == before
    newer = searcher.refresh()
    assert newer is not searcher and len(newer.index) == 119 and len(searcher.index) == 80
    assert answers(newer.index) == anew(tmp_path / "anew", documents(*range(3), *range(4, 120)))
    merge_index(path)
    assert answers(newer.refresh().index) == answers(newer.index)


def test_a_refreshed_index_shares_what_has_not_changed(tmp_path: Path, small: Any) -> None:
    path = small.write(tmp_path / "index", 50).path
    old = StoredIndex.open(path)
    assert len(old.vocabulary) == 10  # so that it is loaded
    with IndexEditor(path) as editor:
        editor.add([Document("x", "")], whole([{"apple": 1.0}], editor.encoder))  # type: ignore[arg-type]
        editor.commit()
    new = old.refresh()
    assert new.segments[0] is old.segments[0] and len(new.segments) == 2 and new.vocabulary is old.vocabulary
    delete_documents(["doc_1"], path)
    newest = new.refresh()
    assert newest.segments[0] is not old.segments[0] and newest.segments[1] is new.segments[1]
    assert [len(index) for index in (old, new, newest)] == [50, 51, 50]
