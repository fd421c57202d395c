"""Random operations on an index, beside a plain model in memory: every step leaves both with the same answers."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.transfer.archive import export_index, import_index
from lsr.indexer.transfer.check import verify
from lsr.indexer.transfer.ready_vectors import ReadyVectors
from lsr.indexer.update.editor import IndexEditor
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.update import delete_documents
from lsr.indexer.write.writer import IndexWriter
from lsr.query.engine.planner import TRAVERSALS
from lsr.query.filters.filter import DocumentFilter
from lsr.query.matches import find_matches
from lsr.query.searcher import Searcher
from lsr.query.sparse_search import Scope
from lsr.types import Document, SparseBatch

NAMES = [f"doc{i}" for i in range(40)]
TERMS = [f"t{i}" for i in range(8)]
ROWS = st.dictionaries(st.sampled_from(TERMS), st.integers(1, 4), max_size=4)
BATCHES = st.dictionaries(st.sampled_from(NAMES), ROWS, min_size=1, max_size=12)
QUERIES = st.dictionaries(st.sampled_from(TERMS), st.integers(1, 3), min_size=1, max_size=4)

Row = dict[str, int]


class Living(RuleBasedStateMachine):
    """rows: the model, weights by doc_id in the order of addition; texts: what each document says."""

    tally: Callable[..., None]

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="lsr-living-"))
        self.path = self.folder / "index"
        self.rows: dict[str, Row] = {}
        self.texts: dict[str, str] = {}
        self.held: list[tuple[Searcher, dict[str, Row]]] = []
        self.step = 0

    def teardown(self) -> None:
        for searcher, _ in self.held:
            searcher.index.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @initialize(batch=BATCHES)
    def make(self, batch: dict[str, Row]) -> None:
        encoder = ReadyVectors()
        with IndexWriter(self.path, encoder) as writer:
            writer.add(*self.encoded(encoder, batch))
            writer.commit()
        self.put(batch)
        self.searcher = Searcher(self.path)

    def encoded(self, encoder: ReadyVectors, batch: dict[str, Row]) -> tuple[list[Document], SparseBatch]:
        rows = [{encoder.term_id(term): float(weight) for term, weight in row.items()} for row in batch.values()]
        documents = [Document(name, f"text {self.step} of {name}", "", {"step": self.step}) for name in batch]
        return documents, SparseBatch.from_rows(rows, len(TERMS))

    def put(self, batch: dict[str, Row]) -> None:
        for name, row in batch.items():
            self.rows.pop(name, None)
            self.rows[name] = row
            self.texts[name] = f"text {self.step} of {name}"

    def editor_of(self) -> IndexEditor:
        self.step += 1
        return IndexEditor(self.path, reorder=bool(self.step % 2))

    @rule(batch=BATCHES)
    def add(self, batch: dict[str, Row]) -> None:
        with self.editor_of() as editor:
            assert isinstance(editor.encoder, ReadyVectors)
            if not batch.keys() & self.rows.keys():
                editor.add(*self.encoded(editor.encoder, batch))
                assert editor.commit().n_added == len(batch)
                self.put(batch)
                return
            with pytest.raises(BadDocumentError, match="is in the index already"):
                editor.add(*self.encoded(editor.encoder, batch))

    @rule(first=BATCHES, deleted=st.sets(st.sampled_from(NAMES), max_size=9), second=BATCHES)
    def change(self, first: dict[str, Row], deleted: set[str], second: dict[str, Row]) -> None:
        with self.editor_of() as editor:
            assert isinstance(editor.encoder, ReadyVectors)
            editor.update(*self.encoded(editor.encoder, first))
            editor.delete(sorted(deleted))
            editor.update(*self.encoded(editor.encoder, second))
            changes = editor.commit()
        assert set(changes.unknown) == deleted - self.rows.keys() - first.keys()
        self.put(first)
        for name in deleted:
            self.rows.pop(name, None)
        self.put(second)

    @rule(deleted=st.sets(st.sampled_from(NAMES), min_size=1, max_size=25), strict=st.booleans())
    def delete(self, deleted: set[str], strict: bool) -> None:
        if strict and deleted - self.rows.keys():
            with pytest.raises(LsrError, match="nothing was deleted"):
                delete_documents(sorted(deleted), self.path, strict=True)
            return
        assert delete_documents(sorted(deleted), self.path).n_deleted == len(deleted & self.rows.keys())
        for name in deleted:
            self.rows.pop(name, None)

    @rule(batch=BATCHES)
    def give_up(self, batch: dict[str, Row]) -> None:
        with self.editor_of() as editor:
            assert isinstance(editor.encoder, ReadyVectors)
            editor.update(*self.encoded(editor.encoder, batch))
            editor.delete(NAMES[:5])

    @rule(only_due=st.booleans())
    def merge(self, only_due: bool) -> None:
        manifest, _ = merge_index(self.path, only_due=only_due)
        if not only_due:
            assert len(manifest.segments) == min(1, len(self.rows)) and manifest.n_positions == len(self.rows)

    @rule()
    def move(self) -> None:
        export_index(self.path, self.folder / "moved.tar", overwrite=True)
        import_index(self.folder / "moved.tar", self.path, overwrite=True)

    @rule()
    def hold(self) -> None:
        if len(self.held) < 3:
            self.held.append((Searcher(self.path), dict(self.rows)))

    @rule()
    def look_back(self) -> None:
        for searcher, rows in self.held:
            self.agree(searcher, rows, {TERMS[0]: 1, TERMS[1]: 2}, 50)

    @rule(query=QUERIES, k=st.sampled_from([1, 3, 10, 100]))
    def search(self, query: Row, k: int) -> None:
        self.searcher = self.searcher.refresh()
        self.agree(self.searcher, self.rows, query, k)

    @rule(query=QUERIES, names=st.sets(st.sampled_from(NAMES)))
    def search_some(self, query: Row, names: set[str]) -> None:
        self.searcher = self.searcher.refresh()
        allowed = DocumentFilter.from_doc_ids(self.searcher.index, sorted(names))
        assert allowed.n_allowed == len(names & self.rows.keys())
        rows = {name: row for name, row in self.rows.items() if name in names}
        self.agree(self.searcher, rows, query, 10, allowed=allowed)

    @rule(first=st.integers(0, 50))
    def search_by_field(self, first: int) -> None:
        self.searcher = self.searcher.refresh()
        if not self.rows:
            return
        allowed = self.searcher.filter(f"step >= {first}")
        late = {name: row for name, row in self.rows.items() if int(self.texts[name].split()[1]) >= first}
        self.agree(self.searcher, late, {TERMS[2]: 1, TERMS[3]: 1}, 10, allowed=allowed)

    @rule()
    def check(self) -> None:
        assert verify(self.path)[1] == []

    @invariant()
    def documents_are_those_of_the_model(self) -> None:
        if not hasattr(self, "searcher"):
            return
        self.searcher = self.searcher.refresh()
        index = self.searcher.index
        assert len(index) == len(self.rows)
        assert [(d.doc_id, d.text) for d in index.documents()] == [(name, self.texts[name]) for name in self.rows]

    def agree(self, searcher: Searcher, rows: dict[str, Row], query: Row, k: int, **options: Any) -> None:
        """Compare what a search finds with what scoring every document of the model gives."""
        lookup = searcher.index.vocabulary.lookup
        known = sorted((i, weight) for term, weight in query.items() if (i := lookup(term)) is not None)
        term_ids = np.array([i for i, _ in known], np.int32)
        weights = np.array([weight for _, weight in known], np.float32)
        scores = {name: sum(weight * row.get(term, 0) for term, weight in query.items()) for name, row in rows.items()}
        best = sorted((name for name in rows if scores[name]), key=lambda name: -scores[name])[:k]  # a stable sort
        for traversal in (None, *TRAVERSALS):
            found = searcher.engine.rank(term_ids, weights, k, traversal=traversal, **options)
            self.tally("rankings beside an oracle")
            assert searcher.doc_ids(found) == best, traversal
            assert found.scores.tolist() == [float(scores[name]) for name in best]
        self.agree_on_all(searcher, (term_ids, weights), scores, **options)

    def agree_on_all(self, searcher: Searcher, vector: Any, scores: dict[str, float], **options: Any) -> None:
        """Compare the matches of a query, sorted by a field and counted by it, with those of the model."""
        matches = find_matches(searcher, vector, Scope(**options))
        names = [name for name, score in scores.items() if score]
        assert searcher.doc_ids_at(matches.positions) == names
        if not names:
            return
        step = {document.doc_id: document.fields["step"] for document in searcher.index.documents()}
        ordered = sorted(names, key=lambda name: (-step[name], -scores[name]))
        assert searcher.doc_ids(matches.sorted_by("-step", 50)) == ordered[:50]
        counts = Counter(step[name] for name in names)
        expected = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:100]
        assert [(found.value, found.count) for found in matches.facet("step")] == expected


def run(examples: int, steps: int, tally: Callable[..., None]) -> None:
    Living.tally = staticmethod(tally)
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Living,
        settings=settings(
            max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip


def test_an_index_does_what_its_model_does(tally: Callable[..., None]) -> None:
    run(examples=4, steps=15, tally=tally)


@pytest.mark.large
@pytest.mark.timeout(7200)
def test_an_index_does_what_its_model_does_for_10_000_steps(tally: Callable[..., None]) -> None:
    run(examples=200, steps=50, tally=tally)
