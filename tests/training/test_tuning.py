"""Hybrid search fitted to an index: settings chosen on made or judged queries, kept, and used by searches."""

from __future__ import annotations

import json
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import lsr
from lsr.cli.main import main
from lsr.encoders.registry import EncoderKind, load_encoder, register
from lsr.errors import IndexDamagedError, LsrError, UsageError
from lsr.indexer.encode.document_reader import DocumentReader
from lsr.indexer.hybrid_tuning import HybridTuning
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import Partition
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.update.merge import merge_index
from lsr.indexer.update.set_in_manifest import set_tuning
from lsr.indexer.update.update import add_documents, delete_documents
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.settings import USUAL_NEIGHBOURS, Hybrid
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher
from lsr.training.tuning import leave_one_out
from lsr.training.tuning.choose import ANY_GAIN, JUDGED, Bar, bar_of_made, choose, usual_settings, word_weights
from lsr.training.tuning.fusion import forget_tuning, tune_fusion
from lsr.training.tuning.legs import Same, collect, rank_fused
from lsr.training.tuning.probes import Probe, judged_probes, made_probes
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TUNING = HybridTuning(
    sparse=0.8, dense=0.2, words=None, share=0.0, candidates=50, chosen_on={"queries": "made queries", "n_queries": 9}
)
N_DOCS = 120


class Letters:
    """A dense encoder without a model: how often a text has each letter."""

    dimension = len(LETTERS)
    description: Mapping[str, Any] = {
        "kind": "letters", "name": "letters", "revision": "1", "settings": {"normalise": True},
    }  # fmt: skip

    def encode_dense_documents(self, documents: Sequence[Document]) -> npt.NDArray[np.float32]:
        return self.encode_dense_queries([document.full_text for document in documents])

    def encode_dense_queries(self, texts: Iterable[str]) -> npt.NDArray[np.float32]:
        rows = np.array([[text.lower().count(letter) for letter in LETTERS] for text in texts], np.float32)
        rows = rows.reshape(-1, self.dimension) + np.float32(0.01)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def open_letters(description: Mapping[str, Any], **options: Any) -> Letters:
    return Letters()


@pytest.fixture(scope="module", autouse=True)
def known_letters() -> None:
    register(EncoderKind("letters", open_dense=open_letters))


WORDS = [first + middle + last for first in "bdklmst" for middle in "aeiou" for last in "nrst"]


def text_of(number: int) -> str:
    chance = np.random.default_rng(number)
    return " ".join(
        " ".join(chance.choice(WORDS, 9, replace=False)).capitalize() + f" of case{number}." for _ in range(4)
    )


DOCUMENTS = [Document(f"d{n}", text_of(n), f"About {WORDS[n]} and {WORDS[n + 7]}") for n in range(N_DOCS)]


class Halves:
    """Makes two passages of each document."""

    settings: Mapping[str, Any] = {"max_length": 9, "overlap": 0}

    def split(self, document: Document, count: object = None) -> list[Document]:
        sentences = document.text.split(". ")
        texts = [". ".join(part) for part in (sentences[:2], sentences[2:])]
        fields: list[dict[str, Any]] = [
            {PASSAGE_OF: document.doc_id, PASSAGE_START: n, PASSAGE_END: n + 1} for n in range(2)
        ]
        return [Document(f"{document.doc_id}#{n}", texts[n], fields=fields[n]) for n in range(2)]


@pytest.fixture(scope="module")
def made_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tuning") / "index"
    index_documents(DOCUMENTS, path, load_encoder("bm25"), dense=Letters(), threads=1)
    return path


@pytest.fixture
def path(made_index: Path, tmp_path: Path) -> Path:
    """A copy of the index, to be changed."""
    return Path(shutil.copytree(made_index, tmp_path / "index"))


@pytest.fixture
def searcher(made_index: Path) -> Iterator[Searcher]:
    with StoredIndex.open(made_index) as index:
        yield Searcher(index)


USUAL = usual_settings(15.0, share=0.4, candidates=100)


def likes(chosen: Callable[[HybridTuning], bool], gain: float) -> Callable[[HybridTuning], npt.NDArray[np.float64]]:
    """Return a measure by which some settings are better than all others on each of 50 queries."""
    values = np.linspace(0.2, 0.7, 50)
    return lambda tuning: values + gain * chosen(tuning)


