"""Documents pruned by mass: what is kept, what the manifest says, and that later documents are pruned alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr
from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, UsageError
from lsr.eval.systems.indexed_system import of_documents
from lsr.indexer.pipeline import index_documents
from lsr.indexer.pruning import Pruning, pruning_together
from lsr.indexer.shards.manifest import HASH, RANGE, Partition
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import manifest_bytes, parse_manifest
from lsr.indexer.transfer.check import verify
from lsr.indexer.update.open_editor import open_editor
from lsr.indexer.update.smooth import smooth_index
from lsr.indexer.write import prune
from lsr.indexer.write.prune import MassPruner, prune_by_mass
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

TERMS = [f"t{i}" for i in range(30)]
N_DOCS = 40
MASS = 0.7


class Drawn:
    """An encoder of documents whose vectors their names alone decide."""

    terms = TERMS
    corpus_weighting = None
    description: Mapping[str, Any] = {
        "kind": "drawn", "name": "drawn", "revision": "1", "query_side": "none", "settings": {},
        "needs_corpus_statistics": False,
    }  # fmt: skip

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        return drawn([int(document.doc_id[1:]) for document in documents])

    def save_query_side(self, folder: Path) -> None:
        """There is none."""


def drawn(numbers: Sequence[int]) -> SparseBatch:
    rows = []
    for number in numbers:
        chance = np.random.default_rng(number)
        chosen = chance.choice(len(TERMS), 9, replace=False)
        rows.append(dict(zip(chosen.tolist(), chance.integers(1, 100, 9).astype(float).tolist(), strict=True)))
    return SparseBatch.from_rows(rows, len(TERMS))


def named(numbers: Sequence[int]) -> list[Document]:
    return [Document(f"d{number}", f"text {number}") for number in numbers]


def make(path: Path, **options: Any) -> Path:
    index_documents(named(range(N_DOCS)), path, Drawn(), **options)  # type: ignore[arg-type]
    return path


def stored(path: Path) -> dict[str, dict[int, float]]:
    """Return each document's terms as the index has them."""
    with StoredIndex.open(path) as index:
        search = Searcher(index)
        positions = np.arange(index.manifest.n_positions, dtype=np.int64)
        rows = search.impact_rows(positions)
        return {
            doc_id: dict(zip(terms.tolist(), impacts.tolist(), strict=True))
            for doc_id, (terms, impacts) in zip(search.doc_ids_at(positions), rows, strict=True)
        }


def expected(numbers: Sequence[int]) -> dict[str, dict[int, float]]:
    pruned = prune_by_mass(drawn(numbers), MASS)
    rows = [pruned.row(i) for i in range(len(pruned))]
    return {
        f"d{number}": dict(zip(terms.tolist(), weights.tolist(), strict=True))
        for number, (terms, weights) in zip(numbers, rows, strict=True)
    }


def plainly(row: Mapping[int, float], mass: float, first_word: int | None) -> set[int]:
    """Return the terms that are kept. Sums of the weights are exact; their share is rounded as there."""
    words = {term for term in row if first_word is not None and term >= first_word}
    rest = {term: weight for term, weight in row.items() if term not in words}
    held, least = 0.0, None
    for weight in sorted(rest.values(), reverse=True):
        if held < mass * sum(rest.values()):
            least = weight
        held += weight
    return words | {term for term, weight in rest.items() if least is not None and weight >= least}


ROW = st.dictionaries(st.integers(0, 11), st.integers(1, 40).map(lambda n: n / 8), max_size=12)


@settings(max_examples=300)
@given(st.lists(ROW, max_size=6), st.sampled_from([0.1, 0.5, 0.75, 0.9, 0.99]), st.sampled_from([None, 0, 4, 12]))
def test_the_fewest_heaviest_terms_that_hold_the_mass_are_kept(
    rows: list[dict[int, float]], mass: float, first_word: int | None
) -> None:
    batch = SparseBatch.from_rows(rows, 12)
    before = batch.weights.copy()
    pruned = prune_by_mass(batch, mass, first_word)
    pruned.check()
    assert np.array_equal(batch.weights, before)
    for number, row in enumerate(rows):
        terms, weights = pruned.row(number)
        assert set(terms.tolist()) == plainly(row, mass, first_word)
        assert weights.tolist() == [row[term] for term in terms.tolist()]


