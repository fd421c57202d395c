"""Documents smoothed over their neighbours: vectors as a plain version mixes them, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lsr
from lsr.cli.main import main
from lsr.encoders.registry import load_encoder
from lsr.errors import IndexDamagedError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.manifest import manifest_bytes, parse_manifest
from lsr.indexer.transfer.check import verify
from lsr.indexer.update import smooth
from lsr.indexer.update.reweigh import stored_rows
from lsr.indexer.update.smooth import Rows, Smoothing, smooth_index, smooth_rows
from lsr.indexer.update.update import delete_documents
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.types import Document, SparseBatch

TERMS = [f"t{i}" for i in range(40)]
N_DOCS = 30


class Drawn:
    """An encoder of documents whose vectors their names alone decide."""

    terms = TERMS
    corpus_weighting = None
    description: Mapping[str, Any] = {
        "kind": "drawn", "name": "drawn", "revision": "1", "query_side": "none", "settings": {},
        "needs_corpus_statistics": False,
    }  # fmt: skip

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        rows = []
        for document in documents:
            chance = np.random.default_rng(int(document.doc_id[1:]))
            chosen = chance.choice(len(TERMS), 9, replace=False)
            rows.append(dict(zip(chosen.tolist(), chance.integers(1, 100, 9).astype(float).tolist(), strict=True)))
        return SparseBatch.from_rows(rows, len(TERMS))

    def save_query_side(self, folder: Path) -> None:
        """There is none."""


class Near:
    """A dense encoder: documents with near numbers are near."""

    dimension = 8
    description: Mapping[str, Any] = {"kind": "near", "name": "near", "revision": "1", "settings": {"normalise": True}}

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        angles = np.array([int(document.doc_id[1:]) for document in documents]) / N_DOCS
        rows = np.stack([np.cos(angles * n) for n in range(1, self.dimension + 1)], axis=1)
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        raise NotImplementedError


DOCUMENTS = [Document(f"d{n}", f"Text of document {n}.", f"Title {n}") for n in range(N_DOCS)]


def mixed_plainly(
    rows: Sequence[Mapping[int, float]], dense: npt.NDArray[np.float32], live: Sequence[bool], settings: Smoothing
) -> list[dict[int, float]]:
    """Return smoothed rows, as the sentences of the documentation say it."""
    units = [row / max(float(np.linalg.norm(row)), 1e-30) for row in dense.astype(np.float64)]
    found = []
    for n, own in enumerate(rows):
        cosines = {m: float(units[n] @ units[m]) for m in range(len(rows)) if m != n and live[m] and live[n]}
        nearest = sorted((m for m in cosines if cosines[m] > 0), key=lambda m: -cosines[m])[: settings.nearest]
        total = sum(cosines[m] for m in nearest)
        sums = dict(own)
        for m in nearest:
            for term, impact in rows[m].items():
                share = settings.share / (1 - settings.share) * cosines[m] / total
                sums[term] = sums.get(term, 0.0) + share * impact
        whole = {term: min(round(value), 255) for term, value in sums.items()}
        largest = sorted((term for term in whole if whole[term] >= 1), key=lambda term: (-whole[term], term))
        found.append({term: float(whole[term]) for term in largest[: settings.terms]})
    return found


def csr(rows: Sequence[Mapping[int, float]]) -> Rows:
    ordered = [sorted(row.items()) for row in rows]
    flat = [pair for row in ordered for pair in row]
    return Rows(
        np.cumsum([0, *map(len, ordered)]),
        np.array([term for term, _ in flat], np.uint32),
        np.array([impact for _, impact in flat], np.float32),
    )


def as_dicts(rows: Rows) -> list[dict[int, float]]:
    return [
        dict(zip(rows.term_ids[a:b].tolist(), rows.impacts[a:b].tolist(), strict=True))
        for a, b in zip(rows.indptr[:-1], rows.indptr[1:], strict=True)
    ]


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.dictionaries(st.integers(0, 9), st.integers(1, 255).map(float), max_size=6), min_size=1, max_size=9
    ),
    smoothing=st.builds(Smoothing, st.sampled_from([0.1, 0.3, 0.5]), st.integers(1, 4), st.integers(1, 8)),
    seed=st.integers(0, 99),
    dead=st.sets(st.integers(0, 8), max_size=2),
    cells=st.sampled_from([8, 1 << 24]),
)  # fmt: skip
def test_rows_are_mixed_as_a_plain_version_mixes_them(
    rows: list[dict[int, float]], smoothing: Smoothing, seed: int, dead: set[int], cells: int
) -> None:
    dense = np.random.default_rng(seed).normal(size=(len(rows), 4)).astype(np.float32)
    live = [n not in dead for n in range(len(rows))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smooth, "CELLS", cells)
        found = as_dicts(smooth_rows(csr(rows), dense, np.array(live), smoothing))
    due = mixed_plainly(rows, dense, live, smoothing)
    for one, other in zip(found, due, strict=True):
        # A sum at half a step may be rounded to either side, and so may come before or behind the last that is kept.
        assert len(one) == len(other)
        assert sorted(one.values()) == pytest.approx(sorted(other.values()), abs=1.0)
        assert all(abs(one[term] - other[term]) <= 1 for term in one.keys() & other.keys())
    assert all(list(row) == sorted(row) for row in found), "term ids ascend"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "index"
    index_documents(DOCUMENTS[:20], path, Drawn(), dense=Near(), threads=1)  # type: ignore[arg-type]
    return path


def vectors_of(path: Path) -> dict[str, dict[int, float]]:
    """Return the impacts of all documents that are there, by doc_id and term id."""
    found = {}
    with StoredIndex.open(path) as index:
        for segment in index.segments:
            indptr, local, impacts = stored_rows(segment)
            rows = as_dicts(Rows(indptr, segment.terms[local], impacts.astype(np.float32)))
            for row, number in zip(rows, segment.arrays["insertion"].tolist(), strict=True):
                if segment.live_rows[number]:
                    found[segment.document(number).doc_id] = row
    return found


def test_an_index_is_smoothed_in_one_generation(path: Path) -> None:
    before = vectors_of(path)
    delete_documents(["d3"], path)
    settings = Smoothing(share=0.4, nearest=3, terms=12)
    manifest = smooth_index(path, settings)
    assert manifest.generation == 3 and manifest.smoothing == {"share": 0.4, "nearest": 3, "terms": 12, "n_docs": 19}
    names = [f"d{n}" for n in range(20)]
    dense = Near().encode_dense_documents(DOCUMENTS[:20]).astype(np.float16).astype(np.float32)
    due = mixed_plainly([before[name] for name in names], dense, [name != "d3" for name in names], settings)
    after = vectors_of(path)
    assert set(after) == set(names) - {"d3"}
    for name, row in zip(names, due, strict=True):
        if name != "d3":
            kept = {term: value for term, value in after[name].items() if term in row}
            assert len(after[name]) == len(row) and len(kept) >= len(row) - 1
            assert all(abs(value - row[term]) <= 1 for term, value in kept.items())
    assert all("encoder kind 'drawn'" in problem for problem in verify(path)[1]), "no other problem"
    with StoredIndex.open(path) as index:
        assert [document.title for document in index.documents()] == [f"Title {n}" for n in range(20) if n != 3]


def test_a_smoothed_index_says_so(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smooth_index(path)
    with StoredIndex.open(path) as index:
        again = parse_manifest(manifest_bytes(index.manifest), path / "manifest-00000002.json")
        assert again == index.manifest
    with pytest.raises(UsageError, match="is smoothed already"):
        smooth_index(path)
    assert main(["stats", "--index", str(path)]) == 0
    assert "share 0.3, nearest 8, terms 130, n_docs 20" in capsys.readouterr().out


def test_words_stay_as_they_are(tmp_path: Path) -> None:
    """Of the bundled model: words say what a text holds, and are what `+word` looks for."""
    texts = ["Cats sleep all day.", "A cat sleeps in the sun.", "Dogs guard the house.", "Stars are far away."]
    documents = [Document(f"d{n}", text) for n, text in enumerate(texts)]
    encoder, path = load_encoder("default"), tmp_path / "index"
    index_documents(documents, path, encoder, dense=encoder, threads=1)  # type: ignore[arg-type]
    with StoredIndex.open(path) as index:
        first_word = index.manifest.encoder["settings"]["words"]["n_model_terms"]
    before, manifest, after = vectors_of(path), smooth_index(path, Smoothing(nearest=2)), vectors_of(path)
    assert manifest.generation == 2
    for name, row in before.items():
        words = {term: weight for term, weight in row.items() if term >= first_word}
        assert words and words == {term: weight for term, weight in after[name].items() if term >= first_word}
        assert {term for term in row if term < first_word} < {term for term in after[name] if term < first_word}
    with StoredIndex.open(path) as index:
        found = [hit.doc_id for hit in Searcher(index).search(["+dogs"], SearchOptions())[0]]
        assert found == ["d2"]


def test_what_can_not_be_smoothed_is_refused(tmp_path: Path, path: Path) -> None:
    plain, words, divided, empty = (tmp_path / name for name in ("plain", "words", "set", "empty"))
    index_documents(DOCUMENTS, plain, Drawn(), threads=1)  # type: ignore[arg-type]
    index_documents(DOCUMENTS, words, load_encoder("bm25"), dense=Near(), threads=1)
    index_documents(DOCUMENTS, divided, Drawn(), dense=Near(), shards=Partition(2), threads=1)  # type: ignore[arg-type]
    for where, message in (
        (plain, "no dense vectors"), (words, "follow from its documents"), (divided, "is a set of shards"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=message):
            smooth_index(where)
    index_documents(DOCUMENTS[:1], empty, Drawn(), dense=Near(), threads=1)  # type: ignore[arg-type]
    delete_documents(["d0"], empty)
    with pytest.raises(LsrError, match="no document to smooth"):
        smooth_index(empty)
    for wrong in ({"share": 0}, {"share": 1.0}, {"nearest": 0}, {"terms": 0}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            Smoothing(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"share": "x"}, {"share": 2}, {"nearest": 1.5}, {"n_docs": -1}, {"terms": None}])
def test_a_malformed_record_is_damage(path: Path, wrong: dict[str, Any]) -> None:
    from dataclasses import replace

    manifest = smooth_index(path)
    assert manifest.smoothing is not None
    data = manifest_bytes(replace(manifest, smoothing={**manifest.smoothing, **wrong}))
    with pytest.raises(IndexDamagedError, match="malformed"):
        parse_manifest(data, path / "manifest-00000002.json")


def test_the_command_smooths_a_new_index_and_one_that_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes").mkdir()
    for name, text in (("a", "Cats sleep all day."), ("b", "A cat sleeps in the sun."), ("c", "Stars are far.")):
        (tmp_path / "notes" / f"{name}.txt").write_text(text)

    def run(*args: object) -> tuple[int, str, str]:
        code = main(["index", *map(str, args), "--threads", "1"])
        done = capsys.readouterr()
        return code, done.out, done.err

    notes, first, second = tmp_path / "notes", tmp_path / "first", tmp_path / "second"
    assert run(notes, "--index", first, "--encoder", "default", "--dense", "joint", "--smooth")[0] == 0
    assert run(notes, "--index", second, "--encoder", "default", "--dense", "joint")[0] == 0
    code, out, err = run("--index", second, "--smooth")
    assert code == 0 and out.startswith("smoothed 3 documents in "), err
    assert vectors_of(first) == vectors_of(second)
    code, _, err = run("--index", second, "--smooth", "--json")
    assert code == 2 and "is smoothed already" in err
    for wrong, message in (
        ([notes, "--index", tmp_path / "x", "--smooth"], "smoothing needs dense vectors"),
        (
            [notes, "--index", tmp_path / "x", "--encoder", "default", "--dense", "joint", "--smooth", "--shards", 2],
            "is of single indexes",
        ),
        (["--vectors", "a.parquet", "--smooth"], "--smooth goes with CORPUS"),
    ):
        code, _, err = run(*wrong)
        assert code == 2 and message in err, err
    assert not (tmp_path / "x").exists()


def test_python_smooths_where_it_is_asked(tmp_path: Path) -> None:
    notes = ["Cats sleep all day.", "A cat sleeps in the sun.", "Stars are far."]
    index = lsr.index(notes, tmp_path / "index", encoder="default", dense="joint", smooth=True)
    assert index.stats().smoothing == {"share": 0.3, "nearest": 8, "terms": 130, "n_docs": 3}
    with pytest.raises(lsr.LsrError, match="smoothing needs dense vectors"):
        lsr.index(notes, tmp_path / "other", smooth=True)
    assert not (tmp_path / "other").exists()