def test_better_settings_are_chosen_one_step_after_another() -> None:
    def measure(tuning: HybridTuning) -> npt.NDArray[np.float64]:
        good = (tuning.words == 30, tuning.dense == 0.35, tuning.share == 0.2, tuning.candidates == 200)
        return np.linspace(0.2, 0.7, 50) + 0.02 * sum(good)

    choice = choose(USUAL, measure, bar=Bar(0.02))
    assert choice.tuning == HybridTuning(sparse=0.65, dense=0.35, words=30.0, share=0.2, candidates=200)
    assert choice.is_better and choice.chosen_ndcg == pytest.approx(choice.usual_ndcg + 0.08)


def test_a_gain_below_the_margin_or_by_chance_changes_nothing() -> None:
    fewer = choose(USUAL, likes(lambda tuning: tuning.share == 0, 0.019), bar=Bar(0.02))
    assert fewer.tuning == USUAL and not fewer.is_better and fewer.chosen_ndcg == fewer.usual_ndcg
    assert choose(USUAL, likes(lambda tuning: tuning.share == 0, 0.021), bar=Bar(0.02)).tuning.share == 0
    by_chance = np.array([0.9, -0.8] * 20)
    assert not JUDGED.admits(by_chance) and ANY_GAIN.admits(by_chance), "one query of two gains, the other loses"
    assert not JUDGED.admits(np.zeros(40)) and not ANY_GAIN.admits(np.zeros(40)) and not JUDGED.admits(np.ones(1))
    assert JUDGED.admits(np.full(40, 0.01)) and not Bar(0.02).admits(np.full(40, 0.01))


def test_a_leg_that_is_much_the_weaker_lowers_the_bar() -> None:
    weak, weaker_sparse = {"sparse": 0.65, "dense": 0.45}, {"sparse": 0.3, "dense": 0.6}
    assert bar_of_made(weak, 300) == ANY_GAIN == bar_of_made(weaker_sparse, 200)
    assert bar_of_made(weak, 199) == Bar(0.02), "too few queries to tell"
    assert bar_of_made({"sparse": 0.85, "dense": 0.65}, 300) == Bar(0.02)


def test_an_encoder_without_exact_words_has_no_weight_of_theirs() -> None:
    assert word_weights(None) == [None] and word_weights(15.0) == [5.0, 10.0, 15.0, 30.0]
    choice = choose(
        usual_settings(None, share=0.4, candidates=100), likes(lambda t: t.dense == 0.8, 0.1), bar=Bar(0.02)
    )
    assert choice.tuning.words is None and choice.tuning.dense == 0.8


def test_a_search_takes_what_suits_the_index_unless_it_says_otherwise() -> None:
    tuning = replace(TUNING, words=20.0, share=0.3)
    settled = Hybrid("union").settled(tuning)
    assert settled.method.weights == (0.8, 0.2) and settled.depth == 50 and settled.word_weight == 20
    assert settled.neighbours == replace(USUAL_NEIGHBOURS, share=0.3)
    assert Hybrid().settled(replace(tuning, share=0.0)).neighbours is None
    own = Hybrid(candidates=30, fuser="tm2c2", neighbours=Neighbours(nearest=3), word_weight=7.0)
    assert own.settled(tuning) == own
    assert Hybrid(fuser="rrf").settled(tuning).neighbours is None
    assert SearchOptions.of(hybrid="union", neighbours=True).hybrid_search.settled(tuning).neighbours == Neighbours()
    usual = Hybrid()
    assert usual.settled(None) is usual and usual.depth == 100


def test_a_tuned_index_is_searched_as_its_settings_say(path: Path) -> None:
    asked = SearchOptions.of(hybrid="union", weights=(0.8, 0.2), candidates=50, neighbours=None, k=20)
    asked = asked.replace(hybrid=Hybrid("union", fuser=asked.hybrid_search.method, candidates=50, neighbours=None))
    texts = [document.title for document in DOCUMENTS[:10]]
    with StoredIndex.open(path) as index:
        due = Searcher(index).search(texts, asked.replace(weights=None, candidates=None))
        usual = Searcher(index).search(texts, SearchOptions.of(hybrid="union", k=20))
    set_tuning(path, TUNING)
    with StoredIndex.open(path) as index:
        found = Searcher(index).search(texts, SearchOptions.of(hybrid="union", k=20))
        again = Searcher(index).search(texts, SearchOptions.of(hybrid=Hybrid("union", fuser="tm2c2"), k=20))
    assert [list(results) for results in found] == [list(results) for results in due]
    assert [list(results) for results in found] != [list(results) for results in usual] != again