def test_an_index_holds_what_is_kept_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make(tmp_path / "index", prune=MASS)
    assert stored(path) == expected(range(N_DOCS))
    with StoredIndex.open(path) as index:
        pruning = index.manifest.pruning
        assert pruning is not None and pruning.mass == MASS
        assert pruning.n_dropped == drawn(range(N_DOCS)).nnz - index.manifest.n_postings > 0
        assert pruning.n_sampled == N_DOCS and pruning.recall is not None and 0.3 < pruning.recall < 1
    verify(path)
    assert main(["stats", "--index", str(path)]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "pruned to 0.7 of a document's mass" in printed and f"{pruning.recall:.3f} among 40 documents" in printed
    assert main(["stats", "--index", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["pruning"] == pruning.to_json()


def test_documents_added_later_are_pruned_alike(tmp_path: Path) -> None:
    path = make(tmp_path / "index", prune=MASS)
    with StoredIndex.open(path) as index:
        before = index.manifest.pruning
    added = range(N_DOCS, N_DOCS + 10)
    with open_editor(path, encoder=Drawn()) as editor:  # type: ignore[arg-type]
        editor.add(named(added), drawn(added))
        editor.delete(["d3"])
        editor.commit()
    found = stored(path)
    assert {name: row for name, row in found.items() if name != "d3"} == {
        name: row for name, row in expected(range(N_DOCS + 10)).items() if name != "d3"
    }
    with StoredIndex.open(path) as index:
        pruning = index.manifest.pruning
    assert before is not None and pruning is not None
    dropped = drawn(added).nnz - sum(map(len, expected(added).values()))
    assert pruning == replace(before, n_dropped=before.n_dropped + dropped)


@pytest.mark.parametrize("by", [RANGE, HASH])
def test_a_set_of_shards_is_pruned_once(tmp_path: Path, by: str) -> None:
    path = make(tmp_path / "set", prune=MASS, shards=Partition(3, by))
    assert stored(path) == expected(range(N_DOCS))
    with StoredIndex.open(path) as index:
        pruning = index.manifest.pruning
        assert pruning is not None
        assert pruning.n_dropped == drawn(range(N_DOCS)).nnz - index.manifest.n_postings
        assert pruning.n_sampled == N_DOCS


def test_an_evaluation_says_so(tmp_path: Path) -> None:
    with StoredIndex.open(make(tmp_path / "index", prune=MASS)) as index:
        told = of_documents(index.manifest)
    assert told["pruning"]["mass"] == MASS and told["pruning"]["recall"] < 1
    with StoredIndex.open(make(tmp_path / "whole")) as index:
        assert of_documents(index.manifest) == {}


def test_without_pruning_the_manifest_has_no_entry(tmp_path: Path) -> None:
    with StoredIndex.open(make(tmp_path / "index")) as index:
        assert index.manifest.pruning is None
        assert b'"pruning"' not in manifest_bytes(index.manifest)


@pytest.mark.parametrize("mass", [0, 1, -0.5, 1.5, float("nan"), True, "0.9"])
def test_a_share_outside_its_range_is_refused(tmp_path: Path, mass: Any) -> None:
    for shards in (None, Partition(2, RANGE)):
        with pytest.raises(UsageError, match="must be above 0 and below 1"):
            make(tmp_path / "index", prune=mass, shards=shards)
    with pytest.raises(UsageError, match="must be above 0 and below 1"):
        lsr.index(["a text"], tmp_path / "index", encoder="fast", prune=mass)
    assert not (tmp_path / "index").exists()


def test_what_cannot_be_pruned_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="bm25 weighs words by statistics of the corpus"):
        index_documents(named(range(3)), tmp_path / "index", load_encoder("bm25"), prune=0.9)
    with pytest.raises(UsageError, match="leave out one"):
        lsr.index(["a text"], tmp_path / "index", encoder="fast", dense="joint", smooth=True, prune=0.9)
    text = tmp_path / "a.txt"
    text.write_text("a text")
    index = ["index", str(text), "--index", str(tmp_path / "index")]
    assert main([*index, "--prune", "1"]) == 2
    assert "--prune is 1; it must be above 0 and below 1" in capsys.readouterr().err
    assert main(["index", "--index", str(tmp_path / "index"), "--prune", "0.9", "--dense", "x"]) == 2
    assert "--prune leaves terms out of new documents" in capsys.readouterr().err


def test_a_pruned_index_is_not_smoothed(tmp_path: Path) -> None:
    path = make(tmp_path / "index", prune=MASS)
    with pytest.raises(UsageError, match="is pruned, and smoothing adds terms"):
        smooth_index(path)


def test_the_sample_stays_small_and_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "SAMPLED", 8)
    pruner = MassPruner(MASS)
    for first in range(0, 100, 7):
        pruner.prune(drawn(range(first, min(first + 7, 100))))
    record = pruner.record()
    assert 8 <= record.n_sampled < 16 and record.n_sampled == len(range(0, 100, 8))
    whole = drawn(range(100))
    assert record.n_dropped == whole.nnz - prune_by_mass(whole, MASS).nnz


def test_nothing_pruned_has_a_recall_of_one_and_no_documents_have_none() -> None:
    pruner = MassPruner(1 - 1e-9)
    pruner.prune(drawn(range(30)))
    assert pruner.record() == Pruning(1 - 1e-9, 0, 1.0, 30)
    assert MassPruner(0.5).record() == Pruning(0.5)
    empty = MassPruner(0.5)
    empty.prune(SparseBatch.from_rows([{}, {}], 4))
    assert empty.record() == Pruning(0.5, 0, None, 2)


def test_records_of_shards_are_put_together() -> None:
    assert pruning_together([None, None]) is None
    shards = [Pruning(0.9, 10, 0.8, 100), None, Pruning(0.9, 5, 1.0, 300), Pruning(0.9, 1, None, 0)]
    assert pruning_together(shards) == Pruning(0.9, 16, 0.95, 400)


@pytest.mark.parametrize(
    "entry",
    [
        {"mass": 1.5, "n_dropped": 0, "recall": None, "n_sampled": 0},
        {"mass": True, "n_dropped": 0, "recall": None, "n_sampled": 0},
        {"mass": 0.5, "n_dropped": -1, "recall": None, "n_sampled": 0},
        {"mass": 0.5, "n_dropped": 0, "recall": 2.0, "n_sampled": 0},
        {"mass": 0.5, "n_dropped": 0, "recall": None},
        7,
    ],
)
def test_a_forged_record_is_damage(tmp_path: Path, entry: Any) -> None:
    with StoredIndex.open(make(tmp_path / "index", prune=MASS)) as index:
        manifest = index.manifest
    from lsr.indexer.storage.manifest import checked_bytes

    content = json.loads(manifest_bytes(manifest))
    del content["crc32"]
    data = checked_bytes(content | {"pruning": entry})
    with pytest.raises(IndexDamagedError, match="missing or malformed"):
        parse_manifest(data, tmp_path / "manifest")