def test_settings_stay_with_an_index_that_changes(path: Path) -> None:
    first = set_tuning(path, TUNING)
    assert first.generation == 2 and set_tuning(path, TUNING).generation == 2, "nothing is written again"
    add_documents([Document("new", "Something new of case500.")], path, threads=1)
    delete_documents(["d1"], path)
    merge_index(path, threads=1)
    with StoredIndex.open(path) as index:
        assert index.manifest.tuning == TUNING and len(index) == N_DOCS
    assert forget_tuning(path) == 6
    with StoredIndex.open(path) as index:
        assert index.manifest.tuning is None
        assert b"tuning" not in (path / "manifest-00000006.json").read_bytes(), "as before the first tuning"


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 2}, {"share": "much"}, {"sparse": 0, "dense": 0}, {"dense": -1}, {"dense": True}, {"words": 0},
        {"candidates": 5}, {"candidates": 1e3}, {"chosen_on": []}, {"sparse": None},
    ],
    ids=str,
)  # fmt: skip
def test_malformed_settings_are_damage(path: Path, wrong: dict[str, Any]) -> None:
    set_tuning(path, TUNING)
    file = path / "manifest-00000002.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content["tuning"] |= wrong
    del content["crc32"]
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1)
    file.write_text(json.dumps({**content, "crc32": zlib.crc32(text.encode())}), encoding="utf-8")
    with pytest.raises(IndexDamagedError, match="malformed"):
        StoredIndex.open(path)


def test_made_queries_are_not_in_the_documents_that_stand_in(searcher: Searcher) -> None:
    probes = made_probes(searcher.index, 40, seed=3)
    assert len(probes) == 40 and probes == made_probes(searcher.index, 40, seed=3)
    assert probes != made_probes(searcher.index, 40, seed=4)
    removed = 0
    for probe in probes:
        original = searcher.document(probe.position)
        assert probe.relevant == {probe.position: 1.0} and probe.changed is not None
        assert set(probe.text.lower().replace(".", "").split()) <= set(
            original.full_text.lower().replace(".", "").split()
        )
        removed += probe.text not in probe.changed.full_text and probe.text in original.full_text
    assert removed > 15


def test_no_query_from_texts_that_are_too_short(tmp_path: Path) -> None:
    index_documents([Document("a", "Short.")], tmp_path / "index", load_encoder("bm25"), dense=Letters(), threads=1)
    with pytest.raises(LsrError, match="no query can be made"):
        tune_fusion(tmp_path / "index")


def test_legs_give_the_rankings_of_a_search(searcher: Searcher) -> None:
    """Also where a document stands in for itself: its scores are computed as the index has them."""
    plain = [Probe(document.text[:40], {n: 1.0}) for n, document in enumerate(DOCUMENTS[:20])]
    own = [replace(probe, changed=DOCUMENTS[n], position=n) for n, probe in enumerate(plain)]
    for hybrid in (Hybrid("union"), Hybrid("union", neighbours=None), Hybrid("union", candidates=10)):
        due = searcher.search([probe.text for probe in plain], SearchOptions.of(hybrid=hybrid))
        for probes in (plain, own):
            found = [rank_fused(searcher, legs, hybrid, None).docs for legs in collect(searcher, probes, [None])]
            assert [[f"d{n}" for n in docs] for docs in found] == [[hit.doc_id for hit in hits] for hits in due]


def test_passages_count_as_their_documents(tmp_path: Path) -> None:
    path = tmp_path / "index"
    reader = DocumentReader(Halves())  # type: ignore[arg-type]
    index_documents(DOCUMENTS[:40], path, load_encoder("bm25"), dense=Letters(), reader=reader, threads=1)
    with StoredIndex.open(path) as index:
        searcher, same = Searcher(index), Same(Searcher(index))
        judged = judged_probes(index, {"q": "case7"}, {"q": {"d7": 2, "gone": 1, "d3": 0}})
        assert judged == [Probe("case7", {14: 2.0})] and same(14) == same(15) != same(13)
        (legs,) = collect(searcher, judged, [None])
        assert legs.ndcg(np.array([15, 2, 3]), same) == 1.0, "another passage of the document"
        probes = made_probes(index, 10)
        for probe, legs in zip(probes, collect(searcher, probes, [None]), strict=True):
            docs = legs.sparse[None].docs.tolist()
            owners = [same(position) for position in docs]
            assert len(set(owners)) == len(owners), "a document that stands in comes once"
            assert probe.position in docs or same(probe.position) not in owners
    tuned = tune_fusion(path, n_queries=10)
    assert tuned.n_queries == 10 and tuned.generation == 2


def test_tuning_says_what_it_was_chosen_on(path: Path) -> None:
    tuned = tune_fusion(path, n_queries=30, threads=1)
    assert tuned.n_queries == 30 and set(tuned.legs) == {"sparse", "dense"} and tuned.legs["sparse"] > 0.5
    with StoredIndex.open(path) as index:
        kept = index.manifest.tuning
    assert kept is not None and kept == replace(tuned.choice.tuning, chosen_on=kept.chosen_on)
    assert kept.chosen_on["queries"] == "made queries" and kept.chosen_on["n_documents"] == N_DOCS
    assert kept.chosen_on["legs"] == {name: round(value, 4) for name, value in tuned.legs.items()}


def test_an_index_in_hand_is_tuned(path: Path) -> None:
    with lsr.open(path) as index:
        tuned = index.tune(made=30)
        assert tuned.n_queries == 30 and tuned.generation == index.generation == 2
        assert set(tuned.legs) == {"sparse", "dense"} and set(tuned.settings) == set(USUAL.to_json()) - {"chosen_on"}
        assert index.stats().tuning is not None, "searches of this object have the settings"
        judged = index.tune(queries={"q": DOCUMENTS[3].text[:40]}, qrels={"q": {"d3": 1}})
        assert judged.n_queries == 1 and not judged.is_changed
        reset = index.tune(reset=True)
        assert reset.settings["sparse"] == 0.5 and index.stats().tuning is None
        with pytest.raises(UsageError, match="give both queries and qrels"):
            index.tune(queries={"q": "text"})
        with pytest.raises(UsageError, match="leave out queries and qrels"):
            index.tune(reset=True, queries={"q": "text"}, qrels={"q": {"d3": 1}})


def test_a_leg_without_use_loses_its_weight(path: Path) -> None:
    """Queries whose letters mislead: other settings are better for them, and are those that a search then has."""
    queries = {str(n): f"case{n} {'zq ' * 5}" for n in range(60)}
    judged = {str(n): {f"d{n}": 1} for n in range(60)}
    tuned = tune_fusion(path, judged=(queries, judged), threads=1)
    assert tuned.legs["dense"] < 0.3 and tuned.legs["sparse"] == 1.0
    assert tuned.choice.is_better == (tuned.choice.chosen_ndcg > tuned.choice.usual_ndcg)
    assert tuned.choice.chosen_ndcg > 0.95
    with StoredIndex.open(path) as index:
        found = Searcher(index).search(list(queries.values()), SearchOptions.of(hybrid="union", k=10))
    gains = [
        1 / np.log2(1 + hit.rank)
        for hits, n in zip(found, queries, strict=True)
        for hit in hits
        if hit.doc_id == f"d{n}"
    ]
    assert sum(gains) / 60 == pytest.approx(tuned.choice.chosen_ndcg)


def test_what_can_not_be_tuned_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LsrError, match="none of the 1 judged queries"):
        tune_fusion(path, judged=({"a": "text"}, {"a": {"nowhere": 1}}))
    plain, divided = tmp_path / "plain", tmp_path / "set"
    index_documents(DOCUMENTS[:9], plain, load_encoder("bm25"), threads=1)
    with pytest.raises(UsageError, match="no dense vectors"):
        tune_fusion(plain)
    index_documents(DOCUMENTS[:9], divided, load_encoder("bm25"), dense=Letters(), shards=Partition(2), threads=1)
    for refused in (tune_fusion, forget_tuning):
        with pytest.raises(UsageError, match="is a set of shards"):
            refused(divided)


def test_the_command(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*args: object) -> tuple[int, str, str]:
        code = main(["tune", "--index", str(path), *map(str, args)])
        done = capsys.readouterr()
        return code, done.out, done.err

    code, out, err = run("--made", 20, "--seed", 1, "--json")
    done = json.loads(out)
    assert code == 0 and done["n_queries"] == 20 and done["tuning"]["candidates"] in (50, 100, 200), err
    assert main(["stats", "--index", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tuning"]["chosen_on"]["n_queries"] == 20
    assert main(["stats", "--index", str(path)]) == 0
    assert "by 20 made queries" in capsys.readouterr().out
    (tmp_path / "q.tsv").write_text("q1\tcase7\nq2\tcase9\n")
    (tmp_path / "qrels.tsv").write_text("q1\td7\t1\nq2\td9\t2\n")
    code, out, err = run("--judged", tmp_path / "qrels.tsv", "--queries", tmp_path / "q.tsv")
    assert code == 0 and "no other settings are better beyond chance" in out and "2 judged queries" in err
    code, out, _ = run("--reset", "--json")
    assert code == 0 and json.loads(out)["tuning"] is None
    for wrong, message in (
        (["--judged", tmp_path / "qrels.tsv"], "--queries FILE"),
        (["--queries", tmp_path / "q.tsv"], "--judged"),
        (["--reset", "--made", 3], "--made"),
        (["--judged", tmp_path / "qrels.tsv", "--seed", 3], "--seed"),
        (["--judged", tmp_path / "qrels.tsv", "--split", "dev"], "BEIR folder"),
        (["--judged", tmp_path, "--queries", tmp_path / "q.tsv"], "BEIR folder"),
    ):
        code, _, err = run(*wrong)
        assert code == 2 and message in err, err


def test_an_index_is_tuned_when_it_is_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lsr.encoders.registry.load_dense_encoder", lambda name, **options: Letters())
    corpus, shown = tmp_path / "corpus.jsonl", DOCUMENTS[:30]
    corpus.write_text("\n".join(json.dumps({"_id": d.doc_id, "title": d.title, "text": d.text}) for d in shown))

    def run(*args: object) -> tuple[int, str]:
        code = main(["index", *map(str, args), "--encoder", "bm25", "--threads", "1"])
        return code, capsys.readouterr().err

    made = tmp_path / "made"
    code, err = run(corpus, "--index", made, "--dense", "letters", "--tune")
    assert code == 0 and "by 30 made queries, hybrid searches " in err, err
    with StoredIndex.open(made) as index:
        assert index.manifest.tuning is not None and index.manifest.tuning.described in err
    corpus.write_text('{"_id": "a", "text": "Short."}')
    code, err = run(corpus, "--index", tmp_path / "short", "--dense", "letters", "--tune")
    assert code == 0 and "not tuned: " in err and "too short" in err, "the index is there all the same"
    for wrong in (["--tune"], ["--dense", "letters", "--tune", "--shards", "2"]):
        code, err = run(corpus, "--index", tmp_path / "x", *wrong)
        assert code == 2 and "--tune fits hybrid search" in err


def test_collections_are_left_out_in_turn(
    made_index: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments: list[str] = []
    for name in ("first", "second"):
        folder = tmp_path / name
        (folder / "qrels").mkdir(parents=True)
        (folder / "corpus.jsonl").write_text("")
        numbers = range(4) if name == "first" else range(4, 8)
        lines = [json.dumps({"_id": f"q{n}", "text": f"case{n}"}) for n in numbers]
        (folder / "queries.jsonl").write_text("\n".join(lines))
        (folder / "qrels" / "test.tsv").write_text("".join(f"q{n}\td{n}\t1\n" for n in numbers))
        arguments += [str(made_index), str(folder)]
    arguments += ["--made", "5", "--work", str(tmp_path / "work")]
    assert leave_one_out.main(arguments) == 0
    table = capsys.readouterr().out
    rows = {line[:32].strip(): line[32:].split() for line in table.splitlines()}
    assert rows[""] == ["first", "second", "mean"]
    assert float(rows["chosen on the collection itself"][2]) >= float(rows["usual settings"][2])
    assert set(rows) >= {"sparse leg", "dense leg, made queries", "chosen on the others", "chosen by made queries"}

    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("measured again")

    monkeypatch.setattr(leave_one_out, "compare", refuse)
    assert leave_one_out.main(arguments) == 0 and capsys.readouterr().out == table, "what was measured is kept"
    assert leave_one_out.main(arguments[:1]) == 2, "an index without its collection"
